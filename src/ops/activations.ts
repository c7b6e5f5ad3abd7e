/**
 * The activations beside sigmoid, tanh and ReLU: one literal each. Every expression is written so that neither it nor
 * its derivative overflows for any z that a network meets: exponentials are taken of −|z|, or thrown away by a `select`.
 */
import type { Node } from "../graph/node.ts";
import type { AboutOps } from "../graph/op.ts";
import { uniform } from "../graph/samples.ts";
import { type Scalar, s } from "../graph/scalar.ts";
import { abs, add, div, greater, less, maximum, minimum, mul, select, sub } from "./arithmetic.ts";
import { type Binary, elementwise, type Unary, type Value } from "./elementwise.ts";
import { erf, exp, expm1, sigmoid, tanh } from "./functions.ts";

/** z where z > 0, slope · z elsewhere (Maas et al., 2013). Its derivative at 0 is the slope. */
const leakyReluOp: Binary = elementwise("leakyRelu", {
  forward: (z, slope) => s.select(s.lt(0, z), z, s.mul(slope, z)),
  backward: ({ inputs: [z, slope], dy }) => [
    mul(dy, select(greater(z, 0), 1, slope)),
    mul(dy, select(greater(z, 0), 0, z)),
  ],
});

/** z where z > 0, slope · z elsewhere (Maas et al., 2013); a slope that is a node is learnt (PReLU). */
export const leakyRelu = (z: Value, slope: Value = 0.01): Node => leakyReluOp(z, slope);

const eluOp: Binary = elementwise("elu", {
  forward: (z, alpha) => s.select(s.lt(0, z), z, s.mul(alpha, s.expm1(z))),
  backward: ({ inputs: [z, alpha], y, dy }) => [
    mul(dy, select(greater(z, 0), 1, add(y, alpha))),
    mul(dy, select(greater(z, 0), 0, expm1(z))),
  ],
});

/** z where z > 0, α (eᶻ − 1) elsewhere (Clevert, Unterthiner & Hochreiter, 2016). */
export const elu = (z: Value, alpha: Value = 1): Node => eluOp(z, alpha);

/** The fixed point of mean 0 and variance 1 (Klambauer et al., 2017). */
const SELU = { alpha: 1.6732632423543772, scale: 1.0507009873554805 };

/** The self-normalising ELU: keeps mean 0 and variance 1 from layer to layer (Klambauer et al., 2017). */
export const selu: Unary = elementwise("selu", {
  forward: (z) => s.mul(SELU.scale, s.select(s.lt(0, z), z, s.mul(SELU.alpha, s.expm1(z)))),
  backward: ({ inputs: [z], y, dy }) => [mul(dy, select(greater(z, 0), SELU.scale, add(y, SELU.scale * SELU.alpha)))],
});

/** z Φ(z), where Φ is the normal distribution (Hendrycks & Gimpel, 2016). */
export const gelu: Unary = elementwise("gelu", {
  forward: (z) => s.mul(s.mul(0.5, z), s.add(1, s.erf(s.mul(z, Math.SQRT1_2)))),
  backward: ({ inputs: [z], dy }) => {
    const distribution = mul(0.5, add(1, erf(mul(z, Math.SQRT1_2)))); // Φ(z)
    const density = mul(1 / Math.sqrt(2 * Math.PI), exp(mul(-0.5, mul(z, z)))); // φ(z)
    return [mul(dy, add(distribution, mul(z, density)))];
  },
});

/** ½ (1 + tanh u) = σ(2u), with 2u = c (z + k z³). */
const GELU_TANH = { c: 2 * Math.sqrt(2 / Math.PI), k: 0.044715 };

/** GELU with Φ approximated by a tanh (Hendrycks & Gimpel, 2016), as GPT-2 has it. */
export const geluTanh: Unary = elementwise("geluTanh", {
  forward: (z) => s.mul(z, s.sigmoid(s.mul(GELU_TANH.c, s.add(z, s.mul(GELU_TANH.k, s.mul(z, s.mul(z, z))))))),
  backward: ({ inputs: [z], dy }) => {
    const square = mul(z, z);
    const p = sigmoid(mul(GELU_TANH.c, mul(z, add(1, mul(GELU_TANH.k, square)))));
    const slope = mul(GELU_TANH.c, add(1, mul(3 * GELU_TANH.k, square)));
    return [mul(dy, add(p, mul(mul(z, slope), mul(p, sub(1, p)))))];
  },
});

/** z σ(z), also called swish (Elfwing, Uchibe & Doya, 2017; Ramachandran, Zoph & Le, 2017). */
export const silu: Unary = elementwise("silu", {
  forward: (z) => s.mul(z, s.sigmoid(z)),
  backward: ({ inputs: [z], y, dy }) => {
    const p = sigmoid(z);
    return [mul(dy, add(p, mul(y, sub(1, p))))];
  },
});

/** max(z, 0) + ln(1 + e^(−|z|)) = ln(1 + eᶻ). */
const softplusScalar = (z: Scalar): Scalar => s.add(s.max(z, 0), s.log1p(s.exp(s.neg(s.abs(z)))));

/** ln(1 + eᶻ), a smooth ReLU, without overflow. */
export const softplus: Unary = elementwise("softplus", {
  forward: softplusScalar,
  backward: ({ inputs: [z], dy }) => [mul(dy, sigmoid(z))],
});

/** z / (1 + |z|). */
export const softsign: Unary = elementwise("softsign", {
  forward: (z) => s.div(z, s.add(1, s.abs(z))),
  backward: ({ inputs: [z], dy }) => {
    const d = add(1, abs(z));
    return [div(div(dy, d), d)];
  },
});

/** z tanh(ln(1 + eᶻ)) (Misra, 2019). */
export const mish: Unary = elementwise("mish", {
  forward: (z) => s.mul(z, s.tanh(softplusScalar(z))),
  backward: ({ inputs: [z], dy }) => {
    const t = tanh(softplus(z));
    return [mul(dy, add(t, mul(mul(z, sigmoid(z)), sub(1, mul(t, t)))))];
  },
});

/** 1 where −3 < z < 3. */
const inside = (z: Value): Node => mul(greater(z, -3), less(z, 3));

/** (z + 3)/6 kept within 0 and 1. */
const hardScalar = (z: Scalar): Scalar => s.mul(1 / 6, s.min(s.max(s.add(z, 3), 0), 6));

/** The sigmoid in three straight pieces, (z + 3)/6 kept within 0 and 1: PyTorch's form. */
export const hardSigmoid: Unary = elementwise("hardSigmoid", {
  forward: hardScalar,
  backward: ({ inputs: [z], dy }) => [mul(dy, mul(1 / 6, inside(z)))],
});

/** z · hardSigmoid(z) (Howard et al., 2019: MobileNetV3). */
export const hardSwish: Unary = elementwise("hardSwish", {
  forward: (z) => s.mul(z, hardScalar(z)),
  backward: ({ inputs: [z], dy }) => [
    mul(dy, add(minimum(maximum(mul(1 / 6, add(z, 3)), 0), 1), mul(mul(1 / 6, z), inside(z)))),
  ],
});

/** What is said of these ops, and what they are tried with: for about.ts, and in no bundle that only computes. */
export default (): AboutOps => ({
  leakyRelu: {
    explain: { forward: "a = z where z > 0, else s·z", derivative: "∂a/∂z = 1 where z > 0, else s" },
    cases: [
      [uniform(2, 3), uniform()],
      [uniform(4, 5), uniform(5)],
    ],
  },
  elu: {
    explain: { forward: "a = z where z > 0, else α (eᶻ − 1)", derivative: "∂a/∂z = 1 where z > 0, else a + α" },
    cases: [
      [uniform(2, 3), uniform()],
      [uniform(4, 5), uniform(5)],
    ],
  },
  selu: {
    explain: {
      forward: "a = λ z where z > 0, else λ α (eᶻ − 1); λ = 1.0507, α = 1.6733",
      derivative: "∂a/∂z = λ where z > 0, else a + λ α",
    },
    cases: [[uniform(2, 3)]],
  },
  gelu: {
    explain: { forward: "a = z Φ(z), Φ(z) = ½ (1 + erf(z/√2))", derivative: "∂a/∂z = Φ(z) + z e^(−z²/2)/√(2π)" },
    cases: [[uniform(2, 3)]],
  },
  geluTanh: {
    explain: {
      forward: "a = z p, p = ½ (1 + tanh(√(2/π) (z + 0.044715 z³)))",
      derivative: "∂a/∂z = p + 2 z p (1 − p) √(2/π) (1 + 0.134145 z²)",
    },
    cases: [[uniform(2, 3)]],
  },
  silu: {
    explain: { forward: "a = z σ(z)", derivative: "∂a/∂z = σ(z) + a (1 − σ(z))" },
    cases: [[uniform(2, 3)]],
  },
  softplus: {
    explain: { forward: "a = ln(1 + eᶻ)", derivative: "∂a/∂z = σ(z)" },
    cases: [[uniform(2, 3)]],
  },
  softsign: {
    explain: { forward: "a = z / (1 + |z|)", derivative: "∂a/∂z = 1 / (1 + |z|)²" },
    cases: [[uniform(2, 3)]],
  },
  mish: {
    explain: {
      forward: "a = z t, t = tanh(ln(1 + eᶻ))",
      derivative: "∂a/∂z = t + z σ(z) (1 − t²)",
    },
    cases: [[uniform(2, 3)]],
  },
  hardSigmoid: {
    explain: { forward: "a = min(max(z + 3, 0), 6) / 6", derivative: "∂a/∂z = 1/6 where −3 < z < 3, else 0" },
    cases: [[uniform(2, 3)]],
  },
  hardSwish: {
    explain: {
      forward: "a = z min(max(z + 3, 0), 6) / 6",
      derivative: "∂a/∂z = (2z + 3)/6 where −3 < z < 3, else [z > 0]",
    },
    cases: [[uniform(2, 3)]],
  },
});
