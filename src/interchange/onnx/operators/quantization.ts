/** Operators between floats and whole numbers of 8 bits with a scale. */
import type { Node } from "../../../graph/node.ts";
import {
  add,
  div,
  equal,
  matmul,
  max,
  maximum,
  minimum,
  mul,
  neg,
  reshape,
  round,
  select,
  sub,
} from "../../../ops/index.ts";
import type { Call, Operators } from "../call.ts";
import type { ElementType } from "../format.ts";
import { Value } from "../value.ts";
import { CONVOLUTION } from "./convolution.ts";

/** What a type of whole numbers reaches from and to. */
const LIMITS: Partial<Record<ElementType, readonly [number, number]>> = {
  uint8: [0, 255],
  int8: [-128, 127],
  uint16: [0, 65535],
  int16: [-32768, 32767],
};

/** A scale or zero point: one number, or one for each place along an axis of x. */
function along(call: Call, value: Value, { shape }: Value): Node {
  if (value.shape.length === 0 || (value.shape.length === 1 && value.shape[0] === 1)) return reshape(value.node, []);
  const axis = call.axis(call.number("axis", 1), shape);
  return reshape(value.node, [-1, ...Array<number>(shape.length - axis - 1).fill(1)]);
}

const kept = (x: Node, type: ElementType, call: Call): Node => {
  const [low, high] = LIMITS[type] ?? call.fail(`numbers of type ${type}`);
  return minimum(maximum(x, low), high);
};

/** round(x / scale) + zero, kept within the type of zero. */
function quantized(call: Call): Value {
  const x = call.value(0);
  const zero = call.optional(2);
  const type = zero?.type ?? "uint8";
  const whole = round(div(x.node, along(call, call.value(1), x)));
  return new Value(kept(zero ? add(whole, along(call, zero, x)) : whole, type, call), type);
}

/** (x − zero) · scale. */
function dequantized(call: Call): Value {
  const [x, scale] = [call.value(0), call.value(1)];
  const zero = call.optional(2);
  const centred = zero ? sub(x.node, along(call, zero, x)) : x.node;
  return new Value(mul(centred, along(call, scale, x)), scale.type);
}

/** Quantises by the range of the values themselves, in which 0 is. */
function dynamicallyQuantized(call: Call): Value[] {
  const x = call.operand(0);
  const [least, most] = [minimum(neg(max(neg(x))), 0), maximum(max(x), 0)];
  const range = div(sub(most, least), 255);
  const scale = select(equal(range, 0), 1, range);
  const zero = kept(round(div(neg(least), scale)), "uint8", call);
  const y = kept(add(round(div(x, scale)), zero), "uint8", call);
  return [new Value(y, "uint8"), new Value(scale, "float"), new Value(zero, "uint8")];
}

/** Less a zero point: one, or one for each row or column. */
function less(x: Node, zero: Value | undefined, perRow: boolean): Node {
  if (!zero) return x;
  return sub(x, perRow && zero.shape.length === 1 && zero.shape[0] > 1 ? reshape(zero.node, [-1, 1]) : zero.node);
}

function integerProduct(call: Call): Value {
  const a = less(call.operand(0), call.optional(2), true);
  const b = less(call.operand(1), call.optional(3), false);
  return new Value(matmul(a, b), "int32");
}

function integerConvolution(call: Call): Value {
  const centred = [0, 1].map((i) => {
    const zero = call.optional(i + 2);
    const value = call.value(i);
    return zero ? new Value(sub(value.node, reshape(zero.node, [])), value.type) : value;
  });
  const y = CONVOLUTION.Conv(call.with(centred)) as Value;
  return y.map((x) => x, "int32");
}

export const QUANTIZATION: Operators = {
  ConvInteger: integerConvolution,
  DequantizeLinear: dequantized,
  DynamicQuantizeLinear: dynamicallyQuantized,
  MatMulInteger: integerProduct,
  QuantizeLinear: quantized,
};
