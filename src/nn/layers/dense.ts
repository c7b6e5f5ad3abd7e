/** The fully connected layer. */
import { checkWhole } from "../../checks.ts";
import { ShapeError } from "../../errors.ts";
import { showShape } from "../../graph/shape.ts";
import { matmul } from "../../ops/index.ts";
import { defineLayer, type Layer } from "../layer.ts";
import { AFFINE, type AffineOptions, affineOutput, affineParameters, checkAffine, describeAffine } from "./affine.ts";

/** Options of `dense`. */
export type DenseOptions = AffineOptions;

const make = defineLayer<{ readonly units: number } & DenseOptions>("dense", {
  options: AFFINE,
  masks: "places",
  parameters: (config, input) => {
    if (input.length < 1 || input.length > 2) {
      throw new ShapeError(
        `dense takes features, or a sequence of them; ${showShape(input)} came. Put flatten() before it.`,
      );
    }
    return affineParameters(config, [input[input.length - 1], config.units], config.units);
  },
  apply: (config, context) => affineOutput(config, context, matmul(context.x, context.parameter("kernel"))), // [B, I] · [I, O], or [B, T, I] · [I, O]
  describe: (config) => describeAffine(`${config.units}`, config),
});

/**
 * A fully connected layer: z = xW + b, a = activation(z); [B, I] → [B, units], and at each place of a sequence
 * [B, T, I] → [B, T, units].
 *
 * @example
 * const hidden = dense(128, { activation: "relu", init: "he", l2: 1e-4 });
 */
export function dense(units: number, options: DenseOptions = {}): Layer {
  checkWhole("dense: ", { units }, 1);
  checkAffine("dense", options);
  return make(options, { units });
}
