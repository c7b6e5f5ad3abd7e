/**
 * Pooling: one number for each window of each channel of images [B, H, W, C]. A padded cell never wins a maximum and does
 * not count in an average, as in Keras. Pooling over whole images is `max` and `mean` over the axes 1 and 2.
 */
import { ShapeError } from "../errors.ts";
import type { Node } from "../graph/node.ts";
import { applyOp, type Case, defineOp, type Tensor } from "../graph/op.ts";
import { uniform } from "../graph/samples.ts";
import { type Shape, sameShape, showShape, sizeOf } from "../graph/shape.ts";
import { toFloat } from "./functions.ts";
import { broadcastTo, reshape } from "./shape.ts";
import {
  checkSliding,
  imageSizes,
  type Padding,
  type PaddingOption,
  type Pair,
  placesOf,
  type Sliding,
  sides,
  toPadding,
  toPair,
} from "./window.ts";

export interface Pooling {
  readonly window: Pair;
  readonly stride: Pair;
  readonly padding: Padding;
}

const sliding = ({ stride, padding }: Pooling): Sliding => ({ stride, padding, dilation: [1, 1] });

/** Visits every window of every channel: the place of its result, and those of its cells inside the image. */
function eachWindow(
  [b, h, w, c]: Shape,
  y: Shape,
  { window, stride, padding }: Pooling,
  visit: (y: number, cells: readonly number[]) => void,
): void {
  for (let place = 0; place < sizeOf(y); place++) {
    const channel = place % c;
    const ox = Math.floor(place / c) % y[2];
    const oy = Math.floor(place / c / y[2]) % y[1];
    const image = Math.floor(place / c / y[2] / y[1]);
    const cells: number[] = [];
    for (let ky = 0; ky < window[0]; ky++) {
      for (let kx = 0; kx < window[1]; kx++) {
        const [iy, ix] = [oy * stride[0] - padding[0][0] + ky, ox * stride[1] - padding[1][0] + kx];
        if (image < b && iy >= 0 && iy < h && ix >= 0 && ix < w) cells.push(((image * h + iy) * w + ix) * c + channel);
      }
    }
    visit(place, cells);
  }
}

/** The cell with the largest value: the first, if several are. */
const winner = (x: Tensor["data"], cells: readonly number[]): number =>
  cells.reduce((best, cell) => (x[cell] > x[best] ? cell : best));

function resultShape(op: string, x: Node, pooling: Pooling): Shape {
  const { b, h, w, c } = imageSizes(op, "images", x);
  const { window, padding } = pooling;
  checkSliding(op, sliding(pooling));
  for (const axis of [0, 1] as const) {
    if (!(window[axis] > Math.max(...padding[axis]))) {
      throw new ShapeError(
        `${op}: with padding ${JSON.stringify(padding)} a window of ${window.join(" × ")} can lie wholly outside the image. Use less padding than the window's size.`,
      );
    }
  }
  return [b, ...placesOf(op, [h, w], window, sliding(pooling)), c];
}

function wantResult(op: string, dy: Node, result: Shape): void {
  if (!sameShape(dy.shape, result)) {
    throw new ShapeError(
      `${op}: the gradient has shape ${showShape(dy.shape)}, but the pooling it belongs to gives ${showShape(result)}. Give the same sizes, window, stride and padding as there.`,
    );
  }
}

const example = (x: Shape, window: Pair, stride: Pair, padding = sides(0, 0, 0, 0)) => ({
  x,
  pooling: { window, stride, padding },
});

/** Poolings of all kinds: what the cases of the ops are made from. */
const EXAMPLES = [
  example([2, 4, 5, 3], [2, 2], [2, 2]),
  example([1, 6, 4, 8], [2, 2], [2, 2]),
  example([2, 7, 6, 5], [3, 3], [2, 2], sides(1, 1, 1, 0)),
  example([1, 5, 6, 6], [3, 2], [1, 1], sides(1, 1, 0, 1)),
  example([1, 7, 8, 1], [2, 2], [3, 3]),
  example([1, 9, 10, 2], [5, 5], [3, 4], sides(2, 2, 0, 4)),
  example([1, 5, 5, 4], [2, 2], [2, 2], sides(1, 0, 0, 1)),
];

const casesOf = <A>(use: (x: Shape, y: Shape, pooling: Pooling) => [Shape[], A]): Case<A>[] =>
  EXAMPLES.map(({ x, pooling }) => {
    const y = [x[0], ...placesOf("pool", [x[1], x[2]], pooling.window, sliding(pooling)), x[3]];
    const [shapes, attributes] = use(x, y, pooling);
    return { inputs: shapes.map((shape) => uniform(...shape)), attributes };
  });

const maxPoolOp = defineOp<Pooling>({
  name: "maxPool2d",
  meaning: {
    kind: "structural",
    epilogue: () => 3,
    reference: ([x], y, pooling) =>
      eachWindow(x.shape, y.shape, pooling, (place, cells) => {
        y.data[place] = Math.max(...cells.map((cell) => x.data[cell]));
      }),
  },
  shape: ([x], pooling) => ({ shape: resultShape("maxPool2d", x, pooling), dtype: "float" }),
  backward: ({ inputs: [x], dy, attributes }) => [maxPool2dGradient(x, dy, attributes)],
  explain: {
    forward: "y = max of the window; the cell that holds it is the winner (the first, if several do)",
    derivative: "∂L/∂x = ∂L/∂y at the winner, 0 at the window's other cells",
  },
  cases: casesOf((x, _, pooling) => [[x], pooling]),
});

const maxPoolGradientOp = defineOp<Pooling>({
  name: "maxPool2dGradient",
  meaning: {
    kind: "structural",
    epilogue: () => 3,
    reference: ([x, dy], dx, pooling) => {
      dx.data.fill(0);
      eachWindow(x.shape, dy.shape, pooling, (place, cells) => {
        dx.data[winner(x.data, cells)] += dy.data[place];
      });
    },
  },
  shape: ([x, dy], pooling) => {
    wantResult("maxPool2dGradient", dy, resultShape("maxPool2dGradient", x, pooling));
    return { shape: x.shape, dtype: "float" };
  },
  backward: ({ inputs: [x], dy, attributes }) => [undefined, maxPool2dPick(x, dy, attributes)],
  explain: {
    forward: "∂L/∂x = Σ of ∂L/∂y over the windows that x won",
    derivative: "each ∂L/∂y counts at its window's winner",
  },
  cases: casesOf((x, y, pooling) => [[x, y], pooling]),
});

const maxPoolPickOp = defineOp<Pooling>({
  name: "maxPool2dPick",
  meaning: {
    kind: "structural",
    epilogue: () => 3,
    reference: ([x, g], y, pooling) =>
      eachWindow(x.shape, y.shape, pooling, (place, cells) => {
        y.data[place] = g.data[winner(x.data, cells)];
      }),
  },
  shape: ([x, g], pooling) => {
    wantResult("maxPool2dPick", g, x.shape);
    return { shape: resultShape("maxPool2dPick", x, pooling), dtype: "float" };
  },
  backward: ({ inputs: [x], dy, attributes }) => [undefined, maxPool2dGradient(x, dy, attributes)],
  explain: { forward: "y = the element of g at the window's winner in x", derivative: "∂L/∂g = ∂L/∂y at the winner" },
  cases: casesOf((x, _, pooling) => [[x, x], pooling]),
});

const averagePoolOp = defineOp<Pooling>({
  name: "averagePool2d",
  meaning: {
    kind: "structural",
    epilogue: () => 3,
    reference: ([x], y, pooling) =>
      eachWindow(x.shape, y.shape, pooling, (place, cells) => {
        y.data[place] = cells.reduce((sum, cell) => sum + x.data[cell], 0) / cells.length;
      }),
  },
  shape: ([x], pooling) => ({ shape: resultShape("averagePool2d", x, pooling), dtype: "float" }),
  backward: ({ inputs: [x], dy, attributes }) => [averagePool2dGradient(dy, [x.shape[1], x.shape[2]], attributes)],
  explain: {
    forward: "y = Σ of the window / the number of its cells inside the image",
    derivative: "∂L/∂x = ∂L/∂y / that number, for each window that x is in",
  },
  cases: casesOf((x, _, pooling) => [[x], pooling]),
});

const averagePoolGradientOp = defineOp<Pooling & { readonly size: Pair }>({
  name: "averagePool2dGradient",
  meaning: {
    kind: "structural",
    epilogue: () => 3,
    reference: ([dy], dx, pooling) => {
      dx.data.fill(0);
      eachWindow(dx.shape, dy.shape, pooling, (place, cells) => {
        for (const cell of cells) dx.data[cell] += dy.data[place] / cells.length;
      });
    },
  },
  shape: ([dy], { size, ...pooling }) => {
    const { b, c } = imageSizes("averagePool2dGradient", "the gradient", dy);
    const shape = [b, ...size, c];
    wantResult("averagePool2dGradient", dy, resultShape("averagePool2dGradient", { ...dy, shape }, pooling));
    return { shape, dtype: "float" };
  },
  backward: ({ dy, attributes: { size, ...pooling } }) => [applyOp(averagePoolOp, [dy], pooling)],
  explain: {
    forward: "∂L/∂x = Σ of ∂L/∂y / cells over the windows that x is in",
    derivative: "linear in ∂L/∂y",
  },
  cases: casesOf((x, y, pooling) => [[y], { ...pooling, size: [x[1], x[2]] }]),
});

/** The window of a pooling, and how it goes over an image. */
export interface PoolingOptions {
  /** How far the window moves, in pixels. Default: its own size, so that windows lie side by side. */
  readonly stride?: number | Pair;
  /** Default `"valid"`: none; rows and columns that fill no window are left out. */
  readonly padding?: PaddingOption;
}

function writeOut(x: Node, size: number | Pair, options: PoolingOptions): Pooling {
  const window = toPair(size);
  const stride = toPair(options.stride ?? window);
  const image: Pair = [x.shape[1], x.shape[2]];
  return { window, stride, padding: toPadding(options.padding ?? "valid", image, window, stride, [1, 1]) };
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
  const { b, h, w, c } = imageSizes("upsample2d", "images", x);
  const [sh, sw] = toPair(scale);
  const repeated = broadcastTo(reshape(x, [b, h, 1, w, 1, c]), [b, h, sh, w, sw, c]);
  return reshape(repeated, [b, h * sh, w * sw, c]);
}
