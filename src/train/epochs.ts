/** Epochs that come one after the other, as users hold them: awaited they give the history, iterated the epochs. */
import { History } from "./history.ts";
import type { EpochReport } from "./scores.ts";

/** What `fit` gives, here and in a worker. It begins when it is awaited or iterated. */
export abstract class Epochs implements AsyncIterable<EpochReport>, PromiseLike<History> {
  #result: Promise<History> | undefined;

  /** The epochs as they come. */
  abstract [Symbol.asyncIterator](): AsyncGenerator<EpochReport>;

  // biome-ignore lint/suspicious/noThenProperty: being awaitable is the point of this class.
  then<A = History, B = never>(
    resolve?: ((history: History) => A | PromiseLike<A>) | null,
    reject?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.#result ??= (async () => {
      const history = new History();
      for await (const epoch of this) history.push(epoch);
      return history;
    })();
    return this.#result.then(resolve, reject);
  }
}
