/**
 * Which optimisers `--optimizer` knows, and reading one: `adam`, `sgd momentum=0.9`; and how `--schedule` moves the
 * learning rate, which is an option of its own.
 */
import { adam, type Optimizer, sgd } from "../index.ts";
import { UsageError } from "./errors.ts";
import { anyNumber, type Entry, entry, readItem } from "./words.ts";

/** Makes the optimiser for a learning rate. */
export type MakeOptimizer = (learningRate: number) => Optimizer;

const OPTIMIZERS: Readonly<Record<string, Entry<MakeOptimizer>>> = {
  adam: entry(
    "adam",
    {},
    { beta1: anyNumber, beta2: anyNumber, epsilon: anyNumber },
    (options) => (learningRate) => adam({ ...options, learningRate }),
  ),
  sgd: entry("sgd", {}, { momentum: anyNumber }, (options) => (learningRate) => sgd({ ...options, learningRate })),
};

/** Whether a rule divides the gradient by its own size, so that one learning rate does for losses of any scale. */
export const isAdaptive = (optimizer: Optimizer): boolean => optimizer.name !== "sgd";

/** Reads an optimiser. Throws `UsageError`. */
export function readOptimizer(text: string): MakeOptimizer {
  const make = readItem(text.trim(), OPTIMIZERS, "optimizer");
  return (learningRate) => {
    try {
      return make(learningRate);
    } catch (error) {
      throw new UsageError(`--optimizer "${text}": ${error instanceof Error ? error.message : error}`, {
        cause: error,
      });
    }
  };
}

/** The share of the learning rate at a share of the run. */
const SCHEDULES: Readonly<Record<string, (done: number) => number>> = {
  constant: () => 1,
  linear: (done) => 1 - done,
  cosine: (done) => (1 + Math.cos(Math.PI * done)) / 2,
};

/** The least share of the learning rate, since optimisers want one above 0. */
const LEAST = 1e-6;

/** Reads a schedule: what makes an optimiser whose learning rate moves over a run of `steps`. Throws `UsageError`. */
export function readSchedule(name: string) {
  const entries = Object.fromEntries(
    Object.entries(SCHEDULES).map(([title, share]) => [title, entry(title, {}, {}, () => share)]),
  );
  const share = readItem(name, entries, "schedule");
  return (make: MakeOptimizer, learningRate: number, steps: number): Optimizer => {
    const optimizer = make(learningRate);
    if (name === "constant") return optimizer;
    return {
      ...optimizer,
      config: { ...optimizer.config, schedule: name, steps },
      scalars: (step) => make(learningRate * Math.max(LEAST, share((step - 1) / steps))).scalars(step),
    };
  };
}
