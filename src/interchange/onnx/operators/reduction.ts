/** Operators that reduce axes, and those that share something out along an axis. */
import { constant } from "../../../graph/leaf.ts";
import type { Node } from "../../../graph/node.ts";
import { sizeOf } from "../../../graph/shape.ts";
import {
  abs,
  add,
  argmax,
  div,
  exp,
  log,
  logSoftmax,
  max,
  maximum,
  mean,
  mul,
  neg,
  oneHot,
  pow,
  reshape,
  softmax,
  sqrt,
  sub,
  sum,
  toFloat,
} from "../../../ops/index.ts";
import type { Call, Operator, Operators } from "../call.ts";
import type { ElementType } from "../format.ts";
import { limitsOf, Value } from "../value.ts";
import { alongLast, productAlong, range, reversed } from "./moving.ts";

/** A reduction with the axes kept as ones, and what it is of no elements. */
interface Reduction {
  readonly of: (x: Node, axes: readonly number[]) => Node;
  readonly ofNothing: number | ((type: ElementType) => number);
}

const sums = (x: Node, axes: readonly number[]): Node => sum(x, axes, true);
const largest = (x: Node, axes: readonly number[]): Node => max(x, axes, true);

/** ln Σ eˣ, without overflow. */
function logOfSum(x: Node, axes: readonly number[]): Node {
  const top = largest(x, axes);
  return add(top, log(sums(exp(sub(x, top)), axes)));
}

const reduction =
  ({ of, ofNothing }: Reduction): Operator =>
  (call) => {
    const x = call.value(0);
    const given = call.knownOr("axes", 1) ?? [];
    if (given.length === 0 && call.number("noop_with_empty_axes", 0)) return x;
    const axes = given.length > 0 ? given.map((axis) => call.axis(axis, x.shape)) : range(x.shape.length);
    axes.sort((a, b) => a - b);
    const kept = x.shape.map((n, axis) => (axes.includes(axis) ? 1 : n));
    const isEmpty = axes.some((axis) => x.shape[axis] === 0);
    const result = isEmpty
      ? constant(typeof ofNothing === "number" ? ofNothing : ofNothing(x.type), kept)
      : axes.length === 0
        ? x.node
        : of(x.node, axes);
    const shape = call.number("keepdims", 1) ? kept : x.shape.filter((_, axis) => !axes.includes(axis));
    return new Value(reshape(result, shape), x.type);
  };

const REDUCTIONS: Readonly<Record<string, Reduction>> = {
  ReduceL1: { of: (x, axes) => sums(abs(x), axes), ofNothing: 0 },
  ReduceL2: { of: (x, axes) => sqrt(sums(mul(x, x), axes)), ofNothing: 0 },
  ReduceLogSum: { of: (x, axes) => log(sums(x, axes)), ofNothing: Number.NEGATIVE_INFINITY },
  ReduceLogSumExp: { of: logOfSum, ofNothing: Number.NEGATIVE_INFINITY },
  ReduceMax: { of: largest, ofNothing: (type) => limitsOf(type)[0] },
  ReduceMean: { of: (x, axes) => mean(x, axes, true), ofNothing: Number.NaN },
  ReduceMin: { of: (x, axes) => neg(largest(neg(x), axes)), ofNothing: (type) => limitsOf(type)[1] },
  ReduceProd: { of: (x, axes) => axes.reduce(productAlong, x), ofNothing: 1 },
  ReduceSum: { of: sums, ofNothing: 0 },
  ReduceSumSquare: { of: (x, axes) => sums(mul(x, x), axes), ofNothing: 0 },
};

/** The place of the largest element along an axis, the first or the last of several. */
const place =
  (sign: 1 | -1): Operator =>
  (call) => {
    const x = call.value(0);
    const axis = call.axis(call.number("axis", 0), x.shape);
    const fromEnd = call.number("select_last_index", 0) !== 0;
    const given = sign === 1 ? x.node : neg(x.node);
    const kept = x.shape.map((n, i) => (i === axis ? 1 : n));
    const found = alongLast(fromEnd ? reversed(given, axis) : given, axis, (node) => {
      const places = toFloat(argmax(node));
      const counted = fromEnd ? sub(x.shape[axis] - 1, places) : places;
      return reshape(counted, [...counted.shape, 1]);
    });
    return new Value(reshape(found, call.number("keepdims", 1) ? kept : kept.filter((_, i) => i !== axis)), "int64");
  };

/** Something along one axis, or, up to version 12, along all axes from one on. */
const shared =
  (change: (x: Node) => Node): Operator =>
  (call) => {
    const x = call.value(0);
    const axis = call.axis(call.number("axis", call.version < 13 ? 1 : -1), x.shape);
    if (call.version >= 13) return new Value(alongLast(x.node, axis, change), x.type);
    const rows = reshape(x.node, [sizeOf(x.shape.slice(0, axis)), sizeOf(x.shape.slice(axis))]);
    return new Value(reshape(change(rows), x.shape), x.type);
  };

function lpNormalization(call: Call): Value {
  const x = call.value(0);
  const axis = call.axis(call.number("axis", -1), x.shape);
  const size = call.number("p", 2) === 1 ? sum(abs(x.node), axis, true) : sqrt(sum(mul(x.node, x.node), axis, true));
  return new Value(div(x.node, maximum(size, 1e-12)), x.type);
}

/** The p-norm over everything but batch and channels. */
function globalLpPool(call: Call): Value {
  const x = call.value(0);
  const p = call.number("p", 2);
  const powers = sum(pow(abs(x.node), p), range(x.shape.length).slice(2), true);
  return new Value(pow(powers, 1 / p), x.type);
}

export const REDUCTION: Operators = {
  ...Object.fromEntries(Object.entries(REDUCTIONS).map(([name, rule]) => [name, reduction(rule)])),
  ArgMax: place(1),
  ArgMin: place(-1),
  GlobalLpPool: globalLpPool,
  Hardmax: shared((x) => oneHot(argmax(x), x.shape[x.shape.length - 1])),
  LogSoftmax: shared(logSoftmax),
  LpNormalization: lpNormalization,
  Softmax: shared(softmax),
};
