/**
 * Whole networks on a GPU: every kind of layer, a convolutional network, a small GPT, and what happens when training
 * breaks, compared with the reference in single precision. On SwiftShader only some kinds of layers; all of them with
 * CHAINRULE_GPU_CASES=1.
 */
import {
  adam,
  type Backend,
  conv2d,
  DivergenceError,
  dense,
  dropout,
  flatten,
  gpt,
  maxPool2d,
  reference,
  sequential,
  sgd,
  trainStep,
} from "chainrule";
import { describe, expect, test } from "vitest";
import { sizeOf } from "../../src/graph/shape.ts";
import { RandomStream } from "../../src/random.ts";
import { findGpu } from "../support/gpu.ts";
import { LAYER_CASES } from "../support/layer-cases.ts";

const { backend, why } = await findGpu();
if (!backend) console.warn(`skipped: ${why}`);

const uniform = (count: number, name: string): Float32Array => {
  const stream = new RandomStream(9, name);
  return Float32Array.from({ length: count }, () => 2 * stream.uniform() - 1);
};

const integers = (count: number, below: number, name: string): Int32Array => {
  const stream = new RandomStream(9, name);
  return Int32Array.from({ length: count }, () => stream.integer(below));
};

/** The largest difference, relative to the largest element. */
function apart(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const scale = Math.max(1e-3, ...Array.from(b, Math.abs));
  return Math.max(0, ...Array.from(b, (value, i) => Math.abs(a[i] - value) / scale));
}

const both = <T>(of: (backend: Backend) => Promise<T>): Promise<T[]> =>
  Promise.all([of(backend!), of(reference("float32"))]);

const kinds = Object.keys(LAYER_CASES);
const some = process.env.CHAINRULE_GPU_CASES
  ? kinds
  : kinds.filter((kind) => ["batchNorm", "layerNorm", "depthwiseConv2d", "embedding"].includes(kind));

describe.skipIf(!backend)("on a GPU", () => {
  test.each(some)("%s trains as in the reference", async (kind) => {
    for (const { layer, input, below } of LAYER_CASES[kind].slice(0, process.env.CHAINRULE_GPU_CASES ? undefined : 1)) {
      const count = 4;
      const size = count * sizeOf(input);
      const x = below === undefined ? uniform(size, kind) : Float32Array.from(integers(size, below, kind));
      const [actual, expected] = await both(async (backend) => {
        const model = sequential({ input, seed: 3, backend }, [layer, flatten(), dense(3)]);
        const step = trainStep(model, {
          loss: "crossEntropy",
          optimizer: sgd({ learningRate: 0.05 }),
          gradients: true,
        });
        const y = integers(count, 3, "y");
        const { loss, gradients } = await step({ x, y });
        const next = await step({ x, y });
        const result = { values: [loss, next.loss], gradients, output: await model.predict(x) };
        model.close();
        return result;
      });
      expect(apart(actual.values, expected.values)).toBeLessThan(1e-5);
      expect(apart(actual.output, expected.output)).toBeLessThan(2e-5);
      for (const [name, gradient] of Object.entries(expected.gradients))
        expect(apart(actual.gradients[name], gradient), name).toBeLessThan(5e-5);
    }
  });

  test("a convolutional network with dropout learns the same, with the same bits each time", async () => {
    const [x, y] = [uniform(48 * 64, "images"), integers(48, 4, "labels")];
    const train = async (backend: Backend) => {
      const model = sequential({ input: [8, 8, 1], seed: 5, backend }, [
        conv2d(6, 3, { activation: "relu", padding: "same" }),
        maxPool2d(2),
        dropout(0.2),
        flatten(),
        dense(4),
      ]);
      const history = await model.fit(
        { x, y },
        {
          loss: "crossEntropy",
          optimizer: adam({ learningRate: 0.01 }),
          epochs: 3,
          batchSize: 16,
          metrics: ["accuracy"],
          onWarning: false,
        },
      );
      const bytes = await model.toBytesAsync();
      model.close();
      return { losses: history.map(({ loss }) => loss), bytes };
    };
    const [actual, expected] = await both(train);
    expect(apart(actual.losses, expected.losses)).toBeLessThan(1e-4);
    expect(Buffer.compare((await train(backend!)).bytes, actual.bytes)).toBe(0);
  });

  test("a small GPT learns the same", async () => {
    const [x, y] = [Float32Array.from(integers(24, 7, "tokens")), integers(24, 7, "next")];
    const [actual, expected] = await both(async (backend) => {
      const model = sequential({ input: [6], seed: 1, backend }, gpt({ vocabulary: 7, width: 8, heads: 2, blocks: 1 }));
      const step = trainStep(model, { loss: "crossEntropy", optimizer: adam() });
      const losses = [];
      for (let i = 0; i < 3; i++) losses.push((await step({ x, y })).loss);
      model.close();
      return losses;
    });
    expect(apart(actual, expected)).toBeLessThan(2e-5);
  });

  test("NaN is named in the same step as in the reference, and the weights from before it stay", async () => {
    const [x, y] = [uniform(64, "x"), integers(16, 2, "y")];
    const [actual, expected] = await both(async (backend) => {
      const model = sequential({ input: [4], seed: 2, backend }, [dense(5), dense(2)]);
      const error = await model
        .fit(
          { x, y },
          { loss: "crossEntropy", optimizer: sgd({ learningRate: 1e20 }), epochs: 4, batchSize: 4, onWarning: false },
        )
        .then(
          () => undefined,
          (error: unknown) => error,
        );
      expect(error).toBeInstanceOf(DivergenceError);
      const weights = await model.weightAsync("dense_2.kernel");
      model.close();
      return { step: (error as DivergenceError).step, finite: weights.every(Number.isFinite) };
    });
    expect(actual).toEqual(expected);
    expect(actual.finite).toBe(true);
  });
});
