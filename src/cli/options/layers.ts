/** Which layers `--layers` knows, and reading the list: `dense 128 relu, dropout 0.2, dense 10`. */
import {
  activation,
  activationNames,
  averagePool2d,
  batchNorm,
  conv1d,
  conv2d,
  type DenseOptions,
  dense,
  depthwiseConv2d,
  dropout,
  flatten,
  globalAveragePool2d,
  globalMaxPool2d,
  gru,
  type Layer,
  layerNorm,
  lstm,
  maxPool2d,
  rescale,
  simpleRnn,
  spatialDropout,
  upsampling2d,
  zeroPadding2d,
} from "../../index.ts";
import { UsageError } from "../terminal/exit.ts";
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
} from "./language.ts";

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

/** One number for both directions, or `3x5`: height, then width. */
const size: Parameter<number | [number, number]> = {
  wanted: "a whole number above 0, or two as 3x5",
  read: (text) => {
    const match = /^([1-9]\d*)(?:x([1-9]\d*))?$/.exec(text);
    if (!match) return undefined;
    return match[2] === undefined ? Number(match[1]) : [Number(match[1]), Number(match[2])];
  },
};
const edge: Parameter<"valid" | "same" | number> = {
  wanted: "valid, same, or a number of pixels",
  read: (text) => (text === "valid" || text === "same" ? text : /^\d+$/.test(text) ? Number(text) : undefined),
};

/** What all layers with a kernel take. */
const KERNEL = {
  activation: activationName,
  init: initializerName,
  bias: either(yesOrNo, anyNumber),
  l1: anyNumber,
  l2: anyNumber,
};
const reach: Parameter<"valid" | "same" | "causal" | number> = {
  wanted: "valid, same, causal, or a number of places",
  read: (text) => (text === "causal" ? text : edge.read(text)),
};
const WINDOW = { stride: size, padding: edge };
const NORM = { momentum: anyNumber, epsilon: anyNumber };

/** A recurrent layer: how many units, and whether it gives all states or the last. */
const recurrent = (
  kind: string,
  make: (units: number, options: { sequences?: boolean; backwards?: boolean }) => Layer,
): Entry<Layer> =>
  entry(kind, { units: wholeNumber }, { sequences: yesOrNo, backwards: yesOrNo }, ({ units, ...options }) =>
    make(units, options),
  );

/** A line per layer. */
const LAYERS: Readonly<Record<string, Entry<Layer>>> = {
  dense: entry("dense", { units: wholeNumber }, KERNEL, ({ units, ...options }) => dense(units, options)),
  conv2d: entry(
    "conv2d",
    { filters: wholeNumber, size },
    { ...KERNEL, ...WINDOW, dilation: size, groups: wholeNumber },
    ({ filters, size, ...options }) => conv2d(filters, size, options),
  ),
  depthwiseConv2d: entry(
    "depthwiseConv2d",
    { size },
    { ...KERNEL, ...WINDOW, dilation: size, multiplier: wholeNumber },
    ({ size, ...options }) => depthwiseConv2d(size, options),
  ),
  conv1d: entry(
    "conv1d",
    { filters: wholeNumber, size: wholeNumber },
    { ...KERNEL, stride: wholeNumber, padding: reach, dilation: wholeNumber, groups: wholeNumber },
    ({ filters, size, ...options }) => conv1d(filters, size, options),
  ),
  simpleRnn: recurrent("simpleRnn", simpleRnn),
  gru: recurrent("gru", gru),
  lstm: recurrent("lstm", lstm),
  maxPool2d: entry("maxPool2d", {}, { size, ...WINDOW }, ({ size, ...options }) => maxPool2d(size, options)),
  averagePool2d: entry("averagePool2d", {}, { size, ...WINDOW }, ({ size, ...options }) =>
    averagePool2d(size, options),
  ),
  globalAveragePool2d: entry("globalAveragePool2d", {}, {}, () => globalAveragePool2d()),
  globalMaxPool2d: entry("globalMaxPool2d", {}, {}, () => globalMaxPool2d()),
  zeroPadding2d: entry("zeroPadding2d", { padding: wholeNumber }, {}, ({ padding }) => zeroPadding2d(padding)),
  upsampling2d: entry("upsampling2d", {}, { scale: size }, ({ scale }) => upsampling2d(scale)),
  batchNorm: entry("batchNorm", {}, NORM, (options) => batchNorm(options)),
  layerNorm: entry("layerNorm", {}, { epsilon: anyNumber }, (options) => layerNorm(options)),
  dropout: entry("dropout", { rate: anyNumber }, {}, ({ rate }) => dropout(rate)),
  spatialDropout: entry("spatialDropout", { rate: anyNumber }, {}, ({ rate }) => spatialDropout(rate)),
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
  const bare = items.find((item) => /^\d+$/.test(item));
  if (bare !== undefined)
    throw new UsageError(`--layers "${text}": ${bare} of what? Did you mean "dense ${bare} relu"?`);
  return items.map((item) =>
    asUsage(`--layers, "${item}"`, () =>
      activationName.read(item) === undefined ? readItem(item, LAYERS, "layer") : activation(item),
    ),
  );
}
