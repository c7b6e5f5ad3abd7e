/** The types of elements that files of numbers hold, in a table: what readers and writers of NPY, IDX and safetensors share. */
import { ArgumentError } from "../errors.ts";
import { type ElementType, elements, elementType, type TypedArray } from "./arrays.ts";
import { show } from "./fail.ts";

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

/** Floats of 16 bits, which no typed array holds. */
function converted(toFloat: (bits: Uint16Array) => Float32Array) {
  return {
    size: 2,
    read: (bytes: Uint8Array, bigEndian?: boolean) => toFloat(elements(Uint16Array, bytes, bigEndian)),
  };
}

/** Sixteen-bit floats (IEEE 754 binary16, as bits) as 32-bit floats. */
export function halfToFloat(bits: Uint16Array): Float32Array {
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
