/**
 * Decoded rows on disk, so that later epochs, and later runs, need not decode them again: numbers as they lie in memory, in blocks
 * that are read in any order. An entry is known by the files it comes from, as they were, and by the options they were
 * read with; two files hold it, the rows and what is known of all of them.
 */
import { createHash } from "node:crypto";
import { mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { message, option } from "../../../wording.ts";
import { type Blocks, DataStream, type Description, rowsOf } from "../../data-stream.ts";
import { dataError } from "../../fail.ts";
import { decodeSafetensors, encodeSafetensors } from "../../safetensors.ts";
import { type StreamedRows, Tally, type TallyArrays } from "../../tally.ts";
import { fileError, readFile, writeFile } from "../files.ts";
import { FileReader, type WatchedFile, watch } from "./watched-file.ts";

/** Bytes of a block. */
const BLOCK = 2 ** 16;
/** Bytes that the rows of a stream may take, unless said. */
const LIMIT = 20e9;
/** What an entry's form is called, so that another version's is not read. */
const VERSION = 1;
const ENTRY = /^chainrule-[0-9a-f]{32}(\.rows(\.\d+)?|\.safetensors)$/;

/** How the rows of an entry lie in its file: blocks of x, then y, all but the last one of as many rows. */
interface Layout {
  readonly count: number;
  readonly perBlock: number;
  readonly x: "Uint8Array" | "Float32Array";
  readonly y: "Int32Array" | "Float32Array";
  readonly width: number;
  readonly targets: number;
}

const ARRAYS = { Uint8Array, Float32Array, Int32Array };

/** Bytes of so many rows, x and y each on a multiple of 4. */
const bytesOf = ({ x, width, targets }: Layout, count: number): [number, number] => [
  4 * Math.ceil((count * width * ARRAYS[x].BYTES_PER_ELEMENT) / 4),
  4 * count * targets,
];

/** The rows of an entry. */
class StoredBlocks implements Blocks {
  readonly rowBytes: number;
  readonly description: Description;
  readonly length: number;
  readonly #layout: Layout;
  readonly #file: WatchedFile;
  readonly #reader = new FileReader();

  constructor(description: Description, layout: Layout, file: WatchedFile) {
    this.description = description;
    this.length = Math.ceil(layout.count / layout.perBlock);
    this.rowBytes = layout.width * ARRAYS[layout.x].BYTES_PER_ELEMENT;
    this.#layout = layout;
    this.#file = file;
  }

  async read(block: number): Promise<StreamedRows> {
    const { count: all, perBlock, x, y, width, targets } = this.#layout;
    const count = Math.min(perBlock, all - block * perBlock);
    const [xBytes, yBytes] = bytesOf(this.#layout, count);
    const [whole] = [bytesOf(this.#layout, perBlock).reduce((a, b) => a + b)];
    const { buffer } = await this.#reader.read(this.#file, block * whole, xBytes + yBytes);
    return {
      x: new ARRAYS[x](buffer, 0, count * width),
      y: new ARRAYS[y](buffer, xBytes, count * targets),
      count,
    };
  }

  close(): Promise<void> {
    return this.#reader.close();
  }
}

/** How many rows like these a block has. */
const perBlockOf = ({ x, count }: StreamedRows): number =>
  Math.max(1, Math.min(2 ** 15, Math.floor(BLOCK / (x.byteLength / count))));

/** The same rows in parts of as many as a block has. */
async function* recut(source: AsyncIterable<StreamedRows>): AsyncGenerator<StreamedRows> {
  let room: { x: StreamedRows["x"]; y: StreamedRows["y"]; size: number } | undefined;
  let filled = 0;
  for await (const rows of source) {
    if (rows.count === 0) continue;
    const [width, targets] = [rows.x.length / rows.count, rows.y.length / rows.count];
    for (let from = 0; from < rows.count; ) {
      const size = room?.size ?? perBlockOf(rows);
      room ??= {
        x: new (rows.x.constructor as Float32ArrayConstructor)(size * width),
        y: new (rows.y.constructor as Float32ArrayConstructor)(size * targets),
        size,
      };
      const taken = Math.min(size - filled, rows.count - from);
      room.x.set(rows.x.subarray(from * width, (from + taken) * width), filled * width);
      room.y.set(rows.y.subarray(from * targets, (from + taken) * targets), filled * targets);
      filled += taken;
      from += taken;
      if (filled < size) continue;
      yield { x: room.x, y: room.y, count: size };
      [room, filled] = [undefined, 0];
    }
  }
  if (!room) return;
  const part = filled / room.size;
  yield {
    x: room.x.subarray(0, room.x.length * part),
    y: room.y.subarray(0, room.y.length * part) as StreamedRows["y"],
    count: filled,
  };
}

/** What an entry is known by: the files, as they are now, and how they are read. */
export function entryKey(files: readonly WatchedFile[], options: unknown): string {
  const hash = createHash("sha256").update(JSON.stringify([VERSION, options]));
  for (const { path, size, changed } of files) hash.update(JSON.stringify([resolve(path), size, changed]));
  return hash.digest("hex").slice(0, 32);
}

/** The stream of an entry; `open` gives its rows where there is none yet, which are then kept. */
export async function cachedStream(
  directory: string,
  limit: number | undefined,
  key: string,
  open: () => Promise<Blocks>,
): Promise<DataStream> {
  const place = join(directory, `chainrule-${key}`);
  const known = await readEntry(place);
  if (known) return known;
  await mkdir(directory, { recursive: true }).catch((cause: unknown) => {
    throw fileError("write", directory, cause);
  });
  const source = await open();
  const { layout, tally } = await writeRows(source, `${place}.rows`, limit ?? LIMIT);
  const arrays = Object.entries(tally).map(([name, data]) => [name, { shape: [data.length], data }] as const);
  const { description } = source;
  const about = JSON.stringify({ description, layout });
  await writeFile(`${place}.safetensors`, encodeSafetensors(new Map(arrays), { about }));
  await source.close?.();
  return new DataStream(new StoredBlocks(description, layout, await watch(`${place}.rows`)), tally);
}

/** Writes all rows to a file, and tells what they are. */
async function writeRows(source: Blocks, path: string, limit: number): Promise<{ layout: Layout; tally: TallyArrays }> {
  const temporary = `${path}.${process.pid}`;
  const tally = new Tally(source.description);
  let layout: Layout | undefined;
  let bytes = 0;
  try {
    const file = await open(temporary, "w");
    try {
      for await (const rows of recut(rowsOf(source))) {
        tally.add(rows);
        const { x, y, count } = rows;
        layout ??= {
          count: 0,
          perBlock: count,
          x: x instanceof Uint8Array ? "Uint8Array" : "Float32Array",
          y: y instanceof Int32Array ? "Int32Array" : "Float32Array",
          width: x.length / count,
          targets: y.length / count,
        };
        layout = { ...layout, count: layout.count + count };
        const [xBytes, yBytes] = bytesOf(layout, count);
        bytes += xBytes + yBytes;
        if (bytes > limit)
          throw dataError(
            message`the rows take more than the ${limit / 1e9} GB that may be kept there. Give a larger ${option("cacheLimit")}.`,
            { file: path },
          );
        const block = new Uint8Array(xBytes + yBytes);
        block.set(new Uint8Array(x.buffer, x.byteOffset, x.byteLength));
        block.set(new Uint8Array(y.buffer, y.byteOffset, y.byteLength), xBytes);
        await file.write(block);
      }
    } finally {
      await file.close();
    }
    if (!layout) throw dataError("there are no rows.", { file: path });
    await rename(temporary, path);
    return { layout, tally: tally.finish() };
  } catch (cause) {
    await rm(temporary, { force: true });
    throw (cause as NodeJS.ErrnoException).syscall ? fileError("write", path, cause) : cause;
  }
}

/** An entry that is there and whole. */
async function readEntry(place: string): Promise<DataStream | undefined> {
  const rows = `${place}.rows`;
  const found = await stat(rows).catch(() => undefined);
  if (!found || !(await stat(`${place}.safetensors`).catch(() => undefined))) return undefined;
  const { tensors, metadata } = decodeSafetensors(await readFile(`${place}.safetensors`), `${place}.safetensors`);
  const { description, layout } = JSON.parse(metadata.about) as { description: Description; layout: Layout };
  const { count, perBlock } = layout;
  const rest = count % perBlock;
  const [whole, last] = [perBlock, rest].map((rows) => bytesOf(layout, rows).reduce((a, b) => a + b));
  if (found.size !== Math.floor(count / perBlock) * whole + last) return undefined;
  const tally = Object.fromEntries([...tensors].map(([name, { data }]) => [name, data]));
  return new DataStream(new StoredBlocks(description, layout, await watch(rows)), tally as unknown as TallyArrays);
}

/**
 * The bytes that the rows which `openStream` has kept in a directory take. Throws `FileError`.
 *
 * @example
 * import { mkdir } from "node:fs/promises";
 * import { cacheSize } from "chainrule/data/node";
 * await mkdir("decoded", { recursive: true });
 * console.log((await cacheSize("decoded")) >= 0); // true
 */
export async function cacheSize(directory: string): Promise<number> {
  let bytes = 0;
  for (const name of await entries(directory)) bytes += (await stat(join(directory, name))).size;
  return bytes;
}

/**
 * Removes the decoded rows that `openStream` has kept in a directory, and nothing else, and gives the bytes that were
 * freed. Throws `FileError`.
 *
 * @example
 * import { mkdir } from "node:fs/promises";
 * import { clearCache } from "chainrule/data/node";
 * await mkdir("decoded", { recursive: true });
 * console.log(await clearCache("decoded")); // 0
 */
export async function clearCache(directory: string): Promise<number> {
  const bytes = await cacheSize(directory);
  for (const name of await entries(directory)) await rm(join(directory, name), { force: true });
  return bytes;
}

const entries = async (directory: string): Promise<string[]> =>
  (
    await readdir(directory).catch((cause: unknown) => {
      throw fileError("read", directory, cause);
    })
  ).filter((name) => ENTRY.test(name));
