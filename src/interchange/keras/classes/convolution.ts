/** Keras's convolutions and poolings: over sequences and images, grouped, depthwise, separable, transposed. */

import type { Layer } from "../../../nn/layer.ts";
import {
  averagePool1d,
  averagePool2d,
  conv1d,
  conv2d,
  conv2dTranspose,
  depthwiseConv2d,
  globalAveragePool1d,
  globalAveragePool2d,
  globalMaxPool1d,
  globalMaxPool2d,
  maxPool1d,
  maxPool2d,
  reshape,
} from "../../../nn/layers/index.ts";
import type { Pair } from "../../../ops/window.ts";
import type { Settings } from "../settings.ts";
import type { KerasArray } from "../weights.ts";
import { type LayerPlace, type Part, reshaped, type Translate, withActivation } from "./place.ts";
import { onPlaces } from "./shape.ts";

/** Sizes of a window along one axis or two. */
const pairOf = (settings: Settings, key: string, usual?: number): Pair =>
  settings.sizes(key, 2, usual) as unknown as Pair;
const oneOf = (settings: Settings, key: string, usual?: number): number => settings.sizes(key, 1, usual)[0];

/** How a window moves over sequences; `"causal"` looks at nothing that comes after. */
function alongSequence(settings: Settings, size: number) {
  settings.only("padding", "valid", "same", "causal");
  const dilation = oneOf(settings, "dilation_rate", 1);
  const padding = settings.text("padding", "valid") as "valid" | "same" | "causal";
  return {
    stride: oneOf(settings, "strides", 1),
    dilation,
    padding: padding === "causal" ? ([(size - 1) * dilation, 0] as const) : padding,
  };
}

/** How a window moves over images. */
function overImage(settings: Settings) {
  settings.only("padding", "valid", "same");
  return {
    stride: pairOf(settings, "strides", 1),
    dilation: pairOf(settings, "dilation_rate", 1),
    padding: settings.text("padding", "valid") as "valid" | "same",
  };
}

/** The kernel and, if there is one, the bias. */
function affine({ settings, weights }: LayerPlace, kernel: (array: KerasArray) => KerasArray, ...roles: string[]) {
  const first = kernel(weights.next(...roles));
  return { kernel: first, ...(settings.flag("use_bias", true) && { bias: weights.next("bias") }) };
}

const asItIs = (array: KerasArray): KerasArray => array;

/** What all convolutions have beside their window. */
const commonOf = (settings: Settings) => ({ bias: settings.flag("use_bias", true), ...settings.penalties() });

const convolution1d: Translate = (outer) =>
  onPlaces(outer, 1, (place) => {
    const { settings } = place;
    const size = oneOf(settings, "kernel_size");
    const options = { ...commonOf(settings), ...alongSequence(settings, size), groups: settings.whole("groups", 1) };
    const values = affine(place, asItIs, "kernel");
    return withActivation(place, (activation) => ({
      layer: conv1d(settings.whole("filters"), size, { ...options, ...activation }),
      values,
    }));
  });

const convolution2d: Translate = (outer) =>
  onPlaces(outer, 2, (place) => {
    const { settings } = place;
    const options = { ...commonOf(settings), ...overImage(settings), groups: settings.whole("groups", 1) };
    const values = affine(place, asItIs, "kernel");
    return withActivation(place, (activation) => ({
      layer: conv2d(settings.whole("filters"), pairOf(settings, "kernel_size"), { ...options, ...activation }),
      values,
    }));
  });

/** Keras: [KH, KW, C, M]; ours: [KH, KW, 1, C · M], which are the same numbers in the same order. */
const depthwiseKernel = (array: KerasArray): KerasArray =>
  reshaped(array, [...array.shape.slice(0, -2), 1, array.shape.slice(-2).reduce((a, b) => a * b, 1)]);

const depthwise2d: Translate = (outer) =>
  onPlaces(outer, 2, (place) => {
    const { settings } = place;
    const { l1: _, l2: __, ...common } = commonOf(settings);
    const options = { ...common, ...overImage(settings), multiplier: settings.whole("depth_multiplier", 1) };
    const values = affine(place, depthwiseKernel, "depthwise_kernel", "kernel");
    return withActivation(place, (activation) => ({
      layer: depthwiseConv2d(pairOf(settings, "kernel_size"), { ...options, ...activation }),
      values,
    }));
  });

/** Each channel of sequences by itself: a convolution with as many groups as channels. */
const depthwiseSequence = (
  { settings, inputs: [input] }: LayerPlace,
  { shape }: KerasArray,
  bias: boolean,
  activation: { activation?: string },
): Layer => {
  const channels = input[1];
  const size = oneOf(settings, "kernel_size");
  return conv1d(shape[shape.length - 1], size, {
    ...alongSequence(settings, size),
    bias,
    groups: channels,
    ...activation,
  });
};

const depthwise1d: Translate = (outer) =>
  onPlaces(outer, 1, (place) => {
    const values = affine(place, depthwiseKernel, "depthwise_kernel", "kernel");
    return withActivation(place, (activation) => ({
      layer: depthwiseSequence(place, values.kernel, place.settings.flag("use_bias", true), activation),
      values,
    }));
  });

/** A depthwise convolution, and then one of a single cell. */
const separable =
  (places: 1 | 2): Translate =>
  (outer) =>
    onPlaces(outer, places, (place) => {
      const { settings, weights } = place;
      const given = weights.next("depthwise_kernel");
      // TensorFlow.js forgets the setting.
      const multiplier = given.shape[given.shape.length - 1];
      const depthwise = depthwiseKernel(given);
      const values = affine(place, asItIs, "pointwise_kernel");
      const first =
        places === 1
          ? depthwiseSequence(place, depthwise, false, {})
          : depthwiseConv2d(pairOf(settings, "kernel_size"), { ...overImage(settings), multiplier, bias: false });
      const filters = settings.whole("filters");
      const bias = settings.flag("use_bias", true);
      return [
        { layer: first, values: { kernel: depthwise } },
        ...withActivation(place, (activation) => ({
          layer:
            places === 1 ? conv1d(filters, 1, { bias, ...activation }) : conv2d(filters, 1, { bias, ...activation }),
          values,
        })),
      ];
    });

/** Keras: [KH, KW, O, I]; ours: [KH, KW, I, O]. */
function transposedKernel({ shape, data }: KerasArray): KerasArray {
  const [outputs, inputs] = shape.slice(-2);
  const turned = new Float32Array(data.length);
  for (let at = 0; at < data.length; at++) {
    const [cell, o, i] = [Math.floor(at / (outputs * inputs)), Math.floor(at / inputs) % outputs, at % inputs];
    turned[cell * outputs * inputs + i * outputs + o] = data[at];
  }
  return { shape: [...shape.slice(0, -2), inputs, outputs], data: turned };
}

const transposed: Translate = (outer) =>
  onPlaces(outer, 2, (place) => {
    const { settings } = place;
    const size = pairOf(settings, "kernel_size");
    const window = overImage(settings);
    const given = settings.value("output_padding") === undefined ? undefined : pairOf(settings, "output_padding");
    if (given && window.padding === "same") throw settings.unsupported("has output_padding beside padding same");
    // Keras makes at least as many pixels as the stride says.
    const least = [0, 1].map((i) => Math.max(0, window.stride[i] - ((size[i] - 1) * window.dilation[i] + 1)));
    const outputPadding = window.padding === "same" ? 0 : (given ?? (least as unknown as Pair));
    const options = { ...commonOf(settings), ...window, outputPadding };
    const values = affine(place, transposedKernel, "kernel");
    return withActivation(place, (activation) => ({
      layer: conv2dTranspose(settings.whole("filters"), size, { ...options, ...activation }),
      values,
    }));
  });

type Pool1d = typeof maxPool1d;
type Pool2d = typeof maxPool2d;

const pooling1d =
  (make: Pool1d): Translate =>
  (outer) =>
    onPlaces(outer, 1, ({ settings }) => {
      settings.only("padding", "valid", "same");
      const size = oneOf(settings, "pool_size", 2);
      const padding = settings.text("padding", "valid") as "valid" | "same";
      return [{ layer: make(size, { stride: oneOf(settings, "strides", size), padding }) }];
    });

const pooling2d =
  (make: Pool2d): Translate =>
  (outer) =>
    onPlaces(outer, 2, ({ settings }) => {
      settings.only("padding", "valid", "same");
      const size = pairOf(settings, "pool_size", 2);
      const stride = settings.value("strides") === undefined ? size : pairOf(settings, "strides");
      return [{ layer: make(size, { stride, padding: settings.text("padding", "valid") as "valid" | "same" }) }];
    });

/** One number for each channel; with keepdims as an image or sequence of one place. */
const globally =
  (places: 1 | 2, make: () => Layer): Translate =>
  (outer) => {
    const keeps = outer.settings.flag("keepdims", false);
    return onPlaces(
      outer,
      places,
      ({ inputs: [input] }) => {
        const channels = input[input.length - 1];
        const ones = Array.from({ length: places }, () => 1);
        const parts: Part[] = [{ layer: make() }];
        return keeps ? [...parts, { layer: reshape([...ones, channels]) }] : parts;
      },
      { keepsPlaces: keeps },
    );
  };

export const CONVOLUTION_CLASSES: Readonly<Record<string, Translate>> = {
  Conv1D: convolution1d,
  Convolution1D: convolution1d,
  Conv2D: convolution2d,
  Convolution2D: convolution2d,
  DepthwiseConv1D: depthwise1d,
  DepthwiseConv2D: depthwise2d,
  SeparableConv1D: separable(1),
  SeparableConv2D: separable(2),
  Conv2DTranspose: transposed,
  MaxPooling1D: pooling1d(maxPool1d),
  AveragePooling1D: pooling1d(averagePool1d),
  MaxPooling2D: pooling2d(maxPool2d),
  AveragePooling2D: pooling2d(averagePool2d),
  GlobalMaxPooling1D: globally(1, globalMaxPool1d),
  GlobalAveragePooling1D: globally(1, globalAveragePool1d),
  GlobalMaxPooling2D: globally(2, globalMaxPool2d),
  GlobalAveragePooling2D: globally(2, globalAveragePool2d),
};
