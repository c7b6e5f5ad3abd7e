/**
 * Adam and its relatives: momentum m and mean square v of the gradient, both corrected for having begun at 0. The
 * corrections depend on the step alone, so they are numbers from outside. Lion keeps only m and takes its sign.
 */
import type { Node } from "../graph/node.ts";
import { add, div, greater, less, maximum, mul, sqrt, sub } from "../ops/index.ts";
import {
  defineOptimizer,
  movingAverage,
  type Optimizer,
  type OptimizerOptions,
  squareOf,
  withDefaults,
} from "./optimizer.ts";
import type { LearningRate } from "./schedules.ts";

interface Betas {
  readonly beta1: number;
  readonly beta2: number;
}

/** m and v after this step. */
const moments = (state: Readonly<Record<string, Node>>, dw: Node, { beta1, beta2 }: Betas) => ({
  m: movingAverage(state.m, dw, beta1),
  v: movingAverage(state.v, squareOf(dw), beta2),
});

export interface AdamOptions extends OptimizerOptions {
  /** β₁, how slowly m forgets; 0.9 unless said. */
  readonly beta1?: number;
  /** β₂, how slowly v forgets; 0.999 unless said. */
  readonly beta2?: number;
  /** ε; 1e-8 unless said. */
  readonly epsilon?: number;
  /** Divides by the largest v so far (Reddi, Kale & Kumar, 2018). */
  readonly amsgrad?: boolean;
}

const ADAM = { learningRate: 1e-3 as LearningRate, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };

function adamLike(name: string, usualDecay: number, given: AdamOptions, decoupled: boolean): Optimizer {
  const options = withDefaults(name, { ...ADAM, amsgrad: false, weightDecay: usualDecay }, given);
  const { beta1, beta2, epsilon, amsgrad, weightDecay } = options;
  const shrinks = decoupled && weightDecay > 0;
  return defineOptimizer({
    name,
    options,
    state: amsgrad ? ["m", "v", "largest"] : ["m", "v"],
    decoupled,
    scalars: (t, learningRate) => ({
      stepSize: learningRate / (1 - beta1 ** t),
      correction: 1 / Math.sqrt(1 - beta2 ** t),
      ...(shrinks && { keep: 1 - learningRate * weightDecay }),
    }),
    rule: ({ w, dw, state, scalars }) => {
      const { m, v } = moments(state, dw, options);
      const largest = amsgrad ? maximum(state.largest, v) : undefined;
      const denominator = add(mul(sqrt(largest ?? v), scalars.correction), epsilon);
      const kept = shrinks ? mul(w, scalars.keep) : w;
      return {
        w: sub(kept, div(mul(scalars.stepSize, m), denominator)),
        state: { m, v, ...(largest && { largest }) },
      };
    },
  });
}

/**
 * Adam (Kingma & Ba, 2015): m ← β₁m + (1 − β₁)g, v ← β₂v + (1 − β₂)g², w ← w − η m̂ / (√v̂ + ε), where the hats divide
 * by 1 − βᵗ; η is 0.001 unless said.
 *
 * @example
 * const optimizer = adam({ learningRate: 1e-3, globalClipNorm: 1 });
 */
export const adam = (options: AdamOptions = {}): Optimizer => adamLike("adam", 0, options, false);

/**
 * Adam with decoupled weight decay (Loshchilov & Hutter, 2019): w ← (1 − ηλ) w − η m̂ / (√v̂ + ε); λ is 0.01 unless said.
 *
 * @example
 * const optimizer = adamw({ learningRate: 0.01, weightDecay: 0.5 });
 */
export const adamw = (options: AdamOptions = {}): Optimizer => adamLike("adamw", 0.01, options, true);

export interface NadamOptions extends OptimizerOptions {
  readonly beta1?: number;
  readonly beta2?: number;
  readonly epsilon?: number;
  /** ψ in μₜ = β₁ (1 − ½ · 0.96^(tψ)); 0.004 unless said. */
  readonly momentumDecay?: number;
}

/**
 * NAdam (Dozat, 2016): Adam with Nesterov's look ahead, w ← w − η (μₜ₊₁ m / (1 − Πμ) + (1 − μₜ) g / (1 − Πμ)) / (√v̂ + ε),
 * the first product up to t + 1, the second up to t; η is 0.002 unless said.
 */
export function nadam(given: NadamOptions = {}): Optimizer {
  const options = withDefaults("nadam", { ...ADAM, learningRate: 2e-3, momentumDecay: 0.004 }, given);
  const { beta1, beta2, epsilon, momentumDecay } = options;
  const mu = (t: number): number => beta1 * (1 - 0.5 * 0.96 ** (t * momentumDecay));
  // Π μ up to t, remembered: products[t].
  const products = [1];
  const product = (t: number): number => {
    for (let k = products.length; k <= t; k++) products.push(products[k - 1] * mu(k));
    return products[t];
  };
  return defineOptimizer({
    name: "nadam",
    options,
    state: ["m", "v"],
    scalars: (t, learningRate) => ({
      gradientStep: (learningRate * (1 - mu(t))) / (1 - product(t)),
      momentumStep: (learningRate * mu(t + 1)) / (1 - product(t + 1)),
      correction: 1 / Math.sqrt(1 - beta2 ** t),
    }),
    rule: ({ w, dw, state, scalars }) => {
      const { m, v } = moments(state, dw, options);
      const denominator = add(mul(sqrt(v), scalars.correction), epsilon);
      const direction = add(mul(scalars.gradientStep, dw), mul(scalars.momentumStep, m));
      return { w: sub(w, div(direction, denominator)), state: { m, v } };
    },
  });
}

export interface LionOptions extends OptimizerOptions {
  readonly beta1?: number;
  readonly beta2?: number;
}

/**
 * Lion (Chen et al., 2023): w ← (1 − ηλ) w − η sign(β₁ m + (1 − β₁) g), m ← β₂ m + (1 − β₂) g; β₂ is 0.99 and η 1e-4
 * unless said: about a tenth of Adam's, since every weight moves by the whole of it.
 */
export function lion(given: LionOptions = {}): Optimizer {
  const options = withDefaults("lion", { learningRate: 1e-4, beta1: 0.9, beta2: 0.99 }, given);
  const { beta1, beta2, weightDecay = 0 } = options;
  return defineOptimizer({
    name: "lion",
    options,
    state: ["m"],
    decoupled: true,
    scalars: (_, learningRate): Record<string, number> =>
      weightDecay > 0 ? { keep: 1 - learningRate * weightDecay } : {},
    rule: ({ w, dw, state, scalars }) => {
      const c = movingAverage(state.m, dw, beta1);
      const kept = weightDecay > 0 ? mul(w, scalars.keep) : w;
      const sign = sub(greater(c, 0), less(c, 0));
      return { w: sub(kept, mul(scalars.learningRate, sign)), state: { m: movingAverage(state.m, dw, beta2) } };
    },
  });
}
