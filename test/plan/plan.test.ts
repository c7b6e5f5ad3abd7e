/** Plans: what is fused, what is computed once, where results lie, and that updates see the old values. */
import { describe, expect, test } from "vitest";
import { reference } from "../../src/backends/reference/reference.ts";
import { compilePlan } from "../../src/backends/wasm/compile.ts";
import { wasm } from "../../src/backends/wasm/session.ts";
import { constant, input, variable } from "../../src/graph/leaf.ts";
import type { Node } from "../../src/graph/node.ts";
import { applyOp, defineOp } from "../../src/graph/op.ts";
import { s } from "../../src/graph/scalar.ts";
import { sizeOf } from "../../src/graph/shape.ts";
import {
  add,
  div,
  exp,
  gather,
  gradientsOf,
  matmul,
  mean,
  mul,
  relu,
  reshape,
  softmaxCrossEntropy,
  sub,
  sum,
  tanh,
} from "../../src/ops/index.ts";
import { makePlan, type Step, showPlan, stepName } from "../../src/plan/plan.ts";
import { SINGLE_PRECISION } from "../../src/plan/target.ts";

const names = (outputs: readonly Node[], inputs: readonly Node[] = []) =>
  makePlan({ inputs, outputs }).steps.map(stepName);

describe("fusion", () => {
  const [x, w, b] = [input("x", [8, 5]), input("w", [5, 6]), input("b", [6])];

  test("bias and activation are done at the end of the matrix product", () => {
    expect(names([relu(add(matmul(x, w), b))], [x, w, b])).toEqual(["matmul+add+relu"]);
  });

  test("a chain of elementwise ops is one step, and so is the sum at its end", () => {
    expect(names([tanh(mul(add(x, 1), x))], [x])).toEqual(["add+mul+tanh"]);
    expect(names([sum(mul(x, x), 0)], [x])).toEqual(["mul+sum"]);
  });

  test("what is made only to be summed up is made by the loop that sums, unless the sum is of another shape", () => {
    const scaled = () => mul(matmul(x, w), b);
    expect(names([sum(scaled(), 0)], [x, w, b])).toEqual(["matmul", "mul+sum"]);
    expect(names([sum(reshape(scaled(), [2, 24]), 0)], [x, w, b])).toEqual(["matmul+mul", "sum"]);
  });

  test("what needs a finished sum waits for it", () => {
    expect(names([sub(x, mean(x, 0))], [x])).toEqual(["sum", "mul", "sub"]);
  });

  test("a result that is read under another shape as well is stored first", () => {
    const v = input("v", [6]);
    const t = tanh(v);
    const y = add(t, reshape(reshape(t, [2, 3]), [6]));
    const plan = makePlan({ inputs: [v], outputs: [y] });
    const given = Float32Array.of(-2, -1, 0, 0.5, 1, 2);
    const [expected, actual] = [reference("float32"), wasm({ threads: 1 })].map((backend) => [
      ...backend.open().compile(plan).run([given]).outputs[0],
    ]);
    for (const [i, value] of expected.entries()) expect(actual[i]).toBeCloseTo(value, 6);
  });

  test("equal parts are computed once", () => {
    const e = () => exp(matmul(x, w));
    expect(names([add(e(), e())], [x, w])).toEqual(["matmul+exp+add"]);
  });

  test("a loss and its gradient share the softmax", () => {
    const z = input("z", [8, 5]);
    const loss = sum(softmaxCrossEntropy(z, x));
    const exps = makePlan({ inputs: [z, x], outputs: [loss, ...gradientsOf(loss, [z])] })
      .steps.flatMap((step) => step.nodes)
      .filter((node) => node.op.name === "exp");
    expect(exps).toHaveLength(1);
  });
});

describe("a plan for a target", () => {
  const [x, w, b] = [input("x", [8, 5]), input("w", [5, 6]), input("b", [6])];
  const y = relu(mul(add(matmul(x, w), b), tanh(b)));
  const request = { inputs: [x, w, b], outputs: [y] };

  test("no step touches more arrays than may be bound, and the results are the same", () => {
    const whole = makePlan(request);
    const cut = makePlan(request, { ...SINGLE_PRECISION, mostArrays: 3 });
    const arrays = (step: Step) => new Set([...step.reads, ...step.stores.values()]).size;
    expect(Math.max(...whole.steps.map(arrays))).toBeGreaterThan(3);
    expect(Math.max(...cut.steps.map(arrays))).toBeLessThanOrEqual(3);
    const given = [x, w, b].map(({ shape }, k) =>
      Float32Array.from({ length: sizeOf(shape) }, (_, i) => Math.sin(i + k)),
    );
    const [a, c] = [whole, cut].map((plan) => wasm({ threads: 1 }).open().compile(plan).run(given).outputs[0]);
    expect(c).toEqual(a);
  });

  test("elements take the bytes, and arrays begin at the multiples, that the target says", () => {
    const double = { ...SINGLE_PRECISION, bytes: { byte: 1, int: 4, float: 8 }, alignment: 256 };
    const { slots } = makePlan(request, double);
    expect(slots.get(x)!.bytes).toBe(8 * 5 * 8);
    for (const { offset } of slots.values()) expect(offset % 256).toBe(0);
  });
});

describe("equal nodes", () => {
  test("constants are told apart as Object.is does", () => {
    const x = input("x", [2]);
    const [inf, nan] = [Number.POSITIVE_INFINITY, Number.NaN];
    const outputs = [mul(x, inf), mul(x, -inf), add(x, nan), div(x, -0), div(x, 0)];
    for (const backend of [reference(), wasm({ threads: 1 })]) {
      const run = backend
        .open()
        .compile(makePlan({ inputs: [x], outputs }))
        .run([Float32Array.of(1, 2)]);
      expect(run.outputs.map((array) => [...array])).toEqual([
        [inf, inf],
        [-inf, -inf],
        [nan, nan],
        [-inf, -inf],
        [inf, inf],
      ]);
    }
  });

  test("an array is not the same as floats and as integers", () => {
    const index = Int32Array.of(1, 0);
    const table = constant(Float32Array.of(5, 6), [2]);
    const outputs = [gather(table, constant(index, [2], "int")), mul(constant(index, [2]), 2)];
    for (const backend of [reference(), wasm({ threads: 1 })]) {
      const run = backend
        .open()
        .compile(makePlan({ inputs: [], outputs }))
        .run([]);
      expect(run.outputs.map((array) => [...array])).toEqual([
        [6, 5],
        [2, 0],
      ]);
    }
  });

  test("attributes that are no plain data are refused", () => {
    const double = defineOp<{ by: unknown }>({
      name: "plan.test.double",
      meaning: { kind: "elementwise", scalar: (_, x) => s.mul(x, 2) },
      shape: ([x]) => ({ shape: x.shape, dtype: "float" }),
    });
    const planOf = (by: unknown) => makePlan({ inputs: [], outputs: [applyOp(double, [input("x", [2])], { by })] });
    expect(() => planOf(new Map())).toThrow(/"plan\.test\.double" .* no plain data: a Map came/);
    expect(() => planOf(() => 1)).toThrow(/no plain data: a function came/);
    expect(planOf({ a: [1, "b", null] }).steps).toHaveLength(1);
  });
});

describe.each([
  ["reference", reference("float64")],
  ["wasm", wasm({ threads: 1 })],
] as const)("updates on %s", (_, backend) => {
  test("all gradients of a step are taken at the same weights", () => {
    // y = x·w₁·w₂ with scalars: dw₁ = x·w₂ and dw₂ = x·w₁ need the old w₂ and w₁.
    const x = input("x", [1, 1]);
    const [w1, w2] = [variable("w1", [1, 1]), variable("w2", [1, 1])];
    const loss = sum(matmul(matmul(x, w1), w2));
    const [d1, d2] = gradientsOf(loss, [w1, w2]);
    const session = backend.open();
    session.write(w1, [2]);
    session.write(w2, [5]);
    const updates = [
      { variable: w2, value: sub(w2, d2) },
      { variable: w1, value: sub(w1, d1) },
    ];
    session.compile(makePlan({ inputs: [x], outputs: [loss], updates })).run([Float32Array.of(3)]);
    expect([...session.read(w1), ...session.read(w2)]).toEqual([2 - 15, 5 - 6]);
  });

  test("two variables can change places", () => {
    const [a, b] = [variable("a", [3]), variable("b", [3])];
    const session = backend.open();
    session.write(a, [1, 2, 3]);
    session.write(b, [4, 5, 6]);
    const updates = [
      { variable: a, value: b },
      { variable: b, value: a },
    ];
    session.compile(makePlan({ inputs: [], outputs: [], updates })).run([]);
    expect([[...session.read(a)], [...session.read(b)]]).toEqual([
      [4, 5, 6],
      [1, 2, 3],
    ]);
  });

  test("a value that needs both the old and the new one gets them", () => {
    const a = variable("a", [2]);
    const session = backend.open();
    session.write(a, [1, 10]);
    const next = mul(a, 3);
    const executable = session.compile(
      makePlan({ inputs: [], outputs: [sub(next, a)], updates: [{ variable: a, value: next }] }),
    );
    expect([...executable.run([]).outputs[0]]).toEqual([2, 20]);
    expect([...session.read(a)]).toEqual([3, 30]);
  });

  test("a matrix that is multiplied by its own new value's source is not overwritten too early", () => {
    const w = variable("w", [2, 2]);
    const session = backend.open();
    session.write(w, [1, 2, 3, 4]);
    session.compile(makePlan({ inputs: [], outputs: [], updates: [{ variable: w, value: matmul(w, w) }] })).run([]);
    expect([...session.read(w)]).toEqual([7, 10, 15, 22]);
  });

  test("a guard that is not finite stops the run before its updates", () => {
    const [x, w] = [input("x", []), variable("w", [])];
    const session = backend.open();
    session.write(w, [0]);
    const loss = mul(x, 2);
    const plan = makePlan({ inputs: [x], outputs: [loss], updates: [{ variable: w, value: add(w, x) }], guard: loss });
    const run = session.compile(plan).run([Float32Array.of(1, 2, Number.NaN, 4)], 4);
    expect(run.completed).toBe(2);
    expect([...session.read(w)]).toEqual([3]);
  });

  test.each([
    ["is a part of the new value", (loss: Node, w: Node) => add(w, loss), (loss: Node) => loss, 4],
    ["is the new value", (loss: Node) => loss, (_: Node, value: Node) => value, 2],
    ["needs the new value", (loss: Node, w: Node) => add(w, loss), (_: Node, value: Node) => mul(value, 3), 4],
  ])("a guard that %s comes before the update all the same", (_, next, guardOf, after) => {
    const [x, w] = [input("x", []), variable("w", [])];
    const loss = mul(x, 2);
    const value = next(loss, w);
    const guard = guardOf(loss, value);
    const session = backend.open();
    session.write(w, [2]);
    const executable = session.compile(
      makePlan({ inputs: [x], outputs: [guard], updates: [{ variable: w, value }], guard }),
    );
    expect(executable.run([Float32Array.of(Number.NaN)]).completed).toBe(0);
    expect([...session.read(w)]).toEqual([2]);
    expect(executable.run([Float32Array.of(1)]).completed).toBe(1);
    expect([...session.read(w)]).toEqual([after]);
  });

  test("many runs in a row take their inputs and give their outputs in order", () => {
    const [x, w] = [input("x", [2]), variable("w", [2])];
    const session = backend.open();
    session.write(w, [0, 0]);
    const next = add(w, x);
    const run = session
      .compile(makePlan({ inputs: [x], outputs: [next], updates: [{ variable: w, value: next }] }))
      .run([Float32Array.of(1, 2, 3, 4, 5, 6)], 3);
    expect([...run.outputs[0]]).toEqual([1, 2, 4, 6, 9, 12]);
  });
});

test("results that live at the same time never share memory", () => {
  const x = input("x", [64, 32]);
  let value: Node = x;
  const kept: Node[] = [];
  for (let i = 0; i < 10; i++) {
    value = matmul(tanh(value), input(`w${i}`, [32, 32]));
    if (i % 3 === 0) kept.push(value);
  }
  const plan = makePlan({
    inputs: [x],
    outputs: [
      add(
        value,
        kept.reduce((a, b) => add(a, b)),
      ),
      ...kept,
    ],
  });
  const lives = new Map<Node, [number, number]>();
  for (const [i, step] of plan.steps.entries()) {
    for (const node of step.writes) lives.set(node, [i, plan.outputs.includes(node) ? plan.steps.length : i]);
    for (const node of step.reads) if (lives.has(node)) lives.get(node)![1] = Math.max(lives.get(node)![1], i);
  }
  const all = [...lives].map(([node, [from, to]]) => ({ ...plan.slots.get(node)!, from, to }));
  for (const [i, a] of all.entries()) {
    for (const b of all.slice(i + 1)) {
      const together = a.from <= b.to && b.from <= a.to;
      const overlap = a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
      expect(together && overlap).toBe(false);
    }
  }
  // There is never more than what must be there at once, beside the input.
  const inputBytes = 64 * 32 * 4;
  const mostAtOnce = Math.max(
    ...plan.steps.map((_, i) =>
      all.filter(({ from, to }) => from <= i && i <= to).reduce((total, { bytes }) => total + bytes, 0),
    ),
  );
  expect(plan.arenaBytes).toBe(mostAtOnce + inputBytes);
});

test("a plan of a thousand layers, and one of a chain of ten thousand ops", () => {
  const [x, b] = [input("x", [4, 4]), input("b", [4])];
  let value: Node = x;
  for (let i = 0; i < 1000; i++) value = relu(add(matmul(value, x), b));
  const layers = makePlan({ inputs: [x, b], outputs: gradientsOf(sum(value), [x, b]) });
  expect(layers.steps.length).toBeGreaterThan(3000);
  expect(layers.steps.length).toBeLessThan(6000);
  value = x;
  for (let i = 0; i < 10_000; i++) value = i % 2 === 0 ? add(value, b) : mul(value, x);
  expect(makePlan({ inputs: [x, b], outputs: [value] }).steps).toHaveLength(1);
});

test("steps that are alike are one function: a network of twelve equal blocks takes the code of one", () => {
  const codeOf = (blocks: number): number => {
    let value: Node = input("x", [8, 16]);
    const inputs = [value];
    for (let i = 0; i < blocks; i++) {
      const w = input(`w${i}`, [16, 16]);
      inputs.push(w);
      value = tanh(matmul(value, w));
    }
    const plan = makePlan({ inputs, outputs: [value] });
    return compilePlan(plan, {
      fusedMadd: false,
      turbo: false,
      threads: 1,
      sharedMaximum: undefined,
      barrierAddress: 0,
      address: (node) => plan.slots.get(node)?.offset ?? 0,
      scratch: () => plan.arenaBytes,
    }).code.length;
  };
  // A block adds its inputs and its call to `run`, and no code of its own.
  expect(codeOf(12) - codeOf(6)).toBeLessThan(6 * 80);
});

test("a plan prints as a table", () => {
  const [x, w] = [input("x", [8, 5]), input("w", [5, 6])];
  const text = showPlan(makePlan({ inputs: [x, w], outputs: [relu(matmul(x, w))] }));
  expect(text).toMatch(/^step +phase +ops +stores +memory +flops/);
  expect(text).toMatch(/matmul\+relu +relu \[8, 6\] +192 B +528/);
});
