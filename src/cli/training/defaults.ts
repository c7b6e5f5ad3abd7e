/**
 * Chooses what the command line leaves open: how the data enter, which layers, loss, optimiser and metrics, how long.
 * It reads the data's form and trains nothing. What was chosen is printed by the caller.
 */

import { didYouMean } from "../../checks.ts";
import type { DataStream, Dataset, Task } from "../../data/index.ts";
import {
  DataError,
  dense,
  flatten,
  type Layer,
  type Loss,
  lossNamed,
  metricNames,
  Network,
  type Optimizer,
  type Recommendation,
  recommend,
} from "../../index.ts";
import { asUsage } from "../options/language.ts";
import { readLayers } from "../options/layers.ts";
import { classOutputs, lastActivation, readLoss } from "../options/losses.ts";
import { readOptimizer, readSchedule } from "../options/optimizers.ts";
import { UsageError } from "../terminal/exit.ts";
import { plural } from "../terminal/text.ts";

/** What the command line may say of the recipe. */
export interface RecipeOptions {
  readonly layers?: string;
  /** A file that builds the network, instead of layers. */
  readonly model?: string;
  /** A trained model to go on from. */
  readonly from?: string;
  /** Which scores are shown, instead of the usual ones of the task. */
  readonly metrics?: readonly string[];
  readonly loss?: string;
  readonly optimizer?: string;
  readonly learningRate?: number;
  readonly schedule?: string;
  readonly epochs?: number;
  readonly batchSize?: number;
}

export interface Recipe {
  /** None where the network comes from a file. */
  readonly layers: readonly Layer[];
  /** How many numbers the network gives for each row. */
  readonly outputs: number;
  /** Layers that scale the input, and those that bring the output into the target's units. */
  readonly enter: readonly Layer[];
  readonly leave: readonly Layer[];
  readonly loss: Loss;
  /** Whether the loss was said, not chosen. */
  readonly lossAsked: boolean;
  readonly optimizer: Optimizer;
  readonly learningRate: number;
  readonly schedule: string;
  readonly epochs: number;
  readonly batchSize: number;
  readonly metrics: readonly string[];
  /** What was done beyond what was asked. */
  readonly notes: readonly string[];
}

/**
 * @param train the training part: statistics are taken of nothing else
 * @param trained the loss of the model that is gone on from
 * @param stream what is trained on, where `train` has but some rows of it
 */
export function chooseRecipe(train: Dataset, options: RecipeOptions, trained?: Loss, stream?: DataStream): Recipe {
  const networks = (["layers", "model", "from"] as const).filter((key) => options[key] !== undefined);
  if (networks.length > 1)
    throw new UsageError(
      `${networks.map((key) => `--${key}`).join(" and ")} each say what the network is; give one of them.`,
    );
  const own = options.layers === undefined ? undefined : readLayers(options.layers);
  const loss = options.loss === undefined && trained ? trained : chooseLoss(train, options.loss, own);
  const width = outputWidth(train, loss);
  const notes: string[] = [];
  const advice = recommend(train, stream);
  const { enter, leave } = advice;
  const layers =
    options.model === undefined && options.from === undefined
      ? [...build(train.inputShape, enter, own ?? advice.hidden, width, loss, own !== undefined, notes), ...leave]
      : [];
  const { batchSize = advice.batchSize, epochs = advice.epochs } = options;
  const make = readOptimizer(options.optimizer ?? "adam");
  const learningRate = options.learningRate ?? usualRate(make(), advice);
  const schedule = options.schedule ?? "cosine";
  const steps = epochs * Math.ceil((stream ?? train).count / batchSize);
  return {
    layers,
    outputs: width,
    enter,
    leave,
    loss,
    lossAsked: options.loss !== undefined,
    optimizer: make(readSchedule(schedule)(learningRate, steps)),
    learningRate,
    schedule,
    epochs,
    batchSize,
    metrics: checkMetrics(options.metrics, train.task) ?? advice.metrics,
    notes,
  };
}

function checkMetrics(asked: readonly string[] | undefined, task: Task): readonly string[] | undefined {
  const ofClasses = asked?.find((name) => /accuracy|^(precision|recall|f1|auc)$/i.test(name));
  if (task === "regression" && ofClasses !== undefined)
    throw new UsageError(`--metrics: ${ofClasses} is for classes, but the target is a number. Take mae, rmse or r2.`);
  const known = [...metricNames(), "mae", "mse", "rmse"];
  const wrong = asked?.find((name) => !known.includes(name) && !/^top[1-9]\d*Accuracy$/.test(name));
  if (wrong === undefined) return asked;
  throw new UsageError(
    `--metrics: there is no metric "${wrong}". Known are ${known.join(", ")}.${didYouMean(wrong, known)}`,
  );
}

/** The first learning rate, where none is given. */
const usualRate = ({ name, config }: Optimizer, { learningRate, targetScale }: Recommendation): number => {
  if (/^n?adamw?$/.test(name)) return learningRate;
  // Plain descent follows the gradient's size, which in a regression grows with the square of the target's unit.
  return Number(config.learningRate) / (name === "sgd" ? targetScale ** 2 : 1);
};

// Loss ---------------------------------------------------------------------------------------------------------------

function chooseLoss(train: Dataset, asked: string | undefined, layers: readonly Layer[] | undefined): Loss {
  if (asked !== undefined) {
    const loss = readLoss(asked);
    if (train.task === "regression" && loss.target === "classes") {
      throw new UsageError(
        `--loss ${asked} is for classes, but the target is a number. Take meanSquaredError, or --task classification.`,
      );
    }
    const classes = train.classes?.length ?? 0;
    if (loss.independent && train.task === "classification" && classes > 2)
      throw new UsageError(
        `--loss ${asked} takes each of the ${classes} outputs for a yes or no of its own, but a row has one of ${classes} classes. Take crossEntropy.`,
      );
    return loss;
  }
  if (train.task === "regression") return lossNamed("meanSquaredError");
  const last = layers?.at(-1);
  const endsWithTwo =
    (last?.kind === "dense" && (last.config as { units?: unknown }).units === 2) || (last && isSoftmax(last));
  return lossNamed(train.classes?.length === 2 && !endsWithTwo ? "binaryCrossEntropy" : "crossEntropy");
}

const isSoftmax = ({ kind, config }: Layer): boolean =>
  kind === "activation" && (config as { activation?: unknown }).activation === "softmax";

/** How many numbers the network must give for each row. */
function outputWidth(train: Dataset, loss: Loss): number {
  if (train.task === "regression") return train.y.length / train.count;
  const classes = train.classes?.length ?? Math.max(...train.y) + 1;
  if (classes < 2)
    throw new DataError("There is only one class, so there is nothing to tell apart. Add rows of another.");
  return classOutputs(loss, classes);
}

// Layers -------------------------------------------------------------------------------------------------------------

/** The layers in a row, flattened where a dense layer needs it, ended as the loss needs it. */
function build(
  inputShape: readonly number[],
  first: readonly Layer[],
  hidden: readonly Layer[],
  width: number,
  loss: Loss,
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
    shape = asUsage("--layers", () => new Network(inputShape, 0, layers).outputShape);
  };
  const startsItself = ["rescale", "normalize"].includes(hidden[0].kind);
  const all = startsItself ? hidden : [...first, ...hidden];
  // A softmax at the end is meant as the end: what is missing goes before it.
  const end = loss.name === "crossEntropy" && all.length > 1 && isSoftmax(all[all.length - 1]) ? all.slice(-1) : [];
  for (const layer of all.slice(0, all.length - end.length)) add(layer);
  if (shape.length !== 1 || shape[0] !== width) {
    const where = end.length > 0 ? "before the softmax" : "at the end";
    if (literal) notes.push(`added dense ${width} ${where}, since ${loss.name} needs ${plural(width, "output")}`);
    add(dense(width, { activation: lastActivation(loss) ?? "linear" }));
  }
  for (const layer of end) add(layer);
  return layers;
}
