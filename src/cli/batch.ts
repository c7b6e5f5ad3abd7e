/** Small batches for commands that look at one step: the first rows of a data set, or random numbers that fit a model. */
import { type Dataset, take } from "../data/index.ts";
import { type Data, lossNamed, type Model, RandomStream } from "../index.ts";

/** The first rows of a data set. */
export function batchOf(dataset: Dataset, rows: number): Data {
  const { x, y } = take(
    dataset,
    Array.from({ length: Math.min(rows, dataset.count) }, (_, i) => i),
  );
  return { x, y };
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((size, n) => size * n, 1);

/** Random inputs and targets of the kind the model's loss takes, always the same. */
export function randomBatch(model: Model, rows: number): Data {
  const stream = new RandomStream(0, "gradcheck");
  const width = sizeOf(model.network.outputShape);
  const numbers = (size: number) => Float32Array.from({ length: rows * size }, () => stream.uniform());
  const { target } = lossNamed(String(model.details.loss ?? "meanSquaredError"));
  return {
    x: numbers(sizeOf(model.inputShape)),
    y: target === "classes" ? Int32Array.from({ length: rows }, () => stream.integer(width)) : numbers(width),
  };
}
