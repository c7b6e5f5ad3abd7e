/** Renders scalar expressions to WGSL: the same expression that the reference renders to JavaScript. */
import type { Scalar, ScalarFunction } from "../../graph/scalar.ts";
import { literal } from "./math.ts";

type Render = (a: string, b: string, c: string) => string;

/** Functions of math.ts, by the names that WGSL's own leave free, and what WGSL has itself. */
const FORMS: Readonly<Record<ScalarFunction, Render>> = {
  add: (a, b) => `${a} + ${b}`,
  sub: (a, b) => `${a} - ${b}`,
  mul: (a, b) => `${a} * ${b}`,
  div: (a, b) => `${a} / ${b}`,
  min: (a, b) => `minimum(${a}, ${b})`,
  max: (a, b) => `maximum(${a}, ${b})`,
  neg: (a) => `-${a}`,
  abs: (a) => `abs(${a})`,
  sqrt: (a) => `sqrt(${a})`,
  floor: (a) => `floor(${a})`,
  exp: (a) => `exponential(${a})`,
  expm1: (a) => `expm1(${a})`,
  log: (a) => `logarithm(${a})`,
  log1p: (a) => `log1p(${a})`,
  tanh: (a) => `hyperbolicTangent(${a})`,
  sigmoid: (a) => `sigmoid(${a})`,
  erf: (a) => `errorFunction(${a})`,
  sin: (a) => `sine(${a})`,
  cos: (a) => `cosine(${a})`,
  atan: (a) => `arctangent(${a})`,
  lt: (a, b) => `${a} < ${b}`,
  le: (a, b) => `${a} <= ${b}`,
  eq: (a, b) => `${a} == ${b}`,
  select: (condition, a, b) => `select(${b}, ${a}, ${condition})`,
};

/** Against a constant, what is as large stays as it is: max(−0, 0) is −0, and NaN stays on the left. */
const BOUNDS: Partial<Record<ScalarFunction, Render>> = {
  min: (a, b) => `select(${a}, ${b}, ${b} < ${a})`,
  max: (a, b) => `select(${a}, ${b}, ${b} > ${a})`,
};

/**
 * Writes an expression of `inputs`, which are names. Parts that occur twice are computed once.
 * @param name gives a value a name of its own
 */
export function renderScalar(e: Scalar, inputs: readonly string[], name: (value: string) => string): string {
  const done = new Map<Scalar, string>();
  const render = (part: Scalar): string => {
    if (part.kind === "input") return inputs[part.index];
    if (part.kind === "constant") return part.value < 0 ? `(${literal(part.value)})` : literal(part.value);
    let known = done.get(part);
    if (known === undefined) {
      const form = (part.operands[1]?.kind === "constant" && BOUNDS[part.name]) || FORMS[part.name];
      const [a, b = "", c = ""] = part.operands.map(render);
      known = name(form(a, b, c));
      done.set(part, known);
    }
    return known;
  };
  return render(e);
}
