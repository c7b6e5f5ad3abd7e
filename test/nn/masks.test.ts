/**
 * Rows of different lengths, filled up to one: padding changes no result and no gradient. What a row gives in a batch that is filled
 * up is what it gives alone, at its own length, and the batch's gradients are the mean of the rows' own.
 */
import {
  bidirectional,
  conv1d,
  dense,
  dropout,
  embedding,
  flatten,
  globalAveragePool1d,
  globalMaxPool1d,
  gradcheck,
  gru,
  type Layer,
  layerNorm,
  lstm,
  type Model,
  masking,
  multiHeadAttention,
  RandomStream,
  reference,
  residual,
  sequential,
  simpleRnn,
  trainStep,
  transformerBlock,
  wasm,
} from "chainrule";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

const FEATURES = 3;

interface Kind {
  readonly layers: readonly Layer[];
  /** What is asked of it: a number for each row, or for each place. */
  readonly target: "row" | "places" | "classes";
}

const NETWORKS: Record<string, Kind> = {
  simpleRnn: { layers: [simpleRnn(4), dense(2)], target: "row" },
  "lstm, backwards": { layers: [lstm(4, { backwards: true }), dense(2)], target: "row" },
  "two gru": { layers: [gru(4, { sequences: true }), gru(3), dense(2)], target: "row" },
  "both directions, the last states": { layers: [bidirectional(lstm(3)), dense(2)], target: "row" },
  "both directions, each place": {
    layers: [bidirectional(gru(3, { sequences: true })), layerNorm(), dense(2)],
    target: "places",
  },
  attention: { layers: [dense(4), multiHeadAttention({ heads: 2 }), globalAveragePool1d(), dense(2)], target: "row" },
  "a transformer's block": {
    layers: [dense(4), transformerBlock({ width: 4, heads: 2, causal: true, rotary: true }), dense(2)],
    target: "places",
  },
  "the largest": { layers: [dense(4, { activation: "tanh" }), globalMaxPool1d(), dense(2)], target: "row" },
  "windows over places": {
    layers: [conv1d(4, 3, { padding: "same" }), conv1d(4, 2, { padding: "causal" }), globalAveragePool1d(), dense(2)],
    target: "row",
  },
  "residual, classes for each place": {
    layers: [dense(4), residual([dense(4, { activation: "tanh" }), dropout(0)]), gru(4, { sequences: true }), dense(3)],
    target: "classes",
  },
};

/** The same network for sequences of another length. */
const network = ({ layers }: Kind, length: number, backend = reference("float64")): Model =>
  sequential({ input: [length, FEATURES], seed: 4, backend }, [masking(), ...layers]);

/** Rows of some lengths and their targets, filled up with zeros to `length` places. */
function rows(kind: Kind, lengths: readonly number[], length: number) {
  const stream = new RandomStream(2, "rows");
  const width = kind.target === "classes" ? 1 : 2;
  const x = lengths.map((own) => Array.from({ length: own * FEATURES }, () => 2 * stream.uniform() - 1));
  const perPlace = lengths.map((own) =>
    Array.from({ length: own * width }, () =>
      kind.target === "classes" ? stream.integer(3) : 2 * stream.uniform() - 1,
    ),
  );
  const filled = (row: readonly number[], size: number, by = 0): number[] => [
    ...row,
    ...new Array<number>(size - row.length).fill(by),
  ];
  const targets = kind.target === "row" ? perPlace.map((own) => own.slice(0, width)) : perPlace;
  return {
    x: x.flatMap((row) => filled(row, length * FEATURES)),
    // What stands in the place of padding does not matter.
    y: kind.target === "row" ? targets.flat() : targets.flatMap((row) => filled(row, length * width, 1)),
    alone: (i: number) => ({ x: x[i], y: targets[i] }),
  };
}

const lossOf = ({ target }: Kind): string => (target === "classes" ? "crossEntropy" : "meanSquaredError");

/** The loss and the gradients of a step, before any weight changes. */
async function gradientsOf(model: Model, kind: Kind, data: { x: readonly number[]; y: readonly number[] }) {
  const step = trainStep(model, { loss: lossOf(kind), gradients: true });
  const given = { x: [...data.x], y: [...data.y] };
  const result = await step(given);
  step.free();
  return result;
}

const farthest = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  expect(a.length).toBe(b.length);
  return Math.max(0, ...Array.from(a, (value, i) => Math.abs(value - b[i])));
};

describe.each(Object.entries(NETWORKS))("%s", (_, kind) => {
  test("a row in a batch that is filled up gives what it gives alone", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 4 }),
        fc.nat(3),
        async (lengths, more) => {
          const length = Math.max(...lengths) + more;
          const batch = rows(kind, lengths, length);
          const model = network(kind, length);
          const outputs = await model.predict(batch.x);
          const width = outputs.length / lengths.length;
          const all = await gradientsOf(model, kind, batch);
          let loss = 0;
          const sums = new Map<string, number[]>();
          for (const [i, own] of lengths.entries()) {
            const single = network(kind, own);
            const alone = await single.predict(batch.alone(i).x);
            const here = outputs.slice(i * width, i * width + alone.length);
            expect(farthest(here, alone)).toBeLessThan(3e-7);
            const one = await gradientsOf(single, kind, batch.alone(i));
            loss += one.loss / lengths.length;
            for (const [name, gradient] of Object.entries(one.gradients)) {
              const sum = sums.get(name) ?? new Array<number>(gradient.length).fill(0);
              sums.set(
                name,
                sum.map((value, j) => value + gradient[j] / lengths.length),
              );
            }
          }
          expect(all.loss).toBeCloseTo(loss, 9);
          for (const [name, gradient] of Object.entries(all.gradients))
            expect(farthest(gradient, sums.get(name)!), name).toBeLessThan(1e-9);
        },
      ),
      { numRuns: 5, seed: 3 },
    );
  });

  test("the engine and the reference give the same", async () => {
    const lengths = [1, 7, 4];
    const batch = rows(kind, lengths, 8);
    const [engine, exact] = [wasm({ threads: 1 }), reference("float64")].map((backend) => network(kind, 8, backend));
    expect(farthest(await engine.predict(batch.x), await exact.predict(batch.x))).toBeLessThan(1e-5);
    const [a, b] = [await gradientsOf(engine, kind, batch), await gradientsOf(exact, kind, batch)];
    for (const [name, gradient] of Object.entries(b.gradients))
      expect(farthest(a.gradients[name], gradient), name).toBeLessThan(1e-5);
    engine.close();
  });

  test("the gradients are those of finite differences", async () => {
    const batch = rows(kind, [2, 3], 4);
    const report = await gradcheck(network(kind, 4), { x: batch.x, y: batch.y }, { loss: lossOf(kind) });
    expect(report.passed).toBe(true);
  });
});

test("numbers of words: 0 is padding where the embedding says so", async () => {
  const model = (length: number): Model =>
    sequential({ input: [length], seed: 1, backend: reference("float64") }, [
      embedding(9, 4, { maskZero: true }),
      multiHeadAttention({ heads: 2 }),
      gru(3),
      dense(2),
    ]);
  const long = await model(6).predict([3, 5, 1, 0, 0, 0]);
  expect(farthest(long, await model(3).predict([3, 5, 1]))).toBeLessThan(3e-7);
});

test("padding before the sequence, and a row of nothing else", async () => {
  const model = sequential({ input: [4, 1], seed: 1 }, [masking({ value: -1 }), lstm(3)]);
  const [before, after] = [await model.predict([-1, -1, 0.3, 0.5]), await model.predict([0.3, 0.5, -1, -1])];
  expect([...before]).toEqual([...after]);
  expect([...(await model.predict([-1, -1, -1, -1]))]).toEqual([0, 0, 0]);
  model.close();
});

test("accuracy leaves padding out", async () => {
  // Class 0 wins at each place: right at two of three, and at all the padding, which does not count.
  const model = sequential({ input: [5, 2], seed: 1 }, [masking(), dense(2)]);
  model.setWeight("dense_1.kernel", [1, -1, 1, -1]);
  const x = [1, 1, 2, 2, 3, 3, 0, 0, 0, 0];
  const scores = await model.evaluate({ x, y: [0, 0, 1, 0, 0] }, { loss: "crossEntropy", metrics: ["accuracy"] });
  expect(scores.accuracy).toBeCloseTo(2 / 3, 6);
  model.close();
});

test("what would mix padding with the rest does not take it", () => {
  expect(() => sequential({ input: [5, 2] }, [masking(), flatten(), dense(2)])).toThrow(
    /Layer flatten_1: it would mix padding with the rest/,
  );
  expect(() => sequential({ input: [5, 2] }, [masking(), conv1d(3, 2)])).toThrow(
    /of 4 it would not be known which are/,
  );
});
