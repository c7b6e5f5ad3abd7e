/**
 * The program that kills.test.ts kills: trains a small network in a directory, goes on from the checkpoint it finds
 * there, and writes the finished model. On stdout, unbuffered, one word a line for whoever aims at it:
 *
 * - `fresh`, `checkpoint` or `previous`: what it begins from
 * - `writing`: a checkpoint is about to be written
 * - `finished`: the model file is there
 *
 * The run has all that a checkpoint must carry: dropout, batch statistics, an optimiser with two moments, a schedule,
 * a validation share, a callback that remembers weights, two inputs and two outputs.
 */
import { existsSync, writeSync } from "node:fs";
import { join } from "node:path";
import {
  adam,
  batchNorm,
  cosineDecay,
  dense,
  dropout,
  earlyStopping,
  functional,
  merge,
  RandomStream,
  wasm,
} from "../../src/index.ts";

const [directory] = process.argv.slice(2);
const say = (word: string) => writeSync(1, `${word}\n`);

const ROWS = 600;
const EPOCHS = 12;
const BATCH = 16;

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

const path = join(directory, "run.checkpoint");
const places = { checkpoint: path, previous: `${path}.previous` };
const [from, resume] = Object.entries(places).find(([, place]) => existsSync(place)) ?? ["fresh", undefined];
say(from);

await model.fit(
  { x, y },
  {
    loss: { corner: "crossEntropy", sum: { loss: "meanSquaredError", weight: 0.2 } },
    optimizer: adam({ learningRate: cosineDecay({ learningRate: 0.004, steps: EPOCHS * 30 }) }),
    epochs: EPOCHS,
    batchSize: BATCH,
    validation: 0.2,
    metrics: { corner: ["accuracy"] },
    callbacks: [earlyStopping({ patience: EPOCHS, monitor: "corner.accuracy" })],
    checkpoint: { path, everySeconds: 0 },
    // Told just before each checkpoint within an epoch is written.
    onProgress: () => say("writing"),
    ...(resume !== undefined && { resume }),
  },
);
await model.save(join(directory, "model.safetensors"));
say("finished");
