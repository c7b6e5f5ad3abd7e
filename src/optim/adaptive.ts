/**
 * Optimisers that give every weight a rate of its own, by the size of its earlier gradients: Adagrad, then the two that
 * forget: RMSProp and Adadelta.
 */
import { add, div, maximum, mul, sqrt, sub } from "../ops/index.ts";
import {
  defineOptimizer,
  momentumOf,
  movingAverage,
  type Optimizer,
  type OptimizerOptions,
  squareOf,
  withDefaults,
} from "./optimizer.ts";

export interface AdagradOptions extends OptimizerOptions {
  /** ε; 1e-10 unless said. */
  readonly epsilon?: number;
}

/** Adagrad (Duchi, Hazan & Singer, 2011): s ← s + g², w ← w − η g / (√s + ε); η is 0.01 unless said. */
export function adagrad(given: AdagradOptions = {}): Optimizer {
  const options = withDefaults("adagrad", { learningRate: 0.01, epsilon: 1e-10 }, given);
  const { epsilon } = options;
  return defineOptimizer({
    name: "adagrad",
    options,
    state: ["squares"],
    rule: ({ w, dw, state, scalars: { learningRate } }) => {
      const squares = add(state.squares, squareOf(dw));
      return { w: sub(w, div(mul(learningRate, dw), add(sqrt(squares), epsilon))), state: { squares } };
    },
  });
}

export interface RmspropOptions extends OptimizerOptions {
  /** ρ, how slowly old gradients are forgotten; 0.99 unless said. */
  readonly rho?: number;
  /** ε; 1e-8 unless said. */
  readonly epsilon?: number;
  /** Divides by the gradient's standard deviation instead of its root mean square. */
  readonly centered?: boolean;
  /** Momentum on the scaled gradient; 0 unless said. */
  readonly momentum?: number;
}

/**
 * RMSProp (Hinton, 2012; centred: Graves, 2013): v ← ρ v + (1 − ρ) g², w ← w − η g / (√v + ε); centred takes v − m̄²
 * for v, where m̄ is the same average of g. PyTorch's form; η is 0.01 unless said.
 *
 * @example
 * const optimizer = rmsprop({ learningRate: 1e-3, rho: 0.9 });
 */
export function rmsprop(given: RmspropOptions = {}): Optimizer {
  const defaults = { learningRate: 0.01, rho: 0.99, epsilon: 1e-8, momentum: 0, centered: false };
  const options = withDefaults("rmsprop", defaults, given);
  const { rho, epsilon, momentum, centered } = options;
  return defineOptimizer({
    name: "rmsprop",
    options,
    state: ["squares", ...(centered ? ["mean"] : []), ...(momentum > 0 ? ["velocity"] : [])],
    rule: ({ w, dw, state, scalars: { learningRate } }) => {
      const squares = movingAverage(state.squares, squareOf(dw), rho);
      const mean = centered ? movingAverage(state.mean, dw, rho) : undefined;
      // In single precision the variance of a steady gradient can come out just below 0.
      const variance = mean ? maximum(sub(squares, mul(mean, mean)), 0) : squares;
      const scaled = div(dw, add(sqrt(variance), epsilon));
      const velocity = momentum > 0 ? momentumOf(state.velocity, scaled, momentum) : undefined;
      return {
        w: sub(w, mul(learningRate, velocity ?? scaled)),
        state: { squares, ...(mean && { mean }), ...(velocity && { velocity }) },
      };
    },
  });
}

export interface AdadeltaOptions extends OptimizerOptions {
  /** ρ, how slowly old gradients and steps are forgotten; 0.9 unless said. */
  readonly rho?: number;
  /** ε; 1e-6 unless said. */
  readonly epsilon?: number;
}

/**
 * Adadelta (Zeiler, 2012): v ← ρ v + (1 − ρ) g², Δ = g √(u + ε) / √(v + ε), u ← ρ u + (1 − ρ) Δ², w ← w − η Δ; the unit
 * of the step comes right by itself, so η is 1 unless said.
 */
export function adadelta(given: AdadeltaOptions = {}): Optimizer {
  const options = withDefaults("adadelta", { learningRate: 1, rho: 0.9, epsilon: 1e-6 }, given);
  const { rho, epsilon } = options;
  return defineOptimizer({
    name: "adadelta",
    options,
    state: ["squares", "steps"],
    rule: ({ w, dw, state, scalars: { learningRate } }) => {
      const squares = movingAverage(state.squares, squareOf(dw), rho);
      const step = mul(dw, div(sqrt(add(state.steps, epsilon)), sqrt(add(squares, epsilon))));
      const steps = movingAverage(state.steps, squareOf(step), rho);
      return { w: sub(w, mul(learningRate, step)), state: { squares, steps } };
    },
  });
}
