/** What explain says of a step, and of what does not exist; that its data are plain. */
import {
  ArgumentError,
  activation,
  adam,
  batchNorm,
  conv2d,
  defineActivation,
  dense,
  elementwise,
  flatten,
  maxPool2d,
  mul,
  neg,
  RandomStream,
  s,
  sequential,
  tanh,
  trainStep,
} from "chainrule";
import { explain } from "chainrule/explain";
import { beforeAll, describe, expect, test } from "vitest";

const stream = new RandomStream(11, "explanation");
const images = Array.from({ length: 4 }, () =>
  Array.from({ length: 6 }, () => Array.from({ length: 6 }, () => [stream.normal()])),
);
const imageNet = sequential({ input: [6, 6, 1], seed: 2 }, [
  conv2d(3, 3),
  batchNorm(),
  activation("relu"),
  maxPool2d(2),
  flatten(),
  dense(3),
]);
let step: Awaited<ReturnType<typeof explain>>;
beforeAll(async () => {
  step = await explain(imageNet, { x: images, y: [0, 1, 2, 1] }, { loss: "crossEntropy", optimizer: adam() });
});

test("the description is plain: JSON gives it back as it is", () => {
  const description = step.toJSON();
  expect(JSON.parse(JSON.stringify(description))).toEqual(description);
  expect(JSON.parse(JSON.stringify(step.ops()))).toEqual(step.ops());
});

test("ops are told in the words of their files, and users' ops in their own", async () => {
  const cubed = elementwise("cubedInWords", {
    forward: (x) => s.mul(x, s.mul(x, x)),
    backward: ({ inputs: [x], dy }) => [mul(dy, mul(3, mul(x, x)))],
    explain: { forward: "a = z³", derivative: "∂a/∂z = 3z²" },
  });
  const silent = elementwise("silent", { forward: (x) => s.neg(x), backward: ({ dy }) => [neg(dy)] });
  defineActivation("cubedInWords", (z) => tanh(silent(cubed(z))));
  const model = sequential({ input: [1] }, [dense(1, { activation: "cubedInWords" })]);
  const ops = (await explain(model, { x: [[1]], y: [1] }, { loss: "mse" })).ops();
  const words = (name: string) => ops.find(({ op }) => op === name)!.words;
  expect(words("tanh")).toEqual({ forward: "a = tanh z", derivative: "∂a/∂z = 1 − a²" });
  expect(words("cubedInWords")).toEqual({ forward: "a = z³", derivative: "∂a/∂z = 3z²" });
  expect(words("silent")).toBeUndefined();
});

test("explaining changes nothing, and what it shows is what a real step then does", async () => {
  const model = sequential({ input: [3], seed: 4 }, [dense(4, { activation: "tanh" }), dense(2)]);
  const batch = {
    x: [
      [1, 2, 3],
      [0, -1, 1],
    ],
    y: [0, 1],
  };
  const before = model.toBytes();
  const { update } = await explain(model, batch, { loss: "crossEntropy", optimizer: adam() });
  expect(model.toBytes()).toEqual(before);
  await trainStep(model, { loss: "crossEntropy", optimizer: adam() })(batch);
  for (const { parameter, after } of update) {
    for (const [i, value] of model.weight(parameter).entries()) expect(after.values![i]).toBeCloseTo(value, 7);
  }
});

test("a convolution's unit has its window and its filter, and z is their products' sum", () => {
  const [z] = step.unit("conv2d_1", [2, 1, 0], { sample: 1, terms: 20 }).steps;
  const { shape, input, filter } = z.patch!;
  expect(shape).toEqual([3, 3, 1]);
  expect(input).toEqual([0, 1, 2].flatMap((i) => [0, 1, 2].map((j) => Math.fround(images[1][2 + i][1 + j][0]))));
  const bias = z.contributions!.find(({ weight }) => weight.name === "conv2d_1.bias");
  expect(input.reduce((sum, x, i) => sum + x * filter[i], bias?.product ?? 0)).toBeCloseTo(z.element.value, 12);
});

test("batch normalisation names mean, variance and x̂; pooling its winner", () => {
  const { steps } = step.unit("batchNorm_1", [0, 0, 1]);
  expect(steps.map(({ element }) => element.name)).toEqual([
    "batchNorm_1.batchMean",
    "batchNorm_1.batchVariance",
    "batchNorm_1.normalized",
    "batchNorm_1",
  ]);
  expect(steps[3].contributions!.map(({ weight }) => weight.name).sort()).toEqual([
    "batchNorm_1.beta",
    "batchNorm_1.gamma",
  ]);
  const pooled = step.unit("maxPool2d_1", [1, 1, 2]).steps[0];
  expect(pooled.shares).toHaveLength(1);
  expect(pooled.shares![0]).toMatchObject({ derivative: 1, input: { value: pooled.element.value } });
});

test("softmax-cross-entropy's derivative is p − y", () => {
  const { derivative, operands } = step.loss;
  const [p, y] = operands.map(({ values }) => values!);
  expect(operands.map(({ name }) => name)).toEqual(["softmax(dense_1.z)", "oneHot(target)"]);
  for (const [i, d] of derivative!.values!.entries()) expect(d).toBeCloseTo((p[i] - y[i]) / 4, 12);
});

test("followed all the way, a gradient ends at the loss", () => {
  let sum = step.weight("conv2d_1.kernel", [0, 0, 0, 0], { terms: 2, follow: Number.POSITIVE_INFINITY }).chain;
  const names: string[] = [];
  while (sum.terms[0].origin) {
    expect(Math.abs(sum.total - sum.gradient)).toBeLessThan(1e-12);
    names.push(sum.of.name);
    sum = sum.terms[0].origin;
  }
  expect(names[0]).toBe("conv2d_1.kernel");
  expect(sum.terms[0].through.name).toBe("loss");
});

test("every step of the plan is there once, with memory and multiply-adds", () => {
  const plan = step.plan();
  expect(plan.computedOnce).toBe(true);
  expect(plan.steps.find(({ ops }) => ops.includes("conv2d"))!.multiplyAdds).toBe(4 * 4 * 4 * 9 * 3);
  expect(plan.bytes).toBeGreaterThan(0);
});

describe("what does not exist is said, with what does", () => {
  test.each<[string, () => unknown, string]>([
    ["layer", () => step.unit("dense_7", 0), 'There is no layer "dense_7". This model has conv2d_1, batchNorm_1,'],
    ["unit", () => step.unit("dense_1", 3), "Layer dense_1 has no unit [3]: its units are 0 to 2."],
    ["place", () => step.unit("conv2d_1", 3), "its units are [0, 0, 0] to [3, 3, 2]."],
    [
      "sample",
      () => step.unit("dense_1", 0, { sample: 4 }),
      "There is no sample 4 in this batch: its samples are 0 to 3.",
    ],
    ["weight", () => step.weight("dense_1.weights", [0, 0]), "This model has conv2d_1.kernel [3, 3, 1, 3],"],
    ["element", () => step.weight("dense_1.kernel", [12, 0]), "its elements are [0, 0] to [11, 2]."],
    ["op", () => step.opValues(9999), "There is no op 9999: the ops of this step are 0 to"],
  ])("%s", (_, ask, message) => {
    expect(ask).toThrow(message);
    expect(ask).toThrow(ArgumentError);
  });

  test("loss, step, state", async () => {
    const batch = { x: images, y: [0, 1, 2, 1] };
    await expect(explain(imageNet, batch)).rejects.toThrow("A loss must be named");
    await expect(explain(imageNet, batch, { loss: "crossEntropy", step: 0 })).rejects.toThrow(
      "step must be a whole number ≥ 1",
    );
    const wrong = explain(imageNet, batch, { loss: "crossEntropy", state: { "m.dense_9.kernel": [1] } });
    await expect(wrong).rejects.toThrow('The optimiser keeps no array "m.dense_9.kernel". It has m.conv2d_1.kernel,');
    const short = explain(imageNet, batch, { loss: "crossEntropy", state: { "m.dense_1.bias": [1] } });
    await expect(short).rejects.toThrow("has shape [3], 3 values; 1 came");
  });
});

test("dead and saturated units are named", async () => {
  const model = sequential({ input: [1] }, [dense(3, { activation: "relu" }), dense(2, { activation: "tanh" })]);
  model.setWeight("dense_1.kernel", [[1, -1, -2]]);
  model.setWeight("dense_2.kernel", [
    [100, 0.1],
    [1, 1],
    [1, 1],
  ]);
  const { forward } = await explain(
    model,
    {
      x: [[1], [2]],
      y: [
        [0, 0],
        [0, 0],
      ],
    },
    { loss: "meanSquaredError" },
  );
  expect(forward.flatMap(({ notes }) => notes)).toMatchObject([
    { kind: "dead", layer: "dense_1", units: [1, 2], message: expect.stringContaining("are dead for all 2 samples") },
    { kind: "saturated", layer: "dense_2", units: [0] },
  ]);
});
