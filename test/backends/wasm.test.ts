/**
 * The WebAssembly engine against the reference, on every op's cases: forward, and backward through the same random
 * weights. A new op is tested here without another line.
 */
import { describe, expect, test } from "vitest";
import type { ImmediateBackend } from "../../src/backends/backend.ts";
import { reference } from "../../src/backends/reference/reference.ts";
import { detectFeatures } from "../../src/backends/wasm/features.ts";
import { wasm } from "../../src/backends/wasm/session.ts";
import { constant } from "../../src/graph/leaf.ts";
import type { Node } from "../../src/graph/node.ts";
import { type AnyArray, allOps } from "../../src/graph/op.ts";
import { sizeOf } from "../../src/graph/shape.ts";
import { casesOf } from "../../src/ops/about.ts";
import { gradientsOf, mul, sum } from "../../src/ops/index.ts";
import { makePlan } from "../../src/plan/plan.ts";
import { RandomStream } from "../../src/random.ts";
import { buildCase } from "../support/draw.ts";

/**
 * The largest allowed error, relative to the largest element. float32 has 6e-8 per operation; sums of n terms lose up to
 * √n of that, and the cases have n ≤ 700.
 */
const TOLERANCE = 2e-6;

const run = (
  backend: ImmediateBackend,
  inputs: readonly Node[],
  outputs: readonly Node[],
  values: readonly AnyArray[],
) => backend.open().compile(makePlan({ inputs, outputs })).run(values).outputs;

function error(actual: AnyArray, expected: AnyArray): number {
  const scale = Math.max(1e-3, ...Array.from(expected, Math.abs));
  return Math.max(0, ...Array.from(expected, (e, i) => Math.abs(actual[i] - e) / scale));
}

const variants: [string, ImmediateBackend][] = [["fixed-width SIMD", wasm({ relaxedSimd: false })]];
if (detectFeatures().relaxedSimd) variants.push(["relaxed SIMD", wasm({ relaxedSimd: true })]);

describe.each(variants)("%s", (_, backend) => {
  for (const op of allOps().values()) {
    test.each(casesOf(op).map((_, i) => i))(`${op.name}, case %i`, (index) => {
      const { inputs, y, values } = buildCase(op, index);
      const outputs = [y];
      if (op.backward) {
        const stream = new RandomStream(index, "weights");
        const weights = Float64Array.from({ length: sizeOf(y.shape) }, () => Math.fround(stream.uniform() + 0.5));
        const wrt = inputs.filter((x) => x.dtype === "float");
        outputs.push(...gradientsOf(sum(mul(y, constant(weights, y.shape))), wrt));
      }
      const expected = run(reference("float64"), inputs, outputs, values);
      const actual = run(backend, inputs, outputs, values);
      for (const [i, array] of expected.entries()) expect(error(actual[i], array)).toBeLessThanOrEqual(TOLERANCE);
    });
  }
});
