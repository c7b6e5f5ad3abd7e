/** The optimiser's own arithmetic for one weight, read from the update nodes of the graph, from w to w′ line by line. */
import { type Node, nameOf, topologicalOrder } from "../graph/node.ts";
import { element, withIndex } from "./describe-array.ts";
import type { ArithmeticStep, WeightUpdate } from "./description.ts";
import { numbersAt } from "./element-formula.ts";
import { broadcastPlace, indexOf } from "./element-index.ts";
import { type Formula, number, symbol } from "./formula/formula.ts";
import { formulaOf } from "./formula/from-graph.ts";
import type { Stop } from "./named-arrays.ts";
import type { Opened } from "./opened-step.ts";

/** The nodes of one parameter's update that have names, and so a line of their own. */
export function updateLines(opened: Opened, parameter: Node): { node: Node; symbol: Formula }[] {
  const own = opened.states.find((state) => state.parameter.node === parameter);
  const targets = new Set<Node>([parameter, ...Object.values(own?.state ?? {})]);
  const roots = opened.graph.updates.filter(({ variable }) => targets.has(variable)).map(({ value }) => value);
  return topologicalOrder(roots).flatMap((node) => {
    const symbol = opened.bind(node);
    return node.phase === "update" && node.inputs.length > 0 && symbol ? [{ node, symbol }] : [];
  });
}

export function explainUpdate(opened: Opened, parameter: Stop, flat: number): WeightUpdate | undefined {
  const own = opened.states.find((state) => state.parameter.node === parameter.node);
  const update = opened.graph.updates.find(({ variable }) => variable === parameter.node);
  if (!own || !update) return undefined;
  const { shape } = parameter.node;
  const index = indexOf(shape, flat);
  const lines = updateLines(opened, parameter.node);
  const valueAt = (node: Node): number => opened.updateValues.get(node)[broadcastPlace(node.shape, shape, flat)];
  const isWeightSized = (node: Node): boolean =>
    node.shape.length === shape.length && node.shape.every((n, i) => n === shape[i]);
  const named = (node: Node): Formula | undefined => {
    const formula = opened.bind(node);
    return formula && isWeightSized(node) ? withIndex(formula, index) : formula;
  };
  const fits = (node: Node): boolean =>
    node.shape.every((n, i) => n === 1 || n === shape[i + shape.length - node.shape.length]);
  const steps = lines
    .filter(({ node }) => fits(node))
    .map(({ node }): ArithmeticStep => {
      const value = valueAt(node);
      return {
        symbol: named(node)!,
        formula: formulaOf(node, named),
        numbers:
          numbersAt(opened.updateValues, node, broadcastPlace(node.shape, shape, flat), opened.bind) ?? number(value),
        value,
      };
    });
  return {
    optimizer: opened.optimizer.name,
    step: opened.step,
    scalars: Object.entries(opened.scalars).map(([name, value]) => element(name, symbol(name), [], value)),
    state: Object.entries(own.state).map(([name, node]) =>
      element(nameOf(node), symbol(name, parameter.name), index, valueAt(node)),
    ),
    steps,
    before: opened.values.get(parameter.node)[flat],
    after: valueAt(update.value),
  };
}
