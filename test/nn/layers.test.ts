/** Layers against PyTorch's: values, gradients, running statistics; then what layers share: names, freezing, penalties. */
import {
  add,
  averagePool1d,
  averagePool2d,
  batchNorm,
  block,
  conv1d,
  conv2d,
  conv2dTranspose,
  defineLayer,
  dense,
  dropout,
  embedding,
  flatten,
  fromBytes,
  functional,
  globalAveragePool1d,
  globalAveragePool2d,
  globalMaxPool1d,
  globalMaxPool2d,
  type Layer,
  layerNorm,
  maxPool1d,
  maxPool2d,
  merge,
  mul,
  Network,
  RandomStream,
  residual,
  sequential,
  sgd,
  spatialDropout,
  trainStep,
} from "chainrule";
import { describe, expect, test } from "vitest";
import { reference } from "../../src/backends/reference/reference.ts";
import { input } from "../../src/graph/leaf.ts";
import { gradientsOf, sum } from "../../src/ops/index.ts";
import { makePlan } from "../../src/plan/plan.ts";
import { circle } from "../support/data.ts";
import { fixture, relativeError, type Stored } from "../support/fixtures.ts";

interface Case {
  readonly layer: string;
  readonly options: Record<string, never>;
  readonly x?: Stored;
  readonly indices?: Stored;
  readonly y: Stored;
  readonly dy: Stored;
  readonly dx?: Stored;
  readonly [name: string]: unknown;
}

type Maker = (options: Record<string, never>) => Layer;
const MAKERS: Record<string, Maker> = {
  conv2d: ({ filters, size, ...options }) => conv2d(filters, size, options),
  conv1d: ({ filters, size, ...options }) => conv1d(filters, size, options),
  convTranspose2d: ({ filters, size, ...options }) => conv2dTranspose(filters, size, options),
  maxPool2d: ({ size, ...options }) => maxPool2d(size, options),
  avgPool2d: ({ size, stride, padding }) => averagePool2d(size, { stride, padding }),
  globalAvgPool2d: () => globalAveragePool2d(),
  globalMaxPool2d: () => globalMaxPool2d(),
  batchNorm: ({ epsilon, momentum }) => batchNorm({ epsilon, momentum }),
  layerNorm: (options) => layerNorm(options),
  embedding: ({ vocabulary, units }) => embedding(vocabulary, units),
};

test("pooling along sequences, and transposed convolution in groups, equal PyTorch's", async () => {
  const s = [1, 5, 2, 4, 3, 9, 0];
  const of = async (layer: Layer, shape: number[], x: number[], w?: number[]) => {
    const model = sequential({ input: shape }, [layer]);
    if (w) model.setWeight(model.network.parameters[0].name, w);
    return [...(await model.predict([x]))];
  };
  // max_pool1d(s, 3, stride=2); avg_pool1d(s, 2); avg_pool1d(s, 3, stride=2, padding=1, count_include_pad=False)
  expect(await of(maxPool1d(3, { stride: 2 }), [7, 1], s)).toEqual([5, 4, 9]);
  expect(await of(averagePool1d(), [7, 1], s)).toEqual([3, 3, 6]);
  const padded = await of(averagePool1d(3, { stride: 2, padding: 1 }), [7, 1], s);
  expect(relativeError(padded, [3, 11 / 3, 16 / 3, 4.5])).toBeLessThan(1e-6);
  expect(await of(globalMaxPool1d(), [7, 1], s)).toEqual([9]);
  expect(relativeError(await of(globalAveragePool1d(), [7, 1], s), [24 / 7])).toBeLessThan(1e-6);
  // conv_transpose2d(x, w, groups=2) of 1 × 2 images with 4 channels, moved to channels last.
  const layer = conv2dTranspose(2, 2, { groups: 2, bias: false });
  const x = [0.125, 0.375, 0.625, 0.875, 0.25, 0.5, 0.75, 1];
  const w = [-7, -3, 1, 5, -6, -2, 2, 6, -5, -1, 3, 7, -4, 0, 4, 8].map((v) => v / 8);
  expect(await of(layer, [1, 2, 4], x, w)).toEqual([
    -0.25, 0.625, -0.59375, 1.53125, -0.3125, 0.9375, -0.125, 1, -0.28125, 2.34375, -0.125, 1.375,
  ]);
});

// Cells of the padding do not count in our averages.
const cases = fixture<{ cases: Case[] }>("layers").cases.filter(({ options }) => !options.countPadding);

describe.each(cases.map((c, i) => [`${c.layer} ${i + 1}`, c] as const))("%s", (_, c) => {
  test("equals PyTorch's value, gradients and running statistics", () => {
    const given = (c.x ?? c.indices)!;
    const network = new Network(given.shape.slice(1), 0, [MAKERS[c.layer](c.options)]);
    const x = input("x", given.shape);
    const { output, updates } = network.apply(x, { training: (c.options.training as unknown) !== false });
    const dy = input("dy", output.shape);
    const names = Object.keys(c).filter((key) => `d${key}` in c && key !== "y");
    const parameter = (name: string) => network.parameters.find((p) => p.name.endsWith(`.${name}`))!.node;
    const wrt = names.map((name) => (name === "x" ? x : parameter(name)));
    const session = reference("float64").open();
    for (const { name, node } of network.parameters) {
      const own = name.slice(name.indexOf(".") + 1);
      const key = own === "mean" ? "runningMeanBefore" : own === "variance" ? "runningVarianceBefore" : own;
      const stored = c[key] as Stored | number[];
      session.write(node, Array.isArray(stored) ? stored : (stored as Stored).data);
    }
    const outputs = [output, ...gradientsOf(sum(mul(output, dy)), wrt)];
    const plan = makePlan({ inputs: [x, dy], outputs, updates });
    const results = session.compile(plan).run([Float64Array.from(given.data), Float64Array.from(c.dy.data)]).outputs;
    expect(output.shape).toEqual(c.y.shape);
    expect(relativeError(results[0], c.y.data, 1)).toBeLessThan(1e-9);
    for (const [i, name] of names.entries()) {
      expect(relativeError(results[i + 1], (c[`d${name}`] as Stored).data, 1), `d${name}`).toBeLessThan(1e-9);
    }
    if (c.layer === "batchNorm") {
      expect(relativeError(session.read(parameter("mean")), c.runningMeanAfter as number[], 1)).toBeLessThan(1e-9);
      expect(relativeError(session.read(parameter("variance")), c.runningVarianceAfter as number[], 1)).toBeLessThan(
        1e-9,
      );
    }
  });
});

test("batch normalisation of the textbook: rows −1.224743, 0, 1.224743", () => {
  const network = new Network([2], 0, [batchNorm()]);
  const x = input("x", [3, 2]);
  const session = reference("float64").open();
  for (const { node, init } of network.parameters) session.write(node, init(node.shape, new RandomStream(0, "")));
  const plan = makePlan({ inputs: [x], outputs: [network.apply(x, { training: true }).output] });
  const [y] = session.compile(plan).run([Float64Array.of(1, 2, 3, 4, 5, 6)]).outputs;
  expect([...y].map((v) => Number(v.toFixed(6)))).toEqual([-1.224743, -1.224743, 0, 0, 1.224743, 1.224743]);
});

test("dropout keeps its share and the mean; spatial dropout drops whole channels", async () => {
  const maskOf = (layer: Layer, shape: number[]) => {
    const network = new Network(shape.slice(1), 1, [layer]);
    const [x, step] = [input("x", shape), input("step", [], "int")];
    const plan = makePlan({ inputs: [x, step], outputs: [network.apply(x, { training: true, step }).output] });
    const ones = new Float64Array(shape.reduce((a, b) => a * b)).fill(1);
    return reference("float64")
      .open()
      .compile(plan)
      .run([ones, Int32Array.of(7)]).outputs[0];
  };
  const plain = maskOf(dropout(0.25), [100, 100]);
  const kept = plain.filter((v) => v !== 0);
  expect(kept.every((v) => Math.abs(v - 4 / 3) < 1e-12)).toBe(true);
  expect(kept.length / plain.length).toBeCloseTo(0.75, 1);
  const spatial = maskOf(spatialDropout(0.5), [4, 3, 3, 8]);
  for (let b = 0; b < 4; b++) {
    for (let c = 0; c < 8; c++) {
      const channel = new Set(Array.from({ length: 9 }, (_, i) => spatial[(b * 9 + i) * 8 + c]));
      expect(channel.size).toBe(1);
    }
  }
  expect(new Set(spatial).size).toBe(2);
});

test("names: kind and number, or one's own, and the way inside composites", () => {
  const model = sequential({ input: [4] }, [
    dense(4),
    residual([dense(8, { name: "wide" }), dense(4)]),
    residual([dense(3)], { projection: dense(3, { bias: false }) }),
    dense(2, { name: "logits" }),
  ]);
  expect(model.network.parameters.map(({ name }) => name)).toEqual([
    "dense_1.kernel",
    "dense_1.bias",
    "residual_1.wide.kernel",
    "residual_1.wide.bias",
    "residual_1.dense_2.kernel",
    "residual_1.dense_2.bias",
    "residual_2.dense_1.kernel",
    "residual_2.dense_1.bias",
    "residual_2.projection.kernel",
    "logits.kernel",
    "logits.bias",
  ]);
  expect(model.summary()).toMatch(/residual_1 .*\n {2}wide /);
  const twice = () => sequential({ input: [4] }, [dense(2, { name: "a" }), dense(2, { name: "a" })]);
  expect(twice).toThrow(/"a"/);
  expect(() => sequential({ input: [4] }, [dense(2, { name: "a.b" })])).toThrow(/without dots/);
  expect(() => sequential({ input: [4] }, [dense(2, { name: 5 as never })])).toThrow(/5 came/);
});

test("mistakes inside composites name the inner layer", () => {
  const build = () => sequential({ input: [4] }, [residual([dense(4), conv2d(3, 3)])]);
  expect(build).toThrow(/^Layer residual_1\.conv2d_1: conv2d takes images/);
  const unequal = () => sequential({ input: [4] }, [residual([dense(5)])]);
  expect(unequal).toThrow(
    /^Layer residual_1\.merge_1: add needs values of one shape; \[4\] and \[5\] came.*projection/,
  );
});

test("y = x + f(x)", async () => {
  const model = sequential({ input: [2] }, [residual([dense(2)])]);
  model.setWeight("residual_1.dense_1.kernel", [
    [2, 0],
    [0, 3],
  ]);
  expect([...(await model.predict([[1, 1]]))]).toEqual([3, 4]);
});

test("the functional form shares parameters, trains, and comes back from its file", async () => {
  const model = functional({ input: [2], seed: 2 }, (x) => {
    const shared = dense(2, { activation: "tanh", name: "shared" });
    const h = x.to(shared).to(shared);
    return merge("concat", h, x).to(dense(2));
  });
  expect(model.network.parameters.map(({ name }) => name)).toEqual([
    "shared.kernel",
    "shared.bias",
    "dense_2.kernel",
    "dense_2.bias",
  ]);
  const data = circle(60);
  const before = model.weight("shared.kernel");
  const history = await model.fit(data, { loss: "crossEntropy", epochs: 3, batchSize: 8 });
  expect(history[2].loss).toBeLessThan(history[0].loss);
  expect(model.weight("shared.kernel")).not.toEqual(before);
  const again = fromBytes(model.toBytes());
  expect(await again.predict(data.x)).toEqual(await model.predict(data.x));
  expect(Buffer.compare(again.toBytes(), model.toBytes())).toBe(0);
});

test("a shared layer's gradient is the sum over its uses", async () => {
  // y = w (w x): ∂y/∂w = 2 w x.
  const model = functional({ input: [1] }, (x) => {
    const shared = dense(1, { bias: false });
    return x.to(shared).to(shared);
  });
  model.setWeight("dense_1.kernel", [3]);
  const step = trainStep(model, {
    loss: (y, t) => sum(mul(y, add(t, 1)), 1),
    optimizer: sgd({ learningRate: 0.001 }),
    gradients: true,
  });
  const { gradients } = await step({ x: [[2]], y: [[0]] });
  expect(gradients["dense_1.kernel"][0]).toBeCloseTo(12, 4);
});

test("mistakes of the functional form are named", () => {
  const build = (f: Parameters<typeof functional>[1]) => () => functional({ input: [2] }, f);
  expect(build((x) => x)).toThrow(/needs a layer/);
  expect(build(() => 3 as never)).toThrow(/return a value that it made from its argument/);
  expect(build((x) => merge("sum" as never, x, x))).toThrow(/"sum".*add, average/);
  expect(build((x) => x.to(dense(2), x))).toThrow(/Layer dense_1: it takes one input, but is applied to 2/);
  const shared = dense(3);
  expect(build((x) => x.to(shared).to(shared))).toThrow(/Layer dense_1: it is used again on an input of shape \[3\]/);
  let other: Parameters<Parameters<typeof functional>[1]>[0];
  functional({ input: [2] }, (x) => {
    other = x;
    return x.to(dense(1));
  });
  expect(build((x) => merge("add", x, other))).toThrow(/two different networks/);
});

test("a frozen layer keeps its parameters and states, and stays frozen in the file", async () => {
  const layers = [dense(4, { trainable: false }), batchNorm(), residual([dense(4)]), dense(2)];
  const model = sequential({ input: [2], seed: 1 }, layers);
  model.freeze("batchNorm_1", "residual_1.dense_1");
  const before = new Map(model.network.parameters.map(({ name }) => [name, model.weight(name)]));
  const data = circle(40);
  await model.fit(data, { loss: "crossEntropy", epochs: 2 });
  const changed = (m: typeof model) =>
    m.network.parameters
      .map(({ name }) => name)
      .filter(
        (name) => Buffer.compare(Buffer.from(m.weight(name).buffer), Buffer.from(before.get(name)!.buffer)) !== 0,
      );
  expect(changed(model)).toEqual(["dense_2.kernel", "dense_2.bias"]);

  const again = fromBytes(model.toBytes());
  await again.fit(data, { loss: "crossEntropy", epochs: 1 });
  expect(changed(again)).toEqual(["dense_2.kernel", "dense_2.bias"]);
  again.unfreeze("dense_1");
  await again.fit(data, { loss: "crossEntropy", epochs: 1 });
  expect(changed(again)).toEqual(["dense_1.kernel", "dense_1.bias", "dense_2.kernel", "dense_2.bias"]);
  expect(() => model.freeze("dense_9")).toThrow(/no layer called "dense_9".*residual_1\.dense_1/);
});

test("l1 and l2 add λ₁ Σ|w| + λ₂ Σw² to the loss, in training and evaluation", async () => {
  const model = sequential({ input: [2] }, [dense(1, { l1: 0.1, l2: 0.01, bias: false })]);
  model.setWeight("dense_1.kernel", [3, -4]);
  const data = {
    x: [
      [0, 0],
      [0, 0],
      [0, 0],
    ],
    y: [[0], [0], [0]],
  };
  const { loss } = await model.evaluate(data, { loss: "mse" });
  expect(loss).toBeCloseTo(0.7 + 0.25, 6);
  const step = trainStep(model, { loss: "mse", optimizer: sgd(), gradients: true });
  const result = await step(data);
  expect(result.loss).toBeCloseTo(0.95, 6);
  // λ₁ sign w + 2 λ₂ w
  expect(relativeError(result.gradients["dense_1.kernel"], [0.16, -0.18])).toBeLessThan(1e-6);
});

test("embeddings learn from whole numbers and refuse others", async () => {
  const model = sequential({ input: [2], seed: 1 }, [embedding(5, 3), flatten(), dense(2)]);
  const x = [
    [0, 4],
    [1, 3],
    [2, 2],
    [3, 0],
  ];
  await model.fit({ x, y: [0, 1, 0, 1] }, { loss: "crossEntropy", epochs: 200, batchSize: 2 });
  expect([...(await model.classify(x)).classes]).toEqual([0, 1, 0, 1]);
  expect([...(await model.classify(Uint8Array.from(x.flat()))).classes]).toEqual([0, 1, 0, 1]);
  await expect(model.predict([[0, 5]])).rejects.toThrow(/x, row 1, column 2 is 5.*0 to 4/);
  await expect(model.fit({ x: [[0.5, 1]], y: [0] }, { loss: "crossEntropy" })).rejects.toThrow(
    /row 1, column 1 is 0.5/,
  );
});

test("a batch normalisation that is used twice keeps statistics of both uses", () => {
  const shared = batchNorm({ momentum: 0.5 });
  const network = new Network([1], 0, [
    block((x) => merge("add", x.to(shared), x.to(dense(1, { init: 0, bias: 10 })).to(shared))),
  ]);
  const x = input("x", [2, 1]);
  const { updates } = network.apply(x, { training: true });
  const session = reference("float64").open();
  for (const { node, init } of network.parameters) session.write(node, init(node.shape, new RandomStream(0, "")));
  session.compile(makePlan({ inputs: [x], outputs: [], updates })).run([Float64Array.of(3, 5)]);
  const mean = updates.find(({ variable }) =>
    network.parameters.some((p) => p.node === variable && p.name.endsWith("mean")),
  )!;
  // 0 → 0.5 · 0 + 0.5 · 4 = 2 → 0.5 · 2 + 0.5 · 10 = 6
  expect(session.read(mean.variable)[0]).toBeCloseTo(6, 12);
});

test("a layer of one's own", async () => {
  const scale = defineLayer<{ by: number }>("scale", {
    parameters: (_, shape) => [{ name: "offset", shape, init: () => Float32Array.of(1, 2) }],
    apply: ({ by }, { x, parameter }) => add(mul(x, by), parameter("offset")),
  });
  const model = sequential({ input: [2] }, [scale({ by: 3 })]);
  expect([...(await model.predict([[1, 1]]))]).toEqual([4, 5]);
});
