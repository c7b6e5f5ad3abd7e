/** Every loss and its gradient against PyTorch's, and what comes with losses: options, weights, functions of one's own. */
import {
  abs,
  dense,
  fromBytes,
  hinge,
  huber,
  lossNamed,
  lossNames,
  mean,
  reference,
  sequential,
  sgd,
  sub,
  trainStep,
} from "chainrule";
import { describe, expect, test } from "vitest";
import { input } from "../../src/graph/leaf.ts";
import { gradientsOf, mean as meanOf, mul } from "../../src/ops/index.ts";
import { classWeigher, countClasses } from "../../src/train/class-weights.ts";
import type { Examples } from "../../src/train/examples.ts";
import { fixture, relativeError, type Stored } from "../support/fixtures.ts";
import { run } from "../support/run.ts";

interface Case {
  readonly name: string;
  readonly about: string;
  readonly options?: { classWeights?: number[]; sampleWeights?: number[]; dividedBy?: "batch" | "weights" };
  readonly prediction: Stored;
  readonly target: Stored;
  readonly loss: number;
  readonly gradient: Stored;
}

/** The fixture's names, where ours differ: ours say what is special, which is not to take logits. */
const OURS: Readonly<Record<string, string>> = {
  binaryCrossEntropyWithLogits: "binaryCrossEntropy",
  binaryCrossEntropy: "binaryCrossEntropyOnProbabilities",
  klDivergenceLog: "klDivergenceOnLogs",
};
const cases = fixture<{ cases: Case[] }>("losses").cases.filter(({ options }) => options?.dividedBy !== "weights");
const nameOf = ({ name }: Case) => OURS[name] ?? name;

test("every loss has a case", () => {
  const known = new Set(cases.map(nameOf));
  expect(lossNames().filter((name) => !known.has(name))).toEqual([]);
});

describe.each(cases.map((c) => [nameOf(c), c] as const))(
  "%s",
  (name, { about, options, prediction, target, ...expected }) => {
    test(about, () => {
      const { classWeights, sampleWeights, dividedBy, ...own } = options ?? {};
      const labels = target.shape.length === 1;
      const output = input("output", prediction.shape);
      const y = input("y", target.shape, labels ? "int" : "float");
      const [count] = prediction.shape;
      const examples: Examples = {
        count,
        x: [new Float32Array(count)],
        y: [{ kind: "classes", values: Int32Array.from(target.data) }],
        weights: sampleWeights && Float32Array.from(sampleWeights),
      };
      const { weights } = classWeigher(countClasses(examples), classWeights)(examples);
      const w = input("w", [count]);
      const loss = meanOf(mul(lossNamed(name, own).perSample(output, y), w));
      const [value, gradient] = run(
        [loss, gradientsOf(loss, [output])[0]],
        new Map([
          [output, prediction.data],
          [y, target.data],
          [w, Array.from(weights ?? new Array<number>(count).fill(1))],
        ]),
      );
      expect(relativeError(value, [expected.loss], 1e-6)).toBeLessThan(1e-9);
      expect(relativeError(gradient, expected.gradient.data, 1e-3)).toBeLessThan(1e-9);
    });
  },
);

test("balanced class weights give every class the same share, in later epochs what they were in the first", () => {
  const examples = (...labels: number[]): Examples => ({
    count: labels.length,
    x: [new Float32Array(labels.length)],
    y: [{ kind: "classes", values: Int32Array.from(labels) }],
  });
  const first = examples(0, 0, 0, 1);
  const weigh = classWeigher(countClasses(first), "balanced");
  const rounded = (some: Examples) => [...weigh(some).weights!].map((w) => Math.round(w * 1e6) / 1e6);
  expect(rounded(first)).toEqual([0.666667, 0.666667, 0.666667, 2]);
  expect(rounded(examples(0, 0))).toEqual([0.666667, 0.666667]);
});

test("a row of weight 0 teaches nothing, one of weight 2 twice as much", async () => {
  const step = async (data: { x: number[][]; y: number[][]; weights?: number[] }) => {
    const model = sequential({ input: [2], seed: 1, backend: reference("float64") }, [dense(1)]);
    const train = trainStep(model, { loss: "meanSquaredError", optimizer: sgd(), gradients: true });
    return (await train(data)).gradients["dense_1.kernel"];
  };
  const [a, b, c] = [
    [1, 2],
    [3, -1],
    [2, 2],
  ];
  const weighted = await step({ x: [a, b, c], y: [[1], [2], [3]], weights: [1, 0, 2] });
  const repeated = await step({ x: [a, c, c], y: [[1], [3], [3]] });
  expect(relativeError(weighted, repeated)).toBeLessThan(1e-12);
});

test("class weights pull the decision, in fit and with one-hot rows alike", async () => {
  const x = Array.from({ length: 40 }, (_, i) => [i % 2]);
  // Half of the rows with x = 1 belong to each class.
  const labels = x.map(([v], i) => (v === 1 && i % 4 === 1 ? 1 : 0));
  const ask = async (y: number[] | number[][], classWeights: Record<number, number>) => {
    const model = sequential({ input: [1], seed: 1 }, [dense(2)]);
    await model.fit(
      { x, y },
      { loss: "crossEntropy", classWeights, epochs: 60, batchSize: 8, optimizer: sgd({ learningRate: 0.5 }) },
    );
    return (await model.classify([[1]])).probabilities[1];
  };
  expect(await ask(labels, { 0: 1, 1: 3 })).toBeGreaterThan(0.6);
  expect(await ask(labels, { 0: 3, 1: 1 })).toBeLessThan(0.4);
  const oneHot = labels.map((label) => (label === 0 ? [1, 0] : [0, 1]));
  expect(await ask(oneHot, { 0: 1, 1: 3 })).toBe(await ask(labels, { 0: 1, 1: 3 }));
});

test("a loss with options is kept in the model file", async () => {
  const model = sequential({ input: [1] }, [dense(1)]);
  const data = { x: [[0], [3]], y: [[0], [0]] };
  await model.fit(data, { loss: huber({ delta: 0.5 }), epochs: 1 });
  const expected = await model.evaluate(data, { loss: huber({ delta: 0.5 }) });
  expect(await model.evaluate(data)).toEqual(expected);
  expect(await fromBytes(model.toBytes()).evaluate(data)).toEqual(expected);
});

test("a function of one's own is a loss", async () => {
  const model = sequential({ input: [1] }, [dense(1)]);
  const data = { x: [[1], [2]], y: [[3], [5]] };
  await model.fit(data, {
    loss: (y, t) => mean(abs(sub(y, t)), 1),
    epochs: 200,
    batchSize: 2,
    optimizer: sgd({ learningRate: 0.02 }),
  });
  expect((await model.evaluate(data, { loss: "mae" })).loss).toBeLessThan(0.2);
});

test("a target of 0 is hinge's −1", () => {
  const z = input("z", [1, 4]);
  const t = input("t", [1, 4]);
  const losses = ["hinge", "squaredHinge"].map((name) => lossNamed(name).perSample(z, t));
  for (const target of [
    [1, -1, -1, 1],
    [1, 0, 0, 1],
  ]) {
    const values = run(
      losses,
      new Map([
        [z, [0.3, -2, 0.5, 1.2]],
        [t, target],
      ]),
    );
    // PyTorch: clamp(1 - t * z, min=0).mean(), and of its square.
    expect(
      relativeError(
        values.flatMap((v) => [...v]),
        [0.55, 0.685],
      ),
    ).toBeLessThan(1e-12);
  }
});

test("a loss that was not called has its usual options", async () => {
  const data = { x: [[0], [3]], y: [[0], [0]] };
  const train = async (loss: unknown) => {
    const model = sequential({ input: [1], seed: 1 }, [dense(1)]);
    await model.fit(data, { loss: loss as string, epochs: 2 });
    return [model.details.loss, ...model.weight("dense_1.kernel")];
  };
  expect(await train(huber)).toEqual(await train("huber"));
  expect(await train(hinge)).toEqual(await train("hinge"));
});

test("mistakes are named", async () => {
  const model = sequential({ input: [1] }, [dense(2)]);
  const data = {
    x: [[1], [2]],
    y: [
      [3, 1],
      [5, 1],
    ],
  };
  await expect(model.fit(data, { loss: "mee" })).rejects.toThrow(/no loss called "mee".*meanSquaredError/);
  await expect(model.fit(data, { loss: (y, t) => mean(abs(sub(y, t))) })).rejects.toThrow(
    /one number per sample.*\[2\].*\[\]/,
  );
  await expect(model.fit({ ...data, weights: [1] }, { loss: "mse" })).rejects.toThrow(
    /weights has 1 numbers for 2 rows/,
  );
  await expect(model.fit({ ...data, weights: [1, -1] }, { loss: "mse" })).rejects.toThrow(/weights, row 2 is -1/);
  const labelled = { x: data.x, y: [0, 1] };
  await expect(model.fit(labelled, { loss: "crossEntropy", classWeights: { 2: 1 } })).rejects.toThrow(
    /no row of class 2.*0, 1/,
  );
  expect(() => huber({ delta: 0 })).toThrow(/delta/);
  expect(() => lossNamed("crossEntropy", { labelSmoothing: 1 })).toThrow(/labelSmoothing/);
});
