/**
 * What Keras has and our layers have not, as one kind of layer whose configuration names an operation: axes in another order,
 * values that are repeated, cut or merged with broadcasting, functions. All of it is a few nodes; only PReLU has a parameter.
 */
import { unknownName } from "../../checks.ts";
import { ShapeError } from "../../errors.ts";
import { constant } from "../../graph/leaf.ts";
import type { Node } from "../../graph/node.ts";
import { type Shape, showShape } from "../../graph/shape.ts";
import { initializer } from "../../nn/initializers.ts";
import { defineLayer, type Layer, type LayerOptions } from "../../nn/layer.ts";
import {
  add,
  broadcastTo,
  concat,
  div,
  exp,
  greater,
  leakyRelu,
  logSoftmax,
  maximum,
  minimum,
  mul,
  neg,
  pad,
  relu,
  reshape,
  select,
  slice,
  softmax,
  softplus,
  sqrt,
  sub,
  tanh,
  transpose,
} from "../../ops/index.ts";

/** An operation and its numbers; all axes count from the batch, which is axis 0. */
export type Operation =
  | { readonly op: "permute"; readonly order: readonly number[] }
  | { readonly op: "repeat"; readonly times: number }
  | { readonly op: "upsample"; readonly size: number }
  | { readonly op: "pad"; readonly before: Shape; readonly after: Shape }
  | { readonly op: "crop"; readonly before: Shape; readonly after: Shape }
  | { readonly op: "relu"; readonly slope: number; readonly threshold: number; readonly most: number | null }
  | { readonly op: "softmax"; readonly axis: number; readonly log?: boolean }
  | { readonly op: "function"; readonly function: string }
  | { readonly op: "rescale"; readonly scale: readonly number[]; readonly offset: readonly number[] }
  | { readonly op: "prelu"; readonly alpha: Shape }
  | { readonly op: "merge"; readonly how: string; readonly axis?: number; readonly constant?: number };

/** Functions by the names that Keras gives them. */
const FUNCTIONS: Readonly<Record<string, (x: Node) => Node>> = {
  exponential: exp,
  relu6: (x) => minimum(maximum(x, 0), 6),
  log_sigmoid: (x) => neg(softplus(neg(x))),
  hard_tanh: (x) => minimum(maximum(x, -1), 1),
  tanh_shrink: (x) => sub(x, tanh(x)),
  squareplus: (x) => mul(0.5, add(x, sqrt(add(mul(x, x), 4)))),
};

/** Whether there is a function of this name. */
export const isKerasFunction = (name: string): boolean => Object.hasOwn(FUNCTIONS, name);

/** Ways of merging two values whose shapes may differ by axes of length 1. */
const MERGES: Readonly<Record<string, (a: Node | number, b: Node | number) => Node>> = {
  add,
  subtract: sub,
  multiply: mul,
  divide: div,
  maximum,
  minimum,
};

/** Several values as one. */
export function merged(
  { how, axis = -1, constant: number }: Extract<Operation, { op: "merge" }>,
  inputs: readonly Node[],
): Node {
  if (how === "concat") return concat(inputs, axis);
  const sum = how === "average";
  if (!sum && !Object.hasOwn(MERGES, how))
    throw unknownName("way to merge", how, [...Object.keys(MERGES), "average", "concat"]);
  const merge = MERGES[sum ? "add" : how];
  const all = inputs.reduce((a, b) => merge(a, b));
  const result = number === undefined ? all : merge(all, number);
  return sum ? mul(result, 1 / inputs.length) : result;
}

/** Something done along one axis by what does it along the last one. */
function along(axis: number, x: Node, apply: (x: Node) => Node): Node {
  const last = x.shape.length - 1;
  if (axis === last) return apply(x);
  const order = x.shape.map((_, i) => (i === axis ? last : i === last ? axis : i));
  return transpose(apply(transpose(x, order)), order);
}

/** x with each place of its first own axis repeated: [B, L, …] → [B, L · times, …]. */
function repeated(x: Node, times: number): Node {
  const [batch, length, ...rest] = x.shape;
  const wide = broadcastTo(reshape(x, [batch, length, 1, ...rest]), [batch, length, times, ...rest]);
  return reshape(wide, [batch, length * times, ...rest]);
}

/** x where x > threshold, slope · (x − threshold) elsewhere, and at most `most`. */
function boundedRelu(x: Node, { slope, threshold, most }: Extract<Operation, { op: "relu" }>): Node {
  const cut =
    threshold === 0 && slope === 0 ? relu(x) : select(greater(x, threshold), x, mul(slope, sub(x, threshold)));
  return most === null ? cut : minimum(cut, most);
}

/** One number for all, or one for each feature. */
const perFeature = (values: readonly number[]): Node | number =>
  values.length === 1 ? values[0] : constant(Float32Array.from(values), [values.length]);

type KerasConfig = Operation & LayerOptions;

const make = defineLayer<KerasConfig>("keras", {
  several: true,
  parameters: (config) =>
    config.op === "prelu" ? [{ name: "alpha", shape: config.alpha, init: initializer(0.25) }] : [],
  apply: (config, { x, inputs, parameter }) => {
    const [batch, ...own] = x.shape;
    switch (config.op) {
      case "permute":
        return transpose(x, config.order);
      case "repeat":
        return broadcastTo(reshape(x, [batch, 1, ...own]), [batch, config.times, ...own]);
      case "upsample":
        return repeated(x, config.size);
      case "pad":
        return pad(x, [0, ...config.before], [0, ...config.after]);
      case "crop": {
        const size = own.map((n, i) => n - config.before[i] - config.after[i]);
        if (size.some((n) => n < 1)) throw new ShapeError(`nothing is left of ${showShape(own)} where it is cropped.`);
        return slice(x, [0, ...config.before], [batch, ...size]);
      }
      case "relu":
        return boundedRelu(x, config);
      case "softmax":
        return along(config.axis, x, config.log ? logSoftmax : softmax);
      case "function":
        if (!isKerasFunction(config.function)) throw unknownName("function", config.function, Object.keys(FUNCTIONS));
        return FUNCTIONS[config.function](x);
      case "rescale":
        return add(mul(x, perFeature(config.scale)), perFeature(config.offset));
      case "prelu":
        return leakyRelu(x, parameter("alpha"));
      case "merge":
        return merged(config, inputs);
    }
  },
  describe: (config) => (config.op === "merge" ? config.how : config.op === "function" ? config.function : config.op),
});

/** A layer of such an operation. */
export const kerasLayer = (operation: Operation): Layer => make(operation);
