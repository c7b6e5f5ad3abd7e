/** Pooling of images: one number for each window, or for the whole image, of each channel. */
import type { Node } from "../../graph/node.ts";
import { averagePool2d as averageOp, max, maxPool2d as maxOp, mean } from "../../ops/index.ts";
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

type PoolOp = (x: Node, size: number | Pair, options: Pool2dOptions) => Node;

function definePooling(kind: string, op: PoolOp): (size?: number | Pair, options?: Pool2dOptions) => Layer {
  const make = defineLayer<{ readonly size: number | Pair } & Pool2dOptions>(kind, {
    apply: ({ size, ...options }, { x }) => {
      wantImage(kind, x.shape);
      return op(x, size, options);
    },
    describe: ({ size }) => toPair(size).join("×"),
  });
  return (size = 2, options = {}) => {
    for (const n of toPair(size)) checkCount(kind, "cells per side of the window", n);
    if (options.stride !== undefined)
      for (const n of toPair(options.stride)) checkCount(kind, "pixels to move by (stride)", n);
    return make({ size, ...options });
  };
}

/**
 * The largest of each window, of a size (2 unless said; a number or (height, width)): [B, H, W, C] → [B, H′, W′, C].
 *
 * @example
 * const model = sequential({ input: [8, 8, 1] }, [conv2d(4, 3), maxPool2d(2), flatten(), dense(2)]);
 */
export const maxPool2d = definePooling("maxPool2d", maxOp);

/** The mean of each window, of a size (2 unless said): [B, H, W, C] → [B, H′, W′, C]. Padding does not count. */
export const averagePool2d = definePooling("averagePool2d", averageOp);

function defineGlobal(kind: string, op: (x: Node) => Node): (options?: LayerOptions) => Layer {
  const make = defineLayer<LayerOptions>(kind, {
    apply: (_, { x }) => {
      wantImage(kind, x.shape);
      return op(x);
    },
  });
  return (options = {}) => make(options);
}

/** The mean of each channel over the whole image: [B, H, W, C] → [B, C]. */
export const globalAveragePool2d = defineGlobal("globalAveragePool2d", (x) => mean(x, [1, 2]));

/** The largest of each channel over the whole image: [B, H, W, C] → [B, C]. */
export const globalMaxPool2d = defineGlobal("globalMaxPool2d", (x) => max(x, [1, 2]));
