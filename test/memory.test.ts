/** A long run leaves memory where it was: no garbage is kept per step, per epoch or per call. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { adam, dense, sequential, trainStep } from "chainrule";
import { expect, test } from "vitest";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

const heap = (): number => {
  collect();
  collect();
  return process.memoryUsage().heapUsed;
};

const data = { x: new Float32Array([0, 0, 0, 1, 1, 0, 1, 1]), y: new Int32Array([0, 1, 1, 0]) };
const tiny = () => sequential({ input: [2], seed: 1 }, [dense(3, { activation: "tanh" }), dense(2)]);

/** Half a megabyte: compiled code and caches of the engine come and go; 100,000 kept objects would be megabytes. */
const SLACK = 500_000;

test("100,000 steps leave heap and engine memory where they were after 1,000", async () => {
  const model = tiny();
  const step = trainStep(model, { loss: "crossEntropy", optimizer: adam() });
  for (let i = 0; i < 1000; i++) await step(data);
  const [heapBefore, engineBefore] = [heap(), model.session.usedBytes];
  for (let i = 0; i < 99_000; i++) await step(data);
  expect(model.session.usedBytes).toBe(engineBefore);
  expect(heap() - heapBefore).toBeLessThan(SLACK);
});

test("fit, evaluate and predict give back what they took, also when they fail", async () => {
  const model = tiny();
  const use = async () => {
    await model.fit(data, { loss: "crossEntropy", epochs: 3, batchSize: 3, validation: data });
    await model.evaluate(data);
    await model.predict(data.x);
    await expect(model.fit(data, { loss: "crossEntropy", batchSize: 0 })).rejects.toThrow(
      /batchSize must be a whole number/,
    );
    await expect(model.fit(data, { loss: "crossEntropy", signal: AbortSignal.abort() })).rejects.toThrow(/abort/);
  };
  await use();
  const engineBefore = model.session.usedBytes;
  for (let i = 0; i < 20; i++) await use();
  expect(model.session.usedBytes).toBe(engineBefore);
});
