/**
 * What a kernel is to the WebAssembly backend: functions that write the code of one plan step. Kernels are specialised
 * to the plan: shapes, strides and addresses are constants in the code.
 */
import type { Node } from "../../graph/node.ts";
import type { Step } from "../../plan/plan.ts";
import type { Address, FunctionBuilder, I32, Local } from "./assembler.ts";
import type { Madd } from "./math.ts";

/** What a kernel may know of the plan it is compiled into. */
export interface KernelContext {
  readonly madd: Madd;
  /** Whether `madd` is one instruction. */
  readonly fusedMadd: boolean;
  /** Where a node's elements begin in memory; views share their operand's place. */
  address(node: Node): Address;
  /** Stops the run unless a row number lies within its table of so many rows. */
  checkRow(f: FunctionBuilder, row: I32, rows: number): void;
  /** Memory of its own for each thread while the step runs: the address for thread t is the result + t · bytes. */
  scratch(bytes: number): number;
  /** The most threads that can take part. */
  readonly threads: number;
  /** Whether V8 joins neighbouring vectors into wider ones. */
  readonly turbo: boolean;
}

/**
 * A part of a step that threads can share: its units are independent of each other, and any split of them gives the
 * same bits. All units of a phase are finished before the next phase begins.
 */
export interface Phase {
  readonly units: number;
  /** Writes code that does the units from `begin` up to, not including, `end`. */
  emit(f: FunctionBuilder, begin: Local<"i32">, end: Local<"i32">, thread: Local<"i32">): void;
}

export type Kernel = (step: Step, context: KernelContext) => Phase[];
