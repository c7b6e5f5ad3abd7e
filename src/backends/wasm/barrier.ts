/**
 * Where the threads of one plan wait for each other. A thread that arrives early spins for up to some 100 microseconds,
 * since the others are rarely further away than that, and then sleeps.
 */
import { type FunctionBuilder, type Int, i32 } from "./assembler.ts";

/** Two words of memory: how many have arrived, and the number of the meeting. */
export const BARRIER_BYTES = 128;
const GENERATION = 64;

/** Some 100 µs: as long as one thread may work alone between two shared steps; waking a sleeping one takes half of that. */
const SPINS = 20_000;

export function emitBarrier(f: FunctionBuilder, address: number, threads: Int): void {
  const generation = f.let(i32.atomicLoad(address + GENERATION));
  f.if(
    i32.eq(i32.add(i32.atomicAdd(address, 1), 1), threads),
    () => {
      f.emit(i32.atomicStore(address, 0));
      f.drop(i32.atomicAdd(address + GENERATION, 1));
      f.drop(i32.atomicNotify(address + GENERATION, threads));
    },
    () => {
      const spins = f.local("i32", SPINS);
      f.while(i32.eq(i32.atomicLoad(address + GENERATION), generation), () => {
        f.if(
          spins,
          () => f.set(spins, i32.sub(spins, 1)),
          () => f.drop(i32.atomicWait(address + GENERATION, generation)),
        );
      });
    },
  );
}
