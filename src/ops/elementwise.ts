/**
 * How to define an elementwise op: one scalar expression, its derivative as graph nodes, its cases. Operands broadcast;
 * the gradients are summed back to the operands' shapes here, so that no op has to think of it.
 */
import { constant, fillValue } from "../graph/leaf.ts";
import type { Node } from "../graph/node.ts";
import { applyOp, type BackwardContext, type Case, defineOp, type Explanation, type Op } from "../graph/op.ts";
import type { Sample } from "../graph/samples.ts";
import { compileScalar, inputScalar, type Scalar } from "../graph/scalar.ts";
import { broadcastShapes, sameShape } from "../graph/shape.ts";
import { sumTo } from "./reduce.ts";

/** What an op takes: a node, or a number that serves as a constant. */
export type Value = Node | number;

export const toNode = (x: Value): Node => (typeof x === "number" ? constant(x) : x);

export type Unary = (x: Value) => Node;
export type Binary = (a: Value, b: Value) => Node;
export type Ternary = (a: Value, b: Value, c: Value) => Node;

interface Elementwise<X extends Scalar[]> {
  /** y, as an expression of one element of each operand. */
  forward(...x: X): Scalar;
  /** ∂L/∂x for each operand, in the shape of y; undefined where the derivative is zero almost everywhere. */
  backward?(context: BackwardContext<object>): readonly (Node | undefined)[];
  /** A simpler node of the same meaning, if the operands allow one. */
  simplify?(inputs: readonly Node[]): Node | undefined;
  explain?: Explanation;
  cases: readonly (readonly Sample[])[];
}

/**
 * Defines an elementwise op and gives the function that applies it.
 *
 * @example
 * const cube = elementwise("cube", {
 *   forward: (x) => s.mul(x, s.mul(x, x)),
 *   backward: ({ inputs: [x], dy }) => [mul(dy, mul(3, mul(x, x)))],
 *   cases: [[uniform(2, 3)]],
 * });
 */
export function elementwise<X extends Scalar[]>(
  name: string,
  definition: Elementwise<X>,
): (...x: { [K in keyof X]: Value }) => Node {
  const arity = definition.forward.length;
  const scalar = definition.forward(...(Array.from({ length: arity }, (_, i) => inputScalar(i)) as X));
  let evaluate: ((...x: number[]) => number) | undefined;
  const { backward } = definition;

  const op: Op<object> = defineOp<object>({
    name,
    meaning: { kind: "elementwise", scalar: () => scalar },
    shape: (inputs) => ({
      shape: broadcastShapes(
        name,
        inputs.map((x) => x.shape),
      ),
      dtype: "float",
    }),
    ...(backward && {
      backward: (context: BackwardContext<object>) =>
        backward(context).map((dx, i) => dx && sumTo(dx, context.inputs[i].shape)),
    }),
    simplify: (inputs) => {
      const values = inputs.map(fillValue);
      if (values.every((value) => value !== undefined)) {
        evaluate ??= compileScalar(scalar, arity);
        return constant(
          evaluate(...values),
          broadcastShapes(
            name,
            inputs.map((x) => x.shape),
          ),
        );
      }
      return definition.simplify?.(inputs);
    },
    explain: definition.explain,
    cases: definition.cases.map((inputs): Case<object> => ({ inputs })),
  });
  return (...x) => applyOp(op, (x as Value[]).map(toNode), {});
}

/** `node` if combining it with `other` would not change its shape: for simplifications such as x · 1 = x. */
export const keepsShape = (node: Node, other: Node): Node | undefined =>
  node.dtype === "float" && sameShape(broadcastShapes("", [node.shape, other.shape]), node.shape) ? node : undefined;
