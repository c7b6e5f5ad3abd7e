/** Weights at rest: as floats of 32 or 16 bits, or as whole numbers of 8 bits with a scale for each column. */
import { floatToHalf, halfToFloat } from "../../data/element-types.ts";
import type { Shape } from "../../graph/shape.ts";

/** How weights lie in a file. */
export type WeightType = "float32" | "float16" | "int8";
export const WEIGHT_TYPES: readonly WeightType[] = ["float32", "float16", "int8"];

/** Whole numbers of 8 bits, and what each column's are multiplied by. */
export interface Quantized {
  readonly values: Int8Array;
  readonly scales: Float32Array;
}

/** Symmetric quantisation by the columns of the last axis: the largest of a column becomes ±127 (as ONNX's per-axis form). */
export function quantize(data: ArrayLike<number>, shape: Shape): Quantized {
  const columns = shape[shape.length - 1] ?? 1;
  const scales = new Float32Array(columns);
  for (let i = 0; i < data.length; i++) scales[i % columns] = Math.max(scales[i % columns], Math.abs(data[i]));
  for (let c = 0; c < columns; c++) scales[c] = scales[c] / 127 || 1;
  return {
    values: Int8Array.from({ length: data.length }, (_, i) => Math.round(data[i] / scales[i % columns])),
    scales,
  };
}

/** Whether an array is kept in 8 bits: matrices and kernels, whose columns have many numbers. */
export const isQuantized = (shape: Shape): boolean => shape.length > 1;

/** What becomes of weights when they are kept in a type and read again. */
export function roundedWeights(data: Float32Array, shape: Shape, type: WeightType): Float32Array {
  if (type === "float16" || (type === "int8" && !isQuantized(shape)))
    return type === "float16" ? halfToFloat(Uint16Array.from(data, floatToHalf)) : data;
  if (type === "float32") return data;
  const { values, scales } = quantize(data, shape);
  return Float32Array.from(values, (value, i) => value * scales[i % scales.length]);
}
