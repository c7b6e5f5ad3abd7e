/** A model behind a message port: what it answers is what the model itself answers, errors and aborts included. */
import { getEventListeners } from "node:events";
import {
  accumulate,
  adam,
  type BatchSource,
  cosineDecay,
  DataError,
  DivergenceError,
  dense,
  dropout,
  earlyStopping,
  huber,
  reduceOnPlateau,
  sequential,
  sgd,
  warmup,
} from "chainrule";
import { iris, split } from "chainrule/data";
import { connect, inWorker, type Port } from "chainrule/worker";
import { afterAll, expect, test } from "vitest";
import { Host } from "../../src/worker/host.ts";

const opened: { close(): void }[] = [];
afterAll(() => {
  for (const each of opened) each.close();
});

/** Another thread's side, here on the same thread: the messages are the same. */
function worker(): Port {
  const { port1, port2 } = new MessageChannel();
  opened.push(connect(port2, new Host()));
  return port1;
}

const [train, test_] = split(iris(), [0.8, 0.2], { seed: 3 });
const net = () => sequential({ input: [4], seed: 7 }, [dense(16, { activation: "relu" }), dropout(0.1), dense(3)]);

test("training there gives the same bits as training here", async () => {
  const options = {
    loss: "crossEntropy",
    optimizer: adam({ learningRate: warmup({ steps: 5, next: cosineDecay({ learningRate: 0.02, steps: 40 }) }) }),
    epochs: 6,
    validation: test_,
    metrics: ["accuracy"],
    callbacks: [earlyStopping({ patience: 2, monitor: "accuracy" })],
  };
  const [here, there] = [net(), await inWorker(net(), { worker: worker() })];
  const expected = await here.fit(train, options);
  const epochs = [];
  for await (const epoch of there.fit(train, options)) epochs.push(epoch);
  const numbers = (all: readonly object[]) => all.map((epoch) => ({ ...epoch, seconds: 0, samplesPerSecond: 0 }));
  expect(numbers(epochs)).toEqual(numbers([...expected]));
  expect(await there.toBytes()).toEqual(here.toBytes());
  expect(await there.predict(test_.x)).toEqual(await here.predict(test_.x));
  expect(await there.classify(test_)).toEqual(await here.classify(test_));
  expect(await there.evaluate(test_, { metrics: ["accuracy"] })).toEqual(
    await here.evaluate(test_, { metrics: ["accuracy"] }),
  );
  expect(await there.weight("dense_1.kernel")).toEqual(here.weight("dense_1.kernel"));
  expect((await there.intermediates([[1, 2, 3, 4]]))["dense_1.a"]).toEqual(
    (await here.intermediates([[1, 2, 3, 4]]))["dense_1.a"],
  );
  there.close();
});

test.each([
  [
    "schedules with memory",
    {
      loss: huber({ delta: 0.5 }),
      optimizer: sgd({ learningRate: reduceOnPlateau({ learningRate: 0.1, patience: 1 }) }),
    },
  ],
  ["gradients added up", { loss: "meanSquaredError", optimizer: accumulate(adam({ learningRate: 0.01 }), 3) }],
])("%s are made again there", async (_, options) => {
  const data = { x: [[0], [1], [2], [3]], y: [1, 3, 5, 7] };
  const make = () => sequential({ input: [1], seed: 2 }, [dense(4, { activation: "tanh" }), dense(1)]);
  const [here, there] = [make(), await inWorker(make(), { worker: worker() })];
  await here.fit(data, { ...options, epochs: 9, batchSize: 2 });
  const history = await there.fit(data, { ...options, epochs: 9, batchSize: 2 });
  expect(history).toHaveLength(9);
  expect(await there.toBytes()).toEqual(here.toBytes());
  there.close();
});

test("batches are asked for here, and progress is told here", async () => {
  async function* batches(epoch: number) {
    for (let i = 0; i < 4; i++)
      yield {
        x: [
          [epoch, i],
          [i, 1],
        ],
        y: [0, 1],
      };
  }
  const make = () => sequential({ input: [2], seed: 1 }, [dense(2)]);
  const [here, there] = [make(), await inWorker(make(), { worker: worker() })];
  const options = { loss: "crossEntropy", epochs: 3, onWarning: false } as const;
  await here.fit(batches as BatchSource, options);
  const steps: number[] = [];
  await there.fit(batches as BatchSource, { ...options, pace: () => 1, onProgress: ({ step }) => steps.push(step) });
  expect(await there.toBytes()).toEqual(here.toBytes());
  expect(steps).toEqual([1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4]);
  there.close();
});

test("a function as callback stops the run", async () => {
  const there = await inWorker(net(), { worker: worker() });
  const history = await there.fit(train, {
    loss: "crossEntropy",
    epochs: 50,
    callbacks: [(epoch, run) => (epoch.epoch === 3 ? run.stop() : undefined)],
  });
  expect(history).toHaveLength(3);
  there.close();
});

test("an abort ends the run with its own reason, and leaving the loop does too", async () => {
  const there = await inWorker(net(), { worker: worker() });
  const controller = new AbortController();
  const reason = new Error("enough");
  const run = there.fit(train, {
    loss: "crossEntropy",
    epochs: 1e6,
    signal: controller.signal,
    onProgress: () => controller.abort(reason),
  });
  await expect(Promise.resolve(run)).rejects.toBe(reason);
  for await (const epoch of there.fit(train, { loss: "crossEntropy", epochs: 1e6 })) if (epoch.epoch === 2) break;
  // A second run could not begin while one is under way.
  expect(await there.fit(train, { loss: "crossEntropy", epochs: 1 })).toHaveLength(1);
  // Nothing stays on a signal that lives longer than a run.
  const { signal } = new AbortController();
  await there.fit(train, { loss: "crossEntropy", signal });
  await there.evaluate(train, { signal });
  expect(getEventListeners(signal, "abort")).toHaveLength(0);
  const early = AbortSignal.abort();
  await expect(Promise.resolve(there.fit(train, { loss: "crossEntropy", signal: early }))).rejects.toBe(early.reason);
  there.close();
});

test("errors come across as what they are", async () => {
  const there = await inWorker(net(), { worker: worker() });
  const failed = await there.predict([[1, 2, 3, Number.NaN]]).catch((error) => error);
  expect(failed).toBeInstanceOf(DataError);
  const here = await net()
    .predict([[1, 2, 3, Number.NaN]])
    .catch((error) => error);
  expect(failed.message).toBe(here.message);
  expect(failed.code).toBe(here.code);
  expect(failed.facts).toEqual(here.facts);
  const diverged = await Promise.resolve(
    there.fit(train, { loss: "meanSquaredError", optimizer: sgd({ learningRate: 1e30 }), epochs: 9, onWarning: false }),
  ).catch((error) => error);
  expect(String(diverged)).toMatch(/class/); // meanSquaredError takes no class numbers of three outputs
  const exploded = await Promise.resolve(
    there.fit(train, { loss: "crossEntropy", optimizer: sgd({ learningRate: 1e38 }), epochs: 9, onWarning: false }),
  ).catch((error) => error);
  expect(exploded).toBeInstanceOf(DivergenceError);
  expect(exploded.step).toBeGreaterThan(0);
  there.close();
  await expect(there.summary()).rejects.toThrow(/closed/);
});

test("what is code of one's own is refused with what to do instead", async () => {
  const there = await inWorker(net(), { worker: worker() });
  const attempt = (options: object) =>
    Promise.resolve(there.fit(train, { loss: "crossEntropy", ...options } as never)).catch((error) => error);
  for (const options of [
    { loss: (y: never) => y },
    { optimizer: adam({ learningRate: (step: number) => 1 / (step + 1) }) },
    { augment: (row: unknown) => row },
    { observer: { observe: () => {} } },
    { callbacks: [{ name: "mine" }] },
  ]) {
    const error = await attempt(options);
    expect(error.code).toBe("wrong-argument");
    expect(error.message).toMatch(/serve\(\)/);
  }
  there.close();
});
