/**
 * The typed arrays that data comes in, and how many elements a shape has. It knows no file format and no tensor of
 * the graph: here an array is flat numbers beside a shape, last axis fastest.
 */

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

/** Sixteen-bit floats (IEEE 754 binary16, as bits) as 32-bit floats. */
export function halfToFloat(bits: Uint16Array): Float32Array {
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

/** The elements of `bytes` as `kind`, from a file in big-endian (most significant byte first) or little-endian order. */
export function elementsOf<A extends TypedArray>(kind: ArrayKind<A>, bytes: Uint8Array, bigEndian = false): A {
  const copy = new Uint8Array(bytes); // not bytes.slice(): that of Node's Buffer is no copy
  const size = kind.BYTES_PER_ELEMENT;
  if (bigEndian && size > 1) for (let i = 0; i < copy.length; i += size) copy.subarray(i, i + size).reverse();
  return new kind(copy.buffer, 0, copy.length / size);
}

/** The constructor of a typed array over a buffer. */
export interface ArrayKind<A extends TypedArray> {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBuffer, offset: number, length: number): A;
}
