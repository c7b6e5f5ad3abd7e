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
import {
  anyNumber,
  anyWord,
  asUsage,
  type Entry,
  either,
  entry,
  type Parameter,
  readItem,
  wholeNumber,
  yesOrNo,
} from "./words.ts";

/** An activation's name, with a number in brackets for some: `leakyRelu(0.2)`. */
const activationName: Parameter<string> = {
  get wanted() {
    return `one of ${activationNames().join(", ")}`;
  },
  get known() {
    return activationNames();
  },
  read: (text) => (activationNames().includes(text.replace(/\(.*\)$/, "")) ? text : undefined),
};
/** The layer itself says which initialisers there are. */
const initializerName = either(anyNumber, anyWord<DenseOptions["init"]>());

/** A line per layer. */
const LAYERS: Readonly<Record<string, Entry<Layer>>> = {
  dense: entry(
    "dense",
    { units: wholeNumber },
    { activation: activationName, init: initializerName, bias: either(yesOrNo, anyNumber) },
    ({ units, ...options }) => dense(units, options as DenseOptions),
  ),
  dropout: entry("dropout", { rate: anyNumber }, {}, ({ rate }) => dropout(rate)),
  flatten: entry("flatten", {}, {}, () => flatten()),
  rescale: entry("rescale", { scale: anyNumber }, {}, ({ scale }) => rescale(scale)),
  activation: entry("activation", { function: activationName }, {}, (values) => activation(values.function)),
};

/** Reads a list of layers; an activation alone is one too. Throws `UsageError`. */
export function readLayers(text: string): Layer[] {
  const items = text.split(",").map((item) => item.trim());
  if (items.includes("")) {
    throw new UsageError(`--layers "${text}" has an empty place; write layers with single commas between them.`);
  }
  return items.map((item) =>
    asUsage(`--layers, "${item}"`, () =>
      activationName.read(item) === undefined ? readItem(item, LAYERS, "layer") : activation(item),
    ),
  );
}
