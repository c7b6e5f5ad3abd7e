/**
 * Chooses what the command line leaves open: how the data enter, which layers, loss, optimiser and metrics, how long.
 * It reads the data's form and trains nothing. What was chosen is printed by the caller.
 */
import { type Dataset, statistics } from "../data/index.ts";
import {
  DataError,
  dense,
  flatten,
  type Layer,
  lossNamed,
  lossNames,
  Network,
  normalize,
  type Optimizer,
  rescale,
} from "../index.ts";
import { didYouMean, UsageError } from "./errors.ts";
import { readLayers } from "./layers.ts";
import { isAdaptive, readOptimizer, readSchedule } from "./optimizers.ts";
import { plural } from "./terminal.ts";

/** What the command line may say of the recipe. */
export interface RecipeOptions {
  readonly layers?: string;
  readonly loss?: string;
  readonly optimizer?: string;
  readonly learningRate?: number;
  readonly schedule?: string;
  readonly epochs?: number;
  readonly batchSize?: number;
}

export interface Recipe {
  readonly layers: readonly Layer[];
  readonly loss: string;
  readonly optimizer: Optimizer;
  readonly learningRate: number;
  readonly epochs: number;
  readonly batchSize: number;
  readonly metrics: readonly string[];
  /** What was done beyond what was asked. */
  readonly notes: readonly string[];
}

/** @param train the training part: statistics are taken of nothing else */
export function chooseRecipe(train: Dataset, options: RecipeOptions): Recipe {
  const own = options.layers === undefined ? undefined : readLayers(options.layers);
  const loss = chooseLoss(train, options.loss, own);
  const width = outputWidth(train, loss);
  const notes: string[] = [];
  const isPicture = train.x instanceof Uint8Array && train.inputShape.length === 3;
  const hidden = own ?? (isPicture ? [relu(128)] : [relu(32), relu(32)]);
  const first = enter(train, isPicture);
  const layers = build(train.inputShape, first, hidden, width, loss, own !== undefined, notes);
  const batchSize = options.batchSize ?? (isPicture ? 64 : train.count < 500 ? 16 : train.count < 5000 ? 32 : 64);
  const epochs = options.epochs ?? chooseEpochs(train.count, isPicture);
  const make = readOptimizer(options.optimizer ?? "adam");
  const scale = train.task === "regression" ? targetStatistics(train).deviation : [1];
  const learningRate = options.learningRate ?? (isAdaptive(make(1)) ? 0.003 : 0.05 / Math.max(...scale) ** 2);
  const steps = epochs * Math.ceil(train.count / batchSize);
  return {
    layers: train.task === "regression" ? [...layers, leave(train)] : layers,
    loss,
    optimizer: readSchedule(options.schedule ?? "cosine")(make, learningRate, steps),
    learningRate,
    epochs,
    batchSize,
    metrics: train.task === "regression" ? ["meanAbsoluteError"] : ["accuracy"],
    notes,
  };
}

const relu = (units: number): Layer => dense(units, { activation: "relu" });

/** About as many steps as 5 epochs of MNIST for pictures, fewer for tables. */
function chooseEpochs(rows: number, isPicture: boolean): number {
  const wanted = isPicture ? 300_000 / rows : 100_000 / rows;
  return Math.round(Math.min(isPicture ? 50 : 200, Math.max(5, wanted)));
}

// Loss and targets ---------------------------------------------------------------------------------------------------

function chooseLoss(train: Dataset, asked: string | undefined, layers: readonly Layer[] | undefined): string {
  if (asked !== undefined) {
    const { target } = lossOf(asked);
    if (train.task === "regression" && target === "classes") {
      throw new UsageError(
        `--loss ${asked} is for classes, but the target is a number. Take meanSquaredError, or --task classification.`,
      );
    }
    return asked;
  }
  if (train.task === "regression") return "meanSquaredError";
  const last = layers?.at(-1);
  const endsWithTwo = last?.kind === "dense" && (last.config as { units?: unknown }).units === 2;
  return train.classes?.length === 2 && !endsWithTwo ? "binaryCrossEntropy" : "crossEntropy";
}

function lossOf(title: string) {
  try {
    return lossNamed(title);
  } catch {
    throw new UsageError(
      `There is no loss "${title}". Choose one of ${lossNames().join(", ")}.${didYouMean(title, lossNames())}`,
    );
  }
}

const ON_PROBABILITIES = /OnProbabilities$/;

/** How many numbers the network must give for each row. */
function outputWidth(train: Dataset, loss: string): number {
  if (train.task === "regression") return train.y.length / train.count;
  const classes = train.classes?.length ?? Math.max(...train.y) + 1;
  if (classes < 2)
    throw new DataError("There is only one class, so there is nothing to tell apart. Add rows of another.");
  const { target, threshold } = lossOf(loss);
  const oneUnit = target === "values" && classes === 2 && (threshold === 0 || ON_PROBABILITIES.test(loss));
  return oneUnit ? 1 : classes;
}

/** The labels or targets of a data set in the form that the loss wants from a network of this width. */
export function targetsFor({ y, task, count }: Dataset, loss: string, width: number): Dataset["y"] {
  if (task === "regression" || lossNamed(loss).target === "classes" || width === 1) return y;
  const rows = new Float32Array(count * width);
  for (let row = 0; row < count; row++) rows[row * width + y[row]] = 1;
  return rows;
}

// Layers -------------------------------------------------------------------------------------------------------------

/** Brings the input to about −1 … 1. */
function enter(train: Dataset, isPicture: boolean): Layer[] {
  if (isPicture) return [rescale(1 / 255)];
  if (train.inputShape.length !== 1) return [];
  const { mean, std } = statistics(train);
  return [normalize({ mean, deviation: std })];
}

/** Brings the output of a regression into the target's own units: y = deviation · z + mean. */
function leave(train: Dataset): Layer {
  const { mean, deviation } = targetStatistics(train);
  return normalize({ mean: mean.map((m, i) => -m / deviation[i]), deviation: deviation.map((d) => 1 / d) });
}

function targetStatistics({ y, count }: Dataset): { mean: number[]; deviation: number[] } {
  const width = y.length / count;
  const columns = Array.from({ length: width }, (_, c) => Array.from(y).filter((_, i) => i % width === c));
  const mean = columns.map((column) => column.reduce((a, b) => a + b, 0) / count);
  const deviation = columns.map((column, c) =>
    Math.sqrt(column.reduce((sum, v) => sum + (v - mean[c]) ** 2, 0) / count),
  );
  if (deviation.some((d) => !(d > 0))) {
    throw new DataError(`Every row has the target ${y[0]}, so there is nothing to learn. Choose another target.`);
  }
  return { mean, deviation };
}

/** The layers in a row, flattened where a dense layer needs it, ended as the loss needs it. */
function build(
  inputShape: readonly number[],
  first: readonly Layer[],
  hidden: readonly Layer[],
  width: number,
  loss: string,
  literal: boolean,
  notes: string[],
): Layer[] {
  const layers: Layer[] = [];
  let shape = inputShape;
  const add = (layer: Layer): void => {
    if (layer.kind === "dense" && shape.length > 1) {
      layers.push(flatten());
      shape = [shape.reduce((a, b) => a * b, 1)];
    }
    layers.push(layer);
    try {
      shape = new Network(inputShape, 0, layers).outputShape;
    } catch (error) {
      throw new UsageError(`--layers: ${error instanceof Error ? error.message : error}`, { cause: error });
    }
  };
  const startsItself = ["rescale", "normalize"].includes(hidden[0].kind);
  for (const layer of startsItself ? hidden : [...first, ...hidden]) add(layer);
  if (shape.length !== 1 || shape[0] !== width) {
    if (literal) notes.push(`added dense ${width} at the end, since ${loss} needs ${plural(width, "output")}`);
    add(dense(width, ON_PROBABILITIES.test(loss) ? { activation: "sigmoid" } : {}));
  }
  return layers;
}
