/** What the translation of a class of layers is given, and what it gives: layers of ours with their weights. */

import { isObject, show } from "../../../checks.ts";
import { DataError } from "../../../errors.ts";
import { type Shape, showShape, sizeOf } from "../../../graph/shape.ts";
import type { Layer } from "../../../nn/layer.ts";
import { Network } from "../../../nn/network.ts";
import type { Call } from "../config.ts";
import { isKerasFunction, kerasLayer } from "../layer.ts";
import type { Settings } from "../settings.ts";
import { type KerasArray, snakeCase } from "../weights.ts";

/** A weight of ours: an array of the file, or one number everywhere where the file has none. */
export type Values = KerasArray | number;

/** One of our layers, and its weights by the names that they have in it. */
export interface Part {
  readonly layer: Layer;
  readonly values?: Readonly<Record<string, Values>>;
}

/** Reads weights of the layer in the order in which Keras makes them. */
export interface Weights {
  /** The next weight, by its role and by what else that is called. Throws `DataError` where the file lacks it. */
  next(...roles: string[]): KerasArray;
  /** Passes over a weight that some versions have and nothing here needs. */
  skip(role: string): void;
  /** Weights of a layer inside of this one: its way in Keras 3's files, and what a part of their names begins with. */
  within(path: string, part?: string): Weights;
}

/** A layer inside of another one. */
export interface InnerLayer {
  readonly settings: Settings;
  readonly parts: readonly Part[];
}

/** A layer in its place in a model. */
export interface LayerPlace {
  readonly settings: Settings;
  /** The version of Keras: 3, or 2 for those before it and for TensorFlow.js. */
  readonly keras: 2 | 3;
  /** The shapes of what it is applied to, without the batch. */
  readonly inputs: readonly Shape[];
  readonly call: Call;
  /** Which of the inputs are one and the same. */
  readonly isSelf: boolean;
  readonly weights: Weights;
  /** Translates a layer that another one's settings describe, { class_name, config }, in the same place. */
  inner(described: unknown, weights: Weights): InnerLayer;
}

/** What a class of layers is in ours; nothing, where it does nothing at inference. */
export type Translate = (place: LayerPlace) => readonly Part[];

/** The shape that a layer makes of another. */
export const shapeAfter = (layer: Layer, shape: Shape): Shape => new Network(shape, 0, [layer]).outputShape;

/** The shape that several layers make of another, one after the other. */
export const shapeAfterAll = (parts: readonly Part[], shape: Shape): Shape =>
  parts.reduce((now, { layer }) => shapeAfter(layer, now), shape);

/** An array of the file in another shape, where the numbers stay in their order. */
export function reshaped(array: KerasArray, shape: Shape): KerasArray {
  if (sizeOf(shape) !== array.data.length)
    throw new DataError(
      `A weight of shape ${showShape(array.shape)} does not fit, where ${showShape(shape)} is wanted: the file is damaged.`,
    );
  return { shape, data: array.data };
}

/** An axis as Keras counts it, −1 or 3 for the last of four; counted from the batch. Throws where there is none such. */
export function axisOf(settings: Settings, key: string, shape: Shape, usual = -1): number {
  const [axis = usual, ...others] = settings.list(key, [usual]);
  const count = shape.length + 1;
  const fromStart = axis < 0 ? axis + count : axis;
  if (others.length > 0 || fromStart < 1 || fromStart >= count)
    throw settings.unsupported(
      `has ${key} ${show(settings.value(key))} of ${count} axes; one behind the batch is known`,
    );
  return fromStart;
}

/** Ours, by the names that Keras gives them. */
const ACTIVATIONS: Readonly<Record<string, string>> = {
  linear: "linear",
  relu: "relu",
  sigmoid: "sigmoid",
  tanh: "tanh",
  softmax: "softmax",
  log_softmax: "logSoftmax",
  softplus: "softplus",
  softsign: "softsign",
  soft_sign: "softsign",
  elu: "elu",
  celu: "elu",
  selu: "selu",
  gelu: "gelu",
  gelu_new: "geluTanh",
  silu: "silu",
  swish: "silu",
  mish: "mish",
  hard_silu: "hardSwish",
  hard_swish: "hardSwish",
  leaky_relu: "leakyRelu(0.2)",
};

/** An activation: one of ours by its name, or a layer that does it. */
type Activated = { readonly name: string } | { readonly parts: readonly Part[] };

/** What a setting means that names an activation, or describes a layer that is one. */
export function activationOf(place: LayerPlace, key = "activation", usual = "linear"): Activated {
  const { settings, keras } = place;
  let value: unknown = settings.value(key) ?? usual;
  // Keras 3 may write a function as an object.
  if (isObject(value) && value.class_name === "function") value = value.config;
  if (isObject(value)) return { parts: place.inner(value, place.weights).parts };
  if (typeof value !== "string") throw settings.unsupported(`has ${key} ${show(value)}, which is no name`);
  const name = snakeCase(value);
  // Its slope was 0.2 before Keras 3, and is 1/6 now.
  if (name === "hard_sigmoid") return { name: keras === 3 ? "hardSigmoid" : "hardSigmoid(0.2)" };
  if (Object.hasOwn(ACTIVATIONS, name)) return { name: ACTIVATIONS[name] };
  if (isKerasFunction(name)) return { parts: [{ layer: kerasLayer({ op: "function", function: name }) }] };
  throw settings.unsupported(
    `has the ${key} ${show(value)}, which is not known here. Known are ${Object.keys(ACTIVATIONS).join(", ")}`,
  );
}

/** The name of one of our activations; throws where it is none of ours. */
export function activationName(place: LayerPlace, key: string, usual: string): string {
  const found = activationOf(place, key, usual);
  if ("name" in found) return found.name;
  throw place.settings.unsupported(
    `has the ${key} ${show(place.settings.value(key))}, which is not known inside of it`,
  );
}

/** A layer with its activation: within it, or as a layer after it. */
export function withActivation(
  place: LayerPlace,
  make: (activation: { activation?: string }) => Part,
): readonly Part[] {
  const found = activationOf(place);
  if ("name" in found) return [make(found.name === "linear" ? {} : { activation: found.name })];
  return [make({}), ...found.parts];
}
