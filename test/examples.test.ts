/** The examples beside the worked ones of the literature (explain/worked-examples.test.ts): they run, and do what they say. */
import { afterAll, beforeAll, expect, test, vi } from "vitest";

beforeAll(() => {
  vi.spyOn(console, "log").mockImplementation(() => {});
});
afterAll(() => {
  vi.restoreAllMocks();
});

test("a training loop by hand finds the line", async () => {
  const { line, losses } = await import("../examples/training-loop.ts");
  expect(losses[0]).toBe(9); // (1 + 1 + 9 + 25) / 4
  // ∂L/∂w = −2 · mean(x t) = −7 and ∂L/∂b = −2 · mean(t) = −4, so w = 0.7, b = 0.4: errors −0.7, 0.6, 1.9, 3.2.
  expect(losses[1]).toBeCloseTo((0.49 + 0.36 + 3.61 + 10.24) / 4, 5);
  expect(line.w).toBeCloseTo(2, 5);
  expect(line.b).toBeCloseTo(1, 5);
});

test("frozen layers stay what they were, and the new last one learns from few rows", async () => {
  const { accuracy, before, student, taken } = await import("../examples/transfer.ts");
  expect(taken.map((name) => student.weight(name))).toEqual(before);
  expect(accuracy).toBeGreaterThan(0.93); // always "no" would be right for two thirds
});

test("a layer and a loss of one's own have right gradients, and learn", async () => {
  const { r2, report } = await import("../examples/own-layer.ts");
  expect(report.passed).toBe(true);
  expect(report.parameters.map(({ parameter }) => parameter)).toEqual([
    "radial_1.centres",
    "dense_1.kernel",
    "dense_1.bias",
  ]);
  expect(r2).toBeGreaterThan(0.97);
});
