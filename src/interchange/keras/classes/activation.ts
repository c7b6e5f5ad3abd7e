/** Keras's layers of activations, and those that only training knows. */
import { activation, dropout, spatialDropout } from "../../../nn/layers/index.ts";
import { kerasLayer } from "../layer.ts";
import { activationOf, axisOf, type LayerPlace, type Part, reshaped, type Translate } from "./place.ts";

const ours = (name: string): readonly Part[] => (name === "linear" ? [] : [{ layer: activation(name) }]);

/** Slopes were called alpha before Keras 3. */
const slopeOf = ({ settings }: LayerPlace, usual: number): number =>
  settings.number("negative_slope", settings.number("alpha", usual));

function relu({ settings }: LayerPlace): readonly Part[] {
  const slope = settings.number("negative_slope", 0);
  const threshold = settings.number("threshold", 0);
  const most = settings.value("max_value") === undefined ? null : settings.number("max_value");
  if (threshold === 0 && most === null) return ours(slope === 0 ? "relu" : `leakyRelu(${slope})`);
  return [{ layer: kerasLayer({ op: "relu", slope, threshold, most }) }];
}

function softmax({ settings, inputs: [input] }: LayerPlace): readonly Part[] {
  const axis = axisOf(settings, "axis", input);
  return axis === input.length ? ours("softmax") : [{ layer: kerasLayer({ op: "softmax", axis }) }];
}

function prelu({ settings, inputs: [input], weights }: LayerPlace): readonly Part[] {
  const shared = settings.list("shared_axes", []).map((axis) => (axis < 0 ? axis + input.length : axis - 1));
  const alpha = input.map((n, i) => (shared.includes(i) ? 1 : n));
  return [{ layer: kerasLayer({ op: "prelu", alpha }), values: { alpha: reshaped(weights.next("alpha"), alpha) } }];
}

const drop: Translate = ({ settings }) => {
  const rate = settings.number("rate");
  settings.only("noise_shape");
  return rate === 0 ? [] : [{ layer: dropout(rate) }];
};

/** What does nothing at inference, and whose part in training is not known here. */
const nothing: Translate = () => [];

export const ACTIVATION_CLASSES: Readonly<Record<string, Translate>> = {
  Activation: (place) => {
    const found = activationOf(place);
    return "name" in found ? ours(found.name) : found.parts;
  },
  ReLU: relu,
  LeakyReLU: (place) => ours(`leakyRelu(${slopeOf(place, 0.3)})`),
  ELU: ({ settings }) => ours(`elu(${settings.number("alpha", 1)})`),
  ThresholdedReLU: ({ settings }) => [
    { layer: kerasLayer({ op: "relu", slope: 0, threshold: settings.number("theta", 1), most: null }) },
  ],
  PReLU: prelu,
  Softmax: softmax,
  Dropout: drop,
  AlphaDropout: nothing,
  GaussianDropout: nothing,
  GaussianNoise: nothing,
  SpatialDropout1D: ({ settings }) => [{ layer: spatialDropout(settings.number("rate")) }],
  SpatialDropout2D: ({ settings }) => {
    settings.only("data_format", "channels_last");
    return [{ layer: spatialDropout(settings.number("rate")) }];
  },
  ActivityRegularization: nothing,
  Identity: nothing,
  InputLayer: nothing,
  RandomBrightness: nothing,
  RandomContrast: nothing,
  RandomCrop: nothing,
  RandomFlip: nothing,
  RandomRotation: nothing,
  RandomTranslation: nothing,
  RandomZoom: nothing,
};
