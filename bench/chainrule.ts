/**
 * chainrule's own runner: model.fit over the data in memory, as a user would call it, epoch after epoch. The first
 * epochs warm up and must bring the loss down; then the clock runs from one epoch's end to another's.
 */
import { readFileSync } from "node:fs";
import { dataset, fail, job, learned, measure, report, skip, start } from "./peers/common.mjs";

/** What this runner needs of the public API. */
interface Chainrule {
  sequential(options: { input: number[]; seed: number }, layers: unknown[]): Model;
  adam(options: { learningRate: number }): unknown;
  [layer: string]: (...options: never[]) => unknown;
}
interface Model {
  fit(data: Data, options: Record<string, unknown>): AsyncIterable<{ loss: number }>;
  predict(x: Float32Array, options: { threads: number }): Promise<ArrayLike<number>>;
}
interface Data {
  x: Float32Array;
  y: Int32Array;
}

const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
const library = (await import("../src/index.ts")) as unknown as Chainrule;
if (!library.sequential) throw new Error("the library has no sequential() yet");
const spec = start("chainrule", version);
if (!spec.layers) skip("networks only");

const layer = (kind: string, ...options: unknown[]) => {
  if (!library[kind]) fail(`chainrule has no ${kind}() yet`);
  return library[kind](...(options as never[]));
};
const make: Record<string, (...numbers: number[]) => unknown> = {
  dense: (units) => layer("dense", units, { init: "he" }),
  conv: (filters, size) => layer("conv2d", filters, { size, init: "he" }),
  maxpool: (size) => layer("maxPool2d", size),
  batchnorm: () => layer("batchNorm"),
  flatten: () => layer("flatten"),
  relu: () => layer("activation", "relu"),
  tanh: () => layer("activation", "tanh"),
};
// The losses take logits, so a final sigmoid belongs to the loss.
const binary = spec.layers.at(-1)![0] === "sigmoid";
const layers = (binary ? spec.layers.slice(0, -1) : spec.layers).map(([kind, ...numbers]) => make[kind](...numbers));
const model = library.sequential({ input: spec.input, seed: 1 }, layers);

const { threads, seconds } = job;
const batches = dataset(spec);
const data: Data = { x: new Float32Array(batches[0].x.buffer), y: new Int32Array(batches[0].y.buffer) };

if (spec.mode === "inference") {
  await measure(spec, { step: (i) => model.predict(batches[i % batches.length].x, { threads }) });
} else {
  const losses: number[] = [];
  const begin = performance.now();
  let timed = 0; // when the warm-up ended
  let samples = 0;
  const epochs = model.fit(data, {
    loss: binary ? "binaryCrossEntropy" : "crossEntropy",
    optimizer: library.adam({ learningRate: 1e-3 }),
    epochs: Number.MAX_SAFE_INTEGER,
    batchSize: spec.batch,
    threads,
  });
  for await (const { loss } of epochs) {
    const now = performance.now();
    if (timed === 0) {
      losses.push(loss);
      if (losses.length >= 3 && now - begin > 500) timed = now;
    } else {
      samples += data.y.length;
      if (now - timed < seconds * 1000) continue;
      const samplesPerSecond = Number(((samples / (now - timed)) * 1000).toFixed(1));
      report({ samplesPerSecond, ...learned(losses) });
      break;
    }
  }
}
