/**
 * chainrule's own runner: model.fit over data in memory, as a user calls it, epoch after epoch. The first epochs warm
 * up and must bring the loss down; then the clock runs from one epoch's end to another's. A matrix product has no place
 * in the public API: it is one plan of one step, run over variables, so that nothing is copied in or out.
 */
import { readFileSync } from "node:fs";
import { variable } from "../src/graph/leaf.ts";
import {
  activation,
  adam,
  batchNorm,
  conv2d,
  dense,
  flatten,
  gpt,
  gru,
  type Layer,
  lstm,
  maxPool2d,
  sequential,
  wasm,
} from "../src/index.ts";
import { matmul } from "../src/ops/index.ts";
import { makePlan } from "../src/plan/plan.ts";
import { clock, dataset, fail, job, learned, measure, report, type Spec, skip, start } from "./peers/common.mjs";

const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
const turbo = process.argv.includes("--turbo");
const spec = start(turbo ? "chainrule-turbo" : "chainrule", version);
const backend = wasm({ threads: job.threads, turbo });
{
  const session = backend.open();
  if (turbo && session.description.includes("no turbo")) skip(session.description);
  session.close();
}
if (spec.matmul) await runMatmul(spec.matmul);
else if (spec.mode === "inference") await runInference(spec);
else await runTraining(spec);

/** The losses take logits, so a final sigmoid belongs to the loss. */
function lossOf({ layers }: Spec): string {
  return layers?.at(-1)?.[0] === "sigmoid" ? "binaryCrossEntropy" : "crossEntropy";
}

function modelOf(spec: Spec) {
  if (spec.gpt) return sequential({ input: spec.input, seed: 1, backend }, gpt(spec.gpt));
  const layers = spec.layers!.flatMap(([kind, ...n]): Layer[] => {
    if (kind === "dense") return [dense(n[0], { init: "he" })];
    if (kind === "conv") return [conv2d(n[0], n[1], { init: "he" })];
    if (kind === "maxpool") return [maxPool2d(n[0])];
    if (kind === "batchnorm") return [batchNorm()];
    if (kind === "lstm") return [lstm(n[0])];
    if (kind === "gru") return [gru(n[0])];
    if (kind === "flatten") return [flatten()];
    if (kind === "relu" || kind === "tanh") return [activation(kind)];
    return kind === "sigmoid" ? [] : fail(`no layer ${kind} yet`);
  });
  return sequential({ input: spec.input, seed: 1, backend }, layers);
}

function joined(parts: readonly Float32Array[]): Float32Array {
  return Float32Array.from(parts.flatMap((part) => [...part]));
}

async function runTraining(spec: Spec): Promise<void> {
  const batches = dataset(spec);
  const data = spec.gpt
    ? { x: joined(batches.map(({ x }) => x)), y: Int32Array.from(batches.flatMap(({ y }) => [...y])) }
    : { x: new Float32Array(batches[0].x.buffer), y: new Int32Array(batches[0].y.buffer) };
  const model = modelOf(spec);
  const losses: number[] = [];
  const begin = performance.now();
  let warm = 0; // when the warm-up ended
  let epochs = 0; // since then
  for await (const { loss } of model.fit(data, {
    loss: lossOf(spec),
    optimizer: adam({ learningRate: 1e-3 }),
    epochs: Number.MAX_SAFE_INTEGER,
    batchSize: spec.batch,
    onWarning: false,
  })) {
    const now = performance.now();
    if (warm === 0) {
      losses.push(loss);
      if (losses.length >= 3 && now - begin > 500) warm = now;
      continue;
    }
    epochs++;
    if (now - warm < job.seconds * 1000) continue;
    // The targets of a language model are as many as its places.
    const each = spec.gpt ? data.y.length : data.y.length * (spec.places ?? 1);
    const samplesPerSecond = ((epochs * each) / (now - warm)) * 1000;
    report({ samplesPerSecond: Number(samplesPerSecond.toFixed(1)), engine: model.engine, ...learned(losses) });
    break;
  }
  model.close();
}

async function runInference(spec: Spec): Promise<void> {
  const model = modelOf(spec);
  const batches = dataset(spec);
  await measure(spec, { step: (i) => model.predict(batches[i % batches.length].x) });
  model.close();
}

async function runMatmul(n: number): Promise<void> {
  const [a, b, c] = ["a", "b", "c"].map((name) => variable(name, [n, n]));
  const session = backend.open();
  for (const matrix of [a, b, c]) session.write(matrix, Float32Array.from({ length: n * n }, Math.random));
  const product = session.compile(
    makePlan({ inputs: [], outputs: [], updates: [{ variable: c, value: matmul(a, b) }] }),
  );
  product.run([], 3);
  const rate = await clock((times) => void product.run([], times));
  report({ gflops: Number(((rate * 2 * n ** 3) / 1e9).toFixed(2)), engine: session.description });
  session.close();
}
