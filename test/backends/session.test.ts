/** Plans of one session beside each other: they share the memory for their runs, and nothing else. */
import { expect, test } from "vitest";
import { wasm } from "../../src/backends/wasm/session.ts";
import { constant, input } from "../../src/graph/leaf.ts";
import { add, matmul, max, mul, sum } from "../../src/ops/index.ts";
import { makePlan } from "../../src/plan/plan.ts";

const SIZE = 4096;
const ramp = Float32Array.from({ length: SIZE }, (_, i) => i);

/** y = (x + c) · 2 and its sum, with c an array: a plan with an input, a constant, a result in between and two outputs. */
function doubled(c: number) {
  const x = input("x", [SIZE]);
  const y = mul(add(x, constant(new Float32Array(SIZE).fill(c), [SIZE])), 2);
  return makePlan({ inputs: [x], outputs: [y, sum(y)] });
}

test.each([1, 2])("plans that run in turn do not disturb each other, %i threads", (threads) => {
  const session = wasm({ threads }).open();
  const programs = [1, 5, 9].map((c) => ({ c, program: session.compile(doubled(c)) }));
  for (let round = 0; round < 3; round++) {
    for (const { c, program } of programs) {
      const [y, total] = program.run([ramp]).outputs;
      expect(y[3]).toBe((3 + c) * 2);
      expect(y[SIZE - 1]).toBe((SIZE - 1 + c) * 2);
      // Σ (i + c) · 2 over 4096 rows: sums of whole numbers below 2²⁴ · 2, rounded on the way.
      expect(total[0]).toBeCloseTo(SIZE * (SIZE - 1) + 2 * c * SIZE, -2);
    }
  }
  session.close();
});

test("a second plan takes no memory of its own for runs, and the last one gives it back", () => {
  const session = wasm({ threads: 1 }).open();
  const before = session.usedBytes;
  const plan = doubled(1);
  const first = session.compile(plan);
  const constants = SIZE * 4;
  expect(session.usedBytes - before).toBeGreaterThanOrEqual(plan.arenaBytes + constants);
  const alone = session.usedBytes;
  const second = session.compile(doubled(2));
  expect(session.usedBytes - alone).toBe(constants);
  first.free();
  expect(second.run([ramp]).outputs[0][0]).toBe(4);
  second.free();
  expect(session.usedBytes).toBe(before);
});

test("a session that was closed computes on one thread, in plans from before and after", () => {
  const session = wasm({ threads: 2 }).open();
  const [a, b] = [input("a", [256, 256]), input("b", [256, 256])];
  const compile = () => session.compile(makePlan({ inputs: [a, b], outputs: [sum(matmul(a, b))] }));
  const ones = new Float32Array(256 * 256).fill(1);
  const before = compile();
  before.run([ones, ones]);
  session.close();
  const after = compile();
  for (const program of [before, after, before]) expect(program.run([ones, ones]).outputs[0][0]).toBe(256 ** 3);
});

test("sums and maxima of no numbers, where another plan has left some", () => {
  const session = wasm({ threads: 1 }).open();
  session.compile(doubled(1)).run([ramp]);
  const x = input("x", [0, 17]);
  const [zeros, lowest] = session
    .compile(makePlan({ inputs: [x], outputs: [sum(x, 0), max(x, 0)] }))
    .run([new Float32Array(0)]).outputs;
  expect([...zeros]).toEqual(Array(17).fill(0));
  expect([...lowest]).toEqual(Array(17).fill(Number.NEGATIVE_INFINITY));
});
