/** Places of elements in arrays: a list of indices, the flat number, and what broadcasting makes of them. */
import { padShape, type Shape, stridesOf } from "../graph/shape.ts";

/** [17, 4] → the element's number, row by row. */
export const flatOf = (shape: Shape, index: readonly number[]): number =>
  stridesOf(shape).reduce((sum, stride, axis) => sum + stride * index[axis], 0);

/** The element's number → [17, 4]. */
export const indexOf = (shape: Shape, flat: number): number[] => {
  const strides = stridesOf(shape);
  return shape.map((n, axis) => Math.floor(flat / strides[axis]) % n);
};

/** The element of an array of `shape` that stands at `flat` of `target` once it is broadcast there. */
export function broadcastPlace(shape: Shape, target: Shape, flat: number): number {
  const padded = padShape(shape, target.length);
  const index = indexOf(target, flat);
  return flatOf(
    padded,
    padded.map((n, axis) => (n === 1 ? 0 : index[axis])),
  );
}
