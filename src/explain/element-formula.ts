/** Formulas with the numbers of one element put in for the names: `0.09 · 0.3 + 0.1 · 0.2` beside `β · m + …`. */
import { isConstant } from "../graph/leaf.ts";
import type { Node } from "../graph/node.ts";
import { broadcastPlace } from "./element-index.ts";
import { type Formula, value } from "./formula/formula.ts";
import { type Bind, formulaOf } from "./formula/from-graph.ts";
import type { Values } from "./node-values.ts";

/**
 * The formula of one element of a node that is computed element by element, with numbers for whatever has a name and
 * for what whole arrays went into; undefined for other nodes.
 */
export function numbersAt(values: Values, node: Node, flat: number, bind: Bind): Formula | undefined {
  if (node.op.meaning.kind !== "elementwise") return undefined;
  return formulaOf(node, (x) => {
    const expands = x.op.meaning.kind === "elementwise" && !bind(x);
    if (expands || isConstant(x)) return undefined;
    return value(values.get(x)[broadcastPlace(x.shape, node.shape, flat)]);
  });
}
