/** How good predictions are: by class, and which classes are taken for which; or how far off numbers are. */
import { DataStream, type Dataset, type StreamedRows } from "../../data/index.ts";
import { type Loss, lossNamed, type Model } from "../../index.ts";
import { examplesFor } from "../options/losses.ts";

export interface ClassScores {
  readonly task: "classification";
  readonly count: number;
  readonly loss: number;
  readonly accuracy: number;
  /** The mean over the classes of the share of their rows that are right, where some are much rarer than others. */
  readonly balancedAccuracy?: number;
  /** Of two classes, for the second: how many taken for it are it, how many of it are found, both in one, and ROC. */
  readonly precision?: number;
  readonly recall?: number;
  readonly f1?: number;
  readonly auc?: number;
  /** Rows: the true class; columns: what the model said. */
  readonly confusion: readonly (readonly number[])[];
}

/** From this ratio of rows on a class is rare beside another. */
const RARE = 4;

/** How many rows there are of each class, by the confusion matrix. */
export const classCounts = ({ confusion }: Pick<ClassScores, "confusion">): number[] =>
  confusion.map((line) => line.reduce((a, b) => a + b, 0));

/** Whether some classes are much rarer than others. */
export function isUneven(scores: Pick<ClassScores, "confusion">): boolean {
  const counts = classCounts(scores).filter((count) => count > 0);
  return Math.max(...counts) > RARE * Math.min(...counts);
}

export interface ValueScores {
  readonly task: "regression";
  readonly count: number;
  readonly loss: number;
  /** Of squares, it is in the square of the target's unit. */
  readonly lossName: string;
  readonly meanAbsoluteError: number;
  readonly rootMeanSquaredError: number;
  /** 1 − Σ(y − ŷ)² / Σ(y − ȳ)²; NaN when all targets are the same. */
  readonly r2: number;
}

export type TestScores = ClassScores | ValueScores;

/** The loss that a model was trained with; where it does not say, the usual one of its task. */
export function trainedLoss({ details }: Model, task: Dataset["task"]): Loss {
  const usual = task === "regression" ? "meanSquaredError" : "crossEntropy";
  const { loss, lossOptions } = details;
  return lossNamed(typeof loss === "string" ? loss : usual, lossOptions as Record<string, unknown> | undefined);
}

/** Measures a model on a data set. */
export async function measureModel(model: Model, data: Dataset | DataStream): Promise<TestScores> {
  const width = model.network.outputShape.reduce((a, b) => a * b, 1);
  const loss = trainedLoss(model, data.task);
  const binary = data.task === "classification" && width <= 2 ? (["precision", "recall", "f1", "auc"] as const) : [];
  const { loss: measured, ...more } = await model.evaluate(examplesFor(data, loss, model), { loss, metrics: binary });
  const { count } = data;
  if (data.task === "regression") {
    const { name: lossName = "own" } = loss;
    return { count, loss: measured, lossName, ...(await compareValues(model, partsOf(data))) };
  }
  const classes = Math.max(width, 2);
  const confusion = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  for await (const { x, y, count } of partsOf(data)) {
    const { classes: said } = await model.classify(x);
    for (let row = 0; row < count; row++) confusion[y[row]][said[row]]++;
  }
  const right = confusion.reduce((sum, line, i) => sum + line[i], 0);
  const recalls = classCounts({ confusion }).flatMap((all, i) => (all > 0 ? [confusion[i][i] / all] : []));
  const balancedAccuracy = recalls.reduce((a, b) => a + b, 0) / recalls.length;
  return {
    task: "classification",
    count,
    loss: measured,
    accuracy: right / count,
    ...(isUneven({ confusion }) && { balancedAccuracy }),
    ...more,
    confusion,
  };
}

/** All rows of data in memory, or those of a stream part by part. */
const partsOf = (data: Dataset | DataStream) => (data instanceof DataStream ? data.rows() : [data]);

async function compareValues(
  model: Model,
  parts: Iterable<StreamedRows> | AsyncIterable<StreamedRows>,
): Promise<Omit<ValueScores, "count" | "loss" | "lossName">> {
  let [count, absolute, squares, mean, spread] = [0, 0, 0, 0, 0];
  for await (const { x, y } of parts) {
    const said = await model.predict(x);
    for (let i = 0; i < y.length; i++) {
      absolute += Math.abs(y[i] - said[i]);
      squares += (y[i] - said[i]) ** 2;
      // Σ(y − ȳ)² as the rows come (Welford, 1962).
      const far = y[i] - mean;
      mean += far / ++count;
      spread += far * (y[i] - mean);
    }
  }
  return {
    task: "regression",
    meanAbsoluteError: absolute / count,
    rootMeanSquaredError: Math.sqrt(squares / count),
    r2: spread > 0 ? 1 - squares / spread : Number.NaN,
  };
}

/** Scores as the JSON events have them. */
export function jsonScores({ count: rows, ...scores }: TestScores): Record<string, unknown> {
  const { task: _, ...rest } = scores;
  return { rows, ...rest };
}
