/**
 * Functions of one float that WGSL lacks, or knows too roughly: its own exp may be off by |x| units of the last place,
 * and it has no expm1, log1p, sigmoid or erf. They are those of the WebAssembly engine (wasm/math.ts), written in WGSL; a
 * shader gets the ones it uses. NaN and ∞ are asked for by their bits, since a shader's compiler may assume them away.
 */
import { ARTANH_ERF, ATAN, EXPM1, LN2_HIGH, LN2_LOW, LOG1P, SIN, SQRT_HALF, TANH, VERSINE } from "../polynomials.ts";

/** A number as WGSL writes it. ∞ and NaN are no literals there: their bits come from a variable that no compiler folds. */
export function literal(value: number): string {
  const single = Math.fround(value);
  if (Number.isNaN(single)) return "bitcast<f32>(nanBits)";
  if (!Number.isFinite(single)) return `${single < 0 ? "-" : ""}bitcast<f32>(infinityBits)`;
  return Object.is(single, -0) ? "-0f" : `${single}f`;
}

/** Horner's rule. */
const polynomial = (coefficients: readonly number[], x: string): string =>
  coefficients.map(literal).reduceRight((sum, c) => (sum ? `fma(${sum}, ${x}, ${c})` : c), "");

/** x = n · step + r with n whole and |r| ≤ step / 2 (Cody and Waite), where the step is a sum of parts. */
const reduced = (step: readonly number[]): string => `
  let n = round(x * ${literal(1 / step.reduce((a, b) => a + b))});
  let r = ${step.reduce((rest, part) => `fma(n, ${literal(-part)}, ${rest})`, "x")};`;

const LN2 = [LN2_HIGH, LN2_LOW];

/** π/2 in three parts, the first two so short that their products with numbers below 2¹³ are exact. */
const QUARTER = [1.5703125, 4.837512969970703e-4, 7.54978995489188e-8];

const ANGLE = `${reduced(QUARTER)}
  let quarter = i32(n)`;

interface WgslFunction {
  readonly needs?: readonly string[];
  readonly code: string;
}

const FUNCTIONS: Readonly<Record<string, WgslFunction>> = {
  isNaN: { code: "fn isNaN(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u; }" },

  // NaN wins, and −0 is less than 0.
  maximum: {
    needs: ["isNaN"],
    code: `fn maximum(a: f32, b: f32) -> f32 {
  let larger = select(select(b, a, a > b), bitcast<f32>(bitcast<u32>(a) & bitcast<u32>(b)), a == b);
  return select(select(larger, b, isNaN(b)), a, isNaN(a));
}`,
  },
  minimum: {
    needs: ["isNaN"],
    code: `fn minimum(a: f32, b: f32) -> f32 {
  let smaller = select(select(b, a, a < b), bitcast<f32>(bitcast<u32>(a) | bitcast<u32>(b)), a == b);
  return select(select(smaller, b, isNaN(b)), a, isNaN(a));
}`,
  },

  // 2ⁿ, for whole n from −126 to 127.
  power: { code: "fn power(n: i32) -> f32 { return bitcast<f32>((n + 127i) << 23u); }" },

  // e^x = 2ⁿ · e^r. The power is multiplied in as two, since neither 2¹²⁸ nor 2⁻¹⁵⁰ is a float.
  exponential: {
    needs: ["power"],
    code: `fn exponential(argument: f32) -> f32 {
  let x = select(select(argument, 89f, argument > 89f), -105f, argument < -105f);${reduced(LN2)}
  let half = i32(n) >> 1u;
  return ${polynomial([1, 1, ...EXPM1], "r")} * power(half) * power(i32(n) - half);
}`,
  },

  // e^x − 1 = 2 · (2ⁿ⁻¹ · (e^r − 1) + (2ⁿ⁻¹ − ½)); so near to 0 that the square does not count, x itself.
  expm1: {
    needs: ["power"],
    code: `fn expm1(argument: f32) -> f32 {
  let x = select(select(argument, 89f, argument > 89f), -18f, argument < -18f);${reduced(LN2)}
  let scale = power(i32(n) - 1i);
  let p = fma(r * r, ${polynomial(EXPM1, "r")}, r);
  let half = fma(scale, p, scale - 0.5f);
  return select(half + half, argument, abs(argument) < ${literal(2 ** -24)});
}`,
  },

  sigmoid: {
    needs: ["exponential"],
    code: "fn sigmoid(x: f32) -> f32 { return 1f / (1f + exponential(-x)); }",
  },

  // tanh(n · ln 2 / 2) = (2ⁿ − 1) / (2ⁿ + 1), and the theorem of addition with the polynomial of the rest.
  tanhOfPositive: {
    needs: ["power"],
    code: `fn tanhOfPositive(x: f32) -> f32 {${reduced([LN2_HIGH / 2, LN2_LOW / 2])}
  let square = r * r;
  let t = fma(r * square, ${polynomial(TANH, "square")}, r);
  let scale = power(i32(n));
  let minus = scale - 1f;
  let plus = scale + 1f;
  return fma(plus, t, minus) / fma(minus, t, plus);
}`,
  },

  withSign: {
    code: "fn withSign(a: f32, x: f32) -> f32 { return bitcast<f32>(bitcast<u32>(a) | (bitcast<u32>(x) & 0x80000000u)); }",
  },

  hyperbolicTangent: {
    needs: ["tanhOfPositive", "withSign"],
    code: `fn hyperbolicTangent(x: f32) -> f32 {
  let a = abs(x);
  return withSign(tanhOfPositive(select(a, 10f, a > 10f)), x);
}`,
  },

  // erf x = tanh(artanh(erf x)), whose inner part is smooth: x + x · p(x²).
  errorFunction: {
    needs: ["tanhOfPositive", "withSign"],
    code: `fn errorFunction(x: f32) -> f32 {
  let a = abs(x);
  let z = select(a, 3.95f, a > 3.95f);
  let square = z * z;
  return withSign(tanhOfPositive(fma(z, ${polynomial(ARTANH_ERF, "square")}, z)), x);
}`,
  },

  // ln of x = 2ⁿ · (1 + r), and what belongs at its ends: ln 0 = −∞, ln ∞ = ∞, NaN below 0 and of NaN.
  logarithmOf: {
    needs: ["isNaN"],
    code: `fn logarithmOf(x: f32, n: i32, r: f32) -> f32 {
  let e = f32(n);
  let finite = fma(e, ${literal(LN2_HIGH)}, r + fma(e, ${literal(LN2_LOW)}, r * r * ${polynomial(LOG1P, "r")}));
  let infinity = bitcast<f32>(infinityBits);
  let defined = select(select(finite, x, x == infinity), -infinity, x == 0f);
  return select(defined, bitcast<f32>(nanBits), x < 0f || isNaN(x));
}`,
  },

  logarithm: {
    needs: ["logarithmOf"],
    code: `fn logarithm(x: f32) -> f32 {
  let isSmall = x < ${literal(2 ** -126)};
  let bits = bitcast<i32>(select(x, x * ${literal(2 ** 23)}, isSmall)) - ${SQRT_HALF}i;
  let n = (bits >> 23u) - select(0i, 23i, isSmall);
  return logarithmOf(x, n, bitcast<f32>((bits & 0x7fffffi) + ${SQRT_HALF}i) - 1f);
}`,
  },

  // r = 2⁻ⁿ(1 + x) − 1 is made of x itself, so that nothing of it is lost; four times 2⁻ⁿ is at hand, as 2⁻¹²⁸ is no float.
  log1p: {
    needs: ["logarithmOf"],
    code: `fn log1p(x: f32) -> f32 {
  let sum = x + 1f;
  let bits = bitcast<i32>(sum) - ${SQRT_HALF}i;
  let scale = bitcast<f32>(${(127 + 2) << 23}i - (bits & -8388608i));
  let r = fma(x * scale, 0.25f, fma(scale, 0.25f, -1f));
  return select(logarithmOf(sum, bits >> 23u, r), x, x == 0f);
}`,
  },

  // The sine of r + n · π/2: by turns the sine and the cosine of r, in every other half turn with the other sign.
  sineOf: {
    code: `fn sineOf(n: i32, r: f32) -> f32 {
  let square = r * r;
  let sine = fma(r * square, ${polynomial(SIN, "square")}, r);
  let cosine = fma(fma(square * square, ${polynomial(VERSINE, "square")}, square), -0.5f, 1f);
  let value = select(sine, cosine, (n & 1i) == 1i);
  return select(value, -value, (n & 2i) == 2i);
}`,
  },
  sine: {
    needs: ["sineOf"],
    code: `fn sine(x: f32) -> f32 {${ANGLE};
  return select(sineOf(quarter, r), x, x == 0f);
}`,
  },
  cosine: { needs: ["sineOf"], code: `fn cosine(x: f32) -> f32 {${ANGLE};\n  return sineOf(quarter + 1i, r);\n}` },

  // arctan a = φ + arctan((a − tan φ) / (1 + a tan φ)), with φ = 0, π/4 or π/2, whichever is nearest.
  arctangent: {
    needs: ["withSign"],
    code: `fn arctangent(x: f32) -> f32 {
  let a = abs(x);
  let isLarge = a > ${literal(Math.tan((3 * Math.PI) / 8))};
  let isMiddle = a > ${literal(Math.tan(Math.PI / 8))};
  let top = select(select(a, a - 1f, isMiddle), -1f, isLarge);
  let bottom = select(select(1f, 1f + a, isMiddle), a, isLarge);
  let r = top / bottom;
  let square = r * r;
  let turn = select(select(0f, ${literal(Math.PI / 4)}, isMiddle), ${literal(Math.PI / 2)}, isLarge);
  return withSign(turn + fma(r * square, ${polynomial(ATAN, "square")}, r), x);
}`,
  },
};

/** The functions that a piece of WGSL uses, and those that they use, each after what it needs. */
export function functionsFor(code: string): string {
  const taken = new Set<string>();
  const take = (name: string): void => {
    for (const needed of FUNCTIONS[name].needs ?? []) take(needed);
    taken.add(name);
  };
  for (const name of Object.keys(FUNCTIONS)) if (new RegExp(`\\b${name}\\(`).test(code)) take(name);
  return [...taken].map((name) => `${FUNCTIONS[name].code}\n`).join("");
}
