/** Numbers at the edges: losses at extreme outputs in single precision, single-row steps, results in between by name. */
import { dense, ops, sequential, sgd, tensor, trainStep, valueAndGrad, wasm } from "chainrule";
import { expect, test } from "vitest";

const options = { backend: wasm({ threads: 1 }) };

test("softmax and cross-entropy at logits of ±90 and ±10,000 neither overflow nor give NaN", async () => {
  for (const z of [90, 10_000]) {
    const f = valueAndGrad((logits, target) => ops.sum(ops.softmaxCrossEntropy(logits, target)), {
      ...options,
      wrt: [0],
    });
    // The wrong class is certain: the loss is the distance of the logits, 2z; the gradient p − y is (1, −1).
    const { value, gradients } = await f(tensor([[z, -z]]), tensor([[0, 1]]));
    expect(value).toBe(2 * z);
    expect([...gradients[0].data]).toEqual([1, -1]);
    // The right class is certain: nothing to learn.
    const right = await f(tensor([[z, -z]]), tensor([[1, 0]]));
    expect(right.value).toBe(0);
    expect([...right.gradients[0].data].map(Math.abs)).toEqual([0, 0]);
  }
});

test("binary cross-entropy takes probabilities of exactly 0 and 1: ln 1e-7 at worst", async () => {
  const model = sequential({ input: [1], ...options }, [dense(1, { bias: false })]);
  model.setWeight("dense_1.kernel", [[1]]);
  const wrong = await model.evaluate({ x: [[0], [1]], y: [1, 0] }, { loss: "binaryCrossEntropyOnProbabilities" });
  expect(wrong.loss).toBeGreaterThan(15.9);
  expect(wrong.loss).toBeLessThan(16.2); // −ln 1e-7 = 16.118; 1 − 1e-7 is rounded in single precision
});

test("stochastic gradient descent: batches of one row take one step each", async () => {
  // y = w x with squared error: w ← w − η 2 (w x − t) x, by hand from w = 1 with η = 0.1.
  const model = sequential({ input: [1], ...options }, [dense(1, { bias: false })]);
  model.setWeight("dense_1.kernel", [[1]]);
  const step = trainStep(model, { loss: "meanSquaredError", optimizer: sgd({ learningRate: 0.1 }) });
  await step({ x: [[2]], y: [1] }); // 1 − 0.1 · 2 · (2 − 1) · 2 = 0.6
  await step({ x: [[1]], y: [3] }); // 0.6 − 0.1 · 2 · (0.6 − 3) · 1 = 1.08
  expect(model.weight("dense_1.kernel")[0]).toBeCloseTo(1.08, 6);
  const seen: number[] = [];
  const fresh = sequential({ input: [1], ...options }, [dense(1)]);
  await fresh.fit(
    { x: [[1], [2], [3]], y: [1, 2, 3] },
    { loss: "meanSquaredError", batchSize: 1, onProgress: (progress) => seen.push(progress.steps) },
  );
  expect(seen.at(-1)).toBe(3);
});

test("every z and a can be had by name", async () => {
  // The first worked example: x = [0.5, 0.2, 0.1], tanh then sigmoid, no biases.
  const model = sequential({ input: [3], ...options }, [
    dense(2, { activation: "tanh", bias: false }),
    dense(1, { activation: "sigmoid", bias: false }),
  ]);
  model.setWeight("dense_1.kernel", [
    [0.4, 0.3],
    [0.2, 0.7],
    [0.6, 0.5],
  ]);
  model.setWeight("dense_2.kernel", [[0.8], [0.6]]);
  const results = await model.intermediates([[0.5, 0.2, 0.1]]);
  const expected: Record<string, number[]> = {
    "dense_1.z": [0.3, 0.34],
    "dense_1.a": [0.291313, 0.327477],
    "dense_2.z": [0.429537],
    "dense_2.a": [0.605763],
  };
  for (const [name, values] of Object.entries(expected)) {
    for (const [i, value] of values.entries()) expect(results[name].data[i], name).toBeCloseTo(value, 6);
  }
});
