/**
 * What a plan is: what to compute, in which order, where in memory. Plain data, made once from a graph; every backend runs
 * it, and the explainer and the tables of the documentation read it. It holds no code.
 */
import type { Node } from "../graph/node.ts";
import type { Turns } from "../graph/op.ts";
import type { Shape } from "../graph/shape.ts";

/** A place in the plan's memory. */
export interface Slot {
  readonly offset: number;
  readonly bytes: number;
}

export interface Step {
  /** All nodes the step computes, in order. */
  readonly nodes: readonly Node[];
  /** The structural op whose kernel runs, unless the step is a loop. */
  readonly root: Node | undefined;
  readonly elementwise: readonly Node[];
  /** Reductions of what the loop computes or reads; all over the same axes. */
  readonly reductions: readonly Node[];
  /** The shape the step goes over. */
  readonly space: Shape;
  /** How many leading axes of the space make up the rows; the rest are the columns. */
  readonly split: number;
  /** Results and leaves from outside that it reads, views resolved. */
  readonly reads: readonly Node[];
  /** The nodes of the step whose values others need. */
  readonly writes: readonly Node[];
  /** Where each written node goes: itself (its slot), or the variable that it updates in place. */
  readonly stores: ReadonlyMap<Node, Node>;
  /** What each turn does, where the step is a loop over time. */
  readonly loop?: LoopPlan;
}

/** The body of a loop, planned by itself. */
export interface LoopPlan {
  readonly turns: Turns;
  /** Its variables are the body's leaves and results, which lie where `turns` says. */
  readonly plan: Plan;
  /** Stands for the memory that the turns work in: first `turns.work` elements, then the plan's own. */
  readonly workspace: Node;
}

/** After a run, `variable` has the value that `value` had in it. All updates of a run happen at once, as it were. */
export interface Update {
  readonly variable: Node;
  readonly value: Node;
}

/** What a plan is asked for. */
export interface PlanRequest {
  /** Given at every run, in this order. */
  readonly inputs: readonly Node[];
  /** Wanted from every run, in this order. */
  readonly outputs: readonly Node[];
  readonly updates?: readonly Update[];
  /** If this scalar output is not finite, the run stops there, before any update of the step. */
  readonly guard?: Node;
}

export interface Plan {
  /** What it was made from: the graph as it was written. */
  readonly request: PlanRequest;
  readonly inputs: readonly Node[];
  /** The nodes that stand for the requested outputs, after rewriting. */
  readonly outputs: readonly Node[];
  readonly updates: readonly Update[];
  readonly guard: Node | undefined;
  /** Everything that is computed, in order. */
  readonly steps: readonly Step[];
  /** Updates that could not be made in place: copied to their variables when all steps are done. */
  readonly copies: readonly Update[];
  /** Where in the memory for a run each stored result lies. Variables and constants lie outside it. */
  readonly slots: ReadonlyMap<Node, Slot>;
  /** The memory for inputs, outputs and results in between, in bytes. Between runs nothing in it is needed. */
  readonly arenaBytes: number;
}
