/** Renders scalar expressions to SIMD: the same expression that the reference renders to JavaScript. */
import type { Scalar, ScalarFunction } from "../../graph/scalar.ts";
import { type FunctionBuilder, f32x4, type V128, v128 } from "./assembler.ts";
import { atan, cos, erf, exp, expm1, log, log1p, type Madd, sigmoid, sin, tanh } from "./math.ts";

/** The functions that are more than one instruction. */
const MATH = { exp, expm1, log, log1p, tanh, sigmoid, erf, sin, cos, atan };

/** The instructions, which have the names of their functions. */
const INSTRUCTIONS: Record<Exclude<ScalarFunction, keyof typeof MATH | "select">, (...x: V128[]) => V128> = f32x4;

/** Writes the code of an expression of `inputs` and gives its value. Parts that occur twice are computed once. */
export function renderScalar(f: FunctionBuilder, e: Scalar, inputs: readonly V128[], madd: Madd): V128 {
  const done = new Map<Scalar, V128>();
  const render = (part: Scalar): V128 => {
    if (part.kind === "input") return inputs[part.index];
    if (part.kind === "constant") return f.constant(v128.constF32(part.value));
    const known = done.get(part);
    if (known) return known;
    const operands = part.operands.map((x) => f.let(render(x)));
    const [a, b, c] = operands;
    const { name } = part;
    const bounded = part.operands[1]?.kind === "constant";
    let value: V128;
    if (name === "select") value = v128.bitselect(b, c, a);
    // With a constant on the right the one-instruction forms keep a NaN on the left, as the definition wants.
    else if (name === "max" && bounded) value = f32x4.pmax(a, b);
    else if (name === "min" && bounded) value = f32x4.pmin(a, b);
    else if (name in MATH) value = MATH[name as keyof typeof MATH](f, a, madd);
    else value = INSTRUCTIONS[name as keyof typeof INSTRUCTIONS](...operands);
    done.set(part, value);
    return value;
  };
  return render(e);
}
