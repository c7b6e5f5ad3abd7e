/** What the nodes of a step are called in formulas. */
import { isConstant } from "../graph/leaf.ts";
import { type Node, topologicalOrder } from "../graph/node.ts";
import type { OptimizerState, TrainingGraph } from "../train/training-graph.ts";
import { type Formula, partial, symbol } from "./formula/formula.ts";
import { type Stop, symbolOf } from "./named-arrays.ts";

/** What every node that has a name is called: stops, their gradients, the optimiser's arrays before and after. */
export function bindings(
  graph: TrainingGraph,
  stops: readonly Stop[],
  states: readonly OptimizerState[],
  gradients: ReadonlyMap<Node, Node>,
): Map<Node, Formula> {
  const names = new Map<Node, Formula>();
  const name = (node: Node | undefined, formula: Formula): void => {
    if (node && !names.has(node) && !isConstant(node)) names.set(node, formula);
  };
  for (const { node, symbol } of stops) name(node, symbol);
  // From the loss backwards: where two gradients are one node, the one nearer to the loss gives it its name.
  for (const { node, symbol: by } of [...stops].reverse()) name(gradients.get(node), partial(symbol("L"), by));
  for (const [i, { parameter }] of states.entries())
    name(graph.gradients[i], partial(symbol("L"), symbolOf(parameter.name)));
  for (const { parameter, state } of states)
    for (const [own, node] of Object.entries(state)) name(node, symbol(own, parameter.name));
  for (const { variable, value } of graph.updates) {
    const before = names.get(variable);
    if (before?.kind === "symbol") name(value, { ...before, prime: true });
  }
  for (const [own, node] of Object.entries(graph.inputs.scalars)) name(node, symbol(own));
  let count = 0;
  for (const node of sharedNumbers(graph)) if (!names.has(node)) name(node, symbol(`s${++count}`));
  return names;
}

/** What whole arrays go into on the way to an update, such as the norm that clipping measures: s1, s2, … */
function sharedNumbers({ updates }: TrainingGraph): Node[] {
  const nodes = topologicalOrder(updates.map(({ value }) => value)).filter(({ phase }) => phase === "update");
  const measured = new Set<Node>();
  for (const node of nodes) {
    const { kind } = node.op.meaning;
    if (
      kind === "structural" ||
      kind === "composite" ||
      node.inputs.some((x) => measured.has(x) && x.shape.length === 0)
    )
      measured.add(node);
  }
  const isUsedByLarger = (node: Node): boolean =>
    nodes.some(({ inputs, shape }) => inputs.includes(node) && shape.length > node.shape.length);
  return nodes.filter((node) => {
    if (!measured.has(node) || isConstant(node)) return false;
    return node.op.meaning.kind !== "elementwise" || (node.shape.length === 0 && isUsedByLarger(node));
  });
}
