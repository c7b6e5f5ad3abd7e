/**
 * Convolution and pooling against PyTorch: results and gradients in float64 (fixtures/layers.json), and the errors.
 */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { reference } from "../../src/backends/reference/reference.ts";
import { input } from "../../src/graph/leaf.ts";
import type { Node } from "../../src/graph/node.ts";
import type { Shape } from "../../src/graph/shape.ts";
import * as ops from "../../src/ops/index.ts";
import type { Pair } from "../../src/ops/window.ts";
import { makePlan } from "../../src/plan/plan.ts";

interface Numbers {
  readonly shape: Shape;
  readonly data: readonly number[];
}

interface Layer {
  readonly layer: string;
  readonly options: {
    readonly size: Pair;
    readonly stride: Pair;
    readonly padding: Pair;
    readonly outputPadding: Pair;
    readonly dilation: Pair;
    readonly groups: number;
    readonly countPadding: boolean;
  };
  readonly [array: string]: unknown;
}

const file = new URL("../fixtures/layers.json", import.meta.url);
const { cases } = JSON.parse(readFileSync(file, "utf8")) as { cases: Layer[] };

/** y of each layer, from its options and operands. */
const LAYERS: Record<string, (options: Layer["options"], x: Node, kernel: Node) => Node> = {
  conv2d: (options, x, kernel) => ops.conv2d(x, kernel, options),
  conv1d: (options, x, kernel) => ops.conv1d(x, kernel, options as object),
  convTranspose2d: (options, x, kernel) => ops.conv2dTranspose(x, kernel, options),
  maxPool2d: (options, x) => ops.maxPool2d(x, options.size, options),
  avgPool2d: ({ size, stride, padding: [v, h], countPadding }, x) =>
    countPadding
      ? ops.averagePool2d(ops.pad(x, [0, v, h, 0], [0, v, h, 0]), size, { stride })
      : ops.averagePool2d(x, size, { stride, padding: [v, h] }),
  globalAvgPool2d: (_, x) => ops.mean(x, [1, 2]),
  globalMaxPool2d: (_, x) => ops.max(x, [1, 2]),
};

describe("as PyTorch computes it", () => {
  const known = cases.flatMap((layer, index) => (layer.layer in LAYERS ? [{ index, layer }] : []));
  test.each(known.map(({ index, layer }) => [layer.layer, index] as const))("%s, fixture %i", (name, index) => {
    const layer = cases[index];
    const array = (key: string) => layer[key] as Numbers;
    const given = ["x", "kernel", "bias", "dy"].filter((key) => key in layer);
    const node = Object.fromEntries(given.map((key) => [key, input(key, array(key).shape)]));
    const z = LAYERS[name](layer.options, node.x, node.kernel);
    const y = node.bias ? ops.add(z, node.bias) : z;
    const wrt = given.filter((key) => key !== "dy");
    const outputs = [
      y,
      ...ops.gradientsOf(
        ops.sum(ops.mul(y, node.dy)),
        wrt.map((key) => node[key]),
      ),
    ];
    const plan = makePlan({ inputs: given.map((key) => node[key]), outputs });
    const session = reference("float64").open();
    const results = session.compile(plan).run(given.map((key) => Float64Array.from(array(key).data))).outputs;

    expect(y.shape).toEqual(array("y").shape);
    for (const [i, key] of ["y", ...wrt.map((key) => `d${key}`)].entries()) {
      const expected = array(key).data;
      expect(results[i].length).toBe(expected.length);
      // The fixture has ten significant digits.
      for (const [j, e] of expected.entries()) {
        expect(Math.abs(results[i][j] - e)).toBeLessThanOrEqual(1e-9 * Math.max(1, Math.abs(e)));
      }
    }
  });
});

describe("shapes", () => {
  const x = input("x", [2, 28, 27, 3]);
  const w = input("w", [3, 3, 3, 8]);

  test("padding in all its forms", () => {
    const shape = (padding: ops.ConvolutionOptions["padding"], stride = 1) =>
      ops.conv2d(x, w, { padding, stride }).shape;
    expect(shape("valid")).toEqual([2, 26, 25, 8]);
    expect(shape("same")).toEqual([2, 28, 27, 8]);
    expect(shape("same", 2)).toEqual([2, 14, 14, 8]);
    expect(shape(2)).toEqual([2, 30, 29, 8]);
    expect(shape([0, 1])).toEqual([2, 26, 27, 8]);
    expect(
      shape([
        [1, 0],
        [2, 2],
      ]),
    ).toEqual([2, 27, 29, 8]);
  });

  test("transposed convolution with padding same multiplies the sizes by the stride", () => {
    expect(ops.conv2dTranspose(x, w, { stride: 2, padding: "same" }).shape).toEqual([2, 56, 54, 8]);
  });

  test("what does not fit is said with what was wanted and what to do", () => {
    expect(() => ops.conv2d(input("x", [28, 28]), w)).toThrow("images must have shape [B, H, W, C]");
    expect(() => ops.conv2d(x, input("w", [3, 3]))).toThrow("a kernel must have shape [KH, KW, I / groups, O]");
    expect(() => ops.conv2d(x, input("w", [3, 3, 1, 8]))).toThrow("[3, 3, 1, 8] came for I = 3");
    expect(() => ops.conv2d(x, w, { stride: 0 })).toThrow("each of stride must be a whole number ≥ 1; 0 came");
    expect(() => ops.conv2d(x, input("w", [30, 3, 3, 8]))).toThrow(
      "a window over 30 × 3 pixels does not fit on images of 28 × 27",
    );
    expect(() => ops.maxPool2d(x, 2, { padding: 2 })).toThrow(
      "padding [[2,2],[2,2]] must be less than the window, 2 × 2",
    );
    expect(() => ops.conv2dTranspose(x, w, { stride: 2, outputPadding: 2 })).toThrow(
      "[2, 59, 57, 8] would come of images [2, 29, 28, 3]; they are [2, 28, 27, 3]",
    );
    expect(() => ops.conv1d(x, w)).toThrow("sequences must have shape [B, L, I]");
  });
});

test("of equal cells the first wins the whole gradient", () => {
  const x = input("x", [1, 2, 2, 1]);
  const [dx] = ops.gradientsOf(ops.sum(ops.maxPool2d(x, 2)), [x]);
  const executable = reference("float64")
    .open()
    .compile(makePlan({ inputs: [x], outputs: [dx] }));
  expect([...executable.run([Float64Array.of(1, 5, 5, 2)]).outputs[0]]).toEqual([0, 1, 0, 0]);
});

test("nearest up-sampling repeats pixels, and its gradient adds them up again", () => {
  const x = input("x", [1, 1, 2, 2]);
  const y = ops.upsample2d(x, 2);
  const [dx] = ops.gradientsOf(ops.sum(ops.mul(y, y)), [x]);
  const executable = reference("float64")
    .open()
    .compile(makePlan({ inputs: [x], outputs: [y, dx] }));
  const { outputs } = executable.run([Float64Array.of(1, 2, 3, 4)]);
  expect([...outputs[0]]).toEqual([1, 2, 1, 2, 3, 4, 3, 4, 1, 2, 1, 2, 3, 4, 3, 4]);
  expect([...outputs[1]]).toEqual([8, 16, 24, 32]);
});
