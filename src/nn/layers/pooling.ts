/** Pooling of images and sequences: one number for each window, or for the whole of it, of each channel. */
import { checkWhole } from "../../checks.ts";
import type { Node } from "../../graph/node.ts";
import {
  averagePool2d as averageOp,
  div,
  max,
  maximum,
  maxPool2d as maxOp,
  mean,
  reshape,
  select,
  sum,
} from "../../ops/index.ts";
import { asRows, type PaddingOption, type Pair, toPair } from "../../ops/window.ts";
import { defineLayer, type Layer, type LayerOptions } from "../layer.ts";
import { wantAxes } from "./reshape.ts";

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

type PoolOp = (x: Node, size: number | Pair, options: Pool2dOptions) => Node;

/** A kind of pooling: of images (two axes) or of sequences (one axis), which are images of one row. */
function definePooling<S extends number | Pair, O extends LayerOptions>(
  kind: string,
  axes: 1 | 2,
  op: PoolOp,
): (size?: S, options?: O) => Layer {
  const make = defineLayer<{ readonly size: number | Pair } & Pool2dOptions>(kind, {
    options: ["stride", "padding"],
    apply: ({ size, ...options }, { x }) => {
      wantAxes(axes, kind, x.shape);
      if (axes === 2) return op(x, size, options);
      const { stride = size, padding } = options as Pool1dOptions;
      return asRows(kind, x, size as number, { stride: stride as number, padding }, (images, row) =>
        op(images, [1, size as number], row),
      );
    },
    describe: ({ size }) => (axes === 1 ? `${size}` : toPair(size).join("×")),
  });
  return (size = 2 as S, options = {} as O) => {
    const { stride = 1 }: Pool2dOptions = options;
    checkWhole(`${kind}: `, { size, stride }, 1, ...(axes === 1 ? [] : [2]));
    return make(options, { size });
  };
}

/**
 * The largest of each window, of a size (2 unless said; a number or (height, width)): [B, H, W, C] → [B, H′, W′, C].
 *
 * @example
 * const model = sequential({ input: [8, 8, 1] }, [conv2d(4, 3), maxPool2d(2), flatten(), dense(2)]);
 */
export const maxPool2d = definePooling<number | Pair, Pool2dOptions>("maxPool2d", 2, maxOp);

/** The mean of each window, of a size (2 unless said): [B, H, W, C] → [B, H′, W′, C]. Padding does not count. */
export const averagePool2d = definePooling<number | Pair, Pool2dOptions>("averagePool2d", 2, averageOp);

/**
 * The largest of each window of `size` places (2 unless said): [B, L, C] → [B, L′, C].
 *
 * @example
 * const model = sequential({ input: [12, 1] }, [conv1d(4, 3), maxPool1d(2), globalAveragePool1d(), dense(2)]);
 */
export const maxPool1d = definePooling<number, Pool1dOptions>("maxPool1d", 1, maxOp);

/** The mean of each window of `size` places (2 unless said): [B, L, C] → [B, L′, C]. Padding does not count. */
export const averagePool1d = definePooling<number, Pool1dOptions>("averagePool1d", 1, averageOp);

/** @param masked the same of the places of a sequence that count, [B, L, 1] of 1 and 0 */
const defineGlobal = (
  kind: string,
  axes: 1 | 2,
  op: (x: Node, axes: number[]) => Node,
  masked?: (x: Node, mask: Node) => Node,
) => {
  const make = defineLayer<LayerOptions>(kind, {
    options: [],
    masks: masked && "takes",
    apply: (_, { x, maskOf }) => {
      wantAxes(axes, kind, x.shape);
      const mask = maskOf(x);
      if (mask && masked) return masked(x, reshape(mask, [...mask.shape, 1]));
      return op(x, [1, 2].slice(0, axes));
    },
  });
  return (options: LayerOptions = {}): Layer => make(options);
};

/** The mean of each channel over the whole image: [B, H, W, C] → [B, C]. */
export const globalAveragePool2d = defineGlobal("globalAveragePool2d", 2, mean);

/** The largest of each channel over the whole image: [B, H, W, C] → [B, C]. */
export const globalMaxPool2d = defineGlobal("globalMaxPool2d", 2, max);

/** The mean of each channel over the whole sequence, padding left out: [B, L, C] → [B, C]. */
export const globalAveragePool1d = defineGlobal("globalAveragePool1d", 1, mean, (x, mask) =>
  div(sum(select(mask, x, 0), 1), maximum(sum(mask, 1), 1)),
);

/** The largest of each channel over the whole sequence, padding left out: [B, L, C] → [B, C]; 0 where all is padding. */
export const globalMaxPool1d = defineGlobal("globalMaxPool1d", 1, max, (x, mask) =>
  select(max(mask, 1), max(select(mask, x, Number.NEGATIVE_INFINITY), 1), 0),
);
