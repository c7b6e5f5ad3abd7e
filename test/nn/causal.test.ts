/** Causal convolutions and dense layers at each time step against PyTorch (test/fixtures/causal.py); no place sees later ones. */
import { conv1d, dense, flatten, reference, sequential, sgd, trainStep, wasm } from "chainrule";
import { describe, expect, test } from "vitest";
import { fixture } from "../support/fixtures.ts";

interface Causal {
  readonly length: number;
  readonly inputs: number;
  readonly filters: number;
  readonly size: number;
  readonly dilation: number;
  readonly outputs: number;
  readonly x: number[];
  readonly target: number[];
  readonly y: number[];
  readonly weights: Record<string, number[]>;
  readonly gradients: Record<string, number[]>;
  readonly losses: number[];
}

const one = fixture<Causal>("causal");
const { length, inputs, filters, size, dilation, outputs } = one;

const farthest = (actual: ArrayLike<number>, wanted: readonly number[]): number => {
  expect(actual.length).toBe(wanted.length);
  return Math.max(...wanted.map((value, i) => Math.abs(actual[i] - value)));
};

describe.each([
  ["float64", () => reference("float64"), 1e-9],
  ["the engine", () => wasm(), 1e-5],
] as const)("%s", (_, backend, tolerance) => {
  test("outputs, gradients and losses equal PyTorch's", async () => {
    const model = sequential({ input: [length, inputs], backend: backend() }, [
      conv1d(filters, size, { padding: "causal", dilation, activation: "tanh" }),
      dense(outputs),
    ]);
    expect(model.network.parameters.map(({ name }) => name)).toEqual(Object.keys(one.weights));
    for (const { name, node } of model.network.parameters) model.session.write(node, one.weights[name]);
    // Predictions come in single precision from any backend.
    expect(farthest(await model.predict(one.x), one.y)).toBeLessThanOrEqual(Math.max(tolerance, 3e-7));
    const optimizer = sgd({ learningRate: 0.1, momentum: 0.9 });
    const step = trainStep(model, { loss: "meanSquaredError", optimizer, gradients: true });
    const losses: number[] = [];
    for (let i = 0; i < one.losses.length; i++) {
      const result = await step({ x: one.x, y: one.target });
      losses.push(result.loss);
      if (i > 0) continue;
      for (const [name, values] of Object.entries(one.gradients))
        expect(farthest(result.gradients[name], values), name).toBeLessThanOrEqual(tolerance);
    }
    expect(farthest(losses, one.losses)).toBeLessThanOrEqual(tolerance);
  });
});

test("a place changes with none that comes after it", async () => {
  const model = sequential({ input: [8, 1], seed: 2 }, [
    conv1d(3, 2, { padding: "causal", activation: "tanh" }),
    conv1d(2, 2, { padding: "causal", dilation: 2 }),
  ]);
  const x = Float32Array.from({ length: 8 }, (_, t) => Math.sin(t));
  const before = await model.predict(x);
  for (let t = 0; t < 8; t++) {
    const after = await model.predict(x.map((value, i) => (i === t ? value + 1 : value)));
    const changed = Array.from(
      { length: 8 },
      (_, i) => after[2 * i] !== before[2 * i] || after[2 * i + 1] !== before[2 * i + 1],
    );
    expect(changed.indexOf(true)).toBe(t);
    // Four places see one: two of the first window, moved by 0 or 2.
    expect(changed.lastIndexOf(true)).toBe(Math.min(7, t + 3));
  }
});

test("a stride keeps the first place, as the windows end at it", async () => {
  const model = sequential({ input: [5, 1] }, [conv1d(1, 3, { padding: "causal", stride: 2, init: 1 }), flatten()]);
  // Sums of up to three values that end at places 0, 2 and 4.
  expect([...(await model.predict([[[1], [2], [3], [4], [5]]]))]).toEqual([1, 6, 12]);
});
