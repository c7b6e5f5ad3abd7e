/**
 * What every JavaScript peer shares: the job, the data, the learning check and the clock (common.py is its twin).
 * A peer is run as `node PEER.mjs '{"workload": NAME, "threads": 1, "seconds": 1}'` and prints one JSON line;
 * with --probe it only says its version. No dependencies: any Node runs it.
 */
import { readFileSync } from "node:fs";

const probe = process.argv[2] === "--probe";
export const job = { threads: 1, seconds: 1, ...(probe ? {} : JSON.parse(process.argv[2])) };

/** The workload of this job: its name and fields, layers as [kind, ...numbers]; ends the process on --probe. */
export function start(peer, version) {
  Object.assign(job, { peer, version });
  if (probe) {
    console.log(JSON.stringify({ peer, version }));
    process.exit();
  }
  const spec = JSON.parse(readFileSync(new URL("../workloads.json", import.meta.url)))[job.workload];
  spec.name = job.workload;
  spec.layers = spec.layers?.split(", ").map((layer) => {
    const [kind, ...numbers] = layer.split(" ");
    return [kind, ...numbers.map(Number)];
  });
  return spec;
}

/** The version of an installed package, or of the package itself. */
export function packageVersion(name) {
  return JSON.parse(readFileSync(new URL(`../node_modules/${name}/package.json`, import.meta.url))).version;
}

/** A small generator of random numbers in [0, 1), good enough for noise (mulberry32). */
function generator(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let z = Math.imul(state ^ (state >>> 15), state | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return ((z ^ (z >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * 8,192 samples, 1,024 images (at least 16 batches): each class is a pattern of its own under noise. XOR is XOR.
 * Returns batches [{x: Float32Array, y: Int32Array}], views of one array.
 */
export function dataset(spec) {
  const { batch } = spec;
  if (spec.gpt) return tokens(spec);
  const features = spec.input.reduce((a, b) => a * b);
  const xor = spec.name === "xor";
  const count = Math.max(spec.input.length > 1 ? 1024 : 8192, 16 * batch);
  const random = generator(1);
  const patterns = xor ? [] : Float32Array.from({ length: 10 * features }, random);
  const x = new Float32Array(count * features);
  const y = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    if (xor) {
      x.set([(i >> 1) & 1, i & 1], i * 2);
      y[i] = ((i >> 1) ^ i) & 1;
    } else {
      y[i] = Math.floor(random() * 10);
      for (let j = 0; j < features; j++) x[i * features + j] = (patterns[y[i] * features + j] + random()) / 2;
    }
  }
  return Array.from({ length: Math.floor(count / batch) }, (_, i) => ({
    x: x.subarray(i * batch * features, (i + 1) * batch * features),
    y: y.subarray(i * batch, (i + 1) * batch),
  }));
}

/** Sequences in which each token says the next one: 4 batches. */
function tokens({ batch, places, gpt: { vocabulary } }) {
  const random = generator(1);
  return Array.from({ length: 4 }, () => {
    const [x, y] = [new Float32Array(batch * places), new Int32Array(batch * places)];
    for (let i = 0; i < x.length; i++) {
      x[i] = i % places === 0 ? Math.floor(random() * vocabulary) : y[i - 1];
      y[i] = (x[i] * 7 + 3) % vocabulary;
    }
    return { x, y };
  });
}

/** One-hot rows of integer labels. */
export function oneHot(labels, classes) {
  const rows = new Float32Array(labels.length * classes);
  labels.forEach((label, i) => {
    rows[i * classes + label] = 1;
  });
  return rows;
}

export function report(fields) {
  const { peer, version, workload, threads } = job;
  console.log(JSON.stringify({ peer, version, workload, threads, node: process.version, ...fields }));
}

/** This workload is not for this peer: nothing is shown. */
export function skip(reason) {
  report({ skipped: reason });
  process.exit();
}

/** The peer should do this and cannot: the reason is shown in its place. */
export function fail(reason) {
  report({ error: reason });
  process.exit(1);
}

const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;

/** The mean loss of the first and of the last quarter of the warm-up; fails when it did not fall. */
export function learned(losses) {
  const quarter = Math.max(1, losses.length >> 2);
  const [lossFirst, lossLast] = [mean(losses.slice(0, quarter)), mean(losses.slice(-quarter))];
  if (!(lossLast < lossFirst)) fail(`does not learn: loss ${lossFirst.toFixed(4)} -> ${lossLast.toFixed(4)}`);
  return { lossFirst: Number(lossFirst.toFixed(4)), lossLast: Number(lossLast.toFixed(4)) };
}

/** Calls run(n) with growing n until the job's time is over; steps per second. */
export async function clock(run) {
  const begin = performance.now();
  for (let steps = 0, n = 1; ; ) {
    const before = performance.now();
    await run(n);
    const now = performance.now();
    steps += n;
    if (now - begin >= job.seconds * 1000) return (steps / (now - begin)) * 1000;
    if (now - before < 10) n *= 2;
  }
}

/**
 * Warms up while checking that the loss falls, then times step(i) and reports samples per second.
 * step(i) trains on (or predicts) batch i, loss(i) does the same and returns the loss; both may return promises.
 * run(n) may be given where a peer has its own way to make n steps.
 */
export async function measure(spec, { step, loss, run }) {
  const losses = [];
  const begin = performance.now();
  for (let i = 0; i < 12 || (performance.now() - begin < 500 && i < 4000); i++) losses.push(await (loss ?? step)(i));
  const learning = loss ? learned(losses) : {};
  const steps = async (n) => {
    for (let i = 0; i < n; i++) {
      const pending = step(i);
      if (pending) await pending;
    }
  };
  const rate = await clock(run ?? steps);
  report({ samplesPerSecond: Number((rate * spec.batch).toFixed(1)), ...learning });
}
