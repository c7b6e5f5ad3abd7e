/** Losses by the names that Keras gives them, so that an imported model is evaluated and trained on with its own. */
import { isObject } from "../../checks.ts";
import { snakeCase } from "./weights.ts";

const LOSSES: Readonly<Record<string, string>> = {
  categorical_crossentropy: "crossEntropy",
  sparse_categorical_crossentropy: "crossEntropy",
  mean_squared_error: "meanSquaredError",
  mse: "meanSquaredError",
  mean_absolute_error: "meanAbsoluteError",
  mae: "meanAbsoluteError",
  huber: "huber",
  huber_loss: "huber",
  hinge: "hinge",
  squared_hinge: "squaredHinge",
};

/** What a compiled Keras model was trained with, in our words; undefined where that is not known, or none of ours. */
export function lossOf(compiled: unknown, outputOp: string): string | undefined {
  let loss = isObject(compiled) ? compiled.loss : undefined;
  let fromLogits = false;
  if (isObject(loss)) {
    fromLogits = isObject(loss.config) && loss.config.from_logits === true;
    loss = loss.class_name === "function" ? loss.config : loss.class_name;
  }
  if (typeof loss !== "string") return undefined;
  const name = snakeCase(loss);
  if (/^binary_cross_?entropy$/.test(name))
    return fromLogits || outputOp !== "sigmoid" ? "binaryCrossEntropy" : "binaryCrossEntropyOnProbabilities";
  return LOSSES[name.replace("cross_entropy", "crossentropy")];
}
