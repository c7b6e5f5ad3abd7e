/** The trigonometric and hyperbolic functions, and their inverses. */
import type { AboutOps, Case } from "../graph/op.ts";
import { between, uniform } from "../graph/samples.ts";
import { type Scalar, s } from "../graph/scalar.ts";
import { add, div, mul, neg, sqrt, sub } from "./arithmetic.ts";
import { elementwise, type Unary, type Value } from "./elementwise.ts";

/** The sine of an angle in radians; in the engine exact to 1 ulp for |x| up to 2²⁰. */
export const sin: Unary = elementwise("sin", {
  forward: (x) => s.sin(x),
  backward: ({ inputs: [x], dy }) => [mul(dy, cos(x))],
});

/** The cosine of an angle in radians; in the engine exact to 1 ulp for |x| up to 2²⁰. */
export const cos: Unary = elementwise("cos", {
  forward: (x) => s.cos(x),
  backward: ({ inputs: [x], dy }) => [neg(mul(dy, sin(x)))],
});

/** The tangent of an angle in radians. */
export const tan: Unary = elementwise("tan", {
  forward: (x) => s.div(s.sin(x), s.cos(x)),
  backward: ({ y, dy }) => [mul(dy, add(1, mul(y, y)))],
});

/** √(1 − x²), of two factors, so that nothing is lost near ±1. */
const cosineOfAsin = (x: Value) => sqrt(mul(sub(1, x), add(1, x)));
const asinScalar = (x: Scalar): Scalar => s.atan(s.div(x, s.sqrt(s.mul(s.sub(1, x), s.add(1, x)))));

/** The angle from −π/2 to π/2 whose sine is x; NaN beyond ±1. */
export const asin: Unary = elementwise("asin", {
  forward: asinScalar,
  backward: ({ inputs: [x], dy }) => [div(dy, cosineOfAsin(x))],
});

/** The angle from 0 to π whose cosine is x; NaN beyond ±1. */
export const acos: Unary = elementwise("acos", {
  // 2 arctan √((1 − x) / (1 + x)): near 1 too, where π/2 − arcsin x would be a small difference.
  forward: (x) => s.mul(2, s.atan(s.sqrt(s.div(s.sub(1, x), s.add(1, x))))),
  backward: ({ inputs: [x], dy }) => [neg(div(dy, cosineOfAsin(x)))],
});

/** The angle from −π/2 to π/2 whose tangent is x. */
export const atan: Unary = elementwise("atan", {
  forward: (x) => s.atan(x),
  backward: ({ inputs: [x], dy }) => [div(dy, add(1, mul(x, x)))],
});

/** (eˣ − e⁻ˣ) / 2. */
export const sinh: Unary = elementwise("sinh", {
  forward: (x) => {
    const e = s.expm1(x);
    // (e + e / (e + 1)) / 2 where that is exact, near 0.
    const near = s.mul(0.5, s.add(e, s.div(e, s.add(e, 1))));
    return s.select(s.lt(s.abs(x), 1), near, s.mul(0.5, s.sub(s.exp(x), s.exp(s.neg(x)))));
  },
  backward: ({ inputs: [x], dy }) => [mul(dy, cosh(x))],
});

/** (eˣ + e⁻ˣ) / 2. */
export const cosh: Unary = elementwise("cosh", {
  forward: (x) => s.mul(0.5, s.add(s.exp(x), s.exp(s.neg(x)))),
  backward: ({ inputs: [x], dy }) => [mul(dy, sinh(x))],
});

/** The number whose sinh is x. */
export const asinh: Unary = elementwise("asinh", {
  forward: (x) => {
    const a = s.abs(x);
    // ln(a + √(a² + 1)), as ln(1 + …) of what is small with a.
    const y = s.log1p(s.add(a, s.div(s.mul(a, a), s.add(1, s.sqrt(s.add(1, s.mul(a, a)))))));
    return s.select(s.lt(x, 0), s.neg(y), y);
  },
  backward: ({ inputs: [x], dy }) => [div(dy, sqrt(add(1, mul(x, x))))],
});

/** The number from 0 on whose cosh is x; NaN below 1. */
export const acosh: Unary = elementwise("acosh", {
  forward: (x) => {
    const past = s.sub(x, 1);
    return s.log1p(s.add(past, s.sqrt(s.mul(past, s.add(past, 2)))));
  },
  backward: ({ inputs: [x], dy }) => [div(dy, sqrt(mul(sub(x, 1), add(x, 1))))],
});

/** The number whose tanh is x; ±∞ at ±1, NaN beyond. */
export const atanh: Unary = elementwise("atanh", {
  forward: (x) => s.mul(0.5, s.log1p(s.div(s.mul(2, x), s.sub(1, x)))),
  backward: ({ inputs: [x], dy }) => [div(dy, mul(sub(1, x), add(1, x)))],
});

const anywhere: readonly Case[] = [[uniform(2, 3)], [uniform(17)]];
const inside: readonly Case[] = [[between(-0.9, 0.9, 2, 3)], [between(-0.9, 0.9, 17)]];

/** What is said of these ops, and what they are tried with: for about.ts, and in no bundle that only computes. */
export default (): AboutOps => ({
  sin: { explain: { forward: "y = sin x", derivative: "∂y/∂x = cos x" }, cases: anywhere },
  cos: { explain: { forward: "y = cos x", derivative: "∂y/∂x = −sin x" }, cases: anywhere },
  tan: { explain: { forward: "y = tan x", derivative: "∂y/∂x = 1 + y²" }, cases: inside },
  asin: { explain: { forward: "y = arcsin x", derivative: "∂y/∂x = 1 / √(1 − x²)" }, cases: inside },
  acos: { explain: { forward: "y = arccos x", derivative: "∂y/∂x = −1 / √(1 − x²)" }, cases: inside },
  atan: { explain: { forward: "y = arctan x", derivative: "∂y/∂x = 1 / (1 + x²)" }, cases: anywhere },
  sinh: { explain: { forward: "y = sinh x", derivative: "∂y/∂x = cosh x" }, cases: anywhere },
  cosh: { explain: { forward: "y = cosh x", derivative: "∂y/∂x = sinh x" }, cases: anywhere },
  asinh: { explain: { forward: "y = arsinh x", derivative: "∂y/∂x = 1 / √(1 + x²)" }, cases: anywhere },
  acosh: {
    explain: { forward: "y = arcosh x", derivative: "∂y/∂x = 1 / √(x² − 1)" },
    cases: [[between(1.2, 4, 2, 3)], [between(1.2, 4, 17)]],
  },
  atanh: { explain: { forward: "y = artanh x", derivative: "∂y/∂x = 1 / (1 − x²)" }, cases: inside },
});
