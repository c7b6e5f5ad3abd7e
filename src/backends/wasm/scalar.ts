/** Renders scalar expressions to SIMD: the same expression that the reference renders to JavaScript. */
import type { Scalar, ScalarFunction } from "../../graph/scalar.ts";
import { type FunctionBuilder, f32x4, type V128, v128 } from "./assembler.ts";
import { erf, exp, expm1, log, log1p, type Madd, sigmoid, tanh } from "./math.ts";

type Emit = (x: V128[], f: FunctionBuilder, madd: Madd) => V128;

const math =
  (emit: (f: FunctionBuilder, x: V128, madd: Madd) => V128): Emit =>
  ([x], f, madd) =>
    emit(f, x, madd);

const FUNCTIONS: Record<ScalarFunction, Emit> = {
  add: ([a, b]) => f32x4.add(a, b),
  sub: ([a, b]) => f32x4.sub(a, b),
  mul: ([a, b]) => f32x4.mul(a, b),
  div: ([a, b]) => f32x4.div(a, b),
  min: ([a, b]) => f32x4.min(a, b),
  max: ([a, b]) => f32x4.max(a, b),
  neg: ([x]) => f32x4.neg(x),
  abs: ([x]) => f32x4.abs(x),
  sqrt: ([x]) => f32x4.sqrt(x),
  floor: ([x]) => f32x4.floor(x),
  exp: math(exp),
  expm1: math(expm1),
  log: math(log),
  log1p: math(log1p),
  tanh: math(tanh),
  sigmoid: math(sigmoid),
  erf: math(erf),
  lt: ([a, b]) => f32x4.lt(a, b),
  le: ([a, b]) => f32x4.le(a, b),
  eq: ([a, b]) => f32x4.eq(a, b),
  select: ([condition, a, b]) => v128.bitselect(a, b, condition),
};

const isConstant = (e: Scalar): boolean => e.kind === "constant";

/** Writes the code of an expression of `inputs` and gives its value. Parts that occur twice are computed once. */
export function renderScalar(f: FunctionBuilder, e: Scalar, inputs: readonly V128[], madd: Madd): V128 {
  const done = new Map<Scalar, V128>();
  const render = (part: Scalar): V128 => {
    if (part.kind === "input") return inputs[part.index];
    if (part.kind === "constant") return f.constant(v128.constF32(part.value));
    const known = done.get(part);
    if (known) return known;
    const operands = part.operands.map((x) => f.let(render(x)));
    const [, second] = part.operands;
    // With a constant on the right the one-instruction forms keep a NaN on the left, as the definition wants.
    const emit: Emit =
      part.name === "max" && isConstant(second)
        ? ([a, b]) => f32x4.pmax(a, b)
        : part.name === "min" && isConstant(second)
          ? ([a, b]) => f32x4.pmin(a, b)
          : FUNCTIONS[part.name];
    const value = emit(operands, f, madd);
    done.set(part, value);
    return value;
  };
  return render(e);
}
