/**
 * Keras's own files: `.keras` (a ZIP file of the description as JSON and the weights as HDF5) and the older `.h5` (HDF5 alone,
 * the description in an attribute). What a file says is data: layers of one's own code (Lambda, subclasses) are refused by name.
 */
import { checkOptionNames, isObject, show } from "../../checks.ts";
import { readDirectory, unpack, type ZipEntry } from "../../data/zip.ts";
import { ArgumentError, DataError } from "../../errors.ts";
import type { Model } from "../../train/model.ts";
import { files } from "../../train/node-files.ts";
import { type Hdf5Object, readHdf5 } from "../hdf5/file.ts";
import { buildModel, type FromKerasOptions, OPTIONS } from "./build.ts";
import { lossOf } from "./losses.ts";
import { byNames, byPaths, type KerasArray, type WeightSource } from "./weights.ts";

/** What a file says of a model. */
interface Described {
  readonly config: unknown;
  readonly version: string;
  readonly compiled: unknown;
  readonly weights: WeightSource;
}

/**
 * A model from a Keras file, `.keras` or `.h5`: its bytes or, in Node, its path. Sequential and functional models of the
 * versions 1 to 3 are read; layers keep their names, and it predicts what it predicted, is trained further, saved and
 * exported as any other. Images have their channels last, as in Keras.
 * @throws DataError for a damaged file, one of weights alone, or layers of classes that are not known: all of them are named
 *
 * @example
 * const model = await fromKeras("net.keras");
 * console.log(model.summary());
 * model.freeze("conv2d"); // layers keep their names
 */
export async function fromKeras(file: Uint8Array | string, options: FromKerasOptions = {}): Promise<Model> {
  checkOptionNames("fromKeras", options, OPTIONS);
  const bytes = typeof file === "string" ? await (await files()).readFile(file) : file;
  if (!(bytes instanceof Uint8Array))
    throw new ArgumentError(`fromKeras takes the bytes of a file, or its path; ${show(file)} came.`);
  const isZip = bytes[0] === 0x50 && bytes[1] === 0x4b;
  const { config, version, compiled, weights } = isZip ? await readKeras(bytes) : readH5(bytes);
  const keras = version.startsWith("3.") ? 3 : 2;
  const model = buildModel(config, { keras, weights }, options, "fromKeras");
  const loss = lossOf(compiled, model.network.outputs[0].op);
  if (loss) model.details.loss = loss;
  model.details.source = { format: "Keras", producer: `keras ${version.slice(0, 40)}` };
  return model;
}

/** Files of a .keras file may unpack to so many times their size: JSON packs well, weights hardly. */
const MOST_UNPACKED = { json: 1000, weights: 16 };

async function readKeras(bytes: Uint8Array): Promise<Described> {
  const fail = (what: string, cause?: unknown): DataError =>
    new DataError(`The .keras file ${what}`, {}, { code: "damaged-file", cause });
  const entries = new Map(readDirectory(bytes, fail).map((entry) => [entry.name, entry]));
  const content = (entry: ZipEntry, most: number): Promise<Uint8Array> => {
    if (entry.size > 1024 + most * entry.packed)
      throw fail(`has ${show(entry.name)} of ${entry.size} bytes in ${entry.packed}, which no model has.`);
    return unpack(bytes, entry, fail);
  };
  const json = async (name: string): Promise<unknown> => {
    const entry = entries.get(name);
    if (!entry) return undefined;
    try {
      return JSON.parse(new TextDecoder().decode(await content(entry, MOST_UNPACKED.json)));
    } catch (cause) {
      if (cause instanceof DataError) throw cause;
      throw fail(`has ${show(name)} that is no JSON.`, cause);
    }
  };
  const config = await json("config.json");
  const metadata = await json("metadata.json");
  const stored = entries.get("model.weights.h5");
  if (config === undefined || !stored)
    throw fail(
      `has ${[...entries.keys()].slice(0, 8).map(show).join(", ")}, where config.json and model.weights.h5 should be. Save it with model.save("net.keras").`,
    );
  const version = isObject(metadata) && typeof metadata.keras_version === "string" ? metadata.keras_version : "3.0";
  const root = readHdf5(await content(stored, MOST_UNPACKED.weights));
  return {
    config,
    version,
    compiled: isObject(config) ? config.compile_config : undefined,
    weights: byPaths(arraysAt(root)),
  };
}

/** Groups of the outermost model that have its layers; others have the state of its optimiser and of metrics. */
const LAYER_GROUPS = ["layers", "_layer_checkpoint_dependencies"];

/** All arrays below a group, by their ways. */
function arraysAt(root: Hdf5Object): Map<string, () => KerasArray> {
  const arrays = new Map<string, () => KerasArray>();
  const seen = new Set<number>();
  const walk = (group: Hdf5Object, way: string): void => {
    if (seen.has(group.address)) return;
    seen.add(group.address);
    for (const name of group.names) {
      const child = group.child(name)!;
      const own = `${way}/${name.replaceAll("\\", "/")}`;
      if (child.isArray) arrays.set(own, () => child.array());
      else walk(child, own);
    }
  };
  for (const name of root.names) {
    if (!LAYER_GROUPS.includes(name.split("\\")[0])) continue;
    const group = root.child(name)!;
    if (!group.isArray) walk(group, name.replaceAll("\\", "/"));
  }
  return arrays;
}

function readH5(bytes: Uint8Array): Described {
  const root = readHdf5(bytes);
  const config = parsed(root, "model_config");
  if (config === undefined) {
    const isWeights =
      root.attribute("layer_names") !== undefined || root.names.some((name) => LAYER_GROUPS.includes(name));
    throw new DataError(
      isWeights
        ? 'The file has weights and no layers, as save_weights writes it. Save the whole model: model.save("net.keras").'
        : "The HDF5 file has no model of Keras: it lacks the attribute model_config. Save the model with Keras.",
    );
  }
  const group = root.child("model_weights") ?? root;
  const version = group.attribute("keras_version") ?? root.attribute("keras_version");
  const arrays = textsOf(group, "layer_names").flatMap((top) => {
    const own = group.child(top);
    if (!own) throw new DataError(`The file has no weights of layer ${show(top)}, which it lists: it is damaged.`);
    return textsOf(own, "weight_names").map((name) => ({
      name,
      top,
      array: (): KerasArray => {
        const found = own.child(name);
        if (found?.isArray) return found.array();
        throw new DataError(
          `The file has no weight ${show(name)} of layer ${show(top)}, which it lists: it is damaged.`,
        );
      },
    }));
  });
  return {
    config,
    version: typeof version === "string" ? version : "1",
    compiled: parsed(root, "training_config"),
    weights: byNames(arrays),
  };
}

/** The JSON in an attribute; undefined where there is none. */
function parsed(object: Hdf5Object, name: string): unknown {
  const text = object.attribute(name);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(typeof text === "string" ? text : String(text[0]));
  } catch (cause) {
    throw new DataError(`The file's ${name} is no JSON: it is damaged. Save the model again.`, {}, { cause });
  }
}

/** The texts of an attribute; a long list stands in several, numbered ones. */
function textsOf(object: Hdf5Object, name: string): string[] {
  const whole = object.attribute(name);
  const pieces: unknown[] = whole === undefined ? [] : [whole];
  for (let i = 0; whole === undefined; i++) {
    const piece = object.attribute(`${name}${i}`);
    if (piece === undefined) break;
    pieces.push(piece);
  }
  return pieces
    .flat()
    .map(String)
    .filter((text) => text !== "");
}
