/**
 * Layers models of TensorFlow.js: a model.json that describes the layers and says how the weights lie in one or more files
 * beside it, as floats or in 8 or 16 bits.
 */
import { checkOptionNames, isObject, show } from "../../checks.ts";
import { countElements } from "../../data/arrays.ts";
import { halfToFloat } from "../../data/element-types.ts";
import { ArgumentError, DataError } from "../../errors.ts";
import type { Model } from "../../train/model.ts";
import { files } from "../../train/node-files.ts";
import { buildModel, type FromKerasOptions, OPTIONS } from "./build.ts";
import { lossOf } from "./losses.ts";
import { byNames, byPaths, type KerasArray } from "./weights.ts";

/** Finds the bytes of a file of weights by the name that model.json has for it, such as `group1-shard1of2.bin`. */
export type FindShard = (path: string) => Uint8Array | ArrayBuffer | Promise<Uint8Array | ArrayBuffer>;

/** How an array lies in the bytes of its group. */
interface Stored {
  readonly name: string;
  readonly shape: readonly number[];
  readonly type: keyof typeof READERS;
  readonly scale: number;
  readonly min: number;
  /** Whether the numbers were whole before they were put into fewer bits. */
  readonly isWhole: boolean;
}

/** Types of elements: their bytes, and how they become numbers. */
const READERS = {
  float32: { size: 4, read: (bytes: ArrayBuffer) => new Float32Array(bytes) },
  int32: { size: 4, read: (bytes: ArrayBuffer) => new Int32Array(bytes) },
  bool: { size: 1, read: (bytes: ArrayBuffer) => new Uint8Array(bytes) },
  uint8: { size: 1, read: (bytes: ArrayBuffer) => new Uint8Array(bytes) },
  uint16: { size: 2, read: (bytes: ArrayBuffer) => new Uint16Array(bytes) },
  float16: { size: 2, read: (bytes: ArrayBuffer) => halfToFloat(new Uint16Array(bytes)) },
} as const;

const damaged = (what: string, came: unknown): DataError =>
  new DataError(
    `The weights' description in model.json is damaged: ${what}; ${show(came)} came. Convert or save the model again.`,
  );

/**
 * A model from a layers model of TensorFlow.js, of `model.save` or of the converter: the parsed model.json and what finds
 * the files of weights; or, in Node, the path of model.json alone, whose weights are read from its own folder and nowhere
 * else. What `tf.io.withSaveHandler` is given is read too. Layers keep their names.
 * @throws DataError for a damaged file, a graph model, or layers of classes that are not known: all of them are named
 *
 * @example
 * const model = await fromTensorflowJs("web/model.json");
 * const json = JSON.parse(new TextDecoder().decode(await readFile("web/model.json")));
 * const other = await fromTensorflowJs(json, (path) => readFile(`web/${path}`)); // in a page: fetch
 */
export async function fromTensorflowJs(
  json: unknown,
  shards?: FindShard | FromKerasOptions,
  options: FromKerasOptions = {},
): Promise<Model> {
  if (typeof json === "string") return fromFile(json, (shards as FromKerasOptions) ?? {});
  const [find, given] = typeof shards === "function" ? [shards, options] : [undefined, shards ?? options];
  checkOptionNames("fromTensorflowJs", given, OPTIONS);
  if (!isObject(json))
    throw new ArgumentError(`fromTensorflowJs takes a parsed model.json, or the path of one; ${show(json)} came.`);
  const topology = topologyOf(json);
  const arrays = await readWeights(json, find);
  const { keras_version: version } = topology;
  const weights = arrays.every(({ name }) => /\/vars\/\d+$/.test(name))
    ? byPaths(new Map(arrays.map(({ name, array }) => [name.replaceAll("\\", "/"), array])))
    : byNames(arrays);
  const described = isObject(topology.model_config) ? topology.model_config : topology;
  const keras = typeof version === "string" && version.startsWith("3.") ? 3 : 2;
  const model = buildModel(described, { keras, weights }, given, "fromTensorflowJs");
  const loss = lossOf(topology.training_config ?? json.trainingConfig, model.network.outputs[0].op);
  if (loss) model.details.loss = loss;
  model.details.source = { format: "TensorFlow.js", producer: String(json.generatedBy ?? version ?? "").slice(0, 80) };
  return model;
}

async function fromFile(path: string, options: FromKerasOptions): Promise<Model> {
  const { readFile, readBeside } = await files();
  const text = new TextDecoder().decode(await readFile(path));
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new DataError(
      `${path}: it is no JSON. Give the model.json that TensorFlow.js saved.`,
      { file: path },
      { cause },
    );
  }
  return fromTensorflowJs(json, (name) => readBeside(path, name), options);
}

/** The description of the layers. */
function topologyOf({ modelTopology: topology, format }: Record<string, unknown>): Record<string, unknown> {
  const isGraph = format === "graph-model" || (isObject(topology) && (topology.node ?? topology.library) !== undefined);
  if (isGraph)
    throw new DataError(
      "This is a graph model of TensorFlow.js, in which no layers are left. Read the model that it was converted from: a Keras file with fromKeras, a SavedModel as ONNX (python -m tf2onnx.convert --saved-model DIR --output model.onnx) with fromOnnx.",
      {},
      { code: "unsupported", facts: { format: "graph-model" } },
    );
  if (isObject(topology)) return topology;
  throw new DataError(
    `This is no model of TensorFlow.js: it should have a modelTopology; ${show(topology)} came. Give the parsed model.json.`,
  );
}

/** One array, not yet read. */
interface NamedArray {
  readonly name: string;
  readonly array: () => KerasArray;
}

/** The arrays of all groups: of a manifest with its files, or of what a save handler is given. */
async function readWeights(json: Record<string, unknown>, find: FindShard | undefined): Promise<NamedArray[]> {
  const { weightsManifest: manifest, weightSpecs: specs, weightData: data } = json;
  if (manifest === undefined && specs !== undefined) {
    const pieces = (Array.isArray(data) ? data : [data]).map((piece) => asBytes(piece, "weightData"));
    return arraysOf(storedOf(specs), joined(pieces));
  }
  if (!Array.isArray(manifest)) throw damaged("weightsManifest should be a list of groups", manifest);
  const arrays: NamedArray[] = [];
  for (const group of manifest) {
    if (!isObject(group) || !Array.isArray(group.paths) || !group.paths.every((path) => typeof path === "string"))
      throw damaged("a group should have paths", group);
    const stored = storedOf(group.weights);
    if (!find)
      throw new ArgumentError(
        `fromTensorflowJs: the weights lie in ${group.paths.map(show).join(", ")}. Say how to find them: fromTensorflowJs(json, (path) => bytes).`,
      );
    const pieces: Uint8Array[] = [];
    for (const path of group.paths) pieces.push(asBytes(await find(path), path));
    arrays.push(...arraysOf(stored, joined(pieces)));
  }
  return arrays;
}

function asBytes(given: unknown, what: string): Uint8Array {
  if (given instanceof ArrayBuffer) return new Uint8Array(given);
  if (given instanceof Uint8Array) return given;
  throw new ArgumentError(
    `fromTensorflowJs: ${show(what)} should be bytes, a Uint8Array or an ArrayBuffer; ${show(given)} came.`,
  );
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  if (pieces.length === 1) return pieces[0];
  const all = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

function storedOf(weights: unknown): Stored[] {
  if (!Array.isArray(weights)) throw damaged("a group should have weights", weights);
  return weights.map((weight) => {
    if (!isObject(weight) || typeof weight.name !== "string") throw damaged("a weight should have a name", weight);
    const { name, shape, dtype, quantization } = weight;
    if (!Array.isArray(shape) || countElements(shape) === undefined)
      throw damaged(`weight ${show(name)} should have a shape`, shape);
    const packed = isObject(quantization) ? quantization : undefined;
    const type = packed ? packed.dtype : dtype;
    const known = packed ? ["uint8", "uint16", "float16"] : ["float32", "int32", "bool"];
    if (typeof type !== "string" || !known.includes(type))
      throw damaged(`weight ${show(name)} should be of a type of ${known.join(", ")}`, type);
    const { scale = 1, min = 0 } = packed ?? {};
    if (typeof scale !== "number" || typeof min !== "number")
      throw damaged(`weight ${show(name)} should have scale and min`, scale);
    return { name, shape, type: type as Stored["type"], scale, min, isWhole: dtype === "int32" };
  });
}

/** Numbers of 8 or 16 bits as what they stand for. */
function unpacked(values: ArrayLike<number>, { scale, min, isWhole }: Stored): Float32Array {
  const data = new Float32Array(values.length);
  for (let i = 0; i < data.length; i++) data[i] = values[i] * scale + min;
  return isWhole ? data.map(Math.round) : data;
}

/** The arrays of a group, one after the other in its bytes; each is read when it is asked for. */
function arraysOf(all: readonly Stored[], bytes: Uint8Array): NamedArray[] {
  let at = 0;
  const arrays = all.map((stored) => {
    const { name, shape, type } = stored;
    const { size, read } = READERS[type];
    const begin = at;
    at += size * countElements(shape)!;
    const end = at;
    return {
      name,
      array: (): KerasArray => {
        const values = read(new Uint8Array(bytes.subarray(begin, end)).buffer); // a Buffer's slice() would share memory
        return { shape, data: values instanceof Float32Array ? values : unpacked(values, stored) };
      },
    };
  });
  if (at !== bytes.length)
    throw new DataError(
      `The files of weights have ${bytes.length} bytes, but model.json says ${at}: they are cut short, or of another model. Copy the whole folder again.`,
      {},
      { code: "wrong-length", facts: { wanted: at, came: bytes.length } },
    );
  return arrays;
}
