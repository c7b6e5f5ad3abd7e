/**
 * Reads and writes safetensors: named arrays in one file that holds nothing to run
 * (format: https://huggingface.co/docs/safetensors). A file is the length of a header (8 bytes, little-endian), the
 * header (JSON: name → dtype, shape, place), and the elements.
 * Writing is deterministic: the same content gives the same bytes. It knows nothing of models or of the file system.
 */
import { ArgumentError } from "../errors.ts";
import {
  countElements,
  ELEMENT_TYPES,
  type ElementName,
  elementName,
  type ShapedArray,
  type TypedArray,
} from "./arrays.ts";
import { dataError, isObject, list, own, show } from "./fail.ts";

/** An array from a safetensors file. Half floats (F16, BF16) arrive as `Float32Array`, BOOL as `Uint8Array` of 0 and 1. */
export interface StoredTensor {
  readonly shape: number[];
  readonly data: TypedArray;
  /** The type in the file, such as `F32`. */
  readonly dtype: string;
}

/** What a safetensors file holds. */
export interface SafetensorsFile {
  readonly tensors: Map<string, StoredTensor>;
  readonly metadata: Record<string, string>;
}

/** What the format calls each type of elements; where two names mean one, the first is written. */
const DTYPES = new Map<string, ElementName>([
  ["F64", "f8"],
  ["F32", "f4"],
  ["F16", "f2"],
  ["BF16", "bf16"],
  ["I64", "i8"],
  ["U64", "u8"],
  ["I32", "i4"],
  ["U32", "u4"],
  ["I16", "i2"],
  ["U16", "u2"],
  ["I8", "i1"],
  ["U8", "u1"],
  ["BOOL", "u1"],
]);

/** The longest header that is read, as in the format's own implementation. */
const MAX_HEADER = 100_000_000;

/**
 * The bytes of a safetensors file with these tensors and this metadata.
 *
 * Tensors are laid out by size of element, then by name, so that every one is aligned to its element, and the same
 * content gives the same bytes whatever the order of the argument.
 *
 * Throws `ArgumentError` where a shape does not fit its elements or the name is not to be had.
 *
 * @example
 * import { decodeSafetensors, encodeSafetensors } from "chainrule/data";
 * const bytes = encodeSafetensors({ "dense_1.kernel": { shape: [2, 1], data: new Float32Array([0.5, 0.25]) } });
 * console.log(decodeSafetensors(bytes).tensors.get("dense_1.kernel")?.data); // Float32Array(2) [ 0.5, 0.25 ]
 */
export function encodeSafetensors(
  tensors: Readonly<Record<string, ShapedArray>> | ReadonlyMap<string, ShapedArray>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array<ArrayBuffer> {
  const named =
    tensors instanceof Map ? [...tensors] : Object.entries<ShapedArray>(tensors as Record<string, ShapedArray>);
  const entries = named.map(([name, { shape, data }]) => {
    const element = elementName(data, `Tensor ${show(name)}`);
    const dtype = [...DTYPES].find(([, other]) => other === element)![0];
    if (countElements(shape) !== data.length)
      throw new ArgumentError(
        `Tensor ${show(name)} has ${data.length} elements, but shape ${show([...shape])}; make them agree.`,
      );
    if (name === "__metadata__")
      throw new ArgumentError('A tensor cannot be named "__metadata__": the format keeps that name for the metadata.');
    return { name, dtype, shape, data };
  });
  entries.sort((a, b) => b.data.BYTES_PER_ELEMENT - a.data.BYTES_PER_ELEMENT || compare(a.name, b.name));

  const parts: string[] = [];
  const notes = Object.entries(metadata).sort(([a], [b]) => compare(a, b));
  for (const [key, value] of notes)
    if (typeof value !== "string") throw new ArgumentError(`Metadata ${show(key)} is ${show(value)}; give a string.`);
  if (notes.length > 0)
    parts.push(
      `"__metadata__":{${notes.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join(",")}}`,
    );
  let end = 0;
  for (const { name, dtype, shape, data } of entries) {
    const begin = end;
    end += data.byteLength;
    parts.push(
      `${JSON.stringify(name)}:{"dtype":"${dtype}","shape":[${shape.join(",")}],"data_offsets":[${begin},${end}]}`,
    );
  }
  const text = new TextEncoder().encode(`{${parts.join(",")}}`);
  const headerLength = Math.ceil(text.length / 8) * 8; // padded with spaces: the elements begin on a multiple of 8
  if (headerLength > MAX_HEADER)
    throw new ArgumentError(
      `The names, shapes and metadata come to ${headerLength} bytes; the format allows ${MAX_HEADER}.`,
    );

  const bytes = new Uint8Array(8 + headerLength + end);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(headerLength), true);
  bytes.set(text, 8);
  bytes.fill(0x20, 8 + text.length, 8 + headerLength);
  let offset = 8 + headerLength;
  for (const { data } of entries) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), offset);
    offset += data.byteLength;
  }
  return bytes;
}

/**
 * The tensors and metadata of a safetensors file; `file` is its name for messages.
 *
 * Arrays are copies, of bytes views. Throws `DataError` for a file that is truncated, damaged or of another format: nothing is
 * allocated before the file is known to hold it.
 *
 * @example
 * import { decodeSafetensors, encodeSafetensors } from "chainrule/data";
 * const bytes = encodeSafetensors({ w: { shape: [1], data: new Float32Array([1]) } }, { author: "Ada" });
 * console.log(decodeSafetensors(bytes).metadata.author); // Ada
 */
export function decodeSafetensors(bytes: Uint8Array, file?: string): SafetensorsFile {
  const fail = (message: string, cause?: unknown) => dataError(message, file === undefined ? {} : { file }, cause);
  if (bytes.length < 8)
    throw fail(
      `has ${bytes.length} bytes; a safetensors file has at least 8. It is empty or cut short: save or copy it again.`,
    );
  const headerLength = Number(new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true));
  if (headerLength > MAX_HEADER)
    throw fail(
      `says that its header has ${headerLength} bytes, more than the ${MAX_HEADER} allowed: it is not a safetensors file, or damaged.`,
    );
  if (headerLength > bytes.length - 8)
    throw fail(
      `says that its header has ${headerLength} bytes, but only ${bytes.length - 8} follow: it is cut short, or not a safetensors file.`,
    );

  const header = parseHeader(bytes.subarray(8, 8 + headerLength), fail);
  const body = bytes.subarray(8 + headerLength);
  const metadata = readMetadata(own(header, "__metadata__"), fail);
  const entries = Object.entries(header)
    .filter(([name]) => name !== "__metadata__")
    .map(([name, entry]) => readEntry(name, entry, body.length, fail));
  checkPlaces(entries, body.length, fail); // before any element is read: overlapping tensors could ask for any amount
  const tensors = new Map<string, StoredTensor>();
  for (const { name, shape, dtype, begin, end, read } of entries)
    tensors.set(name, { shape, dtype, data: read(body.subarray(begin, end)) });
  return { tensors, metadata };
}

type Fail = (message: string, cause?: unknown) => Error;

function parseHeader(bytes: Uint8Array, fail: Fail): Record<string, unknown> {
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch (cause) {
    throw fail("has a header that is not JSON: it is damaged, or not a safetensors file.", cause);
  }
  if (!isObject(header))
    throw fail(`has a header that is ${show(header)}, not an object: it is not a safetensors file.`);
  return header;
}

function readMetadata(value: unknown, fail: Fail): Record<string, string> {
  if (value === undefined) return {};
  if (!isObject(value)) throw fail(`has __metadata__ that is ${show(value)}; the format wants an object of strings.`);
  const entries = Object.entries(value).map(([key, text]): [string, string] => {
    if (typeof text !== "string")
      throw fail(`has metadata ${show(key)} that is ${show(text)}; the format wants a string.`);
    return [key, text];
  });
  return Object.fromEntries(entries); // defines own properties, so that a key `__proto__` stays a key
}

function readEntry(name: string, entry: unknown, available: number, fail: Fail) {
  if (!isObject(entry)) throw fail(`describes tensor ${show(name)} as ${show(entry)}; the format wants an object.`);
  const dtype = own(entry, "dtype");
  const element = typeof dtype === "string" ? DTYPES.get(dtype) : undefined;
  if (typeof dtype !== "string" || element === undefined)
    throw fail(`has tensor ${show(name)} of dtype ${show(dtype)}; known are ${[...DTYPES.keys()].join(", ")}.`);
  const { size, read } = ELEMENT_TYPES[element];
  const shape = own(entry, "shape");
  const count = Array.isArray(shape) ? countElements(shape) : undefined;
  if (count === undefined)
    throw fail(`has tensor ${show(name)} of shape ${show(shape)}; the format wants whole numbers from 0.`);
  const offsets = own(entry, "data_offsets");
  const [begin, end] = Array.isArray(offsets) && offsets.length === 2 ? (offsets as unknown[]) : [];
  if (!isOffset(begin) || !isOffset(end) || begin > end)
    throw fail(`has tensor ${show(name)} at ${show(offsets)}; the format wants [begin, end].`);
  if (end > available)
    throw fail(
      `has tensor ${show(name)} up to byte ${end}, but only ${available} bytes of elements: it is cut short. Save or copy it again.`,
    );
  if (end - begin !== count * size)
    throw fail(
      `has tensor ${show(name)} with ${end - begin} bytes, but shape ${show(shape)} of ${dtype} takes ${count * size}: it is damaged.`,
    );
  return { name, dtype, shape: shape as number[], begin, end, read };
}

function isOffset(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

/** Every byte of the elements belongs to exactly one tensor. */
function checkPlaces(entries: { name: string; begin: number; end: number }[], available: number, fail: Fail): void {
  const places = [...entries].sort((a, b) => a.begin - b.begin || a.end - b.end);
  let end = 0;
  let before = "";
  for (const place of places) {
    if (place.begin < end) throw fail(`has tensors ${list([before, place.name])} that overlap: it is damaged.`);
    if (place.begin > end)
      throw fail(
        `has ${place.begin - end} bytes before tensor ${show(place.name)} that belong to none: it is damaged.`,
      );
    end = place.end;
    before = place.name;
  }
  if (end !== available)
    throw fail(`has ${available - end} bytes after the last tensor that belong to none: it is damaged.`);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
