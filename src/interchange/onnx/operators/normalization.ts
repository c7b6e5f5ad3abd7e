/** Operators that bring values to mean 0 and variance 1, or to size 1; and dropout. */
import { constant } from "../../../graph/leaf.ts";
import type { Node } from "../../../graph/node.ts";
import { sizeOf } from "../../../graph/shape.ts";
import { add, div, exp, flushTiny, less, log, mean, mul, pad, reshape, slice, sqrt, sub } from "../../../ops/index.ts";
import type { Call, Operators } from "../call.ts";
import { Value } from "../value.ts";
import { range } from "./moving.ts";

/** Mean and variance along axes, which stay as ones. */
function moments(x: Node, axes: readonly number[]): { average: Node; variance: Node; centred: Node } {
  const average = mean(x, axes, true);
  const centred = sub(x, average);
  return { average, centred, variance: mean(mul(centred, centred), axes, true) };
}

/** One number for each channel [C], to lie along axis 1 of an array of some rank. */
const perChannel = (x: Node, rank: number): Node => reshape(x, [-1, ...Array<number>(rank - 2).fill(1)]);

/** γ (x − μ) / √(σ² + ε) + β, computed as our own layer does, so that both have the same plan. */
function batchNormalization(call: Call): Value[] {
  const x = call.value(0);
  const [scale, bias, mean0, variance0] = [1, 2, 3, 4].map((i) => call.operand(i));
  const [epsilon, momentum] = [call.number("epsilon", 1e-5), call.number("momentum", 0.9)];
  const inFile = call.version >= 14 ? call.number("training_mode", 0) !== 0 : call.outputs > 1;
  const trains = call.mode ? call.mode !== "inference" : inFile;
  const rank = x.shape.length;
  const isLast = x.isChannelsLast || rank === 2;
  const given = x.isChannelsLast ? x.channelsLast : x.node;
  const at = (node: Node): Node => (isLast ? node : perChannel(node, rank));
  const normalized = (centred: Node, variance: Node): Value => {
    const standard = mul(centred, at(div(1, sqrt(add(variance, epsilon)))));
    return x.map(() => add(mul(standard, at(scale)), at(bias)));
  };
  if (!trains) {
    const y = normalized(sub(given, at(mean0)), variance0);
    return [y, new Value(mean0, x.type), new Value(variance0, x.type)];
  }
  const axes = isLast ? range(rank - 1) : [0, ...range(rank).slice(2)];
  const average = mean(given, axes);
  const centred = sub(given, at(average));
  const variance = mean(mul(centred, centred), axes);
  const running = (old: Node, next: Node): Node => add(mul(old, momentum), mul(next, 1 - momentum));
  if (typeof call.mode === "object") {
    // As our own layer and PyTorch keep them: the unbiased variance.
    const count = sizeOf(x.shape) / scale.shape[0];
    const unbiased = mul(variance, count / Math.max(1, count - 1));
    call.mode.update(call.node.inputs[3], flushTiny(running(mean0, average)));
    call.mode.update(call.node.inputs[4], flushTiny(running(variance0, unbiased)));
  }
  return [
    normalized(centred, variance),
    new Value(running(mean0, average), x.type),
    new Value(running(variance0, variance), x.type),
  ];
}

function instanceNormalization(call: Call): Value {
  const x = call.value(0);
  const rank = x.shape.length;
  const { centred, variance } = moments(x.node, range(rank).slice(2));
  const y = div(centred, sqrt(add(variance, call.number("epsilon", 1e-5))));
  return new Value(add(mul(y, perChannel(call.operand(1), rank)), perChannel(call.operand(2), rank)), x.type);
}

function groupNormalization(call: Call): Value {
  const x = call.value(0);
  const [b, c, ...rest] = x.shape;
  const groups = call.number("num_groups", 1);
  const { centred, variance } = moments(reshape(x.node, [b, groups, -1]), [2]);
  const y = div(centred, sqrt(add(variance, call.number("epsilon", 1e-5))));
  const [scale, bias] = [call.operand(1), call.operand(2)];
  // Before version 21 there was one number for each group.
  if (scale.shape[0] === groups && groups !== c) {
    const of = (node: Node): Node => reshape(node, [groups, 1]);
    return new Value(reshape(add(mul(y, of(scale)), of(bias)), x.shape), x.type);
  }
  const whole = reshape(y, [b, c, ...rest]);
  return new Value(add(mul(whole, perChannel(scale, x.shape.length)), perChannel(bias, x.shape.length)), x.type);
}

function layerNormalization(call: Call): Value[] {
  const x = call.value(0);
  const axes = range(x.shape.length).slice(call.axis(call.number("axis", -1), x.shape));
  const { average, centred, variance } = moments(x.node, axes);
  const deviation = sqrt(add(variance, call.number("epsilon", 1e-5)));
  const y = mul(div(centred, deviation), call.operand(1));
  const bias = call.optional(2);
  return [
    new Value(bias ? add(y, bias.node) : y, x.type),
    new Value(average, x.type),
    new Value(div(1, deviation), x.type),
  ];
}

function rmsNormalization(call: Call): Value {
  const x = call.value(0);
  const axes = range(x.shape.length).slice(call.axis(call.number("axis", -1), x.shape));
  const size = sqrt(add(mean(mul(x.node, x.node), axes, true), call.number("epsilon", 1e-5)));
  return new Value(mul(div(x.node, size), call.operand(1)), x.type);
}

/** Divides by a power of the squares of the neighbouring channels (Krizhevsky et al., 2012). */
function localResponse(call: Call): Value {
  const x = call.value(0);
  const size = call.number("size", 1);
  const [alpha, beta, bias] = [call.number("alpha", 1e-4), call.number("beta", 0.75), call.number("bias", 1)];
  const along = (n: number): number[] => x.shape.map((_, axis) => (axis === 1 ? n : 0));
  const before = Math.floor((size - 1) / 2);
  const squares = pad(mul(x.node, x.node), along(before), along(size - 1 - before));
  const total = range(size)
    .map((i) => slice(squares, along(i), x.shape))
    .reduce((a, b) => add(a, b));
  const power = exp(mul(-beta, log(add(bias, mul(alpha / size, total)))));
  return new Value(mul(x.node, power), x.type);
}

function meanVariance(call: Call): Value {
  const x = call.value(0);
  const axes = (call.numbers("axes") ?? [0, 2, 3]).map((axis) => call.axis(axis, x.shape));
  const { centred, variance } = moments(x.node, axes);
  return new Value(div(centred, sqrt(add(variance, 1e-9))), x.type);
}

/** Lets everything through at inference. In training it drops, with random numbers of ours, not of those who wrote the file. */
function dropout(call: Call): Value[] {
  const x = call.value(0);
  const ratio = call.known(1)?.[0] ?? call.number("ratio", 0.5);
  const { mode } = call;
  if (ratio === 0 || mode === "inference" || (!mode && !call.known(2)?.[0]))
    return [x, new Value(constant(1, x.shape), "bool")];
  if (!mode) return call.fail("the file says that it drops, with random numbers that only its writer knows");
  const kept = sub(1, less(mode.uniform(x.shape), ratio));
  return [new Value(mul(x.node, mul(1 / (1 - ratio), kept)), x.type), new Value(kept, "bool")];
}

export const NORMALIZATION: Operators = {
  BatchNormalization: batchNormalization,
  Dropout: dropout,
  GroupNormalization: groupNormalization,
  InstanceNormalization: instanceNormalization,
  LayerNormalization: layerNormalization,
  LRN: localResponse,
  MeanVarianceNormalization: meanVariance,
  RMSNormalization: rmsNormalization,
};
