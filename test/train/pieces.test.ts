/** Epochs larger than a piece (8 MB): the steps are those of rows in memory, in little memory, whatever comes between. */
import { createHash } from "node:crypto";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  adam,
  type Data,
  DivergenceError,
  dense,
  type FitOptions,
  RandomStream,
  sequential,
  trainStep,
} from "chainrule";
import { Recorder } from "chainrule/explain";
import { expect, test } from "vitest";
import { stopAfter } from "../support/stopping.ts";

/** Numbers in a row: 80 kB, so that a piece holds 104 of them, and 8 batches of 13. */
const WIDTH = 20_000;
const BATCH = 13;
/** In an epoch: two whole pieces and a half, the last batch of one row less. */
const BATCHES = 20;

const net = () => sequential({ input: [WIDTH], seed: 4 }, [dense(2)]);
/** What differs where one bit of a weight does. */
const bits = (model: ReturnType<typeof net>) =>
  model.network.parameters.map(({ name }) => createHash("sha256").update(model.weight(name)).digest("hex"));

function batchOf(epoch: number, i: number): Data & { x: Float32Array } {
  const count = i === BATCHES - 1 ? BATCH - 1 : BATCH;
  const random = new RandomStream(9, `batch ${epoch} ${i}`);
  const y = Array.from({ length: count }, () => random.integer(2));
  const x = new Float32Array(count * WIDTH);
  for (let row = 0; row < count; row++) for (let k = 0; k < 50; k++) x[row * WIDTH + k] = random.uniform() - y[row];
  return { x, y };
}
async function* batches(epoch: number) {
  for (let i = 0; i < BATCHES; i++) yield batchOf(epoch, i);
}
const options = (): FitOptions => ({
  loss: "crossEntropy",
  optimizer: adam({ learningRate: 0.001 }),
  epochs: 2,
  onWarning: false,
});

/** The weights after steps on batches that are given one by one. */
async function byHand(change = (batch: Data, _epoch: number, _from: number): Data => batch) {
  const model = net();
  const step = trainStep(model, { loss: "crossEntropy", optimizer: adam({ learningRate: 0.001 }) });
  for (let epoch = 0; epoch < 2; epoch++)
    for (let i = 0; i < BATCHES; i++) await step(change(batchOf(epoch, i), epoch, i * BATCH));
  return bits(model);
}

test("the steps are those of single batches, and the engine holds a piece", async () => {
  const model = net();
  const before = model.session.usedBytes;
  let [most, steps] = [0, new Set<number>()];
  const history = await model.fit(batches, {
    ...options(),
    onProgress: (progress) => {
      most = Math.max(most, model.session.usedBytes - before);
      steps.add(progress.steps);
    },
  });
  expect(bits(model)).toEqual(await byHand());
  expect(most).toBeLessThan(12e6); // an epoch has 21 MB
  expect(model.session.usedBytes).toBe(before);
  expect(steps).toEqual(new Set([Infinity, BATCHES]));
  for (const { seconds, inputSeconds } of history) {
    expect(inputSeconds).toBeGreaterThan(0);
    expect(inputSeconds).toBeLessThanOrEqual(seconds);
  }
  expect(history.toCsv().split("\n")[0]).toBe("epoch,loss,seconds,samplesPerSecond,inputSeconds");
});

test("rows are cut into batches of another size, also where a part is larger than a piece", async () => {
  const whole = { x: new Float32Array(259 * WIDTH), y: [] as number[] };
  for (let i = 0; i < BATCHES; i++) {
    const { x, y } = batchOf(0, i);
    whole.x.set(x, i * BATCH * WIDTH);
    whole.y.push(...(y as number[]));
  }
  const settings = { ...options(), epochs: 1, batchSize: 32 };
  const [one, many] = [net(), net()];
  await one.fit(() => [whole], settings);
  await many.fit(batches, settings);
  expect(bits(one)).toEqual(bits(many));
});

test("augment is told the row's number in the epoch", async () => {
  const model = net();
  await model.fit(batches, {
    ...options(),
    augment: (row, epoch, index) => row.map((v, i) => (i === 7 ? epoch + index / 100 : v)) as typeof row,
  });
  const varied = await byHand((batch, epoch, from) => {
    const x = (batch.x as Float32Array).slice();
    for (let row = 0; row * WIDTH < x.length; row++) x[row * WIDTH + 7] = epoch + (from + row) / 100;
    return { ...batch, x };
  });
  expect(bits(model)).toEqual(varied);
});

test("balanced class weights count the whole first epoch", async () => {
  let zeros = 0;
  for (let i = 0; i < BATCHES; i++) zeros += (batchOf(0, i).y as number[]).filter((c) => c === 0).length;
  const model = net();
  await model.fit(batches, { ...options(), classWeights: "balanced" });
  const weight = [259 / (2 * zeros), 259 / (2 * (259 - zeros))];
  const weighted = await byHand((batch) => ({ ...batch, weights: (batch.y as number[]).map((c) => weight[c]) }));
  expect(bits(model)).toEqual(weighted);
});

test("stopped in any piece and resumed, a run ends with the same bits", async () => {
  const undisturbed = net();
  await undisturbed.fit(batches, options());
  for (const steps of [3, 17, 20]) {
    // The number of steps is not known before the first epoch has ended.
    const told = { ...options(), stepsPerEpoch: BATCHES };
    const path = await stopAfter(steps, net(), batches, told);
    const resumed = net();
    await resumed.fit(batches, { ...options(), resume: path });
    expect(bits(resumed)).toEqual(bits(undisturbed));
  }
});

test("where reading fails, what was trained is in the checkpoint and goes on with the same bits", async () => {
  const path = join(await mkdtemp(join(tmpdir(), "chainrule-")), "run.checkpoint");
  async function* broken(epoch: number) {
    for (let i = 0; i < BATCHES; i++) {
      if (epoch === 1 && i === 18) throw new RangeError("the disk is gone");
      yield batchOf(epoch, i);
    }
  }
  await expect(net().fit(broken, { ...options(), checkpoint: { path } })).rejects.toThrow("the disk is gone");
  const [undisturbed, resumed] = [net(), net()];
  await undisturbed.fit(batches, options());
  const seen: number[] = [];
  async function* mended(epoch: number) {
    seen.push(epoch);
    yield* batches(epoch);
  }
  const history = await resumed.fit(mended, { ...options(), resume: path });
  expect(bits(resumed)).toEqual(bits(undisturbed));
  expect(history.map(({ epoch }) => epoch)).toEqual([2]);
  expect(seen).toEqual([0, 1]);
});

test("an abort is heard while the source gives nothing", async () => {
  const controller = new AbortController();
  async function* hangs() {
    for (let i = 0; i < 9; i++) yield batchOf(0, i);
    setTimeout(() => controller.abort(), 50);
    await new Promise(() => {});
  }
  await expect(net().fit(hangs, { ...options(), signal: controller.signal })).rejects.toThrow(/abort/i);
});

test("a recorder rewinds through pieces, to rows by their numbers in the epoch", async () => {
  const recorder = new Recorder({ everyMilliseconds: 0 });
  const history = await net().fit(batches, { ...options(), observer: recorder });
  const losses: number[] = [];
  for (let step = 2 * BATCHES; step > BATCHES; step--) losses.push((await recorder.explain(step)).loss.value);
  const rows = losses.map((loss, i) => loss * (i === 0 ? BATCH - 1 : BATCH));
  expect(rows.reduce((a, b) => a + b) / 259).toBeCloseTo(history[1].loss, 5);
  expect(recorder.epochs.map(({ firstStep }) => firstStep)).toEqual([1, 21]);
  recorder.close();
});

test("a step that breaks is named, in whichever piece it stands", async () => {
  async function* bad(epoch: number) {
    for (let i = 0; i < BATCHES; i++) {
      const batch = batchOf(epoch, i);
      if (epoch === 1 && i === 13) batch.x.fill(3e38);
      yield batch;
    }
  }
  const error = await net()
    .fit(bad, options())
    .then(
      () => undefined,
      (reason: unknown) => reason,
    );
  expect(error).toBeInstanceOf(DivergenceError);
  expect((error as Error).message).toMatch(/step 34 \(epoch 2\)/);
});

test("an endless epoch as one batch is refused before memory is full, and another number of rows than before is told", async () => {
  async function* endless() {
    const batch = { x: new Float32Array(2000 * WIDTH), y: new Uint8Array(2000) };
    for (;;) yield batch;
  }
  await expect(net().fit(endless, { ...options(), batchSize: "all" })).rejects.toThrow(/2 GiB.*stepsPerEpoch/);
  async function* longer(epoch: number) {
    yield* batches(0);
    if (epoch > 0) yield batchOf(0, 0);
  }
  await expect(net().fit(longer, options())).rejects.toThrow(/Epoch 2 was given 272 rows, the first 259/);
});
