/**
 * Every optimiser's way over fifty steps equals PyTorch's: in float64 through the reference, in single precision
 * through WebAssembly, with the very graph maths that trains networks.
 */
import { type Optimizer, optimizerNamed, optimizerNames, reference, wasm } from "chainrule";
import { describe, expect, test } from "vitest";
import type { ImmediateBackend } from "../../src/backends/backend.ts";
import { constant, input, variable } from "../../src/graph/leaf.ts";
import type { Node } from "../../src/graph/node.ts";
import { add, gradientsOf, matmul, mean, mul, sub, sum } from "../../src/ops/index.ts";
import { makePlan } from "../../src/plan/plan.ts";
import { fixture, relativeError, type Stored } from "../support/fixtures.ts";

interface Trajectory {
  readonly name: string;
  readonly rule: string;
  readonly options: Record<string, unknown>;
  readonly weights: Record<"w" | "b", number[][]>;
}

const { a, t, trajectories } = fixture<{ a: Stored; t: Stored; trajectories: Trajectory[] }>("optimizers");

/** Fifty steps on L = mean((a w + b − t)²) + 0.05 Σ w⁴ + 0.02 Σ b⁴; the weights after each. */
function follow(optimizer: Optimizer, start: Trajectory["weights"], backend: ImmediateBackend) {
  const [w, b] = [variable("w", [2, 2]), variable("b", [2])];
  const square = (x: Node) => mul(x, x);
  const fourth = (x: Node) => square(square(x));
  const error = sub(
    add(matmul(constant(Float64Array.from(a.data), a.shape), w), b),
    constant(Float64Array.from(t.data), t.shape),
  );
  const loss = add(mean(square(error)), add(mul(0.05, sum(fourth(w))), mul(0.02, sum(fourth(b)))));
  const scalars = Object.fromEntries(Object.keys(optimizer.scalars(1)).map((name) => [name, input(name, [])]));
  const parameters = [w, b];
  const states = parameters.map((p) =>
    Object.fromEntries(optimizer.state.map((name) => [name, variable(name, p.shape)])),
  );
  const gradients = gradientsOf(loss, parameters);
  const next = optimizer.update(
    parameters.map((p, i) => ({ scope: "", w: p, dw: gradients[i], state: states[i], scalars })),
  );
  const updates = next.flatMap((result, i) => [
    { variable: parameters[i], value: result.w },
    ...Object.entries(result.state ?? {}).map(([name, value]) => ({ variable: states[i][name], value })),
  ]);
  const session = backend.open();
  session.write(w, start.w[0]);
  session.write(b, start.b[0]);
  for (const state of states)
    for (const node of Object.values(state))
      session.write(node, new Float64Array(node.shape.reduce((n, m) => n * m, 1)));
  const executable = session.compile(makePlan({ inputs: Object.values(scalars), outputs: [loss], updates }));
  const way: { w: number[][]; b: number[][] } = { w: [], b: [] };
  for (let step = 1; step <= 50; step++) {
    const numbers = optimizer.scalars(step);
    executable.run(Object.keys(scalars).map((name) => Float64Array.of(numbers[name])));
    way.w.push([...session.read(w)]);
    way.b.push([...session.read(b)]);
  }
  return way;
}

test("every optimiser has a trajectory", () => {
  expect(new Set(trajectories.map(({ rule }) => rule))).toEqual(new Set(optimizerNames()));
});

describe.each(trajectories)("$name", ({ rule, options, weights }) => {
  // The fixture holds 12 digits. In single precision errors are relative to the parameter's largest element.
  test.each([
    { backend: reference("float64"), tolerance: 1e-11, size: () => 0.01 },
    { backend: wasm(), tolerance: 1e-5, size: (w: number[]) => Math.max(...w.map(Math.abs)) },
  ])("equals PyTorch's trajectory ($backend.name)", ({ backend, tolerance, size }) => {
    const way = follow(optimizerNamed(rule, options), weights, backend);
    const errors = (["w", "b"] as const).flatMap((key) =>
      way[key].map((w, k) => relativeError(w, weights[key][k + 1], size(weights[key][k + 1]))),
    );
    expect(Math.max(...errors)).toBeLessThan(tolerance);
  });
});

test("wrong options are named", () => {
  const make = (name: string, options: Record<string, unknown>) => () => optimizerNamed(name, options);
  expect(make("adamm", {})).toThrow(/no optimiser called "adamm".*adam/);
  expect(make("sgd", { learningRate: -1 })).toThrow(/learningRate must be a number above 0; -1 came/);
  expect(make("sgd", { nesterov: true })).toThrow(/nesterov needs a momentum/);
  expect(make("adam", { beta2: 1 })).toThrow(/beta2/);
  expect(make("adamw", { weightDecay: -1 })).toThrow(/weightDecay/);
  const clipped = optimizerNamed("sgd", { clipNorm: 0 });
  expect(() => clipped.update([])).toThrow(/clipNorm/);
});
