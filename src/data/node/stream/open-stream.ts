/**
 * Opens data of any size for reading while a network trains: finds the files of a path or a pattern and, by their names, the
 * reader of their format; and keeps the rows decoded where that is asked for.
 */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { checkNumbers, checkOptionNames } from "../../../checks.ts";
import { ArgumentError } from "../../../errors.ts";
import { type Blocks, type DataStream, streamOf } from "../../data-stream.ts";
import { dataError, show } from "../../fail.ts";
import type { TableSchema } from "../../schema.ts";
import { TABLE_OPTIONS, type TableOptions } from "../../table.ts";
import { fileError, readDirectory } from "../files.ts";
import { findIdx } from "../idx.ts";
import { findImages, type ImageFolderOptions } from "../images.ts";
import { ArrayBlocks, type ArrayPair, idxArray, npyArray, tensorPair } from "./array-blocks.ts";
import { cachedStream, entryKey } from "./cache.ts";
import { findPaths } from "./find-paths.ts";
import { ImageBlocks } from "./image-blocks.ts";
import { ParquetFormat } from "./parquet-rows.ts";
import { TableBlocks } from "./table-blocks.ts";
import { CsvFormat, JsonLinesFormat } from "./text-rows.ts";
import { FileReader, type WatchedFile, watch } from "./watched-file.ts";

/** Options of `openStream`: for tables those of `readTable`, for folders of images those of `readImageFolder`. */
export interface StreamOptions
  extends Partial<Omit<TableOptions, "file">>,
    Pick<ImageFolderOptions, "size" | "channels" | "classes" | "background"> {
  /** How the columns of a table become numbers, where that is known from another one: then `target` is not wanted. */
  readonly schema?: TableSchema;
  /** False for tables without the target, such as rows to predict; with a `schema`. Their targets are 0. */
  readonly labelled?: boolean;
  /** For NPY files of inputs: the path or pattern of those of labels or targets, as many and in the same order. */
  readonly targets?: string | readonly string[];
  /** Which set of a directory of IDX files; `train` unless said. */
  readonly part?: "train" | "test";
  /** A directory in which rows are kept as numbers, so that epochs and later runs need not decode them; made if not there. */
  readonly cache?: string;
  /** Bytes that they may take there; 20 GB unless said. */
  readonly cacheLimit?: number;
}

const OPTIONS = [
  ...TABLE_OPTIONS.filter((name) => name !== "file"),
  ...["schema", "labelled", "targets", "part", "cache", "cacheLimit", "size", "channels", "classes", "background"],
];

/**
 * Data that are read while they are used, from files larger than memory or not:
 * - tables: CSV and TSV, or an object on each line (.jsonl, .ndjson); with a `cache` also gzipped, and Parquet
 *   (.parquet; `npm install hyparquet`);
 * - arrays: NPY (with `targets`), safetensors with tensors x and y, a directory of IDX files named as MNIST's are;
 * - a folder of class folders of PNG or JPEG images.
 *
 * A path, a pattern such as `shards/*.csv`, or a list of both; the files of one stream have the same columns. They are
 * gone through at once, for schema, statistics and counts, and must then stay as they are.
 *
 * Throws `FileError`, and `DataError` that names file, row and column.
 *
 * @example
 * import { openStream, writeFileAtomically } from "chainrule/data/node";
 * for (const i of [0, 1]) await writeFileAtomically(`fruit-${i}.csv`, new TextEncoder().encode(`size,ripe\n${i},yes\n9,no\n`));
 * const stream = await openStream("fruit-*.csv", { target: "ripe", cache: "decoded" });
 * console.log(stream.count, stream.classCounts, stream.statistics.mean); // 4 [ 2, 2 ] Float32Array(1) [ 4.75 ]
 */
export async function openStream(source: string | readonly string[], options: StreamOptions = {}): Promise<DataStream> {
  checkOptionNames("openStream", options, OPTIONS);
  const { cache, cacheLimit, ...reading } = options;
  if (cacheLimit !== undefined)
    checkNumbers("openStream: ", { cacheLimit }, [(bytes) => bytes > 0, "a number of bytes > 0"]);
  const paths = await findPaths(source);
  if (cache === undefined) return streamOf(await openBlocks(paths, reading));
  const files = await filesOf(paths, reading);
  return cachedStream(cache, cacheLimit, entryKey(files, reading), () => openBlocks(paths, reading));
}

/** All files that rows come from, as they are now. */
async function filesOf(paths: readonly string[], options: StreamOptions): Promise<WatchedFile[]> {
  const { targets = [] } = options;
  const all: string[] = targets.length > 0 ? await findPaths(targets) : [];
  for (const path of paths) {
    if (!(await stat(path).catch(() => undefined))?.isDirectory()) all.push(path);
    else {
      const names = await readDirectory(path);
      const idx = findIdx(path, names, "train");
      if (idx) all.push(...names.filter((name) => /idx\d-ubyte/.test(name)).map((name) => join(path, name)));
      else all.push(...(await findImages(path, options)).images.map((image) => image.path));
    }
  }
  const files: WatchedFile[] = [];
  for (let i = 0; i < all.length; i += 64) files.push(...(await Promise.all(all.slice(i, i + 64).map(watch))));
  return files;
}

async function openBlocks(paths: readonly string[], options: StreamOptions): Promise<Blocks> {
  const [path] = paths;
  const found = await stat(path).catch((cause: unknown) => {
    throw fileError("read", path, cause);
  });
  const { task, classes } = options;
  const labelled = { ...(task && { task }), ...(classes && { classes }) };
  if (found.isDirectory()) {
    const names = await readDirectory(path);
    const { part = "train", size, channels, background } = options;
    const idx = findIdx(path, names, part === "train" ? "train" : "(?:t10k|test)");
    if (!idx)
      return ImageBlocks.open(path, {
        ...(size && { size }),
        ...(channels && { channels }),
        ...(classes && { classes }),
        ...(background !== undefined && { background }),
      });
    const reader = new FileReader();
    const [x, y] = await Promise.all([idx.images, idx.labels].map((name) => idxArray(reader, join(path, name))));
    return ArrayBlocks.open(reader, [{ x, y }], labelled);
  }
  if (/\.(npy|safetensors)$/i.test(path)) {
    const reader = new FileReader();
    return ArrayBlocks.open(reader, await arrayPairs(reader, paths, options.targets), labelled);
  }
  if (/\.(npz|json)$/i.test(path))
    throw dataError(
      `a file of this kind can only be read as a whole (readNpz, readCsv). Write ${/npz$/i.test(path) ? "its arrays as .npy files" : "an object on each line (.jsonl)"} to read it as a stream.`,
      { file: path },
    );
  const { target, schema } = options;
  if (schema === undefined && target === undefined)
    throw new ArgumentError(
      `No target was given; name the column of ${show(path)} to predict, as in { target: "price" }.`,
    );
  const format = /\.parquet$/i.test(path)
    ? new ParquetFormat()
    : /\.(jsonl|ndjson)(\.gz)?$/i.test(path)
      ? new JsonLinesFormat()
      : new CsvFormat(options);
  const files = await Promise.all(paths.map(watch));
  return TableBlocks.open(
    files,
    format,
    schema ? { schema, labelled: options.labelled } : { ...options, target: target! },
  );
}

async function arrayPairs(
  reader: FileReader,
  paths: readonly string[],
  targets: StreamOptions["targets"],
): Promise<ArrayPair[]> {
  if (/\.safetensors$/i.test(paths[0])) return Promise.all(paths.map((path) => tensorPair(reader, path)));
  if (targets === undefined)
    throw new ArgumentError(
      `No targets were given; name the NPY file of the labels or targets of ${show(paths[0])}, as in { targets: "y.npy" }.`,
    );
  const labels = await findPaths(targets);
  if (labels.length !== paths.length)
    throw new ArgumentError(
      `There are ${paths.length} files of inputs and ${labels.length} of targets; give as many of both.`,
    );
  const pairs: ArrayPair[] = [];
  for (const [i, path] of paths.entries())
    pairs.push({ x: await npyArray(reader, path), y: await npyArray(reader, labels[i]) });
  return pairs;
}
