/** Several threads: the same bits as one, no thread that waits for ever, and a process that ends by itself. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { adam, dense, dropout, gather, input, matmul, RandomStream, sequential, variable, wasm } from "chainrule";
import { expect, test } from "vitest";
import { makePlan } from "../../src/plan/plan.ts";

const stream = new RandomStream(1, "data");
const data = {
  x: Float32Array.from({ length: 512 * 64 }, () => stream.normal()),
  y: Int32Array.from({ length: 512 }, () => stream.integer(10)),
};

/** Trains a net that is large enough to be shared; waits first until the helper threads surely take part. */
async function train(threads: number): Promise<Float32Array> {
  const backend = wasm({ threads });
  const model = sequential({ input: [64], seed: 1, backend }, [
    dense(256, { activation: "relu" }),
    dropout(0.3),
    dense(10),
  ]);
  for (let i = 0; i < 3; i++) {
    await model.fit(data, { loss: "crossEntropy", optimizer: adam(), epochs: 3, batchSize: 128 });
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const weights = model.weight("dense_1.kernel");
  model.close();
  return weights;
}

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** A plan that looks up 4096 rows of a table of 100 and multiplies them: enough work for helpers to be woken up. */
function lookUp(threads: number) {
  const session = wasm({ threads }).open();
  const [table, index, w] = [input("table", [100, 64]), input("index", [4096], "int"), input("w", [64, 64])];
  const program = session.compile(makePlan({ inputs: [table, index, w], outputs: [matmul(gather(table, index), w)] }));
  const [rows, weights] = [new Float32Array(100 * 64).fill(1), new Float32Array(64 * 64).fill(2)];
  return { session, run: (numbers: Int32Array) => program.run([rows, numbers, weights]) };
}

test("helpers take part as soon as they are ready", async () => {
  const { session, run } = lookUp(3);
  const numbers = new Int32Array(4096);
  let threads = 1;
  for (let attempt = 0; attempt < 100 && threads === 1; attempt++) {
    await pause(20);
    const result = run(numbers);
    threads = result.threads;
    expect(result.outputs[0].every((y) => y === 128)).toBe(true);
  }
  expect(threads).toBe(3);
  session.close();
});

test.each([
  ["the first thread's share", 0],
  ["the helper's share", 4095],
])("a bad row number in %s ends the run, and no thread waits for ever", async (_, place) => {
  const { session, run } = lookUp(2);
  const numbers = new Int32Array(4096);
  for (let attempt = 0; attempt < 100 && run(numbers).threads === 1; attempt++) await pause(20);
  expect(run(numbers).threads).toBe(2);
  numbers[place] = 100;
  expect(() => run(numbers)).toThrow(/Row 100 of a table was asked for that has 100 rows/);
  expect(() => run(new Int32Array(4096))).toThrow(/stopped in the middle of a run/);
  session.close();
});

test("1, 2 and 4 threads give the same bits", async () => {
  const one = await train(1);
  expect(await train(2)).toEqual(one);
  expect(await train(4)).toEqual(one);
});

test("a plan that is freed before the helpers have it leaves the memory of others alone", async () => {
  const model = sequential({ input: [64], seed: 1, backend: wasm({ threads: 2 }) }, [dense(256)]);
  const { session } = model;
  const x = input("x", [128, 64]);
  const y = matmul(x, model.network.parameters[0].node);
  session.compile(makePlan({ inputs: [x], outputs: [y] })).free();
  const other = variable("other", [1 << 20], "int");
  session.write(other, new Int32Array(1 << 20));
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect((await session.read(other)).some((value) => value !== 0)).toBe(false);
  model.close();
});

test("the engine says how many threads it has", () => {
  const engine = (threads: number) => sequential({ input: [2], backend: wasm({ threads }) }, [dense(1)]).engine;
  expect(engine(1)).toMatch(/1 thread$/);
  expect(engine(3)).toMatch(/3 threads$/);
});

test("a process that trained with helper threads ends by itself, also when the model is not closed", async () => {
  const program = `
    import { dense, sequential, wasm } from "./src/index.ts";
    const model = sequential({ input: [64], backend: wasm({ threads: 2 }) }, [dense(512), dense(10)]);
    const x = new Float32Array(64 * 512).fill(0.1);
    for (let i = 0; i < 5; i++) {
      await model.fit({ x, y: new Int32Array(512) }, { loss: "crossEntropy", batchSize: 256, epochs: 3 });
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    console.log("done");
  `;
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ["--import", "tsx", "--input-type=module", "--eval", program],
    { timeout: 30_000 },
  );
  expect(stdout.trim()).toBe("done");
});
