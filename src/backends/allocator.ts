/** Hands out pieces of the engine's memory: first fit, with neighbouring free pieces joined. It knows no contents. */
import { aligned } from "../plan/target.ts";

/** @param grow makes sure that the memory reaches to this address */
export function createAllocator(start: number, grow: (end: number) => void) {
  /** Free pieces, sorted by address; the last one has no end. */
  const pieces = [{ address: start, bytes: Number.POSITIVE_INFINITY }];
  const used = new Map<number, number>();

  return {
    allocate(bytes: number): number {
      const size = aligned(bytes);
      const index = pieces.findIndex((piece) => piece.bytes >= size);
      const { address, bytes: free } = pieces[index];
      grow(address + size);
      pieces.splice(index, 1, ...(free === size ? [] : [{ address: address + size, bytes: free - size }]));
      used.set(address, size);
      return address;
    },

    free(address: number): void {
      const bytes = used.get(address);
      if (bytes === undefined) throw new Error(`Nothing is allocated at ${address}.`);
      used.delete(address);
      const i = pieces.findIndex((piece) => piece.address > address);
      pieces.splice(i, 0, { address, bytes });
      for (const at of [i, i - 1]) {
        const [left, right] = [pieces[at], pieces[at + 1]];
        if (left && left.address + left.bytes === right.address)
          pieces.splice(at, 2, { address: left.address, bytes: left.bytes + right.bytes });
      }
    },

    /** The bytes now handed out. */
    usedBytes: (): number => [...used.values()].reduce((sum, bytes) => sum + bytes, 0),
  };
}
