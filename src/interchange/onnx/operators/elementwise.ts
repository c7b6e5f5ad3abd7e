/** Operators that work element by element: arithmetic, functions, comparisons, logic. */
import type { Node } from "../../../graph/node.ts";
import { sizeOf } from "../../../graph/shape.ts";
import {
  abs,
  acos,
  acosh,
  add,
  asin,
  asinh,
  atan,
  atanh,
  ceil,
  cos,
  cosh,
  div,
  equal,
  erf,
  exp,
  expm1,
  floor,
  gelu,
  geluTanh,
  greater,
  less,
  log,
  maximum,
  minimum,
  mish,
  mul,
  neg,
  pow,
  relu,
  reshape,
  round,
  select,
  sigmoid,
  sign,
  silu,
  sin,
  sinh,
  softplus,
  softsign,
  sqrt,
  sub,
  tan,
  tanh,
} from "../../../ops/index.ts";
import type { Call, Operator, Operators } from "../call.ts";
import type { ElementType } from "../format.ts";
import { isFloat, truncated, Value, wrapped } from "../value.ts";
import { productOf } from "./idioms.ts";

/** One operand, and what the operator's attributes say. */
const unaryWith =
  (change: (x: Node, call: Call) => Node, type?: ElementType): Operator =>
  (call) =>
    call.value(0).map((x) => change(x, call), type);

const unary = (change: (x: Node) => Node, type?: ElementType): Operator => unaryWith((x) => change(x), type);

/** Two values so that they meet: both with channels last where one lies so and the other can, or in ONNX's order. */
function together(a: Value, b: Value): [a: Node, b: Node, channels: "second" | "last"] {
  if (!a.isChannelsLast && !b.isChannelsLast) return [a.node, b.node, "second"];
  const rank = Math.max(a.shape.length, b.shape.length);
  const lying = (x: Value): Node | undefined => {
    if (sizeOf(x.shape) === 1) return reshape(x.node, []);
    if (x.shape.length === rank) return x.channelsLast;
    // [C, 1, 1] is one number for each channel.
    return x.shape.length === rank - 1 && x.shape.slice(1).every((n) => n === 1) ? reshape(x.node, [-1]) : undefined;
  };
  const [p, q] = [lying(a), lying(b)];
  return p && q ? [p, q, "last"] : [a.node, b.node, "second"];
}

/** Up to version 6, the second operand could be told at which axis of the first it begins. */
function placed(call: Call, a: Value, b: Value): Value {
  if (call.version >= 7 || !call.number("broadcast", 0) || !call.has("axis")) return b;
  const axis = call.axis(call.number("axis", 0), a.shape);
  const after = a.shape.length - axis - b.shape.length;
  return new Value(reshape(b.node, [...b.shape, ...Array<number>(Math.max(0, after)).fill(1)]), b.type);
}

/** Two operands, and what the operator's attributes and the type of the first say. */
const binaryWith =
  (combine: (a: Node, b: Node, call: Call, type: ElementType) => Node, type?: ElementType): Operator =>
  (call) => {
    const a = call.value(0);
    const [x, y, channels] = together(a, placed(call, a, call.value(1)));
    const own = type ?? a.type;
    return new Value(wrapped(combine(x, y, call, a.type), own), own, channels);
  };

const binary = (combine: (a: Node, b: Node) => Node, type?: ElementType): Operator =>
  binaryWith((a, b) => combine(a, b), type);

const variadic =
  (combine: (a: Node, b: Node) => Node, finish: (x: Node, count: number) => Node = (x) => x): Operator =>
  (call) => {
    const [first, ...others] = call.inputs.map((_, i) => call.value(i));
    const all = others.reduce((a, b) => {
      const [x, y, channels] = together(a, b);
      return new Value(combine(x, y), first.type, channels);
    }, first);
    return all.map((x) => finish(x, call.inputs.length));
  };

const not = (x: Node): Node => sub(1, x);

/** The quotient; of whole numbers, towards 0. */
const quotient = (a: Node, b: Node, _: Call, type: ElementType): Node =>
  isFloat(type) ? div(a, b) : truncated(div(a, b));

/** What is left of a division: with `fmod` with the sign of what is divided, otherwise with that of the divisor. */
function remainder(a: Node, b: Node, call: Call): Node {
  const whole = select(equal(abs(b), Number.POSITIVE_INFINITY), a, sub(a, mul(b, truncated(div(a, b)))));
  return call.number("fmod", 0) ? whole : select(less(mul(sign(whole), sign(b)), 0), add(whole, b), whole);
}

/** A power; small whole ones as products, so that nothing is lost. */
function power(call: Call): Value {
  const [a, b] = [call.value(0), call.value(1)];
  const exponent = sizeOf(b.shape) === 1 ? b.known?.[0] : undefined;
  const POWERS: Readonly<Record<number, (x: Node) => Node>> = {
    0.5: sqrt,
    1: (x) => x,
    2: (x) => mul(x, x),
    3: (x) => mul(x, mul(x, x)),
  };
  if (exponent !== undefined && POWERS[exponent] && b.shape.length <= a.shape.length) return a.map(POWERS[exponent]);
  const [x, y, channels] = together(a, b);
  const result = pow(x, y);
  if (isFloat(a.type)) return new Value(result, a.type, channels);
  // What is whole comes out of a logarithm only nearly so.
  const whole = round(result);
  const isWhole = less(abs(sub(result, whole)), mul(1e-5, abs(whole)));
  return new Value(select(isWhole, whole, truncated(result)), a.type, channels);
}

/** Keeps values between two bounds, either of which may be absent. */
function clip(call: Call): Value {
  const bound = (attribute: string, i: number): Node | number | undefined => {
    if (call.version < 11) return call.has(attribute) ? call.number(attribute, 0) : undefined;
    const value = call.optional(i);
    return value && reshape(value.node, []);
  };
  const [low, high] = [bound("min", 1), bound("max", 2)];
  return call.value(0).map((x) => {
    const raised = low === undefined ? x : maximum(x, low);
    return high === undefined ? raised : minimum(raised, high);
  });
}

/** Values of one type as values of another. */
export function cast(value: Value, to: ElementType): Value {
  if (to === "bool") return value.map((x) => not(equal(x, 0)), to);
  if (isFloat(to) || value.type === "bool") return value.map((x) => x, to);
  return value.map((x) => wrapped(isFloat(value.type) ? truncated(x) : x, to), to);
}

function where(call: Call): Value {
  const [condition, a, b] = [call.value(0), call.value(1), call.value(2)];
  return new Value(select(condition.node, a.node, b.node), a.type);
}

function isInfinite(x: Node, call: Call): Node {
  const [low, high] = [call.number("detect_negative", 1), call.number("detect_positive", 1)];
  const found = [low ? equal(x, Number.NEGATIVE_INFINITY) : undefined, high ? equal(x, Infinity) : undefined];
  return found.filter((x) => x !== undefined).reduce((a, b) => maximum(a, b), mul(0, equal(x, x)));
}

/** One slope for all, or one for each channel. */
function prelu(call: Call): Value {
  const [x, slope] = [call.value(0), call.value(1)];
  // Before version 7 the slopes of channels stood alone.
  const perChannel = slope.shape.length === 1 && slope.shape[0] > 1 && x.shape[1] === slope.shape[0];
  const placed =
    perChannel && call.version < 7
      ? new Value(reshape(slope.node, [-1, ...Array<number>(x.shape.length - 2).fill(1)]), slope.type)
      : slope;
  const [a, b, channels] = together(x, placed);
  return new Value(select(less(a, 0), mul(a, b), a), x.type, channels);
}

export const ELEMENTWISE: Operators = {
  Abs: unary(abs),
  Acos: unary(acos),
  Acosh: unary(acosh),
  Add: binary(add),
  And: binary(mul, "bool"),
  Asin: unary(asin),
  Asinh: unary(asinh),
  Atan: unary(atan),
  Atanh: unary(atanh),
  Cast: (call) => cast(call.value(0), call.type(call.number("to", 1))),
  CastLike: (call) => cast(call.value(0), call.value(1).type),
  Ceil: unary(ceil),
  Celu: unaryWith((x, call) => {
    const alpha = call.number("alpha", 1);
    return add(maximum(x, 0), minimum(mul(alpha, expm1(div(x, alpha))), 0));
  }),
  Clip: clip,
  Cos: unary(cos),
  Cosh: unary(cosh),
  Div: binaryWith(quotient),
  Elu: unaryWith((x, call) => select(less(x, 0), mul(call.number("alpha", 1), expm1(minimum(x, 0))), x)),
  Equal: binary(equal, "bool"),
  Erf: unary(erf),
  Exp: unary(exp),
  Floor: unary(floor),
  Gelu: unaryWith((x, call) => (call.text("approximate", "none") === "tanh" ? geluTanh(x) : gelu(x))),
  Greater: binary(greater, "bool"),
  GreaterOrEqual: binary((a, b) => maximum(greater(a, b), equal(a, b)), "bool"),
  HardSigmoid: unaryWith((x, call) =>
    minimum(maximum(add(mul(call.number("alpha", 0.2), x), call.number("beta", 0.5)), 0), 1),
  ),
  HardSwish: unary((x) => mul(x, minimum(maximum(add(mul(1 / 6, x), 0.5), 0), 1))),
  Identity: (call) => call.value(0),
  IsInf: unaryWith(isInfinite, "bool"),
  IsNaN: unary((x) => not(equal(x, x)), "bool"),
  LeakyRelu: unaryWith((x, call) => select(less(x, 0), mul(call.number("alpha", 0.01), x), x)),
  Less: binary(less, "bool"),
  LessOrEqual: binary((a, b) => maximum(less(a, b), equal(a, b)), "bool"),
  Log: unary(log),
  Max: variadic(maximum),
  Mean: variadic(add, (x, count) => mul(x, 1 / count)),
  Min: variadic(minimum),
  Mish: unary(mish),
  Mod: binaryWith(remainder),
  Mul: binary(productOf),
  Neg: unary(neg),
  Not: unary(not),
  Or: binary(maximum, "bool"),
  PRelu: prelu,
  Pow: power,
  Reciprocal: unary((x) => div(1, x)),
  Relu: unary(relu),
  Round: unary(round),
  Selu: unaryWith((x, call) => {
    const [alpha, gamma] = [call.number("alpha", 1.6732632423543772), call.number("gamma", 1.0507009873554805)];
    return mul(gamma, select(less(x, 0), mul(alpha, expm1(minimum(x, 0))), x));
  }),
  Shrink: unaryWith((x, call) => {
    const [bias, lambda] = [call.number("bias", 0), call.number("lambd", 0.5)];
    return select(less(x, -lambda), add(x, bias), select(greater(x, lambda), sub(x, bias), 0));
  }),
  Sigmoid: unary(sigmoid),
  Sign: unary(sign),
  Sin: unary(sin),
  Sinh: unary(sinh),
  Softplus: unary(softplus),
  Softsign: unary(softsign),
  Sqrt: unary(sqrt),
  Sub: binary(sub),
  Sum: variadic(add),
  SwiGLU: (call) => {
    const [gate, linear] = [call.value(0), call.value(1)];
    return new Value(mul(swish(gate.node, call.number("alpha", 1)), linear.node), gate.type);
  },
  Swish: unaryWith((x, call) => swish(x, call.number("alpha", 1))),
  Tan: unary(tan),
  Tanh: unary(tanh),
  ThresholdedRelu: unaryWith((x, call) => select(greater(x, call.number("alpha", 1)), x, 0)),
  Where: where,
  Xor: binary((a, b) => sub(1, equal(a, b)), "bool"),
};

function swish(x: Node, alpha: number): Node {
  return alpha === 1 ? silu(x) : mul(x, sigmoid(mul(alpha, x)));
}
