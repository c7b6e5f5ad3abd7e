/** Layers without trainable parameters: activation, dropout, flatten, rescale, normalize. */
import { ArgumentError, ShapeError } from "../../errors.ts";
import { showShape, sizeOf } from "../../graph/shape.ts";
import { div, greater, mul, reshape, sub, toFloat } from "../../ops/index.ts";
import { activationNamed } from "../activations.ts";
import { defineLayer, type Layer } from "../layer.ts";

const makeActivation = defineLayer<{ readonly function: string }>("activation", {
  apply: (config, { x, name }) => name(activationNamed(config.function)(x), "a"),
  describe: (config) => config.function,
});

/** An activation as a layer of its own: `activation("tanh")`. */
export function activation(name: string): Layer {
  activationNamed(name);
  return makeActivation({ function: name });
}

const makeDropout = defineLayer<{ readonly rate: number }>("dropout", {
  apply: ({ rate }, { x, training, uniform, name }) => {
    if (!training || rate === 0) return x;
    const kept = name(greater(uniform(x.shape), rate - 2 ** -25), "mask");
    return mul(x, mul(kept, 1 / (1 - rate)));
  },
  describe: ({ rate }) => `${rate}`,
});

/**
 * Sets each value to 0 with probability `rate` while training and scales the rest by 1/(1 − rate), so that the mean
 * stays; does nothing at inference (Srivastava et al., 2014).
 */
export function dropout(rate: number): Layer {
  if (!(rate >= 0 && rate < 1))
    throw new ArgumentError(`dropout needs a rate from 0 up to, not including, 1; ${rate} came.`);
  return makeDropout({ rate });
}

const makeFlatten = defineLayer<Record<string, never>>("flatten", {
  apply: (_, { x }) => reshape(x, [x.shape[0], sizeOf(x.shape.slice(1))]),
});

/** Puts all axes but the batch into one: [B, H, W, C] → [B, H·W·C]. */
export const flatten = (): Layer => makeFlatten({});

const makeRescale = defineLayer<{ readonly scale: number }>("rescale", {
  apply: ({ scale }, { x }) => mul(x, scale),
  describe: ({ scale }) => (scale === 1 / 255 ? "1/255" : `${scale}`),
});

/** Multiplies the input by a number, such as 1/255 for pixels. */
export const rescale = (scale: number): Layer => makeRescale({ scale });

interface NormalizeConfig {
  readonly mean: readonly number[];
  readonly deviation: readonly number[];
}

const makeNormalize = defineLayer<NormalizeConfig>("normalize", {
  parameters: ({ mean, deviation }, input) => {
    if (mean.length !== input[input.length - 1]) {
      throw new ShapeError(
        `normalize has statistics of ${mean.length} features, but the input is ${showShape(input)}.`,
      );
    }
    const values = (numbers: readonly number[]) => () => Float32Array.from(numbers);
    return [
      { name: "mean", shape: [mean.length], init: values(mean), trainable: false },
      { name: "deviation", shape: [mean.length], init: values(deviation), trainable: false },
    ];
  },
  apply: (_, { x, parameter }) => div(sub(toFloat(x), parameter("mean")), parameter("deviation")),
  describe: ({ mean }) => `${mean.length} features`,
});

/** Standardises each feature with statistics taken from the training data: (x − mean) / deviation. */
export function normalize(statistics: { mean: ArrayLike<number>; deviation: ArrayLike<number> }): Layer {
  const { mean, deviation } = { mean: Array.from(statistics.mean), deviation: Array.from(statistics.deviation) };
  if (mean.length !== deviation.length || deviation.some((d) => !(d > 0))) {
    throw new ArgumentError("normalize needs as many deviations as means, all of them above 0.");
  }
  return makeNormalize({ mean, deviation });
}
