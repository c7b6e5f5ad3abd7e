/**
 * onnxruntime-node running a training graph made by hand: forward, backward and Adam as plain ONNX operators.
 * Weights and Adam's moments enter and leave every step through preallocated tensors: two sets, which take turns.
 * ONNX has no gradient of a convolution: the filter's is a convolution of the transposed input with the transposed
 * gradient, the input's a ConvTranspose.
 */
import * as ort from "onnxruntime-node";
import { dataset, job, measure, packageVersion, start } from "./common.mjs";
import { OnnxGraph } from "./onnx.mjs";

const spec = start("onnxruntime", packageVersion("onnxruntime-node"));

const graph = new OnnxGraph();
const n = (op, ...inputs) => graph.node(op, inputs);
const size = (shape) => shape.reduce((a, b) => a * b, 1);
const training = spec.mode !== "inference";
const binary = spec.layers.at(-1)[0] === "sigmoid";
const state = []; // {name, shape, data, value: its name in the graph, next: the new value's name}

function parameter(shape, fill) {
  const name = `p${state.length}`;
  const data = Float32Array.from({ length: size(shape) }, typeof fill === "number" ? () => fill : fill);
  state.push({ name, shape, data, value: graph.input(name, shape) });
  return state.at(-1);
}

/** He initialisation: normal numbers by Box and Muller. */
const he = (fanIn) => () =>
  Math.sqrt((2 / fanIn) * -2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());

// Every layer: its output's name and shape, and a function from the output's gradient to the input's (which also
// leaves the gradients of its parameters). Images are [B, C, H, W].
const forward = {
  dense(x, [batch, features], units) {
    const w = parameter([features, units], he(features));
    const b = parameter([units], 0);
    const backward = (dy, first) => {
      w.gradient = graph.node("Gemm", [x, dy], { transA: 1 });
      b.gradient = graph.node("ReduceSum", [dy, graph.integers([0])], { keepdims: 0 });
      return first ? "" : graph.node("Gemm", [dy, w.value], { transB: 1 });
    };
    return [n("Gemm", x, w.value, b.value), [batch, units], backward];
  },
  conv(x, [batch, channels, height, width], filters, kernel) {
    const w = parameter([filters, channels, kernel, kernel], he(channels * kernel * kernel));
    const b = parameter([filters], 0);
    const swap = (value) => graph.node("Transpose", [value], { perm: [1, 0, 2, 3] });
    const backward = (dy, first) => {
      w.gradient = swap(n("Conv", swap(x), swap(dy)));
      b.gradient = graph.node("ReduceSum", [dy, graph.integers([0, 2, 3])], { keepdims: 0 });
      return first ? "" : n("ConvTranspose", dy, w.value);
    };
    return [n("Conv", x, w.value, b.value), [batch, filters, height - kernel + 1, width - kernel + 1], backward];
  },
  batchnorm(x, shape) {
    const along = [1, shape[1], 1, 1];
    const [gamma, beta] = [parameter(along, 1), parameter(along, 0)];
    const mean = (value) => graph.node("ReduceMean", [value], { axes: [0, 2, 3] });
    const centered = n("Sub", x, mean(x));
    const deviation = n("Sqrt", n("Add", mean(n("Mul", centered, centered)), graph.number(1e-5)));
    const normal = n("Div", centered, deviation);
    const backward = (dy) => {
      const sum = (value) => graph.node("ReduceSum", [value, graph.integers([0, 2, 3])]);
      const product = n("Mul", dy, normal);
      [gamma.gradient, beta.gradient] = [sum(product), sum(dy)];
      const projected = n("Sub", n("Sub", dy, mean(dy)), n("Mul", normal, mean(product)));
      return n("Mul", projected, n("Div", gamma.value, deviation));
    };
    return [n("Add", n("Mul", normal, gamma.value), beta.value), shape, backward];
  },
  maxpool(x, [batch, channels, height, width], pool) {
    const options = { kernel_shape: [pool, pool], strides: [pool, pool] };
    const [y, indices] = graph.node("MaxPool", [x], options, 2);
    const backward = (dy) =>
      graph.node("MaxUnpool", [dy, indices, graph.integers([batch, channels, height, width])], options);
    return [y, [batch, channels, Math.floor(height / pool), Math.floor(width / pool)], backward];
  },
  flatten(x, shape) {
    const flat = [shape[0], size(shape) / shape[0]];
    return [n("Reshape", x, graph.integers(flat)), flat, (dy) => n("Reshape", dy, graph.integers(shape))];
  },
  relu(x, shape) {
    const y = n("Relu", x);
    return [y, shape, (dy) => n("Where", n("Greater", y, graph.number(0)), dy, graph.number(0))];
  },
  tanh(x, shape) {
    const y = n("Tanh", x);
    return [y, shape, (dy) => n("Mul", dy, n("Sub", graph.number(1), n("Mul", y, y)))];
  },
};

const [height, width, channels] = spec.input;
const inputShape = width ? [spec.batch, channels, height, width] : [spec.batch, height];
let [y, shape] = [graph.input("x", inputShape), inputShape];
const backwards = [];
for (const [kind, ...numbers] of binary ? spec.layers.slice(0, -1) : spec.layers) {
  const [value, next, backward] = forward[kind](y, shape, ...numbers);
  [y, shape] = [value, next];
  backwards.push(backward);
}

if (training) {
  const perSample = graph.number(1 / spec.batch);
  let dy;
  let loss;
  if (binary) {
    const target = graph.input("y", shape);
    const softplus = n("Softplus", y); // log(1 + e^z) - z y
    loss = graph.node("ReduceMean", [n("Sub", softplus, n("Mul", y, target))], { keepdims: 0 });
    dy = n("Mul", n("Sub", n("Sigmoid", y), target), perSample);
  } else {
    const labels = graph.input("y", [spec.batch], "int64");
    const target = n("OneHot", labels, graph.integers([shape[1]]), graph.floats([0, 1]));
    const logProbability = n("LogSoftmax", y);
    loss = n(
      "Mul",
      graph.node("ReduceSum", [n("Mul", logProbability, target)], { keepdims: 0 }),
      graph.number(-1 / spec.batch),
    );
    dy = n("Mul", n("Sub", n("Exp", logProbability), target), perSample);
  }
  graph.output("loss", loss, []);
  for (let layer = backwards.length - 1; layer >= 0; layer--) dy = backwards[layer](dy, layer === 0);

  const rate = graph.input("rate", []);
  const blend = (old, keep, value) =>
    n("Add", n("Mul", old, graph.number(keep)), n("Mul", value, graph.number(1 - keep)));
  for (const p of [...state]) {
    const [m, v] = [parameter(p.shape, 0), parameter(p.shape, 0)];
    m.next = blend(m.value, 0.9, p.gradient);
    v.next = blend(v.value, 0.999, n("Mul", p.gradient, p.gradient));
    const direction = n("Div", m.next, n("Add", n("Sqrt", v.next), graph.number(1e-8)));
    p.next = n("Sub", p.value, n("Mul", direction, rate));
  }
  for (const { name, next, shape } of state) graph.output(`${name}_next`, next, shape);
} else {
  graph.output("prediction", y, shape);
}

const session = await ort.InferenceSession.create(graph.model(), {
  intraOpNumThreads: job.threads,
  interOpNumThreads: 1,
  graphOptimizationLevel: "all",
});

const float = (data, dims) => new ort.Tensor("float32", data, dims);
const batches = dataset(spec).map(({ x, y }) => ({
  x: float(x, inputShape),
  y: binary
    ? float(Float32Array.from(y), [spec.batch, 1])
    : new ort.Tensor("int64", BigInt64Array.from(y, BigInt), [spec.batch]),
}));

if (!training) {
  const fetches = { prediction: float(new Float32Array(size(shape)), shape) };
  const weights = Object.fromEntries(state.map(({ name, data, shape }) => [name, float(data, shape)]));
  await measure(spec, { step: (i) => session.run({ ...weights, x: batches[i % batches.length].x }, fetches) });
} else {
  const rate = float(new Float32Array(1), []);
  const loss = float(new Float32Array(1), []);
  const sets = [0, 1].map(() => state.map(({ data, shape }) => float(data.slice(), shape)));
  const turns = [0, 1].map((turn) => ({
    feeds: { rate, ...Object.fromEntries(state.map(({ name }, k) => [name, sets[turn][k]])) },
    fetches: { loss, ...Object.fromEntries(state.map(({ name }, k) => [`${name}_next`, sets[1 - turn][k]])) },
  }));
  let t = 0;
  const train = async (i) => {
    const { feeds, fetches } = turns[t++ & 1];
    Object.assign(feeds, batches[i % batches.length]);
    rate.data[0] = (1e-3 * Math.sqrt(1 - 0.999 ** t)) / (1 - 0.9 ** t);
    await session.run(feeds, fetches);
    return loss.data[0];
  };
  await measure(spec, { step: train, loss: train });
}
