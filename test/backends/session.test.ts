/** Plans of one session beside each other: they share the memory for their runs, and nothing else. */
import { ArgumentError } from "chainrule";
import { describe, expect, test } from "vitest";
import { reference } from "../../src/backends/reference/reference.ts";
import { wasm } from "../../src/backends/wasm/session.ts";
import { constant, input, variable } from "../../src/graph/leaf.ts";
import { add, gather, matmul, max, mul, scatterAdd, sum, toIndex } from "../../src/ops/index.ts";
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

test.each([
  ["reference", reference()],
  ["wasm, 2 threads", wasm({ threads: 2 })],
] as const)(
  "a session of %s that was closed runs and takes nothing more, in plans from before and after",
  (_, backend) => {
    const session = backend.open();
    const [a, b] = [input("a", [256, 256]), input("b", [256, 256])];
    const compile = () => session.compile(makePlan({ inputs: [a, b], outputs: [sum(matmul(a, b))] }));
    const ones = new Float32Array(256 * 256).fill(1);
    const before = compile();
    expect(before.run([ones, ones]).outputs[0][0]).toBe(256 ** 3);
    session.close();
    const after = compile();
    for (const program of [before, after, before])
      expect(() => program.run([ones, ones])).toThrow(expect.objectContaining({ code: "closed" }));
    expect(() => session.write(variable("w", [1]), [1])).toThrow(expect.objectContaining({ code: "closed" }));
    session.close();
  },
);

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

describe.each([
  ["reference", reference()],
  ["wasm", wasm({ threads: 1 })],
] as const)("bad input to %s", (_, backend) => {
  test("a row number outside of its table is named, whether rows are read or written", () => {
    const [table, rows, index] = [input("table", [5, 3]), input("rows", [2, 3]), input("index", [2], "int")];
    for (const bad of [5, -1, 2 ** 31 - 1]) {
      const look = backend.open().compile(makePlan({ inputs: [table, index], outputs: [gather(table, index)] }));
      expect(() => look.run([new Float32Array(15), Int32Array.of(4, bad)])).toThrow(
        `Row ${bad} of a table was asked for that has 5 rows`,
      );
      const put = backend
        .open()
        .compile(makePlan({ inputs: [rows, index], outputs: [scatterAdd(rows, index, [5, 3])] }));
      expect(() => put.run([new Float32Array(6), Int32Array.of(bad, 0)])).toThrow(
        `Row ${bad} of a table was asked for that has 5 rows`,
      );
    }
  });

  test("an array of another length is refused, as a variable's value and as an input", () => {
    const [w, x] = [variable("w", [2, 2]), input("x", [2, 2])];
    const session = backend.open();
    expect(() => session.write(w, [1, 2, 3])).toThrow('"w" has the shape [2, 2] and takes 4 numbers; 3 came.');
    session.write(w, [1, 2, 3, 4]);
    expect(() => session.write(w, [5])).toThrow(ArgumentError);
    expect([...session.read(w)]).toEqual([1, 2, 3, 4]);
    const program = session.compile(makePlan({ inputs: [x], outputs: [mul(x, w)] }));
    expect(() => program.run([Float32Array.of(1, 2)])).toThrow('"x" has the shape [2, 2] and takes 4 numbers; 2 came.');
    expect(() => program.run([new Float32Array(4)], 2)).toThrow("takes 8 numbers for 2 runs; 4 came.");
    session.close();
    expect(() => session.read(w)).toThrow(/was closed/);
  });

  test("indices made of floats stay below a limit that no float32 holds exactly", () => {
    const x = input("x", [4]);
    const limit = 2 ** 24 + 2;
    const program = backend.open().compile(makePlan({ inputs: [x], outputs: [toIndex(x, limit)] }));
    const numbers = Float32Array.of(-3, Number.NaN, 7.9, 2 ** 26);
    expect([...program.run([numbers]).outputs[0]]).toEqual([0, 0, 7, limit - 1]);
  });
});
