/** Rows that come one after another, from a generator or any iterable, gathered into the flat arrays that `fit` takes. */
import { ArgumentError, DataError } from "../errors.ts";
import { Growing } from "./growing.ts";

/** One example: its features, and its class number, target or targets. */
export interface Row {
  readonly x: ArrayLike<number>;
  readonly y: number | ArrayLike<number>;
}

/**
 * Gathers all rows of a generator: x [N · features], y [N] or [N · targets], flat. Reads to the end, so the rows must end.
 *
 * Throws `DataError` that names the row when rows differ in length.
 *
 * @example
 * function* points() {
 *   for (let i = 0; i < 100; i++) yield { x: [i / 100, 1 - i / 100], y: i < 50 ? 0 : 1 };
 * }
 * const { x, y, count } = await collect(points()); // 200 numbers, 100 labels
 */
export async function collect(
  rows: Iterable<Row> | AsyncIterable<Row>,
): Promise<{ x: Float32Array; y: Float32Array; count: number }> {
  if (typeof rows !== "object" || !(Symbol.iterator in rows || Symbol.asyncIterator in rows)) {
    throw new ArgumentError(
      "collect takes a generator, or another iterable, of rows { x, y }. Call the generator function first.",
    );
  }
  const [xs, ys] = [new Growing(Float32Array, 1024), new Growing(Float32Array, 1024)];
  let count = 0;
  let lengths: readonly [number, number] | undefined;
  for await (const { x, y } of rows) {
    const targets = typeof y === "number" ? [y] : y;
    lengths ??= [x.length, targets.length];
    count++;
    if (x.length !== lengths[0] || targets.length !== lengths[1]) {
      throw new DataError(
        `row ${count} has ${x.length} features and ${targets.length} targets; ${lengths[0]} and ${lengths[1]} were wanted, as in row 1.`,
        { row: count },
      );
    }
    xs.append(x);
    ys.append(targets);
  }
  return { x: xs.values(), y: ys.values(), count };
}
