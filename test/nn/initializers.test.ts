/** Initial values: their spread against the formulas, orthogonality, and that one seed decides them. */
import { defineInitializer, dense, initializerNames, RandomStream, sequential } from "chainrule";
import { describe, expect, test } from "vitest";
import { fans, initializer } from "../../src/nn/initializers.ts";

const shape = [200, 300];
const draw = (name: string, of: readonly number[] = shape, seed = 1) =>
  initializer(name)(of, new RandomStream(seed, "init"));
const moments = (values: Float32Array) => {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  return { mean, deviation: Math.sqrt(values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length) };
};

// fan-in 200, fan-out 300; a uniform distribution up to l has the deviation l/√3.
describe.each([
  ["random", 0.01],
  ["random(0.3)", 0.3],
  ["uniform(0.6)", 0.6 / Math.sqrt(3)],
  ["xavier", Math.sqrt(1 / 200)],
  ["glorotNormal", Math.sqrt(2 / 500)],
  ["glorotUniform", Math.sqrt(2 / 500)],
  ["he", Math.sqrt(2 / 200)],
  ["kaiming", Math.sqrt(2 / 200)],
  ["heUniform", Math.sqrt(2 / 200)],
  ["kaimingUniform", Math.sqrt(2 / 200)],
  ["lecun", Math.sqrt(1 / 200)],
  ["lecunUniform", Math.sqrt(1 / 200)],
  // A normal distribution cut off at 2σ keeps 0.8796 of its deviation.
  ["truncatedNormal(0.5)", 0.5 * 0.87962566],
  ["orthogonal", Math.sqrt(1 / 300)],
])("%s", (name, deviation) => {
  test(`has mean 0 and deviation ${deviation.toFixed(4)}`, () => {
    const found = moments(draw(name));
    // 60,000 numbers: the mean's own deviation is 0.4 % of theirs, the deviation's 0.3 %.
    expect(Math.abs(found.mean)).toBeLessThan(0.02 * deviation);
    expect(Math.abs(found.deviation / deviation - 1)).toBeLessThan(0.015);
  });

  test("is the same for the same seed only", () => {
    expect(draw(name, [5, 7])).toEqual(draw(name, [5, 7]));
    expect(draw(name, [5, 7])).not.toEqual(draw(name, [5, 7], 2));
  });
});

test("constants", () => {
  expect([
    ...draw("zeros", [2]),
    ...draw("ones", [2]),
    ...draw("constant(0.25)", [2]),
    ...initializer(3)([1], new RandomStream(0, "")),
  ]).toEqual([0, 0, 1, 1, 0.25, 0.25, 3]);
});

test("a truncated normal has nothing beyond two deviations", () => {
  expect(Math.max(...draw("truncatedNormal(0.5)").map(Math.abs))).toBeLessThanOrEqual(1);
});

test.each([[[6, 4]], [[4, 6]], [[3, 3, 2, 5]], [[5, 5]]])(
  "orthogonal %j has orthonormal columns, or rows if fewer",
  (of) => {
    const w = draw("orthogonal(2)", of);
    const columns = of[of.length - 1];
    const rows = w.length / columns;
    const at = (i: number, k: number) => (rows >= columns ? w[k * columns + i] : w[i * columns + k]);
    const [count, length] = [Math.min(rows, columns), Math.max(rows, columns)];
    for (let i = 0; i < count; i++) {
      for (let j = 0; j < count; j++) {
        let dot = 0;
        for (let k = 0; k < length; k++) dot += at(i, k) * at(j, k);
        expect(dot).toBeCloseTo(i === j ? 4 : 0, 5);
      }
    }
  },
);

test("fans of a convolution count the window", () => {
  expect(fans([3, 3, 8, 16])).toEqual({ fanIn: 72, fanOut: 144 });
});

test("a layer's usual initialiser follows its activation", () => {
  const deviation = (activation: string) =>
    moments(sequential({ input: [400], seed: 1 }, [dense(100, { activation })]).weight("dense_1.kernel")).deviation;
  expect(deviation("relu") / Math.sqrt(2 / 400)).toBeCloseTo(1, 1);
  expect(deviation("leakyRelu(0.2)") / Math.sqrt(2 / 400)).toBeCloseTo(1, 1);
  expect(deviation("selu") / Math.sqrt(1 / 400)).toBeCloseTo(1, 1);
  expect(deviation("tanh") / Math.sqrt(2 / 500)).toBeCloseTo(1, 1);
});

test("an initialiser of one's own", () => {
  defineInitializer("ramp", ([n, m]) => Float32Array.from({ length: n * m }, (_, i) => i));
  expect([...sequential({ input: [2] }, [dense(2, { init: "ramp" })]).weight("dense_1.kernel")]).toEqual([0, 1, 2, 3]);
  defineInitializer("short", () => new Float32Array(1));
  expect(() => sequential({ input: [2] }, [dense(2, { init: "short" })])).toThrow(
    /"short" gave 1 numbers.*\[2, 2\].*4/,
  );
  expect(initializerNames()).toContain("ramp");
});

test("what is not an initialiser is said so", () => {
  expect(() => dense(2, { init: "hee" })).toThrow(/no initialiser called "hee".*he,/);
  expect(() => dense(2, { init: "he(3)" })).toThrow(/"he\(3\)"/);
});
