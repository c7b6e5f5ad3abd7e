/** The learning-rate finder: a short run with a rate that grows, to see where the loss falls and where it explodes. */
import { check, checkNumbers, checkOptionNames, whole } from "../checks.ts";
import { DivergenceError } from "../errors.ts";
import type { LossesOption } from "../nn/losses.ts";
import type { Network } from "../nn/network.ts";
import { adam, type LearningRate, type Optimizer } from "../optim/index.ts";
import { RandomStream } from "../random.ts";
import { dataOf, type Examples, takeExamples } from "./examples.ts";
import type { InferenceModel } from "./inference-model.ts";
import type { Data } from "./to-arrays.ts";
import { trainStep } from "./train-step.ts";

/** Options of `findLearningRate`. */
export interface FindLearningRateOptions {
  readonly loss: LossesOption;
  /** The optimiser, of its learning rate; Adam unless said. */
  readonly optimizer?: (learningRate: LearningRate) => Optimizer;
  /** The first rate and the last; 1e-6 and 1 unless said. */
  readonly from?: number;
  readonly to?: number;
  /** How many steps; 100 unless said. */
  readonly steps?: number;
  /** 32 unless said. */
  readonly batchSize?: number;
}

/** What `findLearningRate` found. */
export interface LearningRateSearch {
  /** Where the loss falls most steeply: a good rate to begin with. */
  readonly suggestion: number;
  /** Each step's rate and its loss, smoothed over the steps before; up to where it exploded. */
  readonly points: readonly { readonly learningRate: number; readonly loss: number }[];
}

/** How much of the earlier losses stays in the smoothed one. */
const SMOOTHING = 0.9;
/** After so many steps little of the first loss is left in it. */
const SETTLED = 20;

/**
 * Tries learning rates on a model, from small to large, one step each (Smith, 2017), and gives the model its weights
 * back. It stops when the loss is four times its best.
 *
 * @example
 * const { suggestion } = await findLearningRate(model, data, { loss: "crossEntropy" });
 */
export async function findLearningRate(
  model: InferenceModel<unknown>,
  data: Data,
  options: FindLearningRateOptions,
): Promise<LearningRateSearch> {
  checkOptionNames("findLearningRate", options, ["loss", "optimizer", "from", "to", "steps", "batchSize"]);
  const { loss, optimizer = (learningRate: LearningRate) => adam({ learningRate }) } = options;
  const { from = 1e-6, to = 1, steps = 100, batchSize = 32 } = options;
  check(from > 0 && to > from, "The rates must grow from above 0", [from, to]);
  checkNumbers("findLearningRate: ", { steps }, whole(3));
  checkNumbers("findLearningRate: ", { batchSize }, whole(1));
  const rate = (step: number): number => from * (to / from) ** (step / (steps - 1));
  const batch = batches(model.network, model.examples(data, loss), batchSize);
  const { parameters } = model.network;
  const before = await Promise.all(parameters.map(({ name }) => model.weightAsync(name)));
  const train = trainStep(model, { loss, optimizer: optimizer(rate) });
  const points: { learningRate: number; loss: number }[] = [];
  try {
    let average = 0;
    let best = Number.POSITIVE_INFINITY;
    for (let step = 0; step < steps; step++) {
      const result = await train(batch());
      average = SMOOTHING * average + (1 - SMOOTHING) * result.loss;
      const smoothed = average / (1 - SMOOTHING ** (step + 1));
      points.push({ learningRate: rate(step), loss: smoothed });
      best = Math.min(best, smoothed);
      if (smoothed > 4 * best) break;
    }
  } catch (error) {
    // An exploding loss is what the search looks for.
    if (!(error instanceof DivergenceError)) throw error;
  } finally {
    train.free();
    for (const [i, { node }] of parameters.entries()) model.session.write(node, before[i]);
  }
  return { suggestion: steepest(points), points };
}

/**
 * The rate at which the loss falls most steeply, by straight lines fitted through neighbouring points, a tenth of them to
 * each side, so that noise does not decide. The points are evenly spaced on the scale of logarithms; the first ones, over
 * which the smoothed loss has yet to settle, are passed over.
 */
function steepest(points: LearningRateSearch["points"]): number {
  const reach = Math.max(1, Math.floor(points.length / 10));
  let best = { slope: Number.POSITIVE_INFINITY, rate: points[0]?.learningRate ?? Number.NaN };
  const settled = Math.min(SETTLED, Math.floor(points.length / 3));
  for (let i = reach + settled; i < points.length - reach; i++) {
    let slope = 0;
    for (let k = -reach; k <= reach; k++) slope += k * points[i + k].loss;
    if (slope < best.slope) best = { slope, rate: points[i].learningRate };
  }
  return best.rate;
}

/** Batches in random order, again and again. */
function batches(network: Network, examples: Examples, batchSize: number): () => Data {
  const stream = new RandomStream(network.seed, "learning rate finder");
  const { count } = examples;
  const size = Math.min(batchSize, count);
  let order: Uint32Array = new Uint32Array();
  return () => {
    if (order.length < size) order = stream.permutation(count);
    const rows = order.subarray(0, size);
    order = order.subarray(size);
    return dataOf(network, takeExamples(examples, rows));
  };
}
