/**
 * The door of the library: what people who write without types, or in a hurry, hand over by mistake. Each message says
 * what came, what was wanted and how it is written.
 */
import { check, checkNumbers, checkOptionNames, isObject, whole } from "../checks.ts";
import { ArgumentError } from "../errors.ts";
import type { Layer } from "../nn/layer.ts";
import { lossNames } from "../nn/losses.ts";
import { isStream } from "./to-arrays.ts";

/** Whether this is `{ x, y }`, or a data set, which has both. */
export const checkData = (what: string, data: unknown): void =>
  check(
    isObject(data) && "x" in data && "y" in data,
    `${what} takes its data as { x, y }: rows, and what the network should make of them`,
    data,
  );

/** Whether this can be a file's name. */
export const checkPath = (what: string, path: unknown): void =>
  check(
    typeof path === "string" && path !== "",
    `${what} takes the path of a file, such as "model.safetensors" (without files there are toBytes() and fromBytes(bytes))`,
    path,
  );

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
  "pace",
] as const;

export function checkFit(data: unknown, options: unknown): void {
  if (isObject(data) && typeof data.next === "function")
    throw new ArgumentError("fit takes a function that gives batches, fit(batches), not its result, fit(batches()).");
  const isSource = typeof data === "function";
  if (!isSource && !isStream(data)) checkData("fit", data);
  check(
    isObject(options) && options.loss !== undefined,
    `fit needs a loss, such as { loss: "crossEntropy" }, or another of ${lossNames().join(", ")}`,
    options,
  );
  checkOptionNames("fit", options, FIT_OPTIONS);
  const { stepsPerEpoch, validation, augment, checkpoint, resume, optimizer, pace } = options;
  check(pace === undefined || typeof pace === "function", "pace must be a function () => steps", pace);
  check(
    augment === undefined || typeof augment === "function",
    "augment must be a function (row, epoch, index) => row",
    augment,
  );
  if (checkpoint !== undefined) {
    checkOptionNames("fit's checkpoint", checkpoint, ["path", "everySeconds"]);
    checkPath("fit's checkpoint", (checkpoint as { path?: unknown }).path);
  }
  if (resume !== undefined) checkPath("fit's resume", resume);
  if (stepsPerEpoch !== undefined) checkNumbers("fit: ", { stepsPerEpoch }, whole(1));
  if (isSource ? typeof validation === "number" : stepsPerEpoch !== undefined)
    throw new ArgumentError(
      "fit: stepsPerEpoch is for data from a function that gives batches, a fraction as validation for data that are not.",
    );
  checkOptimizer(optimizer);
}

/** Whether this is an optimiser, or none. */
export const checkOptimizer = (optimizer: unknown): void =>
  check(
    optimizer === undefined || (isObject(optimizer) && typeof optimizer.update === "function"),
    "The optimizer must be what a function such as adam() gives",
    optimizer,
  );

/** Whether these are a layer's kind and configuration, as `dense(10)` gives them. */
export const isLayer = (x: unknown): x is Layer => isObject(x) && typeof x.kind === "string" && isObject(x.config);

export function checkModel(options: unknown, layers: unknown): void {
  check(
    isObject(options) && (Array.isArray(options.input) || isObject(options.input)),
    "A model begins with the shape of one sample, as in { input: [784] }",
    options,
  );
  checkOptionNames("A model", options, ["input", "seed", "backend"]);
  check(Array.isArray(layers), "A model's layers are a list, such as [dense(128), dense(10)]", layers);
  for (const [i, layer] of layers.entries())
    check(isLayer(layer), `Layer ${i + 1} must be what a function such as dense(10) or flatten() gives`, layer);
}
