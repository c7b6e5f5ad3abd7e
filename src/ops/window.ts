/**
 * How a window moves over images: stride, dilation, padding, and the sizes that follow. Convolution and pooling share
 * it. Options are given in short forms; attributes of ops are always written out.
 */
import { ArgumentError, ShapeError } from "../errors.ts";
import type { Node } from "../graph/node.ts";
import { showShape } from "../graph/shape.ts";

/** (height, width). */
export type Pair = readonly [number, number];

/** Rows and columns added around an image: [[top, bottom], [left, right]]. */
export type Padding = readonly [Pair, Pair];

/** So many rows above and below, so many columns to the left and right. */
export const sides = (top: number, bottom: number, left: number, right: number): Padding => [
  [top, bottom],
  [left, right],
];

/**
 * `"valid"`: none; `"same"`: as much as gives ⌈n / stride⌉ results, the odd one at the end (as Keras does);
 * a number: on all sides; a pair: above and below, left and right; or [[top, bottom], [left, right]].
 */
export type PaddingOption = "valid" | "same" | number | Pair | Padding;

/** A window's way over an image, written out. */
export interface Sliding {
  readonly stride: Pair;
  readonly padding: Padding;
  readonly dilation: Pair;
}

export const toPair = (value: number | Pair): Pair => (typeof value === "number" ? [value, value] : value);

/** The length that a window of `size` cells spans when its cells stand `dilation` apart. */
export const spanOf = (size: number, dilation: number): number => (size - 1) * dilation + 1;

/** Writes padding out for images of `size` and a window of `window` cells. */
export function toPadding(option: PaddingOption, size: Pair, window: Pair, stride: Pair, dilation: Pair): Padding {
  if (option === "valid") return toPadding(0, size, window, stride, dilation);
  if (option === "same") {
    const along = (axis: 0 | 1): Pair => {
      const results = Math.ceil(size[axis] / stride[axis]);
      const span = spanOf(window[axis], dilation[axis]);
      const total = Math.max(0, (results - 1) * stride[axis] + span - size[axis]);
      return [Math.floor(total / 2), Math.ceil(total / 2)];
    };
    return [along(0), along(1)];
  }
  const [vertical, horizontal] = typeof option === "number" ? toPair(option) : option;
  return [toPair(vertical), toPair(horizontal)];
}

/** Throws unless strides, dilations and paddings are numbers a window can move by. */
export function checkSliding(op: string, { stride, padding, dilation }: Sliding): void {
  const check = (what: string, values: readonly number[], least: number) => {
    if (!values.every((n) => Number.isInteger(n) && n >= least)) {
      throw new ArgumentError(`${op}: ${what} must be whole numbers ≥ ${least}; ${showShape(values)} came.`);
    }
  };
  check("strides", stride, 1);
  check("dilations", dilation, 1);
  check("paddings", padding.flat(), 0);
}

/** How many places the window has on an image of `size`: (rows, columns). */
export function placesOf(op: string, size: Pair, window: Pair, { stride, padding, dilation }: Sliding): Pair {
  const along = (axis: 0 | 1): number => {
    const free = size[axis] + padding[axis][0] + padding[axis][1] - spanOf(window[axis], dilation[axis]);
    return Math.floor(free / stride[axis]) + 1;
  };
  const places: Pair = [along(0), along(1)];
  if (places[0] < 1 || places[1] < 1) {
    const text = (pair: Pair) => pair.join(" × ");
    const dilated = dilation[0] > 1 || dilation[1] > 1 ? `, ${text(dilation)} apart,` : "";
    throw new ShapeError(
      `${op}: a window of ${text(window)} cells${dilated} does not fit on images of ${text(size)} with padding ${JSON.stringify(padding)}. ` +
        'Use a smaller window, padding "same", or fewer layers that shrink the image before this one.',
    );
  }
  return places;
}

/** The sizes of images [B, H, W, C]; throws if the node is not that. */
export function imageSizes(op: string, what: string, x: Node): { b: number; h: number; w: number; c: number } {
  if (x.shape.length !== 4) {
    throw new ShapeError(
      `${op}: ${what} must have shape [B, H, W, C] (channels last); ${showShape(x.shape)} came. Reshape them first: one grey image of 28 × 28 is [1, 28, 28, 1].`,
    );
  }
  const [b, h, w, c] = x.shape;
  return { b, h, w, c };
}
