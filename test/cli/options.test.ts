/** The small languages of the command line, and the text it prints: without a process. */
import { describe, expect, test } from "vitest";
import { didYouMean } from "../../src/checks.ts";
import { readLayers } from "../../src/cli/options/layers.ts";
import { readLoss } from "../../src/cli/options/losses.ts";
import { readOptimizer, readSchedule } from "../../src/cli/options/optimizers.ts";
import { progressLine } from "../../src/cli/report/progress.ts";
import type { ClassScores } from "../../src/cli/report/scores.ts";
import { scoreLines } from "../../src/cli/report/test-report.ts";
import { bar, duration, measure, name, quote, sparkline } from "../../src/cli/terminal/text.ts";

describe("--layers", () => {
  test("positional arguments, keys, bare activations", () => {
    expect(
      readLayers("dense 8 relu he, dropout 0.2,dense units=3 bias=false, tanh, rescale 1/4, dense 2 init=0.5"),
    ).toEqual([
      { kind: "dense", config: { units: 8, activation: "relu", init: "he" } },
      { kind: "dropout", config: { rate: 0.2 } },
      { kind: "dense", config: { units: 3, bias: false } },
      { kind: "activation", config: { activation: "tanh" } },
      { kind: "rescale", config: { scale: 0.25 } },
      { kind: "dense", config: { units: 2, init: 0.5 } },
    ]);
    expect(readLayers("dense 8 leakyRelu(0.2)")[0].config).toMatchObject({ activation: "leakyRelu(0.2)" });
  });

  test("layers of pictures", () => {
    expect(readLayers("conv2d 8 3x5 relu stride=2 padding=same, maxPool2d, batchNorm momentum=0.9")).toMatchObject([
      { kind: "conv2d", config: { filters: 8, size: [3, 5], activation: "relu", stride: 2, padding: "same" } },
      { kind: "maxPool2d", config: { size: 2 } },
      { kind: "batchNorm", config: { momentum: 0.9 } },
    ]);
  });

  test.each([
    ["conv2d 8 relu", /size is "relu", but a whole number above 0, or two as 3x5/],
    ["", /empty place/],
    ["dense 8,, dense 2", /empty place/],
    ["dense", /lacks units: a whole number above 0/],
    ["dense -3", /units is "-3"/],
    ["dense 1.5", /units is "1.5"/],
    ["dropout 0.5 0.6", /one argument too many, "0.6"/],
    ["dense 8 units=9", /units twice/],
    ["dense 8 colour=red", /no argument "colour". It takes units, activation, init, bias/],
    ["dense 8 activatoin=relu", /Did you mean "activation"/],
    ["dense 8 init=hee", /no initialiser called "hee"/],
    ["dropout 1.5", /rate must be a number from 0/],
    ["constructor", /no layer "constructor"/],
    ["__proto__ 3", /no layer "__proto__"/],
  ])("%s is refused", (text, message) => {
    expect(() => readLayers(text)).toThrow(message);
  });
});

test("--optimizer, --schedule and --loss", () => {
  expect(readOptimizer("sgd momentum=0.9 nesterov=true")(0.1)).toMatchObject({
    name: "sgd",
    config: { learningRate: 0.1, momentum: 0.9, nesterov: true },
  });
  expect(readOptimizer("adam")().config.learningRate).toBe(0.001);
  expect(() => readOptimizer("adam beta3=1")).toThrow(/It takes beta1/);
  expect(() => readOptimizer("adam beta1=2")()).toThrow(/--optimizer "adam beta1=2": adam: beta1 must be/);
  expect(readSchedule("constant")(0.1, 10)).toBe(0.1);
  expect(() => readSchedule("cosin")).toThrow(/"cosin".*"cosine"/);
  expect(readLoss("huber delta=2")).toMatchObject({ name: "huber", options: { delta: 2 } });
  expect(readLoss("mse").name).toBe("meanSquaredError");
  expect(() => readLoss("huber delta=-2")).toThrow(/delta must be/);
});

test("the nearest word is proposed, a far one is not", () => {
  expect(didYouMean("desne", ["dense", "dropout"])).toBe(' Did you mean "dense"?');
  expect(didYouMean("zebra", ["dense", "dropout"])).toBe("");
});

describe("text", () => {
  test("numbers, durations, bars", () => {
    expect([0.5, 12345.6, 1e-7, 0, Number.NaN].map(measure)).toEqual(["0.5000", "12,346", "1.000e-7", "0", "NaN"]);
    expect([0.0123, 3, 75, 7300].map(duration)).toEqual(["12 ms", "3.0 s", "1 min 15 s", "2 h 1 min"]);
    expect(bar(0.5, 4)).toEqual({ full: "━━", rest: "──" });
    expect(sparkline([1, 10, 100], 9)).toBe("▁▅█");
    expect(quote("it's")).toBe("'it'\\''s'");
  });

  test("names from files cannot steer the terminal", () => {
    expect(name("a\u001b[2Jb\u0007\n\u202e")).toBe("a?[2Jb???");
    expect(name("x".repeat(50), 10)).toBe(`${"x".repeat(9)}…`);
  });

  test("the line of progress fits, however narrow the terminal", () => {
    const progress = { epoch: 12, epochs: 100, step: 3, steps: 937, samplesPerSecond: 123456 };
    const scores = { loss: 0.0123456, accuracy: 0.98765 };
    for (const width of [20, 30, 40, 60, 80, 200]) {
      const { head, full, rest, tail } = progressLine({ ...progress, scores }, 3700, scores, width);
      expect(`${head}  ${full}${rest}  ${tail}`.length).toBeLessThanOrEqual(width - 1);
    }
    expect(progressLine({ ...progress, scores }, 3700, undefined, 80).tail).toContain("1 h 1 min left");
  });

  test.each([2, 3, 10, 11, 26, 200])("the report of %i classes fits into 80 columns", (classes) => {
    const confusion = Array.from({ length: classes }, (_, i) =>
      Array.from({ length: classes }, (_, j) => (i === j ? 12345 : (i * j) % 3)),
    );
    const count = confusion.flat().reduce((a, b) => a + b);
    const scores: ClassScores = { task: "classification", count, loss: 0.1, accuracy: 0.97, confusion };
    const titles = confusion.map((_, i) => `class with a long name ${i}`);
    const lines = scoreLines("Test", scores, titles, { paint: (_, text) => text, width: 80 });
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(80);
  });
});
