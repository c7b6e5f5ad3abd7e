/** Small batches for commands that look at one step: the first rows of a data set, or random numbers that fit a model. */
import { type Dataset, take } from "../data/index.ts";
import { type Data, type Loss, lossNamed, type Model, RandomStream } from "../index.ts";
import { examplesFor } from "./losses.ts";

/** Some rows of a data set, from one on, as a model with this loss takes them. */
export function batchOf(dataset: Dataset, model: Model, loss: Loss, rows: number, from = 0): Data {
  const some = Array.from({ length: Math.min(rows, dataset.count - from) }, (_, i) => from + i);
  return examplesFor(take(dataset, some), loss, model);
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
