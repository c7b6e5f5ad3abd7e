/** Names of options: every one that the types know is taken, any other is named, as is a text where a number belongs. */
import {
  accumulate,
  activation,
  adadelta,
  adagrad,
  adam,
  adamw,
  averagePool1d,
  averagePool2d,
  batchNorm,
  binaryCrossEntropy,
  branches,
  chain,
  conv1d,
  conv2d,
  conv2dTranspose,
  cosineDecay,
  crossEntropy,
  defineLayer,
  defineOptimizer,
  dense,
  depthwiseConv2d,
  dropout,
  earlyStopping,
  embedding,
  exponentialDecay,
  findLearningRate,
  flatten,
  globalMaxPool1d,
  greater,
  hinge,
  huber,
  input,
  layerNorm,
  less,
  lion,
  maxPool1d,
  maxPool2d,
  mul,
  nadam,
  normalize,
  oneCycle,
  reduceOnPlateau,
  rescale,
  reshape,
  residual,
  rmsprop,
  sequential,
  sgd,
  stepDecay,
  sub,
  trainStep,
  upsampling2d,
  warmup,
  zeroPadding2d,
} from "chainrule";
import { split, xor } from "chainrule/data";
import { describe, expect, test } from "vitest";
import { ArgumentError } from "../src/errors.ts";

/** A maker, and all of its options: an option that is added to the types must be added here, and to the names. */
const entry = <O>(name: string, make: (options: O) => unknown, every: Required<O>) => ({
  name,
  make: make as (options: unknown) => unknown,
  every: every as Record<string, unknown>,
});

const layer = { name: "a", trainable: true } as const;
const affine = { ...layer, activation: "relu", init: "he", bias: true, l1: 0, l2: 0 } as const;
const sliding = { ...affine, stride: 1, padding: "same", dilation: 1 } as const;
const window = { ...layer, stride: 1, padding: "same" } as const;
const optimizer = { learningRate: 0.1, weightDecay: 0, clipValue: 1, clipNorm: 1, globalClipNorm: 1 };
const betas = { ...optimizer, beta1: 0.9, beta2: 0.99 };

const ENTRIES = [
  entry("dense", (o) => dense(2, o), affine),
  entry("conv2d", (o) => conv2d(2, 3, o), { ...sliding, groups: 1 }),
  entry("depthwiseConv2d", (o) => depthwiseConv2d(3, o), { ...sliding, multiplier: 1 }),
  entry("conv1d", (o) => conv1d(2, 3, o), { ...sliding, groups: 1 }),
  entry("conv2dTranspose", (o) => conv2dTranspose(2, 3, o), { ...sliding, groups: 1, outputPadding: 0 }),
  entry("embedding", (o) => embedding(9, 3, o), { ...layer, init: "he", l1: 0, l2: 0 }),
  entry("batchNorm", (o) => batchNorm(o), { ...layer, momentum: 0.9, epsilon: 1e-5 }),
  entry("layerNorm", (o) => layerNorm(o), { ...layer, epsilon: 1e-5 }),
  entry("maxPool2d", (o) => maxPool2d(2, o), window),
  entry("averagePool2d", (o) => averagePool2d(2, o), window),
  entry("maxPool1d", (o) => maxPool1d(2, o), window),
  entry("averagePool1d", (o) => averagePool1d(2, o), window),
  entry("globalMaxPool1d", (o) => globalMaxPool1d(o), layer),
  entry("activation", (o) => activation("relu", o), layer),
  entry("dropout", (o) => dropout(0.5, o), layer),
  entry("flatten", (o) => flatten(o), layer),
  entry("reshape", (o) => reshape([2, 2], o), layer),
  entry("zeroPadding2d", (o) => zeroPadding2d(1, o), layer),
  entry("upsampling2d", (o) => upsampling2d(2, o), layer),
  entry("rescale", (o) => rescale(0.5, o), layer),
  entry("normalize", (o) => normalize({ mean: [0], deviation: [1] }, o), layer),
  entry("chain", (o) => chain([dense(2)], o), layer),
  entry("residual", (o) => residual([dense(2)], o), { ...layer, projection: dense(2) }),
  entry("branches", (o) => branches([dense(2)], o), { ...layer, merge: "add" as const }),
  entry("sgd", sgd, { ...optimizer, momentum: 0.9, nesterov: true }),
  entry("adagrad", adagrad, { ...optimizer, epsilon: 1e-8 }),
  entry("rmsprop", rmsprop, { ...optimizer, rho: 0.9, epsilon: 1e-8, centered: true, momentum: 0.1 }),
  entry("adadelta", adadelta, { ...optimizer, rho: 0.9, epsilon: 1e-8 }),
  entry("adam", adam, { ...betas, epsilon: 1e-8, amsgrad: true }),
  entry("adamw", adamw, { ...betas, epsilon: 1e-8, amsgrad: true }),
  entry("nadam", nadam, { ...betas, epsilon: 1e-8, momentumDecay: 0 }),
  entry("lion", lion, betas),
  entry("stepDecay", stepDecay, { learningRate: 1, every: 2, factor: 0.5 }),
  entry("exponentialDecay", exponentialDecay, { learningRate: 1, factor: 0.5 }),
  entry("cosineDecay", cosineDecay, { learningRate: 1, steps: 5, minimum: 0 }),
  entry("warmup", warmup, { steps: 5, next: 0.1 }),
  entry("oneCycle", oneCycle, {
    ...{ learningRate: 1, steps: 9, warmupFraction: 0.3, startDivisor: 25, finalDivisor: 1e4 },
    anneal: "linear",
  }),
  entry("reduceOnPlateau", reduceOnPlateau, {
    ...{ learningRate: 1, factor: 0.1, patience: 0, cooldown: 0, threshold: 0, minimum: 0 },
  }),
  entry("huber", huber, { delta: 1 }),
  entry("crossEntropy", crossEntropy, { labelSmoothing: 0.1 }),
  entry("binaryCrossEntropy", binaryCrossEntropy, { labelSmoothing: 0.1 }),
  entry("hinge", hinge, {}),
  entry("earlyStopping", earlyStopping, {
    ...{ monitor: "loss", patience: 1, minimumChange: 0, restoreBest: true },
    mode: "min",
  }),
  entry("split", (o) => split(xor(), 0.5, o), { seed: 1, stratify: false }),
];

describe.each(ENTRIES)("$name", ({ name, make, every }) => {
  test("takes every option that its types know", () => expect(() => make(every)).not.toThrow());

  test("names an option that it does not know", () => {
    const wrong = { ...every, learnRat: 1 };
    expect(() => make(wrong)).toThrow(ArgumentError);
    expect(() => make(wrong)).toThrow(new RegExp(`^${name} has no option "learnRat"`));
    for (const option of Object.keys(every)) expect(() => make(wrong)).toThrow(option);
  });

  test("names options that are no object", () => {
    for (const wrong of [3, "relu", [1]]) expect(() => make(wrong)).toThrow(ArgumentError);
  });

  test("takes no text for a number, and shows it in quotes", () => {
    for (const [option, value] of Object.entries(every)) {
      if (typeof value !== "number") continue;
      const build = () => (make({ ...every, [option]: "0.5" }) as { update?(of: []): unknown })?.update?.([]);
      expect(build, option).toThrow(ArgumentError);
      expect(build, option).toThrow(/"0(\.5)?"/);
    }
  });
});

test("a near miss is answered with the name that was probably meant", () => {
  const misspelt = <T>(options: object) => options as T;
  expect(() => dense(3, misspelt({ activaton: "relu" }))).toThrow(/Did you mean "activation"\?/);
  expect(() => adam(misspelt({ lr: 0.1 }))).toThrow(/adam has no option "lr"\. Known are learningRate/);
  expect(() => dense(3, misspelt({ units: 5 }))).toThrow(/no option "units"/);
  expect(() => adam(misspelt(0.1 as never))).toThrow(/adam takes its options as \{ learningRate: … \}; 0.1 came/);
});

test("a text is no number of units, rows or batches either", async () => {
  const three = "3" as never;
  const model = sequential({ input: [2] }, [dense(2)]);
  const data = { x: [[0, 1]], y: [1] };
  expect(() => dense(three)).toThrow(/units must be a whole number ≥ 1; "3" came/);
  expect(() => dropout("0.5" as never)).toThrow(/rate must be .*; "0\.5" came/);
  expect(() => rescale("2" as never)).toThrow(/scale must be a number; "2" came/);
  expect(() => accumulate(adam(), three)).toThrow(/"3" came/);
  expect(() => sequential({ input: [2], seed: three }, [dense(2)])).toThrow(/seed must be .*; "3" came/);
  expect(() => sequential({ input: ["2"] as never }, [dense(2)])).toThrow(
    /each of input must be a whole number ≥ 1; "2" came/,
  );
  await expect(model.fit(data, { loss: "crossEntropy", epochs: three })).rejects.toThrow(/epochs must be .*"3" came/);
  await expect(model.fit(data, { loss: "crossEntropy", batchSize: three })).rejects.toThrow(/batchSize .*"3" came/);
});

test("a list is no number, and no list of another length", () => {
  const list = (...x: unknown[]) => x as never;
  expect(() => dense(list(10))).toThrow(/units must be a whole number ≥ 1; \[10\] came/);
  expect(() => dense(list())).toThrow(/units must be/);
  expect(() => sequential({ input: list([28, 28]) }, [dense(2)])).toThrow(
    /such as \[784\]: each of input .*\[28, 28\] came/,
  );
  expect(() => sequential({ input: [2], seed: list(1) }, [dense(2)])).toThrow(/seed must be .*; \[1\] came/);
  expect(() => conv2d(list(8), 3)).toThrow(/filters must be .*; \[8\] came/);
  expect(() => conv2d(8, list(3))).toThrow(/size must be a whole number ≥ 1, or 2 such; \[3\] came/);
  expect(() => conv2d(8, list([1, 1], 3))).toThrow(/each of size must be/);
  expect(() => conv2d(8, 3, { stride: list(2) })).toThrow(/stride must be .*; \[2\] came/);
  expect(() => conv1d(8, 3, { stride: list(2, 2) })).toThrow(/stride must be a whole number ≥ 1; \[2, 2\] came/);
  expect(() => maxPool2d(list(2))).toThrow(/size must be .*; \[2\] came/);
  expect(() => input("x", 5 as never)).toThrow(/the shape is a list.*; 5 came/);
  const padded = (padding: never) => () => sequential({ input: [6, 6, 1] }, [maxPool2d(3, { padding })]);
  expect(padded(list(1))).toThrow(/each of padding must be a whole number ≥ 0.*; undefined came/);
  expect(padded(list([1, 1], [0, 1]))).not.toThrow();
});

test("trainStep, evaluate and the learning-rate finder name unknown options too", async () => {
  const model = sequential({ input: [2] }, [dense(2)]);
  const wrong = { loss: "crossEntropy", metric: ["accuracy"] } as never;
  expect(() => trainStep(model, wrong)).toThrow(/trainStep has no option "metric"/);
  await expect(model.evaluate(xor(), wrong)).rejects.toThrow(/evaluate has no option "metric".*"metrics"/);
  await expect(findLearningRate(model, xor(), wrong)).rejects.toThrow(/findLearningRate has no option "metric"/);
});

test("an own layer that names its options has them checked; one that does not takes any", () => {
  const named = defineLayer<{ by?: number }>("optionsNamed", {
    options: ["by"],
    apply: ({ by = 2 }, { x }) => mul(x, by),
  });
  const free = defineLayer<{ by?: number }>("optionsFree", { apply: ({ by = 2 }, { x }) => mul(x, by) });
  expect(() => named({ bye: 3 } as never)).toThrow(/optionsNamed has no option "bye"\. Did you mean "by"/);
  expect(named({ by: 3, name: "twice" } as never).config).toEqual({ by: 3, name: "twice" });
  expect(free({ bye: 3 } as never).config).toEqual({ bye: 3 });
});

test("an own optimiser of a rule has schedules, clipping and decay", async () => {
  // w ← w − η sign(g + λ w), by hand: η is 0.5 · 0.5^step, w begins at 1, target 0, so that g > 0 until w < 0.
  const signDescent = defineOptimizer({
    name: "signDescent",
    options: { learningRate: exponentialDecay({ learningRate: 0.5, factor: 0.5 }), weightDecay: 0.1, clipValue: 1 },
    rule: ({ w, dw, scalars }) => ({ w: sub(w, mul(scalars.learningRate, sub(greater(dw, 0), less(dw, 0)))) }),
  });
  const model = sequential({ input: [1] }, [dense(1, { bias: false, init: 1 })]);
  const step = trainStep(model, { loss: "meanSquaredError", optimizer: signDescent });
  for (const expected of [0.5, 0.25, 0.125]) {
    await step({ x: [[1]], y: [[0]] });
    expect(model.weight("dense_1.kernel")[0]).toBe(expected);
  }
});
