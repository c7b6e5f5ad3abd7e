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

const INFIX: Partial<Record<ScalarFunction, string>> = {
  add: "+",
  sub: "-",
  mul: "*",
  div: "/",
  lt: "<",
  le: "<=",
  eq: "===",
};

/** Functions that JavaScript's Math does not have. */
const OWN = { erf, sigmoid, neg: (x: number) => -x };

function toJavaScript(e: Scalar): string {
  if (e.kind === "input") return `x${e.index}`;
  if (e.kind === "constant") return Object.is(e.value, -0) ? "(-0)" : `(${e.value})`;
  const operands = e.operands.map(toJavaScript);
  const [a, b, c] = operands;
  if (e.name in INFIX) return `(${a} ${INFIX[e.name]} ${b})`;
  if (e.name === "select") return `(${a} ? ${b} : ${c})`;
  return `${e.name in OWN ? "own" : "Math"}.${e.name}(${operands})`;
}

/** Renders an expression to a JavaScript function of its `arity` inputs, in double precision. */
export function compileScalar(e: Scalar, arity: number): (...x: number[]) => number {
  const parameters = Array.from({ length: arity }, (_, i) => `x${i}`);
  return new Function("own", `return (${parameters}) => ${toJavaScript(e)};`)(OWN);
}
