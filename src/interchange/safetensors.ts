/**
 * Model files with weights of 16 or 8 bits: what `save` writes, but smaller. Halves and bfloat16 are types of the format; of
 * whole numbers of 8 bits each array has another beside it, `NAME.scale`, with what each column is multiplied by.
 */
import type { Backend } from "../backends/backend.ts";
import { checkOptionNames } from "../checks.ts";
import { type ElementType, elements, type ShapedArray } from "../data/arrays.ts";
import { ELEMENT_TYPES, floatToBfloat, floatToHalf } from "../data/element-types.ts";
import type { InferenceModel } from "../train/inference-model.ts";
import { fromModelFile, type Model } from "../train/model.ts";
import {
  decodeModelFile,
  encodeModelFile,
  type Floats,
  type ModelFile,
  modelError,
  TYPES,
} from "../train/model-file.ts";
import { checkWeightType, dequantized, isQuantized, quantize, type WeightType } from "./weights.ts";

/** Options of `toSafetensors`. */
export interface ToSafetensorsOptions {
  /** How weights lie in it: `"float16"` and `"bfloat16"` halve them, `"int8"` makes a quarter of them. `"float32"` unless said. */
  readonly weights?: WeightType;
}

const scaleOf = (name: string): string => `${name}.scale`;

/**
 * The bytes of a model file, as `save` writes it, with weights of 32, 16 or 8 bits. Biases and other vectors stay floats where
 * matrices become whole numbers of 8 bits. What is lost, `roundedWeights` shows before.
 * @throws ArgumentError for a type that is not known
 *
 * @example
 * await writeFileAtomically("small.safetensors", toSafetensors(model, { weights: "float16" }));
 */
export function toSafetensors(model: InferenceModel<unknown>, options: ToSafetensorsOptions = {}): Uint8Array {
  checkOptionNames("toSafetensors", options, ["weights"]);
  const { weights = "float32" } = options;
  checkWeightType(weights);
  const bytes = model.toBytes();
  if (weights === "float32") return bytes;
  const file = decodeModelFile(bytes);
  const tensors = new Map<string, ShapedArray & { readonly dtype?: string }>();
  for (const [name, tensor] of file.tensors) {
    const { shape, data } = tensor;
    if (weights === "float16") tensors.set(name, { shape, data: Uint16Array.from(data, floatToHalf), dtype: "F16" });
    else if (weights === "bfloat16")
      tensors.set(name, { shape, data: Uint16Array.from(data, floatToBfloat), dtype: "BF16" });
    else if (isQuantized(shape)) {
      const { values, scales } = quantize(data, shape);
      tensors.set(name, { shape, data: values, dtype: "I8" });
      tensors.set(scaleOf(name), { shape: [scales.length], data: scales });
    } else tensors.set(name, tensor);
  }
  return encodeModelFile({ ...file, tensors });
}

const SMALL_TYPES: ReadonlyMap<string, ElementType<Floats>> = new Map([
  ...TYPES,
  ["F16", ELEMENT_TYPES.f2],
  ["BF16", ELEMENT_TYPES.bf2],
  ["I8", { size: 1, read: (bytes) => Float32Array.from(elements(Int8Array, bytes)) }],
]);

/**
 * A model from the bytes of a file that `save` or `toSafetensors` wrote. Its weights are floats of 32 bits again, and train
 * further as any others.
 * @throws DataError for a file that is damaged, or no model
 *
 * @example
 * const model = fromSafetensors(await readFile("small.safetensors"));
 */
export function fromSafetensors<Y = Float32Array>(
  bytes: Uint8Array,
  options: { backend?: Backend; file?: string } = {},
): Model<Y> {
  checkOptionNames("fromSafetensors", options, ["backend", "file"]);
  const file = decodeModelFile(bytes, options.file, SMALL_TYPES);
  return fromModelFile<Y>({ ...file, tensors: withoutScales(file, options.file) }, options);
}

function withoutScales({ tensors }: ModelFile, file: string | undefined): ModelFile["tensors"] {
  const own = new Map(tensors);
  for (const [name, tensor] of tensors) {
    if (!("dtype" in tensor) || tensor.dtype !== "I8") continue;
    const { shape, data: values } = tensor;
    const scale = tensors.get(scaleOf(name));
    if (!scale || scale.data.length !== shape[shape.length - 1])
      throw modelError(`its tensor "${name}" has whole numbers of 8 bits without a scale for each column.`, file, {
        code: "damaged-file",
      });
    own.delete(scaleOf(name));
    own.set(name, { shape, data: dequantized({ values, scales: scale.data }) });
  }
  return own;
}
