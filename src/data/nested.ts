/**
 * Flattens nested arrays of numbers, as programs have them, into one typed array, and checks each row against its shape.
 * What the numbers are (inputs, labels, targets) is for those who ask.
 */
import { check, show } from "../checks.ts";
import { DataError, ShapeError } from "../errors.ts";
import { Growing } from "./growing.ts";

/** Nested plain arrays of numbers, such as rows of features or images as [H][W][C]. */
export type Nested = readonly number[] | readonly Nested[];

/** The lengths of nested arrays, by the first of each level. */
export function nestedShape(x: Nested): number[] {
  const shape: number[] = [];
  for (let level: unknown = x; Array.isArray(level); level = level[0]) shape.push(level.length);
  return shape;
}

type Kind<A> = new (length: number) => A;

const isTyped = (x: unknown): x is ArrayLike<number> => ArrayBuffer.isView(x) && !(x instanceof DataView);

/**
 * The numbers of rows of `shape` in order. A row has one level of arrays per axis, or is flat from some level on; a single
 * flat array is left to the caller to cut. Throws `ShapeError` for an array of another length, `DataError` for what is no
 * number; `what` is the name to use in messages.
 */
export function flattenNested<A extends Float32Array | Float64Array>(
  x: unknown,
  shape: readonly number[],
  what: string,
  kind: Kind<A>,
): A {
  check(Array.isArray(x), `${what} must be an array or a typed array`, x);
  const sizes = shape.map((_, axis) => shape.slice(axis).reduce((product, length) => product * length, 1));
  const numbers = new Growing<A>(kind, x.length * (typeof x[0] === "number" ? 1 : (sizes[0] ?? 1)));
  let row = 1;
  const take = (part: readonly unknown[], axis: number): void => {
    for (let i = 0; i < part.length; i++) {
      if (typeof part[i] === "number") i = numbers.appendNumbers(part, i);
      if (i === part.length) return;
      const item = part[i];
      if (axis < 0) row = i + 1;
      if (!Array.isArray(item) && !isTyped(item)) {
        const column = axis < 0 ? "" : `, column ${i + 1}`;
        throw new DataError(`${what}, row ${row}${column} is ${show(item)}; a number was wanted.`, { row });
      }
      const wanted = shape[axis + 1] ?? item.length;
      if (item.length !== wanted && item.length !== sizes[axis + 1])
        throw new ShapeError(
          `${what}, row ${row} has ${item.length} values; ${wanted} are wanted: its shape is ${show([...shape])}.`,
        );
      if (Array.isArray(item)) take(item, axis + 1);
      else numbers.append(item);
    }
  };
  take(x, -1);
  return numbers.values();
}
