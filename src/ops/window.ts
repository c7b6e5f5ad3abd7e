/**
 * How a window moves over images: stride, dilation, padding, and the sizes that follow. Convolution and pooling share
 * it. Options are given in short forms; attributes of ops are always written out.
 */
import { checkWhole } from "../checks.ts";
import { ShapeError } from "../errors.ts";
import type { Node } from "../graph/node.ts";
import { type Shape, showShape } from "../graph/shape.ts";
import { reshape } from "./broadcast.ts";

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

/** A number for both, or one for each. */
export const toPair = <T>(value: number | readonly [T, T]): readonly [T | number, T | number] =>
  typeof value === "number" ? [value, value] : value;

/** A number on all sides, (vertical, horizontal), or all four, written out. */
export const toPadding = (padding: number | Pair | Padding): Padding => {
  const [vertical, horizontal] = toPair<number | Pair>(padding);
  return [toPair(vertical), toPair(horizontal)];
};

/** The length that a window of `size` cells spans when its cells stand `dilation` apart. */
export const spanOf = (size: number, dilation: number): number => (size - 1) * dilation + 1;

/** A window's way in short. */
interface SlidingOptions {
  readonly stride?: number | Pair;
  readonly padding?: PaddingOption;
  readonly dilation?: number | Pair;
}

/** Writes options out for images of `size` and a window of `window` cells. */
export function toSliding(options: SlidingOptions, size: Pair, window: Pair): Sliding {
  const [stride, dilation] = [toPair(options.stride ?? 1), toPair(options.dilation ?? 1)];
  const padding = options.padding ?? "valid";
  const same = (axis: 0 | 1): Pair => {
    const reach = (Math.ceil(size[axis] / stride[axis]) - 1) * stride[axis] + spanOf(window[axis], dilation[axis]);
    const total = Math.max(0, reach - size[axis]);
    return [Math.floor(total / 2), Math.ceil(total / 2)];
  };
  return {
    stride,
    dilation,
    padding: padding === "same" ? [same(0), same(1)] : toPadding(padding === "valid" ? 0 : padding),
  };
}

/** How many places the window has on an image of `size`: (rows, columns). */
export function placesOf(op: string, size: Pair, window: Pair, { stride, padding, dilation }: Sliding): Pair {
  checkWhole(`${op}: `, { window, stride, dilation }, 1, 2);
  checkWhole(`${op}: `, { padding }, 0, 2, 2);
  const spans = window.map((cells, axis) => spanOf(cells, dilation[axis]));
  const along = (axis: 0 | 1): number =>
    Math.floor((size[axis] + padding[axis][0] + padding[axis][1] - spans[axis]) / stride[axis]) + 1;
  const places: Pair = [along(0), along(1)];
  if (Math.min(...places) < 1) {
    throw new ShapeError(
      `${op}: a window over ${spans.join(" × ")} pixels does not fit on images of ${size.join(" × ")} with padding ${JSON.stringify(padding)}. Use a smaller window, padding "same", or fewer layers that shrink the image.`,
    );
  }
  return places;
}

/** A cell of a window that lies inside the image: its number in the window, and the number of the pixel under it. */
interface Cell {
  readonly cell: number;
  readonly pixel: number;
}

/** Visits the places of a window on images, in order, with the cells that are inside. Shapes [B, H, W, …], [B, OH, OW, …]. */
export function eachPlace(
  [, h, w]: Shape,
  [b, oh, ow]: Shape,
  window: Pair,
  { stride, padding, dilation }: Sliding,
  visit: (place: number, cells: readonly Cell[]) => void,
): void {
  for (let place = 0; place < b * oh * ow; place++) {
    const image = Math.floor(place / (oh * ow));
    const top = (Math.floor(place / ow) % oh) * stride[0] - padding[0][0];
    const left = (place % ow) * stride[1] - padding[1][0];
    const cells: Cell[] = [];
    for (let cell = 0; cell < window[0] * window[1]; cell++) {
      const y = top + Math.floor(cell / window[1]) * dilation[0];
      const x = left + (cell % window[1]) * dilation[1];
      if (y >= 0 && y < h && x >= 0 && x < w) cells.push({ cell, pixel: (image * h + y) * w + x });
    }
    visit(place, cells);
  }
}

/** What a window over sequences [B, L, C] may have: the short forms of one direction. */
export interface RowOptions {
  readonly stride?: number;
  /** `"causal"`: all before, so that no place sees what comes after it. */
  readonly padding?: "valid" | "same" | "causal" | number | Pair;
  readonly dilation?: number;
  readonly groups?: number;
}

/** Does to sequences [B, L, C] what an op does to images: they are images of one row. */
export function asRows(
  name: string,
  x: Node,
  window: number,
  { stride = 1, padding: asked = 0, dilation = 1, groups }: RowOptions,
  op: (images: Node, options: SlidingOptions & Pick<RowOptions, "groups">) => Node,
): Node {
  const [b, length, channels] = x.shape;
  const span = spanOf(window, dilation);
  const padding = asked === "causal" ? ([span - 1, 0] as const) : asked;
  const around = padding === "same" ? span : padding === "valid" ? 0 : toPair(padding).reduce((a, b) => a + b);
  if (Number.isInteger(span) && span > length + around)
    throw new ShapeError(
      `${name}: a window over ${span} places does not fit on sequences of ${length} with padding ${JSON.stringify(padding)}. Use a smaller window, padding "same", or fewer layers that shrink the sequence.`,
    );
  const y = op(reshape(x, [b, 1, length, channels]), {
    stride: [1, stride],
    padding: typeof padding === "string" ? padding : [[0, 0], toPair(padding) as Pair],
    dilation: [1, dilation],
    groups,
  });
  return reshape(y, [b, y.shape[2], y.shape[3]]);
}

/** The height and width of images [B, H, W, C]. */
export const pixelsOf = ({ shape }: Node): Pair => [shape[1], shape[2]];

/** The sizes of images [B, H, W, C]; throws if the node is not that. */
export function imageSizes(op: string, { shape }: Pick<Node, "shape">): { b: number; h: number; w: number; c: number } {
  if (shape.length !== 4) {
    throw new ShapeError(
      `${op}: images must have shape [B, H, W, C] (channels last); ${showShape(shape)} came. Reshape them: one grey image of 28 × 28 is [1, 28, 28, 1].`,
    );
  }
  const [b, h, w, c] = shape;
  return { b, h, w, c };
}
