/**
 * Trains on rows that a generator makes as they are asked for and nobody keeps, and prints speed, wait and peak memory.
 *
 *   tsx bench/tasks/stream-generator.ts GIGABYTES [COLUMNS]
 */
import { readFileSync } from "node:fs";
import { adam, dense, sequential } from "../../src/index.ts";

const [gigabytes = "1", columns = "250"] = process.argv.slice(2);
const width = Number(columns);
const batchSize = 256;
const batches = Math.ceil((Number(gigabytes) * 1e9) / (4 * width * batchSize));

/** Marsaglia's xorshift as numbers from −1 to 1; the label is whether the first two are of one sign. */
function* rows(epoch: number) {
  let state = 0x9e3779b9 ^ epoch;
  for (let i = 0; i < batches; i++) {
    const x = new Float32Array(batchSize * width);
    for (let k = 0; k < x.length; k++) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      x[k] = state / 2 ** 31;
    }
    yield { x, y: Int32Array.from({ length: batchSize }, (_, row) => Number(x[row * width] * x[row * width + 1] > 0)) };
  }
}

const model = sequential({ input: [width], seed: 1 }, [dense(64, { activation: "relu" }), dense(2)]);
const [{ loss, accuracy, seconds, inputSeconds = 0, samplesPerSecond }] = await model.fit(rows, {
  loss: "crossEntropy",
  optimizer: adam(),
  metrics: ["accuracy"],
});
const peak = /VmHWM:\s*(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
const gb = (batches * batchSize * width * 4) / 1e9;
console.log(
  `${gb.toFixed(2)} GB of rows, ${seconds.toFixed(1)} s (${Math.round(samplesPerSecond)} rows/s, ${Math.round((gb / seconds) * 1000)} MB/s), input ${Math.round((100 * inputSeconds) / seconds)} %, loss ${loss.toFixed(4)}, accuracy ${accuracy.toFixed(4)}, peak ${Math.round(Number(peak) / 1024)} MiB`,
);
