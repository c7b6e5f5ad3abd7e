/**
 * A data set: flat features, labels or targets, and what they mean. Every reader of this folder makes one, and `fit`
 * takes one. Here too: checking it, splitting it, taking rows of it, its statistics. It is plain data without methods
 * and it knows no file format.
 */
import { ArgumentError, DataError } from "../errors.ts";
import { RandomStream } from "../random.ts";
import type { NumberArray } from "./arrays.ts";
import { checkInteger, dataError, list, show } from "./fail.ts";
import type { TableSchema } from "./schema.ts";

/** What a network is to learn from the data. */
export type Task = "classification" | "regression";

/** Rows of features with a label or targets each. */
export interface Dataset {
  /** Features, `count` rows of `inputShape`, flat, last axis fastest. Pixels stay `Uint8Array`. */
  readonly x: NumberArray;
  /** Classification: one label per row, `Int32Array`. Regression: one or more targets per row, `Float32Array`. */
  readonly y: Int32Array | Float32Array;
  /** Number of rows. */
  readonly count: number;
  /** Shape of one row: `[28, 28, 1]` for a grey image, `[F]` for a table. */
  readonly inputShape: number[];
  readonly task: Task;
  /** Names of the classes; label 0 is the first. */
  readonly classes?: string[];
  /** Names of the features of a table, one-hot columns as `species=setosa`. */
  readonly features?: string[];
  /** How the columns of a table became features. */
  readonly schema?: TableSchema;
}

/** The number of elements of one row. */
export function rowSize(inputShape: readonly number[]): number {
  return inputShape.reduce((product, length) => product * length, 1);
}

/**
 * Checks that a data set holds together: lengths that agree, labels that are in range, no NaN or infinity.
 *
 * Throws `DataError` that names row (from 1) and column; `file` is the name to use in the message.
 *
 * @example
 * import { checkDataset, xor } from "chainrule/data";
 * checkDataset(xor()); // passes
 */
export function checkDataset(dataset: Dataset, file?: string): void {
  const at = file === undefined ? {} : { file };
  const { x, y, count, inputShape, task, classes } = dataset;
  if (!inputShape.every((length) => Number.isInteger(length) && length > 0))
    throw dataError(`inputShape is ${show(inputShape)}; give whole numbers above 0, such as [28, 28, 1].`, at);
  const size = rowSize(inputShape);
  if (count === 0) throw dataError("the data set has no rows; there is nothing to learn from.", at);
  if (x.length !== count * size)
    throw dataError(
      `x has ${x.length} numbers, but ${count} rows of shape ${show(inputShape)} take ${count * size}; make them agree.`,
      at,
    );
  if (x instanceof Float32Array || x instanceof Float64Array) checkFinite(x, size, "x", featureName(dataset), at);

  if (task === "regression") {
    if (!(y instanceof Float32Array) || y.length === 0 || y.length % count !== 0)
      throw dataError(
        `y has ${y.length} numbers for ${count} rows; give the same number of targets for every row.`,
        at,
      );
    const width = y.length / count;
    checkFinite(y, width, "y", (i) => (width === 1 ? "the target" : `target ${i + 1}`), at);
    return;
  }
  if (!(y instanceof Int32Array) || y.length !== count)
    throw dataError(`y has ${y.length} labels for ${count} rows; give one whole number per row (Int32Array).`, at);
  const limit = classes?.length ?? Number.POSITIVE_INFINITY;
  for (let row = 0; row < count; row++)
    if (y[row] < 0 || y[row] >= limit)
      throw dataError(
        `the label is ${y[row]}; labels go from 0${classes ? ` to ${limit - 1}, as there are ${limit} classes` : ""}. Correct it, or remove the row.`,
        { ...at, row: row + 1 },
      );
}

function checkFinite(
  values: NumberArray,
  width: number,
  what: string,
  columnName: (i: number) => string,
  at: { file?: string },
): void {
  for (let i = 0; i < values.length; i++)
    if (!Number.isFinite(values[i]))
      throw dataError(`${what} is ${values[i]} there; give a finite number, or remove the row.`, {
        ...at,
        row: Math.floor(i / width) + 1,
        column: columnName(i % width),
      });
}

function featureName(dataset: Dataset): (i: number) => string {
  return (i) => {
    if (dataset.features) return dataset.features[i];
    if (dataset.inputShape.length === 1) return String(i + 1);
    const [, width, channels] = [...dataset.inputShape, 1, 1];
    return `pixel (${Math.floor(i / (width * channels))}, ${Math.floor(i / channels) % width})`;
  };
}

/**
 * The rows of `dataset` at `indices` (from 0), in that order, as a data set of its own.
 *
 * Throws `ArgumentError` for an index that is out of range.
 *
 * @example
 * import { take, xor } from "chainrule/data";
 * console.log(take(xor(), [3, 0]).y); // Int32Array(2) [ 0, 0 ]
 */
export function take(dataset: Dataset, indices: ArrayLike<number>): Dataset {
  const size = rowSize(dataset.inputShape);
  const width = dataset.y.length / dataset.count;
  const x = blank(dataset.x, indices.length * size);
  const y = blank(dataset.y, indices.length * width);
  for (let row = 0; row < indices.length; row++) {
    const from = indices[row];
    checkInteger("The index of a row", from, 0, dataset.count - 1);
    x.set(dataset.x.subarray(from * size, (from + 1) * size), row * size);
    y.set(dataset.y.subarray(from * width, (from + 1) * width), row * width);
  }
  return { ...dataset, x, y, count: indices.length };
}

/** An array of the same kind, of another length. */
function blank<A extends NumberArray>(like: A, length: number): A {
  return new (like.constructor as new (length: number) => A)(length);
}

/** Options of `split`. */
export interface SplitOptions {
  /** Decides which rows go where; the same seed gives the same split. */
  readonly seed?: number;
  /** Keeps the share of every class in every part (classification only). Default true. */
  readonly stratify?: boolean;
}

/**
 * Splits a data set at random into parts of the given fractions, e.g. `[0.8, 0.2]` for training and validation.
 * Each part keeps the order of the rows. Fractions that sum to less than 1 leave rows out.
 *
 * Throws `ArgumentError` for fractions that make no sense, `DataError` when a part would be empty.
 *
 * @example
 * import { iris, split } from "chainrule/data";
 * const [train, validation] = split(iris(), [0.8, 0.2], { seed: 7 });
 * console.log(train.count, validation.count); // 120 30
 */
export function split(dataset: Dataset, fractions: readonly number[], options: SplitOptions = {}): Dataset[] {
  const { seed = 0, stratify = true } = options;
  const sum = fractions.reduce((total, fraction) => total + fraction, 0);
  if (fractions.length === 0 || !fractions.every((fraction) => fraction > 0) || sum > 1 + 1e-9)
    throw new ArgumentError(`The fractions are ${show([...fractions])}; give numbers above 0 that sum to at most 1.`);

  let order = [...new RandomStream(seed, "split").permutation(dataset.count)];
  if (stratify && dataset.task === "classification") order = order.sort((a, b) => dataset.y[a] - dataset.y[b]);

  // Row by row, the part that is furthest behind its share takes it. Rows of one class stand together, so this keeps
  // the shares of each class as well as of the whole. The last share is of the rows left out.
  const shares = [...fractions, Math.max(0, 1 - sum)];
  const parts: number[][] = shares.map(() => []);
  order.forEach((row, i) => {
    const behind = shares.map((share, k) => share * (i + 1) - parts[k].length);
    parts[behind.indexOf(Math.max(...behind))].push(row);
  });
  return parts.slice(0, fractions.length).map((rows, k) => {
    if (rows.length === 0)
      throw new DataError(
        `A part of ${fractions[k]} of ${dataset.count} rows would be empty; give more rows, or a larger fraction.`,
      );
    return take(
      dataset,
      rows.sort((a, b) => a - b),
    );
  });
}

/** Mean and standard deviation of each feature of a row. */
export interface Statistics {
  readonly mean: Float32Array;
  readonly std: Float32Array;
}

/**
 * Mean and (population) standard deviation of every feature, over the rows: what a `normalize` layer keeps.
 * Columns of zeros and ones made from categories and booleans are left as they are (mean 0, std 1); a constant
 * feature gets std 1.
 *
 * @example
 * import { iris, statistics } from "chainrule/data";
 * console.log(statistics(iris()).mean[0].toFixed(4)); // 5.8433
 */
export function statistics(dataset: Dataset): Statistics {
  const size = rowSize(dataset.inputShape);
  const { x, count } = dataset;
  const sum = new Float64Array(size);
  for (let i = 0; i < x.length; i++) sum[i % size] += x[i];
  const mean = sum.map((total) => total / Math.max(count, 1));
  const squares = new Float64Array(size);
  const constant = new Array<boolean>(size).fill(true);
  for (let i = 0; i < x.length; i++) {
    squares[i % size] += (x[i] - mean[i % size]) ** 2;
    if (x[i] !== x[i % size]) constant[i % size] = false;
  }
  const std = squares.map((total, i) => (constant[i] ? 1 : Math.sqrt(total / count)));
  for (const i of indicatorFeatures(dataset.schema)) {
    mean[i] = 0;
    std[i] = 1;
  }
  return { mean: Float32Array.from(mean), std: Float32Array.from(std) };
}

/** The features that are 0 or 1 because a column holds categories or booleans. */
function indicatorFeatures(schema: TableSchema | undefined): number[] {
  const indices: number[] = [];
  let next = 0;
  for (const column of schema?.columns ?? []) {
    const width = column.kind === "categorical" ? column.categories.length : 1;
    if (column.kind === "categorical" || column.kind === "boolean")
      for (let i = 0; i < width; i++) indices.push(next + i);
    next += width;
  }
  return indices;
}

/** Nested plain arrays of numbers, such as rows of features or images as [H][W][C]. */
export type Nested = readonly number[] | readonly Nested[];

/** What `toDataset` takes. */
export interface PlainData {
  /** Features: nested arrays, one per row; or flat, with `inputShape`. */
  readonly x: Nested | NumberArray;
  /** Whole-number labels, class names, or targets (one number or one array per row). */
  readonly y: readonly number[] | readonly string[] | readonly (readonly number[])[] | NumberArray;
  /** Shape of one row; found from nested arrays, wanted for flat ones. */
  readonly inputShape?: readonly number[];
  /** Default: classification for whole numbers from 0 and for names, regression otherwise. */
  readonly task?: Task;
  readonly classes?: readonly string[];
  readonly features?: readonly string[];
}

/**
 * A checked data set from plain or typed arrays.
 *
 * Whole-number labels are classes unless `task` says "regression". A `Uint8Array` stays one.
 * Throws `DataError` for ragged rows, lengths that do not agree, labels out of range, NaN and infinity.
 *
 * @example
 * import { toDataset } from "chainrule/data";
 * const data = toDataset({ x: [[0, 1], [2, 3]], y: ["no", "yes"] });
 * console.log(data.classes, data.y); // [ 'no', 'yes' ] Int32Array(2) [ 0, 1 ]
 */
export function toDataset(data: PlainData): Dataset {
  const nested =
    Array.isArray(data.x) && typeof data.x[0] === "object" ? measure(data.x as readonly Nested[]) : undefined;
  const inputShape = [...(data.inputShape ?? nested?.slice(1) ?? [1])];
  const x =
    nested === undefined ? flatNumbers(data.x as ArrayLike<number>) : flatten(data.x as readonly Nested[], nested);
  const count = nested?.[0] ?? Math.floor(x.length / rowSize(inputShape));
  const dataset: Dataset = {
    x,
    count,
    inputShape,
    ...targets(data),
    ...(data.features ? { features: [...data.features] } : {}),
  };
  if (data.features && data.features.length !== rowSize(inputShape))
    throw new DataError(
      `There are ${data.features.length} names of features for ${rowSize(inputShape)} features; give one each.`,
    );
  checkDataset(dataset);
  return dataset;
}

function targets(data: PlainData): Pick<Dataset, "y" | "task" | "classes"> {
  const { y, task } = data;
  const first: unknown = y[0];
  if (typeof first === "string") {
    const names = y as readonly string[];
    const classes = data.classes ? [...data.classes] : [...new Set(names)].sort();
    const index = new Map(classes.map((name, i) => [name, i]));
    const labels = names.map((name, row) => {
      const label = index.get(name);
      if (label === undefined)
        throw dataError(`the class is ${show(name)}; known are ${list(classes)}.`, { row: row + 1 });
      return label;
    });
    return { y: Int32Array.from(labels), task: "classification", classes };
  }
  if (Array.isArray(first)) {
    const shape = measure(y as readonly Nested[]);
    return { y: Float32Array.from(flatten(y as readonly Nested[], shape)), task: "regression" };
  }
  const values = Float64Array.from(y as ArrayLike<number>);
  const whole = values.every((value) => Number.isInteger(value) && value >= 0 && value < 2 ** 31);
  if (task === "regression" || (task === undefined && !whole))
    return { y: Float32Array.from(values), task: "regression" };
  const bad = values.findIndex((value) => !(Number.isInteger(value) && value >= 0 && value < 2 ** 31));
  if (bad >= 0)
    throw dataError(`the label is ${values[bad]}; labels are whole numbers from 0. Or set task: "regression".`, {
      row: bad + 1,
    });
  const top = values.reduce((most, value) => Math.max(most, value), 0);
  if (data.classes === undefined && top >= Math.max(values.length, 256))
    throw new DataError(
      `The largest label is ${top} in only ${values.length} rows; number the classes from 0, or set task: "regression".`,
    );
  const classes = data.classes ? [...data.classes] : Array.from({ length: top + 1 }, (_, i) => String(i));
  return { y: Int32Array.from(values), task: "classification", classes };
}

function flatNumbers(values: ArrayLike<number>): NumberArray {
  return ArrayBuffer.isView(values) ? (values as NumberArray) : Float32Array.from(values);
}

/** The shape of nested arrays, by their first elements. */
function measure(value: readonly Nested[] | Nested): number[] {
  const shape: number[] = [];
  for (let level: unknown = value; Array.isArray(level); level = level[0]) shape.push(level.length);
  return shape;
}

/** The numbers of nested arrays, which must all have the same shape. */
function flatten(rows: readonly Nested[], shape: readonly number[]): Float32Array {
  const out = new Float32Array(rowSize(shape));
  let next = 0;
  const visit = (value: unknown, axis: number, row: number) => {
    if (axis === shape.length) {
      if (typeof value !== "number") throw dataError(`holds ${show(value)}; give a number.`, { row });
      out[next++] = value;
      return;
    }
    const length = Array.isArray(value) ? value.length : undefined;
    if (length !== shape[axis])
      throw dataError(
        `${axis === 0 ? "the data" : "this row"} has ${length === undefined ? show(value) : `${length} numbers`} where the first has ${shape[axis]}; give rows of one shape.`,
        { row },
      );
    (value as unknown[]).forEach((item, i) => {
      visit(item, axis + 1, axis === 0 ? i + 1 : row);
    });
  };
  visit(rows, 0, 1);
  return out;
}
