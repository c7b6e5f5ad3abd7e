/**
 * The SIMD functions against double precision, over all of float32: every 2141st bit pattern (two million, a prime
 * stride), or with CHAINRULE_EXHAUSTIVE=1 all of them, which takes a quarter of an hour or more.
 */
import { describe, expect, test } from "vitest";
import { f32x4, ModuleBuilder, v128 } from "../../src/backends/wasm/assembler.ts";
import * as math from "../../src/backends/wasm/math.ts";
import { erf, sigmoid } from "../../src/graph/scalar.ts";

type Name = keyof typeof math.MATH_ERRORS_ULP;
const NAMES = Object.keys(math.MATH_ERRORS_ULP) as Name[];
const exhaustive = Boolean(process.env.CHAINRULE_EXHAUSTIVE);

const FUNCTIONS: Record<Name, { emit: math.VectorFunction; trueValue: (x: number) => number }> = {
  exp: { emit: math.exp, trueValue: Math.exp },
  expm1: { emit: math.expm1, trueValue: Math.expm1 },
  log: { emit: math.log, trueValue: Math.log },
  log1p: { emit: math.log1p, trueValue: Math.log1p },
  tanh: { emit: math.tanh, trueValue: Math.tanh },
  sigmoid: { emit: math.sigmoid, trueValue: sigmoid },
  erf: { emit: math.erf, trueValue: erf },
  sin: { emit: math.sin, trueValue: Math.sin },
  cos: { emit: math.cos, trueValue: Math.cos },
  atan: { emit: math.atan, trueValue: Math.atan },
};
/** What results must not exceed, not by one ulp either: derivatives such as 1 − y² would change sign. */
const UPPER_LIMITS: Partial<Record<Name, number>> = { tanh: 1, sigmoid: 1, erf: 1, sin: 1, cos: 1 };
/** How far from 0 arguments are tried, where that is not everywhere; infinities always are. */
const LARGEST: Partial<Record<Name, number>> = { sin: math.LARGEST_ANGLE, cos: math.LARGEST_ANGLE };

const MADDS: Record<string, math.Madd> = {
  "mul and add": (a, b, c) => f32x4.add(f32x4.mul(a, b), c),
  "relaxed madd": f32x4.relaxedMadd,
};

const BLOCK = 1 << 14;

/** A module that replaces the first BLOCK floats of its memory by the function of them. */
function assemble(name: Name, madd: math.Madd) {
  const builder = new ModuleBuilder();
  builder.function({ parameters: [], result: "none", export: "run" }, (f) => {
    f.forUp(0, BLOCK * 4, 16, (address) => {
      f.emit(v128.store(address, FUNCTIONS[name].emit(f, v128.load(address), madd)));
    });
  });
  return builder.encode();
}

/** The function of BLOCK floats, the result to be read before the next call. */
function compile(name: Name, madd: math.Madd): (x: Float32Array) => Float32Array {
  const memory = new WebAssembly.Memory({ initial: 1 });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(assemble(name, madd)), { env: { memory } });
  const values = new Float32Array(memory.buffer, 0, BLOCK);
  return (x) => {
    values.set(x);
    (exports.run as () => void)();
    return values;
  };
}

const KINDS = Object.keys(MADDS).filter((kind) => WebAssembly.validate(assemble("exp", MADDS[kind])));

const float = new Float32Array(1);
const floatBits = new Uint32Array(float.buffer);

/** The distance of neighbouring floats at the float32 `y`. */
function ulp(y: number): number {
  float[0] = y;
  return 2 ** (Math.max((floatBits[0] >>> 23) & 0xff, 1) - 150);
}

/** How far `actual` is from the true value, in ulps: 0.5 if it is the nearest float, infinite if it differs in kind. */
function errorOf(actual: number, truth: number): number {
  const nearest = Math.fround(truth);
  if (Object.is(actual, nearest)) return 0.5;
  if (actual === nearest || !Number.isFinite(actual) || !Number.isFinite(nearest)) return Infinity;
  return Math.abs(actual - truth) / ulp(nearest);
}

/** Blocks of bit patterns, as floats. */
function* inputs(): Generator<Float32Array> {
  const patterns = new Uint32Array(BLOCK);
  const floats = new Float32Array(patterns.buffer);
  // Zeros, infinities, the ends of the subnormal and normal floats, the places where results over- or underflow or
  // reach their limit, each with its neighbours and with both signs.
  const places = [
    0,
    2 ** -126,
    2 ** -24,
    0.5,
    1,
    3.919206,
    9.010913,
    17.32868,
    87.33655,
    88.72284,
    103.97208,
    Infinity,
  ];
  floats.set(places);
  for (const [i, pattern] of patterns.slice(0, places.length).entries())
    for (let d = -4; d <= 4; d++) patterns[i * 9 + d + 4] = pattern + d;
  patterns.set(
    patterns.slice(0, BLOCK / 2).map((pattern) => pattern ^ 0x80000000),
    BLOCK / 2,
  );
  yield floats;

  const stride = exhaustive ? 1 : 2141;
  for (let start = 0; start < 2 ** 32; start += BLOCK * stride) {
    for (let i = 0; i < BLOCK; i++) patterns[i] = start + i * stride;
    yield floats;
  }
}

describe(`with ${KINDS.join(" and with ")}`, () => {
  test.each(NAMES)("%s", { timeout: exhaustive ? 3600_000 : 60_000 }, (name) => {
    const { trueValue } = FUNCTIONS[name];
    const functions = KINDS.map((kind) => ({ kind, run: compile(name, MADDS[kind]) }));
    const truths = new Float64Array(BLOCK);
    const upper = UPPER_LIMITS[name] ?? Infinity;
    const largest = LARGEST[name] ?? Infinity;
    const isTried = (x: number): boolean => !(Math.abs(x) > largest) || x === Infinity || x === -Infinity;
    let worst = { error: 0, kind: "", x: 0, actual: 0, truth: 0 };
    for (const x of inputs()) {
      for (let i = 0; i < BLOCK; i++) truths[i] = trueValue(x[i]);
      for (const { kind, run } of functions) {
        const y = run(x);
        for (let i = 0; i < BLOCK; i++) {
          if (!isTried(x[i])) continue;
          const error = y[i] > upper ? Infinity : errorOf(y[i], truths[i]);
          if (error > worst.error) worst = { error, kind, x: x[i], actual: y[i], truth: truths[i] };
        }
      }
    }
    if (exhaustive) console.log(name, worst);
    expect(worst.error, JSON.stringify(worst)).toBeLessThanOrEqual(math.MATH_ERRORS_ULP[name]);
  });
});

test("the erf that is the reference has the known values", () => {
  const known = [
    [0.001, 0.0011283787909692365],
    [0.25, 0.27632639016823696],
    [0.5, 0.5204998778130465],
    [1, 0.8427007929497149],
    [1.75, 0.9866716712191824],
    [2, 0.995322265018953],
    [3, 0.9999779095030014],
    [4, 0.9999999845827421],
  ]; // from mpmath
  for (const [x, y] of known) {
    expect(Math.abs(erf(x) - y) / y).toBeLessThan(2e-15);
    expect(erf(-x)).toBe(-erf(x));
  }
});
