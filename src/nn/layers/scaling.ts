/** Layers that bring data into a range that a network learns from well: rescale, normalize. */
import { checkNumbers } from "../../checks.ts";
import { ArgumentError, ShapeError } from "../../errors.ts";
import { showShape } from "../../graph/shape.ts";
import { div, mul, sub } from "../../ops/index.ts";
import { defineLayer, type Layer, type LayerOptions } from "../layer.ts";

const makeRescale = defineLayer<{ readonly scale: number } & LayerOptions>("rescale", {
  options: [],
  masks: "places",
  scales: true,
  apply: ({ scale }, { x }) => mul(x, scale),
  describe: ({ scale }) => (scale === 1 / 255 ? "1/255" : `${scale}`),
});

/**
 * Multiplies the input by a number, such as 1/255 for pixels. Any shape.
 *
 * @example
 * const model = sequential({ input: [28, 28, 1] }, [rescale(1 / 255), flatten(), dense(10)]);
 */
export function rescale(scale: number, options: LayerOptions = {}): Layer {
  checkNumbers("rescale: the ", { scale }, [Number.isFinite, "a number"]);
  return makeRescale(options, { scale });
}

interface NormalizeConfig extends LayerOptions {
  readonly mean: readonly number[];
  readonly deviation: readonly number[];
}

const makeNormalize = defineLayer<NormalizeConfig>("normalize", {
  options: [],
  masks: "places",
  scales: true,
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
  apply: (_, { x, parameter }) => div(sub(x, parameter("mean")), parameter("deviation")),
  describe: ({ mean }) => `${mean.length} ${mean.length === 1 ? "feature" : "features"}`,
});

/**
 * Standardises each feature (of the last axis) with statistics of the training data: (x − mean) / deviation.
 *
 * @example
 * import { iris, statistics } from "chainrule/data";
 * const model = sequential({ input: [4] }, [normalize(statistics(iris())), dense(3)]);
 */
export function normalize(
  statistics: { mean: ArrayLike<number>; deviation: ArrayLike<number> },
  options: LayerOptions = {},
): Layer {
  const [mean, deviation] = [statistics?.mean, statistics?.deviation].map((numbers) => Array.from(numbers ?? []));
  if (mean.length === 0 || mean.length !== deviation.length || deviation.some((d) => !(d > 0))) {
    throw new ArgumentError(
      "normalize needs { mean, deviation }, such as statistics(data) of chainrule/data: as many deviations as means, above 0.",
    );
  }
  return makeNormalize(options, { mean, deviation });
}
