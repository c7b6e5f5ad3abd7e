/** Ops that move elements and compute nothing: transpose, slice, pad, concat. Reshape and broadcastTo: broadcast.ts. */
import { ShapeError } from "../errors.ts";
import { constant, fillValue } from "../graph/leaf.ts";
import type { Node } from "../graph/node.ts";
import { type AboutOps, type AnyArray, applyOp, defineOp, type Op } from "../graph/op.ts";
import { uniform } from "../graph/samples.ts";
import { type Shape, sameShape, showShape, sizeOf, stridesOf } from "../graph/shape.ts";

/** Copies a box of `shape` elements between two arrays, in each of which it begins at 0 and has strides of its own. */
function copyBox(
  shape: Shape,
  from: AnyArray,
  fromStrides: readonly number[],
  to: AnyArray,
  toStrides: readonly number[],
): void {
  const last = shape.length - 1;
  const walk = (axis: number, i: number, j: number): void => {
    const [count, fromStep, toStep] = [shape[axis], fromStrides[axis], toStrides[axis]];
    if (axis < last) for (let k = 0; k < count; k++) walk(axis + 1, i + k * fromStep, j + k * toStep);
    else for (let k = 0; k < count; k++) to[j + k * toStep] = from[i + k * fromStep];
  };
  if (last < 0) to[0] = from[0];
  else walk(0, 0, 0);
}

const offsetOf = (position: readonly number[], strides: readonly number[]): number =>
  position.reduce((sum, p, axis) => sum + p * strides[axis], 0);

const transposeOp = defineOp<{ order: readonly number[] }>({
  name: "transpose",
  meaning: {
    kind: "structural",
    reference: ([x], y, { order }) => {
      const strides = stridesOf(x.shape);
      copyBox(
        y.shape,
        x.data,
        order.map((axis) => strides[axis]),
        y.data,
        stridesOf(y.shape),
      );
    },
  },
  shape: ([x], { order }) => {
    if (
      !sameShape(
        order.toSorted((a, b) => a - b),
        [...x.shape.keys()],
      )
    ) {
      throw new ShapeError(
        `transpose: the order ${showShape(order)} must name each axis of ${showShape(x.shape)} once.`,
      );
    }
    return { shape: order.map((axis) => x.shape[axis]), dtype: x.dtype };
  },
  backward: ({ dy, attributes: { order } }) => [
    transpose(
      dy,
      order.map((_, axis) => order.indexOf(axis)),
    ),
  ],
  simplify: ([x], { order }) => (order.every((axis, i) => axis === i) ? x : undefined),
});

/** The axes of x in another order; reversed when no order is given. */
export const transpose = (x: Node, order: readonly number[] = x.shape.map((_, i) => x.shape.length - 1 - i)): Node =>
  applyOp(transposeOp, [x], { order });

const sliceOp = defineOp<{ start: readonly number[]; size: Shape }>({
  name: "slice",
  meaning: {
    kind: "structural",
    reference: ([x], y, { start }) => {
      const strides = stridesOf(x.shape);
      copyBox(y.shape, x.data.subarray(offsetOf(start, strides)), strides, y.data, stridesOf(y.shape));
    },
  },
  shape: ([x], { start, size }) => {
    const rank = x.shape.length;
    const fits = (n: number, i: number) => n >= 0 && start[i] >= 0 && start[i] + n <= x.shape[i];
    if (start.length !== rank || size.length !== rank || !size.every(fits)) {
      throw new ShapeError(
        `slice: ${showShape(size)} elements from ${showShape(start)} do not lie inside ${showShape(x.shape)}.`,
      );
    }
    return { shape: size, dtype: x.dtype };
  },
  backward: ({ inputs: [x], dy, attributes: { start, size } }) => [
    pad(
      dy,
      start,
      size.map((n, i) => x.shape[i] - start[i] - n),
    ),
  ],
  simplify: ([x], { size }) => (sameShape(size, x.shape) ? x : undefined),
});

const rowsOp = defineOp<{ start: number; count: number }>({
  name: "rows",
  meaning: { kind: "view", offset: ([x], { start }) => start * sizeOf(x.shape.slice(1)) },
  shape: ([x], { count }) => ({ shape: [count, ...x.shape.slice(1)], dtype: x.dtype }),
  backward: ({ inputs: [x], dy, attributes: { start, count } }) => {
    const along = (n: number): number[] => x.shape.map((_, axis) => (axis === 0 ? n : 0));
    return [pad(dy, along(start), along(x.shape[0] - start - count))];
  },
  simplify: ([x], { count }) => {
    const value = fillValue(x);
    return value === undefined ? undefined : constant(value, [count, ...x.shape.slice(1)], x.dtype);
  },
});

/** The box of `size` elements that begins at `start`. Whole rows are not moved: they are where they are. */
export function slice(x: Node, start: readonly number[], size: Shape): Node {
  const box = applyOp(sliceOp, [x], { start, size });
  const isWhole = size.every((n, axis) => axis === 0 || n === x.shape[axis]);
  return box === x || !isWhole || size.length === 0 || x.dtype === "byte"
    ? box
    : applyOp(rowsOp, [x], { start: start[0], count: size[0] });
}

const padOp = defineOp<{ before: readonly number[]; after: readonly number[] }>({
  name: "pad",
  meaning: {
    kind: "structural",
    reference: ([x], y, { before }) => {
      const strides = stridesOf(y.shape);
      copyBox(x.shape, x.data, stridesOf(x.shape), y.data.subarray(offsetOf(before, strides)), strides);
    },
  },
  shape: ([x], { before, after }) => {
    const rank = x.shape.length;
    if (before.length !== rank || after.length !== rank || ![...before, ...after].every((n) => n >= 0)) {
      throw new ShapeError(
        `pad: ${showShape(x.shape)} needs ${rank} lengths ≥ 0 before and after; ${showShape(before)} and ${showShape(after)} came.`,
      );
    }
    return { shape: x.shape.map((n, i) => n + before[i] + after[i]), dtype: x.dtype };
  },
  backward: ({ inputs: [x], dy, attributes: { before } }) => [slice(dy, before, x.shape)],
  simplify: ([x], { before, after }) => ([...before, ...after].every((n) => n === 0) ? x : undefined),
});

/** Puts zeros around x: so many before and after along each axis. */
export const pad = (x: Node, before: readonly number[], after: readonly number[]): Node =>
  applyOp(padOp, [x], { before, after });

/**
 * The sum of two arrays in zeros that lie side by side in them: both in one array in zeros. So the gradients of the parts of
 * an array, such as the steps of a sequence, are put together, and not added up. undefined for other nodes.
 */
export function joinedPads(a: Node, b: Node): Node | undefined {
  if (a.op.name !== "pad" || b.op.name !== "pad") return undefined;
  const [p, q] = [a, b].map(({ attributes }) => attributes as { before: number[]; after: number[] });
  const axes = [...a.shape.keys()].filter((i) => p.before[i] !== q.before[i] || p.after[i] !== q.after[i]);
  const [axis] = axes;
  if (axes.length !== 1 || !sameShape(a.shape, b.shape)) return undefined;
  const [first, second, before, after] = p.before[axis] < q.before[axis] ? [a, b, p, q] : [b, a, q, p];
  if (before.before[axis] + first.inputs[0].shape[axis] !== after.before[axis]) return undefined;
  // One list of parts, and not lists in lists.
  const parts = [first, second].flatMap(({ inputs: [x] }) =>
    x.op === (concatOp as unknown as Op) && x.attributes.axis === axis ? x.inputs : [x],
  );
  return pad(concat(parts, axis), before.before, after.after);
}

/** How long arrays are together along an axis. */
const lengthOf = (arrays: readonly { readonly shape: Shape }[], axis: number): number =>
  arrays.reduce((sum, { shape }) => sum + shape[axis], 0);

const concatOp = defineOp<{ axis: number }>({
  name: "concat",
  meaning: {
    kind: "structural",
    reference: (inputs, y, { axis }) => {
      const strides = stridesOf(y.shape);
      for (const [i, x] of inputs.entries()) {
        const start = lengthOf(inputs.slice(0, i), axis) * strides[axis];
        copyBox(x.shape, x.data, stridesOf(x.shape), y.data.subarray(start), strides);
      }
    },
  },
  shape: (inputs, { axis }) => {
    const [first, ...others] = inputs.map((x) => x.shape);
    const fits = (shape: Shape) => shape.length === first.length && shape.every((n, i) => i === axis || n === first[i]);
    if (!(axis in first) || !others.every(fits)) {
      throw new ShapeError(
        `concat: shapes ${inputs.map((x) => showShape(x.shape)).join(", ")} must agree everywhere but on axis ${axis}.`,
      );
    }
    return {
      shape: first.map((n, i) => (i === axis ? lengthOf(inputs, axis) : n)),
      dtype: inputs[0].dtype,
    };
  },
  backward: ({ inputs, dy, attributes: { axis } }) =>
    inputs.map(({ shape }, k) => {
      const start = shape.map((_, i) => (i === axis ? lengthOf(inputs.slice(0, k), axis) : 0));
      return slice(dy, start, shape);
    }),
});

/** Joins arrays along an axis. */
export const concat = (inputs: readonly Node[], axis: number): Node => applyOp(concatOp, inputs, { axis });

/** What is said of these ops, and what they are tried with: for about.ts, and in no bundle that only computes. */
export default (): AboutOps => ({
  transpose: {
    explain: { forward: "y = x with its axes in another order", derivative: "∂L/∂x = ∂L/∂y with the axes put back" },
    cases: [
      { inputs: [uniform(3, 5)], attributes: { order: [1, 0] } },
      { inputs: [uniform(2, 3, 4)], attributes: { order: [2, 0, 1] } },
    ],
  },
  slice: {
    explain: { forward: "y = a box cut out of x", derivative: "∂L/∂x = ∂L/∂y inside the box, 0 outside" },
    cases: [{ inputs: [uniform(4, 5)], attributes: { start: [1, 2], size: [2, 3] } }],
  },
  rows: {
    explain: { forward: "y = some rows of x", derivative: "∂L/∂x = ∂L/∂y in these rows, 0 in others" },
    cases: [
      { inputs: [uniform(5, 3)], attributes: { start: 1, count: 3 } },
      { inputs: [uniform(4, 2, 3)], attributes: { start: 3, count: 1 } },
    ],
  },
  pad: {
    explain: { forward: "y = x with zeros around it", derivative: "∂L/∂x = ∂L/∂y without the border" },
    cases: [{ inputs: [uniform(2, 3)], attributes: { before: [1, 0], after: [0, 2] } }],
  },
  concat: {
    explain: {
      forward: "y = the inputs one after the other",
      derivative: "∂L/∂xᵢ = the part of ∂L/∂y that came from xᵢ",
    },
    cases: [
      { inputs: [uniform(2, 3), uniform(2, 4)], attributes: { axis: 1 } },
      { inputs: [uniform(2, 3), uniform(1, 3)], attributes: { axis: 0 } },
    ],
  },
});
