/** Metrics against scikit-learn's, through the evaluation of a model that gives the fixture's own outputs. */
import { adam, confusionMatrix, defineMetric, dense, type Layer, mean, sequential, sub } from "chainrule";
import { expect, test } from "vitest";
import { circle } from "../support/data.ts";
import { fixture, type Stored } from "../support/fixtures.ts";

const { multiclass, binary, regression } = fixture<{
  multiclass: { labels: number[]; scores: Stored; confusion: number[][] } & Record<string, number>;
  binary: { labels: number[]; probabilities: number[]; confusion: number[][] } & Record<string, number>;
  regression: { target: Stored; prediction: Stored } & Record<string, number>;
}>("metrics");

/** A model that gives back what it gets. */
function echo(width: number) {
  const model = sequential({ input: [width] }, [dense(width, { bias: false })]);
  model.setWeight(
    "dense_1.kernel",
    Array.from({ length: width * width }, (_, i) => (i % (width + 1) === 0 ? 1 : 0)),
  );
  return model;
}

test("of several classes", async () => {
  const { scores, labels, ...expected } = multiclass;
  const metrics = ["accuracy", "top2Accuracy", "top3Accuracy", "precision", "recall", "f1"];
  const found = await echo(4).evaluate({ x: scores.data, y: labels }, { loss: "crossEntropy", metrics });
  for (const name of metrics)
    expect(found[name], name).toBeCloseTo(expected[name.endsWith("ccuracy") ? name : `${name}Macro`], 6);
  const oneHot = labels.map((label) => [0, 1, 2, 3].map((c) => Number(c === label)));
  expect(await echo(4).evaluate({ x: scores.data, y: oneHot }, { loss: "crossEntropy", metrics })).toEqual(found);
});

test("of two classes, from one output and from two", async () => {
  const { probabilities, labels, ...expected } = binary;
  const metrics = ["accuracy", "precision", "recall", "f1", "auc"];
  const one = await echo(1).evaluate(
    { x: probabilities, y: labels },
    { loss: "binaryCrossEntropyOnProbabilities", metrics },
  );
  // Logits that softmax turns into these probabilities.
  const pairs = probabilities.map((p) => [0, Math.log(Math.max(p, 1e-9) / Math.max(1 - p, 1e-9))]);
  const two = await echo(2).evaluate({ x: pairs, y: labels }, { loss: "crossEntropy", metrics });
  for (const name of metrics) {
    expect(one[name], name).toBeCloseTo(expected[name], 6);
    expect(two[name], name).toBeCloseTo(expected[name], 6);
  }
});

test("of regression", async () => {
  const { target, prediction, ...expected } = regression;
  const metrics = ["mae", "rmse", "r2", "meanAbsoluteError"];
  const found = await echo(2).evaluate({ x: prediction.data, y: target.data }, { loss: "mse", metrics });
  expect(found.mae).toBeCloseTo(expected.meanAbsoluteError, 6);
  expect(found.meanAbsoluteError).toBe(found.mae);
  expect(found.rmse).toBeCloseTo(expected.rootMeanSquaredError, 6);
  expect(found.r2).toBeCloseTo(expected.r2, 6);
});

test("AUC of several classes is the mean over each against the rest", async () => {
  // Rows of probabilities as logits of their logarithms.
  const p = [
    [0.8, 0.1, 0.1],
    [0.5, 0.3, 0.2],
    [0.2, 0.55, 0.25],
    [0.3, 0.2, 0.5],
  ];
  const x = p.map((row) => row.map(Math.log));
  const byHand = (c: number, labels: number[]) => {
    let [wins, pairs] = [0, 0];
    for (const [i, a] of p.entries())
      for (const [j, b] of p.entries())
        if (labels[i] === c && labels[j] !== c) {
          pairs++;
          wins += a[c] > b[c] ? 1 : a[c] === b[c] ? 0.5 : 0;
        }
    return wins / pairs;
  };
  for (const y of [
    [0, 1, 1, 2],
    [0, 0, 2, 1],
  ]) {
    const { auc } = await echo(3).evaluate({ x, y }, { loss: "crossEntropy", metrics: ["auc"] });
    expect(auc).toBeCloseTo((byHand(0, y) + byHand(1, y) + byHand(2, y)) / 3, 10);
  }
});

test("confusion matrices", () => {
  const { scores, labels, confusion } = multiclass;
  const predicted = labels.map((_, i) => {
    const row = scores.data.slice(i * 4, i * 4 + 4);
    return row.indexOf(Math.max(...row));
  });
  expect(confusionMatrix(labels, predicted)).toEqual(confusion);
  expect(() => confusionMatrix([0, 1], [0])).toThrow(/2 right classes and 1/);
  expect(() => confusionMatrix([0, 3], [0, 0], 2)).toThrow(/row 2.*0 to 1/);
});

test("in fit, means come with each epoch and the others with the validation", async () => {
  const model = sequential({ input: [2], seed: 1 }, [dense(1)]);
  const { x, y } = circle(40);
  const history = await model.fit(
    { x, y },
    { loss: "binaryCrossEntropy", epochs: 2, metrics: ["f1", "rmse", "auc"], validation: { x, y } },
  );
  expect(Object.keys(history[0].validation!).sort()).toEqual(["auc", "f1", "loss", "rmse"]);
  expect(history[0].rmse).toBeGreaterThan(0);
  expect(history[0].f1).toBeUndefined();
});

test("metrics of one's own, of either kind", async () => {
  defineMetric("bias", { perSample: (output, target) => mean(sub(output, target), 1) });
  defineMetric("largest", { whole: ({ outputs }) => Math.max(...outputs) });
  const found = await echo(1).evaluate({ x: [[1], [4]], y: [[0], [0]] }, { loss: "mse", metrics: ["bias", "largest"] });
  expect(found).toMatchObject({ bias: 2.5, largest: 4 });
  await expect(echo(1).evaluate({ x: [1], y: [1] }, { loss: "mse", metrics: ["acuracy"] })).rejects.toThrow(
    /no metric called "acuracy".*accuracy/,
  );
});

test("classify gives probabilities, whatever the network's last activation and the loss make of its outputs", async () => {
  const x = [[0], [1]];
  const classify = async (layers: Layer[], loss: string, y: number[] | number[][]) => {
    const model = sequential({ input: [1], seed: 1 }, layers);
    await model.fit({ x, y }, { loss, epochs: 200, optimizer: adam({ learningRate: 0.05 }) });
    const { classes, probabilities } = await model.classify(x);
    expect([...classes]).toEqual([0, 1]);
    for (let row = 0; row < 2; row++) expect(probabilities[2 * row] + probabilities[2 * row + 1]).toBeCloseTo(1, 6);
    expect(probabilities[3]).toBeGreaterThan(0.8);
  };
  const oneHot = [
    [1, 0],
    [0, 1],
  ];
  await classify([dense(2)], "crossEntropy", [0, 1]);
  await classify([dense(2, { activation: "softmax" })], "mse", oneHot);
  await classify([dense(2, { activation: "softmax" })], "klDivergence", oneHot);
  await classify([dense(2, { activation: "logSoftmax" })], "klDivergenceOnLogs", oneHot);
  await classify([dense(1)], "binaryCrossEntropy", [0, 1]);
  await classify([dense(1, { activation: "sigmoid" })], "binaryCrossEntropyOnProbabilities", [0, 1]);
  await classify([dense(1, { activation: "sigmoid" })], "mse", [0, 1]);
  await classify([dense(1)], "mse", [0, 1]);
});
