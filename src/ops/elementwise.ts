/**
 * How to define an elementwise op: one scalar expression, and its derivative as graph nodes. Operands broadcast;
 * the gradients are summed back to the operands' shapes here, so that no op has to think of it.
 */
import { constant, fillValue } from "../graph/leaf.ts";
import type { Node } from "../graph/node.ts";
import { applyOp, type BackwardContext, defineOp, type Op } from "../graph/op.ts";
import { compileScalar, inputScalar, type Scalar } from "../graph/scalar.ts";
import { broadcastShapes } from "../graph/shape.ts";
import { sumTo } from "./broadcast.ts";

/** What an op takes: a node, or a number that serves as a constant. */
export type Value = Node | number;

export const toNode = (x: Value): Node => (typeof x === "number" ? constant(x) : x);

export type Unary = (x: Value) => Node;
export type Binary = (a: Value, b: Value) => Node;
export type Ternary = (a: Value, b: Value, c: Value) => Node;

interface Elementwise<X extends Scalar[]> extends Pick<Op, "explain"> {
  /** y, as an expression of one element of each operand. */
  forward(...x: X): Scalar;
  /** ∂L/∂x for each operand, in the shape of y; undefined where the derivative is zero almost everywhere. */
  backward?(context: BackwardContext<object>): readonly (Node | undefined)[];
  /** A simpler node of the same meaning, if the operands allow one. */
  simplify?(inputs: readonly Node[]): Node | undefined;
}

/**
 * Defines an elementwise op and gives the function that applies it.
 *
 * @example
 * const cube = elementwise("cube", {
 *   forward: (x) => s.mul(x, s.mul(x, x)),
 *   backward: ({ inputs: [x], dy }) => [mul(dy, mul(3, mul(x, x)))],
 *   explain: { forward: "y = x³", derivative: "∂y/∂x = 3x²" }, // if you like: what the explainer says of it
 * });
 */
/* @__NO_SIDE_EFFECTS__ */
export function elementwise<X extends Scalar[]>(
  name: string,
  definition: Elementwise<X>,
): (...x: { [K in keyof X]: Value }) => Node {
  const { forward, backward, simplify, explain } = definition;
  const scalar = forward(...(Array.from({ length: forward.length }, (_, i) => inputScalar(i)) as X));
  const shapeOf = (inputs: readonly Node[]) =>
    broadcastShapes(
      name,
      inputs.map((x) => x.shape),
    );

  const op: Op<object> = defineOp<object>({
    explain,
    name,
    meaning: { kind: "elementwise", scalar: () => scalar },
    shape: (inputs) => ({ shape: shapeOf(inputs), dtype: "float" }),
    backward: backward && ((context) => backward(context).map((dx, i) => dx && sumTo(dx, context.inputs[i].shape))),
    simplify: (inputs) => {
      const values = inputs.map(fillValue);
      if (!values.every((value) => value !== undefined)) return simplify?.(inputs);
      return constant(compileScalar(scalar)(values), shapeOf(inputs));
    },
  });
  return (...x) => applyOp(op, (x as Value[]).map(toNode), {});
}
