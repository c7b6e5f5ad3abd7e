import { type FunctionBuilder, f32x4, i32x4, type V128, v128 } from "./assembler.ts";
import type { Madd } from "./kernel.ts";

const c = v128.constF32;
export function exp(f: FunctionBuilder, x0: V128, madd: Madd): V128 {
  const x = f.let(f32x4.pmin(f32x4.pmax(x0, c(-87)), c(88)));
  const n = f.let(f32x4.nearest(f32x4.mul(x, c(Math.LOG2E))));
  const r = f.let(madd(n, c(1.90821484e-10 * -1), madd(n, c(-0.693147182464599609375), x)));
  let p: V128 = c(1 / 5040);
  for (const k of [720, 120, 24, 6, 2, 1, 1]) p = madd(p, r, c(1 / k));
  return f32x4.mul(p, i32x4.shl(i32x4.add(i32x4.truncSatF32x4(n), v128.constI32(127)), 23));
}
export const expm1 = (f: FunctionBuilder, x: V128, m: Madd) => f32x4.sub(exp(f, x, m), c(1));
export const sigmoid = (f: FunctionBuilder, x: V128, m: Madd) =>
  f32x4.div(c(1), f32x4.add(c(1), exp(f, f32x4.neg(x), m)));
export const tanh = (f: FunctionBuilder, x: V128, m: Madd) =>
  f32x4.sub(f32x4.mul(c(2), sigmoid(f, f32x4.mul(c(2), x), m)), c(1));
export const erf = tanh;
export function log(f: FunctionBuilder, x: V128, m: Madd): V128 {
  let y = f.let(f32x4.mul(c(0.6931472 / 2 ** 23), f32x4.sub(f32x4.convertI32x4(x), c(1064866805))));
  for (let i = 0; i < 3; i++) y = f.let(f32x4.sub(y, f32x4.sub(c(1), f32x4.mul(x, exp(f, f32x4.neg(y), m)))));
  return y;
}
export const log1p = (f: FunctionBuilder, x: V128, m: Madd) => log(f, f32x4.add(x, c(1)), m);
