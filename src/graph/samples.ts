/**
 * Descriptions of test inputs, as the `cases` of an op use them. Plain data: the tests draw the numbers.
 */
import type { Shape } from "./shape.ts";
import type { Sample } from "./types.ts";

export type { Sample } from "./types.ts";

const float = (shape: Shape, low: number, high: number, gap = 0): Sample => ({ shape, dtype: "float", low, high, gap });

/** Between −2 and 2. */
export const uniform = (...shape: number[]): Sample => float(shape, -2, 2);
/** Between 0.1 and 2. */
export const positive = (...shape: number[]): Sample => float(shape, 0.1, 2);
/** Between −2 and 2, but not near 0, where some functions have a kink or a pole. */
export const nonzero = (...shape: number[]): Sample => float(shape, -2, 2, 0.1);
/** Between two numbers, where a function has its domain. */
export const between = (low: number, high: number, ...shape: number[]): Sample => float(shape, low, high);
/** Whole numbers from 0 to n − 1. */
export const indices = (n: number, ...shape: number[]): Sample => ({ shape, dtype: "int", low: 0, high: n, gap: 0 });
/** Unsigned bytes. */
export const bytes = (...shape: number[]): Sample => ({ shape, dtype: "byte", low: 0, high: 256, gap: 0 });
