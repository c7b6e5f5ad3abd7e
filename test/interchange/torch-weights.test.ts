/**
 * Weights of PyTorch in networks of ours: they predict what they predicted there, and train with the same losses, step by step. The files
 * are written by PyTorch itself, where it is installed (weights-from-torch.py).
 */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  activation,
  batchNorm,
  bidirectional,
  branches,
  chain,
  conv1d,
  conv2d,
  conv2dTranspose,
  dense,
  depthwiseConv2d,
  embedding,
  flatten,
  globalAveragePool1d,
  globalAveragePool2d,
  gru,
  type Layer,
  layerNorm,
  lstm,
  positions,
  type RecurrentOptions,
  reshape,
  residual,
  sequential,
  sgd,
  simpleRnn,
  trainStep,
  transformerBlock,
} from "chainrule";
import { type FromTorchOptions, fromTorch } from "chainrule/interchange";
import { beforeAll, describe, expect, test } from "vitest";
import { skipWhere } from "../support/skip.ts";

const PYTHON = ["python3", "/usr/bin/python3"].find((python) => spawnSync(python, ["-c", "import torch"]).status === 0);
const WITHOUT_TORCH = "python3 has no PyTorch; Debian's package is python3-torch.";

interface Case {
  readonly shape: readonly number[];
  readonly x: readonly number[];
  readonly y: readonly number[];
  readonly predicted: readonly number[];
  readonly losses: readonly number[];
}

const same = { padding: 1, bias: false } as const;
const basic = (filters: number, stride = 1): Layer[] => [
  conv2d(filters, 3, { ...same, stride }),
  batchNorm(),
  activation("relu"),
  conv2d(filters, 3, same),
  batchNorm(),
];
const recurrent = (
  kind: (units: number, options?: RecurrentOptions) => Layer,
  options: RecurrentOptions = {},
): Layer[] => [
  bidirectional(kind(4, { sequences: true, ...options })),
  bidirectional(kind(4, { sequences: true, ...options })),
  kind(6, options),
  dense(4),
];
const encoder = (options: Pick<Parameters<typeof transformerBlock>[0], "placement" | "activation">): Layer[] => {
  const block = () => transformerBlock({ width: 8, heads: 2, hidden: 16, ...options });
  return [embedding(12, 8), positions(), block(), block(), globalAveragePool1d(), dense(4)];
};

const NETWORKS: Record<
  string,
  { readonly input: number[]; readonly layers: Layer[]; readonly options?: FromTorchOptions }
> = {
  mlp: {
    input: [6],
    layers: [dense(16, { activation: "tanh" }), dense(16, { activation: "gelu" }), dense(16), dense(4)],
  },
  residual: {
    input: [6, 8, 3],
    layers: [
      conv2d(6, 3, { padding: 1 }),
      batchNorm(),
      activation("relu"),
      residual(basic(6)),
      activation("relu"),
      residual(basic(8, 2), { projection: chain([conv2d(8, 1, { stride: 2, bias: false }), batchNorm()]) }),
      activation("relu"),
      flatten(),
      dense(10),
      batchNorm(),
      activation("relu"),
      dense(4),
    ],
  },
  flattened: {
    input: [5, 4, 2],
    layers: [
      branches([
        chain([conv2d(3, 2), flatten(), batchNorm()]),
        chain([conv2d(4, 3, { padding: 1 }), flatten(), layerNorm()]),
      ]),
      dense(4),
    ],
  },
  generator: {
    input: [5],
    layers: [
      dense(24),
      batchNorm(),
      activation("tanh"),
      reshape([3, 2, 4]),
      conv2dTranspose(6, 3, { stride: 2, padding: 1, outputPadding: 1, groups: 2, activation: "tanh" }),
      depthwiseConv2d(3, { multiplier: 2, padding: 1, activation: "tanh" }),
      globalAveragePool2d(),
      dense(4),
    ],
  },
  words: {
    input: [7],
    layers: [embedding(11, 6), layerNorm(), conv1d(5, 3, { padding: 1, activation: "tanh" }), flatten(), dense(4)],
  },
  rnn: { input: [6, 5], layers: recurrent(simpleRnn) },
  lstm: { input: [6, 5], layers: recurrent(lstm) },
  gru: { input: [6, 5], layers: recurrent(gru) },
  "without biases": { input: [6, 5], layers: recurrent(lstm, { bias: false }) },
  encoder: { input: [6], layers: encoder({ placement: "post", activation: "relu" }) },
  "gpt-2": {
    input: [6],
    layers: (() => {
      const block = () => transformerBlock({ width: 8, heads: 2, activation: "geluTanh", causal: true });
      return [embedding(12, 8), positions(), block(), block(), layerNorm(), globalAveragePool1d(), dense(4)];
    })(),
    options: { matrices: "io", ignore: (name) => name.endsWith(".attn.bias") },
  },
  "encoder, norms first": { input: [6], layers: encoder({ placement: "pre", activation: "gelu" }) },
};

let folder = "";
beforeAll(() => {
  if (!PYTHON) return;
  folder = mkdtempSync(join(tmpdir(), "chainrule-weights-"));
  execFileSync(PYTHON, [join(import.meta.dirname, "weights-from-torch.py"), folder], { stdio: "ignore" });
}, 60_000);

/** Images [B, C, H, W] with their channels last. */
function asOurs({ x, shape }: Case): Float32Array {
  if (shape.length !== 4) return Float32Array.from(x);
  const [, c, h, w] = shape;
  return Float32Array.from({ length: x.length }, (_, i) => {
    const [image, pixel, channel] = [Math.floor(i / (h * w * c)), Math.floor(i / c) % (h * w), i % c];
    return x[(image * c + channel) * h * w + pixel];
  });
}

const farthest = (actual: ArrayLike<number>, wanted: readonly number[]): number => {
  expect(actual.length).toBe(wanted.length);
  return Math.max(...wanted.map((value, i) => Math.abs(actual[i] - value)));
};

describe.each(Object.entries(NETWORKS))("%s", (name, { input, layers, options }) => {
  const read = async () => {
    const one = JSON.parse(readFileSync(join(folder, `${name}.json`), "utf8")) as Case;
    const model = sequential({ input }, layers);
    const report = await fromTorch(readFileSync(join(folder, `${name}.pt`)), model, options);
    return { one, model, report, x: asOurs(one) };
  };

  test("predicts what PyTorch predicts", async (context) => {
    skipWhere(!PYTHON, WITHOUT_TORCH, context);
    const { one, model, report, x } = await read();
    expect(report.rows.map(({ parameter }) => parameter)).toEqual(model.network.parameters.map((each) => each.name));
    expect([report.missing, report.unused]).toEqual([[], []]);
    expect(farthest(await model.predict(x), one.predicted)).toBeLessThanOrEqual(1e-5);
  });

  test("trains as in PyTorch: 50 losses", async (context) => {
    skipWhere(!PYTHON, WITHOUT_TORCH, context);
    const { one, model, x } = await read();
    const step = trainStep(model, { loss: "crossEntropy", optimizer: sgd({ learningRate: 0.05, momentum: 0.9 }) });
    const losses: number[] = [];
    for (let i = 0; i < 50; i++) losses.push((await step({ x, y: one.y })).loss);
    expect(farthest(losses, one.losses)).toBeLessThanOrEqual(1e-4);
  });
});
