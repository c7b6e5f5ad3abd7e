/**
 * Golden runs made by PyTorch (test/fixtures/generate.py): losses, gradients and final weights of ten steps, from the
 * same initial weights and batches.
 */
import { readFileSync } from "node:fs";
import {
  adam,
  type Backend,
  dense,
  type Model,
  type Optimizer,
  reference,
  sequential,
  sgd,
  trainStep,
  wasm,
} from "chainrule";
import { describe, expect, test } from "vitest";
import { findGpu } from "./support/gpu.ts";

interface Values {
  shape: number[];
  data: number[];
}
interface Run {
  optimizer: string;
  options: Record<string, number>;
  losses: number[];
  gradients: Record<string, Record<string, Values>>;
  final: Record<string, Values>;
}
interface Net {
  layers: { units: number; activation: string }[];
  loss: string;
  initial: Record<string, Values>;
  batches: { x: Values; y: number[] | Values }[];
}

const read = (name: string) => JSON.parse(readFileSync(new URL(`fixtures/${name}`, import.meta.url), "utf8"));
const optimizers: Record<string, (options: Record<string, number>) => Optimizer> = { sgd, adam, momentum: sgd };

function build({ layers, initial }: Net, backend: Backend): Model {
  const input = initial["dense_1.kernel"].shape.slice(0, 1);
  const model = sequential(
    { input, backend },
    layers.map(({ units, activation }) => dense(units, { activation })),
  );
  for (const [name, { data }] of Object.entries(initial)) model.setWeight(name, data);
  return model;
}

/** The largest difference, relative to the largest element. */
function relativeError(actual: ArrayLike<number>, expected: readonly number[]): number {
  const scale = Math.max(...expected.map(Math.abs));
  return Math.max(...expected.map((e, i) => Math.abs(actual[i] - e))) / scale;
}

const gpu = await findGpu();
if (!gpu.backend) console.warn(`skipped: ${gpu.why}`);

const mlp: Net & { runs: Run[] } = read("mlp.json");
const others: (Net & Run)[] = read("mlp-mse-tanh.json").nets;
const cases: [string, Net, Run][] = [
  ...mlp.runs.map((run): [string, Net, Run] => [`64-32-10 ReLU, cross-entropy, ${run.optimizer}`, mlp, run]),
  ...others.map((net): [string, Net, Run] => [`8-6-4-1 tanh and sigmoid, ${net.loss}, ${net.optimizer}`, net, net]),
];

// The fixtures have 12 digits; float64 agrees to nearly those, float32 to the 1e-5 that is asked of the engine.
describe.each([
  ["reference, float64", () => reference("float64"), 1e-9],
  ["wasm", () => wasm(), 1e-5],
  ["wasm without relaxed SIMD", () => wasm({ relaxedSimd: false }), 1e-5],
  ...(gpu.backend ? [["webgpu", () => gpu.backend!, 1e-5] as const] : []),
] as const)("%s", (_, backend, tolerance) => {
  test.each(cases)("%s", async (_, net, run) => {
    const model = build(net, backend());
    const loss =
      net.loss === "binaryCrossEntropy" && net.layers.at(-1)!.activation === "sigmoid"
        ? "binaryCrossEntropyOnProbabilities"
        : net.loss;
    const step = trainStep(model, { loss, optimizer: optimizers[run.optimizer](run.options), gradients: true });
    for (const [i, { x, y }] of net.batches.entries()) {
      const result = await step({ x: x.data, y: Array.isArray(y) ? y : y.data });
      expect(Math.abs(result.loss - run.losses[i]) / run.losses[i]).toBeLessThanOrEqual(tolerance);
      for (const [name, expected] of Object.entries(run.gradients[i + 1] ?? {})) {
        expect(relativeError(result.gradients[name], expected.data), `${name}, step ${i + 1}`).toBeLessThanOrEqual(
          tolerance,
        );
      }
    }
    for (const [name, expected] of Object.entries(run.final)) {
      expect(relativeError(await model.weightAsync(name), expected.data), name).toBeLessThanOrEqual(tolerance);
    }
  });
});
