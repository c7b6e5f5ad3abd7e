/** The check of one gradient by nudging its weight both ways and computing the whole loss again, in float64. */
import type { FiniteDifference } from "./description.ts";
import type { Stop } from "./named-arrays.ts";
import type { Opened } from "./opened-step.ts";

const EPSILON = 1e-5;
/** The relative error that truncation may leave; rounding of the loss comes on top. */
const TOLERANCE = 1e-6;

export function finiteDifference(
  { graph, values }: Opened,
  parameter: Stop,
  flat: number,
  gradient: number,
): FiniteDifference {
  const lossAt = (shift: number): number => {
    const nudged = Float64Array.from(values.get(parameter.node));
    nudged[flat] += shift;
    return values.with(new Map([[parameter.node, nudged]])).get(graph.loss)[0];
  };
  const above = lossAt(EPSILON);
  const below = lossAt(-EPSILON);
  const value = (above - below) / (2 * EPSILON);
  const error = Math.abs(value - gradient);
  const size = Math.max(Math.abs(value), Math.abs(gradient));
  const rounding = (16 * Number.EPSILON * Math.max(1, Math.abs(above))) / EPSILON;
  return {
    epsilon: EPSILON,
    above,
    below,
    value,
    relativeError: size === 0 ? 0 : error / size,
    agrees: error <= TOLERANCE * size + rounding,
  };
}
