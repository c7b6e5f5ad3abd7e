/** All optimisers, in order of complexity, and by name; the schedules of their learning rates. */
import { unknownName } from "../checks.ts";
import { accumulate } from "./accumulate.ts";
import { adam, adamw, lion, nadam } from "./adam.ts";
import { adadelta, adagrad, rmsprop } from "./adaptive.ts";
import type { Optimizer, OptimizerOptions } from "./optimizer.ts";
import { sgd } from "./sgd.ts";

export * from "./adam.ts";
export * from "./adaptive.ts";
export type { ClippingOptions } from "./clipping.ts";
export {
  defineOptimizer,
  type Optimizer,
  type OptimizerDefinition,
  type OptimizerOptions,
  type RuleContext,
  type RuleResult,
} from "./optimizer.ts";
export * from "./schedules.ts";
export * from "./sgd.ts";
export { accumulate };

const OPTIMIZERS: Readonly<Record<string, (options?: OptimizerOptions) => Optimizer>> = {
  sgd,
  adagrad,
  adadelta,
  rmsprop,
  adam,
  adamw,
  nadam,
  lion,
};

/** The names that `optimizerNamed` knows. */
export const optimizerNames = (): string[] => Object.keys(OPTIMIZERS);

/**
 * An optimiser by its name, such as `adam`, with its options as plain JSON: what another one of the library's has as
 * `config` gives the same one again.
 * @throws ArgumentError if there is none of that name
 *
 * @example
 * const optimizer = optimizerNamed("rmsprop", { learningRate: 1e-3 });
 * const again = optimizerNamed(optimizer.name, optimizer.config);
 */
export function optimizerNamed(
  name: string,
  { accumulate: batches, ...options }: OptimizerOptions & Readonly<Record<string, unknown>> = {},
): Optimizer {
  if (!Object.hasOwn(OPTIMIZERS, name)) throw unknownName("optimiser", name, optimizerNames());
  const optimizer = OPTIMIZERS[name](options);
  return batches === undefined ? optimizer : accumulate(optimizer, batches as number);
}
