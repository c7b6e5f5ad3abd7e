/** Recorded runs: every step comes back as it was trained, in any order, forward and back. */
import { adam, dense, dropout, exponentialDecay, RandomStream, reduceOnPlateau, sequential } from "chainrule";
import { Cursor, Recorder } from "chainrule/explain";
import { expect, test } from "vitest";
import { makeTrainer } from "../../src/train/trainer.ts";

const stream = new RandomStream(5, "recorder");
const data = {
  x: Array.from({ length: 50 }, () => Array.from({ length: 4 }, () => stream.normal())),
  y: Array.from({ length: 50 }, () => stream.integer(3)),
};
const net = () => sequential({ input: [4], seed: 3 }, [dense(8, { activation: "tanh" }), dropout(0.2), dense(3)]);
const options = () => ({
  loss: "crossEntropy",
  optimizer: adam({ learningRate: exponentialDecay({ learningRate: 0.02, factor: 0.9 }) }),
  batchSize: 16,
  metrics: [],
});

async function recorded(recorder: Recorder) {
  const model = net();
  await model.fit(data, { ...options(), epochs: 3, observer: recorder });
  return model;
}

/** The weights before each step, from the trainer itself. */
async function weightsOfEachStep(): Promise<number[][]> {
  const model = net();
  const trainer = makeTrainer(model, model.examples(data, "crossEntropy"), options());
  const weights: number[][] = [];
  for (let epoch = 0; epoch < 3; epoch++) {
    while (trainer.nextRows.length > 0) {
      weights.push([...model.weight("dense_1.kernel")]);
      await trainer.advance(1);
    }
    trainer.beginEpoch(0);
  }
  return weights;
}

test.each([
  ["a copy at every look", { everyMilliseconds: 0 }],
  ["only the first copy", { everyMilliseconds: 1e9 }],
  ["memory for few copies", { everyMilliseconds: 0, memory: 3000 }],
])("with %s, every step has the very weights it was trained at", async (_, recording) => {
  const expected = await weightsOfEachStep();
  const recorder = new Recorder(recording);
  const model = await recorded(recorder);
  expect(recorder.steps).toBe(12);
  for (const step of [12, 1, 5, 4, 9, 6, 11, 2]) {
    const { opened } = await recorder.explain(step);
    const kernel = opened.stops.find(({ name }) => name === "dense_1.kernel")!.node;
    expect([...opened.values.get(kernel)]).toEqual(expected[step - 1]);
  }
  const last = (await recorder.explain(12)).opened.engine.updated.get("dense_1.kernel")!;
  for (const [i, value] of model.weight("dense_1.kernel").entries())
    expect(Math.abs(last[i] - value)).toBeLessThan(1e-6);
  recorder.close();
});

test("the model of any moment comes back, and the step that comes next is explained before it is done", async () => {
  const expected = await weightsOfEachStep();
  const recorder = new Recorder({ everyMilliseconds: 1e9 });
  const seen: number[][] = [];
  const model = net();
  const next: unknown[] = [];
  let done = 0;
  await model.fit(data, {
    ...options(),
    epochs: 3,
    observer: recorder,
    pace: async () => {
      // Between two steps: nothing of the run is disturbed by looking.
      next.push((await recorder.explain(done + 1)).update[0].after.values);
      seen.push([...(await recorder.modelAt(done)).weight("dense_1.kernel")]);
      done++;
      return 1;
    },
  });
  expect(seen).toEqual(expected);
  expect([...(await recorder.modelAt(12)).weight("dense_1.kernel")]).toEqual([...model.weight("dense_1.kernel")]);
  const then = (await recorder.explain(5)).update[0].after.values;
  expect(next[4]).toEqual(then);
  recorder.close();
});

test("a long run keeps a bounded number of copies, and every step of it can be gone back to", async () => {
  const recorder = new Recorder({ everyMilliseconds: 0 });
  const model = sequential({ input: [1], seed: 1 }, [dense(1)]);
  const line = { x: [[0], [1]], y: [0, 1] };
  const seen: number[] = [];
  await model.fit(line, {
    loss: "meanSquaredError",
    epochs: 1500,
    batchSize: 2,
    observer: recorder,
    onWarning: false,
    pace: () => {
      seen.push(model.weight("dense_1.bias")[0]);
      return 1;
    },
  });
  expect(recorder.cost.copies).toBeLessThanOrEqual(500);
  for (const moment of [1499, 3, 700, 701, 1111])
    expect((await recorder.modelAt(moment)).weight("dense_1.bias")[0]).toBe(seen[moment]);
  recorder.close();
});

test("a rate that follows the losses is what it was then, and epochs are numbered as they were", async () => {
  const recorder = new Recorder({ everyMilliseconds: 1e9 });
  const model = net();
  const optimizer = adam({ learningRate: reduceOnPlateau({ learningRate: 0.5, patience: 0, factor: 0.3 }) });
  const seen: number[][] = [];
  await model.fit(data, {
    ...options(),
    optimizer,
    epochs: 6,
    observer: recorder,
    pace: () => {
      seen.push([...model.weight("dense_2.bias")]);
      return 1;
    },
  });
  for (const moment of [23, 4, 12, 9, 20, 0])
    expect([...(await recorder.modelAt(moment)).weight("dense_2.bias")]).toEqual(seen[moment]);
  expect((await recorder.explain(24)).toJSON().optimizer.scalars.learningRate).toBeLessThan(0.5);
  expect(recorder.epochs).toEqual([1, 2, 3, 4, 5, 6].map((epoch) => ({ epoch, firstStep: 4 * epoch - 3 })));
  recorder.close();
});

test("arrays are given by name, whole or of one sample, and so are their gradients", async () => {
  const recorder = new Recorder();
  await recorded(recorder);
  const step = await recorder.explain(2);
  expect(step.rows).toHaveLength(16);
  expect([...step.values("x", 5)]).toEqual(data.x[step.rows[5]].map(Math.fround));
  const { results } = step.backward.find(({ layer }) => layer === "dense_1")!;
  const z = results.find(({ name }) => name === "dense_1.z")!;
  expect([...step.gradient("dense_1.z")]).toEqual(z.values);
  expect([...step.gradient("dense_1.z", 3)]).toEqual(z.values!.slice(24, 32));
  expect([...step.values("dense_1.kernel", 3)]).toHaveLength(32);
  expect(() => step.values("dense_1.q")).toThrow('There is no array called "dense_1.q"');
  expect(() => step.values("x", 16)).toThrow("its samples are 0 to 15");
  recorder.close();
});

test("memory stays within its limit", async () => {
  const recorder = new Recorder({ everyMilliseconds: 0, memory: 3000 });
  await recorded(recorder);
  expect(recorder.cost.bytes).toBeLessThanOrEqual(3000);
});

test("a cursor moves by ops, samples, batches and epochs, forward and back", async () => {
  const recorder = new Recorder();
  await recorded(recorder);
  const cursor = await Cursor.at(recorder, 4);
  const start = cursor.moment;
  expect(start).toMatchObject({ step: 4, epoch: 1, sample: 0, op: { phase: "forward" } });
  expect(await cursor.forward("epoch")).toMatchObject({ step: 5, epoch: 2 });
  expect(cursor.explanation.opened.batchSize).toBe(16);
  expect(await cursor.back("batch")).toEqual(start);
  expect(await cursor.forward("sample")).toMatchObject({ step: 4, sample: 1 });
  expect(await cursor.forward("sample")).toMatchObject({ step: 5, sample: 0 });
  expect(await cursor.back("sample")).toMatchObject({ step: 4, sample: 1 });
  const second = await cursor.forward("op");
  expect(second.op.id).not.toBe(start.op.id);
  await cursor.back("op");
  const before = await cursor.back("op");
  expect(before).toMatchObject({ step: 3, op: { phase: "update" } });
  await cursor.back("batch");
  await cursor.back("batch");
  await expect(cursor.back("batch")).rejects.toThrow("The run has no step 0: its steps are 1 to 12.");
  expect(cursor.moment.step).toBe(1);
  await expect(cursor.back("epoch")).rejects.toThrow("its epochs are 1 to 3");
  recorder.close();
});

test("nothing recorded, or a step that does not exist, is said", async () => {
  const recorder = new Recorder();
  await expect(recorder.explain(1)).rejects.toThrow("Nothing is recorded yet");
  await recorded(recorder);
  await expect(recorder.explain(14)).rejects.toThrow("The run has no step 14: its steps are 1 to 12.");
  await expect(recorder.modelAt(13)).rejects.toThrow(
    "The run has no moment after 13 steps: it has those after 0 to 12.",
  );
  expect(() => new Recorder({ memory: 0 })).toThrow("memory above 0");
  recorder.close();
});
