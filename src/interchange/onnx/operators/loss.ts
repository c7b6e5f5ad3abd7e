/** Operators that compute losses. */
import { constant } from "../../../graph/leaf.ts";
import type { Node } from "../../../graph/node.ts";
import { div, equal, logSoftmax, mul, neg, reshape, sub, sum, transpose } from "../../../ops/index.ts";
import type { Call, Operators } from "../call.ts";
import { Value } from "../value.ts";
import { alongLast, range } from "./moving.ts";

/** −Σ weight · ln p of the right classes, of logarithms [B, C, …] and classes [B, …], as the attribute says: each, summed, or the mean. */
function negativeLikelihood(call: Call, logs: Node): Node {
  const labels = call.operand(1);
  const classes = logs.shape[1];
  const order = [0, ...range(logs.shape.length).slice(2), 1];
  const last = transpose(logs, order); // [B, …, C]
  const numbers = constant(Float64Array.from(range(classes)), [classes]);
  const hot = equal(reshape(labels, [...labels.shape, 1]), numbers);
  const weight = call.optional(2);
  const counted = call.has("ignore_index")
    ? mul(hot, reshape(sub(1, equal(labels, call.number("ignore_index", 0))), [...labels.shape, 1]))
    : hot;
  const weighted = weight ? mul(counted, weight.node) : counted;
  const each = neg(sum(mul(weighted, last), -1));
  const reduction = call.text("reduction", "mean");
  if (reduction === "none") return each;
  return reduction === "sum" ? sum(each) : div(sum(each), sum(weighted));
}

function crossEntropy(call: Call): Value[] {
  const { type, node } = call.value(0);
  const logs = alongLast(node, 1, logSoftmax);
  return [new Value(negativeLikelihood(call, logs), type), new Value(logs, type)];
}

export const LOSS: Operators = {
  NegativeLogLikelihoodLoss: (call) => new Value(negativeLikelihood(call, call.operand(0)), call.value(0).type),
  SoftmaxCrossEntropyLoss: crossEntropy,
};
