/** Derivatives that go element by element, as formulas: ∂a/∂z = 1 − a², and 1 − 0.29² with the numbers of one element. */
import { constant } from "../graph/leaf.ts";
import type { Node } from "../graph/node.ts";
import { gradientsOf } from "../ops/index.ts";
import { broadcastPlace } from "./element-index.ts";
import { type Formula, value } from "./formula/formula.ts";
import { formulaOf } from "./formula/from-graph.ts";
import type { Jacobians } from "./jacobian.ts";
import type { Stop } from "./named-arrays.ts";
import type { Opened } from "./opened-step.ts";

/** The formula of ∂of/∂by, and the same with the numbers of one element; nothing if it is not one element by one. */
export function diagonalFormulas(
  opened: Opened,
  jacobians: Jacobians,
  of: Stop,
  by: Stop,
  place?: number,
): { formula?: Formula; numbers?: Formula } {
  if (by.node.dtype !== "float" || !jacobians.cut(of).leaves.has(by) || !jacobians.isDiagonal(of, by)) return {};
  const { result, leaves } = jacobians.cut(of);
  const [derivative] = gradientsOf(result, [leaves.get(by)!], constant(1, result.shape));
  const stops = new Map<Node, Stop>([...leaves].map(([stop, leaf]) => [leaf, stop]));
  stops.set(result, of);
  const formula = formulaOf(derivative, (node) => stops.get(node)?.symbol);
  if (place === undefined) return { formula };
  const numbers = formulaOf(derivative, (node) => {
    const stop = stops.get(node);
    if (!stop) return undefined;
    const values = opened.values.get(stop.node);
    return value(values[broadcastPlace(stop.node.shape, result.shape, place)]);
  });
  return { formula, numbers };
}
