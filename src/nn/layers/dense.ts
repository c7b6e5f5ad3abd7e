/** The fully connected layer. */
import { ArgumentError, ShapeError } from "../../errors.ts";
import { showShape } from "../../graph/shape.ts";
import { add, matmul } from "../../ops/index.ts";
import { activationNamed } from "../activations.ts";
import { type InitializerName, initializer, usualInit } from "../initializers.ts";
import { defineLayer, type Layer } from "../layer.ts";

export interface DenseOptions {
  /** The activation's name; linear unless said. */
  readonly activation?: string;
  /** How the kernel [I, O] begins; He's for ReLU and its kin, Glorot's uniform for others. */
  readonly init?: InitializerName | number;
  /** Whether to add a bias [O]; true unless said. A number is its initial value. */
  readonly bias?: boolean | number;
}

type Config = { readonly units: number } & DenseOptions;

const make = defineLayer<Config>("dense", {
  parameters: ({ units, activation = "linear", init, bias = true }, input) => {
    if (input.length !== 1) {
      throw new ShapeError(`dense takes one axis of features; ${showShape(input)} came. Put flatten() before it.`);
    }
    const kernel = {
      name: "kernel",
      shape: [input[0], units],
      init: initializer(init ?? usualInit(activation)),
    };
    return bias === false
      ? [kernel]
      : [kernel, { name: "bias", shape: [units], init: initializer(bias === true ? 0 : bias) }];
  },
  apply: ({ activation = "linear", bias = true }, { x, parameter, name }) => {
    const sum = matmul(x, parameter("kernel")); // [B, I] · [I, O]
    const z = name(bias === false ? sum : add(sum, parameter("bias")), "z");
    return activation === "linear" ? z : name(activationNamed(activation)(z), "a");
  },
  describe: ({ units, activation = "linear" }) => (activation === "linear" ? `${units}` : `${units}, ${activation}`),
});

/**
 * A fully connected layer: z = xW + b, a = activation(z); [B, I] → [B, units].
 *
 * @example
 * const hidden = dense(128, { activation: "relu", init: "he" });
 */
export function dense(units: number, options: DenseOptions = {}): Layer {
  if (!Number.isInteger(units) || units < 1) {
    throw new ArgumentError(`dense needs a whole number of units ≥ 1; ${units} came.`);
  }
  activationNamed(options.activation ?? "linear");
  if (options.init !== undefined) initializer(options.init);
  return make({ units, ...options });
}
