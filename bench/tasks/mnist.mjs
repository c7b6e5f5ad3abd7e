/**
 * Trains on MNIST until the test accuracy is reached, with the built library, as a user would. Prints the time from
 * the start of fit to the end of the epoch (and its test) that reached it, and the most memory the process ever held.
 * Run as `node mnist.mjs '{"library": FOLDER, "network": "dense", "target": 0.98, "threads": 2, "turbo": false, "seed": 0}'`.
 */
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const { library, network, target, threads, turbo, seed } = JSON.parse(process.argv[2]);
const load = (file) => import(pathToFileURL(`${library}/${file}`).href);
const { adam, conv2d, cosineDecay, dense, dropout, flatten, maxPool2d, rescale, sequential, wasm } =
  await load("index.js");
const { mnist } = await load("data/node.js");

const relu = { activation: "relu", init: "he" };
const { epochs, learningRate, layers } = {
  dense: { epochs: 6, learningRate: 3e-3, layers: [flatten(), dense(128, relu), dense(10)] },
  cnn: {
    epochs: 4,
    learningRate: 1.5e-3,
    layers: [
      conv2d(32, 3, relu),
      conv2d(64, 3, relu),
      maxPool2d(2),
      dropout(0.25),
      flatten(),
      dense(128, relu),
      dropout(0.25),
      dense(10),
    ],
  },
}[network];
const batchSize = 64;
const { train, test } = await mnist();
const model = sequential({ input: train.inputShape, seed, backend: wasm({ threads, turbo }) }, [
  rescale(1 / 255),
  ...layers,
]);
const steps = epochs * Math.ceil(train.count / batchSize);

const begin = performance.now();
const accuracies = [];
let seconds = null; // until the target was reached
for await (const { validation } of model.fit(train, {
  loss: "crossEntropy",
  optimizer: adam({ learningRate: cosineDecay({ learningRate, steps }) }),
  epochs,
  batchSize,
  validation: test,
  metrics: ["accuracy"],
})) {
  accuracies.push(validation.accuracy);
  if (validation.accuracy < target) continue;
  seconds = (performance.now() - begin) / 1000;
  break;
}
const { engine } = model;
model.close();
console.log(JSON.stringify({ engine, accuracies, seconds, peakMegabytes: peakMegabytes() }));

/** Linux's own count where there is one: resourceUsage may include what the parent held when it started this process. */
function peakMegabytes() {
  try {
    return Number(/VmHWM:\s*(\d+) kB/.exec(readFileSync("/proc/self/status", "utf8"))[1]) / 1000;
  } catch {
    return process.resourceUsage().maxRSS / 1000;
  }
}
