/**
 * Reads IDX files, the format of the MNIST digits (http://yann.lecun.com/exdb/mnist): a magic number that tells type
 * and number of axes, the lengths, and the elements, all with the most significant byte first; plain or gzipped.
 * It works on bytes; node/idx.ts finds the files in a directory.
 */
import { countElements, type ElementType, type NumberArray, type ShapedArray } from "./arrays.ts";
import { ELEMENT_TYPES } from "./element-types.ts";
import { dataError } from "./fail.ts";
import { type InflateError, inflate, isGzip } from "./inflate.ts";

/** The type of the elements by the third byte of the file. */
const TYPES = new Map<number, ElementType<NumberArray>>([
  [0x08, ELEMENT_TYPES.u1],
  [0x09, ELEMENT_TYPES.i1],
  [0x0b, ELEMENT_TYPES.i2],
  [0x0c, ELEMENT_TYPES.i4],
  [0x0d, ELEMENT_TYPES.f4],
  [0x0e, ELEMENT_TYPES.f8],
]);

/**
 * The array in an IDX file, in its own element type (pixels stay `Uint8Array`, a view of `bytes`); gzipped files are
 * unpacked.
 *
 * Throws `DataError` for a file that is empty, cut short, damaged or not IDX; `file` is its name for the message.
 *
 * @example
 * import { decodeIdx } from "chainrule/data";
 * const labels = await decodeIdx(new Uint8Array([0, 0, 8, 1, 0, 0, 0, 3, 5, 0, 4]));
 * console.log(labels.shape, labels.data); // [ 3 ] Uint8Array(3) [ 5, 0, 4 ]
 */
export async function decodeIdx(bytes: Uint8Array, file?: string): Promise<ShapedArray<NumberArray>> {
  const at = file === undefined ? {} : { file };
  if (bytes.length === 0) throw dataError("the file is empty; download or copy it again.", at);
  if (isGzip(bytes)) {
    try {
      bytes = await inflate(bytes, "gzip");
    } catch (cause) {
      throw dataError(
        `the gzip file is damaged or cut short: ${(cause as InflateError).message}. Download or copy it again.`,
        at,
        { cause },
      );
    }
  }
  const { shape, type, begin: start } = idxHeader(bytes, file);
  const wanted = countElements(shape);
  const present = bytes.length - start;
  if (wanted === undefined || present !== wanted * type.size) {
    const state = wanted !== undefined && present > wanted * type.size ? "too long" : "cut short";
    throw dataError(
      `the header says ${shape.join(" × ")} elements of ${type.size} ${type.size === 1 ? "byte" : "bytes"}, but ${present} bytes follow: the file is ${state} or damaged. Download or copy it again.`,
      at,
    );
  }
  return { shape, data: type.read(bytes.subarray(start), true) };
}

/** What an IDX file says of its elements, and where they begin; from its first bytes. */
export function idxHeader(bytes: Uint8Array, file?: string) {
  const at = file === undefined ? {} : { file };
  const type = bytes.length >= 4 && bytes[0] === 0 && bytes[1] === 0 ? TYPES.get(bytes[2]) : undefined;
  const rank = bytes[3];
  if (type === undefined || rank === 0) {
    const start = [...bytes.subarray(0, 4)].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    throw dataError(
      `the file begins with ${start || "nothing"}; an IDX file begins with 00 00, a type (08 to 0e) and the number of axes. It is of another format, or damaged.`,
      at,
    );
  }
  const start = 4 + 4 * rank;
  if (bytes.length < start)
    throw dataError(`the file ends within its header, after ${bytes.length} bytes; download or copy it again.`, at);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const shape = Array.from({ length: rank }, (_, axis) => view.getUint32(4 + 4 * axis));
  return { shape, type, begin: start };
}
