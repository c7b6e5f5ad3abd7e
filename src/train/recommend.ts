/**
 * Where to begin with a data set: a network and a way of training, chosen by the form of the data alone; nothing is
 * trained. The choices were measured on MNIST, and on eighteen tables against linear models: docs/decisions.md.
 */
import type { DataStream } from "../data/data-stream.ts";
import { type Dataset, type Statistics, statistics } from "../data/dataset.ts";
import type { ForecastWindows } from "../data/forecast.ts";
import { DataError } from "../errors.ts";
import type { Layer } from "../nn/layer.ts";
import { dense, dropout, flatten, lastSeason, normalize, rescale, residual } from "../nn/layers/index.ts";

/** A network and a way of training that suit a data set: from `recommend`. */
export interface Recommendation {
  /**
   * The whole network: `enter`, a flatten where one is needed, `hidden`, a dense layer of `outputs` units (of a forecast it is
   * part of `hidden`), `leave`.
   */
  readonly layers: readonly Layer[];
  /** What brings the input to about −1 … 1. */
  readonly enter: readonly Layer[];
  readonly hidden: readonly Layer[];
  /** How many numbers the network gives for a row. */
  readonly outputs: number;
  /** What brings the output of a regression into the target's own units. */
  readonly leave: readonly Layer[];
  readonly loss: "binaryCrossEntropy" | "crossEntropy" | "meanSquaredError";
  /** For Adam and its relatives. */
  readonly learningRate: number;
  /** For `adamw`; 0 for pictures, which `adam` learns. */
  readonly weightDecay: number;
  readonly batchSize: number;
  readonly epochs: number;
  readonly metrics: readonly string[];
  /** The standard deviation of a regression's targets, the largest of several; 1 for classes. */
  readonly targetScale: number;
}

/**
 * What to begin with for a data set; the command trains with it too.
 * @param train the rows to train with: statistics are taken of nothing else
 * @param all the stream of all of them, where these rows are some of it
 * @throws DataError if there is nothing to learn: one class, or the same target in every row
 *
 * @example
 * const flowers = iris();
 * const { layers, loss, learningRate, epochs, batchSize } = recommend(flowers);
 * const classifier = sequential({ input: flowers.inputShape }, layers);
 * await classifier.fit(flowers, { loss, optimizer: adam({ learningRate }), epochs, batchSize });
 */
export function recommend(train: Dataset, all?: Pick<DataStream, "count" | "statistics">): Recommendation {
  const isPicture = showsPictures(train);
  const { count } = all ?? train;
  const isNumber = train.task === "regression";
  const outputs = outputsOf(train);
  const isForecast = isNumber && isSequence(train);
  const hidden = isPicture
    ? [dense(128, { activation: "relu" })]
    : isForecast
      ? forecaster(train, outputs)
      : [0, 1].map(() => dense(64, { activation: "silu" }));
  const enter = enterOf(train, all?.statistics);
  const targets = isNumber ? targetStatistics(train) : undefined;
  const leave = targets ? [leaveOf(targets)] : [];
  const isFlat = train.inputShape.length === 1;
  const isBinary = outputs === 1 || train.task === "multilabel";
  return {
    layers: isForecast
      ? [...enter, ...hidden, ...leave]
      : [...enter, ...(isFlat ? [] : [flatten()]), ...hidden, dense(outputs), ...leave],
    enter,
    hidden,
    outputs,
    leave,
    loss: isNumber ? "meanSquaredError" : isBinary ? "binaryCrossEntropy" : "crossEntropy",
    learningRate: isPicture || isForecast ? 0.003 : 0.01,
    weightDecay: isPicture ? 0 : usualDecay(count),
    batchSize: isPicture ? 64 : count < 500 ? 16 : count < 5000 ? 32 : 64,
    epochs: usualEpochs(count, isPicture),
    targetScale: targets ? Math.max(...targets.deviation) : 1,
    metrics: isNumber ? ["meanAbsoluteError"] : ["accuracy"],
  };
}

/** Whether the rows of a data set are sequences of measurements, [T, D]. */
const isSequence = ({ x, inputShape }: Dataset): boolean => !(x instanceof Uint8Array) && inputShape.length === 2;

/**
 * What follows a window over a series: a weighted sum of its values, which trends and seasons follow, and beside it a hidden
 * layer for what is not linear. Of windows that say which variables are foretold, both learn only what the season before leaves over.
 */
function forecaster(train: Dataset, outputs: number): Layer[] {
  const hidden = [dropout(0.1), dense(64, { activation: "silu" }), dropout(0.2), dense(outputs)];
  const learnt = [flatten(), residual(hidden, { projection: dense(outputs) })];
  if (!hasColumns(train)) return learnt;
  const { columns } = train;
  const horizon = outputs / columns.length;
  const { season, share } = bestSeason(train, horizon);
  return [residual([...learnt, rescale(share)], { projection: lastSeason(horizon, { season, features: columns }) })];
}

const hasColumns = (train: Dataset): train is ForecastWindows => "columns" in train;

/** So many windows are enough to find the season. */
const MOST_WINDOWS = 500;

/**
 * After how many places the targets come again, by the windows: as many as foretell the training targets best. `share`: the
 * deviation of what is left over beside that of the targets.
 */
function bestSeason({ x, y, count, inputShape: [length, width], columns }: ForecastWindows, horizon: number) {
  const every = Math.ceil(count / MOST_WINDOWS);
  const targets = horizon * columns.length;
  let best = { season: 1, share: Number.POSITIVE_INFINITY };
  const deviations = columns.map((_, k) => deviationOf(y.filter((__, i) => i % columns.length === k)));
  for (let season = 1; season <= length; season++) {
    let [squares, terms] = [0, 0];
    for (let i = 0; i < count; i += every)
      for (let h = 0; h < horizon; h++)
        for (const [k, column] of columns.entries()) {
          const before = x[(i * length + length - season + (h % season)) * width + column];
          squares += ((y[i * targets + h * columns.length + k] - before) / deviations[k]) ** 2;
          terms++;
        }
    const share = Math.sqrt(squares / terms);
    if (share < best.share) best = { season, share };
  }
  // What is left over of a series that repeats itself exactly is nothing, which cannot be learnt from.
  return { ...best, share: Number(Math.max(best.share, 1e-3).toPrecision(3)) };
}

function deviationOf(values: Float32Array): number {
  const mean = values.reduce((sum, v) => sum + v, 0) / values.length;
  return Math.sqrt(values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / values.length) || 1;
}

/** Whether the rows of a data set are pictures: bytes of some height, width and channels. */
const showsPictures = ({ x, inputShape }: Dataset): boolean => x instanceof Uint8Array && inputShape.length === 3;

function usualEpochs(rows: number, isPicture: boolean): number {
  const [wanted, least, most] = isPicture ? [300_000 / rows, 5, 50] : [2500 / Math.sqrt(rows), 10, 200];
  return Math.floor(Math.min(most, Math.max(least, wanted)));
}

function outputsOf({ task, y, count, classes }: Dataset): number {
  if (task !== "classification") return y.length / count;
  const known = classes?.length ?? new Set(y).size;
  if (known < 2)
    throw new DataError("There is only one class, so there is nothing to tell apart. Add rows of another.");
  return known === 2 ? 1 : known;
}

/** Brings the input to about −1 … 1: pictures all alike, whether their pixels go up to 255, 16 or 1. */
function enterOf(train: Dataset, ofAll: Statistics | undefined): Layer[] {
  if (train.inputShape.length === 1) return [normalize(ofAll ?? statistics(train))];
  // Of a sequence each feature has one scale at all places.
  if (isSequence(train)) {
    const [places, width] = train.inputShape;
    return [normalize(statistics({ ...train, count: train.count * places, inputShape: [width] }))];
  }
  let largest = 0;
  for (const pixel of train.x) largest = Math.max(largest, Math.abs(pixel));
  if (largest > 127 && largest < 256) largest = 255;
  return largest > 2 ? [rescale(1 / largest)] : [];
}

/** Brings the output of a regression into the target's own units: y = deviation · z + mean. */
const leaveOf = ({ mean, deviation }: ReturnType<typeof targetStatistics>): Layer =>
  normalize({ mean: mean.map((m, i) => -m / deviation[i]), deviation: deviation.map((d) => 1 / d) });

function targetStatistics({ y, count }: Dataset): { mean: number[]; deviation: number[] } {
  const width = y.length / count;
  const columns = Array.from({ length: width }, (_, c) => Array.from(y).filter((_, i) => i % width === c));
  const mean = columns.map((column) => column.reduce((a, b) => a + b, 0) / count);
  const deviation = columns.map((column, c) =>
    Math.sqrt(column.reduce((sum, v) => sum + (v - mean[c]) ** 2, 0) / count),
  );
  if (deviation.some((d) => !(d > 0)))
    throw new DataError(`Every row has the target ${y[0]}, so there is nothing to learn. Choose another target.`);
  return { mean, deviation };
}

/** How strongly the weights of a network for a table are held back: the fewer the rows, the more their noise counts. */
const usualDecay = (rows: number): number => 5 / Math.sqrt(rows);
