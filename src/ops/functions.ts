/** Functions of one element: exponentials, logarithms, powers, and the activations that are ops of their own. */
import type { AboutOps } from "../graph/op.ts";
import { nonzero, positive, uniform } from "../graph/samples.ts";
import { s } from "../graph/scalar.ts";
import { add, div, greater, mul, select, sub } from "./arithmetic.ts";
import { type Binary, elementwise } from "./elementwise.ts";

/** eˣ. */
export const exp = elementwise("exp", {
  forward: (x) => s.exp(x),
  backward: ({ y, dy }) => [mul(dy, y)],
});

/** eˣ − 1, exact near 0. */
export const expm1 = elementwise("expm1", {
  forward: (x) => s.expm1(x),
  backward: ({ y, dy }) => [mul(dy, add(y, 1))],
});

/** The natural logarithm; −∞ at 0, NaN below. */
export const log = elementwise("log", {
  forward: (x) => s.log(x),
  backward: ({ inputs: [x], dy }) => [div(dy, x)],
});

/** ln(1 + x), exact near 0. */
export const log1p = elementwise("log1p", {
  forward: (x) => s.log1p(x),
  backward: ({ inputs: [x], dy }) => [div(dy, add(x, 1))],
});

/** 1 / (1 + e⁻ˣ), computed so that it does not overflow. */
export const sigmoid = elementwise("sigmoid", {
  forward: (x) => s.sigmoid(x),
  backward: ({ y, dy }) => [mul(dy, mul(y, sub(1, y)))],
});

/** The hyperbolic tangent. */
export const tanh = elementwise("tanh", {
  forward: (x) => s.tanh(x),
  backward: ({ y, dy }) => [mul(dy, sub(1, mul(y, y)))],
});

/** max(0, x); its derivative at 0 is taken as 0. */
export const relu = elementwise("relu", {
  forward: (x) => s.max(x, 0),
  backward: ({ y, dy }) => [select(greater(y, 0), dy, 0)],
});

/** The error function, 2/√π ∫₀ˣ e^(−t²) dt. */
export const erf = elementwise("erf", {
  forward: (x) => s.erf(x),
  backward: ({ inputs: [x], dy }) => [mul(dy, mul(2 / Math.sqrt(Math.PI), exp(mul(x, mul(x, -1)))))],
});

/**
 * a to the power of b. A negative a has powers to whole numbers only, NaN for others; a⁰ is 1 for every a. As a function
 * of b it has the derivative y ln a for positive a, and none elsewhere.
 */
export const pow: Binary = elementwise("pow", {
  forward: (a, b) => {
    const size = s.exp(s.mul(b, s.log(s.abs(a))));
    const isOdd = s.eq(s.sub(b, s.mul(2, s.floor(s.mul(b, 0.5)))), 1);
    const ofNegative = s.select(s.eq(s.floor(b), b), s.select(isOdd, s.neg(size), size), Number.NaN);
    return s.select(s.eq(b, 0), 1, s.select(s.lt(a, 0), ofNegative, size));
  },
  backward: ({ inputs: [a, b], y, dy }) => [
    mul(dy, mul(b, pow(a, sub(b, 1)))),
    select(greater(a, 0), mul(dy, mul(y, log(a))), 0),
  ],
});

/** The same numbers as floats. Integers and bytes convert by themselves wherever an op takes them. */
export const toFloat = elementwise("toFloat", {
  forward: (x) => x,
  backward: ({ dy }) => [dy],
  simplify: ([x]) => (x.dtype === "float" ? x : undefined),
});

/** What is said of these ops, and what they are tried with: for about.ts, and in no bundle that only computes. */
export default (): AboutOps => ({
  exp: {
    explain: { forward: "y = eˣ", derivative: "∂y/∂x = y" },
    cases: [[uniform(2, 3)], [uniform()]],
  },
  expm1: {
    explain: { forward: "y = eˣ − 1", derivative: "∂y/∂x = y + 1" },
    cases: [[uniform(2, 3)]],
  },
  log: {
    explain: { forward: "y = ln x", derivative: "∂y/∂x = 1/x" },
    cases: [[positive(2, 3)]],
  },
  log1p: {
    explain: { forward: "y = ln(1 + x)", derivative: "∂y/∂x = 1/(1 + x)" },
    cases: [[positive(2, 3)]],
  },
  sigmoid: {
    explain: { forward: "a = 1 / (1 + e^(−z))", derivative: "∂a/∂z = a (1 − a)" },
    cases: [[uniform(2, 3)], [uniform(17)]],
  },
  tanh: {
    explain: { forward: "a = tanh z", derivative: "∂a/∂z = 1 − a²" },
    cases: [[uniform(2, 3)], [uniform()]],
  },
  relu: {
    explain: { forward: "a = max(0, z)", derivative: "∂a/∂z = [z > 0]" },
    cases: [[nonzero(2, 3)], [nonzero(31)]],
  },
  erf: {
    explain: { forward: "y = erf x", derivative: "∂y/∂x = 2/√π · e^(−x²)" },
    cases: [[uniform(2, 3)]],
  },
  pow: {
    explain: { forward: "y = aᵇ", derivative: "∂y/∂a = b aᵇ⁻¹, ∂y/∂b = y ln a" },
    cases: [
      [positive(2, 3), uniform(2, 3)],
      [positive(4, 5), uniform(5)],
    ],
  },
  toFloat: {
    explain: { forward: "y = x, as a float", derivative: "∂y/∂x = 1" },
    cases: [[uniform(2, 3)]],
  },
});
