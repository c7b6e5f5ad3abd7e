/**
 * Reshape, broadcastTo and sum: what elementwise ops rest on, since a broadcast operand's gradient is a sum. The
 * derivative of each is another of the three, so they stand together; so does what makes a reduction.
 */
import { ShapeError } from "../errors.ts";
import { constant, fillValue } from "../graph/leaf.ts";
import type { Node } from "../graph/node.ts";
import { type AboutOps, applyOp, checkNode, defineOp, type Op } from "../graph/op.ts";
import { uniform } from "../graph/samples.ts";
import { broadcastsTo, normalizeAxes, padShape, type Shape, sameShape, showShape, sizeOf } from "../graph/shape.ts";

const reshapeOp = defineOp<{ shape: Shape }>({
  name: "reshape",
  meaning: { kind: "view" },
  shape: ([x], { shape }) => {
    if (sizeOf(shape) !== sizeOf(x.shape) || !shape.every(Number.isInteger)) {
      throw new ShapeError(
        `reshape: ${showShape(x.shape)} has ${sizeOf(x.shape)} elements, which do not fill ${showShape(shape)}.`,
      );
    }
    return { shape, dtype: x.dtype };
  },
  backward: ({ inputs: [x], dy }) => [reshape(dy, x.shape)],
  simplify: ([x], { shape }) => {
    const value = fillValue(x);
    if (value !== undefined) return constant(value, shape, x.dtype);
    return sameShape(x.shape, shape) ? x : undefined;
  },
});

/** The same elements in the same order under another shape; one length may be −1 and follows from the others. */
export function reshape(x: Node, shape: Shape): Node {
  const known = shape.reduce((size, n) => (n === -1 ? size : size * n), 1);
  return applyOp(reshapeOp, [x], { shape: shape.map((n) => (n === -1 ? sizeOf(x.shape) / known : n)) });
}

const broadcastToOp = defineOp<{ shape: Shape }>({
  name: "broadcastTo",
  meaning: { kind: "elementwise", scalar: (_, x) => x },
  shape: ([x], { shape }) => {
    if (!broadcastsTo(x.shape, shape)) {
      throw new ShapeError(`broadcastTo: ${showShape(x.shape)} does not broadcast to ${showShape(shape)}.`);
    }
    return { shape, dtype: "float" };
  },
  backward: ({ inputs: [x], dy }) => [sumTo(dy, x.shape)],
  simplify: ([x], { shape }) => {
    const value = fillValue(x);
    if (value !== undefined) return constant(value, shape);
    return sameShape(x.shape, shape) && x.dtype === "float" ? x : undefined;
  },
});

/** Repeats x along new axes and along axes of length 1. */
export const broadcastTo = (x: Node, shape: Shape): Node => applyOp(broadcastToOp, [x], { shape });

/** The axes from `from` up to, not including, `to` are reduced. */
export type Run = { readonly from: number; readonly to: number };

/** The operand seen as [outer, reduced, inner]. */
const view = (shape: Shape, { from, to }: Run) => ({
  outer: sizeOf(shape.slice(0, from)),
  reduced: sizeOf(shape.slice(from, to)),
  inner: sizeOf(shape.slice(to)),
});

const withoutRun = (shape: Shape, { from, to }: Run): Shape => [...shape.slice(0, from), ...shape.slice(to)];

/* @__NO_SIDE_EFFECTS__ */
/** A reduction of a run of neighbouring axes, which covers rows, columns and whole arrays with one kernel each. */
export const reduceOp = (
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
export const spread = (dy: Node, { shape }: Node, { from, to }: Run): Node =>
  reshape(dy, [...shape.slice(0, from), ...new Array<number>(to - from).fill(1), ...shape.slice(to)]);

export const sumOp = reduceOp("sum", 0, (a, b) => a + b, {
  backward: ({ inputs: [x], dy, attributes }) => [broadcastTo(spread(dy, x, attributes), x.shape)],
  simplify: ([x], run) => {
    const value = fillValue(x);
    return value === undefined ? undefined : constant(value * view(x.shape, run).reduced, withoutRun(x.shape, run));
  },
});

/** A reduction along any axes: one run of neighbours after the other, last first. */
export const along =
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

/** Sums x down to `shape`, which must broadcast to x's: the backward of broadcasting. */
export function sumTo(x: Node, shape: Shape): Node {
  if (sameShape(x.shape, shape)) return x;
  const padded = padShape(shape, x.shape.length);
  const axes = [...x.shape.keys()].filter((axis) => padded[axis] === 1 && x.shape[axis] !== 1);
  return reshape(axes.length > 0 ? sum(x, axes) : x, shape);
}

/** What the cases of reductions are: rows, columns, all, the middle, and sizes that fill no vector. */
export const reductionCases = () => [
  { inputs: [uniform(3, 5)], attributes: { from: 0, to: 1 } },
  { inputs: [uniform(3, 5)], attributes: { from: 1, to: 2 } },
  { inputs: [uniform(3, 5)], attributes: { from: 0, to: 2 } },
  { inputs: [uniform(2, 3, 4)], attributes: { from: 1, to: 2 } },
  { inputs: [uniform(33, 21)], attributes: { from: 0, to: 1 } },
  { inputs: [uniform(19, 37)], attributes: { from: 1, to: 2 } },
];

/** What is said of these ops, and what they are tried with: for about.ts, and in no bundle that only computes. */
export default (): AboutOps => ({
  reshape: {
    explain: { forward: "y = x under another shape", derivative: "∂y/∂x = 1, under the old shape" },
    cases: [{ inputs: [uniform(2, 6)], attributes: { shape: [3, 4] } }],
  },
  broadcastTo: {
    explain: { forward: "y = x, repeated along the new axes", derivative: "∂L/∂x = Σ ∂L/∂y over the repeats" },
    cases: [
      { inputs: [uniform(3, 1)], attributes: { shape: [3, 5] } },
      { inputs: [uniform(4)], attributes: { shape: [2, 3, 4] } },
    ],
  },
  sum: { explain: { forward: "y = Σ xᵢ", derivative: "∂y/∂xᵢ = 1" }, cases: reductionCases() },
});
