/** What people hand over by mistake is named, with what was wanted, before anything begins. */
import {
  ArgumentError,
  adam,
  add,
  DataError,
  defineOptimizer,
  dense,
  earlyStopping,
  flatten,
  grad,
  mean,
  mul,
  type OptimizerDefinition,
  sequential,
  sub,
  sum,
  tensor,
  trainStep,
} from "chainrule";
import { augmentImage, moons, readTable, spirals, toDataset } from "chainrule/data";
import { expect, test } from "vitest";

const model = () => sequential({ input: [2] }, [dense(2)]);
/** Options with an optimiser of one's own. */
const own = (rule: OptimizerDefinition["rule"]) => ({
  loss: "crossEntropy",
  optimizer: defineOptimizer({ name: "mine", options: { learningRate: 0.1 }, rule }),
});
const data = { x: [[0, 1]], y: [1] };
const values = { x: [[0, 1]], y: [[1, 0]] };
// Mistakes that TypeScript would catch, as plain JavaScript makes them.
const wrong = <T>(x: unknown) => x as T;

test.each([
  [
    "no data",
    () => model().fit(wrong(undefined), { loss: "crossEntropy" }),
    /fit takes its data as \{ x, y \}.*undefined came/,
  ],
  [
    "rows without targets",
    () => model().fit(wrong([[0, 1]]), { loss: "crossEntropy" }),
    /\{ x, y \}.*an array of 1 came/,
  ],
  ["data not awaited", () => model().fit(wrong(Promise.resolve(data)), { loss: "crossEntropy" }), /a Promise came/],
  [
    "metrics as a text",
    () => model().fit(data, wrong({ loss: "crossEntropy", metrics: "accuracy" })),
    /metrics are a list, such as \["accuracy"\]; "accuracy" came/,
  ],
  [
    "one callback, not a list",
    () => model().fit(data, wrong({ loss: "crossEntropy", callbacks: earlyStopping() })),
    /callbacks are a list, such as \[earlyStopping\(\)\]; .* came/,
  ],
  ["no options", () => model().fit(data, wrong(undefined)), /fit needs a loss.*crossEntropy.*undefined came/],
  ["no loss", () => model().fit(data, wrong({ epochs: 2 })), /fit needs a loss.*\{epochs: 2\} came/],
  [
    "an option misspelt",
    () => model().fit(data, wrong({ loss: "crossEntropy", batchsize: 4 })),
    /no option "batchsize".*Did you mean "batchSize"/,
  ],
  [
    "a generator, not its function",
    () => model().fit(wrong((function* () {})()), { loss: "crossEntropy" }),
    /a function that gives batches, fit\(batches\), not/,
  ],
  [
    "amounts for augment",
    () => model().fit(data, wrong({ loss: "crossEntropy", augment: { shift: 1 } })),
    /augment must be a function.*\{shift: 1\} came/,
  ],
  [
    "a checkpoint's path alone",
    () => model().fit(data, wrong({ loss: "crossEntropy", checkpoint: "a.ckpt" })),
    /checkpoint takes its options as \{ path: … \}; "a.ckpt" came/,
  ],
  [
    "a checkpoint without a path",
    () => model().fit(data, wrong({ loss: "crossEntropy", checkpoint: {} })),
    /checkpoint takes the path of a file.*undefined came/,
  ],
  [
    "a loss that gives NaN",
    () => model().fit(values, { loss: wrong(() => Number.NaN) }),
    /loss.*must be a node.*NaN came/,
  ],
  ["a loss that gives nothing", () => model().fit(values, { loss: wrong(() => {}) }), /must be a node.*undefined came/],
  [
    "a loss that computes without ops",
    () => model().fit(values, { loss: (y, t) => mean(wrong<typeof y>((wrong<number>(y) - wrong<number>(t)) ** 2), 1) }),
    /An operand of mean must be a node.*sub\(y, t\).*NaN came/,
  ],
  [
    "a rule that reads a number it has not",
    () =>
      model().fit(
        data,
        own(({ w, dw, scalars }) => ({ w: sub(w, mul(scalars.lr, dw)) })),
      ),
    /mine: the rule reads scalars\.lr, but has \["learningRate"\]/,
  ],
  [
    "a rule that reads a state it has not",
    () =>
      model().fit(
        data,
        own(({ w, dw, state }) => ({ w: sub(w, dw), state: { m: add(state.m, dw) } })),
      ),
    /mine: the rule reads state\.m, but has \[\]. Name it in state/,
  ],
  [
    "a rule that gives a node",
    () =>
      model().fit(
        data,
        own(({ w }) => wrong(w)),
      ),
    /mine: the rule's w in \{ w, state \}.*undefined came/,
  ],
  [
    "an optimiser by name",
    () => model().fit(data, wrong({ loss: "crossEntropy", optimizer: "adamm" })),
    /such as adam\(.*"adamm" came/,
  ],
  [
    "an optimiser not called",
    () => model().fit(data, wrong({ loss: "crossEntropy", optimizer: adam })),
    /a function \(adam, not called\?\) came/,
  ],
])("fit: %s", async (_, run, message) => {
  await expect(run()).rejects.toThrow(ArgumentError);
  await expect(run()).rejects.toThrow(message);
});

test.each([
  ["layers first", () => sequential(wrong([dense(2)]), wrong(undefined)), /shape of one sample.*an array of 1 came/],
  [
    "a number for the shape",
    () => sequential(wrong({ input: 2 }), [dense(2)]),
    /\{ input: \[784\] \}; \{input: 2\} came/,
  ],
  ["no layers", () => sequential({ input: [2] }, wrong(undefined)), /layers are a list.*undefined came/],
  [
    "a layer not called",
    () => sequential({ input: [2] }, [wrong(flatten)]),
    /Layer 1 must be.*a function \(flatten, not called\?\)/,
  ],
  ["a layer by name", () => sequential({ input: [2] }, [dense(2), wrong("relu")]), /Layer 2 must be.*"relu"/],
  [
    "an unknown option",
    () => sequential(wrong({ input: [2], sed: 1 }), [dense(2)]),
    /no option "sed".*Did you mean "seed"/,
  ],
])("sequential: %s", (_, build, message) => {
  expect(build).toThrow(ArgumentError);
  expect(build).toThrow(message);
});

test("trainStep and evaluate have the same door", async () => {
  expect(() => trainStep(model(), { loss: "crossEntropy", optimizer: wrong("sgd") })).toThrow(/"sgd" came/);
  await expect(model().evaluate(wrong([[0, 1]]), { loss: "crossEntropy" })).rejects.toThrow(
    /evaluate takes its data as \{ x, y \}/,
  );
});

test("two runs at once on one model are refused; one after the other they are not", async () => {
  const one = model();
  const runs = await Promise.allSettled([0, 1].map(() => one.fit(data, { loss: "crossEntropy" })));
  expect(runs.map(({ status }) => status)).toEqual(["fulfilled", "rejected"]);
  expect(runs[1]).toMatchObject({
    reason: { name: "ArgumentError", message: expect.stringMatching(/already training/) },
  });
  for await (const _ of one.fit(data, { loss: "crossEntropy", epochs: 2 })) break;
  expect(await one.fit(data, { loss: "crossEntropy" })).toHaveLength(1);
});

test("names of classes, and classes for a loss of numbers, are answered with what to do", async () => {
  const x = [0, 1, 2, 3].flatMap(() => [0, 1]);
  await expect(model().fit({ x, y: wrong(["a", "b", "a", "b"]) }, { loss: "crossEntropy" })).rejects.toThrow(DataError);
  await expect(model().fit({ x, y: wrong(["a", "b", "a", "b"]) }, { loss: "crossEntropy" })).rejects.toThrow(
    /y is text; toDataset/,
  );
  for (const loss of ["mse", "binaryCrossEntropy"])
    for (const units of [2, 3])
      await expect(sequential({ input: [2] }, [dense(units)]).fit({ x, y: [0, 1, 1, 0] }, { loss })).rejects.toThrow(
        `y has 4 values for 4 rows; ${4 * units} were wanted, since the network gives [${units}] for each. For classes take crossEntropy as the loss, or end the network with dense(1).`,
      );
});

test("a misspelt name is answered with the one that was probably meant", async () => {
  const run = (options: object) => model().fit(data, { loss: "crossEntropy", ...options });
  await expect(run({ loss: "crossentropy" })).rejects.toThrow(
    /no loss called "crossentropy". Did you mean "crossEntropy"\?/,
  );
  await expect(run({ metrics: ["acuracy"] })).rejects.toThrow(/no metric called "acuracy". Did you mean "accuracy"\?/);
  expect(() => sequential({ input: [2] }, [dense(2, { activation: "Relu" })])).toThrow(
    /no activation called "Relu". Did you mean "relu"\?/,
  );
  expect(() => sequential({ input: [2] }, [dense(2, { init: "glorotuniform" })])).toThrow(
    /Did you mean "glorotUniform"\?/,
  );
  expect(() => adam(wrong({ momentum: 0.9 }))).toThrow(/Known are [^.]*weightDecay/);
  expect(() => adam(wrong({ momentum: 0.9 }))).not.toThrow(/weightDecay.*weightDecay/);
});

test("grad takes plain arrays and numbers, and names what is neither", async () => {
  const df = grad((x) => sum(mul(x, mul(x, x))));
  // d/dx Σ x³ = 3x²
  expect((await df([1, 2, 3]))[0].data).toEqual(Float32Array.of(3, 12, 27));
  expect((await df([[1], [2]]))[0]).toEqual({ shape: [2, 1], data: Float32Array.of(3, 12) });
  expect((await df(3))[0]).toEqual({ shape: [], data: Float32Array.of(27) });
  for (const x of [undefined, null, "3", {}]) {
    await expect(df(wrong(x))).rejects.toThrow(ArgumentError);
    expect(() => tensor(wrong(x))).toThrow(/must be an array/);
  }
  await expect(grad((x) => wrong<typeof x>(wrong<number>(x) ** 2))([1])).rejects.toThrow(
    /What the function gives must be a node.*NaN came/,
  );
  await expect(grad((x) => sum(mul(x, wrong(undefined))))([1])).rejects.toThrow(/operand of mul.*undefined came/);
});

test("data: options that do not exist are named", async () => {
  expect(() => toDataset(wrong({ x: [[1]], labels: [0] }))).toThrow(/toDataset has no option "labels"/);
  expect(() => toDataset(wrong({ x: [[1]] }))).toThrow(/takes \{ x, y \}/);
  expect(() => moons(wrong({ nois: 1 }))).toThrow(/moons has no option "nois". Did you mean "noise"/);
  expect(() => spirals(wrong({ clases: 1 }))).toThrow(/Did you mean "classes"/);
  expect(() => augmentImage(new Uint8Array(1), [1, 1, 1], wrong({ rotat: 1 }), wrong(undefined))).toThrow(/"rotate"/);
  await expect(readTable("a,b\n1,2\n", wrong({ target: "b", mising: "mean" }))).rejects.toThrow(
    /Did you mean "missing"/,
  );
});
