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

const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

/** The nearest half (IEEE 754 binary16) of a float, as its bits; ties go to the even one. */
export function floatToHalf(value: number): number {
  float[0] = value;
  const sign = (bits[0] >>> 16) & 0x8000;
  const size = Math.abs(float[0]);
  if (Number.isNaN(size)) return sign | 0x7e00;
  if (size >= 65520) return sign | 0x7c00;
  if (size < 2 ** -24 / 2) return sign;
  // Below 2⁻¹⁴ the steps are 2⁻²⁴; above, 2¹⁰ of them between powers of two.
  const exponent = Math.max(-14, Math.floor(Math.log2(size)));
  const step = 2 ** (exponent - 10);
  const scaled = size / step;
  let whole = Math.floor(scaled);
  const rest = scaled - whole;
  if (rest > 0.5 || (rest === 0.5 && whole % 2 === 1)) whole++;
  // A carry into the next power of two comes out right, since exponent and fraction stand beside each other.
  return sign | (whole + ((exponent + 14) << 10));
}

/** The nearest bfloat16 of a float, as its bits; ties go to the even one. */
export function floatToBfloat(value: number): number {
  if (Number.isNaN(value)) return 0x7fc0;
  float[0] = value;
  return (bits[0] + 0x7fff + ((bits[0] >>> 16) & 1)) >>> 16;
}
