/** Training as a whole: learns, saves, loads, resumes with the same bits. */
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  adam,
  dense,
  dropout,
  fromBytes,
  load,
  type Model,
  RandomStream,
  reference,
  sequential,
  sgd,
  wasm,
} from "chainrule";
import { expect, test } from "vitest";
import { stopAfter } from "../support/stopping.ts";

const xor = {
  x: [
    [0, 0],
    [0, 1],
    [1, 0],
    [1, 1],
  ],
  y: [0, 1, 1, 0],
};

/** Points of three classes in a spiral, from a fixed stream. */
function spiral(count: number) {
  const stream = new RandomStream(3, "spiral");
  const x: number[][] = [];
  const y: number[] = [];
  for (let i = 0; i < count; i++) {
    const label = i % 3;
    const r = 0.1 + 0.9 * stream.uniform();
    const angle = r * 3 + (label * 2 * Math.PI) / 3 + 0.1 * stream.normal();
    x.push([r * Math.cos(angle), r * Math.sin(angle)]);
    y.push(label);
  }
  return { x, y };
}

const smallNet = (seed = 1) =>
  sequential({ input: [2], seed }, [dense(16, { activation: "tanh" }), dropout(0.1), dense(3)]);
const options = { loss: "crossEntropy", batchSize: 16, metrics: ["accuracy"] } as const;
const bytesOf = (model: Model) => Buffer.from(model.toBytes()).toString("base64");

test("XOR is learnt", async () => {
  const model = sequential({ input: [2], seed: 2 }, [dense(8, { activation: "tanh" }), dense(2)]);
  await model.fit(xor, { loss: "crossEntropy", optimizer: sgd({ learningRate: 0.5 }), epochs: 300, batchSize: 4 });
  expect([...(await model.classify(xor.x)).classes]).toEqual([0, 1, 1, 0]);
});

test("the same seed gives byte-identical models, another seed another one", async () => {
  const train = async (seed: number) => {
    const model = smallNet(seed);
    await model.fit(spiral(100), { ...options, optimizer: adam({ learningRate: 0.01 }), epochs: 3 });
    return bytesOf(model);
  };
  expect(await train(1)).toBe(await train(1));
  expect(await train(1)).not.toBe(await train(2));
});

test("the epochs iterate, and the validation scores come with them", async () => {
  const [data, validation] = [spiral(150), spiral(60)];
  const seen: number[] = [];
  let accuracy = 0;
  const model = smallNet();
  for await (const epoch of model.fit(data, {
    ...options,
    optimizer: adam({ learningRate: 0.02 }),
    epochs: 40,
    validation,
  })) {
    seen.push(epoch.epoch);
    accuracy = epoch.validation!.accuracy;
  }
  expect(seen).toEqual(Array.from({ length: 40 }, (_, i) => i + 1));
  expect(accuracy).toBeGreaterThan(0.9);
  expect((await model.evaluate(validation, { metrics: ["accuracy"] })).accuracy).toBe(accuracy);
});

test("save, load: the same predictions bit for bit", async () => {
  const model = smallNet();
  await model.fit(spiral(60), { ...options, epochs: 1 });
  const path = join(await mkdtemp(join(tmpdir(), "chainrule-")), "model.safetensors");
  await model.save(path);
  const again = await load(path);
  const { x } = spiral(37);
  expect(await again.predict(x)).toEqual(await model.predict(x));
  expect(bytesOf(fromBytes(model.toBytes()))).toBe(bytesOf(model));
});

test("a model in double precision is saved, loaded and resumed with all of its bits", async () => {
  const net = () => sequential({ input: [2], seed: 1, backend: reference("float64") }, [dense(4), dense(3)]);
  const [whole, first, resumed] = [net(), net(), net()];
  await whole.fit(spiral(30), { ...options, epochs: 2 });
  const path = join(await mkdtemp(join(tmpdir(), "chainrule-")), "run.checkpoint");
  await first.fit(spiral(30), { ...options, epochs: 1, checkpoint: { path } });
  await resumed.fit(spiral(30), { ...options, epochs: 2, resume: path });
  expect(bytesOf(resumed)).toBe(bytesOf(whole));
  const again = fromBytes(whole.toBytes(), { backend: reference("float64") });
  expect(again.weight("dense_1.kernel")).toEqual(whole.weight("dense_1.kernel"));
  expect(fromBytes(whole.toBytes()).weight("dense_1.kernel")).toEqual(
    Float32Array.from(whole.weight("dense_1.kernel")),
  );
});

test("a batch of N gives what N single rows give", async () => {
  const { x } = spiral(21);
  const model = smallNet();
  const together = await model.predict(x);
  const singles = await Promise.all(x.map((row) => model.predict([row])));
  expect([...together]).toEqual(singles.flatMap((row) => [...row]));
});

test.each([1, 7, 20, 33])("stopped after %i steps and resumed, a run ends with the same bits", async (steps) => {
  const data = spiral(100);
  const settings = { ...options, optimizer: adam({ learningRate: 0.01 }), epochs: 6 };
  const undisturbed = smallNet();
  const history = await undisturbed.fit(data, settings);

  const path = await stopAfter(steps, smallNet(), data, settings);
  const resumed = smallNet(1);
  const rest = await resumed.fit(data, { ...settings, resume: path });
  expect(bytesOf(resumed)).toBe(bytesOf(undisturbed));
  expect(rest.at(-1)!.loss).toBe(history.at(-1)!.loss);
});

test("a checkpoint is refused when data or options differ", async () => {
  const path = join(await mkdtemp(join(tmpdir(), "chainrule-")), "run.checkpoint");
  await smallNet().fit(spiral(100), { ...options, epochs: 1, checkpoint: { path } });
  await expect(smallNet().fit(spiral(99), { ...options, epochs: 2, resume: path })).rejects.toThrow(/data/);
  await expect(smallNet().fit(spiral(100), { ...options, batchSize: 8, epochs: 2, resume: path })).rejects.toThrow(
    /batchSize/,
  );
});

test("a run that diverges says in which step and layer, and keeps the last good weights", async () => {
  const model = smallNet();
  const data = spiral(100);
  const run = model.fit(data, { ...options, optimizer: sgd({ learningRate: 3e38 }), epochs: 5 });
  await expect(run).rejects.toMatchObject({
    name: "DivergenceError",
    step: expect.any(Number),
    where: expect.stringMatching(/^(dense|loss)/),
  });
  for (const { name } of model.network.parameters) expect(model.weight(name).every(Number.isFinite)).toBe(true);
});

test("the reference backend trains to nearly the same weights as the engine", async () => {
  const train = async (backend: ReturnType<typeof wasm>) => {
    const model = sequential({ input: [2], seed: 1, backend }, [dense(8, { activation: "tanh" }), dense(3)]);
    await model.fit(spiral(60), { ...options, optimizer: adam({ learningRate: 0.01 }), epochs: 2 });
    return model.weight("dense_1.kernel");
  };
  const [expected, actual] = [await train(reference("float64")), await train(wasm())];
  // Eight steps of Adam in single precision, whose updates are about 0.01 each: an error of 1e-6 per step.
  for (const [i, value] of expected.entries()) expect(Math.abs(actual[i] - value)).toBeLessThan(1e-5);
});

test.each([
  ["a row too short", { x: [[1, 2], [3]], y: [0, 1] }, /row 2/],
  [
    "NaN in the data",
    {
      x: [
        [1, 2],
        [3, Number.NaN],
      ],
      y: [0, 1],
    },
    /row 2, column 2 is NaN/,
  ],
  [
    "a label too large",
    {
      x: [
        [1, 2],
        [3, 4],
      ],
      y: [0, 3],
    },
    /row 2 is 3.*0 to 2/,
  ],
  [
    "text for a number",
    {
      x: [
        [1, "a" as never],
        [3, 4],
      ],
      y: [0, 1],
    },
    /row 1, column 2 is "a"/,
  ],
  [
    "too few labels",
    {
      x: [
        [1, 2],
        [3, 4],
      ],
      y: [0],
    },
    /y/,
  ],
  ["no rows", { x: [], y: [] }, /empty/],
])("%s is named with its place", async (_, data, message) => {
  await expect(smallNet().fit(data, { ...options })).rejects.toThrow(message);
});

test("pace holds a run between two steps and lets it go on by so many", async () => {
  const data = { x: Array.from({ length: 20 }, (_, i) => [i / 20]), y: Array.from({ length: 20 }, (_, i) => i / 10) };
  const net = () => sequential({ input: [1], seed: 1 }, [dense(4, { activation: "tanh" }), dense(1)]);
  const options = { loss: "meanSquaredError", epochs: 4, batchSize: 3, onWarning: false } as const;
  const plain = net();
  await plain.fit(data, options);
  const held = net();
  const asked: number[] = [];
  const allowances = [1, 2, 1e9];
  let paused = 0;
  await held.fit(data, {
    ...options,
    onProgress: ({ epoch, step }) => asked.push((epoch - 1) * 7 + step),
    pace: async () => {
      paused++;
      return allowances.shift() ?? 5;
    },
  });
  expect(held.toBytes()).toEqual(plain.toBytes());
  expect(asked[0]).toBe(1);
  expect(asked[1]).toBeLessThanOrEqual(3);
  expect(asked.at(-1)).toBe(28);
  expect(paused).toBe(asked.length);
  await expect(Promise.resolve(net().fit(data, { ...options, pace: () => 0 }))).rejects.toThrow(
    "a number of steps ≥ 1",
  );
  const controller = new AbortController();
  const stuck = net().fit(data, {
    ...options,
    signal: controller.signal,
    pace: () => new Promise((resolve) => controller.signal.addEventListener("abort", () => resolve(1))),
  });
  setTimeout(() => controller.abort(new Error("left")), 5);
  await expect(Promise.resolve(stuck)).rejects.toThrow("left");
});

test("a model that was closed answers nothing more, whatever it has answered before", async () => {
  const model = sequential({ input: [2], seed: 1 }, [dense(1)]);
  const data = { x: [[1, 2]], y: [1] };
  await model.predict(data);
  model.close();
  const attempts = [
    () => model.predict(data),
    () => model.intermediates(data),
    () => model.evaluate(data, { loss: "meanSquaredError" }),
    () => Promise.resolve(model.fit(data, { loss: "meanSquaredError" })),
    async () => model.setWeight("dense_1.bias", [1]),
    async () => model.toBytes(),
  ];
  for (const attempt of attempts) await expect(attempt()).rejects.toMatchObject({ code: "closed" });
});
