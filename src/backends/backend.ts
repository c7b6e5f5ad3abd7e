/**
 * What a backend is: something that keeps variables and runs plans. Processors answer at once; what a GPU has in its
 * memory comes as promises. Whatever one backend computes, the others must.
 */
import type { Node } from "../graph/node.ts";
import type { AnyArray } from "../graph/op.ts";
import type { Plan } from "../plan/plan.ts";

export interface Backend {
  readonly name: string;
  /** A fresh session, with no variables. */
  open(): Session;
}

/** The values of variables, and the plans that use them. */
export interface Session {
  /** What runs the plans, for people: `wasm, relaxed SIMD, 1 thread`. */
  readonly description: string;
  /** How wide the vectors are that it computes with, in bits, if it has some. */
  readonly vectorBits?: 128 | 256;
  /** Milliseconds that a series of runs may last where nothing else waits for it meanwhile; 15 unless said. */
  readonly seriesTime?: number;
  /** The bytes that variables and plans now take. */
  readonly usedBytes: number;
  /** Sets a variable to a copy of `values`, all of it, making room for it the first time. */
  write(variable: Node, values: AnyArray | readonly number[]): void;
  /** A copy of a variable's values; a promise where they lie in a GPU's memory. */
  read(variable: Node): AnyArray | Promise<AnyArray>;
  /** Forgets a variable; no plan that uses it may run again. */
  free(variable: Node): void;
  /** Makes a plan ready to run, or begins to: where that takes its time, the first run waits. */
  compile(plan: Plan): Executable;
  /** Gives back memory and threads. */
  close(): void;
}

export interface Executable {
  /**
   * Runs the plan `count` times in a row. Each input holds the values of all `count` runs one after the other, and so
   * does each output that comes back. Stops early at a guard that is not finite. Throws an ArgumentError for a row number
   * outside of the table that it is looked up in; the session is broken then, and runs nothing more.
   */
  run(inputs: readonly AnyArray[], count?: number): Run | Promise<Run>;
  /** Gives back the memory of the plan. */
  free(): void;
  /**
   * Milliseconds that each step of the plan takes on one thread, from runs of the step alone on the values of the last
   * run, after which no other plan of the session may have run. Variables are put back.
   */
  profile?(): number[] | Promise<number[]>;
}

/** A backend that computes on the calling thread and so answers at once. */
export interface ImmediateExecutable extends Executable {
  run(inputs: readonly AnyArray[], count?: number): Run;
  profile?(): number[];
}

export interface ImmediateSession extends Session {
  read(variable: Node): AnyArray;
  compile(plan: Plan): ImmediateExecutable;
}

export interface ImmediateBackend extends Backend {
  open(): ImmediateSession;
}

export interface Run {
  readonly outputs: readonly AnyArray[];
  /** How many runs finished; fewer than asked if the guard was not finite in the next one. */
  readonly completed: number;
  /** How many threads took part. */
  readonly threads: number;
}
