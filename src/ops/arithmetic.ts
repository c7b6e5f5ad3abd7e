/** Arithmetic and comparison, element by element. Comparisons give 1 where they hold and 0 elsewhere. */
import { fillValue } from "../graph/leaf.ts";
import type { Node } from "../graph/node.ts";
import type { AboutOps, BackwardContext } from "../graph/op.ts";
import { nonzero, positive, uniform } from "../graph/samples.ts";
import { s } from "../graph/scalar.ts";
import { broadcastsTo } from "../graph/shape.ts";
import { type Binary, elementwise, type Ternary, type Unary } from "./elementwise.ts";
import { joinedPads } from "./shape.ts";

/** Gives `x` back where the other operand, `by`, is a number that changes nothing, and no shape either: x + 0, x · 1. */
const unchanged = (x: Node, by: Node, neutral: number): Node | undefined =>
  fillValue(by) === neutral && x.dtype === "float" && broadcastsTo(by.shape, x.shape) ? x : undefined;

/** a + b, element by element; shapes are broadcast as in NumPy. */
export const add = elementwise("add", {
  forward: (a, b) => s.add(a, b),
  backward: ({ dy }) => [dy, dy],
  simplify: ([a, b]) => unchanged(b, a, 0) ?? unchanged(a, b, 0) ?? joinedPads(a, b),
});

/** a − b, element by element; shapes are broadcast. */
export const sub = elementwise("sub", {
  forward: (a, b) => s.sub(a, b),
  backward: ({ dy }) => [dy, neg(dy)],
  simplify: ([a, b]) => unchanged(a, b, 0),
});

/** a · b, element by element; shapes are broadcast. The matrix product is `matmul`. */
export const mul: Binary = elementwise("mul", {
  forward: (a, b) => s.mul(a, b),
  backward: ({ inputs: [a, b], dy }) => [mul(dy, b), mul(dy, a)],
  simplify: ([a, b]) => unchanged(b, a, 1) ?? unchanged(a, b, 1),
});

/** a / b, element by element; shapes are broadcast. Division by 0 gives ±∞ or NaN, as in IEEE 754. */
export const div: Binary = elementwise("div", {
  forward: (a, b) => s.div(a, b),
  backward: ({ inputs: [, b], y, dy }) => [div(dy, b), neg(mul(dy, div(y, b)))],
  simplify: ([a, b]) => unchanged(a, b, 1),
});

/** −x. */
export const neg: Unary = elementwise("neg", {
  forward: (x) => s.neg(x),
  backward: ({ dy }) => [neg(dy)],
});

/** |x|; its derivative at 0 is 0. */
export const abs = elementwise("abs", {
  forward: (x) => s.abs(x),
  backward: ({ inputs: [x], dy }) => [mul(dy, sub(greater(x, 0), less(x, 0)))],
});

/** √x; NaN below 0. */
export const sqrt = elementwise("sqrt", {
  forward: (x) => s.sqrt(x),
  backward: ({ y, dy }) => [div(mul(dy, 0.5), y)],
});

/** ∂L/∂a and ∂L/∂b of that one of a and b which `beats` the other: all for the winner, half for each of two equal ones. */
const shared = ({ inputs: [a, b], dy }: BackwardContext<object>, beats: Binary): Node[] => {
  const half = mul(0.5, equal(a, b));
  return [mul(dy, add(beats(a, b), half)), mul(dy, add(beats(b, a), half))];
};

/** The larger of two; where they are equal each gets half of the gradient. */
export const maximum = elementwise("maximum", {
  forward: (a, b) => s.max(a, b),
  backward: (context) => shared(context, greater),
});

/** The smaller of two; where they are equal each gets half of the gradient. */
export const minimum = elementwise("minimum", {
  forward: (a, b) => s.min(a, b),
  backward: (context) => shared(context, less),
});

/** 1 where a < b, else 0; has no gradient. */
export const less = elementwise("less", {
  forward: (a, b) => s.select(s.lt(a, b), 1, 0),
});

/** 1 where a > b, else 0; has no gradient. */
export const greater = elementwise("greater", {
  forward: (a, b) => s.select(s.lt(b, a), 1, 0),
});

/** 1 where a = b, else 0; has no gradient. */
export const equal = elementwise("equal", {
  forward: (a, b) => s.select(s.eq(a, b), 1, 0),
});

/** `a` where `condition` is not 0, else `b`. Unlike a product with 0 it lets no NaN or infinity through. */
export const select: Ternary = elementwise("select", {
  forward: (condition, a, b) => s.select(s.eq(condition, 0), b, a),
  backward: ({ inputs: [condition], dy }) => [undefined, select(condition, dy, 0), select(condition, 0, dy)],
});

/** x, and no gradient for it. */
export const stopGradient: Unary = elementwise("stopGradient", { forward: (x) => x });

/** What is said of these ops, and what they are tried with: for about.ts, and in no bundle that only computes. */
export default (): AboutOps => ({
  add: {
    explain: { forward: "y = a + b", derivative: "∂y/∂a = 1, ∂y/∂b = 1" },
    cases: [
      [uniform(2, 3), uniform(2, 3)],
      [uniform(4, 5), uniform(5)],
      [uniform(3, 1), uniform(1, 6)],
      [uniform(2, 3, 4), uniform(3, 1)],
      [uniform(), uniform(7)],
    ],
  },
  sub: {
    explain: { forward: "y = a − b", derivative: "∂y/∂a = 1, ∂y/∂b = −1" },
    cases: [
      [uniform(2, 3), uniform(2, 3)],
      [uniform(4, 5), uniform(5)],
    ],
  },
  mul: {
    explain: { forward: "y = a · b", derivative: "∂y/∂a = b, ∂y/∂b = a" },
    cases: [
      [uniform(2, 3), uniform(2, 3)],
      [uniform(2, 3), uniform(2, 1)],
      [uniform(), uniform(5)],
    ],
  },
  div: {
    explain: { forward: "y = a / b", derivative: "∂y/∂a = 1/b, ∂y/∂b = −y/b" },
    cases: [
      [uniform(2, 3), nonzero(2, 3)],
      [uniform(4, 5), positive(5)],
    ],
  },
  neg: {
    explain: { forward: "y = −x", derivative: "∂y/∂x = −1" },
    cases: [[uniform(2, 3)]],
  },
  abs: {
    explain: { forward: "y = |x|", derivative: "∂y/∂x = sign x" },
    cases: [[nonzero(2, 3)]],
  },
  sqrt: {
    explain: { forward: "y = √x", derivative: "∂y/∂x = 1 / (2y)" },
    cases: [[positive(2, 3)]],
  },
  maximum: {
    explain: { forward: "y = max(a, b)", derivative: "∂y/∂a = [a > b], ∂y/∂b = [b > a]" },
    cases: [
      [uniform(4, 5), uniform(4, 5)],
      [uniform(4, 5), uniform(5)],
    ],
  },
  minimum: {
    explain: { forward: "y = min(a, b)", derivative: "∂y/∂a = [a < b], ∂y/∂b = [b < a]" },
    cases: [[uniform(4, 5), uniform(4, 5)]],
  },
  less: {
    explain: { forward: "y = [a < b]", derivative: "0" },
    cases: [[uniform(2, 3), uniform(2, 3)]],
  },
  greater: {
    explain: { forward: "y = [a > b]", derivative: "0" },
    cases: [[uniform(2, 3), uniform(2, 3)]],
  },
  equal: {
    explain: { forward: "y = [a = b]", derivative: "0" },
    cases: [[uniform(2, 3), uniform(2, 3)]],
  },
  select: {
    explain: { forward: "y = a where c ≠ 0, else b", derivative: "∂y/∂a = [c ≠ 0], ∂y/∂b = [c = 0]" },
    cases: [
      [uniform(2, 3), uniform(2, 3), uniform(2, 3)],
      [uniform(2, 1), uniform(3), uniform()],
    ],
  },
  stopGradient: {
    explain: { forward: "y = x", derivative: "0: no gradient goes on from here" },
    cases: [[uniform(2, 3)]],
  },
});
