/**
 * Planted failures: each is stopped with the right error or warned of under the right name, and the message says what to
 * try. Then gradcheck, on models that are right and on one that is not.
 */
import {
  activation,
  adam,
  batchNorm,
  conv2d,
  type Data,
  defineActivation,
  defineLayer,
  dense,
  div,
  dropout,
  elementwise,
  embedding,
  exp,
  type FitOptions,
  flatten,
  gradcheck,
  health,
  type Layer,
  log,
  maxPool2d,
  mean,
  mul,
  normalize,
  type ops,
  RandomStream,
  residual,
  s,
  sequential,
  sgd,
  sqrt,
  sub,
  type Warning,
} from "chainrule";
import { describe, expect, test } from "vitest";
import { checkElement } from "../../src/train/gradcheck.ts";
import { circle } from "../support/data.ts";

type Node = ReturnType<typeof ops.add>;

const net = (layers: readonly Layer[] = [dense(16, { activation: "relu" }), dense(2)], input = [2]) =>
  sequential({ input, seed: 1 }, layers);
const fitting: FitOptions = { loss: "crossEntropy", epochs: 3, batchSize: 16 };

async function warningsOf(
  model: ReturnType<typeof net>,
  data: Data,
  options: Partial<FitOptions> = {},
): Promise<Warning[]> {
  const warnings: Warning[] = [];
  await model.fit(data, { ...fitting, ...options, onWarning: (warning) => void warnings.push(warning) });
  return warnings;
}

const data = circle(80);
const points = data.x;
/** Three bands of the plane that a small network learns easily. */
const bands = { x: points, y: points.map(([a]) => (a < -0.4 ? 0 : a < 0.4 ? 1 : 2)) };
const replaced = (row: number, value: number) => points.map((point, i) => (i === row ? [point[0], value] : point));

describe("planted failures that stop the run", () => {
  test.each<[string, () => PromiseLike<unknown>, RegExp]>([
    [
      "1. much too large a learning rate",
      () => net().fit(data, { ...fitting, optimizer: sgd({ learningRate: 3e38 }) }),
      /step \d+ \(epoch \d+\).*(dense_\d|loss).*learning rate/,
    ],
    [
      "2. a division by zero in an own loss",
      () =>
        net([dense(2)]).fit(
          { x: points, y: points.map(() => [0, 1]) },
          { ...fitting, loss: (y: Node, t: Node) => mean(div(sub(y, t), t), 1) },
        ),
      /step 1 .*loss\.div.*division by 0/,
    ],
    [
      "3. the logarithm of 0 in an own loss",
      () =>
        net([dense(2, { activation: "relu", bias: -9 })]).fit(
          { x: points, y: points.map(() => [0, 1]) },
          { ...fitting, loss: (y: Node) => mean(log(y), 1) },
        ),
      /step 1 .*loss\.log.*logarithm of 0/,
    ],
    [
      "4. the square root of a negative number in an own layer",
      () =>
        net([defineLayer<object>("badRoot", { apply: (_, { x }) => sqrt(sub(x, 5)) })({}), dense(2)]).fit(
          data,
          fitting,
        ),
      /step 1 .*badRoot_1\.sqrt.*square root of a negative/,
    ],
    [
      "5. an activation that overflows",
      () => {
        defineActivation("cubedExp", (z) => exp(mul(200, exp(z))));
        return net([dense(8, { activation: "cubedExp" }), dense(2)]).fit(data, fitting);
      },
      /step 1 .*dense_1/,
    ],
    [
      "6. NaN in row 17",
      () => net().fit({ ...data, x: replaced(16, Number.NaN) }, fitting),
      /x, row 17, column 2 is NaN/,
    ],
    [
      "7. infinity in the data",
      () => net().fit({ ...data, x: replaced(3, Number.POSITIVE_INFINITY) }, fitting),
      /x, row 4, column 2 is Infinity/,
    ],
    [
      "8. labels that count from 1",
      () => net().fit({ ...data, y: data.y.map((label) => label + 1) }, fitting),
      /y, row \d+ is 2; class numbers from 0 to 1.*Count classes from 0/,
    ],
    [
      "9. a label that is no whole number",
      () => net().fit({ ...data, y: data.y.map((label) => label / 2) }, fitting),
      /y, row \d+ is 0\.5/,
    ],
    ["10. fewer labels than rows", () => net().fit({ ...data, y: data.y.slice(1) }, fitting), /79 values for 80 rows/],
    [
      "11. rows of another length",
      () => net().fit({ ...data, x: points.map((point, i) => (i === 5 ? [...point, 1] : point)) }, fitting),
      /row 6 has 3 values; 2 are wanted: its shape is \[2\]/,
    ],
    [
      "12. one output for a loss over classes",
      () => net([dense(1)]).fit({ ...data, y: data.y.map(() => [1]) }, fitting),
      /one logit per class.*binaryCrossEntropy/,
    ],
    [
      "13. a word that the vocabulary lacks",
      () => net([embedding(10, 4), flatten(), dense(2)]).fit({ x: points.map(() => [3, 10]), y: data.y }, fitting),
      /x, row 1, column 2 is 10.*0 to 9/,
    ],
  ])("%s", async (_, run, message) => {
    await expect(run()).rejects.toThrow(message);
  });
});

describe("planted failures that are warned of", () => {
  test.each<[string, () => Promise<Warning[]>, Warning["kind"], string, RegExp]>([
    [
      "14. dead ReLUs",
      () => warningsOf(net([dense(16, { activation: "relu", bias: -50 }), dense(2)]), data),
      "deadUnits",
      "dense_1",
      /16 of the 16 units of dense_1 give 0 for all 80 rows.*leakyRelu/,
    ],
    [
      "15. all weights begin at 0",
      () => warningsOf(net([dense(8, { activation: "tanh", init: 0 }), dense(2, { init: 0 })]), data),
      "deadUnits",
      "dense_1",
      /give 0 for all 80 rows/,
    ],
    [
      "16. saturated activations",
      () => warningsOf(net([dense(16, { activation: "tanh", init: "random(60)" }), dense(2)]), data),
      "saturatedActivation",
      "dense_1",
      /% of the values of dense_1.*tanh.*glorotUniform/,
    ],
    [
      "17. vanishing gradients",
      () => warningsOf(net([...Array.from({ length: 8 }, () => dense(8, { activation: "sigmoid" })), dense(2)]), data),
      "vanishingGradient",
      "dense_1.kernel",
      /dense_1\.kernel.*relu.*residual/,
    ],
    [
      "18. exploding gradients",
      () =>
        warningsOf(
          net([...Array.from({ length: 8 }, () => dense(32, { activation: "relu", init: "random(1)" })), dense(2)]),
          data,
          { optimizer: sgd({ learningRate: 1e-12 }) },
        ),
      "explodingGradient",
      "",
      /clip/,
    ],
    [
      "19. targets that were not scaled",
      () =>
        warningsOf(
          net([dense(8, { activation: "relu" }), dense(1)]),
          { x: points, y: points.map(([a]) => [1e6 * a]) },
          { loss: "mse", optimizer: sgd({ learningRate: 1e-14 }) },
        ),
      "explodingGradient",
      "",
      /Scale inputs and targets/,
    ],
    [
      "20. a constant feature",
      () => warningsOf(net(undefined, [3]), { x: points.map(([a, b]) => [a, 4, b]), y: data.y }),
      "constantFeature",
      "column 2",
      /x has the same value in all 80 rows of column 2\./,
    ],
    [
      "21. inputs that were not scaled",
      () => warningsOf(net(), { x: points.map(([a, b]) => [a, 5000 * b]), y: data.y }),
      "unscaledInput",
      "column 2",
      /column 2.*normalize/,
    ],
    [
      "22. pixels that were not scaled",
      () =>
        warningsOf(net([flatten(), dense(2)], [2, 1, 1]), {
          x: Uint8Array.from(points.flat(), (v) => 127 + 120 * v),
          y: data.y,
        }),
      "unscaledInput",
      "x",
      /x reaches 2\d\d.*rescale\(1\/2\d\d\)/,
    ],
    [
      "23. a sigmoid before a loss that does softmax itself",
      () => warningsOf(net([dense(2, { activation: "sigmoid" })]), data),
      "doubleActivation",
      "dense_1",
      /ends in sigmoid.*logits/,
    ],
    [
      "24. a hard sigmoid before a loss that does a sigmoid itself",
      () =>
        warningsOf(
          net([dense(1), activation("hardSigmoid")]),
          { x: points, y: data.y },
          { loss: "binaryCrossEntropy" },
        ),
      "doubleActivation",
      "activation_1",
      /ends in hardSigmoid/,
    ],
    [
      "25. labels shifted by one row against the inputs",
      () =>
        warningsOf(
          net([dense(16, { activation: "relu" }), dense(3)]),
          { x: bands.x, y: [...bands.y.slice(1), bands.y[0]] },
          { epochs: 25 },
        ),
      "notLearning",
      "loss",
      /inputs and targets belong together/,
    ],
    [
      "26. much too small a learning rate",
      () =>
        warningsOf(net([dense(16, { activation: "relu" }), dense(3)]), bands, {
          epochs: 25,
          optimizer: adam({ learningRate: 1e-9 }),
        }),
      "notLearning",
      "loss",
      /findLearningRate/,
    ],
  ])("%s", async (_, run, kind, where, message) => {
    const found = (await run()).filter((warning) => warning.kind === kind);
    expect(found.map((warning) => warning.where)).toContainEqual(expect.stringContaining(where));
    expect(found.find((warning) => warning.where.includes(where))!.message).toMatch(message);
  });

  test("nothing is said of networks that learn, and each thing once", async () => {
    const healthy = net([
      dense(32, { activation: "relu" }),
      batchNorm(),
      dense(16, { activation: "tanh" }),
      dropout(0.1),
      dense(3),
    ]);
    expect(await warningsOf(healthy, bands, { epochs: 30, optimizer: adam({ learningRate: 0.01 }) })).toEqual([]);
    const statistics = { mean: [0, 0], deviation: [1, 3000] };
    const scaled = net([normalize(statistics), dense(16, { activation: "relu" }), dense(3)]);
    const large = { x: points.map(([a, b]) => [a, 5000 * b]), y: bands.y };
    expect(await warningsOf(scaled, large, { epochs: 20, optimizer: adam({ learningRate: 0.01 }) })).toEqual([]);
    const dead = await warningsOf(net([dense(16, { activation: "relu", bias: -50 }), dense(2)]), data, { epochs: 6 });
    expect(dead.filter(({ kind }) => kind === "deadUnits").length).toBe(1);
  });

  test("looking changes no bit of the run", async () => {
    const [watched, alone] = [net(), net()];
    await watched.fit(data, { ...fitting, onWarning: () => {} });
    await alone.fit(data, fitting);
    expect(Buffer.compare(watched.toBytes(), alone.toBytes())).toBe(0);
  });

  test("health looks at any model", async () => {
    const model = net([dense(16, { activation: "relu", bias: -50 }), dense(2)]);
    expect((await health(model, data, { loss: "crossEntropy" })).map(({ kind }) => kind)).toEqual(["deadUnits"]);
  });
});

describe("gradcheck", () => {
  test("passes what is right: convolution, normalisation, residual, dropout, penalties, kinks", async () => {
    const stream = new RandomStream(2, "gradcheck");
    const model = sequential({ input: [6, 6, 1], seed: 2 }, [
      conv2d(4, 3, { activation: "relu", l2: 0.01 }),
      batchNorm(),
      maxPool2d(2),
      residual([conv2d(4, 1, { activation: "gelu" })]),
      flatten(),
      dropout(0.3),
      dense(3),
    ]);
    const batch = { x: Array.from({ length: 4 * 36 }, () => stream.normal()), y: [0, 1, 2, 1] };
    const report = await gradcheck(model, batch, { loss: "crossEntropy" });
    expect(`${report}`).toContain("All gradients agree");
    expect(report.passed).toBe(true);
    expect(report.parameters.map(({ parameter }) => parameter)).toEqual(
      model.network.parameters.filter((p) => p.trainable).map((p) => p.name),
    );
    expect(report.worst!.error).toBeLessThanOrEqual(1e-6);
    // All of conv2d_1's 36 elements, if so many are asked for.
    const all = await gradcheck(model, batch, { loss: "crossEntropy", elements: 1000 });
    expect(all.parameters[0].checked).toBe(36);
  });

  test("a ReLU exactly at its kink is one side's slope, and said so", async () => {
    const model = net([dense(2, { activation: "relu", bias: 0 }), dense(2)]);
    const report = await gradcheck(
      model,
      {
        x: [
          [0, 0],
          [1, 1],
        ],
        y: [0, 1],
      },
      { loss: "crossEntropy" },
    );
    expect(report.passed).toBe(true);
    expect(report.parameters.find(({ parameter }) => parameter === "dense_1.bias")!.kinks).toBeGreaterThan(0);
    expect(`${report}`).toMatch(/dense_1\.bias: 2 elements, \d at a kink/);
  });

  test("a smooth curve within the step, and what rounding hides, are no kinks and prove nothing", () => {
    const check = (lossAt: (w: number) => number, w: number, gradient: number) => {
      const values = Float64Array.of(w);
      return checkElement(() => lossAt(values[0]), values, 0, gradient);
    };
    const steep = (w: number) => Math.tanh(1e7 * w);
    for (const w of [0, 2e-7])
      expect(check(steep, w, 1e7 * (1 - steep(w) ** 2))).toMatchObject({ kink: false, unmeasured: true });
    // At 1e7 the loss is a multiple of 1.9e-9: over 2e-5 its slope is known to 1e-4, at best.
    expect(check((w) => 1e7 + w, 0, 1 + 0.005)).toMatchObject({ kink: false, unmeasured: true });
    expect(check((w) => Math.abs(w), 0, 1)).toMatchObject({ error: 0, kink: true, unmeasured: false });
    expect(check((w) => w * w, 1, 3)).toMatchObject({ kink: false, unmeasured: false });
  });

  test("finds an own op whose backward is wrong, and names the worst weight", async () => {
    const wrongSquare = elementwise("wrongSquare", {
      forward: (x) => s.mul(x, x),
      backward: ({ inputs: [x], dy }) => [mul(dy, mul(3, x))],
    });
    defineActivation("wrongSquare", (z) => wrongSquare(z));
    const model = net([dense(4, { activation: "wrongSquare" }), dense(2)]);
    const report = await gradcheck(model, data, { loss: "crossEntropy" });
    expect(report.passed).toBe(false);
    expect(report.worst).toMatchObject({ parameter: expect.stringMatching(/^dense_1\./) });
    expect(`${report}`).toMatch(/WRONG dense_1\.kernel: 8 elements; worst \[\d, \d\]: gradient .*finite difference/);
    expect(`${report}`).toMatch(/ok {4}dense_2\.kernel/);
    expect(`${report}`).toMatch(/not the derivative of the loss/);
  });
});
