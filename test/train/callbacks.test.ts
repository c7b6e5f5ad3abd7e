/** Callbacks, early stopping, validation split, history, accumulation, the learning-rate finder; and exact resume of them. */
import { mkdtemp, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  accumulate,
  adam,
  type Callback,
  dense,
  type EpochReport,
  earlyStopping,
  type FitOptions,
  findLearningRate,
  History,
  reduceOnPlateau,
  reference,
  sequential,
  sgd,
} from "chainrule";
import { expect, test } from "vitest";
import { circle } from "../support/data.ts";
import { relativeError } from "../support/fixtures.ts";
import { stopAfter } from "../support/stopping.ts";

const net = (seed = 4) => sequential({ input: [2], seed }, [dense(16, { activation: "tanh" }), dense(2)]);
const bits = (model: ReturnType<typeof net>) => Buffer.from(model.toBytes()).toString("base64");
const directory = () => mkdtemp(join(tmpdir(), "chainrule-"));

/** A callback that writes down what it is told, and gives epochs made-up losses to the one it watches over. */
const withLosses = (callback: Callback, losses: readonly number[]): Callback => ({
  ...callback,
  onEpoch: (epoch, run) =>
    callback.onEpoch?.({ ...epoch, validation: { loss: losses[epoch.epoch - 1] } } as EpochReport, run),
});

test("early stopping ends after its patience and brings the best weights back", async () => {
  const model = net();
  const weights: Float32Array[] = [];
  const history = await model.fit(circle(40), {
    loss: "crossEntropy",
    epochs: 20,
    callbacks: [
      withLosses(earlyStopping({ patience: 2 }), [5, 3, 4, 2, 2, 3, 2.5, 1]),
      () => void weights.push(model.weight("dense_1.kernel")),
    ],
  });
  expect(history.length).toBe(7);
  expect(model.weight("dense_1.kernel")).toEqual(weights[3]);
});

test("one early stopping serves several runs", async () => {
  const stopping = withLosses(earlyStopping({ patience: 0 }), [3, 2, 2, 1]);
  for (let run = 0; run < 2; run++) {
    const history = await net().fit(circle(20), { loss: "crossEntropy", epochs: 9, callbacks: [stopping] });
    expect(history.length).toBe(3);
  }
});

test("it can watch any score, knows which way is better, and says what there is", async () => {
  const run = (monitor: string) =>
    net().fit(circle(40), {
      loss: "crossEntropy",
      metrics: ["accuracy"],
      epochs: 3,
      callbacks: [earlyStopping({ monitor, patience: 0 })],
    });
  await expect(run("acuracy")).rejects.toThrow(/no score called "acuracy".*accuracy, loss; add it to metrics/);
  const history = await run("accuracy");
  const gains = history.map(({ accuracy }) => accuracy);
  // It ended with the first epoch that was no better than the best before, or with the last one.
  expect(gains.length === 3 || gains[gains.length - 1] <= Math.max(...gains.slice(0, -1))).toBe(true);
});

test("a run with early stopping and a validation split resumes with the same bits, even when it had stopped", async () => {
  const settings = (): FitOptions => ({
    loss: "crossEntropy",
    optimizer: adam({ learningRate: reduceOnPlateau({ learningRate: 0.05, patience: 1, factor: 0.5 }) }),
    batchSize: 8,
    epochs: 40,
    validation: 0.3,
    callbacks: [earlyStopping({ patience: 3, minimumChange: 0.005 })],
  });
  const data = circle(60);
  const undisturbed = net();
  const history = await undisturbed.fit(data, settings());
  expect(history.length).toBeLessThan(40);
  const path = join(await directory(), "run.checkpoint");
  const steps = history.length * 6;
  for (const done of [5, 12, Math.floor(steps / 2), steps - 3]) {
    const stopped = await stopAfter(done, net(), data, settings());
    const resumed = net();
    await resumed.fit(data, { ...settings(), resume: stopped });
    expect(bits(resumed)).toBe(bits(undisturbed));
  }
  // The checkpoint of a run that early stopping has ended: nothing is left to do but to bring the best back.
  await net().fit(data, { ...settings(), checkpoint: { path } });
  const ended = net();
  expect((await ended.fit(data, { ...settings(), resume: path })).length).toBe(0);
  expect(bits(ended)).toBe(bits(undisturbed));
});

test("a validation split keeps the classes' shares and leaves the rows out of training", async () => {
  const x = Array.from({ length: 50 }, (_, i) => [i]);
  const y = x.map(([i]) => (i < 40 ? 0 : 1));
  const seen: number[] = [];
  const model = sequential({ input: [1], seed: 3 }, [dense(2)]);
  const [epoch] = await model.fit(
    { x, y },
    { loss: "crossEntropy", validation: 0.2, onProgress: ({ steps }) => void seen.push(steps), batchSize: 1 },
  );
  expect(seen[0]).toBe(40);
  expect(epoch.validation!.loss).toBeGreaterThan(0);
  await expect(model.fit({ x, y }, { loss: "crossEntropy", validation: 1 })).rejects.toThrow(/between 0 and 1; 1 came/);
  await expect(model.fit({ x: [[1]], y: [0] }, { loss: "crossEntropy", validation: 0.1 })).rejects.toThrow(
    /would be empty/,
  );
});

test("callbacks of one name are refused, functions are called with each epoch", async () => {
  const epochs: number[] = [];
  await net().fit(circle(10), {
    loss: "crossEntropy",
    epochs: 5,
    callbacks: [
      ({ epoch }, run) => {
        epochs.push(epoch);
        if (epoch === 3) run.stop();
      },
    ],
  });
  expect(epochs).toEqual([1, 2, 3]);
  const twice = net().fit(circle(10), { loss: "crossEntropy", callbacks: [earlyStopping(), earlyStopping()] });
  await expect(twice).rejects.toThrow(/Two callbacks are called "earlyStopping"/);
});

test("accumulating four batches of 5 is one batch of 20", async () => {
  const train = async (options: Partial<FitOptions>) => {
    const model = sequential({ input: [2], seed: 1, backend: reference("float64") }, [
      dense(3, { activation: "tanh" }),
      dense(2),
    ]);
    await model.fit(circle(40), { loss: "crossEntropy", epochs: 3, ...options });
    return model.network.parameters.flatMap(({ name }) => [...model.weight(name)]);
  };
  for (const make of [
    () => sgd({ learningRate: 0.1, momentum: 0.9, globalClipNorm: 0.5 }),
    () => adam({ learningRate: (step) => 0.01 / (1 + step) }),
  ]) {
    const once = await train({ optimizer: make(), batchSize: 20 });
    const parts = await train({ optimizer: accumulate(make(), 4), batchSize: 5 });
    expect(relativeError(parts, once, 0.01)).toBeLessThan(1e-9);
  }
  expect(() => accumulate(sgd(), 0)).toThrow(/number of batches must be a whole number ≥ 1; 0 came/);
});

test("a history draws itself and is saved as CSV and JSON", async () => {
  const history = await net().fit(circle(60), {
    loss: "crossEntropy",
    epochs: 12,
    metrics: ["accuracy"],
    validation: 0.25,
    optimizer: adam({ learningRate: 0.02 }),
  });
  expect(history).toBeInstanceOf(History);
  const chart = history.chart({ width: 50, height: 8 });
  const lines = chart.split("\n");
  expect(lines[0]).toBe("loss   ● training   ○ validation");
  expect(lines.length).toBe(10);
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(50);
  expect(lines.slice(1, -1).join("").match(/[●○]/g)!.length).toBeGreaterThan(15);
  expect(history.chart({ metric: "accuracy" })).toContain("accuracy");
  expect(() => history.chart({ metric: "f1" })).toThrow(/no score called "f1".*accuracy, loss/);
  expect(new History().chart()).toMatch(/no epochs/);

  const path = await directory();
  await history.save(join(path, "history.csv"));
  const csv = (await readFile(join(path, "history.csv"), "utf8")).trim().split("\n");
  expect(csv[0]).toBe("epoch,accuracy,loss,validation.accuracy,validation.loss,seconds,samplesPerSecond");
  expect(csv.length).toBe(13);
  expect(Number(csv[1].split(",")[2])).toBe(history[0].loss);
  await history.save(join(path, "history.json"));
  expect(JSON.parse(await readFile(join(path, "history.json"), "utf8"))[11].validation).toEqual(history[11].validation);
  await expect(history.save(join(path, "history.txt"))).rejects.toThrow(/\.csv or \.json/);
});

test("the learning-rate finder suggests a rate that learns, and leaves the model as it was", async () => {
  const model = net();
  const before = bits(model);
  const data = circle(200);
  const { suggestion, points } = await findLearningRate(model, data, {
    loss: "crossEntropy",
    optimizer: (learningRate) => sgd({ learningRate }),
    from: 1e-4,
    to: 1000,
  });
  expect(bits(model)).toBe(before);
  expect(points.length).toBeGreaterThan(30);
  expect(suggestion).toBeGreaterThan(1e-3);
  expect(suggestion).toBeLessThan(100);
  const history = await model.fit(data, {
    loss: "crossEntropy",
    optimizer: sgd({ learningRate: suggestion }),
    epochs: 30,
    metrics: ["accuracy"],
  });
  expect(history.at(-1)!.loss).toBeLessThan(history[0].loss);
  await expect(findLearningRate(model, data, { loss: "crossEntropy", from: 1, to: 0.1 })).rejects.toThrow(
    /grow from above 0/,
  );
});

test("augment gives the rows of each epoch anew, leaves the data alone, and must keep their length", async () => {
  const seen = new Set<string>();
  const data = circle(40);
  const before = JSON.stringify(data);
  const augment: FitOptions["augment"] = (row, epoch, index) => {
    seen.add(`${epoch} ${index}`);
    const varied = row.slice() as typeof row;
    varied[0] = row[0] + epoch;
    return varied;
  };
  const [plain, varied] = [net(), net()];
  await plain.fit(data, { loss: "crossEntropy", epochs: 1 });
  await varied.fit(data, { loss: "crossEntropy", epochs: 1, augment });
  expect(bits(varied)).toBe(bits(plain)); // in epoch 0, nothing is added
  await net().fit(data, { loss: "crossEntropy", epochs: 3, augment });
  expect(seen.size).toBe(3 * 40);
  expect(JSON.stringify(data)).toBe(before);
  const short: FitOptions["augment"] = (row) => row.slice(1) as typeof row;
  await expect(net().fit(data, { loss: "crossEntropy", augment: short })).rejects.toThrow(
    /augment gave 1 numbers for row 1; 2 were wanted/,
  );
});
