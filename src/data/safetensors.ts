/**
 * Reads and writes safetensors: named arrays in one file that holds nothing to run
 * (format: https://huggingface.co/docs/safetensors). A file is the length of a header (8 bytes, little-endian), the
 * header (JSON: name → dtype, shape, place), and the elements.
 * Writing is deterministic: the same content gives the same bytes. It knows nothing of models or of the file system.
 */
import { check } from "../checks.ts";
import { ArgumentError } from "../errors.ts";
import {
  countElements,
  ELEMENT_TYPES,
  type ElementName,
  elementName,
  type ShapedArray,
  type TypedArray,
} from "./arrays.ts";
import { dataError, isObject, show } from "./fail.ts";

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

/** What the format calls each type of elements: f4 is F32. Where two names mean one, the first is written. */
const DTYPES = new Map<unknown, ElementName>([
  ...(Object.keys(ELEMENT_TYPES) as ElementName[]).map(
    (name) => [name.toUpperCase().replace(/\d/, (bytes) => `${8 * Number(bytes)}`), name] as const,
  ),
  ["BOOL", "u1"],
]);

/** The name under which a header has the metadata. */
const METADATA = "__metadata__";
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
  const named = tensors instanceof Map ? tensors : Object.entries(tensors as Readonly<Record<string, ShapedArray>>);
  const entries = [...(named as Iterable<[string, ShapedArray]>)].map(([name, { shape, data }]) => {
    const element = elementName(data, `Tensor ${show(name)}`);
    const [dtype] = [...DTYPES].find(([, other]) => other === element)!;
    if (countElements(shape) !== data.length)
      throw new ArgumentError(`Tensor ${show(name)} has ${data.length} elements, but shape ${show([...shape])}.`);
    if (name === METADATA)
      throw new ArgumentError(`A tensor cannot be named ${name}: the format keeps that name for the metadata.`);
    return { name, dtype, shape: [...shape], data };
  });
  entries.sort((a, b) => b.data.BYTES_PER_ELEMENT - a.data.BYTES_PER_ELEMENT || (a.name < b.name ? -1 : 1));

  const notes = Object.entries(metadata).sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [key, value] of notes) check(typeof value === "string", `Metadata ${show(key)} must be a string`, value);
  // Written by hand, since an object would sort names that are numbers before the others.
  const object = (members: (readonly [string, string])[]): string =>
    `{${members.map(([key, value]) => `${JSON.stringify(key)}:${value}`).join()}}`;
  const header: [string, string][] =
    notes.length > 0 ? [[METADATA, object(notes.map(([key, value]) => [key, JSON.stringify(value)]))]] : [];
  let end = 0;
  for (const { name, dtype, shape, data } of entries) {
    const begin = end;
    end += data.byteLength;
    header.push([name, JSON.stringify({ dtype, shape, data_offsets: [begin, end] })]);
  }
  const text = new TextEncoder().encode(object(header));
  const headerLength = Math.ceil(text.length / 8) * 8; // padded with spaces: the elements begin on a multiple of 8
  if (headerLength > MAX_HEADER)
    throw new ArgumentError(
      `The names, shapes and metadata come to ${headerLength} bytes; the format allows ${MAX_HEADER}.`,
    );

  const bytes = new Uint8Array(8 + headerLength + end).fill(0x20, 8, 8 + headerLength);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(headerLength), true);
  bytes.set(text, 8);
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
  const fail = (problem: string, cause?: unknown) =>
    dataError(
      `${problem}: it is damaged, cut short, or not a safetensors file. Save or copy it again.`,
      { file },
      cause,
    );
  if (bytes.length < 8) throw fail(`has ${bytes.length} bytes, where the header's length takes 8`);
  const headerLength = Number(new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true));
  if (headerLength > MAX_HEADER)
    throw fail(`has a header of ${headerLength} bytes, more than the ${MAX_HEADER} allowed`);
  const body = bytes.subarray(8 + headerLength);
  if (headerLength > bytes.length - 8)
    throw fail(`has a header of ${headerLength} bytes, but only ${bytes.length - 8} follow`);

  const { [METADATA]: notes = {}, ...described } = parseHeader(bytes.subarray(8, 8 + headerLength), fail);
  if (!isObject(notes)) throw fail(`has metadata that is ${show(notes)}, not an object`);
  for (const [key, text] of Object.entries(notes))
    if (typeof text !== "string") throw fail(`has metadata ${show(key)} that is ${show(text)}, not a string`);
  const entries = Object.entries(described).map(([name, entry]) => readEntry(name, entry, fail));
  // Every byte belongs to exactly one tensor: overlapping ones could ask for any amount of memory.
  let at = 0;
  for (const { name, begin, end } of entries.toSorted((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin !== at)
      throw fail(
        `has tensor ${show(name)} at byte ${begin}, not ${at}, so that tensors overlap or bytes belong to none`,
      );
    at = end;
  }
  if (at !== body.length) throw fail(`has ${body.length} bytes of elements, but its tensors take ${at}`);
  const tensors = new Map<string, StoredTensor>();
  for (const { name, shape, dtype, begin, end, read } of entries)
    tensors.set(name, { shape, dtype, data: read(body.subarray(begin, end)) });
  return { tensors, metadata: notes as Record<string, string> };
}

type Fail = (problem: string, cause?: unknown) => Error;

function parseHeader(bytes: Uint8Array, fail: Fail): Record<string, unknown> {
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch (cause) {
    throw fail("has a header that is not JSON", cause);
  }
  if (!isObject(header)) throw fail(`has a header that is ${show(header)}, not an object`);
  return header;
}

function readEntry(name: string, entry: unknown, fail: Fail) {
  const what = `has tensor ${show(name)} `;
  if (!isObject(entry)) throw fail(`${what}described as ${show(entry)}, not as an object`);
  const { dtype, shape, data_offsets: offsets } = entry;
  const element = DTYPES.get(dtype);
  if (!element) throw fail(`${what}of dtype ${show(dtype)} (known are ${[...DTYPES.keys()].join(", ")})`);
  const { size, read } = ELEMENT_TYPES[element];
  const count = Array.isArray(shape) ? countElements(shape) : undefined;
  if (count === undefined) throw fail(`${what}of shape ${show(shape)}, which is no list of lengths`);
  // Offsets that are no numbers are none of those that are compared with later.
  const [begin, end] = Array.isArray(offsets) && offsets.length === 2 ? (offsets as number[]) : [];
  if (end - begin !== count * size)
    throw fail(`${what}at ${show(offsets)}, but shape ${show(shape)} of ${dtype} takes ${count * size} bytes`);
  return { name, dtype: dtype as string, shape: shape as number[], begin, end, read };
}
