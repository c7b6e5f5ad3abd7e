/** Arrays of a step as plain descriptions: shape, statistics, and the elements where there are few. */
import type { AnyArray } from "../graph/op.ts";
import type { Shape } from "../graph/shape.ts";
import type { ArrayDescription, Element, Statistics } from "./description.ts";
import type { Formula } from "./formula/formula.ts";

export function statisticsOf(values: AnyArray | readonly number[]): Statistics {
  let [min, max, sum, zeros, nonFinite, squares] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, 0, 0, 0];
  for (const x of values) {
    if (x < min) min = x;
    if (x > max) max = x;
    if (x === 0) zeros++;
    if (!Number.isFinite(x)) nonFinite++;
    sum += x;
    squares += x * x;
  }
  const count = values.length;
  const mean = sum / count;
  let spread = 0;
  for (const x of values) spread += (x - mean) ** 2;
  return { count, min, max, mean, deviation: Math.sqrt(spread / count), norm: Math.sqrt(squares), zeros, nonFinite };
}

/** @param limit the elements are listed if there are at most so many */
export const describeArray = (
  name: string,
  symbol: Formula,
  shape: Shape,
  values: AnyArray,
  limit: number,
): ArrayDescription => ({
  name,
  symbol,
  shape,
  statistics: statisticsOf(values),
  ...(values.length <= limit && { values: Array.from(values) }),
});

/** The same name with the place of one element: z → z[3, 5], ∂L/∂z → ∂L/∂z[3, 5]. */
export function withIndex(formula: Formula, index: readonly number[]): Formula {
  if (index.length === 0) return formula;
  if (formula.kind === "symbol") return { ...formula, index };
  if (formula.kind === "partial") return { ...formula, by: withIndex(formula.by, index) };
  return formula;
}

export const element = (name: string, symbol: Formula, index: readonly number[], value: number): Element => ({
  name,
  index,
  symbol: withIndex(symbol, index),
  value,
});
