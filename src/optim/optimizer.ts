/**
 * Optimisers: a rule for one parameter, written as graph maths and mapped over all of them. Numbers that change from
 * step to step (learning rate, bias corrections) are computed outside, in double precision, and given to the plan.
 */
import { ArgumentError } from "../errors.ts";
import type { Node } from "../graph/node.ts";
import { add, div, mul, sqrt, sub } from "../ops/index.ts";

/** What a rule sees of one parameter: its value w, its gradient dw, its state, this step's numbers. */
export interface RuleContext {
  readonly w: Node;
  readonly dw: Node;
  readonly state: Readonly<Record<string, Node>>;
  readonly scalars: Readonly<Record<string, Node>>;
}

export interface Optimizer {
  readonly name: string;
  /** The options it was made with, for the model file. */
  readonly config: Readonly<Record<string, unknown>>;
  /** The names of the arrays it keeps per parameter; all begin at 0. */
  readonly state: readonly string[];
  /** The numbers of step t = 1, 2, …, in double precision. */
  scalars(step: number): Readonly<Record<string, number>>;
  /** The new parameter and the new state. */
  rule(context: RuleContext): { w: Node; state?: Readonly<Record<string, Node>> };
}

function positive(optimizer: string, name: string, value: number): number {
  if (!(value > 0 && Number.isFinite(value)))
    throw new ArgumentError(`${optimizer}: ${name} must be a number above 0; ${value} came.`);
  return value;
}

function fraction(optimizer: string, name: string, value: number): number {
  if (!(value >= 0 && value < 1))
    throw new ArgumentError(`${optimizer}: ${name} must be from 0 up to, not including, 1; ${value} came.`);
  return value;
}

export interface SgdOptions {
  /** η; 0.01 unless said. */
  readonly learningRate?: number;
  /** μ in v ← μ v + ∂L/∂w, w ← w − η v; 0 unless said. */
  readonly momentum?: number;
}

/** Gradient descent: w ← w − η ∂L/∂w, with momentum if asked (Polyak, 1964; PyTorch's form). */
export function sgd({ learningRate = 0.01, momentum = 0 }: SgdOptions = {}): Optimizer {
  positive("sgd", "learningRate", learningRate);
  fraction("sgd", "momentum", momentum);
  return {
    name: "sgd",
    config: { learningRate, momentum },
    state: momentum > 0 ? ["velocity"] : [],
    scalars: () => ({ learningRate }),
    rule: ({ w, dw, state, scalars }) => {
      if (momentum === 0) return { w: sub(w, mul(scalars.learningRate, dw)) };
      const velocity = add(mul(state.velocity, momentum), dw);
      return { w: sub(w, mul(scalars.learningRate, velocity)), state: { velocity } };
    },
  };
}

export interface AdamOptions {
  /** η; 0.001 unless said. */
  readonly learningRate?: number;
  readonly beta1?: number;
  readonly beta2?: number;
  readonly epsilon?: number;
}

/**
 * Adam (Kingma & Ba, 2015): m ← β₁m + (1 − β₁)g, v ← β₂v + (1 − β₂)g², w ← w − η m̂ / (√v̂ + ε), where the hats divide
 * by 1 − βᵗ.
 */
export function adam({ learningRate = 1e-3, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8 }: AdamOptions = {}): Optimizer {
  positive("adam", "learningRate", learningRate);
  fraction("adam", "beta1", beta1);
  fraction("adam", "beta2", beta2);
  positive("adam", "epsilon", epsilon);
  return {
    name: "adam",
    config: { learningRate, beta1, beta2, epsilon },
    state: ["m", "v"],
    scalars: (t) => ({ stepSize: learningRate / (1 - beta1 ** t), correction: 1 / Math.sqrt(1 - beta2 ** t) }),
    rule: ({ w, dw, state, scalars }) => {
      const m = add(mul(state.m, beta1), mul(dw, 1 - beta1));
      const v = add(mul(state.v, beta2), mul(mul(dw, dw), 1 - beta2));
      const denominator = add(mul(sqrt(v), scalars.correction), epsilon);
      return { w: sub(w, div(mul(scalars.stepSize, m), denominator)), state: { m, v } };
    },
  };
}
