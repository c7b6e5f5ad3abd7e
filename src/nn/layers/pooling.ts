/** Pooling of images and sequences: one number for each window, or for the whole of it, of each channel. */
import { ShapeError } from "../../errors.ts";
import type { Node } from "../../graph/node.ts";
import { type Shape, showShape } from "../../graph/shape.ts";
import { averagePool2d as averageOp, max, maxPool2d as maxOp, mean, reshape } from "../../ops/index.ts";
import { type PaddingOption, type Pair, toPair } from "../../ops/window.ts";
import { defineLayer, type Layer, type LayerOptions } from "../layer.ts";
import { checkCount } from "./affine.ts";
import { wantImage } from "./reshape.ts";

/** Options of `maxPool2d` and `averagePool2d`. */
export interface Pool2dOptions extends LayerOptions {
  /** How far the window moves, in pixels; its own size unless said. */
  readonly stride?: number | Pair;
  /** `"valid"`: none, and rows and columns that fill no window are left out; `"same"`; or pixels. */
  readonly padding?: PaddingOption;
}

/** Options of `maxPool1d` and `averagePool1d`. */
export interface Pool1dOptions extends LayerOptions {
  /** How far the window moves, in places; its own size unless said. */
  readonly stride?: number;
  /** `"valid"`: none, and places that fill no window are left out; `"same"`; a number for both ends, or (before, after). */
  readonly padding?: "valid" | "same" | number | Pair;
}

type Size = number | Pair;
type PoolOp = (x: Node, size: Size, options: Pool2dOptions) => Node;

function definePooling<S extends Size, O extends LayerOptions>(
  kind: string,
  over: (kind: string, op: PoolOp) => PoolOp,
  windowOp: PoolOp,
): (size?: S, options?: O) => Layer {
  const op = over(kind, windowOp);
  const make = defineLayer<{ readonly size: Size } & Pool2dOptions>(kind, {
    options: ["stride", "padding"],
    apply: ({ size, ...options }, { x }) => op(x, size, options),
    describe: ({ size }) => (kind.endsWith("1d") ? `${size}` : toPair(size).join("×")),
  });
  return (size = 2 as S, options = {} as O) => {
    const { stride = 1 }: Pool2dOptions = options;
    for (const n of toPair(size)) checkCount(kind, "cells per side of the window", n);
    for (const n of toPair(stride)) checkCount(kind, "places to move by (stride)", n);
    return make(options, { size });
  };
}

const ofImages =
  (kind: string, op: PoolOp): PoolOp =>
  (x, size, options) => {
    wantImage(kind, x.shape);
    return op(x, size, options);
  };

function wantSequence(layer: string, x: Shape): void {
  if (x.length !== 3)
    throw new ShapeError(
      `${layer} takes sequences [L, C] (channels last); ${showShape(x.slice(1))} came. Put reshape([L, C]) before it.`,
    );
}

/** A sequence is an image of one row. */
const ofSequences =
  (kind: string, op: PoolOp): PoolOp =>
  (x, size, { stride = size, padding = 0 }) => {
    wantSequence(kind, x.shape);
    const [b, length, channels] = x.shape;
    const y = op(reshape(x, [b, 1, length, channels]), [1, size as number], {
      stride: [1, stride as number],
      padding: typeof padding === "string" ? padding : [[0, 0], toPair(padding as number | Pair)],
    });
    return reshape(y, [b, y.shape[2], channels]);
  };

/**
 * The largest of each window, of a size (2 unless said; a number or (height, width)): [B, H, W, C] → [B, H′, W′, C].
 *
 * @example
 * const model = sequential({ input: [8, 8, 1] }, [conv2d(4, 3), maxPool2d(2), flatten(), dense(2)]);
 */
export const maxPool2d = definePooling<Size, Pool2dOptions>("maxPool2d", ofImages, maxOp);

/** The mean of each window, of a size (2 unless said): [B, H, W, C] → [B, H′, W′, C]. Padding does not count. */
export const averagePool2d = definePooling<Size, Pool2dOptions>("averagePool2d", ofImages, averageOp);

/**
 * The largest of each window of `size` places (2 unless said): [B, L, C] → [B, L′, C].
 *
 * @example
 * const model = sequential({ input: [12, 1] }, [conv1d(4, 3), maxPool1d(2), globalAveragePool1d(), dense(2)]);
 */
export const maxPool1d = definePooling<number, Pool1dOptions>("maxPool1d", ofSequences, maxOp);

/** The mean of each window of `size` places (2 unless said): [B, L, C] → [B, L′, C]. Padding does not count. */
export const averagePool1d = definePooling<number, Pool1dOptions>("averagePool1d", ofSequences, averageOp);

function defineGlobal(
  kind: string,
  want: (kind: string, x: Shape) => void,
  op: (x: Node, axes: number[]) => Node,
): (options?: LayerOptions) => Layer {
  const make = defineLayer<LayerOptions>(kind, {
    options: [],
    apply: (_, { x }) => {
      want(kind, x.shape);
      return op(x, [...x.shape.keys()].slice(1, -1));
    },
  });
  return (options = {}) => make(options);
}

/** The mean of each channel over the whole image: [B, H, W, C] → [B, C]. */
export const globalAveragePool2d = defineGlobal("globalAveragePool2d", wantImage, mean);

/** The largest of each channel over the whole image: [B, H, W, C] → [B, C]. */
export const globalMaxPool2d = defineGlobal("globalMaxPool2d", wantImage, max);

/** The mean of each channel over the whole sequence: [B, L, C] → [B, C]. */
export const globalAveragePool1d = defineGlobal("globalAveragePool1d", wantSequence, mean);

/** The largest of each channel over the whole sequence: [B, L, C] → [B, C]. */
export const globalMaxPool1d = defineGlobal("globalMaxPool1d", wantSequence, max);
