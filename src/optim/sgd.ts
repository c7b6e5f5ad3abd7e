/** Gradient descent, with momentum if asked. */
import { ArgumentError } from "../errors.ts";
import { add, mul, sub } from "../ops/index.ts";
import { defineOptimizer, momentumOf, type Optimizer, type OptimizerOptions, withDefaults } from "./optimizer.ts";

export interface SgdOptions extends OptimizerOptions {
  /** μ in v ← μ v + ∂L/∂w, w ← w − η v; 0 unless said. */
  readonly momentum?: number;
  /** Looks ahead: w ← w − η (∂L/∂w + μ v). */
  readonly nesterov?: boolean;
}

/**
 * Gradient descent: w ← w − η ∂L/∂w; η is 0.01 unless said. With `batchSize: "all"` in fit it is the classical method
 * over the whole data set, with 1 the stochastic one. With momentum: Polyak, 1964; with `nesterov`: Nesterov, 1983, in
 * PyTorch's form (Sutskever et al., 2013).
 *
 * @example
 * const optimizer = sgd({ learningRate: 0.1, momentum: 0.9, nesterov: true });
 */
export function sgd(given: SgdOptions = {}): Optimizer {
  const options = withDefaults("sgd", { learningRate: 0.01, momentum: 0, nesterov: false }, given);
  const { momentum, nesterov } = options;
  if (nesterov && momentum === 0) throw new ArgumentError("sgd: nesterov needs a momentum above 0, such as 0.9.");
  return defineOptimizer({
    name: "sgd",
    options,
    state: momentum > 0 ? ["velocity"] : [],
    rule: ({ w, dw, state, scalars: { learningRate } }) => {
      if (momentum === 0) return { w: sub(w, mul(learningRate, dw)) };
      const velocity = momentumOf(state.velocity, dw, momentum);
      const direction = nesterov ? add(dw, mul(velocity, momentum)) : velocity;
      return { w: sub(w, mul(learningRate, direction)), state: { velocity } };
    },
  });
}
