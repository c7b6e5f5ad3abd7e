/**
 * The form of a model file: safetensors with the parameters under their names and, in the metadata, the architecture as
 * JSON. Reading one checks everything and runs nothing that the file says.
 */
import { isObject } from "../checks.ts";
import { decodeSafetensors, encodeSafetensors } from "../data/safetensors.ts";
import { DataError } from "../errors.ts";
import { sameShape, showShape } from "../graph/shape.ts";
import type { Layer } from "../nn/layer.ts";
import { isWiring, type Wiring } from "../nn/wiring.ts";

const FORMAT = 1;

export interface Architecture {
  readonly input: readonly number[];
  readonly seed: number;
  readonly layers: readonly Layer[];
  /** Which layer is applied to what; one after the other if absent. */
  readonly wiring?: Wiring;
}

/** What a model file holds. */
export interface ModelFile {
  readonly architecture: Architecture;
  /** Values by parameter name; a checkpoint has the optimiser's state here too. */
  readonly tensors: ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: Float32Array }>;
  /** Plain JSON that travels with the model: class names, columns, the loss it was trained with. */
  readonly details: Readonly<Record<string, unknown>>;
}

export function encodeModelFile({ architecture, tensors, details }: ModelFile): Uint8Array {
  const chainrule = JSON.stringify({ format: FORMAT, ...architecture, details });
  return encodeSafetensors(tensors, { chainrule });
}

const isCounts = (x: unknown): x is number[] => Array.isArray(x) && x.every((n) => Number.isInteger(n) && n > 0);

/** How deep layers may lie in layers. */
const MAXIMUM_DEPTH = 32;

/** A layer, and so on for those that it holds. */
const isLayer = (x: unknown, depth: number): x is Layer =>
  depth <= MAXIMUM_DEPTH &&
  isObject(x) &&
  typeof x.kind === "string" &&
  isObject(x.config) &&
  (x.config.layers === undefined ||
    (Array.isArray(x.config.layers) && x.config.layers.every((inner) => isLayer(inner, depth + 1))));

export function decodeModelFile(bytes: Uint8Array, file?: string): ModelFile {
  const { tensors, metadata } = decodeSafetensors(bytes, file);
  const fail = (why: string): never => {
    throw new DataError(`${file ?? "The model"}: ${why}`, { file });
  };
  if (metadata.chainrule === undefined) {
    return fail(
      "this safetensors file holds no architecture; only files that chainrule saved can be loaded as a model.",
    );
  }
  let json: unknown;
  try {
    json = JSON.parse(metadata.chainrule);
  } catch {
    return fail("its architecture is not valid JSON; the file is damaged. Save the model again.");
  }
  if (!isObject(json)) return fail("its architecture is not an object; the file is damaged. Save the model again.");
  const { format, input, seed, layers, wiring, details } = json;
  if (format !== FORMAT)
    return fail(`it has format ${String(format)}; this version of chainrule reads format ${FORMAT}.`);
  if (!isCounts(input) || typeof seed !== "number" || !Array.isArray(layers) || !isObject(details)) {
    return fail("its architecture lacks the input shape, the seed, the layers or the details; the file is damaged.");
  }
  if (!layers.every((layer): layer is Layer => isLayer(layer, 1)))
    return fail("one of its layers has no kind or no configuration; the file is damaged.");
  if (wiring !== undefined && !isWiring(wiring, layers.length))
    return fail("its wiring names layers or values that are not there; the file is damaged.");
  const floats = new Map<string, { shape: readonly number[]; data: Float32Array }>();
  for (const [name, { shape, data }] of tensors) {
    if (!(data instanceof Float32Array)) return fail(`the tensor "${name}" is not of type F32.`);
    floats.set(name, { shape, data });
  }
  return { architecture: { input, seed, layers, wiring }, tensors: floats, details };
}

/** The values of one tensor, whose shape must be the given one. */
export function tensorOf(model: ModelFile, name: string, shape: readonly number[], file?: string): Float32Array {
  const found = model.tensors.get(name);
  if (!found || !sameShape(found.shape, shape)) {
    const came = found ? `has shape ${showShape(found.shape)}` : "is missing";
    throw new DataError(`${file ?? "The model"}: the tensor "${name}" ${came}; ${showShape(shape)} was wanted.`, {
      file,
    });
  }
  return found.data;
}
