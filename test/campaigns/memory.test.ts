/**
 * Tasks that only a memory solves: adding two numbers out of a hundred, repeating what came fifty places ago, the parity of forty bits.
 * `CHAINRULE_MEMORY=1` takes them at these lengths, minutes each; otherwise shorter ones are learnt in seconds.
 */
import { adam, dense, type Layer, lstm, masking, RandomStream, sequential, wasm } from "chainrule";
import { expect, test } from "vitest";

const LONG = process.env.CHAINRULE_MEMORY !== undefined;
const stream = new RandomStream(1, "task");

interface Rows {
  readonly x: Float32Array;
  readonly y: Float32Array | Int32Array;
}

interface Task {
  readonly input: readonly [length: number, features: number];
  readonly layers: readonly Layer[];
  readonly loss: string;
  readonly learningRate: number;
  /** Rows of an epoch. */
  readonly rows: number;
  readonly batchSize: number;
  readonly epochs: number;
  /** New rows each time, as long as the test's for `test`. */
  make(rows: number, test?: boolean): Rows;
  /** What must be reached on 1000 rows that were never trained on. */
  reached(scores: { readonly loss: number; readonly accuracy?: number }): boolean;
}

/** The sum of two marked numbers, one in each half (Hochreiter & Schmidhuber, 1997). */
function adding(length: number, units: number): Task {
  return {
    input: [length, 2],
    layers: [lstm(units), dense(1)],
    loss: "meanSquaredError",
    learningRate: 2e-3,
    rows: 5000,
    batchSize: 50,
    epochs: 60,
    make: (rows) => {
      const [x, y] = [new Float32Array(rows * length * 2), new Float32Array(rows)];
      for (let row = 0; row < rows; row++) {
        for (let t = 0; t < length; t++) x[(row * length + t) * 2] = stream.uniform();
        for (const from of [0, length / 2]) {
          const at = (row * length + from + stream.integer(length / 2)) * 2;
          x[at + 1] = 1;
          y[row] += x[at];
        }
      }
      return { x, y };
    },
    // Always answering 1 has 1/6.
    reached: ({ loss }) => loss < 0.01,
  };
}

/** Five symbols out of eight, given back after a delay. */
function copying(delay: number, count: number): Task {
  const symbols = 8;
  const length = count + delay + count;
  return {
    input: [length, symbols + 1],
    layers: [lstm(128, { sequences: true, forgetBias: 3 }), dense(symbols)],
    loss: "crossEntropy",
    learningRate: 3e-3,
    rows: 3200,
    batchSize: 32,
    epochs: 60,
    make: (rows) => {
      const x = new Float32Array(rows * length * (symbols + 1));
      const y = new Int32Array(rows * length).fill(-1);
      for (let row = 0; row < rows; row++) {
        for (let k = 0; k < count; k++) {
          const symbol = stream.integer(symbols);
          const later = row * length + count + delay + k;
          x[(row * length + k) * (symbols + 1) + symbol] = 1;
          x[later * (symbols + 1) + symbols] = 1;
          y[later] = symbol;
        }
      }
      return { x, y };
    },
    reached: ({ accuracy }) => accuracy! > 0.99,
  };
}

/** Whether the number of ones is odd: learnt from rows of all lengths, filled up, and tried at the full one. */
function parity(length: number): Task {
  return {
    input: [length, 2],
    layers: [masking(), lstm(32), dense(2)],
    loss: "crossEntropy",
    learningRate: 5e-3,
    rows: 6400,
    batchSize: 64,
    epochs: 40,
    make: (rows, isTest) => {
      const [x, y] = [new Float32Array(rows * length * 2), new Int32Array(rows)];
      for (let row = 0; row < rows; row++) {
        const own = isTest ? length : 1 + stream.integer(length);
        for (let t = 0; t < own; t++) {
          const bit = stream.integer(2);
          x[(row * length + t) * 2 + bit] = 1;
          y[row] ^= bit;
        }
      }
      return { x, y };
    },
    reached: ({ accuracy }) => accuracy! > 0.99,
  };
}

test.each<[string, Task]>([
  [LONG ? "the sum of two numbers in 100" : "the sum of two numbers in 10", LONG ? adding(100, 64) : adding(10, 16)],
  [LONG ? "five symbols after 50 places" : "a symbol after 8 places", LONG ? copying(50, 5) : copying(8, 1)],
  [LONG ? "the parity of 40 bits" : "the parity of 6 bits", parity(LONG ? 40 : 6)],
])(
  "%s",
  async (name, { input, layers, loss, learningRate, rows, batchSize, epochs, make, reached }) => {
    const model = sequential({ input: [...input], seed: 1, backend: wasm({ threads: 1 }) }, layers);
    const held = make(1000, true);
    const metrics = loss === "crossEntropy" ? ["accuracy"] : [];
    const optimizer = adam({ learningRate, globalClipNorm: 1 });
    let scores = await model.evaluate(held, { loss, metrics });
    let epoch = 0;
    const start = performance.now();
    for (; epoch < epochs && !reached(scores); epoch++) {
      await model.fit(make(rows), { loss, optimizer, epochs: 1, batchSize });
      scores = await model.evaluate(held, { loss, metrics });
    }
    if (LONG) console.log(name, scores, `${epoch} epochs, ${Math.round((performance.now() - start) / 1000)} s`);
    model.close();
    expect(reached(scores), JSON.stringify(scores)).toBe(true);
  },
  LONG ? 900_000 : 60_000,
);
