/** Arrays of ONNX files: read from the several forms in which a file may hold them, and written. */
import { ELEMENT_TYPES, type ElementName, floatToBfloat, floatToHalf } from "../../data/element-types.ts";
import { DataError } from "../../errors.ts";
import { type Shape, showShape, sizeOf } from "../../graph/shape.ts";
import { type ElementType, type TensorProto, TYPE_NAMES, typeNumber } from "./format.ts";
import { smallElements, smallSize } from "./small-types.ts";

/** An array of a file. Floats of 32 bits stay such; all other numbers come as doubles, exact up to 2⁵³. */
export interface OnnxTensor {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: Shape;
  readonly data: Float32Array | Float64Array;
}

/** A small array as plain JSON, which has no infinities and no NaN: these are texts. */
export interface PlainArray {
  readonly type: ElementType;
  readonly shape: Shape;
  readonly data: readonly (number | string)[];
}

export const plainArray = ({ type, shape, data }: Omit<OnnxTensor, "name">): PlainArray => ({
  type,
  shape,
  data: Array.from(data, (value) => (Number.isFinite(value) ? value : String(value))),
});

/** Finds the bytes of arrays that lie in a file beside the model, by the name that the model gives. */
export type ExternalData = (location: string) => Uint8Array;

/** The types as readers of arrays know them; the smaller ones have a file of their own. */
const NAMES: Partial<Record<ElementType, ElementName>> = {
  float: "f4",
  uint8: "u1",
  int8: "i1",
  uint16: "u2",
  int16: "i2",
  int32: "i4",
  int64: "i8",
  bool: "u1",
  float16: "f2",
  double: "f8",
  uint32: "u4",
  uint64: "u8",
  bfloat16: "bf2",
};

const sizeInBytes = (type: ElementType, count: number): number =>
  smallSize(type, count) ?? count * ELEMENT_TYPES[NAMES[type]!].size;

/** Elements from their bytes, all but floats as doubles. */
export function elementsOf(bytes: Uint8Array, type: ElementType, count: number): OnnxTensor["data"] {
  const name = NAMES[type];
  if (!name) return smallElements(bytes, type, count);
  const elements = ELEMENT_TYPES[name].read(bytes);
  if (elements instanceof BigInt64Array || elements instanceof BigUint64Array)
    return Float64Array.from(elements, Number);
  return elements instanceof Float32Array && type === "float" ? elements : new Float64Array(elements);
}

type Numbers = ArrayLike<number>;

const WRITERS: Readonly<Record<ElementName, (data: Numbers) => { readonly buffer: ArrayBuffer }>> = {
  f8: (data) => new Float64Array(data),
  f4: (data) => new Float32Array(data),
  f2: (data) => Uint16Array.from(data, floatToHalf),
  bf2: (data) => Uint16Array.from(data, floatToBfloat),
  i8: (data) => BigInt64Array.from(Array.from(data, BigInt)),
  u8: (data) => BigUint64Array.from(Array.from(data, BigInt)),
  i4: (data) => new Int32Array(data),
  u4: (data) => new Uint32Array(data),
  i2: (data) => new Int16Array(data),
  u2: (data) => new Uint16Array(data),
  i1: (data) => new Int8Array(data),
  u1: (data) => new Uint8Array(data),
};

/** Elements as bytes. @throws DataError for types of fewer than 8 bits, and floats of 8 bits, which are not written */
export function bytesOf(data: Numbers, type: ElementType): Uint8Array<ArrayBuffer> {
  const name = NAMES[type];
  if (name) return new Uint8Array(WRITERS[name](data).buffer);
  throw new DataError(
    `Elements of type ${type} are read, but not written.`,
    {},
    { code: "unsupported", facts: { type } },
  );
}

/** How a type of elements is called, for messages too. @throws DataError for types that are not computed with. */
export function elementType(number: number | undefined, what: string): ElementType {
  const type = (TYPE_NAMES as Readonly<Record<number, ElementType>>)[number ?? 0];
  if (type) return type;
  throw new DataError(
    `${what} has elements of ONNX's type number ${number ?? 0}; numbers and truth values of up to 64 bits are read, but no texts, complex numbers, lists or optional values.`,
    {},
    { code: "unsupported", facts: { type: number ?? 0 } },
  );
}

/** The elements of an array of a file. */
export function readTensor(proto: TensorProto, external?: ExternalData): OnnxTensor {
  const { name = "", dims: shape = [] } = proto;
  const what = `The array "${name}"`;
  const type = elementType(proto.dataType, what);
  const count = sizeOf(shape);
  const wrong = (found: number): DataError =>
    new DataError(
      `${what} of shape ${showShape(shape)} should have ${count} elements; the file holds ${found}.`,
      {},
      { code: "damaged-file" },
    );
  if (!shape.every((n) => Number.isSafeInteger(n) && n >= 0)) throw wrong(Number.NaN);
  const raw = proto.dataLocation === 1 ? outside(proto, what, external) : proto.rawData;
  const bytes = sizeInBytes(type, count);
  if (raw) {
    if (raw.length !== bytes) throw wrong(Math.floor(raw.length / sizeInBytes(type, 1)));
    return { name, type, shape, data: elementsOf(raw, type, count) };
  }
  const list =
    [proto.floatData, proto.int32Data, proto.int64Data, proto.doubleData, proto.uint64Data].find((x) => x?.length) ??
    [];
  // Halves and smaller numbers stand in the list of integers as their bits, several of the smallest in one.
  if (smallSize(type, count) !== undefined) {
    if (list.length !== bytes) throw wrong(list.length);
    return { name, type, shape, data: smallElements(Uint8Array.from(list), type, count) };
  }
  if (list.length !== count) throw wrong(list.length);
  const data = /float16/.test(type)
    ? elementsOf(new Uint8Array(Uint16Array.from(list).buffer), type, count)
    : type === "float"
      ? Float32Array.from(list)
      : Float64Array.from(list);
  return { name, type, shape, data };
}

function outside(proto: TensorProto, what: string, external: ExternalData | undefined): Uint8Array {
  const entry = (key: string) => proto.externalData?.find((pair) => pair.key === key)?.value;
  const location = entry("location") ?? "";
  if (!external)
    throw new DataError(
      `${what} lies in a file beside the model, "${location}". Give a way to read it: { external: (name) => bytes }, or save the model with its weights inside.`,
      { file: location },
    );
  const bytes = external(location);
  const [offset, length] = [Number(entry("offset") ?? 0), Number(entry("length") ?? bytes.length)];
  if (!(offset >= 0 && length >= 0 && offset + length <= bytes.length))
    throw new DataError(
      `${what} should lie at byte ${offset} of "${location}", which has ${bytes.length} bytes.`,
      { file: location },
      { code: "damaged-file" },
    );
  return bytes.subarray(offset, offset + length);
}

/** An array as a file holds it, its elements in their own width. */
export const writeTensor = ({
  name,
  type,
  shape,
  data,
}: Omit<OnnxTensor, "data"> & { readonly data: Numbers }): TensorProto => ({
  name,
  dims: [...shape],
  dataType: typeNumber(type),
  rawData: bytesOf(data, type),
});
