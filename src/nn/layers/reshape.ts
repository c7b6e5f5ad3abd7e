/** Layers that change the shape and no number: flatten, reshape, zero padding, up-sampling. */
import { checkWhole, show } from "../../checks.ts";
import { ArgumentError, ShapeError } from "../../errors.ts";
import { type Shape, showShape, sizeOf } from "../../graph/shape.ts";
import { pad, reshape as reshapeOp, upsample2d } from "../../ops/index.ts";
import { type Padding, type Pair, toPadding, toPair } from "../../ops/window.ts";
import { defineLayer, type Layer, type LayerOptions } from "../layer.ts";

const makeFlatten = defineLayer<LayerOptions>("flatten", {
  options: [],
  apply: (_, { x }) => reshapeOp(x, [x.shape[0], sizeOf(x.shape.slice(1))]),
});

/** Puts all axes but the batch into one: [B, H, W, C] → [B, H·W·C]. */
export const flatten = (options: LayerOptions = {}): Layer => makeFlatten(options);

const makeReshape = defineLayer<{ readonly shape: Shape } & LayerOptions>("reshape", {
  options: [],
  apply: ({ shape }, { x }) => {
    const [batch, ...own] = x.shape;
    const rest = sizeOf(own) / Math.abs(sizeOf(shape));
    if (shape.includes(-1) ? !Number.isInteger(rest) : rest !== 1)
      throw new ShapeError(
        `reshape to ${showShape(shape)} does not fit: the input ${showShape(own)} has ${sizeOf(own)} values.`,
      );
    return reshapeOp(x, [batch, ...shape]);
  },
  describe: ({ shape }) => showShape(shape),
});

/**
 * Gives each sample another shape; one length may be −1 and follows from the others.
 *
 * @example
 * const model = sequential({ input: [784] }, [reshape([28, 28, 1]), conv2d(8, 3), flatten(), dense(10)]);
 */
export function reshape(shape: Shape, options: LayerOptions = {}): Layer {
  if (
    !Array.isArray(shape) ||
    !shape.every((n) => n === -1 || (Number.isInteger(n) && n > 0)) ||
    shape.filter((n) => n === -1).length > 1
  ) {
    throw new ArgumentError(`reshape needs whole numbers ≥ 1, one of them −1 at most, in a list; ${show(shape)} came.`);
  }
  return makeReshape(options, { shape });
}

/** Throws unless x is a batch of images [B, H, W, C] (of two axes) or of sequences [B, L, C] (of one). */
export function wantAxes(axes: 1 | 2, layer: string, x: Shape): void {
  const [what, shape] = axes === 1 ? ["sequences", "[L, C]"] : ["images", "[H, W, C]"];
  if (x.length !== axes + 2) {
    throw new ShapeError(
      `${layer} takes ${what} ${shape} (channels last); ${showShape(x.slice(1))} came. Put reshape(${shape}) before it.`,
    );
  }
}

const makePadding = defineLayer<{ readonly padding: number | Pair | Padding } & LayerOptions>("zeroPadding2d", {
  options: [],
  apply: ({ padding }, { x }) => {
    wantAxes(2, "zeroPadding2d", x.shape);
    const [[top, bottom], [left, right]] = toPadding(padding);
    return pad(x, [0, top, left, 0], [0, bottom, right, 0]);
  },
  describe: ({ padding }) => JSON.stringify(padding),
});

/**
 * Puts zeros around images: a number for all sides, (vertical, horizontal), or [[top, bottom], [left, right]];
 * [B, H, W, C] → [B, H + top + bottom, W + left + right, C].
 */
export function zeroPadding2d(padding: number | Pair | Padding, options: LayerOptions = {}): Layer {
  checkWhole("zeroPadding2d: ", { padding }, 0, 2, 2);
  return makePadding(options, { padding });
}

const makeUpsampling = defineLayer<{ readonly scale: number | Pair } & LayerOptions>("upsampling2d", {
  options: [],
  apply: ({ scale }, { x }) => {
    wantAxes(2, "upsampling2d", x.shape);
    return upsample2d(x, scale);
  },
  describe: ({ scale }) => toPair(scale).join(" × "),
});

/** Repeats every pixel (nearest neighbour): [B, H, W, C] → [B, H·s, W·s, C], or a pair (vertical, horizontal). */
export function upsampling2d(scale: number | Pair = 2, options: LayerOptions = {}): Layer {
  checkWhole("upsampling2d: ", { scale }, 1, 2);
  return makeUpsampling(options, { scale });
}
