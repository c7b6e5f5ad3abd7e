/**
 * brain.js on the CPU: its NeuralNetwork trains one sample after the other (it has no batches) by SGD with momentum
 * and a squared error, with sigmoid units, as its documentation starts. train() walks over the samples it is given.
 */
import { createRequire } from "node:module";
import { dataset, measure, oneHot, packageVersion, skip, start } from "./common.mjs";

const spec = start("brain.js", packageVersion("brain.js"));
if (!["mlp-128-b1", "xor"].includes(spec.name)) skip("takes one sample after the other, no batches");

const { NeuralNetwork } = createRequire(import.meta.url)("brain.js");
const xor = spec.name === "xor";
const units = spec.layers.filter(([kind]) => kind === "dense").map(([, n]) => n);
const net = new NeuralNetwork({
  hiddenLayers: units.slice(0, -1),
  activation: "sigmoid",
  learningRate: xor ? 0.3 : 0.1,
});
const batches = dataset(spec).map(({ x, y }) =>
  Array.from(y, (label, i) => ({
    input: Array.from(x.subarray((i * x.length) / y.length, ((i + 1) * x.length) / y.length)),
    output: xor ? [label] : Array.from(oneHot([label], 10)),
  })),
);
let next = 0;

/** n steps: for XOR n passes over its four rows, else one pass over the next n samples; the mean squared error. */
function run(n) {
  const samples = xor ? batches[0] : Array.from({ length: n }, () => batches[next++ % batches.length][0]);
  return net.train(samples, { iterations: xor ? n : 1, errorThresh: 1e-300 }).error;
}

await measure(spec, { step: () => run(1), loss: () => run(1), run });
