/** How arrays are rearranged by constant numbers: what several operators use. */
import { constant } from "../../../graph/leaf.ts";
import type { Node } from "../../../graph/node.ts";
import { type Shape, sizeOf, stridesOf } from "../../../graph/shape.ts";
import { add, concat, gather, less, mul, pad, reshape, select, slice, toIndex, transpose } from "../../../ops/index.ts";

export const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** Where element number i of an array of some shape stands, along each axis; and which number stands there. */
export const coordinatesOf = (i: number, shape: Shape): number[] => {
  const strides = stridesOf(shape);
  return shape.map((n, axis) => Math.floor(i / strides[axis]) % n);
};
export const placeOf = (coordinates: readonly number[], shape: Shape): number =>
  coordinates.reduce((place, k, axis) => place * shape[axis] + k, 0);

/** Row numbers as a node. */
export const rowNumbers = (numbers: readonly number[], shape: Shape = [numbers.length]): Node =>
  constant(Int32Array.from(numbers), shape, "int");

/** The order of axes that brings `axis` to the front, and its inverse. */
export const toFront = (rank: number, axis: number): number[] => [axis, ...range(rank).filter((i) => i !== axis)];
export const inverse = (order: readonly number[]): number[] => order.map((_, axis) => order.indexOf(axis));

/** The elements of x along an axis that `index`, of type int, names: the axis is replaced by those of the index. */
export function take(x: Node, index: Node, axis: number): Node {
  const rank = x.shape.length;
  const rows = gather(transpose(x, toFront(rank, axis)), index); // [...index, ...others]
  const own = index.shape.length;
  // The axes before `axis` stand after the index's, and go before them.
  const others = range(rank - 1).map((i) => own + i);
  return transpose(rows, [...others.slice(0, axis), ...range(own), ...others.slice(axis)]);
}

/** Whole numbers, negative ones counted from the end, as row numbers of a table of `rows`. */
export const asRows = (numbers: Node, rows: number): Node =>
  toIndex(select(less(numbers, 0), add(numbers, rows), numbers), rows);

/** Every `step`-th element along an axis, `count` of them, from `start` on; backwards where the step is negative. */
export function stride(x: Node, axis: number, start: number, step: number, count: number): Node {
  if (step !== 1) return take(x, rowNumbers(range(count).map((i) => start + i * step)), axis);
  return slice(
    x,
    x.shape.map((_, i) => (i === axis ? start : 0)),
    x.shape.map((n, i) => (i === axis ? count : n)),
  );
}

/** x backwards along an axis. */
export const reversed = (x: Node, axis: number): Node => stride(x, axis, x.shape[axis] - 1, -1, x.shape[axis]);

/** x with an axis at the end, and back. */
export function alongLast(x: Node, axis: number, change: (x: Node) => Node): Node {
  const rank = x.shape.length;
  if (axis === rank - 1) return change(x);
  const order = [...range(rank).filter((i) => i !== axis), axis];
  return transpose(change(transpose(x, order)), inverse(order));
}

/** Elements put around x, all of one value. */
export function padded(x: Node, before: readonly number[], after: readonly number[], value: number): Node {
  if (value === 0) return pad(x, before, after);
  return x.shape.reduce((result, _, axis) => {
    const border = (count: number): Node[] =>
      count === 0
        ? []
        : [
            constant(
              value,
              result.shape.map((n, i) => (i === axis ? count : n)),
            ),
          ];
    const parts = [...border(before[axis]), result, ...border(after[axis])];
    return parts.length === 1 ? result : concat(parts, axis);
  }, x);
}

/** x with its elements moved on along an axis by some places, others of one value before them. */
export function later(x: Node, axis: number, places: number, value: number): Node {
  const at = (n: number): number[] => x.shape.map((_, i) => (i === axis ? n : 0));
  return padded(stride(x, axis, 0, 1, x.shape[axis] - places), at(places), at(0), value);
}

/** What an operation makes of all elements up to each one along an axis, in as many steps as doublings reach its length. */
export function running(x: Node, axis: number, combine: (a: Node, b: Node) => Node, neutral: number): Node {
  let whole = x;
  for (let shift = 1; shift < x.shape[axis]; shift *= 2) whole = combine(whole, later(whole, axis, shift, neutral));
  return whole;
}

/** The product along an axis, halves against halves. */
export function productAlong(x: Node, axis: number): Node {
  const length = x.shape[axis];
  if (length === 0)
    return constant(
      1,
      x.shape.map((n, i) => (i === axis ? 1 : n)),
    );
  if (length === 1) return x;
  const half = Math.floor(length / 2);
  const product = mul(stride(x, axis, 0, 1, half), stride(x, axis, half, 1, half));
  if (length % 2 === 0) return productAlong(product, axis);
  return mul(productAlong(product, axis), stride(x, axis, length - 1, 1, 1));
}

/** Elements of x by their places in the whole of it. */
export const pick = (x: Node, places: Node): Node => gather(reshape(x, [sizeOf(x.shape)]), places);
