/** Picking rows out of examples: for batches, and for setting a part aside for validation. */

import { BETWEEN_0_AND_1, checkNumbers } from "../checks.ts";
import { split } from "../data/dataset.ts";
import type { Examples } from "./trainer.ts";

/** Some rows of an array of `count`, in the given order. */
export function takeRows<A extends Float32Array | Uint8Array | Int32Array>(
  values: A,
  count: number,
  rows: ArrayLike<number>,
): A {
  const width = values.length / count;
  const taken = new (values.constructor as new (length: number) => A)(rows.length * width);
  for (let i = 0; i < rows.length; i++) taken.set(values.subarray(rows[i] * width, (rows[i] + 1) * width), i * width);
  return taken;
}

/** Some rows of examples, in the given order. */
export function takeExamples({ x, y, weights }: Examples, rows: ArrayLike<number>): Examples {
  const part = <A extends Float32Array | Uint8Array | Int32Array>(values: A): A => takeRows(values, x.count, rows);
  return {
    x: { values: part(x.values), count: rows.length },
    y: y.kind === "classes" ? { kind: "classes", values: part(y.values) } : { kind: "values", values: part(y.values) },
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
  // The split of row numbers: which rows go where.
  const numbers = {
    x: Int32Array.from({ length: x.count }, (_, i) => i),
    y: y.kind === "classes" ? y.values : new Float32Array(x.count),
    count: x.count,
    inputShape: [1],
    task: y.kind === "classes" ? ("classification" as const) : ("regression" as const),
  };
  const [kept, held] = split(numbers, [1 - fraction, fraction], { seed });
  return [takeExamples(examples, kept.x), takeExamples(examples, held.x)];
}
