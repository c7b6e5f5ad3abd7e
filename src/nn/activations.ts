/**
 * Activation functions by name, as layers' configurations use them. A name may carry one number in brackets:
 * `leakyRelu(0.2)`. The functions themselves are ops; each says its formula, derivative and source there.
 */
import { unknownName } from "../checks.ts";
import { ArgumentError } from "../errors.ts";
import type { Node } from "../graph/node.ts";
import {
  add,
  elu,
  gelu,
  geluTanh,
  hardSigmoid,
  hardSwish,
  leakyRelu,
  logSoftmax,
  maximum,
  minimum,
  mish,
  mul,
  relu,
  selu,
  sigmoid,
  silu,
  softmax,
  softplus,
  softsign,
  tanh,
} from "../ops/index.ts";
import { parseCall } from "./call.ts";

/** a = activation(z), of the same shape; with the number in brackets after its name, if it takes one. */
export type Activation = (z: Node, parameter?: number) => Node;

/** Those that are one function each. */
const PLAIN = new Map<string, Activation>(
  Object.entries({
    linear: (z) => z,
    relu,
    selu,
    gelu,
    geluTanh,
    silu,
    swish: silu,
    mish,
    softplus,
    softsign,
    tanh,
    sigmoid,
    hardSwish,
    softmax,
    logSoftmax,
  }),
);

const ACTIVATIONS = new Map<string, Activation>([
  ...PLAIN,
  ["leakyRelu", leakyRelu],
  ["elu", elu],
  // (z + 3)/6 or, of another slope such as Keras 2's 0.2, slope · z + ½: kept within 0 and 1.
  [
    "hardSigmoid",
    (z, slope) => (slope === undefined ? hardSigmoid(z) : minimum(maximum(add(mul(slope, z), 0.5), 0), 1)),
  ],
]);

/** The ends of the range of those that have two; near them the derivative is almost 0. */
const RANGES = new Map<string, readonly [number, number]>([
  ["sigmoid", [0, 1]],
  ["hardSigmoid", [0, 1]],
  ["tanh", [-1, 1]],
  ["softsign", [-1, 1]],
]);

/** The range of an activation that is bounded on both sides; undefined for others. */
export const activationRange = (name: string): readonly [number, number] | undefined => RANGES.get(name);

/** The names of all activations, own ones included. */
export const activationNames = (): string[] => [...ACTIVATIONS.keys()];

/**
 * Makes a function of your own known as an activation. A model file keeps only the name, so define it before `load`.
 *
 * @example
 * defineActivation("cube", (z) => mul(z, mul(z, z)));
 * const layer = dense(16, { activation: "cube" });
 */
export function defineActivation(name: string, activation: Activation): void {
  ACTIVATIONS.set(name, activation);
}

/**
 * The activation of a name such as `relu` or `leakyRelu(0.2)`.
 * @throws ArgumentError if there is none, with the names there are
 */
export function activationNamed(text: string): (z: Node) => Node {
  const { name, parameter } = parseCall(text);
  const found = ACTIVATIONS.get(name);
  if (!found) {
    throw unknownName("activation", text, activationNames(), ", or make your own known with defineActivation");
  }
  if (parameter !== undefined && PLAIN.get(name) === found)
    throw new ArgumentError(`The activation ${name} takes no number: write "${name}", not "${text}".`);
  return parameter === undefined ? (z) => found(z) : (z) => found(z, parameter);
}
