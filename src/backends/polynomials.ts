/**
 * The numbers of which transcendental functions in single precision are made, for every engine that writes its own:
 * coefficients of polynomials, lowest power first, from scripts/fit-polynomials.py, and what arguments are reduced by.
 */

/** (e^r − 1 − r) / r² for |r| ≤ ln 2 / 2, in r. */
export const EXPM1 = [0.49999997, 0.16666545, 0.041667465, 0.008366424, 0.0013868316];
/** (ln(1 + r) − r) / r² for 1/√2 ≤ 1 + r ≤ √2, in r. */
export const LOG1P = [-0.4999999, 0.33333945, -0.25001776, 0.1996224, -0.16570313, 0.14916356, -0.14307724, 0.08738792];
/** (tanh r − r) / r³ for |r| ≤ ln 2 / 4, in r². */
export const TANH = [-0.33333322, 0.13331142, -0.052715287];
/** (artanh(erf x) − x) / x for |x| ≤ 3.95, in x². */
export const ARTANH_ERF = [
  0.1283792, 0.10277138, -0.00020231883, -0.000603505, 7.640077e-5, -1.8380923e-6, -5.1813794e-7, 5.4106625e-8,
  -1.6449665e-9,
];
/** (sin r − r) / r³ for |r| ≤ π/4, in r². */
export const SIN = [-0.16666655, 0.008332187, -0.00019517903];
/** (2 − 2 cos r − r²) / r⁴ for |r| ≤ π/4, in r². */
export const VERSINE = [-0.083333306, 0.0027775224, -4.892232e-5];
/** (arctan r − r) / r³ for |r| ≤ tan π/8, in r². */
export const ATAN = [-0.33332947, 0.19977607, -0.13876419, 0.08049249];

/** ln 2 in two parts; the first has so few bits that its product with an exponent is exact. */
export const LN2_HIGH = Math.round(Math.LN2 * 2 ** 15) / 2 ** 15;
export const LN2_LOW = Math.LN2 - LN2_HIGH;

/** The bits of 1/√2, where the interval [1/√2, √2) begins into which logarithms bring their argument. */
export const SQRT_HALF = 0x3f3504f3;
