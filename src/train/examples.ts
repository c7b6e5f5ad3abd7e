/** Examples in the form that the engine takes, and picking rows out of them: for batches, and for validation. */

import { BETWEEN_0_AND_1, checkNumbers } from "../checks.ts";
import { splitRows } from "../data/dataset.ts";
import type { Rows, Targets } from "./to-arrays.ts";

/** Examples ready for the engine. */
export interface Examples {
  readonly x: Rows;
  readonly y: Targets;
  /** How much each row counts in the loss; all alike if absent. */
  readonly weights?: Float32Array;
}

/** The arrays of examples. */
export const arraysOf = ({ x, y, weights }: Examples) => [x.values, y.values, ...(weights ? [weights] : [])];

/** What batches must agree in, besides their size. */
export const formOf = ({ x, y, weights }: Examples): string =>
  `x of ${x.values.constructor.name}, y of ${y.kind}${weights ? ", weights" : ""}`;

type Values = Float32Array | Uint8Array | Int32Array;

/** Examples of the same form with `count` rows; `make` gives each of their arrays, from the old one and its number. */
function withArrays({ x, y, weights }: Examples, count: number, make: <A extends Values>(old: A, i: number) => A) {
  return {
    x: { values: make(x.values, 0), count },
    y: { kind: y.kind, values: make(y.values, 1) } as Targets,
    ...(weights && { weights: make(weights, 2) }),
  };
}

/** An array of the same type. */
const blank = <A extends Values>(like: A, length: number): A =>
  new (like.constructor as new (length: number) => A)(length);

/** Some rows of examples, in the given order. */
export const takeExamples = (examples: Examples, rows: ArrayLike<number>): Examples =>
  withArrays(examples, rows.length, (values) => {
    const width = values.length / examples.x.count;
    const taken = blank(values, rows.length * width);
    for (let i = 0; i < rows.length; i++) taken.set(values.subarray(rows[i] * width, (rows[i] + 1) * width), i * width);
    return taken;
  });

/** Examples of the same form one after the other. */
export const joinExamples = (parts: readonly Examples[]): Examples =>
  withArrays(
    parts[0],
    parts.reduce((sum, { x }) => sum + x.count, 0),
    (values, i) => {
      const arrays = parts.map((part) => arraysOf(part)[i]);
      const all = blank(
        values,
        arrays.reduce((sum, { length }) => sum + length, 0),
      );
      let at = 0;
      for (const array of arrays) {
        all.set(array, at);
        at += array.length;
      }
      return all;
    },
  );

/**
 * Splits examples into those to train on and a fraction to validate with, drawn by the seed; class numbers keep their
 * shares in both.
 */
export function splitForValidation(examples: Examples, fraction: number, seed: number): [Examples, Examples] {
  checkNumbers("validation as a ", { fraction }, BETWEEN_0_AND_1);
  const { x, y } = examples;
  const labels = y.kind === "classes" && y.values.length === x.count ? y.values : undefined;
  const [kept, held] = splitRows(x.count, [1 - fraction, fraction], seed, labels);
  return [takeExamples(examples, kept), takeExamples(examples, held)];
}
