/** A network that ends in softmax or a sigmoid, before the cross-entropy that does the same: once is enough, as in Keras. */
import { activation, adam, dense, fromBytes, type Layer, sequential, trainStep } from "chainrule";
import { iris, split } from "chainrule/data";
import { explain } from "chainrule/explain";
import { expect, test } from "vitest";
import { circle } from "../support/data.ts";
import { relativeError } from "../support/fixtures.ts";

const [train, held] = split(iris(), 0.8, { seed: 3 });
const yes = ({ x, y }: { x: number[][]; y: number[] }) => ({ x, y: y.map((v) => [v]) });

const CASES: { name: string; last: Layer[]; plain: Layer; loss: string; input: number; data: never; test: never }[] = [
  {
    name: "softmax and crossEntropy",
    last: [dense(3, { activation: "softmax" })],
    plain: dense(3),
    loss: "crossEntropy",
    ...{ input: 4, data: train as never, test: held as never },
  },
  {
    name: "softmax as a layer",
    last: [dense(3), activation("softmax")],
    plain: dense(3),
    loss: "crossEntropy",
    ...{ input: 4, data: train as never, test: held as never },
  },
  {
    name: "a sigmoid and binaryCrossEntropy",
    last: [dense(1, { activation: "sigmoid" })],
    plain: dense(1),
    loss: "binaryCrossEntropy",
    ...{ input: 2, data: yes(circle(80)) as never, test: yes(circle(120)) as never },
  },
];

test.each(CASES)(
  "$name trains, scores and classifies as logits do",
  async ({ last, plain, loss, input, data, test }) => {
    const metrics = ["accuracy", "auc", "f1"];
    const run = async (layers: readonly Layer[]) => {
      const model = sequential({ input: [input], seed: 3 }, [dense(8, { activation: "tanh" }), ...layers]);
      const history = await model.fit(data, {
        loss,
        epochs: 40,
        optimizer: adam({ learningRate: 0.05 }),
        metrics: ["accuracy"],
        validation: test,
      });
      return { model, history, scores: await model.evaluate(test, { metrics }) };
    };
    const [probabilities, logits] = [await run(last), await run([plain])];
    expect(probabilities.model.weight("dense_2.kernel")).toEqual(logits.model.weight("dense_2.kernel"));
    expect(probabilities.scores).toEqual(logits.scores);
    expect(probabilities.history.map(({ loss, accuracy }) => [loss, accuracy])).toEqual(
      logits.history.map(({ loss, accuracy }) => [loss, accuracy]),
    );
    expect(logits.scores.accuracy).toBeGreaterThan(0.6);
    const again = fromBytes(probabilities.model.toBytes());
    const [own, expected] = [await again.classify(test), await logits.model.classify(test)];
    expect(own.classes).toEqual(expected.classes);
    expect(relativeError(own.probabilities, expected.probabilities, 1e-3)).toBeLessThan(1e-5);
    // predict gives what the network ends in.
    const [first] = await again.predict(test);
    expect(first).toBeCloseTo(
      expected.probabilities[own.probabilities.length === expected.classes.length * 2 && input === 2 ? 1 : 0],
      5,
    );
  },
);

test("the loss is the cross-entropy of the network's own probabilities, and its gradient p − y", async () => {
  const model = sequential({ input: [2], seed: 2 }, [dense(3, { activation: "softmax" })]);
  const x = [[0.3, -0.8]];
  const p = await model.predict(x);
  const step = trainStep(model, { loss: "crossEntropy", gradients: true });
  const { loss, gradients } = await step({ x, y: [2] });
  expect(loss).toBeCloseTo(-Math.log(p[2]), 6);
  const dz = [p[0], p[1], p[2] - 1];
  expect(relativeError(gradients["dense_1.bias"], dz)).toBeLessThan(1e-5);
  expect(
    relativeError(
      gradients["dense_1.kernel"],
      x[0].flatMap((v) => dz.map((d) => v * d)),
    ),
  ).toBeLessThan(1e-5);
});

test("an untrained network that ends in a sigmoid or softmax gives its own probabilities", async () => {
  for (const last of [dense(1, { activation: "sigmoid" }), dense(2, { activation: "softmax" })]) {
    const model = sequential({ input: [2], seed: 2 }, [last]);
    const own = await model.predict([[1, -2]]);
    expect((await model.classify([[1, -2]])).probabilities.at(-1)).toBe(own.at(-1));
  }
});

test("explain opens a step of such a network", async () => {
  const model = sequential({ input: [2], seed: 2 }, [dense(3, { activation: "softmax" })]);
  const step = await explain(model, { x: [[0.3, -0.8]], y: [2] }, { loss: "crossEntropy" });
  const p = await model.predict([[0.3, -0.8]]);
  expect(step.loss.value).toBeCloseTo(-Math.log(p[2]), 6);
  const shown = step.forward.flatMap(({ results }) => results).find(({ name }) => name === "dense_1.a");
  expect(relativeError(Float64Array.from(shown!.values as ArrayLike<number>), p)).toBeLessThan(1e-6);
});
