/** Convolutions: of images (in groups and depthwise too), of sequences, transposed. Channels come last everywhere. */
import { checkWhole } from "../../checks.ts";
import { ArgumentError, ShapeError } from "../../errors.ts";
import type { Node } from "../../graph/node.ts";
import {
  conv1d as conv1dOp,
  conv2d as conv2dOp,
  reshape,
  select,
  conv2dTranspose as transposeOp,
} from "../../ops/index.ts";
import { type PaddingOption, type Pair, type RowOptions, toPair } from "../../ops/window.ts";
import { defineLayer, type Layer } from "../layer.ts";
import { AFFINE, type AffineOptions, affineOutput, affineParameters, checkAffine, describeAffine } from "./affine.ts";
import { wantAxes } from "./reshape.ts";

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

/** What a configuration may hold of them all. */
type Config = Omit<Conv2dTransposeOptions, "padding"> &
  DepthwiseOptions & { readonly filters?: number; readonly size: number | Pair };

/**
 * A kind of convolution over sequences (one axis) or images (two axes): the names of its options beside those that all
 * have, its kernel's last two lengths, and its op.
 */
function defineConvolution<O extends AffineOptions, P extends Pick<Config, "filters" | "size">>(
  kind: string,
  axes: 1 | 2,
  options: readonly (keyof Config)[],
  kernelOf: (channels: number, filters: number, groups: number) => readonly [number, number],
  op: (x: Node, w: Node, config: Config) => Node,
): (options: O, own: P) => Layer {
  const sizeOf = (size: number | Pair): readonly number[] => (axes === 1 ? [size as number] : toPair(size));
  const lengths = axes === 1 ? [] : [2];
  const make = defineLayer<Config>(kind, {
    options: [...AFFINE, "stride", "padding", "dilation", ...options],
    parameters: (config, input) => {
      wantAxes(axes, kind, [1, ...input]);
      const channels = input[axes];
      const { groups = 1, multiplier = 1, filters = channels * multiplier } = config;
      if (channels % groups !== 0 || filters % groups !== 0) {
        throw new ShapeError(
          `${kind}: ${groups} groups do not divide the input's ${channels} channels and the ${filters} filters evenly.`,
        );
      }
      return affineParameters(config, [...sizeOf(config.size), ...kernelOf(channels, filters, groups)], filters);
    },
    masks: axes === 1 ? "takes" : undefined,
    apply: (config, context) => {
      const mask = axes === 1 ? context.maskOf(context.x) : undefined;
      // Padding is to a window what lies beyond the sequence's end: zeros.
      const x = mask ? select(reshape(mask, [...mask.shape, 1]), context.x, 0) : context.x;
      const z = op(x, context.parameter("kernel"), config);
      if (mask && z.shape[1] !== x.shape[1])
        throw new ArgumentError(
          `${kind}: some of the ${x.shape[1]} places are padding, and of ${z.shape[1]} it would not be known which are. Take padding "same" or "causal" and a stride of 1.`,
        );
      if (mask) context.setMask(mask);
      return affineOutput(config, context, z);
    },
    describe: ({ filters, size, ...config }) =>
      describeAffine(`${filters ? `${filters} of ` : ""}${sizeOf(size).join("×")}`, config),
  });
  return (options, own) => {
    const { stride = 1, dilation = 1, groups = 1, multiplier = 1, outputPadding = 0 }: Omit<Config, "size"> = options;
    const { size, ...filters } = own;
    checkWhole(`${kind}: `, { ...filters, groups, multiplier }, 1);
    checkWhole(`${kind}: `, { size, stride, dilation }, 1, ...lengths);
    checkWhole(`${kind}: `, { outputPadding }, 0, ...lengths);
    checkAffine(kind, options);
    return make(options as object, own);
  };
}

const grouped = (channels: number, filters: number, groups: number) => [channels / groups, filters] as const;

const makeConv2d = defineConvolution<Conv2dOptions, { filters: number; size: number | Pair }>(
  "conv2d",
  2,
  ["groups"],
  grouped,
  conv2dOp,
);

/**
 * Convolution of images with `filters` kernels of a size (a number or (height, width)): [B, H, W, C] → [B, H′, W′, filters],
 * z = x ∗ k + b, a = activation(z). As everywhere in this field the kernel is not flipped.
 *
 * @example
 * const model = sequential({ input: [28, 28, 1] }, [conv2d(8, 3, { activation: "relu", padding: "same" }), maxPool2d(2), flatten(), dense(10)]);
 */
export const conv2d = (filters: number, size: number | Pair, options: Conv2dOptions = {}): Layer =>
  makeConv2d(options, { filters, size });

/** Options of `depthwiseConv2d`. */
export interface DepthwiseOptions extends Omit<Conv2dOptions, "groups"> {
  /** How many filters each channel has; 1 unless said. */
  readonly multiplier?: number;
}

const makeDepthwise = defineConvolution<DepthwiseOptions, { size: number | Pair }>(
  "depthwiseConv2d",
  2,
  ["multiplier"],
  (_, filters) => [1, filters],
  (x, w, config) => conv2dOp(x, w, { ...config, groups: x.shape[3] }),
);

/**
 * Convolution of each channel by itself, with `multiplier` filters each: [B, H, W, C] → [B, H′, W′, C · multiplier]; output
 * channel c · multiplier + m comes from input channel c.
 */
export const depthwiseConv2d = (size: number | Pair, options: DepthwiseOptions = {}): Layer =>
  makeDepthwise(options, { size });

/** Options of `conv1d`. */
export interface Conv1dOptions extends AffineOptions {
  /** How far the window moves; 1 unless said. */
  readonly stride?: number;
  /**
   * `"valid"`, `"same"`, a number for both ends, or (before, after); `"causal"`: all of it before, so that no place sees what
   * comes after it (van den Oord et al., 2016). `"valid"` unless said.
   */
  readonly padding?: RowOptions["padding"];
  readonly dilation?: number;
  readonly groups?: number;
}

const makeConv1d = defineConvolution<Conv1dOptions, { filters: number; size: number }>(
  "conv1d",
  1,
  ["groups"],
  grouped,
  conv1dOp as (x: Node, w: Node, config: object) => Node,
);

/**
 * Convolution of sequences with `filters` kernels of `size` places: [B, L, C] → [B, L′, filters].
 *
 * @example
 * const model = sequential({ input: [100, 3] }, [conv1d(8, 5, { activation: "relu" }), flatten(), dense(2)]);
 */
export const conv1d = (filters: number, size: number, options: Conv1dOptions = {}): Layer =>
  makeConv1d(options, { filters, size });

/** Options of `conv2dTranspose`. */
export interface Conv2dTransposeOptions extends Conv2dOptions {
  /** Rows and columns added to the result at its end, to choose among the sizes that fit; 0 unless said. */
  readonly outputPadding?: number | Pair;
}

const makeTranspose = defineConvolution<Conv2dTransposeOptions, { filters: number; size: number | Pair }>(
  "conv2dTranspose",
  2,
  ["groups", "outputPadding"],
  (channels, filters, groups) => [channels, filters / groups],
  transposeOp,
);

/**
 * Transposed convolution, which makes images larger: [B, H, W, C] → [B, H′, W′, filters], where H′ = (H − 1) · stride +
 * span − padding + outputPadding, or H · stride with padding `"same"`.
 */
export const conv2dTranspose = (filters: number, size: number | Pair, options: Conv2dTransposeOptions = {}): Layer =>
  makeTranspose(options, { filters, size });
