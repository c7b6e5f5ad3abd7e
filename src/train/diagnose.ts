/**
 * What to say when a training step gives NaN or infinity: recomputes that step with the reference interpreter in single
 * precision and finds the first op whose result is not finite.
 */
import { evaluate } from "../backends/reference/reference.ts";
import { DivergenceError } from "../errors.ts";
import { isVariable } from "../graph/leaf.ts";
import { type Node, nameOf } from "../graph/node.ts";
import type { AnyArray } from "../graph/op.ts";
import { makePlan } from "../plan/plan.ts";
import { inputsOf, type TrainingGraph } from "./training-graph.ts";

/**
 * @param place which step it is, in words
 * @param read the value of a variable from before the step
 */
export async function diagnose(
  graph: TrainingGraph,
  inputs: readonly AnyArray[],
  place: string,
  step: number,
  read: (node: Node) => AnyArray | Promise<AnyArray>,
): Promise<DivergenceError> {
  const leaves = inputsOf(graph);
  const plan = makePlan({ inputs: leaves, outputs: [graph.loss], updates: graph.updates });
  const given = new Map(leaves.map((leaf, i) => [leaf, inputs[i]]));
  const nodes = plan.steps.flatMap((planStep) => planStep.nodes).sort((a, b) => a.id - b.id);
  for (const variable of new Set(plan.steps.flatMap(({ reads }) => reads).filter(isVariable)))
    given.set(variable, await read(variable));
  const value = evaluate(nodes, "float32", (leaf) => given.get(leaf)!);
  const isBad = (x: number): boolean => !Number.isFinite(x);
  const culprit = ["forward", "backward", "update"]
    .flatMap((phase) => nodes.filter((node) => node.phase === phase))
    .find((node) => value(node).some(isBad));
  const bad = culprit ? value(culprit).find(isBad) : Number.NaN;
  const where = culprit && nameOf(culprit);
  const came = culprit
    ? `The first value that is not finite came from ${where} (${culprit.phase}). ${likelyCause(culprit, value)}`
    : SMALLER;
  return new DivergenceError(
    `Training stopped at ${place}: the loss or a weight became ${bad}. ${came} The model keeps the weights from before this step.`,
    step,
    where,
  );
}

const SMALLER = "The learning rate may be too large; try a tenth of it, or clip the gradients.";

function likelyCause(node: Node, value: (node: Node) => AnyArray): string {
  const { name } = node.op;
  if (name === "log" || name === "log1p")
    return "It is the logarithm of 0 or of a negative number; a loss that takes logits avoids it.";
  if (name === "sqrt") return "It is the square root of a negative number.";
  if (name === "div" && value(node.inputs[1]).some((v) => v === 0))
    return "It is a division by 0: add a small number to the divisor.";
  const large = node.inputs.filter((x) => value(x).some((v) => Math.abs(v) > 1e3));
  return large.length > 0 && !large.some(isVariable)
    ? "Its input is very large: put normalize(statistics) or rescale(…) first, or lower the learning rate."
    : SMALLER;
}
