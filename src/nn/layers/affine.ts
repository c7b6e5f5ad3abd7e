/** What all layers with a kernel share: its initial values and penalties, the bias, the activation. Not a layer itself. */
import { checkNumbers, FROM_0 } from "../../checks.ts";
import type { Node } from "../../graph/node.ts";
import type { Shape } from "../../graph/shape.ts";
import { abs, add, mul, sum } from "../../ops/index.ts";
import { activationNamed } from "../activations.ts";
import { type InitializerName, initializer, usualInit } from "../initializers.ts";
import type { LayerContext, LayerOptions, ParameterSpec } from "../layer.ts";

/** Options of layers with a kernel. */
export interface AffineOptions extends LayerOptions {
  /** The activation's name; linear unless said. */
  readonly activation?: string;
  /** How the kernel begins; He's for ReLU and its kin, Glorot's uniform for others. A number is the same everywhere. */
  readonly init?: InitializerName | number;
  /** Whether to add a bias; true unless said. A number is its initial value. */
  readonly bias?: boolean | number;
  /** λ₁: adds λ₁ Σ|w| over the kernel to the loss; 0 unless said. */
  readonly l1?: number;
  /** λ₂: adds λ₂ Σw² over the kernel to the loss; 0 unless said. */
  readonly l2?: number;
}

/** The names of these options. */
export const AFFINE = ["activation", "init", "bias", "l1", "l2"] as const;

/** Mistakes in a configuration, found when the layer is made. */
export function checkAffine(layer: string, { activation, init, l1 = 0, l2 = 0 }: AffineOptions): void {
  if (activation !== undefined) activationNamed(activation);
  if (init !== undefined) initializer(init);
  checkNumbers(`${layer}: `, { l1, l2 }, FROM_0);
}

/** λ₁ Σ|w| + λ₂ Σw², or undefined if both are 0. */
export function weightPenalty({ l1 = 0, l2 = 0 }: Pick<AffineOptions, "l1" | "l2">): ParameterSpec["penalty"] {
  const terms: ((w: Node) => Node)[] = [];
  if (l1 > 0) terms.push((w) => mul(l1, sum(abs(w))));
  if (l2 > 0) terms.push((w) => mul(l2, sum(mul(w, w))));
  return terms.length > 0 ? (w) => terms.map((term) => term(w)).reduce((a, b) => add(a, b)) : undefined;
}

/** The kernel, and the bias if there is one. */
export function affineParameters(config: AffineOptions, kernel: Shape, units: number): readonly ParameterSpec[] {
  const { activation = "linear", init = usualInit(activation), bias = true } = config;
  return [
    { name: "kernel", shape: kernel, init: initializer(init), penalty: weightPenalty(config) },
    ...(bias === false ? [] : [{ name: "bias", shape: [units], init: initializer(bias === true ? 0 : bias) }]),
  ];
}

/** z = product + b, a = activation(z), under these names. */
export function affineOutput(
  { activation = "linear", bias = true }: AffineOptions,
  { parameter, name }: LayerContext,
  product: Node,
): Node {
  const z = name(bias === false ? product : add(product, parameter("bias")), "z");
  return activation === "linear" ? z : name(activationNamed(activation)(z), "a");
}

/** `128`, or `128, relu`: for the summary. */
export const describeAffine = (what: string, { activation = "linear" }: AffineOptions): string =>
  activation === "linear" ? what : `${what}, ${activation}`;
