/**
 * The typed arrays that data comes in, and how many elements a shape has. It knows no file format and no tensor of
 * the graph: here an array is flat numbers beside a shape, last axis fastest.
 */

import { ArgumentError } from "../errors.ts";
import { show } from "./fail.ts";

/** Typed arrays whose elements are ordinary numbers: what a network can be trained on. */
export type NumberArray =
  | Float64Array
  | Float32Array
  | Int32Array
  | Uint32Array
  | Int16Array
  | Uint16Array
  | Int8Array
  | Uint8Array;

/** Every typed array a file may hold: `NumberArray` and the two of 64-bit integers. */
export type TypedArray = NumberArray | BigInt64Array | BigUint64Array;

/** Flat elements and their shape, last axis fastest. */
export interface ShapedArray<A extends TypedArray = TypedArray> {
  readonly shape: readonly number[];
  readonly data: A;
}

/**
 * The number of elements of a shape that may come from a damaged file: `undefined` when a length is negative, broken
 * or not a number, or when the product is no exact integer.
 */
export function countElements(shape: readonly unknown[]): number | undefined {
  let count = 1;
  let empty = false;
  for (const length of shape) {
    if (typeof length !== "number" || !Number.isSafeInteger(length) || length < 0) return undefined;
    if (length === 0) empty = true;
    else count *= length;
    if (!Number.isSafeInteger(count)) return undefined;
  }
  return empty ? 0 : count;
}

/** One type of elements: the bytes of one, and how they are read from a file. */
export interface ElementType<A extends TypedArray = TypedArray> {
  readonly size: number;
  read(bytes: Uint8Array, bigEndian?: boolean): A;
}

/** The types of elements that files hold, by the names NumPy gives them. Half floats are read as `Float32Array`. */
export const ELEMENT_TYPES = {
  f8: elementType(Float64Array),
  f4: elementType(Float32Array),
  f2: {
    size: 2,
    read: (bytes: Uint8Array, bigEndian?: boolean) => halfToFloat(elements(Uint16Array, bytes, bigEndian)),
  },
  bf16: {
    size: 2,
    read: (bytes: Uint8Array, bigEndian?: boolean) => bfloatToFloat(elements(Uint16Array, bytes, bigEndian)),
  },
  i8: elementType(BigInt64Array),
  u8: elementType(BigUint64Array),
  i4: elementType(Int32Array),
  u4: elementType(Uint32Array),
  i2: elementType(Int16Array),
  u2: elementType(Uint16Array),
  i1: elementType(Int8Array),
  u1: elementType(Uint8Array),
} satisfies Record<string, ElementType>;

/** The name of a type of elements. */
export type ElementName = keyof typeof ELEMENT_TYPES;

const NAMES = new Map<string, ElementName>([
  ["Float64Array", "f8"],
  ["Float32Array", "f4"],
  ["BigInt64Array", "i8"],
  ["BigUint64Array", "u8"],
  ["Int32Array", "i4"],
  ["Uint32Array", "u4"],
  ["Int16Array", "i2"],
  ["Uint16Array", "u2"],
  ["Int8Array", "i1"],
  ["Uint8Array", "u1"],
]);

/** The type of the elements of an array that is to be written. Throws `ArgumentError` when it is no typed array of numbers. */
export function elementName(data: TypedArray, what: string): ElementName {
  const name = NAMES.get(Object.prototype.toString.call(data).slice(8, -1));
  if (name === undefined)
    throw new ArgumentError(`${what} is ${show(data)}; give a typed array (${[...NAMES.keys()].join(", ")}).`);
  return name;
}

interface ArrayKind<A extends TypedArray> {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBuffer, offset: number, length: number): A;
}

function elementType<A extends TypedArray>(kind: ArrayKind<A>) {
  return {
    size: kind.BYTES_PER_ELEMENT,
    read: (bytes: Uint8Array, bigEndian?: boolean) => elements(kind, bytes, bigEndian),
  };
}

/** The elements in `bytes`, which may stand in either order of bytes: a copy, but of pixels a view. */
function elements<A extends TypedArray>(kind: ArrayKind<A>, bytes: Uint8Array, bigEndian = false): A {
  if (kind.BYTES_PER_ELEMENT === 1) return new kind(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.length);
  const copy = new Uint8Array(bytes); // not bytes.slice(): that of Node's Buffer is no copy
  const size = kind.BYTES_PER_ELEMENT;
  if (bigEndian)
    for (let i = 0; i < copy.length; i += size)
      for (let low = i, high = i + size - 1; low < high; low++, high--)
        [copy[low], copy[high]] = [copy[high], copy[low]];
  return new kind(copy.buffer, 0, copy.length / size);
}

/** Sixteen-bit floats (IEEE 754 binary16, as bits) as 32-bit floats. */
function halfToFloat(bits: Uint16Array): Float32Array {
  const out = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) {
    const sign = bits[i] & 0x8000 ? -1 : 1;
    const exponent = (bits[i] >>> 10) & 31;
    const fraction = bits[i] & 1023;
    if (exponent === 31) out[i] = fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
    else if (exponent === 0) out[i] = sign * fraction * 2 ** -24;
    else out[i] = sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  }
  return out;
}

/** bfloat16, the upper half of a 32-bit float, as 32-bit floats. */
function bfloatToFloat(bits: Uint16Array): Float32Array {
  const words = Uint32Array.from(bits, (value) => value << 16);
  return new Float32Array(words.buffer);
}
