/**
 * Where the threads of one plan wait for each other. A thread that arrives early spins for up to some 100 microseconds,
 * since the others are rarely further away than that, and then sleeps. Where one thread stops for an error, nobody waits
 * for it: it leaves word, and all others stop at their next meeting.
 */
import { type FunctionBuilder, type I32, type Int, i32 } from "./assembler.ts";

/** Words of memory: how many have arrived, the number of the meeting, whether a thread has stopped and on account of what. */
export const BARRIER_BYTES = 128;
const GENERATION = 64;
const STOPPED = 68;
/** A row number that was outside of its table, and how many rows that has. */
const BAD_ROW = 72;
const ROWS = 76;

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
      // A thread that stops leaves word first and then ends the meeting: one of the two is seen here.
      const checkStopped = () => f.if(i32.atomicLoad(address + STOPPED), () => f.trap());
      checkStopped();
      const spins = f.local("i32", SPINS);
      f.while(i32.eq(i32.atomicLoad(address + GENERATION), generation), () => {
        f.if(
          spins,
          () => f.set(spins, i32.sub(spins, 1)),
          () => f.drop(i32.atomicWait(address + GENERATION, generation)),
        );
      });
      checkStopped();
    },
  );
}

/** Stops this thread, and with it the run, unless a row number lies within its table. */
export function emitRowCheck(f: FunctionBuilder, address: number, row: I32, rows: number): void {
  f.if(i32.geU(row, rows), () => {
    f.emit(i32.store(address + BAD_ROW, row));
    f.emit(i32.store(address + ROWS, rows));
    f.emit(i32.atomicStore(address + STOPPED, FOR_A_ROW));
    f.trap();
  });
}

const FOR_A_ROW = 2;

/** What a thread does after a trap, so that the others do not wait for it. */
export function emitLeave(f: FunctionBuilder, address: number): void {
  f.if(i32.eqz(i32.atomicLoad(address + STOPPED)), () => f.emit(i32.atomicStore(address + STOPPED, 1)));
  f.drop(i32.atomicAdd(address + GENERATION, 1));
  f.drop(i32.atomicNotify(address + GENERATION, -1));
}

/** The row number on account of which a run stopped, and the rows of the table; undefined if it stopped for something else. */
export function badRow(words: Int32Array): { row: number; rows: number } | undefined {
  if (words[STOPPED / 4] !== FOR_A_ROW) return undefined;
  return { row: words[BAD_ROW / 4], rows: words[ROWS / 4] };
}
