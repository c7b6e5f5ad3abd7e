/**
 * Models as PyTorch modules: every kind of layer and whole networks predict the same there, to 1e-5; trained there they have the losses that they
 * have here; and what PyTorch saves of them comes back to the bit. PyTorch runs once for all of them (predict-in-torch.py).
 */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  activation,
  averagePool2d,
  batchNorm,
  bidirectional,
  branches,
  chain,
  conv1d,
  conv2d,
  conv2dTranspose,
  dense,
  dropout,
  embedding,
  flatten,
  functional,
  globalAveragePool1d,
  gpt,
  gru,
  type Layer,
  layerNorm,
  lstm,
  type Model,
  maxPool1d,
  maxPool2d,
  merge,
  normalize,
  positions,
  RandomStream,
  rescale,
  reshape,
  residual,
  sequential,
  sgd,
  spatialDropout,
  trainStep,
  transformerBlock,
  upsampling2d,
} from "chainrule";
import { fromTorch, toTorch } from "chainrule/interchange";
import { beforeAll, describe, expect, test } from "vitest";
import { type Shape, sizeOf } from "../../src/graph/shape.ts";
import { LAYER_CASES } from "../support/layer-cases.ts";
import { skipWhere } from "../support/skip.ts";

const PYTHON = ["python3", "/usr/bin/python3"].find((python) => spawnSync(python, ["-c", "import torch"]).status === 0);
const WITHOUT_TORCH = "python3 has no PyTorch; Debian's package is python3-torch.";
const ROWS = 5;

/** Parameters that are not those of the beginning, running statistics too. */
function shaken(model: Model, name: string): Model {
  const stream = new RandomStream(3, name);
  for (const { name: own, node } of model.network.parameters) {
    const isPositive = /variance|deviation/.test(own);
    const values = Float32Array.from(
      { length: sizeOf(node.shape) },
      () => (isPositive ? 0.5 : -0.5) + stream.uniform(),
    );
    model.setWeight(own, values);
  }
  return model;
}

const inputFor = (shape: Shape, below: number | undefined, name: string): Float32Array => {
  const stream = new RandomStream(4, name);
  return Float32Array.from({ length: ROWS * sizeOf(shape) }, () =>
    below === undefined ? 2 * stream.uniform() - 1 : stream.integer(below),
  );
};

/** Images [B, H, W, C] as [B, C, H, W], and back. */
function turned(data: ArrayLike<number>, [h, w, c]: Shape, back = false): Float32Array {
  const size = h * w * c;
  const out = new Float32Array(data.length);
  for (let i = 0; i < data.length; i++) {
    const [image, pixel, channel] = [Math.floor(i / size), Math.floor((i % size) / c), i % c];
    const theirs = image * size + channel * h * w + pixel;
    if (back) out[i] = data[theirs];
    else out[theirs] = data[i];
  }
  return out;
}

const NETWORKS: Record<string, { input: Shape; layers: Layer[]; below?: number }> = {
  dense: {
    input: [6],
    layers: [
      normalize({ mean: [1, 2, 3, 4, 5, 6], deviation: [1, 1, 1, 2, 2, 2] }),
      dense(8, { activation: "gelu" }),
      dropout(0.2),
      dense(3, { activation: "softmax" }),
    ],
  },
  cnn: {
    input: [8, 6, 3],
    layers: [
      rescale(0.5),
      normalize({ mean: [0.1, 0.2, 0.3], deviation: [1, 2, 3] }),
      conv2d(4, 3, { padding: "same", stride: 2 }),
      batchNorm(),
      activation("relu"),
      residual([conv2d(6, 3, { padding: 1, bias: false }), batchNorm()], { projection: conv2d(6, 1) }),
      spatialDropout(0.1),
      maxPool2d(2, { padding: "same" }),
      averagePool2d(3, { stride: 1, padding: "same" }),
      flatten(),
      batchNorm(),
      dense(4),
    ],
  },
  decoder: {
    input: [5],
    layers: [
      dense(24, { activation: "tanh" }),
      batchNorm(),
      reshape([2, 3, 4]),
      conv2dTranspose(3, 4, { stride: 2, padding: "same" }),
      upsampling2d(2),
      conv2d(2, 3, {
        padding: [
          [0, 1],
          [2, 1],
        ],
        activation: "sigmoid",
      }),
      layerNorm(),
    ],
  },
  "flattened twice": {
    input: [4, 5, 2],
    layers: [
      branches([
        chain([conv2d(3, 2), flatten()]),
        chain([conv2d(4, 3, { padding: 1 }), flatten(), layerNorm()]),
        chain([flatten(), dense(7)]),
      ]),
      dense(4),
    ],
  },
  "an image to a row and back": {
    input: [4, 3, 2],
    layers: [
      conv2d(2, 1),
      flatten(),
      batchNorm(),
      activation("tanh"),
      reshape([4, 3, 2]),
      conv2d(2, 2),
      flatten(),
      reshape([3, 4]),
      dense(2),
      flatten(),
    ],
  },
  sum: {
    input: [4, 3, 2],
    layers: [
      branches([chain([conv2d(2, 1), flatten()]), chain([flatten(), dense(24), batchNorm()])], { merge: "add" }),
      dense(3),
    ],
  },
  signals: {
    input: [12, 3],
    layers: [
      conv1d(4, 3, { padding: "causal", dilation: 2, activation: "relu" }),
      batchNorm(),
      spatialDropout(0.1),
      residual([conv1d(4, 3, { padding: 1 })]),
      maxPool1d(2),
      conv1d(5, 2),
      flatten(),
      dense(3),
    ],
  },
  words: {
    input: [7],
    below: 11,
    layers: [
      embedding(11, 6),
      positions(),
      conv1d(5, 3, { padding: "same", activation: "softmax" }),
      lstm(4),
      dense(2),
    ],
  },
  lstm: { input: [6, 5], layers: [bidirectional(lstm(4, { sequences: true })), lstm(6), dense(3)] },
  gru: { input: [6, 5], layers: [bidirectional(gru(4, { sequences: true })), gru(6, { backwards: true }), dense(3)] },
  encoder: {
    input: [6],
    below: 12,
    layers: [
      embedding(12, 8),
      positions({ kind: "sinusoidal" }),
      transformerBlock({ width: 8, heads: 2, placement: "post", dropout: 0.1 }),
      transformerBlock({ width: 8, heads: 2, causal: true }),
      globalAveragePool1d(),
      dense(4),
    ],
  },
  gpt: {
    input: [6],
    below: 12,
    layers: gpt({
      vocabulary: 12,
      width: 8,
      heads: 4,
      keyHeads: 2,
      blocks: 2,
      positions: "rotary",
      norm: "rms",
      gated: true,
      bias: false,
    }),
  },
  "names of Python": {
    input: [4],
    layers: [
      dense(3, { name: "class" }),
      chain([dense(3, { name: "forward" }), dropout(0.1)], { name: "my-part" }),
      chain([dropout(0.1)]),
      dense(2, { name: "1st" }),
    ],
  },
};

interface Tried {
  readonly model: Model;
  readonly inputs: readonly { readonly shape: Shape; readonly data: Float32Array }[];
  readonly below?: number;
}

const tried = new Map<string, Tried>();
/** What PyTorch has not. */
const REFUSED: [string, Model][] = [];
for (const [kind, cases] of Object.entries(LAYER_CASES))
  for (const [i, { layer, input, below }] of cases.entries()) {
    const name = `${kind}_${i}`;
    const model = shaken(sequential({ input }, [layer]), name);
    const { resetAfter, activation } = layer.config as { readonly resetAfter?: boolean; readonly activation?: string };
    const isOther =
      ["masking", "unembedding", "lastSeason"].includes(kind) ||
      model.network.parameters.some((parameter) => parameter.name.endsWith(".keyKernel")) ||
      resetAfter === false ||
      (kind === "simpleRnn" && activation === "sigmoid");
    if (isOther) REFUSED.push([name, model]);
    else tried.set(name, { model, inputs: [{ shape: input, data: inputFor(input, below, name) }] });
  }
for (const [name, { input, layers, below }] of Object.entries(NETWORKS)) {
  const model = shaken(sequential({ input }, layers), name);
  tried.set(name, { model, inputs: [{ shape: input, data: inputFor(input, below, name) }] });
}

/** Two inputs, with names that Python or the module has itself, and two outputs. */
const two = functional({ input: { x1: [4, 3, 2], in: [3] } }, (given) => {
  const h = merge("concat", given.x1.to(flatten()), given.in).to(dense(6, { activation: "relu" }));
  return { label: h.to(dense(2)), age: h.to(dense(1)) };
});
const ofTwo = { x1: inputFor([4, 3, 2], undefined, "x1"), in: inputFor([3], undefined, "in") };

type Results = Record<string, Record<string, { shape: number[]; data: number[] }> & { losses?: number[] }>;
let folder = "";
let results: Results = {};
const fileOf = (name: string): string => name.replaceAll(/\W/g, "_");
const TRAINED = ["dense", "cnn", "lstm", "gru", "signals"];
const targets = Array.from({ length: ROWS }, (_, i) => i % 3);

beforeAll(() => {
  if (!PYTHON) return;
  folder = mkdtempSync(join(tmpdir(), "chainrule-module-"));
  const cases: Record<string, object> = {};
  const write = (name: string, { model, inputs }: Tried, more: object = {}) => {
    const file = fileOf(name);
    const { code, weights } = toTorch(model, { file: `${file}.safetensors` });
    writeFileSync(join(folder, `${file}.py`), code);
    writeFileSync(join(folder, `${file}.safetensors`), weights);
    const given = inputs.map(({ shape, data }) => {
      const [h, w, c] = shape;
      return shape.length === 3
        ? { shape: [ROWS, c, h, w], data: Array.from(turned(data, shape)) }
        : { shape: [ROWS, ...shape], data: Array.from(data) };
    });
    cases[file] = { inputs: given, ...more };
  };
  for (const [name, one] of tried) write(name, one);
  const inputs = [
    { shape: [4, 3, 2], data: ofTwo.x1 },
    { shape: [3], data: ofTwo.in },
  ];
  write("two", { model: two as never, inputs });
  for (const name of TRAINED)
    write(`train ${name}`, { ...tried.get(name)!, model: withoutDropout(name) }, { train: 50, y: targets });
  writeFileSync(join(folder, "cases.json"), JSON.stringify(cases));
  execFileSync(PYTHON, [join(import.meta.dirname, "predict-in-torch.py"), folder], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  results = JSON.parse(readFileSync(join(folder, "results.json"), "utf8")) as Results;
}, 120_000);

/** The same network with nothing random in training, and logits at its end. */
function withoutDropout(name: string): Model {
  const { input, layers } = NETWORKS[name];
  const calm = layers.filter(({ kind }) => !/ropout/.test(kind));
  const last = calm.length - 1;
  return shaken(
    sequential(
      { input },
      calm.map((layer, i) => (i === last ? dense(3) : layer)),
    ),
    name,
  );
}

const farthest = (actual: ArrayLike<number>, wanted: ArrayLike<number>): number => {
  expect(actual.length).toBe(wanted.length);
  const scale = Math.max(1, ...Array.from(wanted, Math.abs));
  return Math.max(...Array.from(wanted, (value, i) => Math.abs(actual[i] - value) / scale));
};

describe.each([...tried.keys()])("%s", (name) => {
  test("PyTorch predicts the same", async (context) => {
    skipWhere(!PYTHON, WITHOUT_TORCH, context);
    const { model, inputs } = tried.get(name)!;
    const wanted = await model.predict(inputs[0].data);
    const { data } = results[fileOf(name)][""];
    const { outputShape } = model.network;
    expect(
      farthest(outputShape.length === 3 ? turned(data, outputShape, true) : data, wanted as Float32Array),
    ).toBeLessThanOrEqual(1e-5);
  });

  test("what PyTorch saves comes back to the bit", async (context) => {
    skipWhere(!PYTHON, WITHOUT_TORCH, context);
    const { model, inputs } = tried.get(name)!;
    const { network } = model;
    if (network.parameters.length === 0) return;
    const again = sequential({ input: model.inputShape, seed: 9 }, network.toLayers());
    const { missing, unused } = await fromTorch(readFileSync(join(folder, `${fileOf(name)}.pt`)), again);
    expect([missing, unused]).toEqual([[], []]);
    for (const parameter of network.parameters)
      expect(again.weight(parameter.name)).toEqual(model.weight(parameter.name));
    expect(await again.predict(inputs[0].data)).toEqual(await model.predict(inputs[0].data));
  });
});

test("two inputs and two outputs", async (context) => {
  skipWhere(!PYTHON, WITHOUT_TORCH, context);
  const { label, age } = await two.predict(ofTwo);
  expect(farthest(results.two.label.data, label)).toBeLessThanOrEqual(1e-5);
  expect(farthest(results.two.age.data, age)).toBeLessThanOrEqual(1e-5);
});

test.each(TRAINED)("%s trains in PyTorch as here: 50 losses", async (name) => {
  if (!PYTHON) return console.warn(`skipped: ${WITHOUT_TORCH}`);
  const model = withoutDropout(name);
  const step = trainStep(model, { loss: "crossEntropy", optimizer: sgd({ learningRate: 0.05, momentum: 0.9 }) });
  const losses: number[] = [];
  for (let i = 0; i < 50; i++) losses.push((await step({ x: tried.get(name)!.inputs[0].data, y: targets })).loss);
  expect(farthest(losses, results[fileOf(`train ${name}`)].losses!)).toBeLessThanOrEqual(1e-4);
});

test.each(REFUSED)("%s, which PyTorch has not, is refused by name", (_, model) => {
  expect(() => toTorch(model)).toThrow(
    /PyTorch has nothing for \S+ \((masking|unembedding|lastSeason|attention to another|gru|simpleRnn)/,
  );
});
