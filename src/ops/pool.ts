/**
 * Pooling: one number for each window of each channel of images [B, H, W, C]. A padded cell never wins a maximum and does
 * not count in an average, as in Keras. Pooling over whole images is `max` and `mean` over the axes 1 and 2.
 */
import { ShapeError } from "../errors.ts";
import type { Node } from "../graph/node.ts";
import { type AboutOps, type AnyArray, applyOp, type Case, defineOp, type Meaning } from "../graph/op.ts";
import { uniform } from "../graph/samples.ts";
import type { Shape } from "../graph/shape.ts";
import { broadcastTo, reshape } from "./broadcast.ts";
import { toFloat } from "./functions.ts";
import {
  eachPlace,
  imageSizes,
  type PaddingOption,
  type Pair,
  pixelsOf,
  placesOf,
  type Sliding,
  sides,
  toPair,
  toSliding,
} from "./window.ts";

/** A window's way over images. Its cells always lie side by side. */
export interface Pooling extends Sliding {
  readonly window: Pair;
}

/** The cell with the largest value: the first, if several are. */
const winner = (x: AnyArray, cells: readonly number[]): number =>
  cells.reduce((best, cell) => (x[cell] > x[best] ? cell : best));

/**
 * What an op over windows is: what it does with each window of each channel, given the place of its result and those of
 * its cells inside the image, to the data of the result and with those of the operands. The result of a gradient has the
 * images' shape, and its last operand that of what pooling gives.
 */
const overWindows = <A extends Pooling>(
  visit: (result: AnyArray, place: number, cells: readonly number[], ...operands: AnyArray[]) => void,
  isGradient = false,
): Meaning<A> => ({
  kind: "structural",
  epilogue: () => 3,
  reference: (operands, result, pooling) => {
    const [images, places] = isGradient ? [result, operands[operands.length - 1]] : [operands[0], result];
    const data = operands.map((x) => x.data);
    const channels = images.shape[3];
    eachPlace(images.shape, places.shape, pooling.window, pooling, (place, cells) => {
      for (let c = 0; c < channels; c++) {
        const under = cells.map(({ pixel }) => pixel * channels + c);
        visit(result.data, place * channels + c, under, ...data);
      }
    });
  },
});

const resultShape =
  (op: string) =>
  ([x]: readonly Node[], pooling: Pooling) => {
    const { b, h, w, c } = imageSizes(op, x);
    const { window, padding } = pooling;
    const places = placesOf(op, [h, w], window, pooling);
    if (window.some((cells, axis) => !(cells > Math.max(...padding[axis])))) {
      throw new ShapeError(
        `${op}: padding ${JSON.stringify(padding)} must be less than the window, ${window.join(" × ")}.`,
      );
    }
    return { shape: [b, ...places, c], dtype: "float" as const };
  };

const maxPoolOp = defineOp<Pooling>({
  name: "maxPool2d",
  meaning: overWindows((y, place, cells, x) => {
    y[place] = Math.max(...cells.map((cell) => x[cell]));
  }),
  shape: resultShape("maxPool2d"),
  backward: ({ inputs: [x], dy, attributes }) => [maxPool2dGradient(x, dy, attributes)],
});

const maxPoolGradientOp = defineOp<Pooling>({
  name: "maxPool2dGradient",
  meaning: overWindows((dx, place, cells, x, dy) => {
    dx[winner(x, cells)] += dy[place];
  }, true),
  shape: ([x]) => ({ shape: x.shape, dtype: "float" }),
  backward: ({ inputs: [x], dy, attributes }) => [undefined, maxPool2dPick(x, dy, attributes)],
});

const maxPoolPickOp = defineOp<Pooling>({
  name: "maxPool2dPick",
  meaning: overWindows((y, place, cells, x, g) => {
    y[place] = g[winner(x, cells)];
  }),
  shape: resultShape("maxPool2dPick"),
  backward: ({ inputs: [x], dy, attributes }) => [undefined, maxPool2dGradient(x, dy, attributes)],
});

const averagePoolOp = defineOp<Pooling>({
  name: "averagePool2d",
  meaning: overWindows((y, place, cells, x) => {
    y[place] = cells.reduce((sum, cell) => sum + x[cell], 0) / cells.length;
  }),
  shape: resultShape("averagePool2d"),
  backward: ({ inputs: [x], dy, attributes }) => [averagePool2dGradient(dy, pixelsOf(x), attributes)],
});

const averagePoolGradientOp = defineOp<Pooling & { readonly size: Pair }>({
  name: "averagePool2dGradient",
  meaning: overWindows((dx, place, cells, dy) => {
    for (const cell of cells) dx[cell] += dy[place] / cells.length;
  }, true),
  shape: ([dy], { size }) => ({ shape: [dy.shape[0], ...size, dy.shape[3]], dtype: "float" }),
  backward: ({ dy, attributes: { size, ...pooling } }) => [applyOp(averagePoolOp, [dy], pooling)],
});

/** The window of a pooling, and how it goes over an image. */
export interface PoolingOptions {
  /** How far the window moves, in pixels. Default: its own size, so that windows lie side by side. */
  readonly stride?: number | Pair;
  /** Default `"valid"`: none; rows and columns that fill no window are left out. */
  readonly padding?: PaddingOption;
}

function writeOut(x: Node, size: number | Pair, { stride = size, padding }: PoolingOptions): Pooling {
  const window = toPair(size);
  return { window, ...toSliding({ stride, padding }, pixelsOf(x), window) };
}

/**
 * The largest of each window: images [B, H, W, C] → [B, OH, OW, C]. Where several cells are the largest, the first (row
 * by row) wins and gets the whole gradient.
 *
 * @example
 * const y = ops.maxPool2d(input("x", [64, 24, 24, 32]), 2); // [64, 12, 12, 32]
 */
export const maxPool2d = (x: Node, window: number | Pair, options: PoolingOptions = {}): Node =>
  applyOp(maxPoolOp, [toFloat(x)], writeOut(x, window, options));

/** ∂L/∂x of y = maxPool2d(x), from dy = ∂L/∂y: each dy goes to its window's winner. */
export const maxPool2dGradient = (x: Node, dy: Node, pooling: Pooling): Node =>
  applyOp(maxPoolGradientOp, [x, dy], pooling);

/** The elements of g (of x's shape) at the winners of x's windows. With g = x, this is maxPool2d. */
export const maxPool2dPick = (x: Node, g: Node, pooling: Pooling): Node => applyOp(maxPoolPickOp, [x, g], pooling);

/**
 * The mean of each window: images [B, H, W, C] → [B, OH, OW, C]. Cells of the padding do not count; where they should,
 * as zeros, `pad` the images beforehand.
 */
export const averagePool2d = (x: Node, window: number | Pair, options: PoolingOptions = {}): Node =>
  applyOp(averagePoolOp, [toFloat(x)], writeOut(x, window, options));

/** ∂L/∂x of y = averagePool2d(x), from dy = ∂L/∂y; `size` is the (H, W) of x. */
export const averagePool2dGradient = (dy: Node, size: Pair, pooling: Pooling): Node =>
  applyOp(averagePoolGradientOp, [dy], { ...pooling, size });

/** Repeats every pixel `scale` times down and across (nearest neighbour): [B, H, W, C] → [B, H · sh, W · sw, C]. */
export function upsample2d(x: Node, scale: number | Pair): Node {
  const { b, h, w, c } = imageSizes("upsample2d", x);
  const [sh, sw] = toPair(scale);
  const repeated = broadcastTo(reshape(x, [b, h, 1, w, 1, c]), [b, h, sh, w, sw, c]);
  return reshape(repeated, [b, h * sh, w * sw, c]);
}

/** What is said of these ops, and what they are tried with: for about.ts, and in no bundle that only computes. */
export default (): AboutOps => {
  const example = (x: Shape, window: Pair, stride: Pair, padding = sides(0, 0, 0, 0)) => ({
    x,
    pooling: { window, stride, padding, dilation: [1, 1] as const },
  });

  /** Poolings of all kinds: what the cases of the ops are made from. */
  const examples = [
    example([2, 4, 5, 3], [2, 2], [2, 2]),
    example([1, 6, 4, 8], [2, 2], [2, 2]),
    example([2, 7, 6, 5], [3, 3], [2, 2], sides(1, 1, 1, 0)),
    example([1, 5, 6, 6], [3, 2], [1, 1], sides(1, 1, 0, 1)),
    example([1, 7, 8, 1], [2, 2], [3, 3]),
    example([1, 9, 10, 2], [5, 5], [3, 4], sides(2, 2, 0, 4)),
    example([1, 5, 5, 4], [2, 2], [2, 2], sides(1, 0, 0, 1)),
  ];

  const casesOf = (use: (x: Shape, y: Shape, pooling: Pooling) => [Shape[], object]): Case[] =>
    examples.map(({ x, pooling }) => {
      const y = [x[0], ...placesOf("pool", [x[1], x[2]], pooling.window, pooling), x[3]];
      const [shapes, attributes] = use(x, y, pooling);
      return { inputs: shapes.map((shape) => uniform(...shape)), attributes };
    });

  return {
    maxPool2d: {
      explain: {
        forward: "y = max of the window; the cell that holds it is the winner (the first, if several do)",
        derivative: "∂L/∂x = ∂L/∂y at the winner, 0 at the window's other cells",
      },
      cases: casesOf((x, _, pooling) => [[x], pooling]),
    },
    maxPool2dGradient: {
      explain: {
        forward: "∂L/∂x = Σ of ∂L/∂y over the windows that x won",
        derivative: "each ∂L/∂y counts at its window's winner",
      },
      cases: casesOf((x, y, pooling) => [[x, y], pooling]),
    },
    maxPool2dPick: {
      explain: {
        forward: "y = the element of g at the window's winner in x",
        derivative: "∂L/∂g = ∂L/∂y at the winner",
      },
      cases: casesOf((x, _, pooling) => [[x, x], pooling]),
    },
    averagePool2d: {
      explain: {
        forward: "y = Σ of the window / the number of its cells inside the image",
        derivative: "∂L/∂x = ∂L/∂y / that number, for each window that x is in",
      },
      cases: casesOf((x, _, pooling) => [[x], pooling]),
    },
    averagePool2dGradient: {
      explain: {
        forward: "∂L/∂x = Σ of ∂L/∂y / cells over the windows that x is in",
        derivative: "linear in ∂L/∂y",
      },
      cases: casesOf((x, y, pooling) => [[y], { ...pooling, size: [x[1], x[2]] }]),
    },
  };
};
