/** Sessions on a GPU: series and guards, memory and its end, bad input, the same bits each time. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ArgumentError, type Backend, dense, sequential, sgd } from "chainrule";
import { webgpu } from "chainrule/webgpu";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Session } from "../../src/backends/backend.ts";
import { reference } from "../../src/backends/reference/reference.ts";
import { constant, input, variable } from "../../src/graph/leaf.ts";
import {
  add,
  gather,
  matmul,
  max,
  mul,
  randomUniform,
  relu,
  scatterAdd,
  slice,
  sub,
  sum,
  toIndex,
} from "../../src/ops/index.ts";
import { makePlan } from "../../src/plan/plan.ts";
import { RandomStream } from "../../src/random.ts";
import { findGpu } from "../support/gpu.ts";

const { backend, why } = await findGpu();
if (!backend) console.warn(`skipped: ${why}`);

const numbers = (count: number, name: string): Float32Array => {
  const stream = new RandomStream(3, name);
  return Float32Array.from({ length: count }, () => stream.uniform() - 0.5);
};

describe.skipIf(!backend)("a session on a GPU", () => {
  /** Buffers that were made and not destroyed. */
  let buffers = 0;
  /** The device of the last one. */
  let device: { destroy(): void } | undefined;
  let undo = (): void => {};

  beforeAll(async () => {
    const name = "webgpu";
    const { globals } = await import(name);
    const { GPUDevice, GPUBuffer } = globals as Record<
      string,
      { prototype: Record<string, (...x: never[]) => unknown> }
    >;
    const { createBuffer } = GPUDevice.prototype;
    const { destroy } = GPUBuffer.prototype;
    GPUDevice.prototype.createBuffer = function (...x: never[]) {
      buffers++;
      device = this as never;
      return createBuffer.apply(this, x);
    };
    GPUBuffer.prototype.destroy = function (...x: never[]) {
      buffers--;
      return destroy.apply(this, x);
    };
    undo = () => {
      Object.assign(GPUDevice.prototype, { createBuffer });
      Object.assign(GPUBuffer.prototype, { destroy });
    };
  });
  afterAll(() => undo());

  const open = (): Session => backend!.open();

  test("a layer: a matrix product, its bias and its activation are one step, and equal the reference", async () => {
    const [x, w, b] = [input("x", [5, 7]), input("w", [7, 3]), input("b", [3])];
    const plan = makePlan({ inputs: [x, w, b], outputs: [relu(add(matmul(x, w), b))] });
    expect(plan.steps.length).toBe(1);
    const values = [numbers(35, "x"), numbers(21, "w"), numbers(3, "b")];
    const session = open();
    const [actual] = (await session.compile(plan).run(values)).outputs;
    const [expected] = reference("float64").open().compile(plan).run(values).outputs;
    for (const [i, value] of expected.entries()) expect(actual[i]).toBeCloseTo(value, 6);
    session.close();
  });

  test("a series gives the bits of single runs, and a guard stops it before the update of its step", async () => {
    const [x, rate] = [input("x", [4]), input("rate", [])];
    const w = variable("w", [4]);
    const loss = sum(mul(x, w));
    const plan = makePlan({
      inputs: [x, rate],
      outputs: [loss, add(w, x)],
      updates: [{ variable: w, value: sub(w, mul(rate, x)) }],
      guard: loss,
    });
    const rows = numbers(40, "rows");
    rows[4 * 7 + 2] = Number.NaN;
    const rates = Float64Array.from({ length: 10 }, (_, i) => 0.1 + 0.01 * i);
    const results = [];
    for (const session of [open(), open(), reference("float32").open()]) {
      session.write(w, [1, 2, 3, 4]);
      const program = session.compile(plan);
      const outputs: number[][] = [];
      let completed = 0;
      if (results.length === 0) {
        const run = await program.run([rows, rates], 10);
        completed = run.completed;
        for (let i = 0; i < completed; i++)
          outputs.push([run.outputs[0][i], ...run.outputs[1].slice(4 * i, 4 * i + 4)]);
      } else
        for (let i = 0; i < 10; i++) {
          const run = await program.run([rows.subarray(4 * i, 4 * i + 4), rates.subarray(i, i + 1)]);
          if (run.completed === 0) break;
          completed++;
          outputs.push([run.outputs[0][0], ...run.outputs[1]]);
        }
      results.push({ completed, outputs, w: [...(await session.read(w))] });
      session.close();
    }
    expect(results[0]).toEqual(results[1]);
    expect(results[0].completed).toBe(7);
    const [, , expected] = results;
    expect(expected.completed).toBe(7);
    for (const [i, value] of expected.w.entries()) expect(results[0].w[i]).toBeCloseTo(value, 6);
    for (const [run, row] of expected.outputs.entries())
      for (const [i, value] of row.entries()) expect(results[0].outputs[run][i]).toBeCloseTo(value, 5);
  });

  test("rows with one number are added up in their order: the bits of the reference, each time", async () => {
    const [x, index] = [input("x", [40, 9]), input("index", [40], "int")];
    const plan = makePlan({ inputs: [x, index], outputs: [scatterAdd(x, index, [6, 9])] });
    const stream = new RandomStream(1, "index");
    const values = [numbers(360, "x"), Int32Array.from({ length: 40 }, () => stream.integer(6))];
    const session = open();
    const program = session.compile(plan);
    const expected = reference("float32").open().compile(plan).run(values).outputs[0];
    for (let i = 0; i < 3; i++) expect((await program.run(values)).outputs[0]).toEqual(expected);
    session.close();
  });

  test("random numbers have the processor's bits", async () => {
    const step = input("step", [], "int");
    const plan = makePlan({ inputs: [step], outputs: [randomUniform(step, [37, 5], [0xdeadbeef, 12])] });
    const session = open();
    const { outputs } = await session.compile(plan).run([Int32Array.of(3, 99)], 2);
    expect(outputs).toEqual(
      reference("float32")
        .open()
        .compile(plan)
        .run([Int32Array.of(3, 99)], 2).outputs,
    );
    session.close();
  });

  test("long sums, over rows, columns and everything, in one pass or two", async () => {
    const x = input("x", [700, 90]);
    const outputs = [sum(x), sum(x, 0), sum(x, 1), max(x), max(mul(x, x), 0)];
    const plan = makePlan({ inputs: [x], outputs });
    const values = [numbers(700 * 90, "x")];
    const session = open();
    const actual = await session.compile(plan).run(values);
    const expected = reference("float64").open().compile(plan).run(values);
    for (const [k, array] of expected.outputs.entries())
      for (const [i, value] of array.entries()) expect(Math.abs(actual.outputs[k][i] - value)).toBeLessThan(1e-4);
    session.close();
  });

  test("sums and maxima of no numbers", async () => {
    const session = open();
    const x = input("x", [0, 17]);
    const program = session.compile(makePlan({ inputs: [x], outputs: [sum(x, 0), max(x, 0)] }));
    const [zeros, lowest] = (await program.run([new Float32Array(0)])).outputs;
    expect([...zeros]).toEqual(Array(17).fill(0));
    expect([...lowest]).toEqual(Array(17).fill(Number.NEGATIVE_INFINITY));
    session.close();
  });

  test("views of rows lie where they lie, also where no vector begins", async () => {
    const session = open();
    const x = variable("x", [5, 3]);
    session.write(x, numbers(15, "x"));
    const [part, other] = [slice(x, [1, 0], [3, 3]), slice(x, [2, 0], [3, 3])];
    const plan = makePlan({ inputs: [], outputs: [matmul(part, other), add(part, 1)] });
    const there = reference("float64").open();
    there.write(x, numbers(15, "x"));
    const expected = there.compile(plan).run([]).outputs;
    const { outputs } = await session.compile(plan).run([]);
    for (const [k, array] of expected.entries())
      for (const [i, value] of array.entries()) expect(outputs[k][i]).toBeCloseTo(value, 6);
    session.close();
  });

  test("a row number outside of its table is named, and the session runs nothing more", async () => {
    const [table, rows, index] = [input("table", [5, 3]), input("rows", [2, 3]), input("index", [2], "int")];
    for (const bad of [5, -1, 2 ** 31 - 1]) {
      const session = open();
      const put = session.compile(makePlan({ inputs: [rows, index], outputs: [scatterAdd(rows, index, [5, 3])] }));
      const look = session.compile(makePlan({ inputs: [table, index], outputs: [gather(table, index)] }));
      await expect(look.run([new Float32Array(15), Int32Array.of(4, bad)])).rejects.toThrow(
        `Row ${bad} of a table was asked for that has 5 rows`,
      );
      await expect(put.run([new Float32Array(6), Int32Array.of(1, 0)])).rejects.toThrow(
        expect.objectContaining({ code: "broken-session" }),
      );
      session.close();
    }
  });

  test("arrays of another length are refused, and floats become indices below their limit", async () => {
    const session = open();
    const [w, x] = [variable("w", [2, 2]), input("x", [4])];
    expect(() => session.write(w, [1, 2, 3])).toThrow('"w" has the shape [2, 2] and takes 4 numbers; 3 came.');
    await expect(session.read(w)).rejects.toThrow("has no value yet");
    const limit = 2 ** 24 + 2;
    const program = session.compile(makePlan({ inputs: [x], outputs: [toIndex(x, limit)] }));
    await expect(program.run([Float32Array.of(1, 2)])).rejects.toThrow(ArgumentError);
    const run = await program.run([Float32Array.of(-3, Number.NaN, 7.9, 2 ** 26)]);
    expect([...run.outputs[0]]).toEqual([0, 0, 7, limit - 1]);
    session.close();
  });

  test("more memory than the GPU can give is refused with a number", () => {
    const session = open();
    const huge = variable("huge", [2 ** 20, 2 ** 13]);
    const values = { length: 2 ** 33 } as number[];
    expect(() => session.write(huge, values)).toThrow(expect.objectContaining({ code: "out-of-memory" }));
    session.close();
  });

  test("a GPU that is lost ends the run with an error that says so, and the run goes on elsewhere from its checkpoint", async () => {
    const path = join(mkdtempSync(join(tmpdir(), "chainrule-lost-")), "run.safetensors");
    const data = { x: numbers(64, "x"), y: Int32Array.from({ length: 16 }, (_, i) => i % 2) };
    const make = (backend: Backend) => sequential({ input: [4], seed: 1, backend }, [dense(2)]);
    const options = {
      loss: "crossEntropy" as const,
      optimizer: sgd(),
      epochs: 3,
      batchSize: 8,
      onWarning: false as const,
    };
    const lost = make(await webgpu());
    const lose = ({ epoch }: { epoch: number }) => {
      if (epoch === 2) device?.destroy();
    };
    const run = lost.fit(data, { ...options, checkpoint: { path, everySeconds: 0 }, callbacks: [lose] });
    await expect(run).rejects.toThrow(expect.objectContaining({ code: "device-lost" }));
    expect(() => lost.setWeight("dense_1.bias", [0, 0])).toThrow(expect.objectContaining({ code: "device-lost" }));
    lost.close();
    const [whole, resumed] = [make(reference("float32")), make(await webgpu())];
    await whole.fit(data, options);
    await resumed.fit(data, { ...options, resume: path, callbacks: [() => {}] });
    const expected = whole.weight("dense_1.kernel");
    for (const [i, value] of (await resumed.weightAsync("dense_1.kernel")).entries())
      expect(value).toBeCloseTo(expected[i], 5);
    resumed.close();
  });

  test("memory grows with what is written, keeps what is there, and goes when the session is closed", async () => {
    const before = buffers;
    const session = open();
    const kept = variable("kept", [1000]);
    session.write(kept, numbers(1000, "kept"));
    for (const i of [0, 1, 2]) session.write(variable(`large ${i}`, [400_000]), new Float32Array(400_000));
    expect(await session.read(kept)).toEqual(numbers(1000, "kept"));
    const used = session.usedBytes;
    const x = input("x", [3000]);
    const plan = makePlan({ inputs: [x], outputs: [sum(add(x, constant(numbers(3000, "c"), [3000])))] });
    const steps = process.env.CHAINRULE_GPU_CASES ? 10_000 : 200;
    let after = 0;
    for (let round = 0; round < 2; round++) {
      const program = session.compile(plan);
      for (let i = 0; i < steps / 2; i++) await program.run([numbers(3000, "x")]);
      program.free();
      expect(session.usedBytes).toBe(used);
      if (round === 0) after = buffers;
    }
    expect(buffers).toBe(after);
    session.close();
    session.close();
    expect(buffers).toBe(before);
    expect(() => session.write(kept, numbers(1000, "kept"))).toThrow(expect.objectContaining({ code: "closed" }));
    expect(() => session.compile(plan)).toThrow(expect.objectContaining({ code: "closed" }));
    await expect(session.read(kept)).rejects.toThrow(/was closed/);
  });
});
