/**
 * The program that kills.test.ts kills: trains a small network in a directory, goes on from the checkpoint it finds
 * there, and writes the finished model. On stdout, unbuffered, one word a line for whoever aims at it:
 *
 * - `fresh`, `checkpoint` or `previous`: what it begins from
 * - `writing`: a checkpoint is about to be written
 * - `finished`: the model file is there
 *
 * The run has all that a checkpoint must carry: dropout, batch statistics, an optimiser with two moments, a schedule,
 * a validation share, a callback that remembers weights, two inputs and two outputs; or images that are read while it trains, and varied.
 */
import { existsSync, mkdirSync, renameSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { augmentImage } from "../../src/data/index.ts";
import { openStream } from "../../src/data/node.ts";
import {
  type Augment,
  adam,
  batchNorm,
  cosineDecay,
  dense,
  dropout,
  earlyStopping,
  type FitOptions,
  flatten,
  functional,
  type Model,
  merge,
  RandomStream,
  rescale,
  sequential,
  wasm,
} from "../../src/index.ts";

const [directory, kind] = process.argv.slice(2);
const say = (word: string) => writeSync(1, `${word}\n`);

const path = join(directory, "run.checkpoint");
const places = { checkpoint: path, previous: `${path}.previous` };
const [from, resume] = Object.entries(places).find(([, place]) => existsSync(place)) ?? ["fresh", undefined];
say(from);

const ROWS = 600;
const EPOCHS = 12;
const BATCH = 16;

/** What is trained, and on what. */
interface Run {
  readonly model: Model;
  readonly data: Parameters<Model["fit"]>[0];
  readonly options: Partial<FitOptions> & Pick<FitOptions, "loss">;
}

function inMemory(): Run {
  const stream = new RandomStream(11, "data");
  const rows = Array.from({ length: ROWS }, () => Array.from({ length: 24 }, () => stream.normal()));
  const x = { left: rows.map((row) => row.slice(0, 12)), right: rows.map((row) => row.slice(12)) };
  const y = {
    corner: rows.map((row) => (row[0] * row[1] > 0 ? 1 : 0) + (row[2] + row[3] > 0 ? 2 : 0)),
    sum: rows.map((row) => [row[0] + row[12]]),
  };

  const model = functional(
    { input: { left: [12], right: [12] }, seed: 5, backend: wasm({ threads: 1 }) },
    ({ left, right }) => {
      const h = merge("concat", left, right)
        .to(dense(192, { activation: "relu" }))
        .to(batchNorm())
        .to(dropout(0.2))
        .to(dense(192, { activation: "tanh" }))
        .to(dropout(0.1));
      return { corner: h.to(dense(4)), sum: h.to(dense(1)) };
    },
  );
  return {
    model: model as unknown as Model,
    data: { x, y },
    options: {
      loss: { corner: "crossEntropy", sum: { loss: "meanSquaredError", weight: 0.2 } },
      metrics: { corner: ["accuracy"] },
      callbacks: [earlyStopping({ patience: EPOCHS, monitor: "corner.accuracy" })],
    },
  };
}

/** 1,500 images of 16 × 16, bright on one side, in an IDX directory that the first child makes. */
async function streamed(): Promise<Run> {
  const home = join(directory, "..", "images");
  if (!existsSync(home)) {
    const random = new RandomStream(3, "images");
    const labels = Uint8Array.from({ length: 1500 }, () => random.integer(2));
    const pixels = Uint8Array.from({ length: 1500 * 256 }, (_, i) => {
      const isBright = (i % 16 < 8 ? 0 : 1) === labels[i >> 8];
      return random.integer(160) + (isBright ? 80 : 0);
    });
    const header = (...shape: number[]) => [0, 0, 8, shape.length, ...shape.flatMap((n) => [0, 0, n >> 8, n & 255])];
    const making = `${home}-${process.pid}`;
    mkdirSync(making);
    writeFileSync(join(making, "train-images-idx3-ubyte"), Buffer.concat([Buffer.from(header(1500, 16, 16)), pixels]));
    writeFileSync(join(making, "train-labels-idx1-ubyte"), Buffer.concat([Buffer.from(header(1500)), labels]));
    renameSync(making, home);
  }
  const model = sequential({ input: [16, 16, 1], seed: 5, backend: wasm({ threads: 1 }) }, [
    ...[rescale(1 / 255), flatten(), dense(128, { activation: "relu" }), batchNorm(), dropout(0.2), dense(2)],
  ]);
  const augment: Augment = (row, epoch, index) =>
    augmentImage(row, [16, 16, 1], { shift: 1, flip: "vertical" }, new RandomStream(1, `${epoch} ${index}`));
  return { model, data: await openStream(home), options: { loss: "crossEntropy", augment } };
}

const { model, data, options } = kind === "stream" ? await streamed() : inMemory();
await model.fit(data, {
  ...options,
  optimizer: adam({ learningRate: cosineDecay({ learningRate: 0.004, steps: EPOCHS * 30 }) }),
  epochs: EPOCHS,
  batchSize: BATCH,
  validation: 0.2,
  checkpoint: { path, everySeconds: 0 },
  // Told just before each checkpoint within an epoch is written.
  onProgress: () => say("writing"),
  ...(resume !== undefined && { resume }),
});
await model.save(join(directory, "model.safetensors"));
say("finished");
