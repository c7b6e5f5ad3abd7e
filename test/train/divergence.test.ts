/** Runs that diverge: wherever it happens, the step is named and the model keeps the weights from before it. */
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Data,
  dense,
  type FitOptions,
  type LearningRate,
  reduceOnPlateau,
  sequential,
  sgd,
  trainStep,
} from "chainrule";
import { expect, test } from "vitest";
import { circle } from "../support/data.ts";

const net = () => sequential({ input: [2], seed: 5 }, [dense(8, { activation: "tanh" }), dense(2)]);
const weights = (model: ReturnType<typeof net>) => model.network.parameters.map(({ name }) => [...model.weight(name)]);

/** 0.1 up to a step, and there and later `then`. 1e60 is infinite in single precision: that step breaks the weights. */
const until =
  (step: number, then: number): LearningRate =>
  (done: number) =>
    done + 1 < step ? 0.1 : then;

const data = circle(50); // 4 steps an epoch, the last of 2 rows
function* batches(epoch: number): Generator<Data> {
  for (let i = 0; i < 4; i++)
    yield { x: data.x.slice(10 * i).map(([a, b]) => [a + epoch / 10, b]), y: data.y.slice(10 * i) };
}
const plateau = (learningRate: LearningRate) =>
  // Every epoch after the first counts as bad, so the rate falls with each.
  reduceOnPlateau({ learningRate, patience: 0, threshold: 0.99 });
const shifted: FitOptions["augment"] = (row, epoch) => row.map((value) => value + epoch / 10) as typeof row;
const same = (rate: LearningRate): LearningRate => rate;

test.each<
  [string, number, { source?: typeof batches; schedule?: typeof same; options?: Partial<FitOptions>; resumed?: true }]
>([
  ["in the middle of a later epoch", 10, {}],
  ["in the last step of an epoch", 8, {}],
  ["in the last step of the run", 12, {}],
  ["with a schedule that goes by the loss", 14, { schedule: plateau, options: { epochs: 4 } }],
  ["with rows that are varied", 10, { options: { augment: shifted } }],
  ["with batches from a function", 10, { source: batches }],
  ["after the run was resumed", 10, { resumed: true }],
])("%s", async (_, step, { source, schedule = same, options = {}, resumed }) => {
  const path = join(await mkdtemp(join(tmpdir(), "chainrule-")), "run.checkpoint");
  const train = async (then: number) => {
    const settings: FitOptions = {
      loss: "crossEntropy",
      optimizer: sgd({ learningRate: schedule(until(step, then)) }),
      epochs: 3,
      batchSize: 16,
      ...options,
    };
    const model = net();
    if (resumed) await model.fit(data, { ...settings, epochs: 1, checkpoint: { path } });
    const target = resumed ? net() : model;
    const error = await target.fit(source ?? data, { ...settings, ...(resumed && { resume: path }) }).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    return { error, weights: weights(target) };
  };
  // A rate of 0 leaves the weights as they were before that step.
  const [broken, kept] = [await train(1e60), await train(0)];
  expect(broken.error).toMatchObject({ name: "DivergenceError", step });
  expect(kept.error).toBeUndefined();
  expect(broken.weights).toEqual(kept.weights);
});

test("in trainStep, the op that broke is named, and the weights stay", async () => {
  const model = net();
  const step = trainStep(model, { loss: "crossEntropy", optimizer: sgd({ learningRate: until(2, 1e60) }) });
  await step(data);
  await step(data); // its update breaks the weights, which the next step's loss shows
  const before = weights(model);
  await expect(step(data)).rejects.toMatchObject({
    name: "DivergenceError",
    step: 3,
    where: expect.stringMatching(/^dense_1/),
    message: expect.stringMatching(/^Training stopped at step 3: .*came from dense_1/),
  });
  expect(weights(model)).toEqual(before);
  step.free();
});
