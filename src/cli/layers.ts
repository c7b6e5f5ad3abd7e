/** Which layers `--layers` knows, and reading the list: `dense 128 relu, dropout 0.2, dense 10`. */
import {
  activation,
  activationNames,
  type DenseOptions,
  dense,
  dropout,
  flatten,
  type Layer,
  rescale,
} from "../index.ts";
import { UsageError } from "./errors.ts";
import { anyNumber, type Entry, either, entry, oneOf, readItem, wholeNumber, yesOrNo } from "./words.ts";

const activationName = oneOf(activationNames);
const initializerName = { wanted: "the name of an initialiser", read: (text: string) => text as DenseOptions["init"] };

/** A line per layer. An activation's name alone is a layer too. */
const layers = (): Record<string, Entry<Layer>> => ({
  dense: entry(
    "dense",
    { units: wholeNumber },
    { activation: activationName, init: initializerName, bias: either(yesOrNo, anyNumber) },
    ({ units, ...options }) => dense(units, options),
  ),
  dropout: entry("dropout", { rate: anyNumber }, {}, ({ rate }) => dropout(rate)),
  flatten: entry("flatten", {}, {}, () => flatten()),
  rescale: entry("rescale", { scale: anyNumber }, {}, ({ scale }) => rescale(scale)),
  activation: entry("activation", { function: activationName }, {}, (values) => activation(values.function)),
  ...Object.fromEntries(activationNames().map((title) => [title, entry(title, {}, {}, () => activation(title))])),
});

/** Reads a list of layers. Throws `UsageError`. */
export function readLayers(text: string): Layer[] {
  const items = text.split(",").map((item) => item.trim());
  if (items.includes("")) {
    throw new UsageError(`--layers "${text}" has an empty place; write layers with single commas between them.`);
  }
  const known = layers();
  return items.map((item) => {
    try {
      return readItem(item, known, "layer");
    } catch (error) {
      if (error instanceof UsageError) throw error;
      throw new UsageError(`--layers, "${item}": ${error instanceof Error ? error.message : error}`, { cause: error });
    }
  });
}
