/** The arrays in which backends keep values in single precision. */
import type { DType } from "../graph/node.ts";

export const ARRAYS = { byte: Uint8Array, int: Int32Array, float: Float32Array } satisfies Record<DType, unknown>;
