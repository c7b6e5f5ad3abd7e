/**
 * jax-js on its WebAssembly device: the whole step (forward, backward, Adam) is one jit-compiled function; its arrays
 * are created once. Waiting for every step is five times as fast here as letting steps queue up. In Node it runs one thread (its worker pool wants the browser's Worker).
 * Every array is consumed by its use unless `.ref` is taken: that is the library's rule.
 */
import { blockUntilReady, init, jit, lax, nn, numpy as np, random, tree, valueAndGrad } from "@jax-js/jax";
import { dataset, fail, job, measure, oneHot, packageVersion, skip, start } from "./common.mjs";

const spec = start("jax-js", packageVersion("@jax-js/jax"));
if (job.threads > 1) skip("one thread only in Node");
await init("wasm");

const he = (key, shape, fanIn) => random.normal(random.key(key), shape).mul(Math.sqrt(2 / fanIn));
let [height, width, channels = 1] = spec.input.length === 1 ? [1, 1, spec.input[0]] : spec.input;
let params = spec.layers.map(([kind, n, size], i) => {
  if (kind === "dense") {
    const fanIn = channels;
    channels = n;
    return { w: he(i, [fanIn, n], fanIn), b: np.zeros([n]) };
  }
  if (kind === "conv") {
    const fanIn = channels;
    [height, width, channels] = [height - size + 1, width - size + 1, n];
    return { w: he(i, [n, fanIn, size, size], fanIn * size * size), b: np.zeros([n, 1, 1]) };
  }
  if (kind === "batchnorm") return { gamma: np.ones([channels, 1, 1]), beta: np.zeros([channels, 1, 1]) };
  if (kind === "maxpool") [height, width] = [height / n, width / n].map(Math.floor);
  if (kind === "flatten") channels *= height * width;
  return {};
});

function batchNorm(x, gamma, beta) {
  const over = [0, 2, 3];
  const centered = x.ref.sub(np.mean(x, over, { keepdims: true }));
  const variance = np.mean(np.square(centered.ref), over, { keepdims: true });
  return centered
    .div(np.sqrt(variance.add(1e-5)))
    .mul(gamma)
    .add(beta);
}

function forward(params, x) {
  spec.layers.forEach(([kind, n], i) => {
    const p = params[i];
    if (kind === "dense") x = np.matmul(x, p.w).add(p.b);
    else if (kind === "conv") x = lax.convGeneralDilated(x, p.w, [1, 1], "VALID").add(p.b);
    else if (kind === "batchnorm") x = batchNorm(x, p.gamma, p.beta);
    else if (kind === "maxpool") x = lax.reduceWindow(x, np.max, [n, n], [n, n]);
    else if (kind === "flatten") x = x.reshape([x.shape[0], -1]);
    else if (kind === "relu") x = nn.relu(x);
    else if (kind === "tanh") x = np.tanh(x);
    else if (kind !== "sigmoid") fail(`no layer ${kind} here`);
  });
  return x; // logits: the losses below take a final sigmoid or softmax in
}

const binary = spec.layers.at(-1)[0] === "sigmoid";
function lossOf(params, x, y) {
  const z = forward(params, x);
  if (binary) return np.mean(nn.softplus(z.ref).sub(z.mul(y)));
  return np.mean(np.sum(nn.logSoftmax(z).mul(y), -1)).neg();
}

const step = jit((params, m, v, x, y, rate) => {
  const [loss, gradient] = valueAndGrad(lossOf)(tree.ref(params), x, y);
  m = tree.map((m, g) => m.mul(0.9).add(g.mul(0.1)), m, tree.ref(gradient));
  v = tree.map((v, g) => v.mul(0.999).add(np.square(g).mul(0.001)), v, gradient);
  params = tree.map((p, m, v) => p.sub(m.mul(rate.ref).div(np.sqrt(v).add(1e-8))), params, tree.ref(m), tree.ref(v));
  rate.dispose();
  return [params, m, v, loss];
});

const images = spec.input.length === 3;
const batches = dataset(spec).map(({ x, y }) => {
  const rows = np
    .array(x.slice())
    .reshape([spec.batch, ...(images ? [spec.input[2], ...spec.input.slice(0, 2)] : spec.input)]);
  return { x: rows, y: np.array(binary ? Float32Array.from(y) : oneHot(y, 10)).reshape([spec.batch, -1]) };
});
const zeros = (tensors) => tree.map((p) => np.zerosLike(p), tree.ref(tensors));
let [m, v, loss, t] = [zeros(params), zeros(params), null, 0];

async function train(i) {
  const { x, y } = batches[i % batches.length];
  t++;
  const rate = np.array((1e-3 * Math.sqrt(1 - 0.999 ** t)) / (1 - 0.9 ** t));
  loss?.dispose();
  [params, m, v, loss] = step(params, m, v, x.ref, y.ref, rate);
  await blockUntilReady(loss);
}

if (spec.mode === "inference") {
  const predict = jit(forward);
  await measure(spec, {
    step: async (i) => {
      const y = predict(tree.ref(params), batches[i % batches.length].x.ref);
      await blockUntilReady(y);
      y.dispose();
    },
  });
} else {
  await measure(spec, {
    step: train,
    loss: async (i) => {
      await train(i);
      return (await loss.ref.data())[0];
    },
  });
}
