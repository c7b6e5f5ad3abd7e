/** Runs after runs: fit twice, early stopping and history over a resume, schedules that go by the loss, told by hand. */
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  adam,
  dense,
  type EpochReport,
  earlyStopping,
  type FitOptions,
  History,
  load,
  mean,
  reduceOnPlateau,
  sequential,
  sgd,
  trainStep,
  warmup,
} from "chainrule";
import { iris, split } from "chainrule/data";
import { expect, test } from "vitest";
import { circle } from "../support/data.ts";

const net = () => sequential({ input: [2], seed: 4 }, [dense(8, { activation: "tanh" }), dense(2)]);
const bits = (model: ReturnType<typeof net>) => Buffer.from(model.toBytes()).toString("base64");
const path = async () => join(await mkdtemp(join(tmpdir(), "chainrule-")), "run.checkpoint");
const data = circle(60);
const settings = (more: Partial<FitOptions> = {}): FitOptions => ({
  loss: "crossEntropy",
  optimizer: adam({ learningRate: 0.05 }),
  batchSize: 8,
  validation: circle(30),
  ...more,
});
/** What is the same in every run of the same bits. */
const scores = (history: readonly EpochReport[]) =>
  history.map(({ epoch, loss, validation }) => ({ epoch, loss, validation }));

test("a resumed run's history has the epochs that it ran, with their own numbers and scores", async () => {
  const checkpoint = { path: await path() };
  const whole = await net().fit(data, settings({ epochs: 6 }));
  const first = await net().fit(data, settings({ epochs: 2, checkpoint }));
  const rest = await net().fit(data, settings({ epochs: 6, resume: checkpoint.path }));
  expect(rest).toBeInstanceOf(History);
  expect(scores([...first, ...rest])).toEqual(scores(whole));
  expect(rest.chart().split("\n").at(-1)).toMatch(/^ *3 +6$/);
  expect(rest.toCsv().split("\n")[1]).toMatch(/^3,/);
  // Nothing left to do: no epoch, and a history that can be asked all the same.
  const none = await net().fit(data, settings({ epochs: 2, resume: checkpoint.path }));
  expect([none.length, none.chart()]).toEqual([0, "loss: no epochs yet"]);
});

test("a second fit goes on from the weights, with a fresh optimiser, and counts its epochs from 1", async () => {
  const model = net();
  await model.fit(data, settings({ epochs: 2 }));
  const between = model.toBytes();
  const again = await model.fit(data, settings({ epochs: 2 }));
  expect(again.map(({ epoch }) => epoch)).toEqual([1, 2]);
  const file = await path();
  const { writeFile } = await import("node:fs/promises");
  await writeFile(file, between);
  const loaded = await load(file);
  await loaded.fit(data, settings({ epochs: 2 }));
  expect(bits(loaded)).toBe(bits(model));
});

test("one run is asked twice and runs once; asked after it was iterated, it says so", async () => {
  const run = net().fit(data, settings({ epochs: 2 }));
  expect(await run).toBe(await run);
  const iterated = net().fit(data, settings({ epochs: 1 }));
  for await (const epoch of iterated) expect(epoch.epoch).toBe(1);
  await expect((async () => await iterated)()).rejects.toThrow(/begun already/);
});

test("early stopping that is first asked for on a resume begins to watch there", async () => {
  const checkpoint = { path: await path() };
  await net().fit(data, settings({ epochs: 2, checkpoint }));
  const seen: number[] = [];
  const resumed = net();
  const stopping = earlyStopping({ patience: 1, minimumChange: 10 }); // Never better than the first it sees.
  const history = await resumed.fit(data, {
    ...settings({ epochs: 9, resume: checkpoint.path }),
    callbacks: [stopping, ({ epoch }) => void seen.push(epoch)],
  });
  expect(seen).toEqual([3, 4, 5]);
  // The best it knows is that of epoch 3.
  const three = net();
  await three.fit(data, settings({ epochs: 3 }));
  expect(resumed.weight("dense_1.kernel")).toEqual(three.weight("dense_1.kernel"));
  expect(history.length).toBe(3);
});

test("a run with early stopping that reached its epochs goes on when it is given more", async () => {
  const stop = () => ({ callbacks: [earlyStopping({ patience: 2, minimumChange: 0.01 })] });
  const checkpoint = { path: await path() };
  const undisturbed = net();
  const whole = await undisturbed.fit(data, settings({ epochs: 40, ...stop() }));
  expect(whole.length).toBeLessThan(40);
  // The model of the first part got its best weights back at its end; the checkpoint has those of its last epoch.
  await net().fit(data, settings({ epochs: whole.length - 2, checkpoint, ...stop() }));
  const resumed = net();
  const rest = await resumed.fit(data, settings({ epochs: 40, resume: checkpoint.path, ...stop() }));
  expect(scores(rest)).toEqual(scores(whole.slice(-2)));
  expect(bits(resumed)).toBe(bits(undisturbed));
});

test("early stopping stays stopped when a checkpoint has no count of the epochs it waited", async () => {
  const callback = earlyStopping({ patience: 0 });
  const model = net();
  let stops = 0;
  const run = { model, stop: () => void stops++ };
  callback.restore?.({ values: { best: 1 } }, run);
  for (let i = 0; i < 2; i++) await callback.onEpoch?.({ loss: 2 } as EpochReport, run);
  expect(stops).toBeGreaterThan(0);
});

test("in trainStep a plateau's rate falls when the epochs' losses are told", async () => {
  // PyTorch: ReduceLROnPlateau(factor=0.5, patience=1) after losses 1, 1, 1 halves the rate.
  for (const learningRate of [
    reduceOnPlateau({ learningRate: 0.5, factor: 0.5, patience: 1 }),
    warmup({ steps: 1, next: reduceOnPlateau({ learningRate: 0.5, factor: 0.5, patience: 1 }) }),
  ]) {
    const model = sequential({ input: [1] }, [dense(1, { bias: false })]);
    const step = trainStep(model, { loss: (y) => mean(y, 1), optimizer: sgd({ learningRate }) });
    const rate = async () => {
      const [before] = model.weight("dense_1.kernel");
      await step({ x: [[1]], y: [[0]] });
      return before - model.weight("dense_1.kernel")[0]; // ∂y/∂w is 1.
    };
    model.setWeight("dense_1.kernel", [0]);
    await rate();
    const rates: number[] = [];
    for (let epoch = 0; epoch < 4; epoch++) {
      rates.push(await rate());
      step.endEpoch(1);
    }
    expect(rates).toEqual([0.5, 0.5, 0.5, 0.25]);
    expect(() => step.endEpoch(Number.NaN)).toThrow(/loss must be a number; NaN came/);
    step.free();
  }
});

test("predict, classify, intermediates and evaluate take a data set", async () => {
  const [train, held] = split(iris(), 0.8, { seed: 1 });
  expect([train.count, held.count]).toEqual([120, 30]);
  expect(split(iris(), [0.8, 0.2], { seed: 1 })).toEqual([train, held]);
  const model = sequential({ input: [4], seed: 1 }, [dense(3)]);
  expect(await model.predict(held)).toEqual(await model.predict(held.x));
  expect(await model.classify(held)).toEqual(await model.classify(held.x));
  expect(await model.intermediates(held)).toEqual(await model.intermediates(held.x));
  expect((await model.evaluate(held, { loss: "crossEntropy" })).loss).toBeGreaterThan(0);
  await expect(model.predict(undefined as never)).rejects.toThrow(/x must be an array.*undefined came/);
});

test("a split of no fractions, and a file of no name, are refused with what is wanted", async () => {
  for (const wrong of [undefined, 1.5, "0.8", [], [0.8, 0.4], {}])
    expect(() => split(iris(), wrong as never)).toThrow(
      /numbers above 0 that sum to at most 1, such as \[0\.8, 0\.2\]/,
    );
  const model = net();
  await expect(model.save(undefined as never)).rejects.toThrow(
    /save takes the path of a file.*toBytes.*undefined came/,
  );
  await expect(load({} as never)).rejects.toThrow(/load takes the path of a file.*\{\} came/);
  await expect(new History().save(undefined as never)).rejects.toThrow(/\.csv or \.json/);
});
