/**
 * Reads and writes safetensors files with elements of any type. The form of such a file is in tensor-file.ts, which models
 * are saved with.
 */
import { check } from "../checks.ts";
import { ArgumentError } from "../errors.ts";
import { countElements, type ElementType, type ShapedArray } from "./arrays.ts";
import { ELEMENT_TYPES, type ElementName, elementName } from "./element-types.ts";
import { show } from "./fail.ts";
import {
  encodeTensors,
  MAX_HEADER,
  METADATA,
  readEntry,
  readHeader,
  readTensors,
  type StoredTensor,
} from "./tensor-file.ts";

/** What a safetensors file holds. */
export interface SafetensorsFile {
  readonly tensors: Map<string, StoredTensor>;
  readonly metadata: Record<string, string>;
}

/** What the format calls each type of elements: f4 is F32. Where two names mean one, the first is written. */
const DTYPES = new Map<string, ElementName>([
  ...(Object.keys(ELEMENT_TYPES) as ElementName[]).map(
    (name) => [name.toUpperCase().replace(/\d/, (bytes) => `${8 * Number(bytes)}`), name] as const,
  ),
  ["BOOL", "u1"],
]);

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
      throw new ArgumentError(
        `Tensor ${show(name)} has ${data.length} elements, but shape ${show([...shape])}; make them agree.`,
      );
    if (name === METADATA)
      throw new ArgumentError(`A tensor cannot be named ${name}: the format keeps that name for the metadata.`);
    return { name, dtype, shape, data };
  });
  for (const [key, value] of Object.entries(metadata))
    check(typeof value === "string", `Metadata ${show(key)} must be a string`, value);
  return encodeTensors(entries, metadata);
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
  const header = readHeader(bytes, file);
  return { tensors: readTensors(header, typesByName()), metadata: header.metadata };
}

const typesByName = () =>
  new Map<string, ElementType>([...DTYPES].map(([dtype, element]) => [dtype, ELEMENT_TYPES[element]]));

/** Where the elements of each tensor lie in a file of which only the header is read. */
export async function tensorPlaces(
  read: (offset: number, length: number) => Promise<Uint8Array>,
  size: number,
  file: string,
): Promise<Map<string, { shape: number[]; type: ElementType; offset: number }>> {
  const begin = await read(0, Math.min(8, size));
  // What the header's reader says of a length that is wrong, it says of these bytes alone too.
  const length = begin.length < 8 ? 0 : Number(new DataView(begin.buffer, begin.byteOffset).getBigUint64(0, true));
  const bytes = length <= size - 8 && length <= MAX_HEADER ? await read(0, 8 + length) : begin;
  const { described, fail } = readHeader(bytes, file);
  const body = size - 8 - length;
  return new Map(
    Object.entries(described).map(([name, entry]) => {
      const { shape, type, begin, end } = readEntry(name, entry, typesByName(), fail);
      if (begin < 0 || end > body) throw fail(`has tensor ${show(name)} at byte ${begin} of ${body}`);
      return [name, { shape, type, offset: 8 + length + begin }];
    }),
  );
}
