/**
 * Shapes and what can be said of them without knowing any op: sizes, broadcasting, axes.
 * Arrays are row-major and dense; a shape is the list of their lengths, outermost first, [] for a scalar.
 */
import { ShapeError } from "../errors.ts";

/** The sizes of an array's axes; `[]` is a single number. */
export type Shape = readonly number[];

/** `[2, 3]`, as messages show it. */
export const showShape = (shape: Shape): string => `[${shape.join(", ")}]`;

export const sizeOf = (shape: Shape): number => shape.reduce((size, length) => size * length, 1);

export const sameShape = (a: Shape, b: Shape): boolean => a.length === b.length && a.every((n, i) => n === b[i]);

/** The steps, in elements, between neighbours along each axis. */
export function stridesOf(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = step;
    step *= shape[axis];
  }
  return strides;
}

/** `shape` with ones put before it until it has `rank` axes. */
export const padShape = (shape: Shape, rank: number): Shape =>
  shape.length >= rank ? shape : [...new Array<number>(rank - shape.length).fill(1), ...shape];

/** The shape that all of these broadcast to, by NumPy's rule: aligned at the last axis, 1 stretches. */
export function broadcastShapes(op: string, shapes: readonly Shape[]): Shape {
  const rank = Math.max(0, ...shapes.map((shape) => shape.length));
  const result = new Array<number>(rank).fill(1);
  for (const shape of shapes) {
    for (const [axis, length] of padShape(shape, rank).entries()) {
      if (length === 1) continue;
      if (result[axis] !== 1 && result[axis] !== length) {
        throw new ShapeError(
          `${op}: shapes ${shapes.map(showShape).join(" and ")} do not broadcast: ` +
            `axis ${axis} has length ${result[axis]} in one and ${length} in another. Give equal lengths, or 1 where one value serves all.`,
        );
      }
      result[axis] = length;
    }
  }
  return result;
}

/** Whether `shape` broadcasts to `target` without changing it. */
export function broadcastsTo(shape: Shape, target: Shape): boolean {
  if (shape.length > target.length) return false;
  return padShape(shape, target.length).every((n, i) => n === 1 || n === target[i]);
}

/** Turns axes counted from either end into sorted ones counted from the front; all of them if none is given. */
export function normalizeAxes(op: string, axes: number | readonly number[] | undefined, rank: number): number[] {
  if (axes === undefined) return Array.from({ length: rank }, (_, i) => i);
  const list = typeof axes === "number" ? [axes] : axes;
  const result = list.map((axis) => {
    const positive = axis < 0 ? axis + rank : axis;
    if (!Number.isInteger(axis) || positive < 0 || positive >= rank) {
      throw new ShapeError(`${op}: axis ${axis} does not exist in an array of ${rank} axes.`);
    }
    return positive;
  });
  return [...new Set(result)].sort((a, b) => a - b);
}
