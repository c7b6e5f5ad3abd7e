/**
 * Reads IDX files, the format of the MNIST digits (http://yann.lecun.com/exdb/mnist): a magic number that tells type
 * and number of axes, the lengths, and the elements, all with the most significant byte first; plain or gzipped.
 * It works on bytes; node/idx.ts finds the files in a directory.
 */
import { countElements, elementsOf, type NumberArray, type ShapedArray } from "./arrays.ts";
import { checkDataset, type Dataset } from "./dataset.ts";
import { dataError, show } from "./fail.ts";
import { type InflateError, inflate, isGzip } from "./inflate.ts";

/** Element types by the third byte of the file. */
const TYPES = new Map<number, { size: number; read: (bytes: Uint8Array) => NumberArray }>([
  [0x08, { size: 1, read: (bytes) => elementsOf(Uint8Array, bytes, true) }],
  [0x09, { size: 1, read: (bytes) => elementsOf(Int8Array, bytes, true) }],
  [0x0b, { size: 2, read: (bytes) => elementsOf(Int16Array, bytes, true) }],
  [0x0c, { size: 4, read: (bytes) => elementsOf(Int32Array, bytes, true) }],
  [0x0d, { size: 4, read: (bytes) => elementsOf(Float32Array, bytes, true) }],
  [0x0e, { size: 8, read: (bytes) => elementsOf(Float64Array, bytes, true) }],
]);

/**
 * The array in an IDX file, in its own element type (pixels stay `Uint8Array`); gzipped files are unpacked.
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
        cause,
      );
    }
  }
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
  const wanted = countElements(shape);
  const present = bytes.length - start;
  if (wanted === undefined || present !== wanted * type.size) {
    const state = wanted !== undefined && present > wanted * type.size ? "too long" : "cut short";
    throw dataError(
      `the header says ${shape.join(" × ")} elements of ${type.size} ${type.size === 1 ? "byte" : "bytes"}, but ${present} bytes follow: the file is ${state} or damaged. Download or copy it again.`,
      at,
    );
  }
  return { shape, data: type.read(bytes.subarray(start)) };
}

/** An array that was read, and the file it came from, for messages. */
export interface NamedArray extends ShapedArray<NumberArray> {
  readonly file?: string;
}

/**
 * A data set of images or rows and their labels, as two IDX or NPY files hold them. Shape [N, H, W] becomes grey
 * images [H, W, 1]; [N, F] rows of F features; [N, H, W, C] images.
 *
 * `classes` are the names the labels stand for, 0 first; by default the numbers up to the largest label.
 * Throws `DataError` when the counts do not match or a label is out of range.
 *
 * @example
 * import { labelledArrays } from "chainrule/data";
 * const data = labelledArrays(
 *   { shape: [2, 1, 2], data: new Uint8Array([0, 255, 255, 0]) }, { shape: [2], data: new Uint8Array([1, 0]) },
 * );
 * console.log(data.inputShape, data.classes); // [ 1, 2, 1 ] [ '0', '1' ]
 */
export function labelledArrays(inputs: NamedArray, labels: NamedArray, classes?: readonly string[]): Dataset {
  const place = (array: NamedArray) => (array.file === undefined ? {} : { file: array.file });
  if (inputs.shape.length < 2)
    throw dataError(
      `the inputs have shape ${show([...inputs.shape])}; wanted is one row or image for every label. Are inputs and labels exchanged?`,
      place(inputs),
    );
  const [count, ...rest] = inputs.shape;
  const flat = labels.shape.length === 1 || (labels.shape.length === 2 && labels.shape[1] === 1);
  if (!flat)
    throw dataError(
      `the labels have shape ${show([...labels.shape])}; wanted is one label for each of ${count} rows.`,
      place(labels),
    );
  if (labels.shape[0] !== count)
    throw dataError(
      `there are ${labels.shape[0]} labels for ${count} images${inputs.file ? ` in ${inputs.file}` : ""}; take both files from the same set.`,
      place(labels),
    );
  let top = 0;
  const limit = classes?.length ?? Math.max(count, 256);
  for (let i = 0; i < count; i++) {
    const label = labels.data[i];
    if (!Number.isInteger(label) || label < 0 || label >= limit)
      throw dataError(
        `the label is ${label}; wanted is a whole number from 0 to ${limit - 1}. Correct it, or take another file.`,
        {
          ...place(labels),
          row: i + 1,
        },
      );
    if (label > top) top = label;
  }
  const dataset: Dataset = {
    x: inputs.data,
    y: Int32Array.from(labels.data),
    count,
    inputShape: rest.length === 2 ? [...rest, 1] : rest,
    task: "classification",
    classes: classes ? [...classes] : Array.from({ length: top + 1 }, (_, i) => String(i)),
  };
  checkDataset(dataset, inputs.file);
  return dataset;
}
