/** All optimisers, in order of complexity, and by name; the schedules of their learning rates. */
import { unknownName } from "../checks.ts";
import { adam, adamw, lion, nadam } from "./adam.ts";
import { adadelta, adagrad, rmsprop } from "./adaptive.ts";
import type { Optimizer, OptimizerOptions } from "./optimizer.ts";
import { sgd } from "./sgd.ts";

export { accumulate } from "./accumulate.ts";
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
 * An optimiser by its name, such as `adam`, with its options as plain JSON.
 * @throws ArgumentError if there is none of that name
 *
 * @example
 * const optimizer = optimizerNamed("rmsprop", { learningRate: 1e-3 });
 */
export function optimizerNamed(name: string, options: OptimizerOptions & Record<string, unknown> = {}): Optimizer {
  if (Object.hasOwn(OPTIMIZERS, name)) return OPTIMIZERS[name](options);
  throw unknownName("optimiser", name, optimizerNames());
}
