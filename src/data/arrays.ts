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

interface ArrayKind<A extends TypedArray> {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBuffer, offset: number, length: number): A;
}

/** The type of the elements that a typed array holds. */
export function elementType<A extends TypedArray>(kind: ArrayKind<A> & { readonly name: string }) {
  return {
    size: kind.BYTES_PER_ELEMENT,
    array: kind.name,
    read: (bytes: Uint8Array, bigEndian?: boolean) => elements(kind, bytes, bigEndian),
  };
}

/** The elements in `bytes`, which may stand in either order of bytes: a copy, but of pixels a view. */
export function elements<A extends TypedArray>(kind: ArrayKind<A>, bytes: Uint8Array, bigEndian = false): A {
  if (kind.BYTES_PER_ELEMENT === 1) return new kind(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.length);
  const copy = new Uint8Array(bytes); // not bytes.slice(): that of Node's Buffer is no copy
  const size = kind.BYTES_PER_ELEMENT;
  if (bigEndian)
    for (let i = 0; i < copy.length; i += size)
      for (let low = i, high = i + size - 1; low < high; low++, high--)
        [copy[low], copy[high]] = [copy[high], copy[low]];
  return new kind(copy.buffer, 0, copy.length / size);
}
