/** Every activation and its derivative against PyTorch's, in float64, and in single precision without overflow. */
import { defineActivation, dense, reference, sequential, wasm } from "chainrule";
import { describe, expect, test } from "vitest";
import { input } from "../../src/graph/leaf.ts";
import { activationNamed, activationNames } from "../../src/nn/activations.ts";
import { gradientsOf, mul, sum } from "../../src/ops/index.ts";
import { fixture, relativeError, type Stored } from "../support/fixtures.ts";
import { run } from "../support/run.ts";

const { x, elementwise, rows } = fixture<{
  x: number[];
  elementwise: Record<string, { y: number[]; dx: number[] }>;
  rows: { x: Stored; dy: Stored; softmax: { y: Stored; dx: Stored }; logSoftmax: { y: Stored; dx: Stored } };
}>("activations");

function valueAndSlope(name: string, backend = reference("float64")) {
  const z = input("z", [x.length]);
  const a = activationNamed(name)(z);
  return run([a, gradientsOf(sum(a), [z])[0]], new Map([[z, x]]), backend);
}

test("there is a fixture for every activation", () => {
  const known = new Set([...Object.keys(elementwise), "softmax", "logSoftmax", "linear", "swish"]);
  expect(activationNames().filter((name) => !known.has(name))).toEqual([]);
});

describe.each(Object.keys(elementwise))("%s", (name) => {
  const { y, dx } = elementwise[name];
  // At −3, a kink, PyTorch takes hardSwish's slope from the right; ours is 0, the mean of both sides being neither.
  const smooth = [...x.keys()].filter((i) => name !== "hardSwish" || x[i] !== -3);
  const at = (values: ArrayLike<number>) => smooth.map((i) => values[i]);

  test("equals PyTorch's", () => {
    const [value, slope] = valueAndSlope(name);
    expect(relativeError(at(value), at(y), 1e-3)).toBeLessThan(1e-11);
    // PyTorch keeps the sixth of hardSigmoid in single precision.
    expect(relativeError(at(slope), at(dx), 1e-3)).toBeLessThan(name === "hardSigmoid" ? 1e-7 : 1e-11);
  });

  test.each([reference("float32"), wasm()])("is finite in single precision up to ±90 ($name)", (backend) => {
    const [value, slope] = valueAndSlope(name, backend);
    expect([...value, ...slope].every(Number.isFinite)).toBe(true);
    expect(relativeError(at(value), at(y), 1)).toBeLessThan(1e-5);
    expect(relativeError(at(slope), at(dx), 1)).toBeLessThan(1e-5);
  });
});

test.each(["softmax", "logSoftmax"] as const)("%s equals PyTorch's, over rows", (name) => {
  const z = input("z", rows.x.shape);
  const dy = input("dy", rows.dy.shape);
  const a = activationNamed(name)(z);
  const [dz] = gradientsOf(sum(mul(a, dy)), [z]);
  const [y, dx] = run(
    [a, dz],
    new Map([
      [z, rows.x.data],
      [dy, rows.dy.data],
    ]),
  );
  expect(relativeError(y, rows[name].y.data)).toBeLessThan(1e-11);
  expect(relativeError(dx, rows[name].dx.data, 1e-3)).toBeLessThan(1e-11);
});

test("a number in brackets sets the slope", () => {
  const z = input("z", [3]);
  const given = new Map([[z, [-2, 0, 2]]]);
  expect([...run([activationNamed("leakyRelu(0.25)")(z)], given)[0]]).toEqual([-0.5, 0, 2]);
  expect(run([activationNamed("elu(2)")(z)], given)[0][0]).toBeCloseTo(2 * (Math.exp(-2) - 1), 14);
  // Keras 2's form: 0.2 z + ½, which meets 0 and 1 at ∓2.5.
  const [hard] = run([activationNamed("hardSigmoid(0.2)")(z)], new Map([[z, [-2.6, 0.5, 2.4]]]));
  for (const [i, wanted] of [0, 0.6, 0.98].entries()) expect(hard[i]).toBeCloseTo(wanted, 14);
});

test("what is not an activation is said so", () => {
  expect(() => dense(3, { activation: "rellu" })).toThrow(/no activation called "rellu".*relu/);
  expect(() => dense(3, { activation: "tanh(2)" })).toThrow(/tanh takes no number/);
});

test("an activation of one's own works in a layer", async () => {
  defineActivation("cube", (z) => mul(z, mul(z, z)));
  const model = sequential({ input: [1] }, [dense(1, { activation: "cube" })]);
  model.setWeight("dense_1.kernel", [2]);
  expect([...(await model.predict([[3]]))]).toEqual([216]);
});
