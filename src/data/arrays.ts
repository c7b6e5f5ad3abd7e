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
  const isLength = (length: unknown): length is number => Number.isSafeInteger(length) && (length as number) >= 0;
  if (!shape.every(isLength)) return undefined;
  const count = shape.reduce((product, length) => product * (length || 1), 1);
  if (!Number.isSafeInteger(count)) return undefined;
  return shape.includes(0) ? 0 : count;
}

/** One type of elements: the bytes of one, and how they are read from a file. */
export interface ElementType<A extends TypedArray = TypedArray> {
  readonly size: number;
  /** The name of the typed array that holds them as they are. */
  readonly array?: string;
  read(bytes: Uint8Array, bigEndian?: boolean): A;
}

/** The types of elements that files hold, by the names NumPy gives them; bf2 is bfloat16, which NumPy has not. */
export const ELEMENT_TYPES = {
  f8: elementType(Float64Array),
  f4: elementType(Float32Array),
  f2: converted(halfToFloat),
  bf2: converted(bfloatToFloat),
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

/** The type of the elements of an array that is to be written. Throws `ArgumentError` when it is no typed array of numbers. */
export function elementName(data: TypedArray, what: string): ElementName {
  const array = Object.prototype.toString.call(data).slice(8, -1);
  const found = Object.entries<ElementType>(ELEMENT_TYPES).find(([, type]) => type.array === array);
  if (!found) throw new ArgumentError(`${what} is ${show(data)}; give a typed array of numbers, such as Float32Array.`);
  return found[0] as ElementName;
}

interface ArrayKind<A extends TypedArray> {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBuffer, offset: number, length: number): A;
}

function elementType<A extends TypedArray>(kind: ArrayKind<A> & { readonly name: string }) {
  return {
    size: kind.BYTES_PER_ELEMENT,
    array: kind.name,
    read: (bytes: Uint8Array, bigEndian?: boolean) => elements(kind, bytes, bigEndian),
  };
}

/** Floats of 16 bits, which no typed array holds. */
function converted(toFloat: (bits: Uint16Array) => Float32Array) {
  return {
    size: 2,
    read: (bytes: Uint8Array, bigEndian?: boolean) => toFloat(elements(Uint16Array, bytes, bigEndian)),
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
    else out[i] = sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25));
  }
  return out;
}

/** bfloat16, the upper half of a 32-bit float, as 32-bit floats. */
function bfloatToFloat(bits: Uint16Array): Float32Array {
  const words = Uint32Array.from(bits, (value) => value << 16);
  return new Float32Array(words.buffer);
}
