/** Weights at rest: as floats of 32 or 16 bits, or as whole numbers of 8 bits with a scale for each column. */
import { unknownName } from "../checks.ts";
import { ELEMENT_TYPES, floatToBfloat, floatToHalf, halfToFloat } from "../data/element-types.ts";
import { type Shape, stridesOf } from "../graph/shape.ts";

/** How weights lie in a file. */
export type WeightType = "float32" | "float16" | "bfloat16" | "int8";

const TYPES: readonly WeightType[] = ["float32", "float16", "bfloat16", "int8"];

/** Checks the name of a type of weights. */
export function checkWeightType(type: WeightType): void {
  if (!TYPES.includes(type)) throw unknownName("type of weights", type, TYPES);
}

/** Whole numbers of 8 bits, and what each column's are multiplied by. */
export interface Quantized {
  readonly values: Int8Array;
  readonly scales: Float32Array;
}

/** Symmetric quantisation by the columns of an axis, the last unless said: the largest of a column becomes ±127. */
export function quantize(data: ArrayLike<number>, shape: Shape, axis = shape.length - 1): Quantized {
  const [columns, inner] = [shape[axis] ?? 1, stridesOf(shape)[axis] ?? 1];
  const columnOf = (i: number): number => Math.floor(i / inner) % columns;
  const scales = new Float32Array(columns);
  for (let i = 0; i < data.length; i++) scales[columnOf(i)] = Math.max(scales[columnOf(i)], Math.abs(data[i]));
  for (let c = 0; c < columns; c++) scales[c] = scales[c] / 127 || 1;
  const values = new Int8Array(data.length);
  for (let i = 0; i < data.length; i++) values[i] = Math.round(data[i] / scales[columnOf(i)]);
  return { values, scales };
}

/** What quantised weights stand for, by the columns of their last axis. */
export const dequantized = ({
  values,
  scales,
}: {
  readonly values: ArrayLike<number>;
  readonly scales: ArrayLike<number>;
}) => Float32Array.from(values, (value, i) => value * scales[i % scales.length]);

/** Whether an array is kept in 8 bits: matrices and kernels, whose columns have many numbers. */
export const isQuantized = (shape: Shape): boolean => shape.length > 1;

/** What becomes of weights when they are kept in a type and read again. */
export function roundedWeights(data: Float32Array, shape: Shape, type: WeightType): Float32Array {
  checkWeightType(type);
  if (type === "float16") return halfToFloat(Uint16Array.from(data, floatToHalf));
  if (type === "bfloat16") return ELEMENT_TYPES.bf2.read(new Uint8Array(Uint16Array.from(data, floatToBfloat).buffer));
  return type === "int8" && isQuantized(shape) ? dequantized(quantize(data, shape)) : data;
}
