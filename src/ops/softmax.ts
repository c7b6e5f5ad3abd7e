/**
 * Softmax and the cross-entropy that takes logits: composites, made of other ops when the plan is made. They are ops of
 * their own because their derivatives are simpler than the chain rule through the parts shows.
 */
import { ShapeError } from "../errors.ts";
import type { Node } from "../graph/node.ts";
import { type AboutOps, applyOp, defineOp } from "../graph/op.ts";
import { uniform } from "../graph/samples.ts";
import { checkAxis, sameShape, showShape } from "../graph/shape.ts";
import { add, div, mul, neg, sub } from "./arithmetic.ts";
import { reshape, sum } from "./broadcast.ts";
import { flushSmall, flushTiny } from "./flush.ts";
import { exp, log } from "./functions.ts";
import { max } from "./reduce.ts";

/** e^(x − max x): subtracting the largest keeps the exponential from overflowing and changes no quotient. */
const shifted = (x: Node): Node => sub(x, max(x, -1, true));

const lastAxis =
  (op: string) =>
  ([x]: readonly Node[]) => {
    checkAxis(op, x.shape);
    return { shape: x.shape, dtype: "float" as const };
  };

const softmaxOp = defineOp({
  name: "softmax",
  meaning: {
    kind: "composite",
    lower: ([x]) => {
      const e = flushTiny(exp(shifted(x)));
      return div(e, sum(e, -1, true));
    },
  },
  shape: lastAxis("softmax"),
  backward: ({ y, dy }) => [mul(y, sub(dy, sum(mul(dy, y), -1, true)))],
});

/** Softmax over the last axis: positive numbers that add up to 1. */
export const softmax = (x: Node): Node => applyOp(softmaxOp, [x], {});

const logSoftmaxOp = defineOp({
  name: "logSoftmax",
  meaning: {
    kind: "composite",
    lower: ([x]) => {
      const z = shifted(x);
      return sub(z, log(sum(exp(z), -1, true)));
    },
  },
  shape: lastAxis("logSoftmax"),
  backward: ({ inputs: [x], dy }) => [sub(dy, mul(softmax(x), sum(dy, -1, true)))],
});

/** ln softmax(x) over the last axis, without ever taking the logarithm of 0. */
export const logSoftmax = (x: Node): Node => applyOp(logSoftmaxOp, [x], {});

const softmaxCrossEntropyOp = defineOp({
  name: "softmaxCrossEntropy",
  meaning: { kind: "composite", lower: ([z, y]) => neg(sum(mul(y, logSoftmax(z)), -1)) },
  shape: ([z, y]) => {
    if (z.shape.length === 0 || !sameShape(z.shape, y.shape)) {
      throw new ShapeError(
        `softmaxCrossEntropy: logits ${showShape(z.shape)} and target probabilities ${showShape(y.shape)} must have one shape.`,
      );
    }
    return { shape: z.shape.slice(0, -1), dtype: "float" };
  },
  backward: ({ inputs: [z, y], dy }) => {
    const weight = reshape(dy, [...dy.shape, 1]);
    const p = softmax(z);
    // Σ y is 1 for probabilities; kept so that the derivative is right for any weights.
    return [mul(weight, flushSmall(sub(mul(p, sum(y, -1, true)), y))), mul(weight, neg(logSoftmax(z)))];
  },
});

/** The cross-entropy of each row: logits [B, C] and target probabilities [B, C] → [B]. */
export const softmaxCrossEntropy = (logits: Node, target: Node): Node =>
  applyOp(softmaxCrossEntropyOp, [logits, target], {});

/** ln Σ e^x over the last axis, without overflow. */
export function logSumExp(x: Node): Node {
  const largest = max(x, -1, true);
  return reshape(add(largest, log(sum(exp(sub(x, largest)), -1, true))), x.shape.slice(0, -1));
}

/** What is said of these ops, and what they are tried with: for about.ts, and in no bundle that only computes. */
export default (): AboutOps => ({
  softmax: {
    explain: { forward: "pᵢ = e^(zᵢ) / Σⱼ e^(zⱼ)", derivative: "∂pᵢ/∂zⱼ = pᵢ ([i = j] − pⱼ)" },
    cases: [[uniform(3, 5)], [uniform(2, 10)], [uniform(2, 3, 4)]],
  },
  logSoftmax: {
    explain: { forward: "yᵢ = zᵢ − ln Σⱼ e^(zⱼ)", derivative: "∂yᵢ/∂zⱼ = [i = j] − pⱼ" },
    cases: [[uniform(3, 5)], [uniform(2, 10)]],
  },
  softmaxCrossEntropy: {
    explain: { forward: "L = −Σᵢ yᵢ ln pᵢ, p = softmax(z)", derivative: "∂L/∂zᵢ = pᵢ − yᵢ" },
    cases: [
      [uniform(3, 5), uniform(3, 5)],
      [uniform(4, 10), uniform(4, 10)],
    ],
  },
});
