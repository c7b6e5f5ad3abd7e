import { expect, test } from "vitest";
import { RandomStream, threefry2x32 } from "../src/random.ts";

test("Threefry-2x32-20 gives the known answers published with Random123", () => {
  const f = 0xffffffff;
  expect(threefry2x32(0, 0, 0, 0)).toEqual([0x6b200159, 0x99ba4efe]);
  expect(threefry2x32(f, f, f, f)).toEqual([0x1cb996fc, 0xbb002be7]);
  expect(threefry2x32(0x13198a2e, 0x03707344, 0x243f6a88, 0x85a308d3)).toEqual([0xc4923a9c, 0x483df7a0]);
});

test("a stream is a function of its seed and name", () => {
  const draw = (seed: number, name: string) => Array.from(new RandomStream(seed, name).permutation(20));
  expect(draw(7, "a")).toEqual(draw(7, "a"));
  expect(draw(7, "a")).not.toEqual(draw(7, "b"));
  expect(draw(7, "a")).not.toEqual(draw(8, "a"));
  expect(draw(7, "a").sort((a, b) => a - b)).toEqual([...Array(20).keys()]);
});

test("normal and uniform have the moments of their distributions", () => {
  const stream = new RandomStream(1, "moments");
  const n = 100_000;
  const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / n;
  const normals = Array.from({ length: n }, () => stream.normal());
  const uniforms = Array.from({ length: n }, () => stream.uniform());
  // Five standard errors: 1/√n for the normal's mean, √2/√n for its variance, 1/√(12 n) for the uniform's mean.
  expect(Math.abs(mean(normals))).toBeLessThan(5 / Math.sqrt(n));
  expect(Math.abs(mean(normals.map((x) => x * x)) - 1)).toBeLessThan((5 * Math.SQRT2) / Math.sqrt(n));
  expect(Math.abs(mean(uniforms) - 0.5)).toBeLessThan(5 / Math.sqrt(12 * n));
});
