/** Arrays of ONNX files: read from the several forms in which a file may hold them, and written. */
import { DataError } from "../../errors.ts";
import { type Shape, showShape, sizeOf } from "../../graph/shape.ts";
import { ELEMENT_TYPES, type ElementType, type TensorProto, typeNumber } from "./format.ts";

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

const BYTES: Readonly<Record<ElementType, number>> = {
  float: 4,
  uint8: 1,
  int8: 1,
  uint16: 2,
  int16: 2,
  int32: 4,
  int64: 8,
  bool: 1,
  float16: 2,
  double: 8,
  uint32: 4,
  uint64: 8,
  bfloat16: 2,
};

/** 1 bit of sign, 5 of exponent, 10 of fraction. */
function half(bits: number): number {
  const [sign, exponent, fraction] = [bits & 0x8000 ? -1 : 1, (bits >> 10) & 0x1f, bits & 0x3ff];
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15));
}

const bits = new DataView(new ArrayBuffer(4));

/** The upper half of a float. */
function brain(upper: number): number {
  bits.setUint32(0, upper << 16);
  return bits.getFloat32(0);
}

/** How an element of a type is read from the raw bytes. */
const ELEMENT: Readonly<Record<ElementType, (view: DataView, at: number) => number>> = {
  float: (view, at) => view.getFloat32(at, true),
  uint8: (view, at) => view.getUint8(at),
  int8: (view, at) => view.getInt8(at),
  uint16: (view, at) => view.getUint16(at, true),
  int16: (view, at) => view.getInt16(at, true),
  int32: (view, at) => view.getInt32(at, true),
  int64: (view, at) => Number(view.getBigInt64(at, true)),
  bool: (view, at) => view.getUint8(at),
  float16: (view, at) => half(view.getUint16(at, true)),
  double: (view, at) => view.getFloat64(at, true),
  uint32: (view, at) => view.getUint32(at, true),
  uint64: (view, at) => Number(view.getBigUint64(at, true)),
  bfloat16: (view, at) => brain(view.getUint16(at, true)),
};

/** How a type of elements is called, for messages too. @throws DataError for types that are not computed with. */
export function elementType(number: number | undefined, what: string): ElementType {
  const type = (ELEMENT_TYPES as Readonly<Record<number, ElementType>>)[number ?? 0];
  if (type) return type;
  throw new DataError(
    `${what} has elements of ONNX's type number ${number ?? 0}; numbers and truth values of up to 64 bits are read, but no texts, complex numbers or numbers of 4 or 8 floating bits.`,
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
  if (raw) {
    const size = BYTES[type];
    if (raw.length !== count * size) throw wrong(Math.floor(raw.length / size));
    return { name, type, shape, data: fromBytes(raw, type, count) };
  }
  const list =
    [proto.floatData, proto.int32Data, proto.int64Data, proto.doubleData, proto.uint64Data].find((x) => x?.length) ??
    [];
  if (list.length !== count) throw wrong(list.length);
  // Halves stand in the list of integers as their bits.
  const decode = type === "float16" ? half : type === "bfloat16" ? brain : undefined;
  const numbers = decode ? list.map(decode) : list;
  return { name, type, shape, data: type === "float" ? Float32Array.from(numbers) : Float64Array.from(numbers) };
}

function fromBytes(raw: Uint8Array, type: ElementType, count: number): OnnxTensor["data"] {
  // A float array needs only to begin where one may.
  if (type === "float") return new Float32Array(raw.slice().buffer);
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  return Float64Array.from({ length: count }, (_, i) => ELEMENT[type](view, i * BYTES[type]));
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

/** An array as a file holds it: floats and doubles as they are, whole numbers and truth values in their own widths. */
export function writeTensor({ name, type, shape, data }: OnnxTensor): TensorProto {
  const raw = new Uint8Array(data.length * BYTES[type]);
  if (type === "float") new Float32Array(raw.buffer).set(data);
  else if (type === "double") new Float64Array(raw.buffer).set(data);
  else if (type === "int64") new BigInt64Array(raw.buffer).set(Array.from(data, BigInt));
  else if (type === "int32") new Int32Array(raw.buffer).set(data);
  else raw.set(data);
  return { name, dims: [...shape], dataType: typeNumber(type), rawData: raw };
}
