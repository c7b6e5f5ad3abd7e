/** Small data sets from fixed streams. */
import { RandomStream } from "chainrule";

/** Points of the plane, class 1 inside a circle. */
export function circle(count: number): { x: number[][]; y: number[] } {
  const stream = new RandomStream(11, "circle");
  const x = Array.from({ length: count }, () => [2 * stream.uniform() - 1, 2 * stream.uniform() - 1]);
  return { x, y: x.map(([a, b]) => (a * a + b * b < 0.6 ? 1 : 0)) };
}
