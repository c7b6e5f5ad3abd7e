/**
 * Trains on a table of numbers (bench/tasks/csv.mjs makes one) in memory, or as a stream with or without a cache, in a process of
 * its own, and prints what opening took, the speed of each epoch, the wait for rows, and the peak of memory.
 *
 *   tsx bench/tasks/stream-csv.ts FILE memory|stream|cache [EPOCHS] [UNITS] [BATCH]
 */
import { readFileSync } from "node:fs";
import { statistics } from "../../src/data/index.ts";
import { clearCache, openStream, readCsv } from "../../src/data/node.ts";
import { adam, dense, normalize, sequential, wasm } from "../../src/index.ts";

const [file, kind, epochs = "4", units = "64", batch = "128"] = process.argv.slice(2);
const cache = "stream-csv.cache";
const since = performance.now();
const data =
  kind === "memory"
    ? await readCsv(file, { target: "y" })
    : await openStream(file, { target: "y", ...(kind === "cache" && { cache }) });
const opened = (performance.now() - since) / 1000;
const peak = () => Math.round(Number(/VmHWM:\s*(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1]) / 1024);
console.log(`${kind}: ${data.count} rows opened in ${opened.toFixed(1)} s, peak ${peak()} MiB`);
const scaling = "rows" in data ? data.statistics : statistics(data);
const model = sequential({ input: data.inputShape, seed: 1, backend: wasm({ threads: 1 }) }, [
  ...[normalize(scaling), dense(Number(units), { activation: "relu" }), dense(2)],
]);
const options = { loss: "crossEntropy", optimizer: adam(), batchSize: Number(batch), metrics: ["accuracy"] } as const;
for await (const { epoch, samplesPerSecond, seconds, inputSeconds = 0, loss, accuracy } of model.fit(data, {
  ...options,
  epochs: Number(epochs),
}))
  console.log(
    `epoch ${epoch}: ${Math.round(samplesPerSecond)} rows/s, ${seconds.toFixed(2)} s, input ${Math.round((100 * inputSeconds) / seconds)} %, loss ${loss.toFixed(5)}, accuracy ${accuracy.toFixed(4)}`,
  );
console.log(`peak ${peak()} MiB`);
if (kind === "cache") {
  const again = performance.now();
  await openStream(file, { target: "y", cache });
  console.log(
    `opened again in ${((performance.now() - again) / 1000).toFixed(2)} s; ${((await clearCache(cache)) / 1e6).toFixed(1)} MB removed`,
  );
}
