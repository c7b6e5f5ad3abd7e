/**
 * A Keras model as layers of ours, how they are wired, and their weights. Shapes are followed from the input on, since what
 * some classes mean depends on them. Everything that is not known is named at once.
 */
import { isObject, show } from "../../checks.ts";
import { ChainruleError, DataError } from "../../errors.ts";
import { input as inputNode } from "../../graph/leaf.ts";
import { type Shape, sameShape, showShape, sizeOf } from "../../graph/shape.ts";
import type { Layer } from "../../nn/layer.ts";
import type { Wiring } from "../../nn/wiring.ts";
import { ACTIVATION_CLASSES } from "./classes/activation.ts";
import { CONVOLUTION_CLASSES } from "./classes/convolution.ts";
import { CORE_CLASSES } from "./classes/core.ts";
import { MERGING_CLASSES } from "./classes/merging.ts";
import {
  type InnerLayer,
  type LayerPlace,
  type Part,
  shapeAfter,
  type Translate,
  type Values,
  type Weights,
} from "./classes/place.ts";
import { SEQUENCE_CLASSES } from "./classes/sequence.ts";
import { SHAPE_CLASSES } from "./classes/shape.ts";
import type { Call, KerasLayer, KerasModel, Tensor } from "./config.ts";
import { merged } from "./layer.ts";
import { Settings } from "./settings.ts";
import { snakeCase, type WeightSource } from "./weights.ts";

const CLASSES: Readonly<Record<string, Translate>> = {
  ...CORE_CLASSES,
  ...ACTIVATION_CLASSES,
  ...CONVOLUTION_CLASSES,
  ...SHAPE_CLASSES,
  ...MERGING_CLASSES,
  ...SEQUENCE_CLASSES,
};

/** The classes of layers that are known. */
export const KERAS_CLASSES: readonly string[] = Object.keys(CLASSES).sort();

/** What is read of a file beside the model's description. */
export interface KerasFile {
  readonly keras: 2 | 3;
  readonly weights: WeightSource;
}

/** A model of ours, not yet made. */
export interface Translated {
  readonly layers: readonly Layer[];
  readonly wiring: Wiring;
  /** Weights by their names in our network. */
  readonly values: ReadonlyMap<string, Values>;
  readonly output: Shape;
}

/** A value in a model: its number in the wiring, its shape, and whether places of it are masked. */
interface Value {
  readonly number: number;
  readonly shape: Shape;
  readonly mask?: string;
}

/** Layers that heed masked places in another way than ours do. */
const OTHER_MASKS = /^(Conv1D|Convolution1D|SeparableConv1D|DepthwiseConv1D|GlobalMaxPooling1D|MultiHeadAttention)$/;
/** Layers that go through a sequence step by step. */
const RECURRENT = /^(LSTM|GRU|SimpleRNN|Bidirectional)$/;
/** Layers after which no mask is left. */
const END_MASKS = /^(Conv|Flatten|Reshape|Global|Max|Average|Separable|Depthwise)/;

/** How many layers and steps of recurrent layers a model may come to, with those of models within it for each time that these are applied. */
const MOST_APPLICATIONS = 20_000;

/** How many numbers one sample may be anywhere in a network: a quarter of a gigabyte. */
const MOST_NUMBERS = 2 ** 26;

/** Translates a model for samples of a shape. Throws `DataError` that names each layer of a class that is not known. */
export function translate(model: KerasModel, input: Shape, file: KerasFile): Translated {
  refuseUnknown(model);
  return new Translation(file, [], "", "").model(model, input);
}

/** All layers, those of models within models too. */
const allLayers = (model: KerasModel): readonly KerasLayer[] =>
  model.layers.flatMap((layer) => (layer.model ? allLayers(layer.model) : [layer]));

function refuseUnknown(model: KerasModel): void {
  const unknown = allLayers(model).filter(({ className }) => !Object.hasOwn(CLASSES, className));
  if (unknown.length === 0) return;
  const shown = unknown
    .slice(0, 20)
    .map(({ name, className, config }) => {
      const called = typeof config.function === "string" ? ` of ${show(config.function)}` : "";
      return `${show(name)} (${className.slice(0, 60)}${called})`;
    })
    .join(", ");
  const more = unknown.length > 20 ? ` and ${unknown.length - 20} more` : "";
  throw new DataError(
    `The model has layers of classes that are not known here: ${shown}${more}. Put others in their place, or export the model to ONNX.`,
    {},
    { code: "unknown-operator", facts: { unknown: [...new Set(unknown.map(({ className }) => className))] } },
  );
}

/** The translation of one model, which may lie in others. */
class Translation {
  readonly #file: KerasFile;
  /** The names of the models that this one lies in. */
  readonly #way: readonly string[];
  /** Keras 3's way to this one's weights. */
  readonly #path: string;
  /** What the names of our parameters begin with. */
  readonly #prefix: string;
  /** How many layers and steps it has come to. */
  #cost = 0;
  /** That of one application of each model within it. */
  readonly #costs = new Map<KerasLayer, number>();
  readonly #layers: Layer[] = [];
  readonly #wiring: number[][] = [];
  readonly #values = new Map<string, Values>();
  /** Our layer of a Keras layer: its number, or none where it does nothing. */
  readonly #made = new Map<KerasLayer, number | undefined>();
  readonly #names = new Set<string>();

  constructor(file: KerasFile, way: readonly string[], path: string, prefix: string) {
    this.#file = file;
    this.#way = way;
    this.#path = path;
    this.#prefix = prefix;
  }

  model(model: KerasModel, input: Shape): Translated {
    const paths = pathsOf(model, this.#path);
    checkSize(input, "The input");
    const start: Value = { number: 0, shape: input };
    const output = model.isSequential
      ? model.layers.reduce(
          (value, layer) => this.#apply(layer, { inputs: [], options: {} }, [value], paths.get(layer)!),
          start,
        )
      : this.#wired(model, start, paths);
    return { layers: this.#layers, wiring: this.#cutTo(output), values: this.#values, output: output.shape };
  }

  /** The wiring with the output as its last value. */
  #cutTo({ number }: Value): Wiring {
    if (number === this.#wiring.length) return this.#wiring;
    this.#layers.push({ kind: "activation", config: { name: this.#nameFor("output"), activation: "linear" } });
    return [...this.#wiring, [this.#layers.length - 1, number]];
  }

  /** Goes through what the output needs, each application after those that it takes. */
  #wired({ layers, inputs, outputs }: KerasModel, start: Value, paths: ReadonlyMap<KerasLayer, string>): Value {
    const [input, ...otherInputs] = inputs;
    const [output, ...otherOutputs] = outputs;
    if (!input || !output || otherInputs.length > 0 || otherOutputs.length > 0)
      throw new DataError(
        `A model has one input and one output here; this one has ${inputs.length} and ${outputs.length}. Keep of it what leads from one input to one output.`,
        {},
        { code: "unsupported", facts: { inputs: inputs.length, outputs: outputs.length } },
      );
    const byName = new Map(layers.map((layer) => [layer.name, layer]));
    const key = ({ layer, call }: Tensor): string => `${call} ${layer}`;
    const done = new Map<string, Value>([[key(input), start]]);
    const open = new Set<string>();
    const stack: Tensor[] = [output];
    while (stack.length > 0) {
      const tensor = stack[stack.length - 1];
      const layer = byName.get(tensor.layer)!;
      const call = layer.calls[tensor.call];
      const name = key(tensor);
      if (done.has(name)) {
        stack.pop();
        continue;
      }
      if (!call || call.inputs.length === 0)
        throw new DataError(
          `Layer ${show(tensor.layer)} is ${call ? "applied to nothing" : "not applied so often"}: the model's description is damaged. Save the model again.`,
        );
      const missing = call.inputs.filter((each) => !done.has(key(each)));
      if (missing.length === 0) {
        const values = call.inputs.map((each) => done.get(key(each))!);
        done.set(name, this.#apply(layer, call, values, paths.get(layer)!));
        stack.pop();
      } else if (open.has(name))
        throw new DataError(
          `Layer ${show(tensor.layer)} takes what comes of itself: the model's description is damaged.`,
        );
      else {
        open.add(name);
        stack.push(...missing.toReversed());
      }
    }
    return done.get(key(output))!;
  }

  /** A layer's name as ours may be: a word without dots, and no other's. */
  #nameFor(name: string): string {
    const plain = name.replaceAll(/[.\s/:]+/g, "_") || "layer";
    let free = plain;
    for (let i = 2; this.#names.has(free); i++) free = `${plain}_${i}`;
    this.#names.add(free);
    return free;
  }

  #apply(layer: KerasLayer, call: Call, values: readonly Value[], path: string): Value {
    const { className } = layer;
    const [first] = values;
    const settings = new Settings(layer);
    const mask = maskOf(settings, values);
    if (!this.#made.has(layer)) this.#make(layer, call, values, path);
    this.#cost += this.#costs.get(layer) ?? (RECURRENT.test(className) ? first.shape[0] : 1);
    if (this.#cost > MOST_APPLICATIONS)
      throw new DataError(
        `The model comes to more than ${MOST_APPLICATIONS} layers and steps of recurrent layers, counting those of models within it each time that these are applied.`,
      );
    const index = this.#made.get(layer);
    if (index === undefined) return { ...first, ...(mask !== undefined && { mask }) };
    const made = this.#layers[index];
    const takesAll = values.length > 1 && !className.startsWith("MultiHead");
    const shape = said(layer, () => (takesAll ? mergedShape(made, values) : shapeAfter(made, first.shape)));
    checkSize(shape, `Layer ${show(layer.name)}`);
    this.#wiring.push([index, ...(takesAll ? values : [first]).map(({ number }) => number)]);
    return { number: this.#wiring.length, shape, ...(mask !== undefined && !endsMask(layer) && { mask }) };
  }

  /** Makes our layer of a Keras layer, with its weights, at its first use. */
  #make(layer: KerasLayer, call: Call, values: readonly Value[], path: string): void {
    const shapes = values.map(({ shape }) => shape);
    if (layer.model) {
      this.#makeModel(layer, layer.model, shapes, path);
      return;
    }
    const place: LayerPlace = {
      settings: new Settings(layer),
      keras: this.#file.keras,
      inputs: shapes,
      call,
      isSelf: values.every(({ number }) => number === values[0].number),
      weights: this.#weightsOf(layer, path),
      inner: (described, weights) => innerOf(place, described, weights),
    };
    const parts = said(layer, () => CLASSES[layer.className](place));
    if (parts.length === 0) {
      if (values.length > 1) throw place.settings.unsupported(`takes one value, but is applied to ${values.length}`);
      this.#made.set(layer, undefined);
      return;
    }
    const name = this.#nameFor(layer.name);
    const own =
      parts.length === 1 ? parts[0].layer : { kind: "chain", config: { layers: parts.map((part) => part.layer) } };
    const frozen = layer.config.trainable === false;
    this.#add(layer, own, name, frozen);
    for (const [i, { values: weights = {} }] of parts.entries())
      for (const [key, value] of Object.entries(weights))
        this.#values.set(`${this.#prefix}${name}.${parts.length === 1 ? "" : `${innerName(parts, i)}.`}${key}`, value);
  }

  #add(layer: KerasLayer, { kind, config }: Layer, name: string, frozen: boolean): void {
    this.#made.set(layer, this.#layers.length);
    this.#layers.push({ kind, config: { ...(config as object), name, ...(frozen && { trainable: false }) } });
  }

  #makeModel(layer: KerasLayer, model: KerasModel, shapes: readonly Shape[], path: string): void {
    if (shapes.length > 1)
      throw new Settings(layer).unsupported(
        `is a model that is applied to ${shapes.length} values; models here take one`,
      );
    const name = this.#nameFor(layer.name);
    const translation = new Translation(this.#file, [...this.#way, layer.name], path, `${this.#prefix}${name}.`);
    const inner = translation.model(model, shapes[0]);
    this.#costs.set(layer, translation.#cost);
    this.#add(
      layer,
      { kind: "block", config: { layers: inner.layers, wiring: inner.wiring } },
      name,
      layer.config.trainable === false,
    );
    for (const [key, value] of inner.values) this.#values.set(key, value);
  }

  #weightsOf(layer: KerasLayer, path: string): Weights {
    const layers = [...this.#way, layer.name];
    const counts = new Map<string, number>();
    const find = (way: string, part: string, roles: readonly string[]) => {
      const index = counts.get(way) ?? 0;
      counts.set(way, index + 1);
      return this.#file.weights.find({ layers, path: way, part, roles, index });
    };
    const at = (way: string, part: string): Weights => ({
      skip: (role) => void find(way, part, [role]),
      next: (...roles) => {
        const found = find(way, part, roles);
        if (found) return found;
        throw new DataError(
          `The file has no weight ${show(part + roles[0])} of layer ${show(layer.name)} (${layer.className}). It is damaged, or its weights are of another model.`,
          {},
          { facts: { layer: layer.name, weight: roles[0] } },
        );
      },
      within: (inside, inner = part) => at(`${way}/${inside}`, inner),
    });
    return at(path, "");
  }
}

function checkSize(shape: Shape, what: string): void {
  if (sizeOf(shape) > MOST_NUMBERS)
    throw new DataError(`${what} gives ${showShape(shape)} for one sample; up to ${MOST_NUMBERS} numbers can be.`);
}

/** What goes wrong with a layer is said with its Keras name. */
function said<T>(layer: KerasLayer, make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof ChainruleError) || error instanceof DataError) throw error;
    throw new DataError(
      `Layer ${show(layer.name)} (${layer.className}) cannot be made: ${error.message}`,
      {},
      { code: error.code, facts: { ...error.facts, layer: layer.name }, cause: error },
    );
  }
}

/** Whether what a layer gives has no places that could be masked. */
function endsMask({ className, config }: KerasLayer): boolean {
  if (!RECURRENT.test(className)) return END_MASKS.test(className);
  const inner = isObject(config.layer) && isObject(config.layer.config) ? config.layer.config : config;
  return inner.return_sequences !== true;
}

/** The layer whose masked places a value has; throws where a layer would heed them in another way. */
function maskOf(settings: Settings, values: readonly Value[]): string | undefined {
  const { className, name } = settings.layer;
  const mask = values.find((value) => value.mask !== undefined)?.mask;
  if (mask !== undefined && OTHER_MASKS.test(className))
    throw settings.unsupported(
      `is given places that layer ${show(mask)} masks, and does something else with them than layers here. Train it without a mask (mask_zero: false)`,
    );
  if (className === "Masking" || (className === "Embedding" && settings.flag("mask_zero", false))) return name;
  return mask;
}

/** The shape of several values merged. */
function mergedShape({ kind, config }: Layer, values: readonly Value[]): Shape {
  const { how, axis } = config as { how: string; axis?: number };
  const nodes = values.map(({ shape }) => inputNode("x", [1, ...shape]));
  if (kind !== "merge" && kind !== "keras")
    throw new DataError(`It takes one value, but is applied to ${values.length}.`, {});
  return merged({ op: "merge", how, axis: axis ?? nodes[0].shape.length - 1 }, nodes).shape.slice(1);
}

/** What a network calls a layer that has no name of its own: its kind and which of that kind it is. */
const innerName = (parts: readonly Part[], index: number): string => {
  const { kind } = parts[index].layer;
  return `${kind}_${parts.slice(0, index + 1).filter(({ layer }) => layer.kind === kind).length}`;
};

/** Keras 3's ways to the weights of a model's layers: each class's layers are counted. */
function pathsOf({ layers }: KerasModel, path: string): Map<KerasLayer, string> {
  const counts = new Map<string, number>();
  return new Map(
    layers.map((layer) => {
      const name = snakeCase(layer.className);
      const count = counts.get(name) ?? 0;
      counts.set(name, count + 1);
      return [layer, `${path}${path && "/"}layers/${name}${count > 0 ? `_${count}` : ""}`];
    }),
  );
}

/** A layer that another one's settings describe. */
function innerOf(place: LayerPlace, described: unknown, weights: Weights): InnerLayer {
  if (!isObject(described) || typeof described.class_name !== "string" || !isObject(described.config))
    throw place.settings.unsupported(`should hold a layer { class_name, config }; ${show(described)} came`);
  const { class_name: className, config } = described;
  const layer: KerasLayer = { className, name: place.settings.layer.name, config, calls: [] };
  const settings = new Settings(layer);
  if (!Object.hasOwn(CLASSES, className) || className === "TimeDistributed" || className === "Bidirectional")
    throw place.settings.unsupported(`holds a layer of class ${className}, which is not known there`);
  const inner: LayerPlace = { ...place, settings, weights };
  return { settings, parts: CLASSES[className](inner) };
}

/** Whether two shapes are one, for sizes that a file leaves open. */
export const fitsShape = (wanted: readonly (number | null)[], shape: Shape): boolean =>
  wanted.length === shape.length &&
  sameShape(
    wanted.map((n, i) => n ?? shape[i]),
    shape,
  );
