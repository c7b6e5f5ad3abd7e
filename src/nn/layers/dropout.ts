/** Dropout of single values and of whole channels: off at inference. */
import { BELOW_1, checkNumbers } from "../../checks.ts";
import type { Node } from "../../graph/node.ts";
import type { Shape } from "../../graph/shape.ts";
import { greater, mul } from "../../ops/index.ts";
import { defineLayer, type Layer, type LayerContext, type LayerOptions } from "../layer.ts";

type Config = { readonly rate: number } & LayerOptions;

/** x with a share of it dropped, in training; what `mask` counts as one goes or stays together. */
export function dropped(
  x: Node,
  rate: number,
  { training, uniform, name }: Pick<LayerContext, "training" | "uniform" | "name">,
  mask: Shape = x.shape,
): Node {
  if (!training || rate === 0) return x;
  // The random numbers are multiples of 2⁻²⁴, so those below `rate` are exactly a share of `rate`.
  const kept = name(greater(uniform(mask), rate - 2 ** -25), "mask");
  return mul(x, mul(kept, 1 / (1 - rate)));
}

/** A kind that drops what `maskShape` counts as one. */
const defineDropout = (
  kind: string,
  maskShape: (x: Shape) => Shape,
): ((rate: number, options?: LayerOptions) => Layer) => {
  const make = defineLayer<Config>(kind, {
    options: [],
    masks: "places",
    apply: ({ rate }, context) => dropped(context.x, rate, context, maskShape(context.x.shape)),
    describe: ({ rate }) => `${rate}`,
  });
  return (rate, options = {}) => {
    checkNumbers(`${kind}: the `, { rate }, BELOW_1);
    return make(options, { rate });
  };
};

/**
 * Sets each value to 0 with probability `rate` while training and scales the rest by 1/(1 − rate), so that the mean
 * stays; does nothing at inference (Srivastava et al., 2014). Any shape.
 *
 * @example
 * const model = sequential({ input: [784] }, [dense(128, { activation: "relu" }), dropout(0.2), dense(10)]);
 */
export const dropout = defineDropout("dropout", (shape) => shape);

/** Dropout of whole channels (Tompson et al., 2015): [B, H, W, C] or [B, L, C], the same for every place of an image. */
export const spatialDropout = defineDropout("spatialDropout", (shape) =>
  shape.map((n, axis) => (axis === 0 || axis === shape.length - 1 ? n : 1)),
);
