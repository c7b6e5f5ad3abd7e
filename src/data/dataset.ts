/**
 * A data set: flat features, labels or targets, and what they mean. Every reader of this folder makes one, and `fit`
 * takes one. Here too: checking it, splitting it, taking rows of it, its statistics. It is plain data without methods
 * and it knows no file format.
 */

import { checkOptionNames } from "../checks.ts";
import { ArgumentError, DataError } from "../errors.ts";
import { RandomStream } from "../random.ts";
import type { NumberArray } from "./arrays.ts";
import { checkInteger, dataError, show } from "./fail.ts";
import type { TableSchema } from "./schema.ts";

/** What a network is to learn from the data. */
export type Task = "classification" | "multilabel" | "regression";

/** Rows of features with a label or targets each. */
export interface Dataset {
  /** Features, `count` rows of `inputShape`, flat, last axis fastest. Pixels stay `Uint8Array`. */
  readonly x: NumberArray;
  /**
   * Classification: one label per row, `Int32Array`. Several labels at once: a 1 or 0 for each label, row by row,
   * `Float32Array`. Regression: one or more targets per row, `Float32Array`.
   */
  readonly y: Int32Array | Float32Array;
  /** Number of rows. */
  readonly count: number;
  /** Shape of one row: `[28, 28, 1]` for a grey image, `[F]` for a table. */
  readonly inputShape: number[];
  readonly task: Task;
  /** Names of the classes or labels; label 0 is the first. */
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

  if (task !== "classification") {
    if (!(y instanceof Float32Array) || y.length === 0 || y.length % count !== 0)
      throw dataError(
        `y has ${y.length} numbers for ${count} rows; give the same number of targets for every row.`,
        at,
      );
    const width = y.length / count;
    checkFinite(y, width, "y", (i) => (width === 1 ? "the target" : `target ${i + 1}`), at);
    if (task === "regression") return;
    if (classes && classes.length !== width)
      throw dataError(`there are ${classes.length} names for ${width} labels; give one each.`, at);
    const wrong = y.findIndex((value) => value !== 0 && value !== 1);
    if (wrong >= 0)
      throw dataError(`the label is ${y[wrong]}; 1 says that the row has it, 0 that it has not.`, {
        ...at,
        row: Math.floor(wrong / width) + 1,
        column: classes?.[wrong % width] ?? (wrong % width) + 1,
      });
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
 * Splits a data set at random into parts of the given fractions, e.g. `[0.8, 0.2]` for training and validation, or 0.8,
 * which means the same. Each part keeps the order of the rows. Fractions that sum to less than 1 leave rows out.
 *
 * Throws `ArgumentError` for fractions that make no sense, `DataError` when a part would be empty.
 *
 * @example
 * import { iris, split } from "chainrule/data";
 * const [train, validation] = split(iris(), [0.8, 0.2], { seed: 7 });
 * console.log(train.count, validation.count); // 120 30
 */
export function split(dataset: Dataset, fraction: number, options?: SplitOptions): [Dataset, Dataset];
export function split<const F extends readonly number[]>(
  dataset: Dataset,
  fractions: F,
  options?: SplitOptions,
): { -readonly [K in keyof F]: Dataset };
export function split(dataset: Dataset, given: number | readonly number[], options: SplitOptions = {}): Dataset[] {
  checkOptionNames("split", options, ["seed", "stratify"]);
  const { seed = 0, stratify = true } = options;
  checkInteger("The seed", seed, 0);
  const fractions = typeof given === "number" ? [given, 1 - given] : given;
  const sum = Array.isArray(fractions) ? fractions.reduce((total, fraction) => total + fraction, 0) : 0;
  if (!(sum > 0 && sum <= 1 + 1e-9 && fractions.every((fraction) => fraction > 0)))
    throw new ArgumentError(
      `The fractions are ${show(given)}; give numbers above 0 that sum to at most 1, such as [0.8, 0.2].`,
    );

  const labels = stratify && dataset.task === "classification" ? dataset.y : undefined;
  return splitRows(dataset.count, fractions, seed, labels).map((rows) => take(dataset, rows));
}

/**
 * The numbers of the rows of each part of a split, in their order; each part has its share of every label, if there are
 * labels.
 */
export function splitRows(
  count: number,
  fractions: readonly number[],
  seed: number,
  labels?: ArrayLike<number>,
): number[][] {
  const order = [...new RandomStream(seed, "split").permutation(count)];
  if (labels) order.sort((a, b) => labels[a] - labels[b]);
  // Row by row, the part that is furthest behind its share takes it. Rows of one class stand together, so this keeps
  // the shares of each class as well as of the whole. The last share is of the rows left out.
  const shares = [...fractions, Math.max(0, 1 - fractions.reduce((sum, fraction) => sum + fraction, 0))];
  const parts: number[][] = shares.map(() => []);
  order.forEach((row, i) => {
    const behind = shares.map((share, k) => share * (i + 1) - parts[k].length);
    parts[behind.indexOf(Math.max(...behind))].push(row);
  });
  return fractions.map((fraction, k) => {
    if (parts[k].length === 0)
      throw new DataError(
        `A part of ${fraction} of ${count} rows would be empty; give more rows, or a larger fraction.`,
      );
    return parts[k].sort((a, b) => a - b);
  });
}

/** Mean and standard deviation of each feature of a row. */
export interface Statistics {
  readonly mean: Float32Array;
  readonly deviation: Float32Array;
}

/**
 * Mean and (population) standard deviation of every feature, over the rows: what a `normalize` layer takes.
 * Columns of zeros and ones made from categories and booleans are left as they are (mean 0, deviation 1); a constant
 * feature gets deviation 1.
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
  const deviation = squares.map((total, i) => (constant[i] ? 1 : Math.sqrt(total / count)));
  for (const i of indicatorFeatures(dataset.schema)) {
    mean[i] = 0;
    deviation[i] = 1;
  }
  return { mean: Float32Array.from(mean), deviation: Float32Array.from(deviation) };
}

/** The features that are 0 or 1 because a column holds categories or booleans. */
export function indicatorFeatures(schema: TableSchema | undefined): number[] {
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
