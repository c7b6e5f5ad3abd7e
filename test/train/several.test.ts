/** Networks with several inputs and outputs: equal to PyTorch, and everything that a model can do does it with them. */
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  adam,
  type Backend,
  batchNorm,
  type ChainruleError,
  type Data,
  dense,
  dropout,
  earlyStopping,
  embedding,
  type FitOptions,
  findLearningRate,
  flatten,
  fromBytes,
  functional,
  gradcheck,
  health,
  type Layer,
  load,
  merge,
  type Predicted,
  RandomStream,
  reference,
  sequential,
  sgd,
  trainStep,
  wasm,
} from "chainrule";
import { explain, Recorder, reportText, stepReport } from "chainrule/explain";
import { toModule } from "chainrule/interchange";
import { connect, inWorker } from "chainrule/worker";
import { afterAll, describe, expect, test } from "vitest";
import { Host } from "../../src/worker/host.ts";
import { fixture, type Stored } from "../support/fixtures.ts";

type Arrays = Readonly<Record<string, readonly number[]>>;
interface Golden {
  readonly numbers: readonly number[];
  readonly tokens: readonly number[];
  readonly label: readonly number[];
  readonly age: readonly number[];
  readonly weights: readonly number[];
  readonly parameters: Readonly<Record<string, Stored>>;
  readonly outputs: Arrays;
  readonly gradients: Arrays;
  /** Of each step: the whole loss, the label's, the age's. */
  readonly losses: readonly (readonly number[])[];
}
const golden = fixture<Golden>("several");

const farthest = (actual: ArrayLike<number>, wanted: readonly number[]): number => {
  expect(actual.length).toBe(wanted.length);
  return Math.max(...wanted.map((value, i) => Math.abs(actual[i] - value)));
};

/** [O, I] as [I, O]. */
const transposed = ({ shape: [rows] }: Stored, data: readonly number[]): number[] =>
  Array.from({ length: data.length }, (_, i) => data[(i % rows) * (data.length / rows) + Math.floor(i / rows)]);

/** PyTorch's arrays under our names. */
function ours(values: (key: string) => readonly number[]): Record<string, readonly number[]> {
  const linear = (from: string, to: string) => ({
    [`${to}.kernel`]: transposed(golden.parameters[`${from}.weight`], values(`${from}.weight`)),
    [`${to}.bias`]: values(`${from}.bias`),
  });
  return {
    ...linear("shared", "shared"),
    "embedding_1.table": values("table.weight"),
    ...linear("hidden", "hidden"),
    ...linear("label", "label"),
    ...linear("age", "age"),
  };
}

const goldenNet = (backend: Backend) =>
  functional({ input: { numbers: [5], tokens: [3] }, backend }, ({ numbers, tokens }) => {
    const shared = dense(5, { activation: "tanh", name: "shared" });
    const h = merge("concat", numbers.to(shared).to(shared), tokens.to(embedding(7, 4)).to(flatten())).to(
      dense(8, { activation: "tanh", name: "hidden" }),
    );
    return { label: h.to(dense(3, { name: "label" })), age: h.to(dense(2, { name: "age" })) };
  });
const goldenData = {
  x: { numbers: golden.numbers, tokens: golden.tokens },
  y: { label: golden.label, age: golden.age },
  weights: golden.weights,
};
const losses = { label: "crossEntropy", age: { loss: "meanSquaredError", weight: 0.1 } } as const;

describe("two inputs and two outputs equal PyTorch: outputs, gradients, 50 steps (test/fixtures/several.py)", () => {
  test.each([
    ["float64", () => reference("float64"), 1e-9],
    ["the engine", () => wasm(), 1e-5],
  ] as const)("%s", async (_, backend, tolerance) => {
    const model = goldenNet(backend());
    const weights = ours((key) => golden.parameters[key].data);
    expect(model.network.parameters.map(({ name }) => name).sort()).toEqual(Object.keys(weights).sort());
    for (const { name, node } of model.network.parameters) model.session.write(node, Float64Array.from(weights[name]));
    const { label, age } = await model.predict(goldenData);
    // Predictions come in single precision from any backend.
    expect(farthest(label, golden.outputs.label)).toBeLessThanOrEqual(Math.max(tolerance, 3e-7));
    expect(farthest(age, golden.outputs.age)).toBeLessThanOrEqual(Math.max(tolerance, 3e-7));
    const before = await model.evaluate(goldenData, { loss: losses });
    expect(farthest([before.loss, before["label.loss"], before["age.loss"]], golden.losses[0])).toBeLessThanOrEqual(
      Math.max(tolerance, 3e-7),
    );

    const optimizer = sgd({ learningRate: 0.1, momentum: 0.9 });
    const step = trainStep(model, { loss: losses, optimizer, gradients: true });
    const gradients = ours((key) => golden.gradients[key]);
    const seen: number[][] = [];
    for (let i = 0; i < 50; i++) {
      const result = await step(goldenData);
      seen.push([result.loss, result.losses.label, result.losses.age]);
      if (i > 0) continue;
      for (const [name, values] of Object.entries(gradients))
        expect(farthest(result.gradients[name], values), name).toBeLessThanOrEqual(tolerance);
    }
    expect(farthest(seen.flat(), golden.losses.flat())).toBeLessThanOrEqual(tolerance);
    step.free();
  });
});

/** Rows of two inputs, of which the sign of the one and the sum of both decide. */
function rows(count: number, seed = 1) {
  const stream = new RandomStream(seed, "several");
  const image = Float32Array.from({ length: count * 4 }, () => 2 * stream.uniform() - 1);
  const tags = Float32Array.from({ length: count * 3 }, () => 2 * stream.uniform() - 1);
  const label = Int32Array.from({ length: count }, (_, i) => Number(image[4 * i] > 0) + Number(tags[3 * i] > 0));
  const age = Float32Array.from({ length: count }, (_, i) => image[4 * i + 1] + tags[3 * i + 1]);
  return { x: { image, tags }, y: { label, age } };
}
const [data, held] = [rows(96), rows(40, 2)];

const net = (backend?: Backend, ...more: Layer[]) =>
  functional({ input: { image: [2, 2, 1], tags: [3] }, seed: 4, ...(backend && { backend }) }, ({ image, tags }) => {
    const joined = merge("concat", image.to(flatten()), tags).to(dense(16, { activation: "tanh" }));
    const h = more.reduce((value, layer) => value.to(layer), joined);
    return { label: h.to(dense(3)), age: h.to(dense(1)) };
  });
const settings: FitOptions = {
  loss: losses,
  optimizer: adam({ learningRate: 0.02 }),
  batchSize: 8,
  metrics: { label: ["accuracy", "f1"], age: ["meanAbsoluteError", "r2"] },
  epochs: 12,
  validation: held,
};
const bits = (model: { toBytes(): Uint8Array }) => Buffer.from(model.toBytes()).toString("base64");
const file = async () => join(await mkdtemp(join(tmpdir(), "chainrule-")), "run.checkpoint");

test("it learns; the whole loss is the weighted sum of the outputs' losses, everywhere", async () => {
  const model = net();
  const told: number[] = [];
  const history = await model.fit(rows(256, 5), {
    ...settings,
    epochs: 40,
    onProgress: ({ scores }) => told.push(scores["label.loss"]),
  });
  for (const { loss, validation, ...own } of history) {
    expect(loss).toBeCloseTo(own["label.loss"] + 0.1 * own["age.loss"], 5);
    expect(validation!.loss).toBeCloseTo(validation!["label.loss"] + 0.1 * validation!["age.loss"], 5);
  }
  expect(told.at(-1)).toBe(history.at(-1)!["label.loss"]);
  const last = history.at(-1)!;
  expect(last.validation!["label.accuracy"]).toBeGreaterThan(0.85);
  expect(last.validation!["age.r2"]).toBeGreaterThan(0.8);
  expect(history.toCsv().split("\n")[0]).toContain("validation.label.accuracy");
  expect(history.chart({ metric: "age.loss" })).toContain("age.loss");
  // By hand, from what it predicts.
  const { label, age } = await model.predict(held.x);
  const right = held.y.label.reduce((sum, c, i) => {
    const own = [...label.subarray(3 * i, 3 * i + 3)];
    return sum + Number(own.indexOf(Math.max(...own)) === c);
  }, 0);
  const off = held.y.age.reduce((sum, value, i) => sum + Math.abs(age[i] - value), 0);
  const scores = await model.evaluate(held, { metrics: { label: ["accuracy"], age: ["meanAbsoluteError"] } });
  expect(scores["label.accuracy"]).toBeCloseTo(right / 40, 6);
  expect(scores["age.meanAbsoluteError"]).toBeCloseTo(off / 40, 5);
  const { classes, probabilities } = await model.classify(held, "label");
  expect(classes.filter((c, i) => c === held.y.label[i]).length).toBe(right);
  expect(probabilities.length).toBe(120);
  expect((await model.intermediates(held)).dense_2.shape).toEqual([40, 3]);
});

test("saved and loaded it is the same, with its losses, and so is a worker's", async () => {
  const model = net();
  await model.fit(data, settings);
  const path = await file();
  await model.save(path);
  const again = await load<Predicted>(path);
  expect(bits(again)).toBe(bits(model));
  expect(await again.predict(held)).toEqual(await model.predict(held));
  expect(await again.evaluate(held)).toEqual(await model.evaluate(held, { loss: losses }));
  expect(await fromBytes<Predicted>(again.toBytes()).predict(held.x)).toEqual(await model.predict(held.x));

  const { port1, port2 } = new MessageChannel();
  opened.push(connect(port2, new Host()));
  const there = await inWorker(net(), { worker: port1 });
  await there.fit(data, settings);
  expect(Buffer.from(await there.toBytes()).toString("base64")).toBe(bits(model));
  expect((await there.predict(held)).age).toEqual((await model.predict(held)).age);
  expect(await there.classify(held, "label")).toEqual(await model.classify(held, "label"));
  expect(await there.evaluate(held, { loss: losses })).toEqual(await model.evaluate(held, { loss: losses }));
  expect([there.inputs, there.outputs]).toEqual([model.network.inputs, model.network.outputs]);
  expect(() => there.outputShape).toThrow(/one output without a name; this one has several named outputs label, age/);
  there.close();
});

const opened: { close(): void }[] = [];
afterAll(() => {
  for (const each of opened) each.close();
});

test("a run that is stopped in the middle of an epoch and goes on ends with the same bits, on any number of threads", async () => {
  const random = [batchNorm(), dropout(0.2)];
  const whole = net(undefined, ...random);
  const history = await whole.fit(data, settings);
  for (const threads of [1, 2, 4]) {
    const path = await file();
    const controller = new AbortController();
    const stopped = net(wasm({ threads }), ...random).fit(data, {
      ...settings,
      checkpoint: { path },
      signal: controller.signal,
      pace: () => 1,
      onProgress: ({ epoch, step }) => epoch === 5 && step === 3 && controller.abort(new Error("stopped")),
    });
    await expect((async () => await stopped)()).rejects.toThrow("stopped");
    const resumed = net(wasm({ threads }), ...random);
    const rest = await resumed.fit(data, { ...settings, resume: path });
    expect(bits(resumed)).toBe(bits(whole));
    expect(rest.at(-1)!.validation).toEqual(history.at(-1)!.validation);
    const other = { ...losses, age: "meanSquaredError" };
    await expect((async () => await net().fit(data, { ...settings, loss: other, resume: path }))()).rejects.toThrow(
      /was written with loss/,
    );
  }
});

test("batches from a generator, a step by hand, a share for validation: the same as from arrays", async () => {
  const part = ({ x, y }: typeof data, from: number, to: number) => ({
    x: { image: x.image.subarray(4 * from, 4 * to), tags: x.tags.subarray(3 * from, 3 * to) },
    y: { label: y.label.subarray(from, to), age: y.age.subarray(from, to) },
  });
  const [generated, byHand] = [net(), net()];
  await generated.fit(
    function* () {
      for (let i = 0; i < 96; i += 8) yield part(data, i, i + 8);
    },
    { loss: losses, optimizer: sgd({ learningRate: 0.1 }), epochs: 2 },
  );
  const step = trainStep(byHand, { loss: losses, optimizer: sgd({ learningRate: 0.1 }) });
  for (let i = 0; i < 192; i += 8) await step(part(data, i % 96, (i % 96) + 8));
  expect(byHand.weight("dense_1.kernel")).toEqual(generated.weight("dense_1.kernel"));
  const [epoch] = await net().fit(data, { ...settings, epochs: 1, validation: 0.25 });
  expect(epoch.validation!["label.accuracy"]).toBeGreaterThanOrEqual(0);
  const before = net();
  const found = await findLearningRate(before, data, { loss: losses, steps: 20 });
  expect([found.points.length > 3, bits(before)]).toEqual([true, bits(net())]);
});

test("early stopping goes by the score of one output", async () => {
  const stopping = (monitor: string) =>
    net().fit(data, { ...settings, epochs: 60, callbacks: [earlyStopping({ monitor, patience: 3 })] });
  const history = await stopping("validation.label.accuracy");
  expect(history.length).toBeLessThan(60);
  expect(history.map(({ loss }) => loss)).toEqual((await stopping("label.accuracy")).map(({ loss }) => loss));
  const accuracies = history.map(({ validation }) => validation!["label.accuracy"]);
  expect(accuracies.indexOf(Math.max(...accuracies))).toBe(history.length - 5);
  await expect((async () => await stopping("label.acuracy"))()).rejects.toThrow(/Did you mean "label.accuracy"/);
});

test("gradients agree with finite differences; explain tells both losses, from the same graph", async () => {
  const model = net();
  const batch = rows(4, 3);
  const report = await gradcheck(model, batch, { loss: losses });
  expect([report.passed, report.parameters.length]).toEqual([true, 6]);

  const recorder = new Recorder();
  await model.fit(data, { ...settings, epochs: 2, observer: recorder });
  const recorded = await recorder.explain(5);
  expect(recorded.values("x.tags", 0)).toEqual(
    Float64Array.from(data.x.tags.slice(3 * recorded.rows[0], 3 * recorded.rows[0] + 3)),
  );
  expect(recorded.loss.value).toBeCloseTo(recorded.opened.engine.loss, 5);
  recorder.close();

  const step = await explain(model, batch, { loss: losses });
  const [label, age] = step.loss.outputs!;
  expect([label.of, label.name, label.weight, age.of, age.name, age.weight]).toEqual([
    ...["label", "crossEntropy", 1],
    ...["age", "meanSquaredError", 0.1],
  ]);
  const scores = await model.evaluate(batch, { loss: losses });
  expect(label.value).toBeCloseTo(scores["label.loss"], 5);
  expect(step.loss.value).toBeCloseTo(label.value + 0.1 * age.value, 12);
  expect(age.derivative!.values!).toHaveLength(4);
  // 0.1 · 2 (y − t) / rows, by hand.
  for (const [i, d] of age.derivative!.values!.entries())
    expect(d).toBeCloseTo((0.1 * 2 * (age.output!.values![i] - batch.y.age[i])) / 4, 12);
  const unit = step.weight("dense_1.kernel", [0, 2]);
  expect(unit.finiteDifference.agrees).toBe(true);
  const text = reportText(stepReport(step));
  expect(text).toContain("label: crossEntropy, age: meanSquaredError");
  expect(text).toContain("target");
  expect(step.toJSON().loss.outputs).toHaveLength(2);
});

test("the summary and warnings name inputs and outputs", async () => {
  const lines = net().summary().split("\n");
  expect(lines.filter((line) => /^(image|tags|label|age) /.test(line)).map((line) => line.split(/ {2,}/))).toEqual([
    ["image", "input", "[2, 2, 1]"],
    ["tags", "input", "[3]"],
    ["label", "output of dense_2", "[3]"],
    ["age", "output of dense_3", "[1]"],
  ]);
  const large = {
    x: { ...data.x, tags: data.x.tags.map((x) => 1000 * x) },
    y: { ...data.y, age: data.y.age.map((y) => 500 * y) },
  };
  const found = await health(net(), large, { loss: losses });
  expect(found.map(({ kind, where }) => `${kind} ${where}`)).toEqual(
    expect.arrayContaining([expect.stringMatching(/^unscaledInput x\.tags, column/), "unscaledTarget y.age"]),
  );
});

describe("what does not fit is said with what was wanted", () => {
  const model = net();
  const { x, y } = data;
  const wrong: [string, () => unknown, RegExp][] = [
    [
      "an input too few",
      () => model.predict({ image: x.image }),
      /x has nothing for the input tags\. Wanted are image, tags/,
    ],
    ["a misspelt input", () => model.predict({ imag: x.image, tags: x.tags }), /"imag"\. Did you mean "image"\?/],
    [
      "an array for two inputs",
      () => model.predict(x.image),
      /x must be an object with an array for each input, \{ image, tags \}/,
    ],
    [
      "rows of another number",
      () => model.predict({ ...x, tags: x.tags.subarray(3) }),
      /96 rows of image, but 95 rows of tags/,
    ],
    [
      "an output too few",
      () => model.evaluate({ x, y: { label: y.label } }, { loss: losses }),
      /y has nothing for the output age/,
    ],
    [
      "targets too few",
      () => model.evaluate({ x, y: { ...y, age: y.age.subarray(1) } }, { loss: losses }),
      /y\.age has 95 values for 96 rows/,
    ],
    [
      "a class too large",
      () => model.evaluate({ x, y: { ...y, label: y.label.map((c) => c + 1) } }, { loss: losses }),
      /y\.label, row \d+ is 3/,
    ],
    [
      "NaN in one",
      () => model.predict({ ...x, tags: x.tags.map((v, i) => (i === 4 ? Number.NaN : v)) }),
      /x\.tags, row 2, column 2 is NaN/,
    ],
    ["one loss for two", () => model.evaluate(data, { loss: "crossEntropy" }), /A loss for each output is needed/],
    [
      "a loss too few",
      () => model.evaluate(data, { loss: { label: "crossEntropy" } }),
      /loss has nothing for the output age/,
    ],
    [
      "a misspelt loss",
      () => model.evaluate(data, { loss: { ...losses, label: "crossEntropi" } }),
      /Did you mean "crossEntropy"/,
    ],
    [
      "a negative weight",
      () => model.evaluate(data, { loss: { ...losses, age: { loss: "mse", weight: -1 } } }),
      /weight must be a number ≥ 0/,
    ],
    [
      "a list of metrics",
      () => model.evaluate(data, { loss: losses, metrics: ["accuracy"] }),
      /metrics are lists by the outputs' names/,
    ],
    [
      "a metric of no output",
      () => model.evaluate(data, { loss: losses, metrics: { lable: ["accuracy"] } }),
      /Did you mean "label"/,
    ],
    [
      "a metric that does not fit",
      () => model.evaluate(data, { loss: losses, metrics: { age: ["accuracy"] } }),
      /accuracy counts right and wrong/,
    ],
    ["no output to classify by", () => model.classify(data), /one of the outputs label, age; undefined came/],
    [
      "class weights",
      () => model.fit(data, { ...settings, classWeights: "balanced" }),
      /classWeights is for networks with one output; this one has 2/,
    ],
    [
      "augment",
      () => model.fit(data, { ...settings, augment: (row) => row }),
      /augment is for networks with one input/,
    ],
    ["a module", () => toModule(model), /one input without a name; this one has several named inputs image, tags/],
    [
      "an input that is not used",
      () => functional({ input: { a: [2], b: [2] } }, ({ a }) => a.to(dense(1))),
      /No layer takes the input b/,
    ],
    [
      "an input that is not there",
      () => functional({ input: { left: [2] } }, (given) => (given as { lft?: never }).lft!),
      /no input called "lft".*Did you mean "left"/,
    ],
    [
      "several inputs for a row of layers",
      () => sequential({ input: { a: [2], b: [2] } }, [dense(1), dense(1)]),
      /A row of layers takes one input; 2 came, a, b/,
    ],
    [
      "an output of no layer",
      () => functional({ input: { a: [2] } }, ({ a }) => ({ y: a })),
      /a value that it made from its argument/,
    ],
    ["no output", () => functional({ input: { a: [2] } }, () => ({})), /needs an output/],
    [
      "a name with a dot",
      () => functional({ input: { "a.b": [2] } }, (all) => all["a.b"].to(dense(1))),
      /The name of an input must be a word without dots/,
    ],
    [
      "names where there are none",
      () => functional({ input: [2] }, (z) => z.to(dense(1))).predict({ z: [1, 2] }),
      /one array was wanted/,
    ],
  ];
  test.each(wrong)("%s", async (_, run, message) => {
    await expect((async () => await run())()).rejects.toThrow(message);
    const error = await (async () => await run())().catch((thrown) => thrown as ChainruleError);
    expect((error as ChainruleError).code).toMatch(
      /^(wrong-argument|missing-entry|unknown-name|wrong-shape|bad-data)$/,
    );
  });
});

test("one named input and one named output are records too; sums of the same form elsewhere are the unnamed network's", async () => {
  const named = functional({ input: { x: [4] }, seed: 3 }, ({ x }) => ({ y: x.to(dense(2)) }));
  const plain = functional({ input: [4], seed: 3 }, (x) => x.to(dense(2)));
  const x = rows(10).x.image;
  const y = Int32Array.from({ length: 10 }, (_, i) => i % 2);
  const both: [Data, Data] = [
    { x: { x }, y: { y } },
    { x, y },
  ];
  await named.fit(both[0], { loss: { y: "crossEntropy" }, epochs: 3 });
  await plain.fit(both[1], { loss: "crossEntropy", epochs: 3 });
  expect(named.weight("dense_1.kernel")).toEqual(plain.weight("dense_1.kernel"));
  expect((await named.predict({ x })).y).toEqual(await plain.predict(x));
  expect((await named.predict(both[0])).y).toEqual(await plain.predict(both[1]));
});
