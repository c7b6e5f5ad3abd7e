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
export const stridesOf = (shape: Shape): number[] => shape.map((_, axis) => sizeOf(shape.slice(axis + 1)));

/** `shape` with ones put before it until it has `rank` axes. */
export const padShape = (shape: Shape, rank: number): Shape => [
  ...Array<number>(Math.max(0, rank - shape.length)).fill(1),
  ...shape,
];

/** The shape that all of these broadcast to, by NumPy's rule: aligned at the last axis, 1 stretches. */
export function broadcastShapes(op: string, shapes: readonly Shape[]): Shape {
  const rank = Math.max(0, ...shapes.map((shape) => shape.length));
  const result = new Array<number>(rank).fill(1);
  for (const shape of shapes) {
    for (const [axis, length] of padShape(shape, rank).entries()) {
      if (result[axis] === 1) result[axis] = length;
      else if (length !== 1 && length !== result[axis]) {
        throw new ShapeError(
          `${op}: shapes ${shapes.map(showShape).join(" and ")} do not broadcast: at axis ${axis}, ${result[axis]} meets ${length}. Give equal lengths, or 1 where one value serves all.`,
        );
      }
    }
  }
  return result;
}

/** Whether `shape` broadcasts to `target` without changing it. */
export const broadcastsTo = (shape: Shape, target: Shape): boolean =>
  shape.length <= target.length && padShape(shape, target.length).every((n, i) => n === 1 || n === target[i]);

/** Turns axes counted from either end into sorted ones counted from the front; all of them if none is given. */
export function normalizeAxes(op: string, axes: number | readonly number[] | undefined, rank: number): number[] {
  const all = [...Array(rank).keys()];
  if (axes === undefined) return all;
  const wanted = [axes].flat().map((axis) => {
    const positive = all.at(axis);
    if (positive === undefined || !Number.isInteger(axis))
      throw new ShapeError(`${op}: axis ${axis} does not exist in an array of ${rank} axes.`);
    return positive;
  });
  return all.filter((axis) => wanted.includes(axis));
}

/** Throws for a scalar, where an op or a layer goes along the last axis. */
export function checkAxis(user: string, shape: Shape): void {
  if (shape.length === 0) throw new ShapeError(`${user} needs at least one axis; a single number came.`);
}
