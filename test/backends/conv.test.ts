/**
 * Convolution and pooling on the WebAssembly engine against the reference: any sizes, with what is fused around them, and
 * the same bits for any number of threads. (The ops' own cases are tested in wasm.test.ts.)
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { detectFeatures } from "../../src/backends/wasm/features.ts";
import { type WasmOptions, wasm } from "../../src/backends/wasm/session.ts";
import { input } from "../../src/graph/leaf.ts";
import type { Node } from "../../src/graph/node.ts";
import type { AnyArray } from "../../src/graph/op.ts";
import { type Shape, sizeOf } from "../../src/graph/shape.ts";
import * as ops from "../../src/ops/index.ts";
import { spanOf } from "../../src/ops/window.ts";
import { makePlan } from "../../src/plan/plan.ts";
import { RandomStream } from "../../src/random.ts";
import { run } from "../support/run.ts";

const relaxed = detectFeatures().relaxedSimd ? [true, false] : [false];
const engines = relaxed.map((relaxedSimd) => wasm({ relaxedSimd, threads: 1 }));

/** Inputs filled with numbers in [−1, 1), as float32 has them. */
function filled(...shapes: Shape[]): { nodes: Node[]; values: Map<Node, AnyArray> } {
  const stream = new RandomStream(1, "conv");
  const nodes = shapes.map((shape, i) => input(`x${i}`, shape));
  const draw = (shape: Shape) => Float32Array.from({ length: sizeOf(shape) }, () => 2 * stream.uniform() - 1);
  return { nodes, values: new Map(nodes.map((node) => [node, draw(node.shape)])) };
}

/** The outputs, and the gradients of their sum of squares, as the engine and as the reference compute them. */
function compare(y: Node, nodes: readonly Node[], values: ReadonlyMap<Node, AnyArray>): void {
  const outputs = [y, ...ops.gradientsOf(ops.sum(ops.mul(y, y)), nodes)];
  const expected = run(outputs, values);
  for (const engine of engines) {
    for (const [i, actual] of run(outputs, values, engine).entries()) {
      const wanted = Array.from(expected[i]);
      const scale = Math.max(1, ...wanted.map(Math.abs));
      // float32 sums of up to a few thousand terms of size 1, which may cancel.
      const worst = Math.max(0, ...wanted.map((e, j) => Math.abs(actual[j] - e)));
      expect(worst / scale).toBeLessThanOrEqual(5e-6);
    }
  }
}

const small = fc.integer({ min: 1, max: 3 });

test("convolutions of any sizes, with bias and an activation", () => {
  const configuration = fc.record({
    b: fc.integer({ min: 1, max: 3 }),
    size: fc.tuple(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 20 })),
    kernel: fc.tuple(small, fc.integer({ min: 1, max: 5 })),
    inputs: fc.integer({ min: 1, max: 5 }),
    outputs: fc.integer({ min: 1, max: 9 }),
    groups: small,
    depthwise: fc.boolean(),
    stride: fc.tuple(small, small),
    dilation: fc.tuple(small, small),
    padding: fc.tuple(fc.tuple(small, small), fc.tuple(fc.integer({ min: 0, max: 7 }), small)),
  });
  fc.assert(
    fc.property(configuration, ({ b, size, kernel, inputs, outputs, groups, depthwise, ...how }) => {
      fc.pre(
        [0, 1].every((axis) => {
          const [before, after] = how.padding[axis];
          return size[axis] + before + after >= spanOf(kernel[axis], how.dilation[axis]);
        }),
      );
      const channels = depthwise ? outputs : inputs * groups;
      const w = depthwise ? [...kernel, 1, outputs] : [...kernel, inputs, outputs * groups];
      const { nodes, values } = filled([b, ...size, channels], w, [w[3]]);
      const z = ops.conv2d(nodes[0], nodes[1], { ...how, groups: depthwise ? outputs : groups });
      compare(ops.tanh(ops.add(z, nodes[2])), nodes, values);
    }),
    { numRuns: 60 },
  );
});

test("poolings of any sizes", () => {
  const configuration = fc.record({
    size: fc.tuple(fc.integer({ min: 5, max: 9 }), fc.integer({ min: 5, max: 11 })),
    channels: fc.integer({ min: 1, max: 9 }),
    window: fc.tuple(fc.integer({ min: 2, max: 5 }), fc.integer({ min: 2, max: 5 })),
    stride: fc.tuple(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 6 })),
    padding: fc.tuple(fc.integer({ min: 0, max: 1 }), fc.integer({ min: 0, max: 1 })),
  });
  fc.assert(
    fc.property(configuration, ({ size, channels, window, stride, padding }) => {
      const { nodes, values } = filled([2, ...size, channels]);
      const x = ops.relu(nodes[0]);
      compare(ops.maxPool2d(ops.mul(nodes[0], 2), window, { stride, padding }), nodes, values);
      compare(ops.averagePool2d(x, window, { stride, padding }), nodes, values);
    }),
    { numRuns: 40 },
  );
});

describe("sizes that fill many tiles, panels and blocks", () => {
  const cases: [string, Shape, Shape, ops.ConvolutionOptions][] = [
    ["two layers of an image classifier", [3, 26, 25, 8], [3, 3, 8, 20], {}],
    ["padding on all sides", [2, 28, 27, 4], [5, 5, 4, 12], { padding: "same" }],
    ["long sequences", [1, 1, 700, 3], [1, 7, 3, 12], { padding: "same" }],
    ["strided", [2, 29, 30, 5], [3, 3, 5, 9], { stride: 2, padding: 1 }],
    ["depthwise", [2, 20, 19, 24], [3, 3, 1, 24], { padding: 1, groups: 24 }],
    ["one by one", [2, 14, 15, 20], [1, 1, 20, 33], {}],
  ];
  test.each(cases)("%s", (_, x, w, options) => {
    const { nodes, values } = filled(x, w, [w[3]]);
    const z = ops.relu(ops.add(ops.conv2d(nodes[0], nodes[1], options), nodes[2]));
    compare(x[1] > 1 ? ops.maxPool2d(z, 2) : z, nodes, values);
  });
});

test("a NaN comes through max pooling", () => {
  const x = input("x", [1, 2, 4, 1]);
  const given = new Map([[x, Float32Array.of(1, 2, 3, Number.NaN, 5, 6, 7, 8)]]);
  for (const engine of engines) expect([...run([ops.maxPool2d(x, 2)], given, engine)[0]]).toEqual([6, Number.NaN]);
});

test("any number of threads, and wider vectors, give the same bits", async () => {
  const { nodes, values } = filled([4, 26, 26, 6], [3, 3, 6, 40], [40]);
  const z = ops.relu(ops.add(ops.conv2d(nodes[0], nodes[1], { padding: 1 }), nodes[2]));
  const y = ops.maxPool2d(z, 3, { stride: 2 });
  const outputs = [y, ...ops.gradientsOf(ops.sum(ops.mul(y, y)), nodes)];
  const plan = makePlan({ inputs: nodes, outputs });
  const bits = async (options: WasmOptions) => {
    const session = wasm(options).open();
    const executable = session.compile(plan);
    const given = nodes.map((node) => values.get(node)!);
    // Helper threads take part as soon as they have started.
    for (let i = 0; i < 3; i++) {
      executable.run(given);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    const result = executable.run(given).outputs;
    session.close();
    return result;
  };
  const one = await bits({ threads: 1 });
  expect(await bits({ threads: 2 })).toEqual(one);
  expect(await bits({ threads: 3 })).toEqual(one);
  // Where there are any; from here on the process has them, so this test is the last.
  expect(await bits({ threads: 1, turbo: true })).toEqual(one);
  expect(await bits({ threads: 3, turbo: true })).toEqual(one);
});
