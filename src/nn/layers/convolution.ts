/** Convolutions: of images (in groups and depthwise too), of sequences, transposed. Channels come last everywhere. */
import { show } from "../../checks.ts";
import { ArgumentError, ShapeError } from "../../errors.ts";
import { type Shape, showShape } from "../../graph/shape.ts";
import { conv1d as conv1dOp, conv2d as conv2dOp, conv2dTranspose as transposeOp } from "../../ops/index.ts";
import { type PaddingOption, type Pair, toPair } from "../../ops/window.ts";
import { defineLayer, type Layer } from "../layer.ts";
import {
  AFFINE,
  type AffineOptions,
  affineOutput,
  affineParameters,
  checkAffine,
  checkCount,
  describeAffine,
} from "./affine.ts";

/** Options of convolutions over images. */
export interface Conv2dOptions extends AffineOptions {
  /** How far the window moves, in pixels: a number or (vertical, horizontal); 1 unless said. */
  readonly stride?: number | Pair;
  /** `"valid"`: none; `"same"`: ⌈n / stride⌉ results, as in Keras; or pixels on each side. `"valid"` unless said. */
  readonly padding?: PaddingOption;
  /** The distance between neighbouring cells of the kernel; 1 unless said. */
  readonly dilation?: number | Pair;
  /** Channels of a group see only their own group's; 1 unless said. */
  readonly groups?: number;
}

/** The channels of an input of so many axes; throws a ShapeError for another. */
function channelsOf(layer: string, input: Shape, wanted: string, rank: number): number {
  if (input.length !== rank) {
    throw new ShapeError(
      `${layer} takes ${wanted} (channels last); ${showShape(input)} came. Put reshape(${wanted.slice(wanted.indexOf("["))}) before it.`,
    );
  }
  return input[rank - 1];
}

const IMAGES = "images [H, W, C]";

function groupSize(layer: string, channels: number, groups: number, filters: number): number {
  if (channels % groups !== 0 || filters % groups !== 0) {
    throw new ShapeError(
      `${layer}: ${groups} groups do not divide the input's ${channels} channels and the ${filters} filters evenly.`,
    );
  }
  return channels / groups;
}

const describeSize = (size: number | Pair): string => toPair(size).join("×");

/** The names of the options of all convolutions but the grouped and the transposed ones' own. */
const SLIDING = [...AFFINE, "stride", "padding", "dilation"] as const;

type Conv2dConfig = { readonly filters: number; readonly size: number | Pair } & Conv2dOptions;

const makeConv2d = defineLayer<Conv2dConfig>("conv2d", {
  options: [...SLIDING, "groups"],
  parameters: (config, input) => {
    const { filters, size, groups = 1 } = config;
    const channels = channelsOf("conv2d", input, IMAGES, 3);
    const kernel = [...toPair(size), groupSize("conv2d", channels, groups, filters), filters];
    return affineParameters(config, kernel, filters);
  },
  apply: (config, context) => affineOutput(config, context, conv2dOp(context.x, context.parameter("kernel"), config)),
  describe: (config) => describeAffine(`${config.filters} of ${describeSize(config.size)}`, config),
});

/** Checks what the convolutions of images share. */
function checkSizes(
  layer: string,
  size: number | Pair,
  { stride = 1, dilation = 1 }: Pick<Conv2dOptions, "stride" | "dilation">,
): void {
  for (const n of toPair(size)) checkCount(layer, "cells per side of the kernel", n);
  for (const n of toPair(stride)) checkCount(layer, "pixels to move by (stride)", n);
  for (const n of toPair(dilation)) checkCount(layer, "pixels between cells (dilation)", n);
}

/**
 * Convolution of images with `filters` kernels of a size (a number or (height, width)): [B, H, W, C] → [B, H′, W′, filters],
 * z = x ∗ k + b, a = activation(z). As everywhere in this field the kernel is not flipped.
 *
 * @example
 * const model = sequential({ input: [28, 28, 1] }, [conv2d(8, 3, { activation: "relu", padding: "same" }), maxPool2d(2), flatten(), dense(10)]);
 */
export function conv2d(filters: number, size: number | Pair, options: Conv2dOptions = {}): Layer {
  checkCount("conv2d", "filters", filters);
  if (options.groups !== undefined) checkCount("conv2d", "groups", options.groups);
  checkSizes("conv2d", size, options);
  checkAffine("conv2d", options);
  return makeConv2d(options, { filters, size });
}

/** Options of `depthwiseConv2d`. */
export interface DepthwiseOptions extends Omit<Conv2dOptions, "groups"> {
  /** How many filters each channel has; 1 unless said. */
  readonly multiplier?: number;
}

const makeDepthwise = defineLayer<{ readonly size: number | Pair } & DepthwiseOptions>("depthwiseConv2d", {
  options: [...SLIDING, "multiplier"],
  parameters: (config, input) => {
    const filters = channelsOf("depthwiseConv2d", input, IMAGES, 3) * (config.multiplier ?? 1);
    return affineParameters(config, [...toPair(config.size), 1, filters], filters);
  },
  apply: (config, context) => {
    const { x, parameter } = context;
    return affineOutput(config, context, conv2dOp(x, parameter("kernel"), { ...config, groups: x.shape[3] }));
  },
  describe: (config) => describeAffine(describeSize(config.size), config),
});

/**
 * Convolution of each channel by itself, with `multiplier` filters each: [B, H, W, C] → [B, H′, W′, C · multiplier]; output
 * channel c · multiplier + m comes from input channel c.
 */
export function depthwiseConv2d(size: number | Pair, options: DepthwiseOptions = {}): Layer {
  if (options.multiplier !== undefined) checkCount("depthwiseConv2d", "filters per channel", options.multiplier);
  checkSizes("depthwiseConv2d", size, options);
  checkAffine("depthwiseConv2d", options);
  return makeDepthwise(options, { size });
}

/** Options of `conv1d`. */
export interface Conv1dOptions extends AffineOptions {
  /** How far the window moves; 1 unless said. */
  readonly stride?: number;
  /** `"valid"`, `"same"`, a number for both ends, or (before, after); `"valid"` unless said. */
  readonly padding?: "valid" | "same" | number | Pair;
  readonly dilation?: number;
  readonly groups?: number;
}

const makeConv1d = defineLayer<{ readonly filters: number; readonly size: number } & Conv1dOptions>("conv1d", {
  options: [...SLIDING, "groups"],
  parameters: (config, input) => {
    const { filters, size, groups = 1 } = config;
    const channels = channelsOf("conv1d", input, "sequences [L, C]", 2);
    return affineParameters(config, [size, groupSize("conv1d", channels, groups, filters), filters], filters);
  },
  apply: (config, context) => affineOutput(config, context, conv1dOp(context.x, context.parameter("kernel"), config)),
  describe: (config) => describeAffine(`${config.filters} of ${config.size}`, config),
});

/**
 * Convolution of sequences with `filters` kernels of `size` places: [B, L, C] → [B, L′, filters].
 *
 * @example
 * const model = sequential({ input: [100, 3] }, [conv1d(8, 5, { activation: "relu" }), flatten(), dense(2)]);
 */
export function conv1d(filters: number, size: number, options: Conv1dOptions = {}): Layer {
  checkCount("conv1d", "filters", filters);
  if (options.groups !== undefined) checkCount("conv1d", "groups", options.groups);
  checkSizes("conv1d", size, options);
  checkAffine("conv1d", options);
  return makeConv1d(options, { filters, size });
}

/** Options of `conv2dTranspose`. */
export interface Conv2dTransposeOptions extends Conv2dOptions {
  /** Rows and columns added to the result at its end, to choose among the sizes that fit; 0 unless said. */
  readonly outputPadding?: number | Pair;
}

const makeTranspose = defineLayer<Conv2dConfig & Conv2dTransposeOptions>("conv2dTranspose", {
  options: [...SLIDING, "groups", "outputPadding"],
  parameters: (config, input) => {
    const { filters, size, groups = 1 } = config;
    const channels = channelsOf("conv2dTranspose", input, IMAGES, 3);
    groupSize("conv2dTranspose", channels, groups, filters);
    return affineParameters(config, [...toPair(size), channels, filters / groups], filters);
  },
  apply: (config, context) =>
    affineOutput(config, context, transposeOp(context.x, context.parameter("kernel"), config)),
  describe: (config) => describeAffine(`${config.filters} of ${describeSize(config.size)}`, config),
});

/**
 * Transposed convolution, which makes images larger: [B, H, W, C] → [B, H′, W′, filters], where H′ = (H − 1) · stride +
 * span − padding + outputPadding, or H · stride with padding `"same"`.
 */
export function conv2dTranspose(filters: number, size: number | Pair, options: Conv2dTransposeOptions = {}): Layer {
  checkCount("conv2dTranspose", "filters", filters);
  if (options.groups !== undefined) checkCount("conv2dTranspose", "groups", options.groups);
  checkSizes("conv2dTranspose", size, options);
  checkAffine("conv2dTranspose", options);
  if (![options.outputPadding ?? 0].flat().every((n) => Number.isInteger(n) && (n as number) >= 0))
    throw new ArgumentError(
      `conv2dTranspose: outputPadding must be whole numbers ≥ 0; ${show(options.outputPadding)} came.`,
    );
  return makeTranspose(options, { filters, size });
}
