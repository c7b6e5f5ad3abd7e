/**
 * Operators whose results have as many elements as the elements of their operands say, and those that look at bits: they
 * are computed here, of what is known when the file is read. Where they depend on an input, a message says so.
 */
import { constant } from "../../../graph/leaf.ts";
import { broadcastShapes, sizeOf, stridesOf } from "../../../graph/shape.ts";
import { broadcastTo } from "../../../ops/index.ts";
import type { Call, Operator, Operators } from "../call.ts";
import type { ElementType } from "../format.ts";
import { bytesOf, elementsOf } from "../tensors.ts";
import { folded, integers, Value } from "../value.ts";
import { pick, range, rowNumbers, take } from "./moving.ts";

/** The places of what is not zero. */
function nonZero(call: Call): Value {
  const { shape } = call.value(0);
  const strides = stridesOf(shape);
  const places = call.known(0)!.flatMap((value, i) => (value === 0 ? [] : [i]));
  const coordinates = shape.flatMap((n, axis) => places.map((i) => Math.floor(i / strides[axis]) % n));
  return integers(coordinates, [shape.length, places.length]);
}

function compressed(call: Call): Value {
  const x = call.value(0);
  const chosen = call.known(1)!.flatMap((value, i) => (value ? [i] : []));
  if (!call.has("axis")) return new Value(pick(x.node, rowNumbers(chosen)), x.type);
  return new Value(take(x.node, rowNumbers(chosen), call.axis(call.number("axis", 0), x.shape)), x.type);
}

/** What differs among the elements, or among the slices along an axis; where each stands first; which each is; how often. */
function unique(call: Call): Value[] {
  const x = call.value(0);
  const axis = call.has("axis") ? call.axis(call.number("axis", 0), x.shape) : undefined;
  const rows = axis === undefined ? sizeOf(x.shape) : x.shape[axis];
  const elements = call.known(0)!;
  const inner = axis === undefined ? 1 : stridesOf(x.shape)[axis];
  const slices: number[][] = range(rows).map(() => []);
  for (const [i, value] of elements.entries()) slices[Math.floor(i / inner) % rows].push(value);
  const firsts = new Map<string, number>();
  const which = slices.map((slice, i) => {
    const key = slice.join();
    if (!firsts.has(key)) firsts.set(key, i);
    return firsts.get(key)!;
  });
  const found = [...firsts.values()];
  const compare = (a: number, b: number): number => {
    const at = slices[a].findIndex((value, i) => !Object.is(value, slices[b][i]));
    return at < 0 ? 0 : slices[a][at] - slices[b][at];
  };
  if (call.number("sorted", 1)) found.sort(compare);
  const y = axis === undefined ? pick(x.node, rowNumbers(found)) : take(x.node, rowNumbers(found), axis);
  return [
    new Value(y, x.type),
    integers(found),
    integers(which.map((first) => found.indexOf(first))),
    integers(found.map((first) => which.filter((other) => other === first).length)),
  ];
}

type Box = readonly [top: number, left: number, bottom: number, right: number];

/** The area that two boxes share, as part of the area that they cover. */
function overlap(a: Box, b: Box): number {
  const area = ([top, left, bottom, right]: Box): number => Math.max(0, bottom - top) * Math.max(0, right - left);
  const [[t, l, d, r], [t2, l2, d2, r2]] = [a, b];
  const shared = area([Math.max(t, t2), Math.max(l, l2), Math.min(d, d2), Math.min(r, r2)]);
  return shared > 0 ? shared / (area(a) + area(b) - shared) : 0;
}

/** The best boxes of each class that do not overlap a better one: rows of image, class and box. */
function nonMaxSuppression(call: Call): Value {
  const [boxes, scores] = [call.known(0)!, call.known(1)!];
  const [images, count] = call.value(0).shape;
  const classes = call.value(1).shape[1];
  const [most = 0] = call.known(2) ?? [];
  const [limit = 0] = call.known(3) ?? [];
  const [threshold = Number.NEGATIVE_INFINITY] = call.known(4) ?? [];
  const isCentred = call.number("center_point_box", 0) !== 0;
  const boxOf = (image: number, i: number): Box => {
    const [a, b, c, d] = boxes.slice(4 * (image * count + i));
    if (isCentred) return [b - d / 2, a - c / 2, b + d / 2, a + c / 2];
    return [Math.min(a, c), Math.min(b, d), Math.max(a, c), Math.max(b, d)];
  };
  const rows: number[] = [];
  for (const image of range(images))
    for (const kind of range(classes)) {
      const own = scores.slice((image * classes + kind) * count);
      const candidates = range(count)
        .filter((i) => own[i] > threshold)
        .sort((a, b) => own[b] - own[a] || a - b);
      const kept: number[] = [];
      for (const i of candidates)
        if (kept.length < most && kept.every((other) => overlap(boxOf(image, i), boxOf(image, other)) <= limit))
          kept.push(i);
      rows.push(...kept.flatMap((i) => [image, kind, i]));
    }
  return integers(rows, [rows.length / 3, 3]);
}

/** The bits of an array as elements of another type of the same width. */
function bitsAs(call: Call): Value {
  const { type, shape } = call.value(0);
  const to = call.type(call.number("to", 1));
  return new Value(constant(elementsOf(bytesOf(call.known(0)!, type), to, sizeOf(shape)), shape), to);
}

const widthOf = (type: ElementType): number => 8 * bytesOf([0], type).length;

/** Bit by bit, of whole numbers of up to 64 bits. */
const bitwise =
  (combine: (a: bigint, b: bigint, call: Call, width: number) => bigint): Operator =>
  (call) => {
    const { type } = call.value(0);
    const shapes = call.inputs.map((_, i) => call.value(i).shape);
    const shape = broadcastShapes(call.title, shapes);
    const [a, b = a] = shapes.map((_, i) => {
      call.known(i);
      return folded(new Value(broadcastTo(call.operand(i), shape), type)).known!;
    });
    const width = widthOf(type);
    const kept = type.startsWith("u") ? BigInt.asUintN : BigInt.asIntN;
    const values = a.map((value, i) => Number(kept(width, combine(BigInt(value), BigInt(b[i]), call, width))));
    return new Value(constant(Float64Array.from(values), shape), type);
  };

/** Bits that leave the number are lost; to the right, those of a negative number are filled up with ones. */
const shifted = bitwise((a, b, call, width) => {
  const places = b < 0n || b > width ? BigInt(width) : b;
  return call.text("direction", "LEFT") === "RIGHT" ? a >> places : a << places;
});

export const KNOWN: Operators = {
  BitCast: bitsAs,
  BitShift: shifted,
  BitwiseAnd: bitwise((a, b) => a & b),
  BitwiseNot: bitwise((a) => ~a),
  BitwiseOr: bitwise((a, b) => a | b),
  BitwiseXor: bitwise((a, b) => a ^ b),
  Compress: compressed,
  NonMaxSuppression: nonMaxSuppression,
  NonZero: nonZero,
  Unique: unique,
};
