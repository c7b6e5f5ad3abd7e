/**
 * Models as ONNX files, computed by ONNX Runtime: every kind of layer, and networks put together at random. Each file
 * also comes back as a model that predicts the same.
 */
import {
  activation,
  averagePool2d,
  batchNorm,
  conv1d,
  conv2d,
  conv2dTranspose,
  dense,
  dropout,
  flatten,
  globalAveragePool2d,
  type Layer,
  layerNorm,
  type Model,
  maxPool2d,
  RandomStream,
  residual,
  sequential,
  upsampling2d,
} from "chainrule";
import { fromOnnx, toOnnx } from "chainrule/interchange";
import { describe, expect, test } from "vitest";
import { type Shape, sizeOf } from "../../src/graph/shape.ts";
import { LAYER_CASES } from "../support/layer-cases.ts";
import { onnxRuntime, WITHOUT_RUNTIME } from "../support/onnx-runtime.ts";
import { skipWhere } from "../support/skip.ts";

const run = await onnxRuntime();

/** Inputs, and parameters that are not those of the beginning: running statistics too. */
function given(model: Model, rows: number, below: number | undefined, name: string): Float32Array {
  const stream = new RandomStream(3, name);
  for (const { name: own, node } of model.network.parameters) {
    const isVariance = own.endsWith("variance");
    model.setWeight(
      own,
      Float32Array.from({ length: sizeOf(node.shape) }, () => (isVariance ? 0.5 : -0.5) + stream.uniform()),
    );
  }
  const size = rows * sizeOf(model.inputShape);
  return Float32Array.from({ length: size }, () =>
    below === undefined ? 2 * stream.uniform() - 1 : stream.integer(below),
  );
}

/** The largest difference, against the size of what is wanted. */
function farthest(actual: ArrayLike<number>, wanted: ArrayLike<number>): number {
  expect(actual.length).toBe(wanted.length);
  const scale = Math.max(1, ...Array.from(wanted, Math.abs));
  return Math.max(...Array.from(wanted, (value, i) => Math.abs(actual[i] - value) / scale));
}

async function compare(model: Model, x: Float32Array, opsets: readonly number[]): Promise<void> {
  const wanted = (await model.predict(x)) as Float32Array;
  const rows = x.length / sizeOf(model.inputShape);
  for (const opset of opsets) {
    const bytes = toOnnx(model, { opset });
    const computed = await run!(bytes, x, [rows, ...model.inputShape]);
    expect(farthest(computed, wanted)).toBeLessThanOrEqual(1e-5);
    const again = fromOnnx(bytes, { channelsLast: false });
    expect(farthest((await again.predict(x)) as Float32Array, wanted)).toBeLessThanOrEqual(1e-5);
    again.session.close();
  }
}

describe("every kind of layer computes the same in ONNX Runtime", () => {
  for (const [kind, cases] of Object.entries(LAYER_CASES))
    for (const [i, { layer, input, below }] of cases.entries())
      test(`${kind} ${i}`, async (context) => {
        skipWhere(!run, WITHOUT_RUNTIME, context);
        const model = sequential({ input }, [layer]);
        await compare(model, given(model, 3, below, `${kind}${i}`), [13, 18, 20]);
      });
});

/** Layers drawn at random that fit one after the other. */
function drawn(stream: RandomStream): { input: Shape; layers: Layer[] } {
  const pick = <T>(list: readonly T[]): T => list[stream.integer(list.length)];
  const activations = [
    "relu",
    "tanh",
    "sigmoid",
    "gelu",
    "silu",
    "elu",
    "softplus",
    "mish",
    "selu",
    "linear",
    "leakyRelu",
  ];
  const layers: Layer[] = [];
  const kind = stream.integer(3);
  if (kind === 0) {
    for (let i = 0; i <= stream.integer(4); i++) {
      layers.push(dense(1 + stream.integer(9), { activation: pick(activations) }));
      if (stream.uniform() < 0.3) layers.push(pick([batchNorm(), layerNorm(), dropout(0.3)]));
    }
    layers.push(dense(3, { activation: pick(["linear", "softmax"]) }));
    return { input: [1 + stream.integer(7)], layers };
  }
  if (kind === 1) {
    layers.push(conv1d(2 + stream.integer(4), 1 + stream.integer(3), { padding: pick(["same", "valid"] as const) }));
    layers.push(activation(pick(activations)), flatten(), dense(3));
    return { input: [7, 2], layers };
  }
  for (let i = 0; i <= stream.integer(2); i++) {
    const channels = 2 + stream.integer(4);
    layers.push(conv2d(channels, 3, { padding: "same", activation: pick(activations), stride: pick([1, 1, 2]) }));
    if (stream.uniform() < 0.4) layers.push(residual([conv2d(channels, 3, { padding: "same" }), batchNorm()]));
    if (stream.uniform() < 0.4)
      layers.push(
        pick([
          maxPool2d(2, { padding: "same" }),
          averagePool2d(2, { padding: "same" }),
          upsampling2d(2),
          conv2dTranspose(2, 3, { stride: 2, padding: "same" }),
        ]),
      );
  }
  layers.push(pick([flatten(), globalAveragePool2d()]), dense(2));
  return { input: [9, 8, 2], layers };
}

const COUNT = Number(process.env.CHAINRULE_ONNX_NETWORKS ?? 40);

test(`${COUNT} networks drawn at random compute the same in ONNX Runtime`, { timeout: 600_000 }, async (context) => {
  skipWhere(!run, WITHOUT_RUNTIME, context);
  for (let i = 0; i < COUNT; i++) {
    const { input, layers } = drawn(new RandomStream(i, "networks"));
    const model = sequential({ input, seed: i }, layers);
    await compare(model, given(model, 4, undefined, `network ${i}`), [18]);
    model.session.close();
  }
});
