/** Wider vectors: the same bits, or a reason why there are none. */
import { adam, dense, sequential, wasm } from "chainrule";
import { expect, test } from "vitest";

async function train(turbo: boolean) {
  const model = sequential({ input: [20], seed: 3, backend: wasm({ threads: 1, turbo }) }, [
    dense(50, { activation: "relu" }),
    dense(7),
  ]);
  const x = Float32Array.from({ length: 20 * 64 }, (_, i) => Math.sin(i * i));
  const y = Int32Array.from({ length: 64 }, (_, i) => i % 7);
  await model.fit({ x, y }, { loss: "crossEntropy", optimizer: adam(), epochs: 3, batchSize: 16 });
  return { engine: model.engine, bytes: Buffer.from(model.toBytes()).toString("base64") };
}

test("with turbo the weights are the same bits, and the engine says what it uses", async () => {
  const plain = await train(false);
  const turbo = await train(true);
  expect(turbo.bytes).toBe(plain.bytes);
  expect(plain.engine).not.toMatch(/256|turbo/);
  expect(turbo.engine).toMatch(/256-bit vectors|no turbo: this V8 .* has no 256-bit vectors worth using/);
});
