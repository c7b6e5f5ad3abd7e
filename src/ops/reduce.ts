/** The reductions beside sum, which is in broadcast.ts: max and mean. */
import type { Node } from "../graph/node.ts";
import { type AboutOps, applyOp, checkNode } from "../graph/op.ts";
import { sizeOf } from "../graph/shape.ts";
import { div, equal, mul } from "./arithmetic.ts";
import { along, reduceOp, reductionCases, spread, sum, sumOp } from "./broadcast.ts";

/** Where several elements are the largest, they share the gradient. */
const maxOp = reduceOp("max", Number.NEGATIVE_INFINITY, Math.max, {
  backward: ({ inputs: [x], y, dy, attributes: run }) => {
    const largest = equal(x, spread(y, x, run));
    const count = spread(applyOp(sumOp, [largest], run), x, run);
    return [mul(spread(dy, x, run), div(largest, count))];
  },
});

/** The largest along some axes, or of all. */
export const max = along(maxOp);

/** The mean along some axes, or of everything. */
export function mean(x: Node, axes?: number | readonly number[], keepDims = false): Node {
  checkNode("An operand of mean", x);
  const total = sum(x, axes, keepDims);
  return mul(total, sizeOf(total.shape) / sizeOf(x.shape));
}

/** What is said of these ops, and what they are tried with: for about.ts, and in no bundle that only computes. */
export default (): AboutOps => ({
  max: { explain: { forward: "y = max xᵢ", derivative: "∂y/∂xᵢ = [xᵢ = y]" }, cases: reductionCases() },
});
