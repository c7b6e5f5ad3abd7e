/**
 * What users hand over, made ready for the engine: any arrays go in, checked flat typed arrays come out. Every message
 * names the row and the column.
 */

import { check, checkEntries, isObject, show } from "../checks.ts";
import type { NumberArray } from "../data/arrays.ts";
import type { DataStream } from "../data/data-stream.ts";
import { flattenNested } from "../data/nested.ts";
import { DataError, ShapeError } from "../errors.ts";
import { type Shape, showShape, sizeOf } from "../graph/shape.ts";
import type { Loss } from "../nn/losses.ts";
import type { NamedShape } from "../nn/network.ts";

/** Numbers as users have them: flat, or nested with one level per axis. Bytes stay bytes. */
export type Numbers = ArrayLike<number> | readonly Numbers[];

/** Arrays as users have them: one, or one for each input or output by its name. */
export type Arrays = Numbers | NumberArray | Readonly<Record<string, Numbers | NumberArray>>;

/** Inputs and what the network should make of them. */
export interface Data {
  /** Rows of the input shape: nested arrays, or one flat array; `{ image, tags }` where inputs have names. */
  readonly x: Arrays;
  /** One class number per row, or one-hot rows, or target values; `{ label, age }` where outputs have names. */
  readonly y: Arrays;
  /** How much each row counts in the loss, one number ≥ 0 per row; the mean still divides by the number of rows. */
  readonly weights?: ArrayLike<number>;
  /** The names of the classes, as data sets have them; `classWeights` may use them. */
  readonly classes?: readonly string[];
}

/** Data that are read while they are used, as `openStream` of chainrule/data/node gives them. */
export type Stream = Pick<DataStream, "count" | "classes" | "classCounts" | "fingerprint" | "rows" | "split">;

/** Whether data are a stream. */
export const isStream = (data: unknown): data is Stream => isObject(data) && typeof data.rows === "function";

/** Rows alone: arrays, or a data set, whose y is not looked at. */
export type Inputs = Arrays | Pick<Data, "x">;

/** Rows of an input, one after the other. */
export type RowValues = Float32Array | Uint8Array;

/** Rows of one shape. */
export interface Rows {
  readonly values: RowValues;
  readonly count: number;
}

const isByName = (x: unknown): x is Readonly<Record<string, Numbers>> => isObject(x) && !ArrayBuffer.isView(x);

/** The rows in what may be a data set. Where inputs have names, one may be called x. */
export const inputsIn = (given: Inputs, ports: readonly NamedShape[]): Arrays =>
  isByName(given) && "x" in given && (ports[0].name === undefined || isByName(given.x))
    ? (given.x as Arrays)
    : (given as Arrays);

/** One thing for each port, as an object by the ports' names; of one without a name the thing itself. */
export const byPort = <T>(ports: readonly NamedShape[], each: readonly T[]): T | Readonly<Record<string, T>> =>
  ports[0].name === undefined ? each[0] : Object.fromEntries(ports.map(({ name }, i) => [name, each[i]]));

/** The arrays for ports, in their order. */
export function arraysFor(
  ports: readonly NamedShape[],
  given: Arrays,
  what: string,
  of: "input" | "output",
): Numbers[] {
  if (ports[0].name === undefined) {
    if (isByName(given))
      throw new DataError(
        `${what} is ${show(given)}; one array was wanted, since the network has one ${of} without a name.`,
      );
    return [given as Numbers];
  }
  const names = ports.map(({ name }) => name!);
  check(isByName(given), `${what} must be an object with an array for each ${of}, { ${names.join(", ")} }`, given);
  checkEntries(what, of, given, names);
  return names.map((name) => given[name]);
}

/** The number of rows that arrays have, which must all have as many. */
export function commonCount(rows: readonly Rows[], ports: readonly NamedShape[], what: string): number {
  const [{ count }] = rows;
  const other = rows.findIndex((each) => each.count !== count);
  if (other < 0) return count;
  const shown = (i: number): string => `${rows[i].count} rows of ${ports[i].name}`;
  throw new ShapeError(`${what} has ${shown(0)}, but ${shown(other)}; all inputs need as many.`);
}

const isTyped = (x: unknown): x is ArrayLike<number> => ArrayBuffer.isView(x) && !(x instanceof DataView);

/**
 * Rows of the network's input shape. Takes nested arrays, a flat array whose length is a multiple of a row's, or a
 * single row.
 */
export function toRows(x: Numbers, shape: Shape, what: string): Rows {
  const rows = toUncheckedRows(x, shape, what);
  checkFinite(rows.values, sizeOf(shape), what);
  return rows;
}

/** The same, but some number may be NaN or infinite. */
export function toUncheckedRows(x: Numbers, shape: Shape, what: string): Rows {
  const size = sizeOf(shape);
  const values = isTyped(x) ? fromTyped(x) : flattenNested(x, shape, what, Float32Array);
  if (values.length === 0) throw new DataError(`${what} is empty; give at least one row of ${showShape(shape)}.`);
  if (values.length % size !== 0) {
    throw new ShapeError(
      `${what} has ${values.length} numbers, no multiple of the ${size} in a row of shape ${showShape(shape)}. Check the input shape, or the number of columns.`,
    );
  }
  return { values, count: values.length / size };
}

/** As many numbers as a shape has. */
export function toArray(x: Numbers, shape: Shape, what: string): Float32Array | Uint8Array {
  const { values } = toRows(x, shape.slice(1), what);
  const size = sizeOf(shape);
  if (values.length !== size)
    throw new ShapeError(`${what} of shape ${showShape(shape)} has ${size} numbers; ${values.length} came.`);
  return values;
}

function fromTyped(x: ArrayLike<number>): Float32Array | Uint8Array {
  if (x instanceof Float32Array || x instanceof Uint8Array) return x;
  if (x instanceof Uint8ClampedArray) return new Uint8Array(x.buffer, x.byteOffset, x.length);
  return Float32Array.from(x);
}

export function checkFinite(values: Float32Array | Uint8Array, rowSize: number, what: string): void {
  if (values instanceof Uint8Array) return;
  // All bits of the exponent are set in NaN and the infinities alone.
  const bits = new Int32Array(values.buffer, values.byteOffset, values.length);
  let index = 0;
  while (index < bits.length && (bits[index] & 0x7f800000) !== 0x7f800000) index++;
  if (index === bits.length) return;
  const [row, column] = [Math.floor(index / rowSize) + 1, (index % rowSize) + 1];
  // A finite number of double precision may have become infinite.
  const came = Number.isNaN(values[index])
    ? "NaN; give a finite number, or remove the row."
    : `${values[index]}, or beyond 3.4e38, the largest float of 32 bits; give a finite number, take another unit, or remove the row.`;
  throw new DataError(`${what}, row ${row}, column ${column} is ${came}`, { row, column });
}

/** Targets: class numbers, or rows of numbers. */
export type Targets =
  | { readonly kind: "classes"; readonly values: Int32Array }
  | { readonly kind: "values"; readonly values: Float32Array };

/** Targets for a network that gives `outputShape` per sample: class numbers or rows of probabilities, or values. */
export function toTargets(y: Numbers, loss: Loss, outputShape: Shape, count: number, what: string): Targets {
  const { target: wants, name = "The loss", independent = false } = loss;
  const width = sizeOf(outputShape);
  if (Array.isArray(y) && typeof y[0] === "string")
    throw new DataError(`${what} is text; toDataset of chainrule/data turns names into class numbers.`, { row: 1 });
  const isFlat = isTyped(y) || (Array.isArray(y) && typeof y[0] === "number");
  // A network that gives several rows of logits, as one for each place of a sequence, has a class for each.
  const [places, classes] = [sizeOf(outputShape.slice(0, -1)), outputShape[outputShape.length - 1] ?? 1];
  if (wants === "classes" && isFlat && y.length === count * places)
    return { kind: "classes", values: labels(y as ArrayLike<number>, classes, places, what) };
  if (wants === "classes" && places > 1 && depthOf(y) === outputShape.length)
    return {
      kind: "classes",
      values: labels(classRows(y, outputShape.slice(0, -1), count, what), classes, places, what),
    };
  const { values } = toUncheckedRows(y, isFlat ? [] : outputShape, what);
  if (values.length !== count * width) {
    const wanted =
      wants === "classes"
        ? places > 1
          ? `a class for each of ${places} places was wanted, since the network gives ${showShape(outputShape)} for each row. For one class for each row put flatten() before the last layers.`
          : `one class number, or one row of ${width} probabilities, was wanted for each.`
        : `${count * width} were wanted, since the network gives ${showShape(outputShape)} for each.${values.length === count ? " For classes take crossEntropy as the loss, or end the network with dense(1)." : ""}`;
    throw new ShapeError(`${what} has ${values.length} values for ${count} rows; ${wanted}`);
  }
  checkFinite(values, width, what);
  if (wants === "classes") checkProbabilities(values, width, name, what);
  if (independent) checkYesOrNo(values, width, name, what);
  return { kind: "values", values: Float32Array.from(values) };
}

/** How many axes nested arrays have. */
const depthOf = (x: unknown): number => (Array.isArray(x) || isTyped(x) ? 1 + depthOf(x[0]) : 0);

/** The classes of all places of all rows, one after the other. */
function classRows(y: Numbers, shape: Shape, count: number, what: string): ArrayLike<number> {
  const { values } = toUncheckedRows(y, shape, what);
  if (values.length === count * sizeOf(shape)) return values;
  throw new ShapeError(
    `${what} has ${values.length} classes for ${count} rows; ${sizeOf(shape)} were wanted for each, one for each place.`,
  );
}

/** Throws unless every row is the probabilities of all classes: numbers from 0 on that sum to 1. */
function checkProbabilities(values: ArrayLike<number>, width: number, loss: string, what: string): void {
  for (let from = 0; from < values.length; from += width) {
    let [sum, least] = [0, 0];
    for (let i = from; i < from + width; i++) {
      sum += values[i];
      least = Math.min(least, values[i]);
    }
    if (Math.abs(sum - 1) <= 1e-3 && least === 0) continue;
    const row = from / width + 1;
    const came = show(Array.from({ length: Math.min(width, 9) }, (_, i) => values[from + i]));
    throw new DataError(
      `${what}, row ${row} is ${came}; ${loss} takes one class for each row, or probabilities that sum to 1. For rows with several labels at once, or none, take binaryCrossEntropy.`,
      { row },
      { facts: { wanted: "probabilities that sum to 1", came } },
    );
  }
}

/** Throws unless every target is a probability of yes. */
function checkYesOrNo(values: ArrayLike<number>, width: number, loss: string, what: string): void {
  for (let i = 0; i < values.length; i++) {
    if (values[i] >= 0 && values[i] <= 1) continue;
    const row = Math.floor(i / width) + 1;
    throw new DataError(
      `${what}, row ${row} has ${values[i]}; ${loss} takes 0 for no and 1 for yes, or a probability between. ${values[i] === -1 ? "For −1 and 1 take hinge, or write no as 0." : "For class numbers take crossEntropy; for numbers meanSquaredError."}`,
      { row, ...(width > 1 && { column: (i % width) + 1 }) },
      { facts: { wanted: "numbers from 0 to 1", came: values[i] } },
    );
  }
}

/** Throws for the first row whose number does not fit. */
function checkRows(numbers: readonly number[], fits: (x: number) => boolean, what: string, wanted: string): void {
  const row = numbers.findIndex((x) => !fits(x)) + 1;
  if (row > 0) throw new DataError(`${what}, row ${row} is ${numbers[row - 1]}; ${wanted}.`, { row });
}

/** One number ≥ 0 for each row. */
export function toWeights(weights: ArrayLike<number>, count: number, what: string): Float32Array {
  if (weights.length !== count)
    throw new ShapeError(`${what} has ${weights.length} numbers for ${count} rows; one was wanted for each.`);
  checkRows(Array.from(weights), (x) => x >= 0 && Math.fround(x) < Infinity, what, "a number ≥ 0 was wanted");
  if (!Array.from(weights).some((x) => x > 0))
    throw new DataError(
      `${what} are all 0, so no row counts and nothing can be learnt. Give those that count a number above 0.`,
    );
  return Float32Array.from(weights);
}

/** Class numbers; of several places of a row some may be −1, which do not count. */
function labels(y: ArrayLike<number>, classes: number, places: number, what: string): Int32Array {
  const least = places > 1 ? -1 : 0;
  let wrong = 0;
  while (wrong < y.length && Number.isInteger(y[wrong]) && y[wrong] >= least && y[wrong] < classes) wrong++;
  if (wrong === y.length) return new Int32Array(y);
  const [row, column] = [Math.floor(wrong / places) + 1, (wrong % places) + 1];
  const place = places > 1 ? `, place ${column}` : "";
  throw new DataError(
    `${what}, row ${row}${place} is ${y[wrong]}; class numbers from 0 to ${classes - 1} were wanted, since the network has ${classes} outputs${places > 1 ? " for each place; −1 marks one that does not count" : ""}. Count classes from 0, or widen the last layer.`,
    { row, ...(places > 1 && { column }) },
  );
}
