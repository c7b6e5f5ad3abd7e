/** What `recommend` gives trains as it is, on every form of data. */
import { adam, DataError, recommend, sequential } from "chainrule";
import { curve, type Dataset, iris, moons, xor } from "chainrule/data";
import { expect, test } from "vitest";

const pictures: Dataset = {
  x: Uint8Array.from({ length: 40 * 64 }, (_, i) => (i % 64 < 32 === i < 20 * 64 ? 255 : 0)),
  y: Int32Array.from({ length: 40 }, (_, i) => Number(i >= 20)),
  count: 40,
  inputShape: [8, 8, 1],
  task: "classification",
  classes: ["above", "below"],
};

test.each([
  ["four rows of two classes", xor(), "binaryCrossEntropy", 1],
  ["a table of three classes", iris(), "crossEntropy", 3],
  ["a curve", curve(), "meanSquaredError", 1],
  ["pictures", pictures, "binaryCrossEntropy", 1],
] as const)("%s", async (_, data: Dataset, wanted, outputs) => {
  const { layers, loss, learningRate, batchSize, epochs, metrics, ...rest } = recommend(data);
  expect([loss, rest.outputs]).toEqual([wanted, outputs]);
  const model = sequential({ input: data.inputShape, seed: 1 }, layers);
  expect(model.network.outputShape).toEqual([outputs]);
  const options = { loss, optimizer: adam({ learningRate }), epochs, batchSize, metrics, onWarning: false } as const;
  const last = (await model.fit(data, options)).at(-1)!;
  if (data.task === "regression") expect(last.meanAbsoluteError).toBeLessThan(0.1);
  else expect(last.accuracy).toBeGreaterThan(0.97);
  model.close();
});

test("nothing to learn is said", () => {
  expect(() => recommend({ ...curve(), y: new Float32Array(200).fill(3) })).toThrow("Every row has the target 3");
  expect(() => recommend({ ...moons(), classes: ["a"], y: new Int32Array(200) })).toThrow(DataError);
});
