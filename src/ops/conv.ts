/**
 * Convolution of images [B, H, W, I] with kernels [KH, KW, I / groups, O]. Three ops, each of which is the derivative of
 * another: the form Σ x · w · dy is linear in all three, so their backwards are again these three.
 */
import { ShapeError } from "../errors.ts";
import type { Node } from "../graph/node.ts";
import { type AboutOps, applyOp, type Case, defineOp, type Tensor } from "../graph/op.ts";
import { uniform } from "../graph/samples.ts";
import { type Shape, sameShape, showShape, sizeOf } from "../graph/shape.ts";
import { reshape } from "./broadcast.ts";
import { toFloat } from "./functions.ts";
import { transpose } from "./shape.ts";
import {
  asRows,
  eachPlace,
  imageSizes,
  type PaddingOption,
  type Pair,
  pixelsOf,
  placesOf,
  type RowOptions,
  type Sliding,
  sides,
  spanOf,
  toPair,
  toSliding,
} from "./window.ts";

/** How a kernel goes over images. With groups, channels of a group see only their own group's. */
export interface Convolution extends Sliding {
  readonly groups: number;
}

/** `size`: of what the gradient is for, images (H, W) or a kernel (KH, KW). */
export type ConvolutionGradient = Convolution & { readonly size: Pair };

/** Visits every product of y = conv2d(x, w): the places of its factors x and w, and of the y that it is added to. */
function eachProduct(
  [{ shape: x }, { shape: w }, { shape: y }]: readonly Tensor[],
  convolution: Convolution,
  visit: (x: number, w: number, y: number) => void,
): void {
  const [kh, kw, inputs, outputs] = w;
  const outputsPerGroup = outputs / convolution.groups;
  eachPlace(x, y, [kh, kw], convolution, (place, cells) => {
    for (const { cell, pixel } of cells) {
      for (let o = 0; o < outputs; o++) {
        const first = pixel * x[3] + Math.floor(o / outputsPerGroup) * inputs;
        for (let i = 0; i < inputs; i++) visit(first + i, (cell * inputs + i) * outputs + o, place * outputs + o);
      }
    }
  });
}

/** The height and width of kernels [KH, KW, I, O]. */
const cellsOf = ({ shape }: Node): Pair => [shape[0], shape[1]];

/** Two for each weight at each place of the window. */
const flops = ([b, oh, ow]: Shape, w: Shape): number => 2 * b * oh * ow * sizeOf(w);

/** The shape of y = conv2d(x, w); throws if the two do not fit. */
function resultShape(op: string, x: Pick<Node, "shape">, w: Node, convolution: Convolution): Shape {
  const { b, h, w: width, c } = imageSizes(op, x);
  const { groups } = convolution;
  const [kh, kw, inputs, outputs] = w.shape;
  if (w.shape.length !== 4 || inputs * groups !== c || outputs % groups !== 0) {
    throw new ShapeError(
      `${op}: a kernel must have shape [KH, KW, I / groups, O]; ${showShape(w.shape)} came for I = ${c} channels and groups = ${groups}, which must divide O.`,
    );
  }
  return [b, ...placesOf(op, [h, width], [kh, kw], convolution), outputs];
}

const conv2dOp = defineOp<Convolution>({
  name: "conv2d",
  meaning: {
    kind: "structural",
    epilogue: () => 3,
    reference: ([x, w], y, convolution) => {
      eachProduct([x, w, y], convolution, (i, j, k) => {
        y.data[k] += x.data[i] * w.data[j];
      });
    },
    flops: ([, w], y) => flops(y, w.shape),
  },
  shape: ([x, w], convolution) => ({ shape: resultShape("conv2d", x, w, convolution), dtype: "float" }),
  backward: ({ inputs: [x, w], dy, attributes }) => [
    conv2dInputGradient(dy, w, pixelsOf(x), attributes),
    conv2dKernelGradient(x, dy, cellsOf(w), attributes),
  ],
});

const inputGradientOp = defineOp<ConvolutionGradient>({
  name: "conv2dInputGradient",
  meaning: {
    kind: "structural",
    epilogue: () => 3,
    reference: ([dy, w], dx, convolution) => {
      eachProduct([dx, w, dy], convolution, (i, j, k) => {
        dx.data[i] += dy.data[k] * w.data[j];
      });
    },
    flops: ([dy, w]) => flops(dy.shape, w.shape),
  },
  shape: ([dy, w], attributes) => {
    const shape = [dy.shape[0], ...attributes.size, w.shape[2] * attributes.groups];
    // Only conv2dTranspose can ask for sizes that do not fit.
    const wanted = resultShape("conv2dTranspose", { shape }, w, attributes);
    if (!sameShape(dy.shape, wanted)) {
      throw new ShapeError(
        `conv2dTranspose: ${showShape(shape)} would come of images ${showShape(wanted)}; they are ${showShape(dy.shape)}. Choose an outputPadding below the stride.`,
      );
    }
    return { shape, dtype: "float" };
  },
  backward: ({ inputs: [g, w], dy, attributes }) => [
    conv2d(dy, w, attributes),
    conv2dKernelGradient(dy, g, cellsOf(w), attributes),
  ],
});

const kernelGradientOp = defineOp<ConvolutionGradient>({
  name: "conv2dKernelGradient",
  meaning: {
    kind: "structural",
    reference: ([x, dy], dw, convolution) => {
      eachProduct([x, dw, dy], convolution, (i, j, k) => {
        dw.data[j] += x.data[i] * dy.data[k];
      });
    },
    flops: ([, dy], dw) => flops(dy.shape, dw),
  },
  shape: ([x, dy], { size, groups }) => ({ shape: [...size, x.shape[3] / groups, dy.shape[3]], dtype: "float" }),
  backward: ({ inputs: [x, g], dy, attributes }) => [
    conv2dInputGradient(g, dy, pixelsOf(x), attributes),
    conv2d(x, dy, attributes),
  ],
});

/** How a window goes over an image; a number is for both directions. */
export interface ConvolutionOptions {
  /** How far the window moves, in pixels. Default 1. */
  readonly stride?: number | Pair;
  /** Default `"valid"`: none. */
  readonly padding?: PaddingOption;
  /** The distance between neighbouring cells of the kernel. Default 1. */
  readonly dilation?: number | Pair;
  /** Default 1. As many groups as channels make a depthwise convolution. */
  readonly groups?: number;
}

const writeOut = (options: ConvolutionOptions, size: Pair, w: Node): Convolution => ({
  ...toSliding(options, size, cellsOf(w)),
  groups: options.groups ?? 1,
});

/**
 * Convolves images [B, H, W, I] with kernels w [KH, KW, I / groups, O] → [B, OH, OW, O]. As everywhere in this field it
 * is a cross-correlation: the kernel is not flipped.
 *
 * @example
 * const z = ops.conv2d(input("x", [64, 28, 28, 1]), variable("w", [3, 3, 1, 32]), { padding: "same" }); // [64, 28, 28, 32]
 */
export function conv2d(x: Node, w: Node, options: ConvolutionOptions = {}): Node {
  return applyOp(conv2dOp, [toFloat(x), toFloat(w)], writeOut(options, pixelsOf(x), w));
}

/** ∂L/∂x of y = conv2d(x, w), from dy = ∂L/∂y [B, OH, OW, O]; `size` is the (H, W) of x. */
export const conv2dInputGradient = (dy: Node, w: Node, size: Pair, convolution: Convolution): Node =>
  applyOp(inputGradientOp, [dy, w], { ...convolution, size });

/** ∂L/∂w of y = conv2d(x, w), from dy = ∂L/∂y [B, OH, OW, O]; `size` is the (KH, KW) of w. */
export const conv2dKernelGradient = (x: Node, dy: Node, size: Pair, convolution: Convolution): Node =>
  applyOp(kernelGradientOp, [x, dy], { ...convolution, size });

/**
 * Convolves sequences [B, L, I] with kernels w [K, I / groups, O] → [B, OL, O]: a conv2d over images of one row.
 * `padding` may be one number, or the numbers before and after.
 */
export function conv1d(x: Node, w: Node, options: RowOptions = {}): Node {
  if (x.shape.length !== 3 || w.shape.length !== 3) {
    throw new ShapeError(
      `conv1d: sequences must have shape [B, L, I] and kernels [K, I / groups, O]; ${showShape(x.shape)} and ${showShape(w.shape)} came.`,
    );
  }
  const { groups = 1 } = options;
  const channels = x.shape[2];
  const [span, inputs, outputs] = w.shape;
  if (inputs * groups !== channels || outputs % groups !== 0)
    throw new ShapeError(
      `conv1d: a kernel must have shape [K, I / groups, O]; ${showShape(w.shape)} came for I = ${channels} channels and groups = ${groups}, which must divide O.`,
    );
  const kernel = reshape(w, [1, ...w.shape]);
  return asRows("conv1d", x, span, options, (images, how) => conv2d(images, kernel, how));
}

/**
 * The transposed convolution of images [B, H, W, I] with kernels w [KH, KW, I, O / groups] → [B, OH, OW, O]: what conv2d's
 * backward does to a gradient, used forwards to make images larger. OH = (H − 1) · stride + span − padding + outputPadding,
 * where span is the kernel's (dilated) height; `"same"` gives OH = H · stride, as in Keras.
 */
export function conv2dTranspose(
  x: Node,
  w: Node,
  options: ConvolutionOptions & { readonly outputPadding?: number | Pair } = {},
): Node {
  const { h, w: width, c } = imageSizes("conv2dTranspose", x);
  if (w.shape.length !== 4 || w.shape[2] !== c) {
    throw new ShapeError(
      `conv2dTranspose: images ${showShape(x.shape)} need a kernel of shape [KH, KW, ${c}, O / groups]; ${showShape(w.shape)} came.`,
    );
  }
  const [stride, extra] = [toPair(options.stride ?? 1), toPair(options.outputPadding ?? 0)];
  const enlarged: Pair = [h * stride[0], width * stride[1]];
  const convolution = writeOut(options, enlarged, w);
  const { padding, dilation } = convolution;
  const along = (axis: 0 | 1): number => {
    if (options.padding === "same") return enlarged[axis];
    const span = spanOf(w.shape[axis], dilation[axis]);
    return enlarged[axis] - stride[axis] + span - padding[axis][0] - padding[axis][1] + extra[axis];
  };
  const flipped = transpose(toFloat(w), [0, 1, 3, 2]); // [KH, KW, O / groups, I]
  return conv2dInputGradient(toFloat(x), flipped, [along(0), along(1)], convolution);
}

/** What is said of these ops, and what they are tried with: for about.ts, and in no bundle that only computes. */
export default (): AboutOps => {
  const everywhere: Convolution = { stride: [1, 1], padding: sides(0, 0, 0, 0), dilation: [1, 1], groups: 1 };

  const example = (x: Shape, w: Shape, how: Partial<Convolution> = {}) => ({ x, w, how: { ...everywhere, ...how } });

  /** Convolutions of all kinds: what the cases of the three ops are made from. */
  const examples = [
    example([2, 4, 5, 2], [2, 3, 2, 3]),
    example([1, 7, 8, 1], [3, 3, 1, 10]),
    example([1, 6, 9, 3], [3, 3, 3, 17], { padding: sides(1, 1, 1, 1) }),
    example([1, 5, 6, 4], [3, 2, 4, 9], { padding: sides(2, 0, 0, 2), dilation: [2, 2] }),
    example([1, 8, 9, 3], [3, 3, 3, 8], { padding: sides(0, 1, 1, 1), stride: [2, 2] }),
    example([2, 7, 7, 2], [2, 1, 2, 4], { stride: [3, 2] }),
    example([1, 9, 11, 2], [3, 3, 2, 3], { padding: sides(2, 1, 3, 2), stride: [3, 2], dilation: [2, 3] }),
    example([1, 5, 6, 6], [3, 3, 2, 12], { padding: sides(1, 1, 1, 1), groups: 3 }),
    example([1, 6, 5, 4], [2, 2, 2, 2], { stride: [1, 2], groups: 2 }),
    example([2, 5, 6, 5], [3, 3, 1, 5], { padding: sides(1, 1, 1, 1), groups: 5 }),
    example([1, 7, 7, 9], [3, 3, 1, 9], { padding: sides(1, 1, 1, 1), stride: [2, 2], groups: 9 }),
    example([1, 5, 5, 3], [3, 3, 1, 6], { groups: 3 }),
    example([2, 3, 4, 5], [1, 1, 5, 9]),
    example([1, 2, 1, 3], [1, 1, 3, 2], { padding: sides(2, 1, 0, 1), stride: [3, 2] }),
    example([1, 1, 20, 3], [1, 5, 3, 4], { padding: sides(0, 0, 2, 2) }),
    example([1, 4, 3, 2], [3, 3, 2, 3], { padding: sides(3, 3, 3, 3) }),
    example([1, 13, 4, 12], [3, 3, 12, 6]),
  ];

  /** Cases of an op, from the examples: `use` gives its operands' shapes and attributes. */
  const casesOf = (use: (x: Shape, w: Shape, y: Shape, convolution: Convolution) => [Shape, Shape, object]): Case[] =>
    examples.map(({ x, w, how }) => {
      const y = [x[0], ...placesOf("conv2d", [x[1], x[2]], [w[0], w[1]], how), w[3]];
      const [first, second, attributes] = use(x, w, y, how);
      return { inputs: [uniform(...first), uniform(...second)], attributes };
    });

  return {
    conv2d: {
      explain: {
        forward: "z[h, w, o] = Σ over the window: x[h + kh, w + kw, i] · k[kh, kw, i, o]",
        derivative: "∂L/∂x = ∂L/∂z spread back through k; ∂L/∂k = Σ over all places of the window: x · ∂L/∂z",
      },
      cases: casesOf((x, w, _, convolution) => [x, w, convolution]),
    },
    conv2dInputGradient: {
      explain: {
        forward: "∂L/∂x[h, w, i] = Σ over the windows that saw x: ∂L/∂z · k",
        derivative: "linear in ∂L/∂z and in k",
      },
      cases: casesOf((x, w, y, convolution) => [y, w, { ...convolution, size: [x[1], x[2]] }]),
    },
    conv2dKernelGradient: {
      explain: {
        forward: "∂L/∂k[kh, kw, i, o] = Σ over all places of the window: x[h + kh, w + kw, i] · ∂L/∂z[h, w, o]",
        derivative: "linear in x and in ∂L/∂z",
      },
      cases: casesOf((x, w, y, convolution) => [x, y, { ...convolution, size: [w[0], w[1]] }]),
    },
  };
};
