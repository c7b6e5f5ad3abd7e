/**
 * Data in arrays of files, NPY, IDX and safetensors, whose rows all take as many bytes and so are read from anywhere. Several pairs
 * of inputs and labels, as shards have them, are one data set.
 */
import type { ElementType, TypedArray } from "../../arrays.ts";
import type { Blocks, Description } from "../../data-stream.ts";
import { rowSize, type Task } from "../../dataset.ts";
import { dataError, show } from "../../fail.ts";
import { arraysToDataset } from "../../from-arrays.ts";
import { idxHeader } from "../../idx.ts";
import { npyHeader } from "../../npy.ts";
import { tensorPlaces } from "../../safetensors.ts";
import type { StreamedRows } from "../../tally.ts";
import { type FileReader, type WatchedFile, watch } from "./watched-file.ts";

/** An array in a file. */
export interface StoredArray {
  readonly file: WatchedFile;
  /** Where its elements begin. */
  readonly offset: number;
  /** [N, …] */
  readonly shape: readonly number[];
  readonly type: ElementType;
  readonly bigEndian?: boolean;
}

/** Inputs and what belongs to them. */
export interface ArrayPair {
  readonly x: StoredArray;
  readonly y: StoredArray;
}

/** Bytes of a block, unless a row is larger. */
const BLOCK = 2 ** 16;
/** Bytes in which a header ends, but for those of safetensors, which say how long they are. */
const HEAD = 2 ** 14;

const head = (reader: FileReader, file: WatchedFile) => reader.read(file, 0, Math.min(HEAD, file.size));

/** Where the elements of an NPY file lie. */
export async function npyArray(reader: FileReader, path: string): Promise<StoredArray> {
  const file = await watch(path);
  const { shape, type, bigEndian, begin, fortran } = npyHeader(await head(reader, file), path);
  if (fortran && shape.length > 1)
    throw dataError(
      "the array has its first axis fastest, so a row lies all over the file; save it with numpy.ascontiguousarray.",
      {
        file: path,
      },
    );
  return whole({ file, offset: begin, shape, type, bigEndian });
}

/** Where the elements of an IDX file lie. */
export async function idxArray(reader: FileReader, path: string): Promise<StoredArray> {
  const file = await watch(path);
  if (/\.gz$/i.test(path))
    throw dataError("a gzipped IDX file can only be read from its beginning; unpack it (gunzip).", { file: path });
  const { shape, type, begin } = idxHeader(await head(reader, file), path);
  return whole({ file, offset: begin, shape, type, bigEndian: true });
}

/** Where the tensors x and y of a safetensors file lie. */
export async function tensorPair(reader: FileReader, path: string): Promise<ArrayPair> {
  const file = await watch(path);
  const places = await tensorPlaces((offset, length) => reader.read(file, offset, length), file.size, path);
  const [x, y] = ["x", "y"].map((name) => {
    const found = places.get(name);
    if (!found)
      throw dataError(
        `there is no tensor ${show(name)}; it holds ${[...places.keys()].slice(0, 8).join(", ")}. Rows are read from x and y.`,
        {
          file: path,
        },
      );
    return { file, ...found };
  });
  return { x, y };
}

/** The array, if its file is as long as it says. */
function whole(array: StoredArray): StoredArray {
  const { file, offset, shape, type } = array;
  const wanted = offset + rowSize(shape) * type.size;
  if (file.size !== wanted)
    throw dataError(
      `the header says ${shape.join(" × ")} elements of ${type.size} bytes, which end at byte ${wanted}, but the file has ${file.size}: it is cut short or damaged.`,
      { file: file.path },
    );
  return array;
}

/** Some rows of an array. */
async function rowsOf(reader: FileReader, array: StoredArray, from: number, count: number): Promise<TypedArray> {
  const width = rowSize(array.shape.slice(1)) * array.type.size;
  const bytes = await reader.read(array.file, array.offset + from * width, count * width);
  return array.type.read(bytes, array.bigEndian);
}

/** The classes of labels that are whole numbers, one for each row: up to the largest of all. */
async function classesOf(
  reader: FileReader,
  pairs: readonly ArrayPair[],
  task: Task | undefined,
): Promise<string[] | undefined> {
  if (task !== undefined && task !== "classification") return undefined;
  let top = 0;
  for (const { y } of pairs) {
    if (rowSize(y.shape.slice(1)) !== 1) return undefined;
    for (let from = 0; from < y.shape[0]; from += 2 ** 16) {
      const labels = await rowsOf(reader, y, from, Math.min(2 ** 16, y.shape[0] - from));
      if (task === undefined && (labels instanceof Float32Array || labels instanceof Float64Array)) return undefined;
      for (const label of labels) top = Math.max(top, Number(label));
    }
  }
  if (top < MOST_CLASSES) return Array.from({ length: top + 1 }, (_, i) => String(i));
  throw dataError(
    `the largest label is ${top}, which would make as many classes; is it a target? Then say task: "regression".`,
    {
      file: pairs[0].y.file.path,
    },
  );
}

/** A larger label is damage, or none. */
const MOST_CLASSES = 2 ** 16;

/** Throws for a number that is none, with its row in the file. */
function checkNumbers(values: TypedArray, { file, shape }: StoredArray, from: number): void {
  if (!(values instanceof Float32Array || values instanceof Float64Array)) return;
  const wrong = values.findIndex((value) => !Number.isFinite(value));
  if (wrong < 0) return;
  const width = rowSize(shape.slice(1));
  throw dataError(`the number is ${values[wrong]}; give a finite one, or remove the row.`, {
    file: file.path,
    row: from + Math.floor(wrong / width) + 1,
    column: (wrong % width) + 1,
  });
}

/** The rows of arrays in blocks. */
export class ArrayBlocks implements Blocks {
  readonly rowBytes: number;
  readonly description: Description;
  readonly #reader: FileReader;
  /** The pair, the first row and the rows of each block. */
  readonly #places: { readonly pair: ArrayPair; readonly from: number; readonly count: number }[] = [];

  private constructor(reader: FileReader, pairs: readonly ArrayPair[], description: Description) {
    this.#reader = reader;
    this.description = description;
    this.rowBytes = rowSize(description.inputShape) * (pairs[0].x.type.array === "Uint8Array" ? 1 : 4);
    const most = Math.max(
      1,
      Math.min(2 ** 15, Math.floor(BLOCK / (rowSize(pairs[0].x.shape.slice(1)) * pairs[0].x.type.size))),
    );
    for (const pair of pairs)
      for (let from = 0; from < pair.x.shape[0]; from += most)
        this.#places.push({ pair, from, count: Math.min(most, pair.x.shape[0] - from) });
  }

  static async open(
    reader: FileReader,
    pairs: readonly ArrayPair[],
    options: { readonly task?: Task; readonly classes?: readonly string[] },
  ): Promise<ArrayBlocks> {
    const [first] = pairs;
    for (const { x, y } of pairs) {
      const differs = [x, y].find(
        (array, i) => array.shape.slice(1).join() !== [first.x, first.y][i].shape.slice(1).join(),
      );
      if (differs)
        throw dataError(`rows have shape ${show(differs.shape.slice(1))}, those of the first file another one.`, {
          file: differs.file.path,
        });
      if (x.shape[0] !== y.shape[0])
        throw dataError(
          `there are ${y.shape[0]} labels for the ${x.shape[0]} rows of ${x.file.path}; take both from the same set.`,
          {
            file: y.file.path,
          },
        );
    }
    const classes = options.classes ?? (await classesOf(reader, pairs, options.task));
    // What the labels are, the first ones say.
    const some = Math.min(first.x.shape[0], 256);
    const [x, y] = await Promise.all([first.x, first.y].map((array) => rowsOf(reader, array, 0, some)));
    const like = arraysToDataset(
      { shape: [some, ...first.x.shape.slice(1)], data: x, file: first.x.file.path },
      { shape: [some, ...first.y.shape.slice(1)], data: y, file: first.y.file.path },
      { ...options, ...(classes && { classes }) },
    );
    const { inputShape, task, classes: found } = like;
    // One-hot rows have as many classes as numbers.
    const width = rowSize(first.y.shape.slice(1));
    const names = task === "classification" && width > 1 ? Array.from({ length: width }, (_, i) => String(i)) : found;
    return new ArrayBlocks(reader, pairs, {
      inputShape,
      task,
      ...((classes ?? names) && { classes: [...(classes ?? names!)] }),
    });
  }

  get length(): number {
    return this.#places.length;
  }

  async read(block: number): Promise<StreamedRows> {
    const { pair, from, count } = this.#places[block];
    const [x, y] = await Promise.all([pair.x, pair.y].map((array) => rowsOf(this.#reader, array, from, count)));
    for (const [values, array] of [
      [x, pair.x],
      [y, pair.y],
    ] as const)
      checkNumbers(values, array, from);
    const { task, classes } = this.description;
    return arraysToDataset(
      { shape: [count, ...pair.x.shape.slice(1)], data: x, file: pair.x.file.path },
      { shape: [count, ...pair.y.shape.slice(1)], data: y, file: pair.y.file.path },
      { task, ...(classes && { classes }) },
    ) as StreamedRows;
  }

  close(): Promise<void> {
    return this.#reader.close();
  }
}
