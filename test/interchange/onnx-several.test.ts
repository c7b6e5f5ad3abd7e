/** ONNX files with several inputs and outputs: ours computed by ONNX Runtime, and back again. */
import {
  conv2d,
  dense,
  embedding,
  flatten,
  fromBytes,
  functional,
  type Model,
  merge,
  type Predicted,
  RandomStream,
} from "chainrule";
import { fromOnnx, toOnnx } from "chainrule/interchange";
import { expect, test } from "vitest";
import { namedOnnxRuntime, WITHOUT_RUNTIME } from "../support/onnx-runtime.ts";
import { skipWhere } from "../support/skip.ts";

const run = await namedOnnxRuntime();

const net = () =>
  functional({ input: { image: [5, 4, 2], tokens: [3], tags: [4] }, seed: 6 }, ({ image, tokens, tags }) => {
    const seen = image.to(conv2d(3, 3, { activation: "relu" })).to(flatten());
    const h = merge("concat", seen, tokens.to(embedding(9, 2)).to(flatten()), tags).to(
      dense(8, { activation: "tanh" }),
    );
    return { label: h.to(dense(3, { activation: "softmax" })), age: merge("concat", h, tags).to(dense(1)) };
  });
const stream = new RandomStream(4, "onnx");
const uniform = (length: number) => Float32Array.from({ length }, () => 2 * stream.uniform() - 1);
const ROWS = 6;
const x = {
  image: uniform(ROWS * 40),
  tokens: Float32Array.from({ length: ROWS * 3 }, () => stream.integer(9)),
  tags: uniform(ROWS * 4),
};
const farthest = (actual: ArrayLike<number>, wanted: ArrayLike<number>): number => {
  expect(actual.length).toBe(wanted.length);
  return Math.max(...Array.from(wanted, (value, i) => Math.abs(actual[i] - value)));
};

test("ONNX Runtime computes what we do", async (context) => {
  skipWhere(!run, WITHOUT_RUNTIME, context);
  const model = net();
  const { label, age } = await model.predict(x);
  for (const opset of [13, 18, 22]) {
    const given = {
      image: { data: x.image, shape: [ROWS, 5, 4, 2] },
      tokens: { data: x.tokens, shape: [ROWS, 3] },
      tags: { data: x.tags, shape: [ROWS, 4] },
    };
    const found = await run!(toOnnx(model, { opset }), given);
    expect(Object.keys(found).sort()).toEqual(["age", "label"]);
    expect(farthest(found.label, label)).toBeLessThan(1e-6);
    expect(farthest(found.age, age)).toBeLessThan(2e-6);
  }
});

test("a file comes back as a model of the same names, which trains on, is saved and loaded", async () => {
  const model = net();
  const file = toOnnx(model);
  const again = fromOnnx<Predicted>(file, { channelsLast: false });
  expect(again.network.inputs).toEqual(model.network.inputs);
  expect(again.network.outputs.map(({ name, shape }) => ({ name, shape }))).toEqual([
    { name: "label", shape: [3] },
    { name: "age", shape: [1] },
  ]);
  const wanted = await model.predict(x);
  const same = async (other: Pick<Model<Predicted>, "predict">) => {
    const found = await other.predict(x);
    expect(farthest(found.label, wanted.label)).toBeLessThan(1e-6);
    expect(farthest(found.age, wanted.age)).toBeLessThan(2e-6);
  };
  await same(again);
  await same(fromBytes<Predicted>(again.toBytes()));
  // Its outputs can be chosen: one by its name alone, or a list.
  const age = fromOnnx(file, { output: "age", channelsLast: false });
  expect(farthest(await age.predict(x), wanted.age)).toBeLessThan(2e-6);
  const listed = fromOnnx<Predicted>(file, { output: ["age"], channelsLast: false });
  expect(farthest((await listed.predict(x)).age, wanted.age)).toBeLessThan(2e-6);

  const y = { label: [0, 1, 2, 0, 1, 2], age: uniform(ROWS) };
  const loss = { label: "crossEntropy", age: "meanSquaredError" };
  const before = await again.evaluate({ x, y }, { loss });
  await again.fit({ x, y }, { loss, epochs: 20, onWarning: false });
  const after = await again.evaluate({ x, y });
  expect(after["label.loss"]).toBeLessThan(before["label.loss"]);
  expect(after["age.loss"]).toBeLessThan(before["age.loss"]);
});

test("an input and an output of one name, and an output that is not there, are refused", () => {
  const twice = functional({ input: { a: [2] } }, ({ a }) => ({ a: a.to(dense(1)) }));
  expect(() => toOnnx(twice)).toThrow(/an input and an output are both called a/);
  expect(() => fromOnnx(toOnnx(net()), { output: ["age", "labl"] })).toThrow(/no output "labl"; it has "label", "age"/);
  expect(() => fromOnnx(toOnnx(net()), { input: "image" })).toThrow(/constants: \{ "tokens": … \}/);
});
