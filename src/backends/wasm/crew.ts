/**
 * How the threads of a run go on together, as code: what one of them does alone, what each does its share of, and where they
 * wait for each other.
 */
import type { Node } from "../../graph/node.ts";
import { type FunctionBuilder, type I32, type Int, i32 } from "./assembler.ts";
import { emitBarrier } from "./barrier.ts";

/** A function that does a phase of a step, or a whole loop. */
export interface Routine {
  /** The name under which it is exported. */
  readonly name: string;
  readonly code: number;
  readonly units: number;
  /** Whether threads share its units. */
  readonly shared: boolean;
  /** The arrays whose addresses it is told. */
  readonly arrays: readonly Node[];
}

export interface Crew {
  /** What one thread does while the others go on. */
  one(body: () => void): void;
  /** Has all wait for each other, if any has done something since they last did, or in any case. */
  meet(anyway?: boolean): void;
  call(routine: Routine, bases: readonly Int[]): void;
}

/** One thread does everything, and waits for nobody. */
export const oneThread = (f: FunctionBuilder): Crew => ({
  one: (body) => body(),
  meet: () => {},
  call: ({ code, units }, bases) => f.call(code, 0, units, 0, ...bases),
});

/** Where thread t of T begins: unit ⌊units · t / T⌋. It ends where the next one begins. */
const share = (units: number, thread: I32, threads: I32): I32 => i32.divU(i32.mul(thread, units), threads);

/** Thread 0 alone needs to meet nobody; what it does alone, between two meetings, needs no meeting in between. */
export function severalThreads(f: FunctionBuilder, thread: I32, threads: I32, barrierAddress: number): Crew {
  let apart = false;
  const one = (body: () => void): void => {
    f.if(i32.eqz(thread), body);
    apart = true;
  };
  const meet = (anyway = false): void => {
    if (apart || anyway) f.if(i32.gtU(threads, 1), () => emitBarrier(f, barrierAddress, threads));
    apart = false;
  };
  return {
    one,
    meet,
    call: ({ code, units, shared }, bases) => {
      if (!shared) {
        one(() => f.call(code, 0, units, thread, ...bases));
        return;
      }
      meet();
      f.call(code, share(units, thread, threads), share(units, i32.add(thread, 1), threads), thread, ...bases);
      apart = true;
      meet();
    },
  };
}
