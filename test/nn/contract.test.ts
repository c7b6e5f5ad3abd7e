/**
 * The contract that every kind of layer keeps: shapes, save and load bit by bit, a right gradient for every parameter
 * and for the input, batches that do not mix their rows, inference without chance, and bad shapes named.
 */
import {
  activation,
  averagePool1d,
  averagePool2d,
  batchNorm,
  block,
  branches,
  chain,
  conv1d,
  conv2d,
  conv2dTranspose,
  dense,
  depthwiseConv2d,
  dropout,
  embedding,
  flatten,
  fromBytes,
  globalAveragePool1d,
  globalAveragePool2d,
  globalMaxPool1d,
  globalMaxPool2d,
  type Layer,
  layerNorm,
  maxPool1d,
  maxPool2d,
  merge,
  Network,
  normalize,
  RandomStream,
  reference,
  rescale,
  reshape,
  residual,
  ShapeError,
  sequential,
  spatialDropout,
  trainStep,
  upsampling2d,
  zeroPadding2d,
} from "chainrule";
import { describe, expect, test } from "vitest";
import { constant, input, variable } from "../../src/graph/leaf.ts";
import { type Shape, sizeOf } from "../../src/graph/shape.ts";
import { layerKinds } from "../../src/nn/layer.ts";
import { add, gradientsOf, mul, sum } from "../../src/ops/index.ts";
import { makePlan } from "../../src/plan/plan.ts";
import { checkElement, chooseElements } from "../../src/train/gradcheck.ts";

interface Case {
  readonly layer: Layer;
  readonly input: Shape;
  readonly output: Shape;
  /** A shape that it cannot take, where there is one. */
  readonly bad?: Shape;
  /** Whole numbers below this as input, instead of any numbers. */
  readonly below?: number;
}

const image = [6, 5, 4];
const notImage = { input: image, bad: [7] };
const CASES: Readonly<Record<string, readonly Case[]>> = {
  dense: [
    { layer: dense(3), input: [5], output: [3], bad: [5, 2] },
    { layer: dense(3, { activation: "gelu", bias: 0.1, l1: 0.01, l2: 0.1 }), input: [5], output: [3], bad: [] },
    { layer: dense(3, { activation: "softmax", bias: false }), input: [5], output: [3], bad: [5, 2] },
  ],
  activation: [
    { layer: activation("mish"), input: [4, 3], output: [4, 3] },
    { layer: activation("softmax"), input: [4, 3], output: [4, 3] },
  ],
  dropout: [{ layer: dropout(0.4), input: [9], output: [9] }],
  spatialDropout: [{ layer: spatialDropout(0.4), input: image, output: image }],
  flatten: [{ layer: flatten(), input: image, output: [120] }],
  reshape: [{ layer: reshape([2, -1]), input: image, output: [2, 60], bad: [3] }],
  rescale: [{ layer: rescale(0.5), input: image, output: image }],
  normalize: [{ layer: normalize({ mean: [1, 2], deviation: [2, 0.5] }), input: [3, 2], output: [3, 2], bad: [3] }],
  batchNorm: [
    { layer: batchNorm(), input: [5], output: [5], bad: [] },
    { layer: batchNorm({ momentum: 0.5, epsilon: 1e-3 }), input: image, output: image, bad: [] },
  ],
  layerNorm: [
    { layer: layerNorm(), input: [5], output: [5], bad: [] },
    { layer: layerNorm(), input: [3, 6], output: [3, 6], bad: [] },
  ],
  embedding: [{ layer: embedding(7, 3), input: [4], output: [4, 3], below: 7 }],
  conv2d: [
    { layer: conv2d(3, 3), ...notImage, output: [4, 3, 3] },
    {
      layer: conv2d(6, [3, 2], { padding: "same", stride: 2, groups: 2, activation: "tanh", l2: 0.1 }),
      ...notImage,
      output: [3, 3, 6],
      bad: [6, 5, 3],
    },
    { layer: conv2d(2, 2, { dilation: 2, padding: 1, bias: false }), ...notImage, output: [6, 5, 2], bad: [7] },
  ],
  depthwiseConv2d: [
    {
      layer: depthwiseConv2d(3, { multiplier: 2, padding: "same", activation: "relu" }),
      ...notImage,
      output: [6, 5, 8],
    },
    { layer: depthwiseConv2d(3), ...notImage, output: [4, 3, 4] },
  ],
  conv1d: [
    { layer: conv1d(3, 4, { padding: "same", activation: "silu" }), input: [9, 2], output: [9, 3], bad: [9] },
    { layer: conv1d(4, 3, { stride: 2, groups: 2 }), input: [9, 2], output: [4, 4], bad: [9, 3] },
  ],
  conv2dTranspose: [
    { layer: conv2dTranspose(3, 2, { stride: 2, activation: "elu" }), ...notImage, output: [12, 10, 3] },
    { layer: conv2dTranspose(2, 3, { stride: 2, padding: "same" }), ...notImage, output: [12, 10, 2] },
    { layer: conv2dTranspose(6, 3, { groups: 2 }), ...notImage, output: [8, 7, 6], bad: [6, 5, 3] },
  ],
  maxPool2d: [
    { layer: maxPool2d(), ...notImage, output: [3, 2, 4] },
    { layer: maxPool2d(3, { stride: 1, padding: "same" }), ...notImage, output: image },
  ],
  averagePool2d: [{ layer: averagePool2d([2, 1], { padding: "same" }), ...notImage, output: [3, 5, 4] }],
  maxPool1d: [
    { layer: maxPool1d(), input: [9, 3], output: [4, 3], bad: [9] },
    { layer: maxPool1d(3, { stride: 1, padding: "same" }), input: [9, 3], output: [9, 3], bad: image },
  ],
  averagePool1d: [{ layer: averagePool1d(4, { stride: 3, padding: [1, 2] }), input: [9, 3], output: [3, 3], bad: [9] }],
  globalAveragePool1d: [{ layer: globalAveragePool1d(), input: [9, 3], output: [3], bad: [9] }],
  globalMaxPool1d: [{ layer: globalMaxPool1d(), input: [9, 3], output: [3], bad: [9] }],
  globalAveragePool2d: [{ layer: globalAveragePool2d(), ...notImage, output: [4] }],
  globalMaxPool2d: [{ layer: globalMaxPool2d(), ...notImage, output: [4] }],
  zeroPadding2d: [
    {
      layer: zeroPadding2d([
        [1, 0],
        [2, 1],
      ]),
      ...notImage,
      output: [7, 8, 4],
    },
  ],
  upsampling2d: [{ layer: upsampling2d([2, 1]), ...notImage, output: [12, 5, 4] }],
  chain: [{ layer: chain([dense(4, { activation: "tanh" }), dense(2)]), input: [3], output: [2], bad: [3, 2] }],
  residual: [
    { layer: residual([dense(5, { activation: "tanh" }), dense(3)]), input: [3], output: [3], bad: [4] },
    {
      layer: residual([conv2d(6, 3, { padding: "same", bias: false }), batchNorm()], { projection: conv2d(6, 1) }),
      ...notImage,
      output: [6, 5, 6],
    },
  ],
  branches: [
    {
      layer: branches([dense(2), chain([dense(3, { activation: "relu" }), dense(4)])]),
      input: [3],
      output: [6],
      bad: [],
    },
    {
      layer: branches([dense(2), dense(2, { activation: "sigmoid" })], { merge: "multiply" }),
      input: [3],
      output: [2],
      bad: [],
    },
  ],
  block: [
    {
      // The same layer twice: y = W(Wx) + x.
      layer: block((x) => {
        const shared = dense(3);
        return merge("add", x.to(shared).to(shared), x);
      }),
      input: [3],
      output: [3],
      bad: [4],
    },
  ],
  merge: [
    { layer: block((x) => merge("average", x.to(dense(2)), x.to(dense(2)), x.to(dense(2)))), input: [3], output: [2] },
    { layer: block((x) => merge("maximum", x.to(dense(2)), x.to(dense(2)))), input: [3], output: [2] },
    { layer: block((x) => merge("concat", x, x.to(dense(2)))), input: [3], output: [5] },
  ],
};

test("every kind of layer keeps the contract", () => {
  expect(layerKinds().filter((kind) => !(kind in CASES))).toEqual([]);
});

const numbers = (shape: Shape, name: string, below?: number): Float64Array => {
  const stream = new RandomStream(5, name);
  // Multiples of 2⁻¹², so that single precision holds them too.
  const draw = () =>
    below === undefined ? Math.round((4 * stream.uniform() - 2) * 4096) / 4096 : stream.integer(below);
  return Float64Array.from({ length: sizeOf(shape) }, draw);
};

/** A model of the layer alone, whose parameters and states are all random; variances stay positive. */
function modelOf({ layer, input: shape }: Case, backend?: ReturnType<typeof reference>) {
  const model = sequential({ input: shape, seed: 3, ...(backend && { backend }) }, [layer]);
  for (const { name, node } of model.network.parameters) {
    const values = numbers(node.shape, name);
    model.setWeight(
      name,
      Float32Array.from(values, (v) => (name.endsWith("variance") || name.endsWith("deviation") ? v * v + 0.5 : v)),
    );
  }
  return model;
}

describe.each(Object.entries(CASES).flatMap(([kind, cases]) => cases.map((c, i) => [`${kind} ${i + 1}`, c] as const)))(
  "%s",
  (_, c) => {
    test("has the shape it says, and predictions of it", async () => {
      const model = modelOf(c);
      expect(model.network.outputShape).toEqual(c.output);
      expect((await model.predict(numbers([3, ...c.input], "x", c.below))).length).toBe(3 * sizeOf(c.output));
      expect(model.summary()).toContain(model.network.layers[0].name);
    });

    test("comes back from its file bit by bit", async () => {
      const model = modelOf(c);
      const again = fromBytes(model.toBytes());
      expect(Buffer.compare(model.toBytes(), again.toBytes())).toBe(0);
      const x = numbers([3, ...c.input], "x", c.below);
      expect(await again.predict(x)).toEqual(await model.predict(x));
    });

    test("has gradients, for every parameter and the input, that equal finite differences", () => {
      const network = new Network(c.input, 3, [c.layer]);
      const count = 3;
      const x = variable("x", [count, ...c.input]);
      const step = input("step", [], "int");
      const { output, penalty } = network.apply(x, { training: true, step });
      // Every element of the output counts differently.
      const weighted = sum(mul(output, constant(numbers(output.shape, "weights"), output.shape)));
      const loss = penalty ? add(weighted, penalty) : weighted;
      const trainable = network.parameters.filter((parameter) => parameter.trainable);
      const wrt = [...trainable.map(({ node }) => node), ...(c.below === undefined ? [x] : [])];
      const session = reference("float64").open();
      const values = new Map(
        [...network.parameters.map(({ node, name }) => [node, name] as const), [x, "x"] as const].map(
          ([node, name]) => [node, numbers(node.shape, name, node === x ? c.below : undefined)],
        ),
      );
      for (const [node, array] of values) session.write(node, array);
      const forward = session.compile(makePlan({ inputs: [step], outputs: [loss] }));
      const gradients = session
        .compile(makePlan({ inputs: [step], outputs: gradientsOf(loss, wrt) }))
        .run([Int32Array.of(4)]).outputs;
      for (const [i, node] of wrt.entries()) {
        const array = values.get(node)!;
        const lossAt = () => {
          session.write(node, array);
          return forward.run([Int32Array.of(4)]).outputs[0][0];
        };
        const label = node === x ? "x" : trainable[i].name;
        expect(
          gradients[i].some((g) => g !== 0),
          `${label} has a gradient`,
        ).toBe(true);
        for (const place of chooseElements(array.length, 12, label)) {
          const { error } = checkElement(lossAt, array, place, gradients[i][place]);
          expect(error, `${label}[${place}]`).toBeLessThanOrEqual(1e-6);
        }
        session.write(node, array);
      }
    });

    test("gives a batch of N what it gives N single rows, and the same each time", async () => {
      const model = modelOf(c);
      const x = numbers([5, ...c.input], "x", c.below);
      const together = await model.predict(x);
      expect(await model.predict(x)).toEqual(together);
      const size = sizeOf(c.input);
      const singles = await Promise.all(
        [0, 1, 2, 3, 4].map((i) => model.predict(x.subarray(i * size, (i + 1) * size))),
      );
      expect([...together]).toEqual(singles.flatMap((row) => [...row]));
    });

    const { bad } = c;
    if (!bad) return;
    test("names itself when the shape is wrong", () => {
      const build = () => new Network(bad, 0, [c.layer]);
      expect(build).toThrow(ShapeError);
      expect(build).toThrow(/^Layer [\w.]+: /);
    });
  },
);

test.each(Object.keys(CASES))("%s takes bytes as the numbers that they are, wherever rows come in", async (kind) => {
  for (const { layer, input, below = 256 } of CASES[kind]) {
    const stream = new RandomStream(9, kind);
    const bytes = Uint8Array.from({ length: 6 * sizeOf(input) }, () => stream.integer(below));
    const results = [bytes, Float32Array.from(bytes)].map(async (x) => {
      const model = sequential({ input, seed: 3 }, [layer, flatten(), dense(2)]);
      const y = Int32Array.of(0, 1, 0, 1, 0, 1);
      const { loss } = await trainStep(model, { loss: "crossEntropy" })({ x, y });
      const all = Object.entries(await model.intermediates(x)).map(([name, { data }]) => [name, ...data]);
      return [loss, ...(await model.predict(x)), ...all, ...(await model.classify(x)).classes];
    });
    expect(await results[0]).toEqual(await results[1]);
  }
});
