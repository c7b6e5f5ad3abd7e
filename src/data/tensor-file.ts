/**
 * The form of a safetensors file: named arrays in one file that holds nothing to run
 * (https://huggingface.co/docs/safetensors). A file is the length of a header (8 bytes, little-endian), the header
 * (JSON: name → dtype, shape, place), and the elements.
 * Writing is deterministic: the same content gives the same bytes. It knows nothing of models or of the file system.
 */
import { ArgumentError } from "../errors.ts";
import { countElements, type ElementType, type ShapedArray, type TypedArray } from "./arrays.ts";
import { dataError, isObject, show } from "./fail.ts";

/** An array from a safetensors file. Half floats (F16, BF16) arrive as `Float32Array`, BOOL as `Uint8Array` of 0 and 1. */
export interface StoredTensor<A extends TypedArray = TypedArray> {
  readonly shape: number[];
  readonly data: A;
  /** The type in the file, such as `F32`. */
  readonly dtype: string;
}

/** The name under which a header has the metadata. */
export const METADATA = "__metadata__";
/** The longest header that is read, as in the format's own implementation. */
export const MAX_HEADER = 100_000_000;

/** The bytes of a file, laid out by size of element, then by name, so that every tensor is aligned to its element. */
export function encodeTensors(
  tensors: readonly (ShapedArray & { readonly name: string; readonly dtype: string })[],
  metadata: Readonly<Record<string, string>>,
): Uint8Array<ArrayBuffer> {
  const notes = Object.entries(metadata).sort(([a], [b]) => (a < b ? -1 : 1));
  const header: [string, unknown][] = notes.length > 0 ? [[METADATA, Object.fromEntries(notes)]] : [];
  const entries = tensors.toSorted(
    (a, b) => b.data.BYTES_PER_ELEMENT - a.data.BYTES_PER_ELEMENT || (a.name < b.name ? -1 : 1),
  );
  let end = 0;
  for (const { name, dtype, shape, data } of entries) {
    const begin = end;
    end += data.byteLength;
    header.push([name, { dtype, shape: [...shape], data_offsets: [begin, end] }]);
  }
  const text = new TextEncoder().encode(JSON.stringify(Object.fromEntries(header)));
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

/** A file whose header has been read. */
export interface TensorFile {
  readonly metadata: Record<string, string>;
  /** What the header says of each tensor, unchecked. */
  readonly described: Readonly<Record<string, unknown>>;
  readonly body: Uint8Array;
  /** The error for a file that is not as the format wants it. */
  readonly fail: Fail;
}

type Fail = (problem: string, cause?: unknown, cure?: string) => Error;

/** Reads the header; `file` is its name for messages. */
export function readHeader(bytes: Uint8Array, file?: string): TensorFile {
  const fail: Fail = (
    problem,
    cause,
    cure = "it is damaged, cut short, or not a safetensors file. Save or copy it again",
  ) => dataError(`${problem}: ${cure}.`, { file }, { cause });
  if (bytes.length < 8) throw fail(`has ${bytes.length} bytes, where the header's length takes 8`);
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true));
  if (length > MAX_HEADER) throw fail(`has a header of ${length} bytes, more than the ${MAX_HEADER} allowed`);
  const body = bytes.subarray(8 + length);
  if (length > bytes.length - 8) throw fail(`has a header of ${length} bytes, but only ${bytes.length - 8} follow`);
  const { [METADATA]: metadata = {}, ...described } = parseHeader(bytes.subarray(8, 8 + length), fail);
  if (!isObject(metadata)) throw fail(`has metadata that is ${show(metadata)}, not an object`);
  for (const [key, text] of Object.entries(metadata))
    if (typeof text !== "string") throw fail(`has metadata ${show(key)} that is ${show(text)}, not a string`);
  return { metadata: metadata as Record<string, string>, described, body, fail };
}

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

/** The tensors of a file, whose elements may be of these types, by the format's names for them. */
export function readTensors<A extends TypedArray>(
  { described, body, fail }: TensorFile,
  types: ReadonlyMap<string, ElementType<A>>,
): Map<string, StoredTensor<A>> {
  const entries = Object.entries(described).map(([name, entry]) => readEntry(name, entry, types, fail));
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
  return new Map(
    entries.map(({ name, shape, dtype, begin, end, type }) => [
      name,
      { shape, dtype, data: type.read(body.subarray(begin, end)) },
    ]),
  );
}

export function readEntry<A extends TypedArray>(
  name: string,
  entry: unknown,
  types: ReadonlyMap<string, ElementType<A>>,
  fail: Fail,
) {
  const what = `has tensor ${show(name)} `;
  if (!isObject(entry)) throw fail(`${what}described as ${show(entry)}, not as an object`);
  const { dtype, shape, data_offsets: offsets } = entry;
  const type = types.get(dtype as string);
  if (!type) throw fail(`${what}of dtype ${show(dtype)}`, undefined, `known are ${[...types.keys()].join(", ")}`);
  const count = Array.isArray(shape) ? countElements(shape) : undefined;
  if (count === undefined) throw fail(`${what}of shape ${show(shape)}, which is no list of lengths`);
  // Offsets that are no numbers are none of those that are compared with later.
  const [begin, end] = Array.isArray(offsets) && offsets.length === 2 ? (offsets as number[]) : [];
  if (end - begin !== count * type.size)
    throw fail(`${what}at ${show(offsets)}, but shape ${show(shape)} of ${dtype} takes ${count * type.size} bytes`);
  return { name, dtype: dtype as string, shape: shape as number[], begin, end, type };
}
