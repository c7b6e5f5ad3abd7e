/** Generation: place by place gives what the whole window gives; what is drawn follows the probabilities. */
import { dense, embedding, flatten, generate, gpt, type Model, sequential } from "chainrule";
import { describe, expect, test } from "vitest";
import { sampleToken } from "../../src/train/generate.ts";

const V = 7;
const T = 8;

const collect = async (model: Model, prompt: number[], options: Parameters<typeof generate>[2]): Promise<number[]> => {
  const tokens: number[] = [];
  for await (const token of generate(model, prompt, options)) tokens.push(token);
  return tokens;
};

/** The likeliest next token by the whole window, filled up behind, which a causal network does not see. */
async function likeliest(model: Model, tokens: readonly number[]): Promise<number> {
  const window = new Float32Array(T);
  window.set(tokens);
  const logits = (await model.predict(window)) as Float32Array;
  const last = logits.subarray((tokens.length - 1) * V, tokens.length * V);
  return last.indexOf(Math.max(...last));
}

describe.each([
  ["learned positions", { positions: "learned" }],
  ["rotary, shared keys, gated", { positions: "rotary", keyHeads: 1, gated: true, norm: "rms" }],
  ["sines and cosines, no biases", { positions: "sinusoidal", bias: false }],
] as const)("%s", (_, more) => {
  const make = () =>
    sequential({ input: [T], seed: 4 }, gpt({ vocabulary: V, width: 8, heads: 2, blocks: 2, ...more }));

  test("token by token, as the whole window has it", async () => {
    const model = make();
    // Large weights, so that tokens differ clearly.
    for (const { name } of model.network.parameters)
      model.setWeight(
        name,
        model.weight(name).map((w) => 4 * w),
      );
    const tokens = [3, 1];
    const expected: number[] = [];
    while (tokens.length < T) {
      const next = await likeliest(model, tokens);
      expected.push(next);
      tokens.push(next);
    }
    expect(await collect(model, [3, 1], { length: T - 2, temperature: 0 })).toEqual(expected);
  });

  test("a full window goes on from its last half", async () => {
    const model = make();
    const all = await collect(model, [1], { length: 3 * T, temperature: 0 });
    // The first token after the window was full is what the last half of the window leads to.
    const before = [1, ...all].slice(0, T);
    expect(all).toHaveLength(3 * T);
    expect(all[T]).toBe(await likeliest(model, [...before, all[T - 1]].slice(-T / 2)));
  });
});

test("a model learns a sequence by heart and goes on with it", async () => {
  const model = sequential({ input: [T], seed: 1 }, gpt({ vocabulary: V, width: 16, heads: 2, blocks: 1 }));
  const sequence = Array.from({ length: 200 }, (_, i) => [0, 3, 1, 4, 2][i % 5]);
  const rows = Array.from({ length: 20 }, (_, i) => sequence.slice(i, i + T + 1));
  const data = { x: rows.map((row) => row.slice(0, T)), y: rows.map((row) => row.slice(1)) };
  await model.fit(data, { loss: "crossEntropy", epochs: 60, batchSize: 5, onWarning: false });
  const { loss, accuracy, perplexity, bits } = await model.evaluate(data, {
    metrics: ["accuracy", "perplexity", "bits"],
  });
  expect(accuracy).toBeGreaterThan(0.95);
  expect(perplexity).toBeCloseTo(Math.exp(loss), 5);
  expect(bits).toBeCloseTo(loss / Math.LN2, 5);
  expect(await collect(model, [0, 3, 1, 4], { length: 10, temperature: 0 })).toEqual([2, 0, 3, 1, 4, 2, 0, 3, 1, 4]);
});

test("the same seed draws the same tokens, and a signal stops", async () => {
  const model = sequential({ input: [T] }, gpt({ vocabulary: V, width: 8, heads: 2, blocks: 1 }));
  const once = await collect(model, [1], { length: 20, seed: 5 });
  expect(await collect(model, [1], { length: 20, seed: 5 })).toEqual(once);
  expect(await collect(model, [1], { length: 20, seed: 6 })).not.toEqual(once);
  const stop = new AbortController();
  const running = generate(model, [1], { length: 1000, signal: stop.signal });
  await running.next();
  stop.abort(new Error("enough"));
  await expect(running.next()).rejects.toThrow("enough");
});

test("what is drawn: by the likelihoods, among the likeliest, or the likeliest", () => {
  const logits = Float32Array.of(Math.log(0.5), Math.log(0.3), Math.log(0.2));
  const at = (u: number, options = {}) => sampleToken(logits, options, u);
  expect([0, 0.49, 0.51, 0.79, 0.81, 0.999].map((u) => at(u))).toEqual([0, 0, 1, 1, 2, 2]);
  expect([0.1, 0.99].map((u) => at(u, { temperature: 0 }))).toEqual([0, 0]);
  // 0.5 and 0.3 of 0.8.
  expect([0.62, 0.63].map((u) => at(u, { topK: 2 }))).toEqual([0, 1]);
  expect([0.62, 0.63, 0.999].map((u) => at(u, { topP: 0.7 }))).toEqual([0, 1, 1]);
  // √p: 0.7071, 0.5477, 0.4472 of 1.702.
  expect([0.41, 0.42].map((u) => at(u, { temperature: 2 }))).toEqual([0, 1]);
});

test("models of other forms are refused", async () => {
  const classifier = sequential({ input: [T] }, [embedding(V, 4), flatten(), dense(3)]);
  await expect(collect(classifier, [1], {})).rejects.toThrow(/tokens \[T\].*takes \[8\] and gives \[3\]/);
  const model = sequential({ input: [T] }, gpt({ vocabulary: V, width: 8, heads: 2, blocks: 1 }));
  await expect(collect(model, [], {})).rejects.toThrow("at least one token");
  await expect(collect(model, [1], { temperature: -1 })).rejects.toThrow("temperature");
  await expect(collect(model, [1], { lenght: 3 } as never)).rejects.toThrow("length");
});
