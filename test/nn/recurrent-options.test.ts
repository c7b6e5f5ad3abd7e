/** What recurrent layers do over batches and with gradients: states that go on, gradients that are cut off, dropout of states. */
import {
  gradcheck,
  gru,
  lstm,
  type Model,
  Network,
  type RecurrentOptions,
  reference,
  sequential,
  sgd,
  simpleRnn,
  trainStep,
} from "chainrule";
import { describe, expect, test } from "vitest";
import { input } from "../../src/graph/leaf.ts";
import { makePlan } from "../../src/plan/plan.ts";
import { RandomStream } from "../../src/random.ts";

const draw = (count: number, name: string): number[] => {
  const stream = new RandomStream(1, name);
  return Array.from({ length: count }, () => 2 * stream.uniform() - 1);
};

const ROWS = 3;
const x = draw(ROWS * 10 * 2, "x");
const y = draw(ROWS * 10 * 4, "y");

/** Places `from` to `to` of each row of `width` numbers a place. */
const places = (all: readonly number[], width: number, from: number, to: number): number[] =>
  Array.from({ length: ROWS }, (_, row) => all.slice((row * 10 + from) * width, (row * 10 + to) * width)).flat();
const chunk = (from: number, to: number) => ({ x: places(x, 2, from, to), y: places(y, 4, from, to) });

const KINDS = { simpleRnn, lstm, gru };

describe.each(Object.entries(KINDS))("%s", (_, layer) => {
  const model = (length: number, options: RecurrentOptions = {}): Model =>
    sequential({ input: [length, 2], seed: 5, backend: reference("float64") }, [
      layer(4, { sequences: true, ...options }),
    ]);
  /** Steps that hardly change a weight. */
  const steps = (of: Model) =>
    trainStep(of, { loss: "meanSquaredError", optimizer: sgd({ learningRate: 1e-15 }), gradients: true });

  test("states go on from batch to batch, until they are reset", async () => {
    const whole = await model(10).predict(x);
    const expected = (from: number, to: number): number => {
      const [given, wanted] = [places([...whole], 4, from, to), places(y, 4, from, to)];
      return given.reduce((sum, value, i) => sum + (value - wanted[i]) ** 2, 0) / given.length;
    };
    const stateful = model(5, { stateful: ROWS });
    const step = steps(stateful);
    expect((await step(chunk(0, 5))).loss).toBeCloseTo(expected(0, 5), 6);
    expect((await step(chunk(5, 10))).loss).toBeCloseTo(expected(5, 10), 6);
    stateful.resetStates();
    expect((await step(chunk(0, 5))).loss).toBeCloseTo(expected(0, 5), 6);
    // What is carried is saved with the model and not trained.
    const carried = stateful.network.parameters.filter((parameter) => parameter.carried);
    expect(carried.every(({ trainable, node }) => !trainable && node.shape.join() === `${ROWS},4`)).toBe(true);
    await expect(step({ x: x.slice(0, 10), y: y.slice(0, 20) })).rejects.toThrow(
      /from batch to batch of 3 rows; one of 1 came/,
    );
  });

  test.each([false, true])("gradients that are cut off are those of the pieces, backwards %s", async (backwards) => {
    const cut = await steps(model(10, { truncate: 5, backwards }))(chunk(0, 10));
    // The same places in two batches, of which the second begins where the first ended.
    const pieces = model(5, { stateful: ROWS });
    const step = steps(pieces);
    const turned = (all: readonly number[], width: number): number[] =>
      Array.from({ length: ROWS }, (_, row) =>
        Array.from({ length: 10 }, (_, t) => all.slice((row * 10 + 9 - t) * width, (row * 10 + 10 - t) * width)).flat(),
      ).flat();
    const [xs, ys] = backwards ? [turned(x, 2), turned(y, 4)] : [x, y];
    const [first, second] = [
      await step({ x: places(xs, 2, 0, 5), y: places(ys, 4, 0, 5) }),
      await step({ x: places(xs, 2, 5, 10), y: places(ys, 4, 5, 10) }),
    ];
    for (const [name, gradient] of Object.entries(cut.gradients))
      for (const [i, value] of gradient.entries())
        expect(value).toBeCloseTo((first.gradients[name][i] + second.gradients[name][i]) / 2, 9);
    const uncut = await steps(model(10, { backwards }))(chunk(0, 10));
    const never = await steps(model(10, { backwards, truncate: 10 }))(chunk(0, 10));
    expect(never.gradients).toEqual(uncut.gradients);
    const differences = Object.entries(cut.gradients).map(([name, gradient]) =>
      Math.max(...Array.from(gradient, (value, i) => Math.abs(value - uncut.gradients[name][i]))),
    );
    expect(Math.max(...differences)).toBeGreaterThan(1e-4);
  });

  test("what is computed anew gives the same gradients", async () => {
    const [anew, kept] = await Promise.all(
      [true, false].map((recompute) => steps(model(10, { recompute }))(chunk(0, 10))),
    );
    expect(anew).toEqual(kept);
  });

  test("dropout of states has right gradients, and none at inference", async () => {
    const dropping = model(10, { recurrentDropout: 0.4 });
    expect((await gradcheck(dropping, chunk(0, 10), { loss: "meanSquaredError" })).passed).toBe(true);
    expect([...(await dropping.predict(x))]).toEqual([...(await model(10).predict(x))]);
  });
});

test("the same units of the state are dropped at all places", () => {
  // hₜ = 1 + (m h) with m = 0 or 2: 1, 1, 1 or 1, 3, 7. Another m at each place would give 3 or 5, too.
  const layer = simpleRnn(64, { sequences: true, activation: "linear", bias: false, recurrentDropout: 0.5 });
  const network = new Network([3, 64], 1, [layer]);
  const [given, step] = [input("x", [2, 3, 64]), input("step", [], "int")];
  for (const unrolled of [false, true]) {
    const { output } = network.apply(given, { training: true, step, unrolled });
    const session = reference("float64").open();
    const identity = Float64Array.from({ length: 64 * 64 }, (_, i) => Number(i % 65 === 0));
    for (const { node } of network.parameters) session.write(node, identity);
    const ones = new Float64Array(2 * 3 * 64).fill(1);
    const [states] = session
      .compile(makePlan({ inputs: [given, step], outputs: [output] }))
      .run([ones, Int32Array.of(3)]).outputs;
    const last = [0, 1].flatMap((row) => [...states.subarray((row * 3 + 2) * 64, (row + 1) * 3 * 64)]);
    expect(new Set(last)).toEqual(new Set([1, 7]));
  }
});

test("fit shuffles, and so takes no arrays for stateful layers; what goes on goes forwards", async () => {
  const model = sequential({ input: [10, 2] }, [lstm(4, { sequences: true, stateful: ROWS })]);
  await expect(model.fit({ x, y }, { loss: "meanSquaredError", batchSize: ROWS })).rejects.toThrow(
    /fit shuffles the rows of arrays, and lstm_1.state goes on from batch to batch/,
  );
  model.close();
  expect(() => gru(4, { stateful: 2, backwards: true })).toThrow(/goes forwards/);
  expect(() => gru(4, { recurrentDropout: 1 })).toThrow(/recurrentDropout must be a number from 0 up to/);
  expect(() => gru(4, { truncate: 0 })).toThrow(/truncate must be a whole number ≥ 1/);
});
