/**
 * The WebGPU backend against the reference, on every op's cases, forward and backward. On SwiftShader each shader takes a
 * tenth of a second to be made, so that of an op's cases some are tried; all of them with CHAINRULE_GPU_CASES=1.
 */
import { describe, expect, test } from "vitest";
import { reference } from "../../src/backends/reference/reference.ts";
import { constant, input } from "../../src/graph/leaf.ts";
import type { Node } from "../../src/graph/node.ts";
import { type AnyArray, allOps } from "../../src/graph/op.ts";
import { sizeOf } from "../../src/graph/shape.ts";
import { casesOf } from "../../src/ops/about.ts";
import { gradientsOf, matmul, mul, sum } from "../../src/ops/index.ts";
import { makePlan } from "../../src/plan/plan.ts";
import { RandomStream } from "../../src/random.ts";
import { buildCase } from "../support/draw.ts";
import { findGpu } from "../support/gpu.ts";

const { backend, why } = await findGpu();
if (!backend) console.warn(`skipped: ${why}`);

/**
 * The largest allowed error, relative to the largest element: that of the WebAssembly engine, 2e-6 for sums of up to 700
 * terms in single precision, and what WGSL allows beyond IEEE 754: 2.5 units of the last place for a division and some
 * for a square root.
 */
const TOLERANCE = 3e-6;

/** Cases of each op, spread over all it has. */
const MOST = process.env.CHAINRULE_GPU_CASES ? Number.POSITIVE_INFINITY : 2;

function error(actual: AnyArray, expected: AnyArray): number {
  const scale = Math.max(1e-3, ...Array.from(expected, Math.abs));
  return Math.max(0, ...Array.from(expected, (e, i) => Math.abs(actual[i] - e) / scale));
}

describe.skipIf(!backend)("every op", () => {
  const session = backend?.open();
  for (const op of allOps().values()) {
    const all = casesOf(op).map((_, i) => i);
    const some = all.filter((i) => i % Math.max(1, Math.ceil(all.length / MOST)) === 0);
    test.each(some)(`${op.name}, case %i`, async (index) => {
      const { inputs, y, values } = buildCase(op, index);
      const outputs: Node[] = [y];
      if (op.backward) {
        const stream = new RandomStream(index, "weights");
        const weights = Float64Array.from({ length: sizeOf(y.shape) }, () => Math.fround(stream.uniform() + 0.5));
        const wrt = inputs.filter((x) => x.dtype === "float");
        outputs.push(...gradientsOf(sum(mul(y, constant(weights, y.shape))), wrt));
      }
      const plan = makePlan({ inputs, outputs });
      const expected = reference("float64").open().compile(plan).run(values).outputs;
      const program = session!.compile(plan);
      const actual = (await program.run(values)).outputs;
      program.free();
      for (const [i, array] of expected.entries()) expect(error(actual[i], array)).toBeLessThanOrEqual(TOLERANCE);
    });
  }
});

/** [groups, m, k, n] and which operand is transposed: large tiles, in vectors and not, with edges; sums in parts. */
const PRODUCTS: readonly [sizes: readonly [number, number, number, number], a: boolean, b: boolean][] = [
  [[64, 132, 4, 132], false, false],
  [[64, 130, 3, 130], true, true],
  [[1, 100, 36, 68], false, true],
  [[1, 64, 64, 64], true, false],
  [[2, 20, 1000, 36], true, false],
];

test.skipIf(!backend).each(PRODUCTS)("a product of %o in tiles", async ([groups, m, k, n], transposeA, transposeB) => {
  const stream = new RandomStream(2, "product");
  const a = input("a", transposeA ? [groups, k, m] : [groups, m, k]);
  const b = input("b", transposeB ? [groups, n, k] : [groups, k, n]);
  const values = [a, b].map(({ shape }) => Float32Array.from({ length: sizeOf(shape) }, () => stream.uniform() - 0.5));
  const plan = makePlan({ inputs: [a, b], outputs: [matmul(a, b, { transposeA, transposeB })] });
  const session = backend!.open();
  const [actual] = (await session.compile(plan).run(values)).outputs;
  session.close();
  const [expected] = reference("float64").open().compile(plan).run(values).outputs;
  let largest = 0;
  for (const [i, value] of expected.entries()) largest = Math.max(largest, Math.abs(actual[i] - value));
  expect(largest).toBeLessThan(1e-7 + 2e-8 * k);
});
