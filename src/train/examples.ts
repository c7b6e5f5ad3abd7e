/** Examples in the form that the engine takes, and picking rows out of them: for batches, and for validation. */

import { BETWEEN_0_AND_1, checkNumbers } from "../checks.ts";
import { splitRows } from "../data/dataset.ts";
import type { Network } from "../nn/network.ts";
import { byPort, type Data, type RowValues, type Targets } from "./to-arrays.ts";

/** Examples ready for the engine. */
export interface Examples {
  /** How many rows there are. */
  readonly count: number;
  /** The rows of each input, in the network's order. */
  readonly x: readonly RowValues[];
  /** The targets of each output. */
  readonly y: readonly Targets[];
  /** How much each row counts in the loss; all alike if absent. */
  readonly weights?: Float32Array;
}

/** The arrays of examples. */
export const arraysOf = ({ x, y, weights }: Examples) => [
  ...x,
  ...y.map(({ values }) => values),
  ...(weights ? [weights] : []),
];

/** What batches must agree in, besides their size. */
export const formOf = ({ x, y, weights }: Examples): string =>
  `x of ${x.map((values) => values.constructor.name).join(" and ")}, y of ${y.map(({ kind }) => kind).join(" and ")}${weights ? ", weights" : ""}`;

/** Examples in the form in which users give them. */
export const dataOf = ({ inputs, outputs }: Network, { x, y, weights }: Examples): Data => ({
  x: byPort(inputs, x),
  y: byPort(
    outputs,
    y.map(({ values }) => values),
  ),
  ...(weights && { weights }),
});

type Values = RowValues | Int32Array;

/** Examples of the same form with `count` rows; `make` gives each of their arrays, from the old one and its number. */
function withArrays({ x, y, weights }: Examples, count: number, make: <A extends Values>(old: A, i: number) => A) {
  return {
    count,
    x: x.map((values, i) => make(values, i)),
    y: y.map(({ kind, values }, i) => ({ kind, values: make(values, x.length + i) }) as Targets),
    ...(weights && { weights: make(weights, x.length + y.length) }),
  };
}

/** An array of the same type. */
export const blank = <A extends Values>(like: A, length: number): A =>
  new (like.constructor as new (length: number) => A)(length);

/** Some rows of examples, in the given order. */
export const takeExamples = (examples: Examples, rows: ArrayLike<number>): Examples =>
  withArrays(examples, rows.length, (values) => {
    const width = values.length / examples.count;
    const taken = blank(values, rows.length * width);
    for (let i = 0; i < rows.length; i++) taken.set(values.subarray(rows[i] * width, (rows[i] + 1) * width), i * width);
    return taken;
  });

/** The bytes that one row takes. */
export const bytesOfRow = (examples: Examples): number =>
  arraysOf(examples).reduce((sum, { byteLength }) => sum + byteLength, 0) / examples.count;

/** Room for `count` rows of the same form. */
export const blankExamples = (like: Examples, count: number): Examples =>
  withArrays(like, count, (values) => blank(values, (values.length / like.count) * count));

/** Some rows that follow each other: views, not copies. */
export const viewOfRows = (examples: Examples, from: number, count: number): Examples =>
  withArrays(examples, count, (values) => {
    const width = values.length / examples.count;
    return values.subarray(from * width, (from + count) * width) as typeof values;
  });

/** Copies all rows of `part` to the place of row `at` of others of the same form. */
export function copyExamples(part: Examples, to: Examples, at: number): void {
  const arrays = arraysOf(to);
  for (const [i, values] of arraysOf(part).entries()) arrays[i].set(values, (at * values.length) / part.count);
}

/**
 * Splits examples into those to train on and a fraction to validate with, drawn by the seed; class numbers, those of the
 * first output that has one for each row, keep their shares in both.
 */
export function splitForValidation(examples: Examples, fraction: number, seed: number): [Examples, Examples] {
  checkNumbers("validation as a ", { fraction }, BETWEEN_0_AND_1);
  const { count, y } = examples;
  const labels = y.find(({ kind, values }) => kind === "classes" && values.length === count)?.values;
  const [kept, held] = splitRows(count, [1 - fraction, fraction], seed, labels);
  return [takeExamples(examples, kept), takeExamples(examples, held)];
}
