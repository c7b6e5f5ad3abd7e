/** Keras's dense layers, embeddings, normalisations and what brings data into a range. */
import { show } from "../../../checks.ts";
import { sizeOf } from "../../../graph/shape.ts";
import {
  batchNorm,
  dense,
  embedding,
  layerNorm,
  masking,
  normalize,
  rescale,
  reshape,
} from "../../../nn/layers/index.ts";
import { kerasLayer } from "../layer.ts";
import { axisOf, type LayerPlace, type Part, type Translate, type Values, withActivation } from "./place.ts";
import { toFirst, toLast } from "./shape.ts";

/** Our dense layers take features, or a sequence of them: of more axes the places become one. */
const densely: Translate = (place) => {
  const { settings, inputs, weights } = place;
  const [input] = inputs;
  const units = settings.whole("units");
  const bias = settings.flag("use_bias", true);
  const values = { kernel: weights.next("kernel"), ...(bias && { bias: weights.next("bias") }) };
  const parts = withActivation(place, (activation) => ({
    layer: dense(units, { bias, ...settings.penalties(), ...activation }),
    values,
  }));
  if (input.length < 3) return parts;
  const places = input.slice(0, -1);
  return [
    { layer: reshape([sizeOf(places), input[input.length - 1]]) },
    ...parts,
    { layer: reshape([...places, units]) },
  ];
};

const embedded: Translate = ({ settings, weights }) => [
  {
    layer: embedding(settings.whole("input_dim"), settings.whole("output_dim"), {
      ...(settings.flag("mask_zero", false) && { maskZero: true }),
    }),
    values: { table: weights.next("embeddings") },
  },
];

/** A normalisation over the last axis; over another one between two turns. */
function overLast(place: LayerPlace, axis: number, part: Part): readonly Part[] {
  const places = place.inputs[0].length - 1;
  if (axis === places + 1) return [part];
  if (axis !== 1)
    throw place.settings.unsupported(`normalises axis ${axis} of ${places + 2}; the last one or axis 1 is known`);
  const turned = (order: readonly number[]): Part => ({ layer: kerasLayer({ op: "permute", order }) });
  return [turned(toLast(places)), part, turned(toFirst(places))];
}

/** γ and β; 1 and 0 where the file has none. */
function scaleAndCenter({ settings, weights }: LayerPlace): Record<string, Values> {
  const gamma = settings.flag("scale", true) ? weights.next("gamma") : 1;
  const beta = settings.flag("center", true) ? weights.next("beta") : 0;
  return { gamma, beta };
}

const batchNormalised: Translate = (place) => {
  const { settings, weights, inputs } = place;
  const values = {
    ...scaleAndCenter(place),
    mean: weights.next("moving_mean"),
    variance: weights.next("moving_variance"),
  };
  const layer = batchNorm({ momentum: settings.number("momentum", 0.99), epsilon: settings.number("epsilon", 1e-3) });
  return overLast(place, axisOf(settings, "axis", inputs[0]), { layer, values });
};

const layerNormalised: Translate = (place) => {
  const { settings, inputs } = place;
  if (settings.flag("rms_scaling", false)) throw settings.unsupported("has rms_scaling, which is not known here");
  const axis = axisOf(settings, "axis", inputs[0]);
  if (axis !== inputs[0].length) throw settings.unsupported(`normalises axis ${axis}; only the last one is known`);
  return [{ layer: layerNorm({ epsilon: settings.number("epsilon", 1e-3) }), values: scaleAndCenter(place) }];
};

const isNumbers = (x: unknown): x is number[] => Array.isArray(x) && x.every((n) => typeof n === "number");

/** Numbers in nested lists, as a NumPy array is written. */
const flatNumbers = (x: unknown): unknown => (Array.isArray(x) ? x.flat(4) : x);

const standardised: Translate = ({ settings, weights, inputs: [input] }) => {
  if (settings.flag("invert", false)) throw settings.unsupported("has invert, which is not known here");
  const axis = settings.list("axis", [-1]);
  const features = input[input.length - 1];
  if (axis.length > 1 || (axis.length === 1 && ![-1, input.length].includes(axis[0])))
    throw settings.unsupported(`has axis ${show(axis)}; the last one is known`);
  if (features > 2 ** 20) throw settings.unsupported(`has ${features} features`);
  const all = (numbers: readonly number[]): number[] =>
    numbers.length === 1 ? Array.from({ length: features }, () => numbers[0]) : [...numbers];
  const given = [flatNumbers(settings.value("mean")), flatNumbers(settings.value("variance"))].map((x) =>
    typeof x === "number" ? [x] : x,
  );
  const [mean, variance] = given.every(isNumbers)
    ? (given as number[][])
    : [[...weights.next("mean").data], [...weights.next("variance").data]];
  weights.skip("count");
  // Keras divides by no less than 10⁻⁷.
  const deviation = variance.map((v) => Math.max(Math.sqrt(v), 1e-7));
  const [centre, spread] = [all(mean), all(deviation)];
  const array = (numbers: readonly number[]) => ({ shape: [features], data: Float32Array.from(numbers) });
  return [
    {
      layer: normalize({ mean: centre, deviation: spread }),
      values: { mean: array(centre), deviation: array(spread) },
    },
  ];
};

const rescaled: Translate = ({ settings }) => {
  const numbers = (key: string, usual: number): readonly number[] => {
    const value = settings.value(key);
    return isNumbers(value) && value.length > 0 ? value : [settings.number(key, usual)];
  };
  const [scale, offset] = [numbers("scale", 1), numbers("offset", 0)];
  if (scale.length === 1 && offset.length === 1 && offset[0] === 0) return [{ layer: rescale(scale[0]) }];
  return [{ layer: kerasLayer({ op: "rescale", scale, offset }) }];
};

/** Classes that do at each place of a sequence what they do anyway, since they work on the last axis or on each value. */
const PLACEWISE =
  /^(Dense|Activation|ReLU|LeakyReLU|ELU|ThresholdedReLU|Softmax|Dropout|LayerNormalization|BatchNormalization)$/;

const timeDistributed: Translate = (place) => {
  const { settings, inputs, weights } = place;
  const { settings: own, parts } = place.inner(settings.value("layer"), weights.within("layer"));
  if (own.layer.className === "Flatten") return [{ layer: reshape([inputs[0][0], -1]) }];
  if (PLACEWISE.test(own.layer.className)) return parts;
  throw settings.unsupported(
    `applies ${own.layer.className} to each place; Dense, Flatten, activations and normalisations are known there`,
  );
};

export const CORE_CLASSES: Readonly<Record<string, Translate>> = {
  Dense: densely,
  Embedding: embedded,
  BatchNormalization: batchNormalised,
  LayerNormalization: layerNormalised,
  Masking: ({ settings }) => [{ layer: masking({ value: settings.number("mask_value", 0) }) }],
  Normalization: standardised,
  Rescaling: rescaled,
  TimeDistributed: timeDistributed,
};
