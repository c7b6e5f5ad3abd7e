/**
 * Data that come batch by batch from a function, such as an async generator, anew for each epoch. The batches of an epoch
 * are read, trained on in their order, and forgotten; those of the first piece stay, for checks and the checkpoint.
 */
import { check } from "../checks.ts";
import type { RowsOptions } from "../data/data-stream.ts";
import { DataError } from "../errors.ts";
import { type Examples, formOf, viewOfRows } from "./examples.ts";
import type { RowSource } from "./pieces.ts";
import type { Data, Stream } from "./to-arrays.ts";

/**
 * Gives the batches of an epoch, numbered from 0. A run that is resumed asks again for the batches of the epoch it stopped
 * in; it ends with the same bits if they are the same.
 */
export type BatchSource = (epoch: number) => Iterable<Data> | AsyncIterable<Data>;

/** The rows of at most `limit` batches of each epoch; `prepare` makes users' arrays ready. */
export function batchRows(
  source: BatchSource,
  limit: number | undefined,
  prepare: (batch: Data, what: string) => Examples,
): RowSource {
  let form: string | undefined;
  return async function* (epoch, from) {
    const batches = source(epoch);
    check(
      typeof batches === "object" && (Symbol.iterator in batches || Symbol.asyncIterator in batches),
      "The function that gives fit its batches must be a generator, or return an iterable",
      batches,
    );
    let [number, row] = [0, 0];
    for await (const batch of batches) {
      const what = `epoch ${epoch + 1}, batch ${++number}: `;
      const part = prepare(batch, what);
      const now = formOf(part);
      form ??= now;
      if (now !== form) throw new DataError(`${what}${now} came; ${form} was wanted, as in the first batch.`);
      const { count } = part;
      const skipped = Math.min(count, Math.max(0, from - row));
      row += count;
      if (skipped === 0) yield part;
      else if (skipped < count) yield viewOfRows(part, skipped, count - skipped);
      if (number === limit) break;
    }
    if (number === 0) throw new DataError(noBatches(epoch));
  };
}

/** The rows of a stream, as `order` says for each epoch. */
export const streamRows = (
  stream: Stream,
  order: (epoch: number) => RowsOptions,
  prepare: (rows: Data, what: string) => Examples,
): RowSource =>
  async function* (epoch, from) {
    for await (const rows of stream.rows({ ...order(epoch), from })) yield prepare(rows, "");
  };

/** What to say of an epoch without rows. */
export const noBatches = (epoch: number): string =>
  `The function that gives fit its batches gave none for epoch ${epoch + 1}.`;
