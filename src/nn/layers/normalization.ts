/**
 * Batch, layer and root mean square normalisation: x̂ = (x − μ) / √(σ² + ε), y = γ x̂ + β. They differ in what μ and σ² are taken over. The
 * backward pass, through mean and variance too, follows from the graph.
 */
import { ABOVE_0, BELOW_1, checkNumbers } from "../../checks.ts";
import { ShapeError } from "../../errors.ts";
import type { Node } from "../../graph/node.ts";
import { checkAxis, type Shape } from "../../graph/shape.ts";
import { add, div, flushTiny, mean, mul, sqrt, sub } from "../../ops/index.ts";
import { initializer } from "../initializers.ts";
import { defineLayer, type Layer, type LayerContext, type LayerOptions, type ParameterSpec } from "../layer.ts";

/** One number for each feature of the last axis: the parameters of these names, with their initial values. */
const perFeature = (input: Shape, initial: Readonly<Record<string, number>>, trainable = true): ParameterSpec[] =>
  Object.entries(initial).map(([name, value]) => ({
    name,
    shape: input.slice(-1),
    init: initializer(value),
    trainable,
  }));

/** Mean and variance over some axes; they keep their rank where `keepDims` says so. */
function statistics(x: Node, axes: readonly number[], keepDims: boolean) {
  const average = mean(x, axes, keepDims);
  const centred = sub(x, average);
  return { average, centred, variance: mean(mul(centred, centred), axes, keepDims) };
}

/** γ (x − μ) / √(σ² + ε) + β */
function normalized(centred: Node, variance: Node, epsilon: number, { parameter, name }: LayerContext): Node {
  // One division per feature instead of one per element, here and in the backward pass.
  const standard = name(mul(centred, div(1, sqrt(add(variance, epsilon)))), "normalized");
  return add(mul(standard, parameter("gamma")), parameter("beta"));
}

/** Options of `batchNorm`. */
export interface BatchNormOptions extends LayerOptions {
  /** How much of the running statistics each step keeps; 0.9 unless said (PyTorch's momentum is 1 − this). */
  readonly momentum?: number;
  /** ε; 1e-5 unless said. */
  readonly epsilon?: number;
}

const makeBatchNorm = defineLayer<BatchNormOptions>("batchNorm", {
  options: ["momentum", "epsilon"],
  scales: true,
  parameters: (_, input) => {
    checkAxis("batchNorm", input);
    return [...perFeature(input, { gamma: 1, beta: 0 }), ...perFeature(input, { mean: 0, variance: 1 }, false)];
  },
  apply: ({ momentum = 0.9, epsilon = 1e-5 }, context) => {
    const { x, training, parameter, update, name } = context;
    if (!training) return normalized(sub(x, parameter("mean")), parameter("variance"), epsilon, context);
    const axes = [...x.shape.keys()].slice(0, -1);
    const { average, centred, variance } = statistics(x, axes, false);
    const count = axes.reduce((n, axis) => n * x.shape[axis], 1);
    if (count === 1)
      throw new ShapeError(
        "batchNorm: a batch of one row has no variance, so nothing could be learnt from it. Take a batch size that leaves no single row over, or layerNorm.",
      );
    const unbiased = mul(variance, count / Math.max(1, count - 1));
    const keep = (running: string, batch: Node) =>
      update(running, flushTiny(add(mul(parameter(running), momentum), mul(batch, 1 - momentum))));
    keep("mean", name(average, "batchMean"));
    keep("variance", unbiased);
    return normalized(centred, name(variance, "batchVariance"), epsilon, context);
  },
});

/**
 * Batch normalisation (Ioffe & Szegedy, 2015) of each feature (of the last axis) over the batch and all places:
 * [B, …, C] → the same. While training with the batch's mean and (biased) variance; at inference with running ones,
 * running ← momentum · running + (1 − momentum) · batch, whose variance is the unbiased one, as in PyTorch.
 *
 * @example
 * const model = sequential({ input: [8] }, [dense(16, { bias: false }), batchNorm(), activation("relu"), dense(1)]);
 */
export function batchNorm(options: BatchNormOptions = {}): Layer {
  const { momentum = 0.9, epsilon = 1e-5 } = options;
  checkNumbers("batchNorm: ", { momentum }, BELOW_1);
  checkNumbers("batchNorm: ", { epsilon }, ABOVE_0);
  return makeBatchNorm(options);
}

/** Options of `layerNorm`. */
export interface LayerNormOptions extends LayerOptions {
  /** ε; 1e-5 unless said. */
  readonly epsilon?: number;
}

const makeLayerNorm = defineLayer<LayerNormOptions>("layerNorm", {
  options: ["epsilon"],
  masks: "places",
  scales: true,
  parameters: (_, input) => {
    checkAxis("layerNorm", input);
    return perFeature(input, { gamma: 1, beta: 0 });
  },
  apply: ({ epsilon = 1e-5 }, context) => {
    const { centred, variance } = statistics(context.x, [-1], true);
    return normalized(centred, variance, epsilon, context);
  },
});

/**
 * Layer normalisation (Ba, Kiros & Hinton, 2016) of each sample, at each place, over its features: [B, …, C] → the same.
 *
 * @example
 * const model = sequential({ input: [8] }, [dense(16), layerNorm(), dense(2)]);
 */
export function layerNorm(options: LayerNormOptions = {}): Layer {
  checkNumbers("layerNorm: ", { epsilon: options.epsilon ?? 1e-5 }, ABOVE_0);
  return makeLayerNorm(options);
}

const makeRmsNorm = defineLayer<LayerNormOptions>("rmsNorm", {
  options: ["epsilon"],
  masks: "places",
  scales: true,
  parameters: (_, input) => {
    checkAxis("rmsNorm", input);
    return perFeature(input, { gamma: 1 });
  },
  apply: ({ epsilon = 1e-5 }, { x, parameter, name }) => {
    const size = sqrt(add(mean(mul(x, x), -1, true), epsilon));
    return mul(name(mul(x, div(1, size)), "normalized"), parameter("gamma"));
  },
});

/**
 * Root mean square normalisation (Zhang & Sennrich, 2019): γ x / √(mean x² + ε) over the features of each place; it takes off no
 * mean and adds none: [B, …, C] → the same.
 *
 * @example
 * const model = sequential({ input: [8] }, [dense(16), rmsNorm(), dense(2)]);
 */
export function rmsNorm(options: LayerNormOptions = {}): Layer {
  checkNumbers("rmsNorm: ", { epsilon: options.epsilon ?? 1e-5 }, ABOVE_0);
  return makeRmsNorm(options);
}
