/**
 * What the command keeps in a model file beside the network, so that `evaluate` and `predict` can read new data as the
 * training data were read: the task, the classes, the columns. Here too: checking it, as it comes from a file.
 */
import { parseSchema, type TableSchema, type Task } from "../data/index.ts";
import { DataError, type Model } from "../index.ts";
import type { TrainingData } from "./data.ts";
import { count } from "./terminal.ts";

export interface Details {
  readonly task: Task;
  /** Names of the classes, class 0 first; absent for regression. */
  readonly classes?: readonly string[];
  /** Names of the features of a table. */
  readonly features?: readonly string[];
  readonly schema?: TableSchema;
  /** Pictures are drawn digits, to be brought into the form of MNIST's. */
  readonly digits?: boolean;
  /** What it was trained on and how, for people. */
  readonly trained?: string;
}

/** What to keep of the data that a model is trained on. */
export function detailsOf({ train, digits }: TrainingData): Details {
  const { task, classes, features, schema } = train;
  return {
    task,
    ...(classes && { classes }),
    ...(features && { features }),
    ...(schema && { schema }),
    ...(digits && { digits }),
  };
}

const strings = (x: unknown): x is string[] => Array.isArray(x) && x.every((item) => typeof item === "string");

/** The details of a loaded model. A model that the command did not train has the plainest ones that fit it. */
export function readDetails(model: Model, file: string): Details {
  const { task, classes, features, schema, digits, trained, loss } = model.details;
  const width = model.network.outputShape.reduce((a, b) => a * b, 1);
  const isClassifier = task === undefined ? /crossentropy/i.test(String(loss)) : task === "classification";
  const names = isClassifier ? (classes ?? Array.from({ length: Math.max(2, width) }, (_, i) => String(i))) : undefined;
  const fits =
    names === undefined || (strings(names) && (names.length === width || (names.length === 2 && width === 1)));
  if (!fits || (features !== undefined && !strings(features))) {
    throw new DataError(
      `${file}: its details name other classes than the ${count(width)} that the network gives; the file is damaged. Train the model again.`,
      { file },
    );
  }
  return {
    task: isClassifier ? "classification" : "regression",
    ...(names !== undefined && { classes: names as string[] }),
    ...(features !== undefined && { features }),
    ...(schema !== undefined && { schema: parseSchema(schema, file) }),
    ...(digits === true && { digits }),
    ...(typeof trained === "string" && { trained }),
  };
}
