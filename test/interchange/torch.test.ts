/**
 * Networks of PyTorch by way of ONNX: they predict what they predicted there, and train with the same losses, step by
 * step. The files are written by PyTorch itself, where it is installed.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fromBytes, type Model, sgd, trainStep } from "chainrule";
import { fromOnnx, toOnnx } from "chainrule/interchange";
import { beforeAll, describe, expect, test } from "vitest";
import { onnxRuntime, WITHOUT_RUNTIME } from "../support/onnx-runtime.ts";
import { skipWhere } from "../support/skip.ts";

const PYTHON = ["python3", "/usr/bin/python3"].find((python) => spawnSync(python, ["-c", "import torch"]).status === 0);
const WITHOUT_TORCH = "python3 has no PyTorch; Debian's package is python3-torch.";
const NETWORKS = ["mlp", "residual", "depthwise", "lstm", "gru", "rnn", "encoder", "words"];

interface Case {
  readonly shape: readonly number[];
  readonly x: readonly number[];
  readonly y: readonly number[];
  readonly predicted: readonly number[];
  readonly losses: readonly number[];
}

let folder = "";
beforeAll(() => {
  if (!PYTHON) return;
  folder = mkdtempSync(join(tmpdir(), "chainrule-torch-"));
  execFileSync(PYTHON, [join(import.meta.dirname, "export-from-torch.py"), folder], { stdio: "ignore" });
});

/** Images [B, C, H, W] with their channels last, where the model takes them so. */
function asGiven({ x, shape }: Case, model: Model): Float32Array {
  const [, c, h, w] = shape;
  if (shape.length !== 4 || model.inputShape[2] !== c) return Float32Array.from(x);
  return Float32Array.from({ length: x.length }, (_, i) => {
    const [image, pixel, channel] = [Math.floor(i / (h * w * c)), Math.floor(i / c) % (h * w), i % c];
    return x[(image * c + channel) * h * w + pixel];
  });
}

const farthest = (actual: ArrayLike<number>, wanted: readonly number[]): number => {
  expect(actual.length).toBe(wanted.length);
  return Math.max(...wanted.map((value, i) => Math.abs(actual[i] - value)));
};

describe.each(NETWORKS)("%s", (name) => {
  const read = (): { bytes: Uint8Array; one: Case; model: Model; x: Float32Array } => {
    const bytes = readFileSync(join(folder, `${name}.onnx`));
    const one = JSON.parse(readFileSync(join(folder, `${name}.json`), "utf8")) as Case;
    const model = fromOnnx(bytes);
    return { bytes, one, model, x: asGiven(one, model) };
  };

  test("predicts what PyTorch predicts; so does what is saved, and what goes out again", async (context) => {
    skipWhere(!PYTHON, WITHOUT_TORCH, context);
    const { one, model, x } = read();
    expect(farthest((await model.predict(x)) as Float32Array, one.predicted)).toBeLessThanOrEqual(1e-5);
    const again = fromBytes(model.toBytes());
    expect(await again.predict(x)).toEqual(await model.predict(x));
    const back = fromOnnx(toOnnx(model));
    expect(farthest((await back.predict(x)) as Float32Array, one.predicted)).toBeLessThanOrEqual(1e-5);
  });

  test("trains as in PyTorch: 50 losses", async (context) => {
    skipWhere(!PYTHON, WITHOUT_TORCH, context);
    const { one, model, x } = read();
    const step = trainStep(model, { loss: "crossEntropy", optimizer: sgd({ learningRate: 0.05, momentum: 0.9 }) });
    const losses: number[] = [];
    for (let i = 0; i < 50; i++) losses.push((await step({ x, y: one.y })).loss);
    expect(farthest(losses, one.losses)).toBeLessThanOrEqual(1e-4);
  });

  test("trained, it computes the same in ONNX Runtime", async (context) => {
    const run = await onnxRuntime();
    skipWhere(!PYTHON, WITHOUT_TORCH, context);
    skipWhere(!run, WITHOUT_RUNTIME, context);
    const { one, model, x } = read();
    await model.fit({ x, y: one.y }, { loss: "crossEntropy", epochs: 3, batchSize: 4 });
    const wanted = (await model.predict(x)) as Float32Array;
    const computed = await run!(toOnnx(model), x, [one.shape[0], ...model.inputShape]);
    expect(farthest(computed, Array.from(wanted))).toBeLessThanOrEqual(1e-5);
  });
});
