/** fit on batches from a function: the same steps as by hand, endless ones, exact resume, and what is wrong with them. */
import {
  adam,
  type BatchSource,
  type Data,
  dense,
  type FitOptions,
  RandomStream,
  sequential,
  trainStep,
} from "chainrule";
import { toDataset } from "chainrule/data";
import { Recorder } from "chainrule/explain";
import { expect, test } from "vitest";
import { circle } from "../support/data.ts";
import { stopAfter } from "../support/stopping.ts";

const net = () => sequential({ input: [2], seed: 4 }, [dense(8, { activation: "tanh" }), dense(2)]);
const bits = (model: ReturnType<typeof net>) => model.network.parameters.map(({ name }) => [...model.weight(name)]);

/** Batch number i of an epoch: five points, new in every epoch. */
function batchOf(epoch: number, i: number): Data {
  const random = new RandomStream(9, `batch ${epoch} ${i}`);
  const x = Array.from({ length: 5 }, () => [random.uniform(), random.uniform()]);
  return { x, y: x.map(([a, b]) => (a > b ? 1 : 0)) };
}
async function* endless(epoch: number) {
  for (let i = 0; ; i++) yield batchOf(epoch, i);
}
const options = (): FitOptions => ({
  loss: "crossEntropy",
  optimizer: adam({ learningRate: 0.02 }),
  epochs: 3,
  stepsPerEpoch: 7,
  metrics: ["accuracy"],
});

test("a step takes one batch, in the order they come, epoch by epoch", async () => {
  const byHand = net();
  const step = trainStep(byHand, { loss: "crossEntropy", optimizer: adam({ learningRate: 0.02 }) });
  const losses: number[] = [];
  for (let epoch = 0; epoch < 3; epoch++) {
    let sum = 0;
    for (let i = 0; i < 7; i++) sum += (await step(batchOf(epoch, i))).loss;
    losses.push(sum / 7);
  }
  const model = net();
  const history = await model.fit(endless, options());
  expect(bits(model)).toEqual(bits(byHand));
  for (const [i, { loss }] of history.entries()) expect(loss).toBeCloseTo(losses[i], 6);
});

test("a source that ends needs no stepsPerEpoch, and may be an array, bytes, values, or smaller at the end", async () => {
  const steps: number[] = [];
  const all = [batchOf(0, 0), batchOf(0, 1), { x: [[0.1, 0.2]], y: [0] }];
  const { stepsPerEpoch: _, ...settings } = options();
  await net().fit(() => all, { ...settings, onProgress: (progress) => void steps.push(progress.steps) });
  expect(new Set(steps)).toEqual(new Set([3]));
  const pixels = sequential({ input: [2] }, [dense(1)]);
  function* bytes() {
    yield { x: Uint8Array.of(1, 2, 3, 4), y: Float32Array.of(1, 2), weights: [1, 0.5] };
  }
  const [{ loss }] = await pixels.fit(bytes, { loss: "mse" });
  expect(loss).toBeGreaterThan(0);
});

test("it resumes with the same bits wherever it was stopped", async () => {
  const validated = (): FitOptions => ({ ...options(), validation: batchOf(9, 9) });
  const undisturbed = net();
  const history = await undisturbed.fit(endless, validated());
  for (const steps of [2, 7, 9, 20]) {
    const path = await stopAfter(steps, net(), endless, validated());
    const resumed = net();
    const rest = await resumed.fit(endless, { ...validated(), resume: path });
    expect(bits(resumed)).toEqual(bits(undisturbed));
    expect(rest.at(-1)!.loss).toBe(history.at(-1)!.loss);
    const others: BatchSource = (epoch) => [batchOf(epoch + 1, 0), batchOf(epoch + 1, 1)];
    await expect(net().fit(others, { ...validated(), resume: path })).rejects.toThrow(/written with data/);
  }
});

test("a recorder rewinds it to the batch that was trained on, and an augmented run to the rows as they were varied", async () => {
  for (const [data, settings] of [
    [endless, options()],
    [
      circle(35),
      {
        ...options(),
        stepsPerEpoch: undefined,
        batchSize: 5,
        augment: <A extends Float32Array | Uint8Array>(row: A, epoch: number) => row.map((v) => v + epoch) as A,
      },
    ],
  ] as const) {
    const recorder = new Recorder({ everyMilliseconds: 0 });
    const losses: number[] = [];
    const model = net();
    const watched = { observe: (run: never) => recorder.observe(run) };
    await model.fit(data, { ...settings, observer: watched });
    // Each epoch's loss is the mean of its seven steps'.
    for (let epoch = 0; epoch < 3; epoch++) {
      let sum = 0;
      for (let i = 1; i <= 7; i++) sum += (await recorder.explain(7 * epoch + i)).loss.value;
      losses.push(sum / 7);
    }
    const history = await net().fit(data, settings);
    for (const [i, { loss }] of history.entries()) expect(losses[i]).toBeCloseTo(loss, 5);
    recorder.close();
  }
});

test("what is wrong with batches is named", async () => {
  const train = (data: unknown, more: Partial<FitOptions> = {}) =>
    net().fit(data as BatchSource, { ...options(), ...more });
  await expect(train(endless(0))).rejects.toThrow(/fit\(batches\), not its result/);
  await expect(train(() => 3)).rejects.toThrow(/must be a generator/);
  await expect(train(() => [])).rejects.toThrow(/gave none for epoch 1/);
  await expect(train(() => [{ x: [[1]], y: [0] }])).rejects.toThrow(/epoch 1, batch 1: x/);
  await expect(train(() => [batchOf(0, 0), { ...batchOf(0, 1), weights: [1, 1, 1, 1, 1] }])).rejects.toThrow(
    /batch 2: .*weights came.*first batch/,
  );
  await expect(train((epoch: number) => [batchOf(0, 0), batchOf(0, 1)].slice(epoch))).rejects.toThrow(
    /Epoch 2 was given 5 rows, the first 10.*stepsPerEpoch/,
  );
  await expect(train(endless, { validation: 0.2 })).rejects.toThrow(/fraction/);
  await expect(train(circle(9))).rejects.toThrow(/stepsPerEpoch is for/);
  await expect(train(endless, { stepsPerEpoch: 0 })).rejects.toThrow(/stepsPerEpoch must be a whole number ≥ 1/);
  const model = net();
  const before = model.session.usedBytes;
  await expect(
    model.fit(() => {
      throw new RangeError("mine");
    }, options()),
  ).rejects.toThrow(RangeError);
  expect(model.session.usedBytes).toBe(before);
});

test("class weights and validation data go with it", async () => {
  const weighted = async (classWeights: FitOptions["classWeights"]) => {
    const model = net();
    const history = await model.fit(endless, { ...options(), classWeights, validation: batchOf(9, 9) });
    expect(history[0].validation!.loss).toBeGreaterThan(0);
    return (await model.classify([[0.5, 0.5]])).probabilities[1];
  };
  expect(await weighted({ 1: 5 })).toBeGreaterThan(await weighted({ 0: 5 }));
  // Class names are those of a data set.
  const data = toDataset({ x: [[0, 0], [0, 1], [1, 0], [1, 1]], y: ["no", "yes", "yes", "no"] }); // biome-ignore format: one line
  const named = async (classWeights: FitOptions["classWeights"]) => {
    const model = net();
    await model.fit(data, { loss: "crossEntropy", classWeights });
    return bits(model);
  };
  expect(await named({ yes: 3 })).toEqual(await named([1, 3]));
  expect(await named({ yes: 3 })).not.toEqual(await named([3, 1]));
  await expect(named({ maybe: 3 })).rejects.toThrow(/no row of class maybe.*no, yes/);
  await expect(named({ yes: "3" as never })).rejects.toThrow(/that of yes must be a number ≥ 0; "3" came/);
});
