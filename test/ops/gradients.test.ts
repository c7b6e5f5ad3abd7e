/**
 * Every op, from its own cases: the shape rule gives the shape that is computed, and the gradient equals central finite
 * differences in float64. A new op is tested here without another line.
 */
import { describe, expect, test } from "vitest";
import { reference } from "../../src/backends/reference/reference.ts";
import { constant } from "../../src/graph/leaf.ts";
import type { Node } from "../../src/graph/node.ts";
import { type AnyArray, allOps, type Op } from "../../src/graph/op.ts";
import { sizeOf } from "../../src/graph/shape.ts";
import { ABOUT, casesOf, explanationOf } from "../../src/ops/about.ts";
import { add, gradientsOf, mul, sum } from "../../src/ops/index.ts";
import { makePlan } from "../../src/plan/plan.ts";
import { RandomStream } from "../../src/random.ts";
import { buildCase } from "../support/draw.ts";

function compute(inputs: readonly Node[], outputs: readonly Node[]): (values: readonly AnyArray[]) => AnyArray[] {
  const session = reference("float64").open();
  const executable = session.compile(makePlan({ inputs, outputs }));
  return (values) => [...executable.run(values).outputs];
}

/** L = Σ wᵢ yᵢ with fixed random weights, so that every element of y counts differently. */
function weightedSum(y: Node): Node {
  const stream = new RandomStream(1, "weights");
  const weights = Float64Array.from({ length: sizeOf(y.shape) }, () => stream.uniform() + 0.5);
  return sum(mul(y, constant(weights, y.shape)));
}

/** Central differences of L with respect to one input, ε = 1e-5. */
function finiteDifferences(
  loss: (values: readonly AnyArray[]) => number,
  values: readonly AnyArray[],
  which: number,
): number[] {
  const epsilon = 1e-5;
  const shifted = values.map((v) => v.slice());
  return Array.from(values[which], (value, i) => {
    shifted[which][i] = value + epsilon;
    const above = loss(shifted);
    shifted[which][i] = value - epsilon;
    const below = loss(shifted);
    shifted[which][i] = value;
    return (above - below) / (2 * epsilon);
  });
}

/** The largest difference relative to the gradient's own size; 1 stands in for gradients near 0. */
function relativeError(actual: ArrayLike<number>, expected: readonly number[]): number {
  const scale = Math.max(1, ...expected.map(Math.abs));
  return Math.max(0, ...expected.map((e, i) => Math.abs(actual[i] - e) / scale));
}

const ops = [...allOps().values()].filter((op) => op.meaning.kind !== "leaf");

test("every op has cases and an explanation", () => {
  const namesWithout = (what: (op: Op) => unknown) => ops.filter((op) => !what(op)).map((op) => op.name);
  expect(namesWithout((op) => casesOf(op).length)).toEqual([]);
  expect(namesWithout(explanationOf)).toEqual([]);
  expect([...ABOUT.keys()].filter((name) => !allOps().has(name))).toEqual([]);
});

describe.each(ops.map((op) => [op.name, op] as const))("%s", (_, op) => {
  test.each(casesOf(op).map((_, i) => i))("case %i: the shape rule gives the shape that is computed", (index) => {
    const { inputs, y, values } = buildCase(op, index);
    const [result] = compute(inputs, [y])(values);
    expect(result.length).toBe(sizeOf(y.shape));
    expect([...result].every(Number.isFinite)).toBe(true);
  });

  if (!op.backward) return;
  test.each(casesOf(op).map((_, i) => i))("case %i: the gradient equals central differences", (index) => {
    const { inputs, y, values } = buildCase(op, index);
    const wrt = inputs.filter((x) => x.dtype === "float");
    const loss = weightedSum(y);
    const gradients = compute(inputs, gradientsOf(loss, wrt))(values);
    const lossOf = compute(inputs, [loss]);
    for (const [i, x] of wrt.entries()) {
      const expected = finiteDifferences((v) => lossOf(v)[0][0], values, inputs.indexOf(x));
      expect(relativeError(gradients[i], expected)).toBeLessThanOrEqual(1e-6);
    }
  });

  test("the gradient of the gradient equals central differences", () => {
    const { inputs, y, values } = buildCase(op, 0);
    const wrt = inputs.filter((x) => x.dtype === "float");
    const first = gradientsOf(weightedSum(y), wrt);
    const loss = first.map(weightedSum).reduce((a, b) => add(a, b));
    const gradients = compute(inputs, gradientsOf(loss, wrt))(values);
    const lossOf = compute(inputs, [loss]);
    for (const [i, x] of wrt.entries()) {
      const expected = finiteDifferences((v) => lossOf(v)[0][0], values, inputs.indexOf(x));
      expect(relativeError(gradients[i], expected)).toBeLessThanOrEqual(1e-6);
    }
  });
});
