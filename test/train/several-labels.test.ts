/** Several labels at once, and targets that do not fit: what is measured, what is answered, what is refused. */
import { batchNorm, dense, input, sequential, type Warning } from "chainrule";
import { take, toDataset } from "chainrule/data";
import { describe, expect, test, vi } from "vitest";

/** A network that gives its three inputs as they are, so that its outputs are known. */
function passThrough(width = 3) {
  const model = sequential({ input: [width] }, [dense(width, { bias: false })]);
  model.setWeight(
    "dense_1.kernel",
    Array.from({ length: width }, (_, i) => Array.from({ length: width }, (_, j) => Number(i === j))),
  );
  model.details.loss = "binaryCrossEntropy";
  return model;
}

// biome-ignore format: a row on a line
const z = [
  [3.6, 0.9, 0.2], [-3.7, -0.6, -0.7], [-0.2, -1.3, -0.1], [-1, -2.6, 1.8], [1.8, 3.4, 0.1], [-0.8, -1.1, -3.1],
  [2, -2.2, -2.4], [-0.4, 3, 0.5], [-2, -1.4, 1.3], [-0.3, -1.5, -0.5], [1.5, 4, -2.5], [-1.3, -1.6, -4.8],
];
// biome-ignore format: a row on a line
const y = [
  [1, 1, 0], [0, 0, 1], [1, 0, 1], [1, 0, 1], [0, 1, 0], [0, 0, 0],
  [1, 0, 1], [0, 1, 0], [1, 1, 0], [1, 0, 0], [0, 0, 0], [1, 1, 1],
];

describe("several labels at once", () => {
  test("metrics are those of scikit-learn 1.2.1", async () => {
    const names = ["accuracy", "subsetAccuracy", "precision", "recall", "f1", "auc", "balancedAccuracy"];
    const { loss: _, ...scores } = await passThrough().evaluate({ x: z, y }, { metrics: names });
    const expected = {
      accuracy: 0.5, // 1 − hamming_loss
      subsetAccuracy: 1 / 12, // accuracy_score
      precision: 0.48333333, // average="macro" here and below
      recall: 0.36190476,
      f1: 0.41010101,
      auc: 0.53333333,
      balancedAccuracy: 0.36190476,
    };
    expect(Object.keys(scores)).toEqual(Object.keys(expected));
    for (const [name, value] of Object.entries(expected)) expect(scores[name]).toBeCloseTo(value, 6);
  });

  test("classify gives a yes or no for each label, with its probability", async () => {
    const { labels, probabilities, classes } = await passThrough().classify(z.slice(0, 2));
    expect([...labels!]).toEqual([1, 1, 1, 0, 0, 0]);
    const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
    for (const [i, x] of [3.6, 0.9, 0.2, -3.7, -0.6, -0.7].entries())
      expect(probabilities[i]).toBeCloseTo(sigmoid(x), 6);
    expect([...classes]).toEqual([0, 1]);
  });

  test("of one output, and of classes, classify gives no labels", async () => {
    expect((await passThrough(1).classify([[1]])).labels).toBeUndefined();
    const model = passThrough();
    model.details.loss = "crossEntropy";
    expect((await model.classify(z)).labels).toBeUndefined();
  });

  test("toDataset takes such targets, with their names; parts of it are such, too", () => {
    const data = toDataset({ x: z, y, classes: ["cat", "dog", "bird"] });
    expect([data.task, data.classes, [...data.y.subarray(0, 6)]]).toEqual([
      "multilabel",
      ["cat", "dog", "bird"],
      [1, 1, 0, 0, 0, 1],
    ]);
    expect([...take(data, [1]).y]).toEqual([0, 0, 1]);
    const oneHot = [[1, 0], [0, 1]]; // biome-ignore format: one line
    expect(toDataset({ x: [1, 2], y: oneHot }).task).toBe("classification");
    expect(toDataset({ x: [1, 2], y: oneHot, task: "multilabel" }).task).toBe("multilabel");
    expect(() => toDataset({ x: z, y, classes: ["cat"] })).toThrow(/1 names for 3 labels/);
    expect(() => toDataset({ x: [1, 2], y: [[1, 2], [0, 1]], task: "multilabel" })).toThrow(/the label is 2; 1 says/); // biome-ignore format: one line
  });

  test("a network learns them", async () => {
    const x = Array.from({ length: 200 }, (_, i) => [Math.sin(i), Math.cos(3 * i)]);
    const labels = x.map(([a, b]) => [Number(a > 0), Number(b > 0.3), Number(a + b > 0)]);
    const model = sequential({ input: [2], seed: 1 }, [dense(16, { activation: "tanh" }), dense(3)]);
    await model.fit({ x, y: labels }, { loss: "binaryCrossEntropy", epochs: 60, batchSize: 16, onWarning: false });
    const { accuracy, subsetAccuracy } = await model.evaluate(
      { x, y: labels },
      { metrics: ["accuracy", "subsetAccuracy"] },
    );
    expect(accuracy).toBeGreaterThan(0.95);
    expect(subsetAccuracy).toBeGreaterThan(0.85);
    expect(subsetAccuracy).toBeLessThanOrEqual(accuracy);
  });

  test("class weights, which are for one class per row, are refused", async () => {
    const fitting = passThrough().fit({ x: z, y }, { loss: "binaryCrossEntropy", classWeights: "balanced" });
    await expect(fitting).rejects.toThrow(/classWeights is for one class per row/);
  });
});

describe("targets that do not fit the loss", () => {
  const train = (loss: string, targets: number[][] | number[], width = 3, options = {}) =>
    Promise.resolve(
      sequential({ input: [3] }, [dense(width)]).fit(
        { x: z.slice(0, targets.length), y: targets },
        { loss, onWarning: false, ...options },
      ),
    );

  test.each<[string, string, number[][] | number[], number, RegExp]>([
    [
      "several ones",
      "crossEntropy",
      [
        [1, 0, 0],
        [1, 1, 0],
      ],
      3,
      /y, row 2 is \[1, 1, 0\]; crossEntropy takes one class/,
    ],
    [
      "none",
      "crossEntropy",
      [
        [0, 0, 0],
        [0, 1, 0],
      ],
      3,
      /y, row 1 is .*binaryCrossEntropy/,
    ],
    [
      "less than 0",
      "crossEntropy",
      [
        [2, -1, 0],
        [0, 1, 0],
      ],
      3,
      /y, row 1 is \[2, -1, 0\]/,
    ],
    ["−1 and 1", "binaryCrossEntropy", [1, -1, 1], 1, /y, row 2 has -1; .*take hinge/],
    ["class numbers", "binaryCrossEntropy", [0, 1, 3], 1, /y, row 3 has 3; .*crossEntropy/],
    ["class numbers on probabilities", "binaryCrossEntropyOnProbabilities", [0, 1, 2], 1, /y, row 3 has 2/],
  ])("%s with %s", async (_, loss, targets, width, message) => {
    await expect(train(loss, targets, width)).rejects.toThrow(message);
  });

  test("probabilities are taken", async () => {
    await train("crossEntropy", [[0.2, 0.3, 0.5], [0, 1, 0]]); // biome-ignore format: one line
    await train("binaryCrossEntropy", [0.25, 1, 0], 1);
  });

  test("accuracy of numbers, in fit and in evaluate; of 0 and 1 it is taken", async () => {
    await expect(train("meanSquaredError", [1, 2.5, 0], 1, { metrics: ["accuracy"] })).rejects.toThrow(
      /accuracy counts right and wrong answers, but the targets are numbers, such as 2.5/,
    );
    const model = sequential({ input: [3] }, [dense(1)]);
    const numbers = { x: z.slice(0, 2), y: [3, 4] };
    await expect(model.evaluate(numbers, { loss: "meanSquaredError", metrics: ["f1"] })).rejects.toThrow(/f1 counts/);
    await train("meanSquaredError", [1, 0, 1], 1, { metrics: ["accuracy"] });
  });

  test("weights that are all 0", async () => {
    const data = { x: z.slice(0, 2), y: [[1], [0]], weights: [0, 0] }; // biome-ignore format: one line
    const fitting = sequential({ input: [3] }, [dense(1)]).fit(data, { loss: "meanSquaredError" });
    await expect(fitting).rejects.toThrow(/weights are all 0/);
  });

  test("a batch of one row for batchNorm, at once and not when the rest of an epoch comes", async () => {
    const model = sequential({ input: [3] }, [dense(4), batchNorm(), dense(1)]);
    const rows = (n: number) => ({ x: Array.from({ length: n }, (_, i) => z[i % 12]), y: new Float32Array(n) });
    await expect(model.fit(rows(1), { loss: "meanSquaredError" })).rejects.toThrow(/batchNorm: a batch of one row/);
    const before = model.weight("dense_1.kernel");
    await expect(model.fit(rows(9), { loss: "meanSquaredError", batchSize: 4 })).rejects.toThrow(/batch of one row/);
    expect(model.weight("dense_1.kernel")).toEqual(before);
    await model.fit(rows(8), { loss: "meanSquaredError", batchSize: 4, onWarning: false });
  });
});

describe("warnings", () => {
  const data = { x: [[0.1], [0.5], [0.9]], y: [[16_900], [17_000], [17_100]] }; // biome-ignore format: one line

  test("targets that are not scaled are warned of, by console.warn unless told otherwise, once", async () => {
    const said = vi.spyOn(console, "warn").mockImplementation(() => {});
    const train = (onWarning?: false | ((warning: Warning) => void)) =>
      sequential({ input: [1], seed: 1 }, [dense(1)]).fit(data, {
        loss: "meanSquaredError",
        epochs: 3,
        ...(onWarning !== undefined && { onWarning }),
      });
    await train(false);
    expect(said).not.toHaveBeenCalled();
    const kinds: string[] = [];
    await train(({ kind }) => kinds.push(kind));
    expect(kinds).toContain("unscaledTarget");
    expect(said).not.toHaveBeenCalled();
    await train();
    const texts = said.mock.calls.map(([text]) => String(text)).filter((text) => text.startsWith("y reaches 17100"));
    expect(texts).toHaveLength(1);
    said.mockRestore();
  });

  test("a metric that only validation data show", async () => {
    const warnings: Warning[] = [];
    const model = sequential({ input: [1], seed: 1 }, [dense(2)]);
    const rows = { x: [[0.1], [0.5], [0.9], [0.2]], y: [0, 1, 1, 0] }; // biome-ignore format: one line
    const onWarning = (warning: Warning) => void warnings.push(warning);
    await model.fit(rows, { loss: "crossEntropy", metrics: ["accuracy", "f1"], onWarning });
    expect(warnings.map(({ kind, message }) => [kind, message])).toContainEqual([
      "unmeasuredMetric",
      "f1 needs all predictions at once and is measured on validation data: give validation: 0.2 to see it.",
    ]);
    warnings.length = 0;
    await model.fit(rows, { loss: "crossEntropy", metrics: ["f1"], validation: rows, onWarning });
    expect(warnings.map(({ kind }) => kind)).not.toContain("unmeasuredMetric");
  });
});

test("sequences keep their shape", () => {
  const sequence = Array.from({ length: 4 }, (_, i) => [i]);
  const x = [sequence, sequence];
  expect(toDataset({ x, y: [0, 1] }).inputShape).toEqual([4, 1]);
  expect(toDataset({ x: new Float32Array(96), y: [0, 1], inputShape: [48, 1] }).inputShape).toEqual([48, 1]);
  expect(input("x", [2, 4, 1]).shape).toEqual([2, 4, 1]);
});
