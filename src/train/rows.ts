/** Picking rows out of examples: for batches, and for setting a part aside for validation. */

import { BETWEEN_0_AND_1, checkNumbers } from "../checks.ts";
import { splitRows } from "../data/dataset.ts";
import type { Targets } from "./inputs.ts";
import type { Examples } from "./trainer.ts";

/** The arrays of examples. */
export const arraysOf = ({ x, y, weights }: Examples) => [x.values, y.values, ...(weights ? [weights] : [])];

/** What batches must agree in, besides their size. */
export const formOf = ({ x, y, weights }: Examples): string =>
  `x of ${x.values.constructor.name}, y of ${y.kind}${weights ? ", weights" : ""}`;

/** Some rows of examples, in the given order. */
export function takeExamples({ x, y, weights }: Examples, rows: ArrayLike<number>): Examples {
  const part = <A extends Float32Array | Uint8Array | Int32Array>(values: A): A => {
    const width = values.length / x.count;
    const taken = new (values.constructor as new (length: number) => A)(rows.length * width);
    for (let i = 0; i < rows.length; i++) taken.set(values.subarray(rows[i] * width, (rows[i] + 1) * width), i * width);
    return taken;
  };
  return {
    x: { values: part(x.values), count: rows.length },
    y: { kind: y.kind, values: part(y.values) } as Targets,
    ...(weights && { weights: part(weights) }),
  };
}

/**
 * Splits examples into those to train on and a fraction to validate with, drawn by the seed; class numbers keep their
 * shares in both.
 */
export function splitForValidation(examples: Examples, fraction: number, seed: number): [Examples, Examples] {
  checkNumbers("validation as a ", { fraction }, BETWEEN_0_AND_1);
  const { x, y } = examples;
  const labels = y.kind === "classes" ? y.values : undefined;
  const [kept, held] = splitRows(x.count, [1 - fraction, fraction], seed, labels);
  return [takeExamples(examples, kept), takeExamples(examples, held)];
}
