/**
 * Reductions. The op itself reduces a run of neighbouring axes, which covers rows, columns and whole arrays with one
 * kernel each; `sum` and its like take any axes and put the runs together.
 */
import { constant, fillValue } from "../graph/leaf.ts";
import type { Node } from "../graph/node.ts";
import { type AboutOps, applyOp, checkNode, defineOp, type Op } from "../graph/op.ts";
import { uniform } from "../graph/samples.ts";
import { normalizeAxes, padShape, type Shape, sameShape, sizeOf } from "../graph/shape.ts";
import { div, equal, mul } from "./arithmetic.ts";
import { broadcastTo, reshape } from "./shape.ts";

/** The axes from `from` up to, not including, `to` are reduced. */
type Run = { readonly from: number; readonly to: number };

/** The operand seen as [outer, reduced, inner]. */
const view = (shape: Shape, { from, to }: Run) => ({
  outer: sizeOf(shape.slice(0, from)),
  reduced: sizeOf(shape.slice(from, to)),
  inner: sizeOf(shape.slice(to)),
});

const withoutRun = (shape: Shape, { from, to }: Run): Shape => [...shape.slice(0, from), ...shape.slice(to)];

/* @__NO_SIDE_EFFECTS__ */
const reduceOp = (
  name: string,
  start: number,
  combine: (a: number, b: number) => number,
  rest: Pick<Op<Run>, "backward" | "simplify">,
): Op<Run> =>
  defineOp<Run>({
    name,
    meaning: {
      kind: "structural",
      reference: ([x], y, run) => {
        const { outer, reduced, inner } = view(x.shape, run);
        for (let o = 0; o < outer; o++) {
          for (let i = 0; i < inner; i++) {
            let value = start;
            for (let r = 0; r < reduced; r++) value = combine(value, x.data[(o * reduced + r) * inner + i]);
            y.data[o * inner + i] = value;
          }
        }
      },
      reduces: ([x], run) => view(x.shape, run),
      flops: ([x]) => sizeOf(x.shape),
    },
    shape: ([x], run) => ({ shape: withoutRun(x.shape, run), dtype: "float" }),
    ...rest,
  });

/** dy put back to the operand's rank, one along the reduced axes, ready to broadcast. */
const spread = (dy: Node, { shape }: Node, { from, to }: Run): Node =>
  reshape(dy, [...shape.slice(0, from), ...new Array<number>(to - from).fill(1), ...shape.slice(to)]);

const sumOp = reduceOp("sum", 0, (a, b) => a + b, {
  backward: ({ inputs: [x], dy, attributes }) => [broadcastTo(spread(dy, x, attributes), x.shape)],
  simplify: ([x], run) => {
    const value = fillValue(x);
    return value === undefined ? undefined : constant(value * view(x.shape, run).reduced, withoutRun(x.shape, run));
  },
});

/** Where several elements are the largest, they share the gradient. */
const maxOp = reduceOp("max", Number.NEGATIVE_INFINITY, Math.max, {
  backward: ({ inputs: [x], y, dy, attributes: run }) => {
    const largest = equal(x, spread(y, x, run));
    const count = spread(applyOp(sumOp, [largest], run), x, run);
    return [mul(spread(dy, x, run), div(largest, count))];
  },
});

/** A reduction along any axes: one run of neighbours after the other, last first. */
const along =
  (op: Op<Run>) =>
  (x: Node, axes?: number | readonly number[], keepDims = false): Node => {
    checkNode(`An operand of ${op.name}`, x);
    const list = normalizeAxes(op.name, axes, x.shape.length);
    let result = x;
    for (let end = list.length; end > 0; ) {
      let begin = end - 1;
      while (begin > 0 && list[begin - 1] === list[begin] - 1) begin--;
      result = applyOp(op, [result], { from: list[begin], to: list[end - 1] + 1 });
      end = begin;
    }
    if (!keepDims) return result;
    return reshape(
      result,
      x.shape.map((n, axis) => (list.includes(axis) ? 1 : n)),
    );
  };

/** The sum along some axes, or of everything. */
export const sum = along(sumOp);

/** The largest along some axes, or of all. */
export const max = along(maxOp);

/** The mean along some axes, or of everything. */
export function mean(x: Node, axes?: number | readonly number[], keepDims = false): Node {
  checkNode("An operand of mean", x);
  const total = sum(x, axes, keepDims);
  return mul(total, sizeOf(total.shape) / sizeOf(x.shape));
}

/** Sums x down to `shape`, which must broadcast to x's: the backward of broadcasting. */
export function sumTo(x: Node, shape: Shape): Node {
  if (sameShape(x.shape, shape)) return x;
  const padded = padShape(shape, x.shape.length);
  const axes = [...x.shape.keys()].filter((axis) => padded[axis] === 1 && x.shape[axis] !== 1);
  return reshape(axes.length > 0 ? sum(x, axes) : x, shape);
}

/** What is said of these ops, and what they are tried with: for about.ts, and in no bundle that only computes. */
export default (): AboutOps => {
  const cases = [
    { inputs: [uniform(3, 5)], attributes: { from: 0, to: 1 } },
    { inputs: [uniform(3, 5)], attributes: { from: 1, to: 2 } },
    { inputs: [uniform(3, 5)], attributes: { from: 0, to: 2 } },
    { inputs: [uniform(2, 3, 4)], attributes: { from: 1, to: 2 } },
    { inputs: [uniform(33, 21)], attributes: { from: 0, to: 1 } },
    { inputs: [uniform(19, 37)], attributes: { from: 1, to: 2 } },
  ];
  return {
    sum: { explain: { forward: "y = Σ xᵢ", derivative: "∂y/∂xᵢ = 1" }, cases },
    max: { explain: { forward: "y = max xᵢ", derivative: "∂y/∂xᵢ = [xᵢ = y]" }, cases },
  };
};
