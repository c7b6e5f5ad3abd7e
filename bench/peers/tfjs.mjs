/**
 * TensorFlow.js on its WebAssembly backend with SIMD: a layers model, trained by optimizer.minimize on batches that
 * are already tensors (less overhead than model.fit). In Node the backend refuses threads, so there is one.
 */
import "@tensorflow/tfjs-backend-wasm";
import * as tf from "@tensorflow/tfjs-core";
import { layers, sequential } from "@tensorflow/tfjs-layers";
import { dataset, fail, job, measure, oneHot, packageVersion, skip, start } from "./common.mjs";

const spec = start("tfjs-wasm", packageVersion("@tensorflow/tfjs-backend-wasm"));
if (job.threads > 1) skip("one thread only in Node");
await tf.setBackend("wasm");

const make = {
  dense: (units) => layers.dense({ units, kernelInitializer: "heNormal" }),
  conv: (filters, kernelSize) => layers.conv2d({ filters, kernelSize, kernelInitializer: "heNormal" }),
  maxpool: (poolSize) => layers.maxPooling2d({ poolSize, strides: poolSize }),
  batchnorm: () => layers.batchNormalization({ epsilon: 1e-5, momentum: 0.9 }),
  flatten: () => layers.flatten(),
  relu: () => layers.reLU(),
  tanh: () => layers.activation({ activation: "tanh" }),
};
const binary = spec.layers.at(-1)[0] === "sigmoid";
const model = sequential({ layers: [layers.inputLayer({ inputShape: spec.input })] });
for (const [kind, ...n] of binary ? spec.layers.slice(0, -1) : spec.layers) model.add(make[kind](...n));

const batches = dataset(spec).map(({ x, y }) => ({
  x: tf.tensor(x, [spec.batch, ...spec.input]),
  y: binary ? tf.tensor(Float32Array.from(y), [spec.batch, 1]) : tf.tensor(oneHot(y, 10), [spec.batch, 10]),
}));
const lossOf = binary ? tf.losses.sigmoidCrossEntropy : tf.losses.softmaxCrossEntropy;
const optimizer = tf.train.adam(1e-3);

function train(i, returnCost = false) {
  const { x, y } = batches[i % batches.length];
  return optimizer.minimize(() => lossOf(y, model.apply(x, { training: true })), returnCost);
}

if (spec.mode === "inference") {
  await measure(spec, { step: (i) => tf.tidy(() => void model.predict(batches[i % batches.length].x).dataSync()) });
} else {
  try {
    tf.dispose(train(0, true));
  } catch (error) {
    fail(error.message.split("\n")[0]);
  }
  await measure(spec, {
    step: (i) => void train(i),
    loss: (i) => {
      const cost = train(i, true);
      const [value] = cost.dataSync();
      cost.dispose();
      return value;
    },
  });
}
