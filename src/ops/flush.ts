/**
 * Numbers too small to matter become 0. What shrinks and never ends, such as the momentum of a weight whose gradient has
 * become 0, ends among subnormal numbers, on which an operation costs many processors a hundred times as much, and stays
 * there for ever. WebAssembly cannot flush them by a mode, so it is part of the arithmetic: the same on every backend.
 */
import type { AboutOps } from "../graph/op.ts";
import { nonzero, uniform } from "../graph/samples.ts";
import { s } from "../graph/scalar.ts";
import { elementwise } from "./elementwise.ts";

const flushed = (name: string, bound: number) =>
  elementwise(name, {
    forward: (x) => s.select(s.lt(s.abs(x), bound), 0, x),
    backward: ({ dy }) => [dy],
  });

/**
 * x, or 0 where |x| < 2⁻¹⁰⁰ ≈ 8e-31: for what is kept from step to step. In single precision a change of a weight by so
 * little, even divided by Adam's ε of 1e-8, is lost on all weights above 1e-15; the smallest normal number is 2⁻¹²⁶.
 */
export const flushTiny = flushed("flushTiny", 2 ** -100);

/**
 * x, or 0 where |x| < 2⁻⁵⁰ ≈ 9e-16: for what is squared, whose square is then no smaller than 2⁻¹⁰⁰, and for differences of
 * probabilities, which single precision knows to 2⁻²⁴.
 */
export const flushSmall = flushed("flushSmall", 2 ** -50);

/** What is said of these ops, and what they are tried with: for about.ts, and in no bundle that only computes. */
export default (): AboutOps => ({
  flushTiny: {
    explain: { forward: "y = x, or 0 where |x| < 2⁻¹⁰⁰", derivative: "∂y/∂x = 1" },
    cases: [[uniform(2, 3)]],
  },
  flushSmall: { explain: { forward: "y = x, or 0 where |x| < 2⁻⁵⁰", derivative: "∂y/∂x = 1" }, cases: [[nonzero(7)]] },
});
