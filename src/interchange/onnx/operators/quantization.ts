/** Operators between floats and whole numbers of 8 bits with a scale. */
import { constant, constantArray } from "../../../graph/leaf.ts";
import type { Node } from "../../../graph/node.ts";
import { sizeOf, stridesOf } from "../../../graph/shape.ts";
import { add, div, equal, max, maximum, minimum, mul, neg, reshape, round, select, sub } from "../../../ops/index.ts";
import type { Call, Operators } from "../call.ts";
import type { ElementType } from "../format.ts";
import { limitsOf, Value } from "../value.ts";
import { CONVOLUTION } from "./convolution.ts";
import { product } from "./linear.ts";
import { range, rowNumbers, take } from "./moving.ts";

/** A scale or zero point: one number, one for each place along an axis of x, or one for each block of places. */
function along(call: Call, value: Value, { shape }: Value): Node {
  if (value.shape.length === 0 || (value.shape.length === 1 && value.shape[0] === 1)) return reshape(value.node, []);
  const axis = call.axis(call.number("axis", 1), shape);
  const block = call.number("block_size", 0);
  if (block > 0) return take(value.node, rowNumbers(range(shape[axis]).map((i) => Math.floor(i / block))), axis);
  return reshape(value.node, [-1, ...Array<number>(shape.length - axis - 1).fill(1)]);
}

const kept = (x: Node, type: ElementType, call: Call): Node => {
  const [low, high] = /^u?int(2|4|8|16)$/.test(type) ? limitsOf(type) : call.fail(`numbers of type ${type}`);
  return minimum(maximum(x, low), high);
};

/** The type that an attribute names, or another. */
const wantedType = (call: Call, otherwise: ElementType): ElementType =>
  call.number("output_dtype", 0) ? call.type(call.number("output_dtype", 0)) : otherwise;

/** round(x / scale) + zero, kept within the type of zero. */
function quantized(call: Call): Value {
  const x = call.value(0);
  const zero = call.optional(2);
  const type = zero?.type ?? wantedType(call, "uint8");
  const whole = round(div(x.node, along(call, call.value(1), x)));
  return new Value(kept(zero ? add(whole, along(call, zero, x)) : whole, type, call), type);
}

/** (x − zero) · scale. */
function dequantized(call: Call): Value {
  const [x, scale] = [call.value(0), call.value(1)];
  const zero = call.optional(2);
  const type = wantedType(call, scale.type);
  return (
    storedWeights(call, x, scale, zero, type) ??
    new Value(mul(zero ? sub(x.node, along(call, zero, x)) : x.node, along(call, scale, x)), type)
  );
}

/** Weights of the file with a scale for each column, and no zero point: at once, since they may be many. */
function storedWeights(
  call: Call,
  x: Value,
  scale: Value,
  zero: Value | undefined,
  type: ElementType,
): Value | undefined {
  const values = constantArray(x.node);
  const scales = constantArray(scale.node);
  if (!values || !scales || zero || call.number("block_size", 0) > 0 || scale.shape.length !== 1) return undefined;
  const axis = call.axis(call.number("axis", 1), x.shape);
  if (scale.shape[0] !== x.shape[axis]) return undefined;
  const inner = stridesOf(x.shape)[axis];
  const floats = new Float32Array(values.length);
  for (let i = 0; i < values.length; ) {
    const by = scales[(i / inner) % scales.length];
    for (const end = i + inner; i < end; i++) floats[i] = values[i] * by;
  }
  return new Value(constant(floats, x.shape), type);
}

/** Quantises by the range of the values themselves, in which 0 is. */
function dynamicallyQuantized(call: Call): Value[] {
  const x = call.operand(0);
  const [least, most] = [minimum(neg(max(neg(x))), 0), maximum(max(x), 0)];
  const step = div(sub(most, least), 255);
  const scale = select(equal(step, 0), 1, step);
  const zero = kept(round(div(neg(least), scale)), "uint8", call);
  const y = kept(add(round(div(x, scale)), zero), "uint8", call);
  return [new Value(y, "uint8"), new Value(scale, "float"), new Value(zero, "uint8")];
}

/** A number for a whole matrix, or one for each of its rows or of its columns. */
const forMatrix = ({ node, shape }: Value, perRow: boolean): Node =>
  perRow && shape.length === 1 && shape[0] > 1 ? reshape(node, [-1, 1]) : node;

function integerProduct(call: Call): Value {
  const less = (i: number, zero: number): Node => {
    const value = call.optional(zero);
    return value ? sub(call.operand(i), forMatrix(value, i === 0)) : call.operand(i);
  };
  return new Value(product(less(0, 2), less(1, 3)), "int32");
}

/** The product of two quantised matrices, each with scale and zero point behind it, quantised again. */
function quantizedProduct(call: Call): Value {
  const [scaleA, scaleB, scaleY] = [call.value(1), call.value(4), call.operand(6)];
  const a = sub(call.operand(0), forMatrix(call.value(2), true));
  const b = sub(call.operand(3), forMatrix(call.value(5), false));
  const scale = div(mul(forMatrix(scaleA, true), forMatrix(scaleB, false)), scaleY);
  const zero = call.value(7);
  return new Value(kept(add(round(mul(product(a, b), scale)), zero.node), zero.type, call), zero.type);
}

/** A kernel's number for all, or one for each of its filters, to stand beside the kernel [O, …]. */
const forKernel = ({ node, shape }: Value, rank: number): Node =>
  sizeOf(shape) === 1 ? reshape(node, []) : reshape(node, [-1, ...Array<number>(rank - 1).fill(1)]);

/** The convolution of whole numbers less their zero points. */
function wholeConvolution(
  call: Call,
  [x, w, bias]: readonly (Value | undefined)[],
  zeros: readonly (Value | undefined)[],
): Value {
  const centred = [x, w].map((value, i) => {
    const zero = zeros[i];
    return value && zero ? new Value(sub(value.node, forKernel(zero, value.shape.length)), value.type) : value;
  });
  return CONVOLUTION.Conv(call.with([...centred, bias])) as Value;
}

const integerConvolution = (call: Call): Value =>
  wholeConvolution(call, [call.value(0), call.value(1)], [call.optional(2), call.optional(3)]).map((x) => x, "int32");

function quantizedConvolution(call: Call): Value {
  const [scaleX, scaleW, scaleY] = [1, 4, 6].map((i) => call.value(i));
  const y = wholeConvolution(call, [call.value(0), call.value(3), call.optional(8)], [call.value(2), call.value(5)]);
  const scale = div(
    mul(reshape(scaleX.node, []), forKernel(scaleW, y.isChannelsLast ? 1 : y.shape.length - 1)),
    reshape(scaleY.node, []),
  );
  const zero = call.value(7);
  return y.map((sums) => kept(add(round(mul(sums, scale)), reshape(zero.node, [])), zero.type, call), zero.type);
}

export const QUANTIZATION: Operators = {
  ConvInteger: integerConvolution,
  DequantizeLinear: dequantized,
  DynamicQuantizeLinear: dynamicallyQuantized,
  MatMulInteger: integerProduct,
  QLinearConv: quantizedConvolution,
  QLinearMatMul: quantizedProduct,
  QuantizeLinear: quantized,
};
