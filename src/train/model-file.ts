/**
 * The form of a model file: safetensors with the parameters under their names and, in the metadata, the architecture as
 * JSON. Reading one checks everything and runs nothing that the file says.
 */
import { isObject, show } from "../checks.ts";
import { type ElementType, elementType, type ShapedArray } from "../data/arrays.ts";
import { encodeTensors, readHeader, readTensors } from "../data/tensor-file.ts";
import { DataError, type ErrorDetails } from "../errors.ts";
import { sameShape, showShape } from "../graph/shape.ts";
import type { Layer } from "../nn/layer.ts";
import type { InputShapes } from "../nn/network.ts";
import { isWiring, type Structure } from "../nn/wiring.ts";
import { isLayer } from "./check-arguments.ts";
import { isWhole, seal, UNSEALED } from "./file-digest.ts";

const FORMAT = 1;
/** The types of elements that a model file has: F64 where a backend computes in double precision. */
export const TYPES: ReadonlyMap<string, ElementType<Floats>> = new Map<string, ElementType<Floats>>([
  ["F32", elementType(Float32Array)],
  ["F64", elementType(Float64Array)],
]);

export interface Architecture extends Structure {
  readonly input: InputShapes;
  readonly seed: number;
}

/** Values, in single precision or in double. */
export type Floats = Float32Array | Float64Array;

/** What a model file holds. */
export interface ModelFile {
  readonly architecture: Architecture;
  /** Values by parameter name; a checkpoint has the optimiser's state here too. */
  readonly tensors: ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: Floats }>;
  /** Plain JSON that travels with the model: class names, columns, the loss it was trained with. */
  readonly details: Readonly<Record<string, unknown>>;
}

/** A model as the bytes of a file; tensors whose type of elements is not their array's own say which it is. */
export function encodeModelFile({
  architecture,
  tensors,
  details,
}: Omit<ModelFile, "tensors"> & {
  readonly tensors: ReadonlyMap<string, ShapedArray & { readonly dtype?: string }>;
}): Uint8Array {
  const chainrule = JSON.stringify({ format: FORMAT, ...architecture, details, sealed: true });
  const entries = [...tensors].map(([name, tensor]) => ({
    name,
    dtype: `F${8 * tensor.data.BYTES_PER_ELEMENT}`,
    ...tensor,
  }));
  const bytes = encodeTensors(entries, { chainrule, digest: UNSEALED });
  seal(bytes);
  return bytes;
}

/** The error for a model file, or for bytes of one. */
export const modelError = (why: string, file?: string, details?: ErrorDetails): DataError =>
  new DataError(`${file ?? "The model"}: ${why}`, { file }, details);

/** How deep layers may lie in layers. */
const MAXIMUM_DEPTH = 32;

/** Whether these are layers, and so on for those that they hold. */
const areLayers = (x: unknown, depth = 1): x is Layer[] =>
  depth <= MAXIMUM_DEPTH &&
  Array.isArray(x) &&
  x.every((each) => {
    if (!isLayer(each)) return false;
    const { layers = [] } = each.config as { layers?: unknown };
    return areLayers(layers, depth + 1);
  });

const isShape = (x: unknown): boolean => Array.isArray(x) && x.every((n) => Number.isInteger(n) && n > 0);

const isArchitecture = (x: unknown): x is Architecture & Pick<ModelFile, "details"> & { readonly sealed?: unknown } =>
  isObject(x) &&
  (isShape(x.input) || (isObject(x.input) && Object.values(x.input).every(isShape))) &&
  typeof x.seed === "number" &&
  areLayers(x.layers) &&
  (x.wiring === undefined ||
    isWiring(x.wiring, x.layers.length, Array.isArray(x.input) ? 1 : Object.keys(x.input as object).length)) &&
  (x.outputs === undefined ||
    (isObject(x.outputs) &&
      Object.values(x.outputs).every((result) => ["number", "string"].includes(typeof result)))) &&
  isObject(x.details);

/** What a file holds, its elements of one of these types. */
export function decodeModelFile(bytes: Uint8Array, file?: string, types = TYPES): ModelFile {
  const whole = isWhole(bytes);
  const damaged = () =>
    modelError("the file is damaged: its bytes are not those that were written. Copy or save it again.", file, {
      code: "damaged-file",
    });
  if (whole === false) throw damaged();
  const header = readHeader(bytes, file);
  const { chainrule } = header.metadata;
  if (chainrule === undefined)
    throw modelError("it holds no architecture; only files that chainrule saved can be loaded as a model.", file);
  let json: unknown;
  try {
    json = JSON.parse(chainrule);
  } catch {
    // No JSON is no architecture either, which is said below.
  }
  if (isObject(json) && json.format !== FORMAT)
    throw modelError(`it has format ${show(json.format)}; this version of chainrule reads format ${FORMAT}.`, file);
  if (!isArchitecture(json))
    throw modelError("its architecture is damaged: input, seed, layers, wiring or details are not as they were.", file);
  const { input, seed, layers, wiring, outputs, details, sealed } = json;
  // Files of earlier versions have no check sum; where one is missing that was there, the file is not what it was.
  if (whole === undefined && sealed) throw damaged();
  return { architecture: { input, seed, layers, wiring, outputs }, tensors: readTensors(header, types), details };
}

/** The values of one tensor, whose shape must be the given one. */
export function tensorOf(model: ModelFile, name: string, shape: readonly number[], file?: string): Floats {
  const found = model.tensors.get(name);
  if (found && sameShape(found.shape, shape)) return found.data;
  const came = found ? showShape(found.shape) : "none";
  throw modelError(`its tensor "${name}" should have shape ${showShape(shape)}; ${came} came.`, file);
}
