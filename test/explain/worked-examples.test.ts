/** The worked examples of the literature, told by explain: exactly these numbers, to six digits. */
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { type Explanation, reportText, stepReport } from "../../src/explain/index.ts";

const lines: string[] = [];
beforeAll(() => {
  vi.spyOn(console, "log").mockImplementation((...parts: unknown[]) => void lines.push(parts.join(" ")));
});
afterAll(() => {
  vi.restoreAllMocks();
});

const result = (step: Explanation, name: string): readonly number[] =>
  step.forward.flatMap(({ results }) => results).find((each) => each.name === name)!.values!;
const gradient = (step: Explanation, name: string): readonly number[] =>
  step.backward.flatMap(({ results, parameters }) => [...results, ...parameters]).find((each) => each.name === name)!
    .values!;
const updated = (step: Explanation, name: string): readonly number[] =>
  step.update.find(({ parameter }) => parameter === name)!.after.values!;

/** Six significant digits, or seven places where the literature gives a 0. */
function expectDigits(actual: readonly number[], expected: readonly number[]): void {
  expect(actual.length).toBe(expected.length);
  for (const [i, value] of expected.entries()) {
    // Weights are stored in single precision, so 0.4 is 0.400000006: half a unit of the sixth digit, and that.
    expect(Math.abs(actual[i] - value)).toBeLessThan(
      Math.max(1e-7, 0.6 * 10 ** (Math.floor(Math.log10(Math.abs(value || 1))) - 5)),
    );
  }
}

test("1: the forward pass", async () => {
  const { step } = await import("../../examples/1-forward-pass.ts");
  expectDigits(result(step, "dense_1.z"), [0.3, 0.34]);
  expectDigits(result(step, "dense_1.a"), [0.291313, 0.327477]);
  expectDigits(result(step, "dense_2.z"), [0.429537]);
  expectDigits(result(step, "dense_2.a"), [0.605763]);
});

test("2: the backward pass of the same net", async () => {
  const { step } = await import("../../examples/2-backward-pass.ts");
  expectDigits(gradient(step, "dense_2.z"), [-0.0941494]);
  expectDigits(gradient(step, "dense_2.kernel"), [-0.0274269, -0.0308318]);
  expectDigits(gradient(step, "dense_1.z"), [-0.0689277, -0.0504316]);
  expectDigits(updated(step, "dense_2.kernel"), [0.802743, 0.603083]);
  expectDigits(updated(step, "dense_1.kernel"), [0.403446, 0.302522, 0.201379, 0.701009, 0.600689, 0.500504]);
});

test("3: a ReLU net whose dead unit is named as dead", async () => {
  const { step } = await import("../../examples/3-dead-unit.ts");
  expectDigits(result(step, "dense_1.z"), [1, -0.5]);
  expectDigits(result(step, "dense_1.a"), [1, 0]);
  expectDigits(result(step, "dense_2.z"), [0.6, -0.2]);
  expectDigits(result(step, "dense_2.a"), [0.6, 0]);
  expectDigits([step.loss.value], [0.08]);
  expectDigits(gradient(step, "dense_2.kernel"), [-0.4, 0, 0, 0]);
  expectDigits(gradient(step, "dense_1.kernel"), [-0.3, 0]);
  expect(step.forward[0].notes).toMatchObject([{ kind: "dead", layer: "dense_1", units: [1] }]);
  expect(reportText(stepReport(step))).toContain("Unit 1 of dense_1 is dead");
});

test("4: activations", async () => {
  const { results } = await import("../../examples/4-activations.ts");
  expectDigits(results.sigmoid, [0.268941, 0.5, 0.731059]);
  expectDigits(results.relu, [0, 0, 1]);
  expectDigits(results.tanh, [-0.761594, 0, 0.761594]);
});

test("5: losses", async () => {
  const { squared, entropy } = await import("../../examples/5-losses.ts");
  expectDigits([squared.loss.value], [0.0466667]);
  expectDigits([entropy.loss.value], [0.356675]);
});

test("6: one update by gradient descent", async () => {
  const { step } = await import("../../examples/6-one-update.ts");
  expectDigits(gradient(step, "dense_1.kernel"), [0.1, 0.2]);
  expectDigits(updated(step, "dense_1.kernel"), [0.499, 0.298]);
});

test("8: ten layers: first gradient = finite difference; each stored derivative computed once", async () => {
  const { step, checks, plan } = await import("../../examples/8-ten-layers.ts");
  for (const { chain, finiteDifference } of checks) {
    expect(finiteDifference.agrees).toBe(true);
    expect(Math.abs(chain.total - chain.gradient)).toBeLessThanOrEqual(1e-12);
  }
  expect(plan.computedOnce).toBe(true);
  const stores = plan.steps.flatMap((each) => each.stores);
  for (const { layer } of step.forward) expect(stores.filter((name) => name === `∂L/∂${layer}.z`)).toHaveLength(1);
});
