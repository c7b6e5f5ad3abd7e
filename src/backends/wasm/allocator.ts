/** Hands out pieces of the engine's memory: first fit, with neighbouring free pieces joined. It knows no contents. */
import { aligned } from "../../plan/allocate.ts";

export class Allocator {
  /** Free pieces, sorted by address; the last one has no end. */
  readonly #free: { address: number; bytes: number }[];
  readonly #used = new Map<number, number>();
  readonly #grow: (end: number) => void;

  /** @param grow makes sure that the memory reaches to this address */
  constructor(start: number, grow: (end: number) => void) {
    this.#free = [{ address: start, bytes: Number.POSITIVE_INFINITY }];
    this.#grow = grow;
  }

  allocate(bytes: number): number {
    const size = aligned(bytes);
    const index = this.#free.findIndex((piece) => piece.bytes >= size);
    const piece = this.#free[index];
    this.#grow(piece.address + size);
    if (piece.bytes === size) this.#free.splice(index, 1);
    else this.#free[index] = { address: piece.address + size, bytes: piece.bytes - size };
    this.#used.set(piece.address, size);
    return piece.address;
  }

  free(address: number): void {
    const bytes = this.#used.get(address);
    if (bytes === undefined) throw new Error(`Nothing is allocated at ${address}.`);
    this.#used.delete(address);
    const pieces = this.#free;
    let i = pieces.findIndex((piece) => piece.address > address);
    if (i < 0) i = pieces.length;
    pieces.splice(i, 0, { address, bytes });
    for (const at of [i, i - 1]) {
      const [left, right] = [pieces[at], pieces[at + 1]];
      if (left && right && left.address + left.bytes === right.address) {
        pieces.splice(at, 2, { address: left.address, bytes: left.bytes + right.bytes });
      }
    }
  }

  /** The bytes now handed out. */
  get usedBytes(): number {
    let sum = 0;
    for (const bytes of this.#used.values()) sum += bytes;
    return sum;
  }
}
