/** Steps: floor, ceil, round and sign. They are flat almost everywhere, so that no gradient comes through them. */
import type { AboutOps, Case } from "../graph/op.ts";
import { uniform } from "../graph/samples.ts";
import { type Scalar, s } from "../graph/scalar.ts";
import { elementwise, type Unary } from "./elementwise.ts";

/** The largest whole number that is not above x. */
export const floor: Unary = elementwise("floor", { forward: (x) => s.floor(x) });

/** The smallest whole number that is not below x. */
export const ceil: Unary = elementwise("ceil", { forward: (x) => s.neg(s.floor(s.neg(x))) });

/** ⌊x⌉ by way of the whole number below; what is whole stays as it is, since x + ½ may not be a float. */
const nearest = (x: Scalar): Scalar => {
  const below = s.floor(x);
  const past = s.sub(x, below);
  const isOdd = s.select(s.eq(s.mul(2, s.floor(s.mul(below, 0.5))), below), 0, 1);
  return s.add(below, s.select(s.eq(past, 0.5), isOdd, s.select(s.lt(0.5, past), 1, 0)));
};

/** The nearest whole number; halves go to the even one, as IEEE 754 has it. */
export const round: Unary = elementwise("round", { forward: nearest });

/** −1, 0 or 1. */
export const sign: Unary = elementwise("sign", {
  forward: (x) => s.select(s.lt(0, x), 1, s.select(s.lt(x, 0), -1, x)),
});

const cases: readonly Case[] = [[uniform(2, 3)], [uniform(17)]];

/** What is said of these ops, and what they are tried with: for about.ts, and in no bundle that only computes. */
export default (): AboutOps => ({
  floor: { explain: { forward: "y = ⌊x⌋", derivative: "0" }, cases },
  ceil: { explain: { forward: "y = ⌈x⌉", derivative: "0" }, cases },
  round: { explain: { forward: "y = the whole number nearest to x", derivative: "0" }, cases },
  sign: { explain: { forward: "y = −1, 0 or 1 as x is negative, 0 or positive", derivative: "0" }, cases },
});
