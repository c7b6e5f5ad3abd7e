/** How ONNX says the way of a window over images, sequences or volumes, and windows of any number of axes as tables. */

import { constant } from "../../../graph/leaf.ts";
import type { Node } from "../../../graph/node.ts";
import { type Shape, sizeOf } from "../../../graph/shape.ts";
import { concat, gather, reshape, transpose } from "../../../ops/index.ts";
import type { Padding, Pair } from "../../../ops/window.ts";
import type { Call } from "../call.ts";
import { coordinatesOf, range, rowNumbers } from "./moving.ts";

/** A window's way, written out for each axis that it moves along. */
export interface Way {
  readonly window: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly before: readonly number[];
  readonly after: readonly number[];
  /** At how many places it stands. */
  readonly places: readonly number[];
}

/** The way of a window over arrays whose moving axes have these sizes. */
export function wayOf(call: Call, size: readonly number[], window: readonly number[]): Way {
  const rank = size.length;
  const strides = call.numbers("strides") ?? range(rank).map(() => 1);
  const dilations = call.numbers("dilations") ?? range(rank).map(() => 1);
  const spans = window.map((cells, axis) => (cells - 1) * dilations[axis] + 1);
  const autoPad = call.text("auto_pad", "NOTSET");
  const pads = call.numbers("pads") ?? range(2 * rank).map(() => 0);
  const around = range(rank).map((axis): readonly [number, number] => {
    if (autoPad === "NOTSET") return [pads[axis], pads[rank + axis]];
    if (autoPad === "VALID") return [0, 0];
    const total = Math.max(0, (Math.ceil(size[axis] / strides[axis]) - 1) * strides[axis] + spans[axis] - size[axis]);
    const half = [Math.floor(total / 2), Math.ceil(total / 2)] as const;
    return autoPad === "SAME_LOWER" ? [half[1], half[0]] : half;
  });
  const isCeil = call.number("ceil_mode", 0) !== 0;
  const places = range(rank).map((axis) => {
    const [before, after] = around[axis];
    const steps = (size[axis] + before + after - spans[axis]) / strides[axis];
    const count = (isCeil ? Math.ceil(steps) : Math.floor(steps)) + 1;
    // A last window that would begin in the padding behind is left out.
    return isCeil && (count - 1) * strides[axis] >= size[axis] + before ? count - 1 : count;
  });
  return {
    window,
    strides,
    dilations,
    before: around.map(([before]) => before),
    after: around.map(([, after]) => after),
    places,
  };
}

/** The way of a window over images or sequences as our ops have it; sequences are images of one row. */
export function asImages({ window, strides, dilations, before, after }: Way) {
  const pair = (list: readonly number[], alone: number): Pair =>
    list.length === 1 ? [alone, list[0]] : [list[0], list[1]];
  const padding: Padding =
    before.length === 1
      ? [
          [0, 0],
          [before[0], after[0]],
        ]
      : [
          [before[0], after[0]],
          [before[1], after[1]],
        ];
  return { window: pair(window, 1), stride: pair(strides, 1), dilation: pair(dilations, 1), padding };
}

/** Which element of an array of `size` each cell of each place sees: [places, cells]; −1 where it sees padding. */
export function seen({ window, strides, dilations, before, places }: Way, size: readonly number[]): number[] {
  return range(sizeOf(places)).flatMap((place) => {
    const at = coordinatesOf(place, places);
    return range(sizeOf(window)).map((cell) =>
      coordinatesOf(cell, window).reduce((index, k, axis) => {
        const i = at[axis] * strides[axis] - before[axis] + k * dilations[axis];
        return index < 0 || i < 0 || i >= size[axis] ? -1 : index * size[axis] + i;
      }, 0),
    );
  });
}

/** What each window sees of x [B, C, …]: [places, cells, B, C], with `outside` where that is padding. */
export function windowsOf(x: Node, way: Way, outside: number): Node {
  const [b, c, ...size] = x.shape;
  const elements = sizeOf(size);
  const table = reshape(transpose(reshape(x, [b * c, elements]), [1, 0]), [elements, b, c]);
  const extended = concat([table, constant(outside, [1, b, c])], 0);
  const index = seen(way, size).map((i) => (i < 0 ? elements : i));
  const rows = gather(extended, rowNumbers(index)); // [places · cells, B, C]
  return reshape(rows, [sizeOf(way.places), sizeOf(way.window), b, c]);
}

/** A result [places, B, C] as [B, C, …]. */
export const placed = (y: Node, { places }: Way): Node => {
  const [, b, c] = y.shape as Shape as [number, number, number];
  return reshape(transpose(y, [1, 2, 0]), [b, c, ...places]);
};
