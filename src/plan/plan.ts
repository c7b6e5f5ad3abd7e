/**
 * A plan: what to compute, in which order, where in memory. Plain data, made once from a graph; every backend runs it,
 * and the explainer and the tables of the documentation read it. It holds no code.
 */
import { type Node, nameOf } from "../graph/node.ts";
import { showShape, sizeOf } from "../graph/shape.ts";
import { allocate, type Slot } from "./allocate.ts";
import { fuse, type Step } from "./fuse.ts";
import { lower } from "./lower.ts";

export type { Slot } from "./allocate.ts";
export type { Step } from "./fuse.ts";

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

/** Makes a plan: rewrites the graph to primitive ops, fuses and orders them, lays out the memory. */
export function makePlan(request: PlanRequest): Plan {
  const lowered = lower(request);
  const { steps, copies } = fuse(lowered);
  return { request, ...lowered, steps, copies, ...allocate(lowered, steps, copies) };
}

/** The floating-point operations of one step, where its op says. */
export function stepFlops(step: Step): number {
  const structural = [...(step.root ? [step.root] : []), ...step.reductions];
  const counted = structural.reduce((sum, { op: { meaning }, inputs, shape, attributes }) => {
    const flops = meaning.kind === "structural" ? meaning.flops : undefined;
    return sum + (flops?.(inputs, shape, attributes as never) ?? 0);
  }, 0);
  return counted + step.elementwise.reduce((sum, node) => sum + sizeOf(node.shape), 0);
}

/** The ops of a step in one word: `matmul+add+relu`. */
export const stepName = (step: Step): string => step.nodes.map((node) => node.op.name).join("+");

const bytesText = (bytes: number): string =>
  bytes < 1024
    ? `${bytes} B`
    : bytes < 2 ** 20
      ? `${(bytes / 1024).toFixed(1)} KB`
      : `${(bytes / 2 ** 20).toFixed(1)} MB`;

/** The plan as a table: one line per step, with its layer, shapes, memory and floating-point operations. */
export function showPlan(plan: Plan): string {
  const rows = plan.steps.map((step, i) => {
    const result = step.writes[step.writes.length - 1];
    const written = step.writes.map((node) => {
      const updated = step.stores.get(node);
      return updated && updated !== node ? nameOf(updated) : `${nameOf(node)} ${showShape(node.shape)}`;
    });
    const bytes = step.writes.reduce((sum, node) => sum + (plan.slots.get(node)?.bytes ?? 0), 0);
    const ops = stepName(step);
    return [
      String(i + 1),
      result?.phase ?? "",
      ops.length > 44 ? `${ops.slice(0, 43)}…` : ops,
      written.join(", "),
      bytes > 0 ? bytesText(bytes) : "",
      stepFlops(step).toLocaleString("en"),
    ];
  });
  const header = ["step", "phase", "ops", "stores", "memory", "flops"];
  const all = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...all.map((row) => row[column].length)));
  const lines = all.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]))
      .join("  ")
      .trimEnd(),
  );
  return [...lines, `${plan.steps.length} steps, ${bytesText(plan.arenaBytes)} beside the variables`].join("\n");
}
