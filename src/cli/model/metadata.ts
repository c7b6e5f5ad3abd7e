/**
 * What the command keeps in a model file beside the network, so that `evaluate` and `predict` can read new data as the
 * training data were read: the task, the classes, the columns. Here too: checking it, as it comes from a file.
 */
import { createHash } from "node:crypto";
import { type Dataset, parseSchema, type TableSchema, type Task } from "../../data/index.ts";
import { DataError, type Model, type NamedShape } from "../../index.ts";
import { count, name as safe } from "../terminal/text.ts";
import { type ForecastPlan, parseForecastPlan } from "./forecast-plan.ts";

export interface Details {
  /** `"text"` for a language model, `"several"` for a network whose inputs or outputs have names. */
  readonly task: Task | "text" | "several";
  /** Names of the classes, class 0 first; absent for regression. */
  readonly classes?: readonly string[];
  /** Names of the features of a table. */
  readonly features?: readonly string[];
  readonly schema?: TableSchema;
  /** How a series is read and forecast. */
  readonly series?: ForecastPlan;
  /** Pictures are drawn digits, to be brought into the form of MNIST's. */
  readonly digits?: boolean;
  /** Numbers in its tables have decimal commas. */
  readonly decimal?: "comma";
  /** What the bytes of its tables mean, where that had to be said. */
  readonly encoding?: string;
  /** What it was trained on and how, for people. */
  readonly trained?: string;
  /** The optimiser as `--optimizer` takes it, and its first learning rate. */
  readonly optimizer?: string;
  readonly learningRate?: number;
  readonly origin?: Origin;
}

/** Which rows a model was trained on: enough to know the data again, and to divide them in the same way. */
export interface Origin {
  /** SHA-256 of the rows and targets. */
  readonly fingerprint: string;
  readonly file: string;
  /** The parts held out for the test and for validation, and the seed that chose their rows. */
  readonly test: number;
  readonly validation: number;
  readonly seed: number;
}

/** Tells data sets apart by their rows and targets. */
export function fingerprintOf({ x, y }: Pick<Dataset, "x" | "y">): string {
  const hash = createHash("sha256");
  for (const { buffer, byteOffset, byteLength } of [x, y]) hash.update(new Uint8Array(buffer, byteOffset, byteLength));
  return hash.digest("hex").slice(0, 32);
}

/** What to keep of the data that a model is trained on. */
export function detailsOf(
  { train, digits, series }: { readonly train: Dataset; readonly digits?: boolean; readonly series?: ForecastPlan },
  { decimal, encoding }: { readonly decimal?: "point" | "comma"; readonly encoding?: string } = {},
): Details {
  const { task, classes, features, schema } = train;
  return {
    task,
    ...(classes && { classes }),
    ...(features && { features }),
    ...(schema && { schema }),
    ...(digits && { digits }),
    ...(series && { series }),
    ...(decimal === "comma" && { decimal }),
    ...(encoding !== undefined && { encoding }),
  };
}

/** How the tables of a model are written, for the readers of files. */
export const writtenOf = ({ decimal, encoding }: Pick<Details, "decimal" | "encoding">) => ({
  ...(decimal !== undefined && { decimal }),
  ...(encoding !== undefined && { encoding }),
});

const isOrigin = (x: unknown): x is Origin => {
  const { fingerprint, file, test, validation, seed } = (x ?? {}) as Partial<Origin>;
  const numbers = [test, validation, seed].every((n) => typeof n === "number" && n >= 0);
  return typeof fingerprint === "string" && typeof file === "string" && numbers;
};

const strings = (x: unknown): x is string[] => Array.isArray(x) && x.every((item) => typeof item === "string");

/** The details of a loaded model. A model that the command did not train has the plainest ones that fit it. */
export function readDetails(model: Model, file: string): Details {
  const { task, classes, features, schema, digits, trained, loss, decimal, encoding, origin } = model.details;
  const { optimizer, learningRate, series } = model.details;
  if (task === "text") return { task, ...(typeof trained === "string" && { trained }) };
  const { inputs, outputs } = model.network;
  if (inputs[0].name !== undefined || outputs[0].name !== undefined) return { task: "several" };
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
    ...(series !== undefined && { series: parseForecastPlan(series, file) }),
    ...(digits === true && { digits }),
    ...(decimal === "comma" && { decimal }),
    ...(typeof encoding === "string" && { encoding }),
    ...(typeof trained === "string" && { trained }),
    ...(typeof optimizer === "string" && { optimizer }),
    ...(typeof learningRate === "number" && learningRate > 0 && { learningRate }),
    ...(isOrigin(origin) && { origin }),
  };
}

/** Inputs or outputs with their shapes: `[784]`, or `image [28, 28, 1], tags [10]`. */
export const portsText = (ports: readonly NamedShape[], batch = ""): string =>
  ports
    .map(({ name, shape }) => `${name === undefined ? "" : `${safe(name, 30)} `}[${batch}${shape.join(", ")}]`)
    .join(", ");
