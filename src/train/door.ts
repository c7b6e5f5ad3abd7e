/**
 * The door of the library: what people who write without types, or in a hurry, hand over by mistake. Each message says
 * what came, what was wanted and how it is written.
 */
import { checkNumbers, checkOptionNames, whole } from "../checks.ts";
import { ArgumentError } from "../errors.ts";
import { lossNames } from "../nn/losses.ts";

/** What came, in words: `the text "adam"`, `a function`, `nothing`. */
export function inWords(x: unknown): string {
  if (x === undefined) return "nothing";
  if (x === null) return "null";
  if (typeof x === "string") return `the text ${JSON.stringify(x.length > 30 ? `${x.slice(0, 30)}…` : x)}`;
  if (typeof x === "function") return `a function${x.name ? ` (${x.name}, not called?)` : ""}`;
  if (Array.isArray(x) || ArrayBuffer.isView(x)) return "an array";
  return typeof x === "object"
    ? `an object with ${Object.keys(x).join(", ") || "nothing in it"}`
    : `the ${typeof x} ${x}`;
}

const isObject = (x: unknown): x is Record<string, unknown> => typeof x === "object" && x !== null && !Array.isArray(x);

/** Whether this is `{ x, y }`, or a data set, which has both. */
export function checkData(what: string, data: unknown): void {
  if (isObject(data) && "x" in data && "y" in data) return;
  throw new ArgumentError(
    `${what} takes its data as { x, y }: rows, and what the network should make of them; ${inWords(data)} came.`,
  );
}

/** Whether this can be a file's name. */
export function checkPath(what: string, path: unknown): void {
  if (typeof path === "string" && path !== "") return;
  throw new ArgumentError(
    `${what} takes the path of a file, such as "model.safetensors"; ${inWords(path)} came. Without files there are toBytes() and fromBytes(bytes).`,
  );
}

const FIT_OPTIONS = [
  "loss",
  "optimizer",
  "epochs",
  "batchSize",
  "validation",
  "metrics",
  "signal",
  "onProgress",
  "observer",
  "checkpoint",
  "resume",
  "callbacks",
  "classWeights",
  "augment",
  "onWarning",
  "stepsPerEpoch",
] as const;

export function checkFit(data: unknown, options: unknown): void {
  if (isObject(data) && typeof data.next === "function")
    throw new ArgumentError("fit takes a function that gives batches, fit(batches), not its result, fit(batches()).");
  if (typeof data !== "function") checkData("fit", data);
  if (!isObject(options) || options.loss === undefined) {
    throw new ArgumentError(
      `fit needs a loss in its options, such as { loss: "crossEntropy" }; ${inWords(options)} came. Known are ${lossNames().join(", ")}.`,
    );
  }
  checkOptionNames("fit", options, FIT_OPTIONS);
  const { stepsPerEpoch, validation, augment, checkpoint, resume } = options;
  if (augment !== undefined && typeof augment !== "function")
    throw new ArgumentError(
      `fit: augment must be a function (row, epoch, index) => row, such as one that calls augmentImage; ${inWords(augment)} came.`,
    );
  if (checkpoint !== undefined) {
    checkOptionNames("fit's checkpoint", checkpoint, ["path", "everySeconds"]);
    checkPath("fit's checkpoint", (checkpoint as { path?: unknown }).path);
  }
  if (resume !== undefined) checkPath("fit's resume", resume);
  if (stepsPerEpoch !== undefined) checkNumbers("fit: ", { stepsPerEpoch }, whole(1));
  if (typeof data === "function" ? typeof validation === "number" : stepsPerEpoch !== undefined)
    throw new ArgumentError(
      "fit: stepsPerEpoch is for data from a function that gives batches, a fraction as validation for data that are not.",
    );
  checkOptimizer(options.optimizer);
}

/** Whether this is an optimiser, or none. */
export function checkOptimizer(optimizer: unknown): void {
  if (optimizer === undefined || (isObject(optimizer) && typeof optimizer.update === "function")) return;
  throw new ArgumentError(
    `The optimizer must be what a function such as adam({ learningRate: 0.001 }) gives; ${inWords(optimizer)} came.`,
  );
}

export function checkModel(options: unknown, layers: unknown): void {
  if (!isObject(options) || !Array.isArray(options.input)) {
    const came = isObject(options) ? `input is ${inWords(options.input)}` : `${inWords(options)} came`;
    throw new ArgumentError(`A model begins with the shape of one sample, as in { input: [784] }; ${came}.`);
  }
  checkOptionNames("A model", options, ["input", "seed", "backend"]);
  if (!Array.isArray(layers)) {
    throw new ArgumentError(`A model's layers are a list, such as [dense(128), dense(10)]; ${inWords(layers)} came.`);
  }
  for (const [i, layer] of layers.entries()) {
    if (isObject(layer) && typeof layer.kind === "string" && isObject(layer.config)) continue;
    throw new ArgumentError(
      `Layer ${i + 1} must be what a function such as dense(10) or flatten() gives; ${inWords(layer)} came.`,
    );
  }
}
