/**
 * The transcendental functions of four float32 lanes, as instructions: each function emits code that computes itself.
 * No branches, no tables: the argument is reduced, a polynomial evaluated, the result scaled.
 * Every float is covered, subnormals, ±0, ±infinity and NaN too; for the accuracy see MATH_ERRORS_ULP.
 *
 * NaN takes care of itself: `pmin` and `pmax` keep it, and what becomes of its bits is multiplied with NaN or replaced.
 */
import { ARTANH_ERF, ATAN, EXPM1, LN2_HIGH, LN2_LOW, LOG1P, SIN, SQRT_HALF, TANH, VERSINE } from "../polynomials.ts";
import { type FunctionBuilder, f32x4, f64x2, i32x4, type V128, v128 } from "./assembler.ts";

/** a · b + c, with one rounding (`f32x4.relaxedMadd` on most processors) or two. */
export type Madd = (a: V128, b: V128, c: V128) => V128;

/** Emits a function of four lanes into `f`, and gives its result. */
export type VectorFunction = (f: FunctionBuilder, x: V128, madd: Madd) => V128;

/**
 * The largest error over all 2³² arguments, with either kind of madd: the distance from the value in double precision,
 * in units of the last place of the float32 nearest to it, rounded up. 0.5 is the least possible, and up to 2.5
 * means at most 2 floats away from the nearest. Measured by test/backends/math.test.ts with CHAINRULE_EXHAUSTIVE=1.
 */
export const MATH_ERRORS_ULP = {
  exp: 1.19,
  expm1: 1.66,
  log: 1.22,
  log1p: 1.78,
  tanh: 2.5,
  sigmoid: 2.49,
  erf: 3.47,
  sin: 1.55,
  cos: 1.55,
  atan: 2.9,
};

/** Beyond it sine and cosine lose accuracy, since multiples of π/2 are taken off in double precision. */
export const LARGEST_ANGLE = 2 ** 20;

const constant = (f: FunctionBuilder, value: number): V128 => f.constant(v128.constF32(value));

/** Horner's rule. */
function polynomial(f: FunctionBuilder, coefficients: readonly number[], x: V128, madd: Madd): V128 {
  return coefficients.map((c) => constant(f, c)).reduceRight((sum, c) => madd(sum, x, c));
}

const atLeast = (f: FunctionBuilder, x: V128, low: number): V128 => f32x4.pmax(x, constant(f, low));
const atMost = (f: FunctionBuilder, x: V128, high: number): V128 => f32x4.pmin(x, constant(f, high));

/** The float whose exponent is the lowest bits of `bits`: 2^(bits − 127). */
const power = (bits: V128): V128 => i32x4.shl(bits, 23);

/**
 * x = n · step + r with n whole and |r| ≤ |step| / 2 (Cody and Waite), where |n| < 2⁹ and `step` is a sum of parts.
 * Adding 1.5 · 2²³ leaves no bits for a fraction: the sum is rounded to a whole number, its lowest bits are n + bias.
 */
function reduce(f: FunctionBuilder, x: V128, step: readonly number[], bias: number, madd: Madd) {
  const shift = constant(f, 1.5 * 2 ** 23 + bias);
  const perStep = constant(f, 1 / step.reduce((sum, part) => sum + part));
  const bits = f.let(madd(x, perStep, shift));
  const n = f.let(f32x4.sub(bits, shift));
  const r = f.let(step.reduce((rest, part) => madd(n, constant(f, -part), rest), x));
  return { bits, r };
}

/** e^x = 2ⁿ · e^r. The power is multiplied in as two, since neither 2¹²⁸ nor 2⁻¹⁵⁰ is a float. */
export const exp: VectorFunction = (f, x, madd) => {
  const within = f.let(atLeast(f, atMost(f, x, 89), -105));
  const { bits, r } = reduce(f, within, [LN2_HIGH, LN2_LOW], 2 * 127, madd);
  const half = f.let(i32x4.shrU(bits, 1));
  const p = polynomial(f, [1, 1, ...EXPM1], r, madd);
  return f32x4.mul(f32x4.mul(p, power(half)), power(i32x4.sub(bits, half)));
};

/** e^x − 1 = 2 · (2ⁿ⁻¹ · (e^r − 1) + (2ⁿ⁻¹ − ½)); so near to 0 that the square does not count, x itself. */
export const expm1: VectorFunction = (f, x, madd) => {
  const argument = f.let(x);
  const within = f.let(atLeast(f, atMost(f, argument, 89), -18));
  const { bits, r } = reduce(f, within, [LN2_HIGH, LN2_LOW], 127 - 1, madd);
  const scale = f.let(power(bits));
  const p = madd(f32x4.mul(r, r), polynomial(f, EXPM1, r, madd), r);
  const half = f.let(madd(scale, p, f32x4.sub(scale, constant(f, 0.5))));
  const tiny = f32x4.lt(f32x4.abs(argument), constant(f, 2 ** -24));
  return v128.bitselect(argument, f32x4.add(half, half), tiny);
};

/**
 * 1 / (1 + e^(−x)) = c / (c + c · 2ⁿ · e^(−r)) where x = −n · ln 2 + r. With c = 2⁻³² the power stays a float as long as
 * the result is not 0.
 */
export const sigmoid: VectorFunction = (f, x, madd) => {
  const within = f.let(atLeast(f, atMost(f, x, 60), -105));
  const { bits, r } = reduce(f, within, [-LN2_HIGH, -LN2_LOW], 127 - 32, madd);
  const alternating = [1, 1, ...EXPM1].map((a, k) => (k % 2 ? -a : a));
  const c = constant(f, 2 ** -32);
  return f32x4.div(c, madd(polynomial(f, alternating, r, madd), power(bits), c));
};

/**
 * tanh a for a ≥ 0, by the theorem of addition: tanh(n · ln 2 / 2) = (2ⁿ − 1) / (2ⁿ + 1), and T = tanh r is a polynomial,
 * hence ((2ⁿ − 1) + (2ⁿ + 1) · T) / ((2ⁿ + 1) + (2ⁿ − 1) · T).
 * One part of the step is enough: its products are exact up to n = 8, and later errors of r hardly reach the result.
 */
function tanhOfPositive(f: FunctionBuilder, a: V128, madd: Madd): V128 {
  const { bits, r } = reduce(f, f.let(a), [Math.LN2 / 2], 127, madd);
  const square = f.let(f32x4.mul(r, r));
  const t = f.let(madd(f32x4.mul(r, square), polynomial(f, TANH, square, madd), r));
  const scale = f.let(power(bits));
  const minus = f.let(f32x4.sub(scale, constant(f, 1)));
  const plus = f.let(f32x4.add(scale, constant(f, 1)));
  return f32x4.div(madd(plus, t, minus), madd(minus, t, plus));
}

/** An odd function, by what it is of the absolute value. */
function odd(f: FunctionBuilder, x: V128, ofPositive: (a: V128) => V128): V128 {
  const argument = f.let(x);
  const sign = f.let(v128.and(argument, constant(f, -0)));
  return v128.or(ofPositive(v128.xor(argument, sign)), sign);
}

export const tanh: VectorFunction = (f, x, madd) => odd(f, x, (a) => tanhOfPositive(f, atMost(f, a, 10), madd));

/** erf x = tanh(artanh(erf x)), whose inner part is smooth and flat enough for a polynomial: x + x · p(x²). */
export const erf: VectorFunction = (f, x, madd) =>
  odd(f, x, (a) => {
    const z = f.let(atMost(f, a, 3.95));
    const p = polynomial(f, ARTANH_ERF, f.let(f32x4.mul(z, z)), madd);
    return tanhOfPositive(f, madd(z, p, z), madd);
  });

const EXPONENT = 0xff800000;

const integer = (f: FunctionBuilder, value: number): V128 => f.constant(v128.constI32(value));

/** ln of `argument` = 2ⁿ · (1 + r), and what belongs at its ends: ln 0 = −∞, ln ∞ = ∞, NaN below 0 and of NaN. */
function logarithm(f: FunctionBuilder, argument: V128, n: V128, r: V128, madd: Madd): V128 {
  const e = f.let(f32x4.convertI32x4(n));
  const curve = f32x4.mul(f32x4.mul(r, r), polynomial(f, LOG1P, r, madd));
  const tail = madd(e, constant(f, LN2_LOW), curve);
  const finite = madd(e, constant(f, LN2_HIGH), f32x4.add(r, tail));
  const positive = v128.bitselect(finite, argument, f32x4.lt(argument, constant(f, Infinity)));
  const defined = v128.bitselect(constant(f, -Infinity), positive, f32x4.eq(argument, constant(f, 0)));
  return v128.or(defined, f32x4.lt(argument, constant(f, 0)));
}

/** ln x, of the bits of x; a subnormal is first made 2²³ times larger. */
export const log: VectorFunction = (f, x, madd) => {
  const argument = f.let(x);
  const subnormal = f.let(f32x4.lt(argument, constant(f, 2 ** -126)));
  const normal = v128.bitselect(f32x4.mul(argument, constant(f, 2 ** 23)), argument, subnormal);
  const bits = f.let(i32x4.sub(normal, integer(f, SQRT_HALF)));
  const n = i32x4.add(i32x4.shrS(bits, 23), v128.and(subnormal, integer(f, -23)));
  const mantissa = i32x4.add(v128.andnot(bits, integer(f, EXPONENT)), integer(f, SQRT_HALF));
  return logarithm(f, argument, n, f.let(f32x4.sub(mantissa, constant(f, 1))), madd);
};

/**
 * ln(1 + x). The exponent n is that of the rounded 1 + x, but r = 2⁻ⁿ(1 + x) − 1 = 2⁻ⁿx + (2⁻ⁿ − 1) is made of x itself,
 * so that nothing of it is lost. (Four times 2⁻ⁿ is at hand instead, because 2⁻¹²⁸ is no normal float.)
 */
export const log1p: VectorFunction = (f, x, madd) => {
  const argument = f.let(x);
  const sum = f.let(f32x4.add(argument, constant(f, 1)));
  const bits = f.let(i32x4.sub(sum, integer(f, SQRT_HALF)));
  const scale = f.let(i32x4.sub(integer(f, (127 + 2) << 23), v128.and(bits, integer(f, EXPONENT))));
  const quarter = constant(f, 0.25);
  const r = f.let(madd(f32x4.mul(argument, scale), quarter, madd(scale, quarter, constant(f, -1))));
  const y = logarithm(f, sum, i32x4.shrS(bits, 23), r, madd);
  return v128.or(y, v128.and(argument, constant(f, -0)));
};

/**
 * π/2 in two parts; the first has so few bits that its product with a number below 2²⁰ is exact. What the double nearest
 * to π/2 lacks, which is its cosine, counts in the second.
 */
const QUARTER_HIGH = Math.round((Math.PI / 2) * 2 ** 30) / 2 ** 30;
const QUARTER_LOW = Math.PI / 2 - QUARTER_HIGH + 6.123233995736766e-17;

/** x = n · π/2 + r with |r| ≤ π/4, in double precision, so that near the zeros of the sine r is exact too. */
function quarterTurns(f: FunctionBuilder, x: V128): { n: V128; r: V128 } {
  const both = f.let(x);
  const [low, high] = [both, v128.shuffle32(both, both, [2, 3, 2, 3])].map((two) => {
    const wide = f.let(f64x2.promoteLowF32x4(two));
    const n = f.let(f64x2.nearest(f64x2.mul(wide, f.constant(f64x2.splat(2 / Math.PI)))));
    const r = [QUARTER_HIGH, QUARTER_LOW].reduce(
      (rest, part) => f64x2.sub(rest, f64x2.mul(n, f.constant(f64x2.splat(part)))),
      wide as V128,
    );
    return { n: f.let(i32x4.truncSatF64x2(n)), r: f.let(f32x4.demoteF64x2(r)) };
  });
  return {
    n: f.let(v128.shuffle32(low.n, high.n, [0, 1, 4, 5])),
    r: f.let(v128.shuffle32(low.r, high.r, [0, 1, 4, 5])),
  };
}

/** The sine of r + n · π/2: by turns the sine and the cosine of r, in every other half turn with the other sign. */
function sineOf(f: FunctionBuilder, n: V128, r: V128, madd: Madd): V128 {
  const square = f.let(f32x4.mul(r, r));
  const sine = madd(f32x4.mul(r, square), polynomial(f, SIN, square, madd), r);
  const versine = madd(f32x4.mul(square, square), polynomial(f, VERSINE, square, madd), square);
  const cosine = madd(versine, constant(f, -0.5), constant(f, 1));
  const one = integer(f, 1);
  const odd = i32x4.eq(v128.and(n, one), one);
  return v128.xor(v128.bitselect(cosine, sine, odd), i32x4.shl(v128.and(n, integer(f, 2)), 30));
}

export const sin: VectorFunction = (f, x, madd) => {
  const argument = f.let(x);
  const { n, r } = quarterTurns(f, argument);
  // The sine of a zero, of either sign, is that zero.
  return v128.bitselect(argument, sineOf(f, n, r, madd), f32x4.eq(argument, constant(f, 0)));
};

export const cos: VectorFunction = (f, x, madd) => {
  const { n, r } = quarterTurns(f, x);
  return sineOf(f, f.let(i32x4.add(n, integer(f, 1))), r, madd);
};

/** arctan a = φ + arctan((a − tan φ) / (1 + a tan φ)), with φ = 0, π/4 or π/2, whichever is nearest. */
export const atan: VectorFunction = (f, x, madd) =>
  odd(f, x, (a) => {
    const positive = f.let(a);
    const [one, minus] = [constant(f, 1), constant(f, -1)];
    const middle = f.let(f32x4.lt(constant(f, Math.tan(Math.PI / 8)), positive));
    const large = f.let(f32x4.lt(constant(f, Math.tan((3 * Math.PI) / 8)), positive));
    const top = v128.bitselect(minus, f32x4.sub(positive, v128.and(middle, one)), large);
    const bottom = v128.bitselect(positive, f32x4.add(one, v128.and(middle, positive)), large);
    const r = f.let(f32x4.div(top, bottom));
    const square = f.let(f32x4.mul(r, r));
    const rest = madd(f32x4.mul(r, square), polynomial(f, ATAN, square, madd), r);
    const turn = v128.bitselect(constant(f, Math.PI / 2), v128.and(middle, constant(f, Math.PI / 4)), large);
    return f32x4.add(turn, rest);
  });
