/**
 * Reads `--loss`, such as `crossEntropy labelSmoothing=0.1`, and says what each loss wants of the network and of the
 * labels. The formulas are the library's.
 */
import { DataStream, type Dataset } from "../../data/index.ts";
import { type Data, type Loss, lossNamed, lossNames, type Model, type Stream } from "../../index.ts";
import { anyNumber, asUsage, type Entry, entry, readItem } from "./language.ts";

const OPTIONS: Readonly<Record<string, string>> = {
  huber: "delta",
  crossEntropy: "labelSmoothing",
  binaryCrossEntropy: "labelSmoothing",
  binaryCrossEntropyOnProbabilities: "labelSmoothing",
};
const SHORT: Readonly<Record<string, string>> = { mse: "meanSquaredError", mae: "meanAbsoluteError" };

/** Reads a loss. Throws `UsageError`. */
export function readLoss(text: string): Loss {
  const known = (title: string): Entry<Loss> => {
    const option = OPTIONS[title];
    return entry(title, {}, option ? { [option]: anyNumber } : {}, (options) => lossNamed(title, options));
  };
  const entries = Object.fromEntries(lossNames().map((title) => [title, known(title)]));
  const trimmed = text.trim();
  return asUsage(`--loss "${text}"`, () => readItem(SHORT[trimmed] ?? trimmed, entries, "loss"));
}

/** What the last layer must do to its sums, for losses that do not take logits. */
const LAST_ACTIVATION: Readonly<Record<string, string>> = {
  binaryCrossEntropyOnProbabilities: "sigmoid",
  klDivergence: "softmax",
  klDivergenceOnLogs: "logSoftmax",
};

export const lastActivation = ({ name = "" }: Loss): string | undefined => LAST_ACTIVATION[name];

/** How many numbers the network gives for so many classes: for two, losses with a threshold of their own need but one. */
export function classOutputs(loss: Loss, classes: number): number {
  const isBinary = loss.target === "values" && (loss.threshold === 0 || lastActivation(loss) === "sigmoid");
  return isBinary && classes === 2 ? 1 : classes;
}

/** The labels or targets of a data set in the form that the loss wants from a network that gives `width` numbers. */
function targetsFor(
  { y, task, count }: Pick<Dataset, "y" | "task" | "count">,
  loss: Loss,
  width: number,
): Dataset["y"] {
  if (task === "regression" || loss.target === "classes") return y;
  const no = /hinge/i.test(loss.name ?? "") ? -1 : 0;
  if (width === 1) return Float32Array.from(y, (label) => (label === 1 ? 1 : no));
  const rows = new Float32Array(count * width).fill(no);
  for (let row = 0; row < count; row++) rows[row * width + y[row]] = 1;
  return rows;
}

/** Rows and targets of a data set or a stream as a model with this loss takes them. */
export function examplesFor(data: Dataset, loss: Loss, model: Model): Data;
export function examplesFor(data: Dataset | DataStream, loss: Loss, model: Model): Data | Stream;
export function examplesFor(data: Dataset | DataStream, loss: Loss, { network }: Model): Data | Stream {
  const width = network.outputShape.reduce((a, b) => a * b, 1);
  if (data instanceof DataStream) {
    const { task, count, classes, classCounts, fingerprint } = data;
    return {
      ...{ count, classes, classCounts, fingerprint },
      split: (...given) => data.split(...given),
      async *rows(options) {
        for await (const rows of data.rows(options)) yield { ...rows, y: targetsFor({ ...rows, task }, loss, width) };
      },
    };
  }
  return { x: data.x, y: targetsFor(data, loss, width) };
}
