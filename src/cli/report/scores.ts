/** How good predictions are: by class, and which classes are taken for which; or how far off numbers are. */
import type { Dataset } from "../../data/index.ts";
import { type Loss, lossNamed, type Model } from "../../index.ts";
import { examplesFor } from "../options/losses.ts";

export interface ClassScores {
  readonly task: "classification";
  readonly count: number;
  readonly loss: number;
  readonly accuracy: number;
  /** Rows: the true class; columns: what the model said. */
  readonly confusion: readonly (readonly number[])[];
}

export interface ValueScores {
  readonly task: "regression";
  readonly count: number;
  readonly loss: number;
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
export async function measureModel(model: Model, data: Dataset): Promise<TestScores> {
  const width = model.network.outputShape.reduce((a, b) => a * b, 1);
  const loss = trainedLoss(model, data.task);
  const { loss: measured } = await model.evaluate(examplesFor(data, loss, model), { loss });
  const { count } = data;
  if (data.task === "regression") return { count, loss: measured, ...compareValues(data, await model.predict(data.x)) };
  const classes = Math.max(width, 2);
  const confusion = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  const { classes: said } = await model.classify(data.x);
  for (let row = 0; row < count; row++) confusion[data.y[row]][said[row]]++;
  const right = confusion.reduce((sum, line, i) => sum + line[i], 0);
  return { task: "classification", count, loss: measured, accuracy: right / count, confusion };
}

function compareValues({ y }: Dataset, said: Float32Array): Omit<ValueScores, "count" | "loss"> {
  const mean = Array.from(y).reduce((sum, v) => sum + v, 0) / y.length;
  let [absolute, squares, spread] = [0, 0, 0];
  for (let i = 0; i < y.length; i++) {
    absolute += Math.abs(y[i] - said[i]);
    squares += (y[i] - said[i]) ** 2;
    spread += (y[i] - mean) ** 2;
  }
  return {
    task: "regression",
    meanAbsoluteError: absolute / y.length,
    rootMeanSquaredError: Math.sqrt(squares / y.length),
    r2: spread > 0 ? 1 - squares / spread : Number.NaN,
  };
}

/** Scores as the JSON events have them. */
export function jsonScores({ count: rows, ...scores }: TestScores): Record<string, unknown> {
  const { task: _, ...rest } = scores;
  return { rows, ...rest };
}
