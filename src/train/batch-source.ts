/**
 * Data that come batch by batch from a function, such as an async generator, anew for each epoch. The batches of an epoch
 * are read, trained on in their order, and forgotten; those of the first stay, for checks and the checkpoint.
 */
import { check } from "../checks.ts";
import { DataError } from "../errors.ts";
import { breathe } from "./breathe.ts";
import type { Examples } from "./examples.ts";
import { formOf, joinExamples } from "./examples.ts";
import type { Data } from "./to-arrays.ts";

/**
 * Gives the batches of an epoch, numbered from 0. A run that is resumed asks again for the batches of the epoch it stopped
 * in; it ends with the same bits if they are the same.
 */
export type BatchSource = (epoch: number) => Iterable<Data> | AsyncIterable<Data>;

/** Reads an epoch: the rows of all its batches together, and how many the first batch has. */
export type EpochReader = (epoch: number, signal?: AbortSignal) => Promise<{ examples: Examples; batchSize: number }>;

/** Makes a reader of at most `limit` batches of each epoch; `prepare` makes users' arrays ready. */
export function epochReader(
  source: BatchSource,
  limit: number | undefined,
  prepare: (batch: Data, what: string) => Examples,
): EpochReader {
  let form: string | undefined;
  return async (epoch, signal) => {
    const batches = source(epoch);
    check(
      typeof batches === "object" && (Symbol.iterator in batches || Symbol.asyncIterator in batches),
      "The function that gives fit its batches must be a generator, or return an iterable",
      batches,
    );
    const parts: Examples[] = [];
    for await (const batch of batches) {
      const what = `epoch ${epoch + 1}, batch ${parts.length + 1}: `;
      const part = prepare(batch, what);
      const now = formOf(part);
      form ??= now;
      if (now !== form) throw new DataError(`${what}${now} came; ${form} was wanted, as in the first batch.`);
      parts.push(part);
      if (parts.length === limit) break;
      await breathe();
      signal?.throwIfAborted();
    }
    if (parts.length === 0)
      throw new DataError(`The function that gives fit its batches gave none for epoch ${epoch + 1}.`);
    return { examples: joinExamples(parts), batchSize: parts[0].x.count };
  };
}
