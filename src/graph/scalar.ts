/**
 * Scalar expressions: what an elementwise op does to one element, as data.
 * Backends render the same expression to JavaScript, SIMD WebAssembly and (later) WGSL, so that an op is written once.
 */

/** The functions an expression is built from. Comparisons give a truth value, which only `select` consumes. */
export const SCALAR_FUNCTIONS = {
  add: 2,
  sub: 2,
  mul: 2,
  div: 2,
  min: 2,
  max: 2,
  neg: 1,
  abs: 1,
  sqrt: 1,
  floor: 1,
  exp: 1,
  expm1: 1,
  log: 1,
  log1p: 1,
  tanh: 1,
  sigmoid: 1,
  erf: 1,
  sin: 1,
  cos: 1,
  atan: 1,
  lt: 2,
  le: 2,
  eq: 2,
  select: 3,
} as const;

export type ScalarFunction = keyof typeof SCALAR_FUNCTIONS;

export type Scalar =
  | { readonly kind: "input"; readonly index: number }
  | { readonly kind: "constant"; readonly value: number }
  | { readonly kind: "apply"; readonly name: ScalarFunction; readonly operands: readonly Scalar[] };

export type Operand = Scalar | number;

const toScalar = (x: Operand): Scalar => (typeof x === "number" ? { kind: "constant", value: x } : x);

const apply =
  (name: ScalarFunction) =>
  (...operands: Operand[]): Scalar => ({ kind: "apply", name, operands: operands.map(toScalar) });

type Unary = (x: Operand) => Scalar;
type Binary = (a: Operand, b: Operand) => Scalar;

/** The vocabulary of scalar expressions: `s.mul(x, s.sigmoid(x))`. */
export const s = Object.fromEntries(
  (Object.keys(SCALAR_FUNCTIONS) as ScalarFunction[]).map((name) => [name, apply(name)]),
) as {
  readonly [F in ScalarFunction]: (typeof SCALAR_FUNCTIONS)[F] extends 1
    ? Unary
    : (typeof SCALAR_FUNCTIONS)[F] extends 2
      ? Binary
      : /** `a` where the comparison holds, else `b`. */ (condition: Scalar, a: Operand, b: Operand) => Scalar;
};

/** The expression of the i-th operand. */
export const inputScalar = (index: number): Scalar => ({ kind: "input", index });

/** The error function in double precision: its Maclaurin series near 0, the continued fraction of erfc beyond. */
export function erf(x: number): number {
  const a = Math.abs(x);
  if (!(a < 6)) return Number.isNaN(x) ? x : Math.sign(x);
  if (a < 2) {
    // erf x = 2/√π · e^(−x²) · Σ 2ⁿ x^(2n+1) / (2n+1)!!, whose terms are all of one sign.
    let term = a;
    let sum = a;
    for (let n = 1; term > sum * 1e-17; n++) {
      term *= (2 * a * a) / (2 * n + 1);
      sum += term;
    }
    return Math.sign(x) * (2 / Math.sqrt(Math.PI)) * Math.exp(-a * a) * sum;
  }
  // erfc x = e^(−x²)/√π · 1/(x + (1/2)/(x + 1/(x + (3/2)/(x + …)))), from the inside out.
  let fraction = a;
  for (let n = 120; n >= 1; n--) fraction = a + n / 2 / fraction;
  return Math.sign(x) * (1 - Math.exp(-a * a) / Math.sqrt(Math.PI) / fraction);
}

/** 1 / (1 + e^(−x)), never of an overflowing exponential. */
export function sigmoid(x: number): number {
  const e = Math.exp(-Math.abs(x));
  return x >= 0 ? 1 / (1 + e) : e / (1 + e);
}

/** What the functions do; truth is 1. */
const FUNCTIONS: Readonly<Record<ScalarFunction, (a: number, b: number, c: number) => number>> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  min: (a, b) => Math.min(a, b),
  max: (a, b) => Math.max(a, b),
  neg: (a) => -a,
  abs: Math.abs,
  sqrt: Math.sqrt,
  floor: Math.floor,
  exp: Math.exp,
  expm1: Math.expm1,
  log: Math.log,
  log1p: Math.log1p,
  tanh: Math.tanh,
  sigmoid,
  erf,
  sin: Math.sin,
  cos: Math.cos,
  atan: Math.atan,
  lt: (a, b) => Number(a < b),
  le: (a, b) => Number(a <= b),
  eq: (a, b) => Number(a === b),
  select: (condition, a, b) => (condition ? a : b),
};

/** Against a constant, what is as large stays as it is, so that an engine needs one instruction: max(−0, 0) is −0. */
const BOUNDS: Partial<typeof FUNCTIONS> = {
  min: (a, b) => (b < a ? b : a),
  max: (a, b) => (a < b ? b : a),
};

const none = (): number => 0;

/** A JavaScript function of an expression's inputs, in double precision. No code is made of text: pages may forbid it. */
export function compileScalar(e: Scalar): (x: readonly number[]) => number {
  if (e.kind === "input") return (x) => x[e.index];
  if (e.kind === "constant") return () => e.value;
  const f = (e.operands[1]?.kind === "constant" && BOUNDS[e.name]) || FUNCTIONS[e.name];
  const [a, b = none, c = none] = e.operands.map(compileScalar);
  return (x) => f(a(x), b(x), c(x));
}
