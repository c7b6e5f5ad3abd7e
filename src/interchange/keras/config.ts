/**
 * What Keras and TensorFlow.js say of a model in JSON, read with suspicion: layers, their settings, which is applied to what.
 * The forms of Keras 1 to 3 become one here. What a class of layers means is for the rooms of classes/; no weights are here.
 */
import { isObject, show } from "../../checks.ts";
import { DataError } from "../../errors.ts";

/** What some application of some layer gave. */
export interface Tensor {
  readonly layer: string;
  /** Which application of that layer, from 0. */
  readonly call: number;
}

/** An application of a layer. */
export interface Call {
  readonly inputs: readonly Tensor[];
  /** What was handed over beside tensors, such as `use_causal_mask`; under `constant` a number that stood in a tensor's place. */
  readonly options: Readonly<Record<string, unknown>>;
}

export interface KerasLayer {
  /** `Conv2D` */
  readonly className: string;
  readonly name: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly calls: readonly Call[];
  /** Where the layer is a model itself. */
  readonly model?: KerasModel;
}

/** A model: its layers one after the other, or wired. */
export interface KerasModel {
  readonly isSequential: boolean;
  readonly layers: readonly KerasLayer[];
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  /** One sample, as far as it is known. */
  readonly inputShape?: readonly (number | null)[];
}

/** Models within models, and layers of one model, of which there may be as many. */
const MOST_DEPTH = 16;
const MOST_LAYERS = 20_000;

const MODELS = ["Sequential", "Functional", "Model"];

const damaged = (what: string, came: unknown): DataError =>
  new DataError(`The model's description is damaged: ${what}; ${show(came)} came. Save the model again.`, {});

/** Reads what `model.to_json()`, a .keras file's config.json or a `model_config` hold. */
export function readKerasModel(json: unknown, depth = 0): KerasModel {
  if (depth > MOST_DEPTH) throw damaged(`models may lie ${MOST_DEPTH} deep in one another`, json);
  if (!isObject(json) || typeof json.class_name !== "string")
    throw damaged("a model should be { class_name, config }", json);
  if (!MODELS.includes(json.class_name))
    throw new DataError(
      `The model is of a class of its own, ${show(json.class_name)}, whose computation stands in its program and not in the file. Build it as a Sequential or Functional model of the same layers, or export it to ONNX.`,
      {},
      { code: "unknown-operator", facts: { unknown: [json.class_name] } },
    );
  // The first versions of Keras had the bare list of layers there.
  const config = Array.isArray(json.config) ? { layers: json.config } : json.config;
  if (!isObject(config) || !Array.isArray(config.layers)) throw damaged("a model's config should have layers", config);
  if (config.layers.length > MOST_LAYERS) throw damaged(`a model may have ${MOST_LAYERS} layers`, config.layers.length);
  const isSequential = json.class_name === "Sequential";
  const layers = config.layers.map((layer, i) => readLayer(layer, i, depth));
  const names = new Set(layers.map(({ name }) => name));
  if (names.size < layers.length) throw damaged("layers should have different names", [...names]);
  const built = isObject(json.build_config) ? json.build_config.input_shape : undefined;
  const inputs = isSequential ? [] : tensorsOf(config.input_layers, layers);
  const outputs = isSequential ? [] : tensorsOf(config.output_layers, layers);
  const first = isSequential ? layers[0] : layers.find(({ name }) => name === inputs[0]?.layer);
  return {
    isSequential,
    layers: layers.map((layer) => ({ ...layer, calls: layer.calls.map((call) => withOwnCounts(call, layers)) })),
    inputs,
    outputs,
    inputShape: first && (shapeOf(first) ?? sample(config.build_input_shape ?? built)),
  };
}

function readLayer(json: unknown, index: number, depth: number): KerasLayer {
  if (!isObject(json) || typeof json.class_name !== "string")
    throw damaged(`layer ${index + 1} should be { class_name, config }`, json);
  const { class_name: className } = json;
  const isModel = MODELS.includes(className);
  const config = Array.isArray(json.config) && isModel ? { layers: json.config } : (json.config ?? {});
  if (!isObject(config)) throw damaged(`layer ${index + 1} (${className}) should have a config`, config);
  const name = json.name ?? config.name ?? `${className.toLowerCase()}_${index + 1}`;
  if (typeof name !== "string") throw damaged(`layer ${index + 1} (${className}) should have a name`, name);
  const nodes = json.inbound_nodes ?? [];
  if (!Array.isArray(nodes)) throw damaged(`layer ${show(name)} should say what it is applied to in a list`, nodes);
  return {
    className,
    name,
    // Which of its applications a model's own input is counts as one in some versions: see withOwnCounts.
    config: { ...config, ...(json.module !== undefined && { module: json.module }) },
    calls: nodes.map((node) => readCall(node, name)),
    ...(isModel && { model: readKerasModel(json, depth + 1) }),
  };
}

const isReference = (x: unknown): x is [string, number, number, ...unknown[]] =>
  Array.isArray(x) && x.length >= 3 && typeof x[0] === "string" && Number.isInteger(x[1]) && Number.isInteger(x[2]);

/** [layer, application, output] */
function tensorOf(x: readonly unknown[], by: string): Tensor {
  const [layer, call, output] = x as [string, number, number];
  if (output !== 0)
    throw new DataError(
      `${by} takes output number ${output + 1} of layer ${show(layer)}; layers here have one output. Keep from the model what takes it.`,
      {},
      { code: "unsupported", facts: { layer } },
    );
  return { layer, call };
}

/** Applications of a model in a model begin at 1, since it had been applied to its own inputs; not so in Keras 3's Sequential. */
function withOwnCount({ layer, call }: Tensor, layers: readonly KerasLayer[]): Tensor {
  const found = layers.find(({ name }) => name === layer);
  if (!found) throw damaged("layers should be applied to what the model has", layer);
  const before = found.model && !(found.model.isSequential && found.config.module !== undefined) ? 1 : 0;
  return { layer, call: call - before };
}

const withOwnCounts = (call: Call, layers: readonly KerasLayer[]): Call => ({
  ...call,
  inputs: call.inputs.map((tensor) => withOwnCount(tensor, layers)),
});

/** The inputs or outputs of a wired model: a list of references, one alone, or references under names. */
function tensorsOf(x: unknown, layers: readonly KerasLayer[]): Tensor[] {
  const list = isReference(x) ? [x] : isObject(x) ? Object.values(x) : x;
  if (!Array.isArray(list) || !list.every(isReference))
    throw damaged("a model should say its inputs and outputs as [layer, application, output]", x);
  return list.map((each) => withOwnCount(tensorOf(each, "The model"), layers));
}

/** An application, as Keras 3 says it ({ args, kwargs }) or as those before it (a list of [layer, application, output, options]). */
function readCall(node: unknown, by: string): Call {
  const inputs: Tensor[] = [];
  const options: Record<string, unknown> = {};
  const who = `Layer ${show(by)}`;
  const gather = (x: unknown, depth = 0): void => {
    if (depth > MOST_DEPTH) throw damaged(`${who} is applied to lists in lists`, x);
    const tensor = kerasTensor(x);
    if (tensor) inputs.push(tensorOf(tensor, who));
    else if (Array.isArray(x)) for (const each of x) gather(each, depth + 1);
    else if (typeof x === "number") options.constant = x;
    else if (x !== null && x !== undefined) throw damaged(`${who} should be applied to tensors`, x);
  };
  const named = (given: unknown): void => {
    if (!isObject(given)) return;
    for (const [key, value] of Object.entries(given)) {
      const before = isReference(value);
      if (kerasTensor(value)) gather(value);
      else if (before) inputs.push(tensorOf(value, who));
      else if (key !== "training" && value !== null) options[key] = value;
    }
  };
  if (isObject(node) && Array.isArray(node.args)) {
    gather(node.args);
    named(node.kwargs);
  } else if (Array.isArray(node)) {
    for (const each of isReference(node) ? [node] : node) {
      if (!isReference(each)) throw damaged(`${who} should be applied to [layer, application, output]`, each);
      inputs.push(tensorOf(each, who));
      named(each[3]);
    }
  } else throw damaged(`${who} should say what it is applied to`, node);
  return { inputs, options };
}

/** What Keras 3 writes for a tensor: where it comes from. */
function kerasTensor(x: unknown): readonly unknown[] | undefined {
  if (!isObject(x) || x.class_name !== "__keras_tensor__" || !isObject(x.config)) return undefined;
  const history = x.config.keras_history;
  if (!isReference(history)) throw damaged("a tensor should say where it comes from", history);
  return history;
}

/** A shape without its batch. */
function sample(shape: unknown): readonly (number | null)[] | undefined {
  if (!Array.isArray(shape) || shape.length === 0) return undefined;
  const sizes = shape.slice(1);
  if (!sizes.every((n) => n === null || (Number.isSafeInteger(n) && n > 0)))
    throw damaged("a shape should be a list of sizes", shape);
  return sizes;
}

/** What a layer says of the shape that it is given. */
const shapeOf = ({ config, model }: KerasLayer): readonly (number | null)[] | undefined =>
  model ? model.inputShape : sample(config.batch_input_shape ?? config.batch_shape);
