/**
 * Metrics by name. One that is a mean over samples is computed inside the plan, with the loss, without another pass. One
 * that is not (precision, AUC …) needs all outputs at once: evaluation collects them, training epochs go without.
 */
import { unknownName } from "../checks.ts";
import { ArgumentError } from "../errors.ts";
import type { Node } from "../graph/node.ts";
import { sizeOf } from "../graph/shape.ts";
import { hasLabels, type Loss, lossPerSample, meanOverPlaces, placesThatCount, takesLogits } from "../nn/losses.ts";
import { abs, argmax, equal, greater, less, mean, mul, oneHot, reshape, sub, sum } from "../ops/index.ts";
import type { Targets } from "./to-arrays.ts";

/** The mean over samples of a number, or a function of that mean. */
export interface SampleMetric {
  /** The network's output [B, …] and the target ([B] of int, or [B, …]) → [B]. */
  perSample(output: Node, target: Node, loss: Loss): Node;
  /** The metric, of the mean; the mean itself unless said. */
  finish?(mean: number): number;
}

/** What a network gave for a whole data set. */
export interface Predictions {
  /** N rows of `width` numbers. */
  readonly outputs: Float32Array;
  readonly width: number;
  readonly targets: Targets;
  readonly loss: Loss;
}

/** Any number that follows from all predictions at once. */
export interface WholeMetric {
  /** The number, from the outputs and targets of all rows. */
  whole(predictions: Predictions): number;
}

/** A metric: of single samples, or of all predictions at once. */
export type Metric = SampleMetric | WholeMetric;

const flat = (node: Node): Node => reshape(node, [node.shape[0], sizeOf(node.shape.slice(1))]);

/** For each of a row's outputs, 1 where its yes or no is the right one. */
const agreements = (output: Node, target: Node, { threshold = 0.5 }: Loss): Node =>
  equal(greater(flat(output), threshold), greater(flat(target), 0.5));

/**
 * The share of rows whose most likely class is the right one; of yes-and-no answers that are right, if there is one output
 * or each is a label of its own (the Hamming score).
 */
const accuracy: SampleMetric = {
  perSample: (output, target, loss) => {
    if (target.dtype === "int") {
      const right = equal(argmax(output), target);
      return right.shape.length === 1 ? right : meanOverPlaces(right, placesThatCount(target));
    }
    const width = sizeOf(output.shape.slice(1));
    if (width === 1 || hasLabels(loss, width)) return mean(agreements(output, target, loss), 1);
    return equal(argmax(output), argmax(target));
  },
};

/** e to the loss: among how many equally likely classes the network is undecided. */
const perplexity: SampleMetric = {
  perSample: (output, target, loss) => lossPerSample(loss, output, target),
  finish: Math.exp,
};

/** The loss in bits, as information is counted: of a text by characters, those that one takes. */
const bits: SampleMetric = { ...perplexity, finish: (loss) => loss / Math.LN2 };

/** The share of rows of which every label is right (`accuracy_score` of several labels in scikit-learn). */
const subsetAccuracy: SampleMetric = {
  perSample: (output, target, loss) => {
    const width = sizeOf(output.shape.slice(1));
    if (target.dtype === "int" || !hasLabels(loss, width)) return accuracy.perSample(output, target, loss);
    return equal(sum(agreements(output, target, loss), 1), width);
  },
};

/** The share of rows whose right class is among the k likeliest: those with fewer than k larger outputs. */
const topAccuracy = (k: number): SampleMetric => ({
  perSample: (output, target) => {
    const classes = output.shape[output.shape.length - 1];
    const right = oneHot(target.dtype === "int" ? target : argmax(target), classes);
    const own = sum(mul(output, right), -1, true);
    return less(sum(greater(output, own), -1), k);
  },
});

/** The mean over a row's outputs of a function of their errors. */
const ofErrors = (f: (d: Node) => Node): SampleMetric => ({
  perSample: (output, target) => mean(f(sub(flat(output), flat(target))), 1),
});
const meanSquaredError = ofErrors((d) => mul(d, d));

const total = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

/** The place of the largest of `width` numbers. */
export function largest(values: ArrayLike<number>, from = 0, width: number = values.length): number {
  let best = 0;
  for (let i = 1; i < width; i++) if (values[from + i] > values[from + best]) best = i;
  return best;
}

/** Each row's class: the place of its largest number; of a single one, whether it is above the threshold. */
const decide = (values: ArrayLike<number>, width: number, threshold: number): Int32Array =>
  Int32Array.from({ length: values.length / width }, (_, i) =>
    width === 1 ? Number(values[i] > threshold) : largest(values, i * width, width),
  );

/** The right class of each of `count` rows. */
export const classesOf = ({ kind, values }: Targets, count: number): Int32Array =>
  kind === "classes" ? values : decide(values, values.length / count, 0.5);

/** Right and predicted class of every row. */
function decisions({ outputs, width, targets, loss: { threshold = 0.5 } }: Predictions) {
  const predicted = decide(outputs, width, threshold);
  return { actual: classesOf(targets, predicted.length), predicted, classes: Math.max(2, width) };
}

/** The probabilities that logits stand for. */
export function softmaxOf(logits: Float32Array | Float64Array): number[] {
  const top = Math.max(...logits);
  const e = Array.from(logits, (z) => Math.exp(z - top));
  const sum = total(e);
  return e.map((v) => v / sum);
}

/**
 * How often rows of each class were taken for each class: row = right class, column = predicted one.
 *
 * @param classes how many classes there are; one more than the largest number unless said
 * @throws ArgumentError if the lists differ in length or hold other things than class numbers
 *
 * @example
 * confusionMatrix([0, 1, 1], [0, 0, 1]); // [[1, 0], [1, 1]]
 */
export function confusionMatrix(
  actual: ArrayLike<number>,
  predicted: ArrayLike<number>,
  classes: number = 1 + Math.max(...Array.from(actual), ...Array.from(predicted)),
): number[][] {
  if (actual.length !== predicted.length)
    throw new ArgumentError(`confusionMatrix: ${actual.length} right classes and ${predicted.length} predicted ones.`);
  const matrix = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  for (let i = 0; i < actual.length; i++) {
    const row = matrix[actual[i]];
    if (row?.[predicted[i]] === undefined) {
      throw new ArgumentError(
        `confusionMatrix: row ${i + 1} has the classes ${actual[i]} and ${predicted[i]}; numbers from 0 to ${classes - 1} were wanted.`,
      );
    }
    row[predicted[i]]++;
  }
  return matrix;
}

const ratio = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole);

/** Of one class: how many were found, how many were taken for it, how many there are. */
type Counts = { readonly hits: number; readonly taken: number; readonly there: number };

/** The counts of each class. */
function countClasses(predictions: Predictions): Counts[] {
  const { actual, predicted, classes } = decisions(predictions);
  const matrix = confusionMatrix(actual, predicted, classes);
  return matrix.map((row, c) => ({ hits: row[c], taken: total(matrix.map((other) => other[c])), there: total(row) }));
}

/** The counts of each label where a row may have several. */
function countLabels({ outputs, width, targets: { values }, loss: { threshold = 0.5 } }: Predictions): Counts[] {
  return Array.from({ length: width }, (_, c) => {
    let [hits, taken, there] = [0, 0, 0];
    for (let i = c; i < outputs.length; i += width) {
      const [says, is] = [outputs[i] > threshold, values[i] > 0.5];
      taken += Number(says);
      there += Number(is);
      hits += Number(says && is);
    }
    return { hits, taken, there };
  });
}

/**
 * A metric of each class's counts: of class 1 if there are two classes, else the mean over the classes that occur, among
 * the right answers or the predicted ones; of several labels the mean over all (`macro` in scikit-learn).
 */
const perClass = (score: (counts: Counts) => number): WholeMetric => ({
  whole: (predictions) => {
    const several = hasLabels(predictions.loss, predictions.width);
    const counts = several ? countLabels(predictions) : countClasses(predictions);
    if (!several && counts.length === 2) return score(counts[1]);
    const scores = counts.filter(({ taken, there }) => several || taken + there > 0).map(score);
    return total(scores) / scores.length;
  },
});

/**
 * The probability that a row of the class scores higher than one that is not, ties counted half: the area under the ROC
 * curve, by ranks (Mann & Whitney, 1947). NaN if all rows are of one kind.
 */
function areaUnderCurve(scores: Float64Array, isClass: (row: number) => boolean): number {
  const order = Array.from(scores.keys()).sort((a, b) => scores[a] - scores[b]);
  let [ranks, members] = [0, 0];
  for (let i = 0; i < order.length; ) {
    let end = i;
    while (end < order.length && scores[order[end]] === scores[order[i]]) end++;
    // Equal scores share the mean of their ranks i + 1 … end.
    for (let k = i; k < end; k++) {
      if (!isClass(order[k])) continue;
      ranks += (i + 1 + end) / 2;
      members++;
    }
    i = end;
  }
  return (ranks - (members * (members + 1)) / 2) / (members * (order.length - members));
}

/** Scores that can be compared from row to row: probabilities where the loss takes logits of classes. */
function comparable({ outputs, width, loss }: Predictions): ArrayLike<number> {
  if (loss.target !== "classes" || !takesLogits(loss)) return outputs;
  const scores = Float64Array.from(outputs);
  for (let row = 0; row < scores.length; row += width) scores.set(softmaxOf(scores.subarray(row, row + width)), row);
  return scores;
}

/** Every row's number in a column. */
const columnOf = (values: ArrayLike<number>, width: number, c: number): Float64Array =>
  Float64Array.from({ length: values.length / width }, (_, i) => values[i * width + c]);

/** The area under the ROC curve; with more than two classes, or several labels, the mean over each against the rest. */
const auc: WholeMetric = {
  whole: (predictions) => {
    const { width } = predictions;
    if (hasLabels(predictions.loss, width)) {
      const { outputs, targets } = predictions;
      const areas = Array.from({ length: width }, (_, c) =>
        areaUnderCurve(columnOf(outputs, width, c), (i) => targets.values[i * width + c] > 0.5),
      );
      return total(areas) / width;
    }
    const { actual } = decisions(predictions);
    const scores = comparable(predictions);
    const columns = width <= 2 ? [width - 1] : [...Array(width).keys()];
    const areas = columns.map((c) =>
      areaUnderCurve(columnOf(scores, width, c), (i) => actual[i] === (width === 1 ? 1 : c)),
    );
    return total(areas) / areas.length;
  },
};

/** 1 − Σ(y − t)² / Σ(t − t̄)², the mean over outputs: 1 is perfect, 0 as good as always saying the mean. */
const r2: WholeMetric = {
  whole: ({ outputs, width, targets: { values } }) => {
    const scores = Array.from({ length: width }, (_, c) => {
      const [y, t] = [outputs, values].map((array) => columnOf(array, width, c));
      const average = t.reduce((sum, value) => sum + value / t.length, 0);
      const residual = t.reduce((sum, value, i) => sum + (value - y[i]) ** 2, 0);
      const spread = t.reduce((sum, value) => sum + (value - average) ** 2, 0);
      return spread > 0 ? 1 - residual / spread : Number(residual === 0);
    });
    return total(scores) / width;
  },
};

/** The mean over the classes of the share of their rows that were found: what accuracy would be if all were as frequent. */
const balancedAccuracy: WholeMetric = {
  whole: (predictions) => {
    const several = hasLabels(predictions.loss, predictions.width);
    const recalls = (several ? countLabels(predictions) : countClasses(predictions))
      .filter(({ there }) => there > 0)
      .map(({ hits, there }) => hits / there);
    return total(recalls) / recalls.length;
  },
};

const METRICS = new Map<string, Metric>(
  Object.entries({
    accuracy,
    subsetAccuracy,
    balancedAccuracy,
    precision: perClass(({ hits, taken }) => ratio(hits, taken)),
    recall: perClass(({ hits, there }) => ratio(hits, there)),
    f1: perClass(({ hits, taken, there }) => ratio(2 * hits, taken + there)),
    auc,
    bits,
    perplexity,
    meanAbsoluteError: ofErrors(abs),
    meanSquaredError,
    rootMeanSquaredError: { ...meanSquaredError, finish: Math.sqrt },
    r2,
  } satisfies Record<string, Metric>),
);

const ALIASES = new Map([
  ["mae", "meanAbsoluteError"],
  ["mse", "meanSquaredError"],
  ["rmse", "rootMeanSquaredError"],
]);

/** The names of all metrics; `top3Accuracy` stands for any number. */
export const metricNames = (): string[] => [...METRICS.keys(), "top3Accuracy"];

/**
 * Makes a metric of your own known by name: a mean over samples, or a function of all predictions.
 *
 * @example
 * defineMetric("bias", { perSample: (output, target) => mean(sub(output, target), 1) });
 * defineMetric("largest", { whole: ({ outputs }) => Math.max(...outputs) });
 */
export function defineMetric(name: string, metric: Metric): void {
  METRICS.set(name, metric);
}

/** Metrics that count right and wrong answers, which numbers are not. */
const OF_ANSWERS = /^(accuracy|subsetAccuracy|balancedAccuracy|precision|recall|f1|auc|top\d+Accuracy)$/;

/** Throws for a metric of right and wrong answers where the targets are numbers of any size. */
export function checkMetric(name: string, { target, independent }: Loss, { kind, values }: Targets): void {
  if (!OF_ANSWERS.test(name) || target === "classes" || independent || kind === "classes") return;
  const row = values.findIndex((value) => ![0, 1, -1].includes(value)) + 1;
  if (row > 0)
    throw new ArgumentError(
      `The metric ${name} counts right and wrong answers, but the targets are numbers, such as ${values[row - 1]}. For numbers take meanAbsoluteError, rootMeanSquaredError or r2; for classes a loss of classes, such as crossEntropy.`,
      { facts: { metric: name, came: values[row - 1] } },
    );
}

export function metricNamed(name: string): Metric {
  const found = METRICS.get(ALIASES.get(name) ?? name);
  if (found) return found;
  const [, k] = /^top([1-9]\d*)Accuracy$/.exec(name) ?? [];
  if (k !== undefined) return topAccuracy(Number(k));
  throw unknownName("metric", name, metricNames(), ", or make your own known with defineMetric");
}
