/** Activation functions by name, as layers' configurations use them. */
import { ArgumentError } from "../errors.ts";
import type { Node } from "../graph/node.ts";
import { relu, sigmoid, softmax, tanh } from "../ops/index.ts";

export type Activation = (z: Node) => Node;

const ACTIVATIONS = new Map<string, Activation>(
  Object.entries({
    linear: (z) => z,
    relu,
    sigmoid,
    tanh,
    softmax,
  } satisfies Record<string, Activation>),
);

/** The names of all activations, own ones included. */
export const activationNames = (): string[] => [...ACTIVATIONS.keys()];

/**
 * Makes a function of your own known as an activation. A model file keeps only the name, so define it before `load`.
 *
 * @example
 * defineActivation("cube", (z) => mul(z, mul(z, z)));
 */
export function defineActivation(name: string, activation: Activation): void {
  ACTIVATIONS.set(name, activation);
}

export function activationNamed(name: string): Activation {
  const found = ACTIVATIONS.get(name);
  if (found) return found;
  throw new ArgumentError(
    `There is no activation called "${name}". Choose one of ${activationNames().join(", ")}, or make your own known with defineActivation.`,
  );
}
