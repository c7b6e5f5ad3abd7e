/** Small batches for commands that look at one step: the first rows of a data set, or random numbers that fit a model. */
import { type Dataset, take } from "../../data/index.ts";
import { type Data, type Layer, type Loss, lossNamed, type Model, RandomStream } from "../../index.ts";
import { examplesFor } from "../options/losses.ts";

/** Some rows of a data set, from one on, as a model with this loss takes them. */
export function batchOf(dataset: Dataset, model: Model, loss: Loss, rows: number, from = 0): Data {
  const some = Array.from({ length: Math.min(rows, dataset.count - from) }, (_, i) => from + i);
  return examplesFor(take(dataset, some), loss, model);
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((size, n) => size * n, 1);

/** The mean and deviation of what a layer scales, if it is one that does. */
function scaleOf({ kind, config }: Layer): { mean: number[]; deviation: number[] } | undefined {
  return kind === "normalize" ? (config as { mean: number[]; deviation: number[] }) : undefined;
}

/**
 * Random inputs and targets of the kind the model's loss takes, always the same; spread as the data that the model was
 * trained on, where its first and last layers say how these were.
 */
export function randomBatch(model: Model, rows: number): Data {
  const stream = new RandomStream(0, "gradcheck");
  const { layers, outputShape } = model.network;
  const width = sizeOf(outputShape);
  const numbers = (size: number, draw = (_: number) => stream.uniform()) =>
    Float32Array.from({ length: rows * size }, (_, i) => draw(i));
  const [enter, leave] = [layers[0], layers[layers.length - 1]].map(scaleOf);
  const input = enter && ((i: number) => at(enter.mean, i) + at(enter.deviation, i) * stream.normal());
  // The last layer undoes the scaling of the targets.
  const output =
    leave && layers.length > 1 && ((i: number) => (stream.normal() - at(leave.mean, i)) / at(leave.deviation, i));
  const { target } = lossNamed(String(model.details.loss ?? "meanSquaredError"));
  return {
    x: numbers(sizeOf(model.inputShape), input),
    y:
      target === "classes"
        ? Int32Array.from({ length: rows }, () => stream.integer(width))
        : numbers(width, output || undefined),
  };
}

const at = (values: readonly number[], i: number): number => values[i % values.length];
