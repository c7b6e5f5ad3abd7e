/**
 * Reads NPY and NPZ, NumPy's formats of one array and of several, and writes NPY
 * (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html). Arrays of Python objects are refused: they
 * could name code to run. It works on bytes; node/npy.ts reads files.
 */
import { ArgumentError } from "../errors.ts";
import { countElements, type ElementType, type ShapedArray, type TypedArray } from "./arrays.ts";
import type { Dataset } from "./dataset.ts";
import { ELEMENT_TYPES, type ElementName, elementName } from "./element-types.ts";
import { dataError, list, show } from "./fail.ts";
import { arraysToDataset, type NamedArray } from "./from-arrays.ts";
import { MAX_UNPACKED } from "./inflate.ts";
import { type Fail, readDirectory, unpack } from "./zip.ts";

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59]; // \x93NUMPY

/**
 * The array in an NPY file, in row-major order; half floats arrive as `Float32Array`, booleans as `Uint8Array`.
 *
 * Throws `DataError` for a file that is cut short, damaged, of another format, or holds objects or text.
 *
 * @example
 * import { decodeNpy, encodeNpy } from "chainrule/data";
 * const bytes = encodeNpy({ shape: [2, 1], data: new Float32Array([0.5, 2]) });
 * console.log(decodeNpy(bytes)); // { shape: [ 2, 1 ], data: Float32Array(2) [ 0.5, 2 ] }
 */
export function decodeNpy(bytes: Uint8Array, file?: string): ShapedArray {
  return decodeArray(bytes, (message, cause) =>
    dataError(`the NPY file ${message}`, file === undefined ? {} : { file }, { cause }),
  );
}

function decodeArray(bytes: Uint8Array, fail: Fail): ShapedArray {
  const { shape, type, bigEndian, begin, fortran } = readHeader(bytes, fail);
  const count = countElements(shape);
  const body = bytes.subarray(begin);
  if (count === undefined || body.length !== count * type.size)
    throw fail(
      `says ${shape.join(" × ")} elements of ${type.size} bytes, but ${body.length} bytes follow: it is cut short or damaged.`,
    );
  const data = type.read(body, bigEndian);
  return { shape, data: fortran ? toRowMajor(data, shape) : data };
}

/** What an NPY file says of its elements, and where they begin; from its first bytes. */
export const npyHeader = (bytes: Uint8Array, file: string) =>
  readHeader(bytes, (message, cause) => dataError(`the NPY file ${message}`, { file }, { cause }));

function readHeader(bytes: Uint8Array, fail: Fail) {
  if (!MAGIC.every((byte, i) => bytes[i] === byte))
    throw fail("does not begin as one: it is empty, damaged or of another format.");
  const version = bytes[6];
  if (version < 1 || version > 3)
    throw fail(`has version ${version}; known are 1, 2 and 3. Save it again with a current NumPy.`);
  const begin = version === 1 ? 10 : 12;
  if (bytes.length < begin) throw fail("ends within its header; save or copy it again.");
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const length = version === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (length > bytes.length - begin) throw fail("ends within its header; save or copy it again.");
  const header = new TextDecoder("latin1").decode(bytes.subarray(begin, begin + Math.min(length, 65536)));
  const { type, shape, fortran } = parseHeader(header, fail);

  const element = type.slice(1) === "b1" ? "u1" : type.slice(1);
  const kind = Object.hasOwn(ELEMENT_TYPES, element) ? ELEMENT_TYPES[element as ElementName] : undefined;
  if (kind === undefined)
    throw fail(
      `holds elements of type ${show(type)}; known are f2 to f8, i1 to i8, u1 to u8 and b1. Save it with .astype("float32") or another of them.`,
    );
  return { shape, type: kind as ElementType, bigEndian: type[0] === ">", begin: begin + length, fortran };
}

/** The header is a Python dictionary; only the form that NumPy writes is read, and nothing of it is evaluated. */
function parseHeader(header: string, fail: Fail): { type: string; shape: number[]; fortran: boolean } {
  const type = /'descr': *'([<>|=][a-zA-Z]\d+)'/.exec(header)?.[1];
  const fortran = /'fortran_order': *(True|False)/.exec(header)?.[1];
  const shape = /'shape': *\(([\d, ]*)\)/.exec(header)?.[1];
  if (type === undefined || fortran === undefined || shape === undefined) {
    const objects = /'descr': *'[<>|]?O/.test(header);
    throw fail(
      objects
        ? "holds Python objects, which could run code; save plain numbers instead."
        : `has a header that is not of a plain array: ${show(header.trim())}. It is damaged, or holds records; save plain numbers instead.`,
    );
  }
  const lengths = shape.split(",").map((part) => part.trim()).filter((part) => part !== ""); // biome-ignore format: one line
  return { type, shape: lengths.map(Number), fortran: fortran === "True" };
}

/** Reorders elements from first axis fastest to last axis fastest. */
function toRowMajor<A extends TypedArray>(data: A, shape: readonly number[]): A {
  const out = data.slice() as A;
  const position = shape.map(() => 0);
  for (let from = 0; from < data.length; from++) {
    let to = 0;
    for (let axis = 0; axis < shape.length; axis++) to = to * shape[axis] + position[axis];
    out[to] = data[from];
    for (let axis = 0; axis < shape.length && ++position[axis] === shape[axis]; axis++) position[axis] = 0;
  }
  return out;
}

/**
 * The bytes of an NPY file with this array, as NumPy writes them. Throws `ArgumentError` where the shape does not fit.
 *
 * @example
 * import { encodeNpy } from "chainrule/data";
 * const bytes = encodeNpy({ shape: [3], data: new Float32Array([1, 2, 3]) }); // numpy.load reads it
 */
export function encodeNpy({ shape, data }: ShapedArray): Uint8Array<ArrayBuffer> {
  const element = elementName(data, "The data");
  if (countElements(shape) !== data.length)
    throw new ArgumentError(
      `There are ${data.length} elements, but the shape is ${show([...shape])}; make them agree.`,
    );
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(", ")})`;
  const text = `{'descr': '${element.endsWith("1") ? "|" : "<"}${element}', 'fortran_order': False, 'shape': ${tuple}, }`;
  const length = Math.ceil((10 + text.length + 1) / 64) * 64 - 10; // the elements begin on a multiple of 64
  const bytes = new Uint8Array(10 + length + data.byteLength);
  bytes.set([...MAGIC, 1, 0, length & 255, length >> 8]);
  bytes.set(new TextEncoder().encode(`${text.padEnd(length - 1)}\n`), 10);
  bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), 10 + length);
  return bytes;
}

/**
 * The arrays in an NPZ file (a ZIP of NPY files), by name, compressed or not.
 *
 * Throws `DataError` for a file that is cut short, damaged or of another format, and for one that unpacks to more
 * than 1 GiB.
 *
 * @example
 * import { decodeNpz } from "chainrule/data";
 * const arrays = async (url: string) => decodeNpz(new Uint8Array(await (await fetch(url)).arrayBuffer()));
 */
export async function decodeNpz(bytes: Uint8Array, file?: string): Promise<Map<string, ShapedArray>> {
  const at = file === undefined ? {} : { file };
  const fail: Fail = (message, cause) => dataError(`the NPZ file ${message}`, at, { cause });
  const arrays = new Map<string, ShapedArray>();
  let room = MAX_UNPACKED;
  for (const entry of readDirectory(bytes, fail)) {
    const named: Fail = (message, cause) => fail(`has ${show(entry.name)}, which ${message}`, cause);
    if (!entry.name.endsWith(".npy")) throw named("is no array; save it with numpy.savez.");
    if (entry.size > room)
      throw named(
        `would unpack to ${entry.size} bytes, more than the ${MAX_UNPACKED} allowed for all; save the arrays one by one.`,
      );
    room -= entry.size;
    const content = await unpack(bytes, entry, named);
    const name = entry.name.slice(0, -4);
    if (arrays.has(name)) throw named("is there twice; save it again.");
    arrays.set(name, decodeArray(content, named));
  }
  return arrays;
}

/** The names that inputs and labels have in NPZ files, in Keras' way and others. */
const PAIRS = [
  {
    x: ["x_train", "X_train", "train_images", "x", "X", "images", "data"],
    y: ["y_train", "Y_train", "train_labels", "y", "Y", "labels", "target"],
  },
  { x: ["x_test", "X_test", "test_images"], y: ["y_test", "Y_test", "test_labels"] },
];

/**
 * The data sets in an NPZ file that has `x_train`, `y_train` and perhaps `x_test`, `y_test` (as Keras' mnist.npz),
 * or `x` and `y`. Throws `DataError` as `decodeNpz` and `arraysToDataset` do.
 *
 * @example
 * import { npzToDatasets } from "chainrule/data";
 * const digits = async (url: string) => npzToDatasets(new Uint8Array(await (await fetch(url)).arrayBuffer()));
 */
export async function npzToDatasets(bytes: Uint8Array, file?: string): Promise<{ train: Dataset; test?: Dataset }> {
  const arrays = await decodeNpz(bytes, file);
  const [train, test] = PAIRS.map(({ x, y }) => {
    const find = (names: string[]) => names.map((name) => arrays.get(name)).find((array) => array !== undefined);
    const [inputs, labels] = [find(x), find(y)];
    return inputs && labels ? { x: withFile(inputs, file), y: withFile(labels, file) } : undefined;
  });
  if (train === undefined)
    throw dataError(
      `the arrays are ${list([...arrays.keys()])}; wanted are x_train and y_train, or x and y. Save them under these names.`,
      {
        ...(file === undefined ? {} : { file }),
      },
    );
  const trainSet = arraysToDataset(train.x, train.y);
  if (test === undefined) return { train: trainSet };
  return {
    train: trainSet,
    test: arraysToDataset(test.x, test.y, trainSet.classes ? { classes: trainSet.classes } : { task: trainSet.task }),
  };
}

function withFile(array: ShapedArray, file: string | undefined): NamedArray {
  return file === undefined ? array : { ...array, file };
}
