/** fit, evaluate and predict on streams: what memory gives, splits, exact resume, and rows that cannot be read on. */
import { appendFile, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  adam,
  dense,
  type EpochReport,
  type FitOptions,
  normalize,
  RandomStream,
  reduceOnPlateau,
  sequential,
} from "chainrule";
import { toDataset } from "chainrule/data";
import { openStream, readCsv } from "chainrule/data/node";
import { expect, test } from "vitest";
import { stopAfter } from "../support/stopping.ts";

const directory = await mkdtemp(join(tmpdir(), "chainrule-stream-"));
/** 12,000 rows in seven blocks, sorted by class: a label that the sum of two columns decides, and a wide column. */
async function table(name: string): Promise<string> {
  const random = new RandomStream(2, "rows");
  const rows = Array.from({ length: 12_000 }, () => {
    const [a, b] = [random.uniform() - 0.5, random.uniform() - 0.5];
    return `${a.toFixed(6)},${b.toFixed(6)},${"0".repeat(60)}1.5,${a + b > 0 ? "yes" : "no"}`;
  });
  const path = join(directory, name);
  await writeFile(path, `a,b,wide,ripe\n${rows.sort((p, q) => p.length - q.length).join("\n")}\n`);
  return path;
}
const path = await table("rows.csv");
const options = { target: "ripe", ignore: ["wide"] };
const stream = await openStream(path, options);
const whole = await readCsv(path, options);

const net = () =>
  sequential({ input: [2], seed: 4 }, [normalize(stream.statistics), dense(8, { activation: "tanh" }), dense(2)]);
const bits = (model: ReturnType<typeof net>) => Buffer.from(model.toBytes()).toString("base64");
const settings = (more: Partial<FitOptions> = {}): FitOptions => ({
  loss: "crossEntropy",
  optimizer: adam({ learningRate: 0.01 }),
  epochs: 3,
  metrics: ["accuracy"],
  onWarning: false,
  ...more,
});

test("a stream teaches what memory teaches, and is measured and predicted as memory is", async () => {
  const [streamed, memory] = [net(), net()];
  const history = await streamed.fit(stream, settings());
  await memory.fit(whole, settings());
  expect(history.map(({ epoch }) => epoch)).toEqual([1, 2, 3]);
  expect(history[0].inputSeconds).toBeGreaterThan(0);
  const metrics = ["accuracy", "f1", "auc"];
  const [ours, theirs] = [await streamed.evaluate(stream, { metrics }), await streamed.evaluate(whole, { metrics })];
  for (const [name, value] of Object.entries(theirs)) expect(ours[name]).toBeCloseTo(value, 6);
  expect(ours.accuracy).toBeGreaterThan(0.98);
  expect(Math.abs(ours.accuracy - (await memory.evaluate(whole, { metrics })).accuracy)).toBeLessThan(0.01);
  expect(await streamed.predict(stream)).toEqual(await streamed.predict(whole));
  expect(await streamed.classify(stream)).toEqual(await streamed.classify(whole));
  // The same seed, the same bits; another seed, others.
  const again = net();
  await again.fit(stream, settings());
  expect(bits(again)).toBe(bits(streamed));
});

test("an epoch of a stream is an epoch of the same rows in memory in that order", async () => {
  const rows: number[][] = [];
  const labels: number[] = [];
  for await (const { x, y } of stream.rows({ epoch: 0, seed: 4, shuffle: true }))
    for (const [i, label] of y.entries()) {
      rows.push([x[2 * i], x[2 * i + 1]]);
      labels.push(label);
    }
  const [streamed, memory] = [net(), net()];
  await streamed.fit(stream, settings({ epochs: 1, batchSize: 50 }));
  await memory.fit(() => [{ x: rows, y: labels }], settings({ epochs: 1, batchSize: 50 }));
  expect(bits(streamed)).toBe(bits(memory));
});

test("stopped anywhere and resumed, with augmentation and validation, it ends with the same bits", async () => {
  const varied = () =>
    settings({
      validation: 0.2,
      optimizer: adam({ learningRate: reduceOnPlateau({ learningRate: 0.01, patience: 0 }) }),
      augment: (row, epoch, index) => row.map((v) => v + (0.01 * ((7 * index + epoch) % 5)) / 5) as typeof row,
    });
  const undisturbed = net();
  const history = await undisturbed.fit(stream, varied());
  expect(history[0].validation!.loss).toBeGreaterThan(0);
  for (const steps of [1, 290, 500]) {
    const checkpoint = await stopAfter(steps, net(), stream, varied());
    // In a process of its own it would be opened anew.
    const resumed = net();
    const rest = await resumed.fit(await openStream(path, options), { ...varied(), resume: checkpoint });
    expect(bits(resumed)).toBe(bits(undisturbed));
    expect(rest.at(-1)!.validation).toEqual(history.at(-1)!.validation);
  }
  const other = await openStream(path, { ...options, target: "ripe", ignore: [] });
  expect(other.fingerprint).not.toBe(stream.fingerprint);
  const checkpoint = await stopAfter(5, net(), stream, varied());
  const [part] = stream.split(0.5);
  await expect(net().fit(part, { ...varied(), resume: checkpoint })).rejects.toThrow(
    /written with data.*rows of stream/,
  );
});

test("class weights count all rows, and names are those of the stream", async () => {
  const weighted = async (data: typeof stream | typeof whole, classWeights: FitOptions["classWeights"]) => {
    const model = net();
    await model.fit(data, settings({ classWeights }));
    return (await model.classify([[0, 0]])).probabilities[1];
  };
  expect(await weighted(stream, { yes: 4 })).toBeGreaterThan(await weighted(stream, { no: 4 }));
  expect(Math.abs((await weighted(stream, "balanced")) - (await weighted(whole, "balanced")))).toBeLessThan(0.2);
});

test("where rows cannot be read on, the checkpoint has what was trained, and a new stream goes on", async () => {
  const own = await table("changing.csv");
  const checkpoint = { path: join(directory, "changing.checkpoint") };
  const changing = await openStream(own, options);
  let done = 0;
  const run = net().fit(changing, {
    ...settings({ epochs: 6 }),
    checkpoint,
    callbacks: [
      async ({ epoch }: EpochReport) => {
        done = epoch;
        if (epoch !== 2) return;
        await appendFile(own, `0,0,${"0".repeat(60)}1,no\n`);
        // A file is looked at again after 20 ms at the earliest: all epochs may take less.
        await new Promise((resolve) => setTimeout(resolve, 100));
      },
    ],
  });
  await expect(run).rejects.toThrow(/changing\.csv: the file changed/);
  // Rows that had been read before the change are good.
  expect([2, 3]).toContain(done);
  const [resumed, undisturbed] = [net(), net()];
  await undisturbed.fit(stream, settings({ epochs: 6 }));
  await resumed.fit(stream, { ...settings({ epochs: 6 }), resume: checkpoint.path });
  expect(bits(resumed)).toBe(bits(undisturbed));
});

test("a stream as validation alone, and data in memory beside it", async () => {
  const [train, held] = stream.split(0.7, { seed: 1 });
  const data = toDataset({ x: [[0, 1], [1, 0]], y: [0, 1] }); // biome-ignore format: one line
  const [one] = await net().fit(data, settings({ epochs: 1, validation: held }));
  const [two] = await net().fit(train, settings({ epochs: 1, validation: data }));
  expect(one.validation!.accuracy).toBeLessThan(0.9);
  expect(two.validation!.loss).toBeGreaterThan(0);
});
