/** Weights at rest: as floats of 32 or 16 bits, or as whole numbers of 8 bits with a scale for each column. */
import { halfToFloat } from "../../data/element-types.ts";
import type { Shape } from "../../graph/shape.ts";

/** How weights lie in a file. */
export type WeightType = "float32" | "float16" | "int8";
export const WEIGHT_TYPES: readonly WeightType[] = ["float32", "float16", "int8"];

const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

/** The nearest half (IEEE 754 binary16) of a float, as its bits; ties go to the even one. */
export function toHalf(value: number): number {
  float[0] = value;
  const sign = (bits[0] >>> 16) & 0x8000;
  const size = Math.abs(float[0]);
  if (Number.isNaN(size)) return sign | 0x7e00;
  if (size >= 65520) return sign | 0x7c00;
  if (size < 2 ** -24 / 2) return sign;
  // Below 2⁻¹⁴ the steps are 2⁻²⁴; above, 2¹⁰ of them between powers of two.
  const exponent = Math.max(-14, Math.floor(Math.log2(size)));
  const step = 2 ** (exponent - 10);
  const scaled = size / step;
  let whole = Math.floor(scaled);
  const rest = scaled - whole;
  if (rest > 0.5 || (rest === 0.5 && whole % 2 === 1)) whole++;
  // A carry into the next power of two comes out right, since exponent and fraction stand beside each other.
  return sign | (whole + ((exponent + 14) << 10));
}

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
    return type === "float16" ? halfToFloat(Uint16Array.from(data, toHalf)) : data;
  if (type === "float32") return data;
  const { values, scales } = quantize(data, shape);
  return Float32Array.from(values, (value, i) => value * scales[i % scales.length]);
}
