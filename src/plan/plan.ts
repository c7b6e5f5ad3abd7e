/** From a graph to its plan, and the plan as a table for people. What a plan consists of is in types.ts. */
import { input } from "../graph/leaf.ts";
import { nameOf } from "../graph/node.ts";
import { showShape, sizeOf } from "../graph/shape.ts";
import { allocate } from "./allocate.ts";
import { fuse } from "./fuse.ts";
import { lower } from "./lower.ts";
import { aligned, SINGLE_PRECISION, type Target } from "./target.ts";
import type { Plan, PlanRequest, Step } from "./types.ts";

export type { LoopPlan, Plan, PlanRequest, Slot, Step, Update } from "./types.ts";

/**
 * Makes a plan: rewrites the graph to primitive ops, fuses and orders them, lays out the memory.
 * @param target what it is for: processors in single precision unless said
 */
export function makePlan(request: PlanRequest, target: Target = SINGLE_PRECISION): Plan {
  const lowered = lower(request, target);
  const { steps: fused, copies } = fuse(lowered, target);
  const steps = fused.map((step) => withLoop(step, target));
  return { request, ...lowered, steps, copies, ...allocate(lowered, steps, copies, target) };
}

/** A step with what each turn does, if it is a loop. */
function withLoop(step: Step, target: Target): Step {
  const { root } = step;
  if (root?.op.meaning.kind !== "loop") return step;
  const turns = root.op.meaning.turns(root.attributes as never);
  const plan = makePlan({ inputs: [], outputs: [], updates: turns.results }, target);
  const { float } = target.bytes;
  const bytes = aligned(turns.work * float, target) + plan.arenaBytes;
  return { ...step, loop: { turns, plan, workspace: input("workspace", [Math.ceil(bytes / float)]) } };
}

/** The floating-point operations of one step, where its op says. */
export function stepFlops(step: Step): number {
  if (step.loop) return step.loop.turns.length * step.loop.plan.steps.reduce((sum, each) => sum + stepFlops(each), 0);
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
