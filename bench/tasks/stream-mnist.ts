/**
 * Trains the same network on MNIST in memory and as a stream, and prints the accuracy on the test digits; and how well a stream
 * mixes rows that are sorted by class, beside a full shuffle.
 *
 *   tsx bench/tasks/stream-mnist.ts DIRECTORY [EPOCHS]      (IDX files, not gzipped)
 */
import { take } from "../../src/data/index.ts";
import { openStream, readIdxDirectory, writeFileAtomically } from "../../src/data/node.ts";
import { adam, dense, flatten, RandomStream, rescale, sequential } from "../../src/index.ts";

const [directory, epochs = "3"] = process.argv.slice(2);
const { train, test } = await readIdxDirectory(directory);

async function accuracy(data: Parameters<ReturnType<typeof sequential>["fit"]>[0]): Promise<string> {
  const model = sequential({ input: [28, 28, 1], seed: 1 }, [
    ...[rescale(1 / 255), flatten(), dense(128, { activation: "relu" }), dense(10)],
  ]);
  const history = await model.fit(data, {
    loss: "crossEntropy",
    optimizer: adam(),
    batchSize: 64,
    epochs: Number(epochs),
  });
  const { seconds, inputSeconds = 0 } = history[history.length - 1];
  const scores = await model.evaluate(test!, { metrics: ["accuracy"] });
  return `${scores.accuracy.toFixed(4)} (last epoch ${seconds.toFixed(1)} s, input ${Math.round((100 * inputSeconds) / seconds)} %)`;
}

console.log("in memory: ", await accuracy(train));
const stream = await openStream(directory);
console.log("as a stream:", await accuracy(stream));

/** An IDX file of bytes. */
function idx(shape: readonly number[], bytes: Uint8Array): Uint8Array {
  const header = Buffer.alloc(4 + 4 * shape.length);
  header.set([0, 0, 8, shape.length]);
  for (const [i, length] of shape.entries()) header.writeUInt32BE(length, 4 + 4 * i);
  return Buffer.concat([header, bytes]);
}
const sorted = take(
  train,
  Array.from(train.y.keys()).sort((a, b) => train.y[a] - train.y[b]),
);
const { mkdirSync, rmSync } = await import("node:fs");
mkdirSync("sorted-digits", { recursive: true });
await writeFileAtomically("sorted-digits/train-images-idx3-ubyte", idx([sorted.count, 28, 28], sorted.x as Uint8Array));
await writeFileAtomically("sorted-digits/train-labels-idx1-ubyte", idx([sorted.count], Uint8Array.from(sorted.y)));
const bySort = await openStream("sorted-digits");
console.log("sorted by class, as a stream:", await accuracy(bySort));

/** The variance over batches of 64 of how many rows have class 0, over that of drawing them by chance. */
function unevenness(labels: ArrayLike<number>): number {
  const batches = Math.floor(labels.length / 64);
  const counts = Array.from({ length: batches }, (_, b) => {
    let zeros = 0;
    for (let i = 0; i < 64; i++) if (labels[64 * b + i] === 0) zeros++;
    return zeros;
  });
  const share = counts.reduce((a, b) => a + b) / (64 * batches);
  const variance = counts.reduce((sum, c) => sum + (c - 64 * share) ** 2, 0) / batches;
  return variance / (64 * share * (1 - share));
}
const labels: number[] = [];
for await (const { y } of bySort.rows({ shuffle: true, seed: 1 })) for (const label of y) labels.push(label);
const full = new RandomStream(1, "full").permutation(sorted.count);
const mixed = unevenness(Array.from(full, (row) => sorted.y[row]));
console.log(
  `variance of a class's share in batches of 64, over chance: full shuffle ${mixed.toFixed(2)}, stream ${unevenness(labels).toFixed(2)}, unmixed ${unevenness(sorted.y).toFixed(1)}`,
);
rmSync("sorted-digits", { recursive: true });
