/**
 * A data set of any size that is read while it is used: its rows lie in blocks, of which a few at a time are in memory. An
 * epoch goes through the blocks in an order of its own and mixes the rows of many. Where blocks come from is for
 * node/stream, what is known of all rows for tally.ts.
 */
import { checkOptionNames } from "../checks.ts";
import { ArgumentError, DataError } from "../errors.ts";
import { RandomStream } from "../random.ts";
import type { Message } from "../wording.ts";
import type { NumberArray } from "./arrays.ts";
import type { Dataset, SplitOptions, Statistics } from "./dataset.ts";
import { rowSize } from "./dataset.ts";
import { checkInteger, show } from "./fail.ts";
import { BINS, binsOf, type StreamedRows, statisticsOf, Tally, type TallyArrays } from "./tally.ts";

/** What all rows of a data set have in common. */
export type Description = Omit<Dataset, "x" | "y" | "count"> & {
  /** What was taken for granted where data can be read in several ways, to be said to people. */
  readonly notes?: readonly Message[];
};

/** Rows that can be read block by block, in any order. */
export interface Blocks {
  readonly description: Description;
  /** How many blocks there are. */
  readonly length: number;
  /** Bytes of a row's features; 4 for each unless said. */
  readonly rowBytes?: number;
  /** The rows of a block, decoded, checked and in their order; at most 65,535. */
  read(block: number): Promise<StreamedRows>;
  /** The rows of all blocks, one after the other, where that is another way than reading each; then `length` may be new. */
  scan?(): AsyncIterable<StreamedRows>;
  /** Gives back what reading has taken. */
  close?(): Promise<void>;
}

/** Which rows, and in which order. */
export interface RowsOptions {
  /** Rows of different epochs come in different orders; 0 unless said. */
  readonly epoch?: number;
  readonly seed?: number;
  /** Whether rows are mixed; unless said, they come as they are stored. */
  readonly shuffle?: boolean;
  /** Leaves out so many rows at the beginning of that order. */
  readonly from?: number;
}

/** Bytes of rows that are mixed with one another. */
const BUFFER_BYTES = 2 ** 24;

/** A data set that is read while it is used; `openStream` of chainrule/data/node makes one. `fit`, `evaluate` and `predict` take it. */
export class DataStream {
  readonly #blocks: Blocks;
  readonly #tally: TallyArrays;
  /** The bins whose rows belong to it. */
  readonly #bins: readonly number[];
  /** Its rows in each block. */
  readonly #counts: Uint32Array;
  /** Number of rows. */
  readonly count: number;
  readonly inputShape: number[];
  readonly task: Dataset["task"];
  readonly classes?: string[];
  readonly features?: string[];
  readonly schema?: Dataset["schema"];
  /** What was taken for granted where data can be read in several ways, to be said to people. */
  readonly notes: readonly Message[];

  /** @param bins those whose rows belong to it; all unless said */
  constructor(blocks: Blocks, tally: TallyArrays, bins: readonly number[] = Array.from({ length: BINS }, (_, i) => i)) {
    this.#blocks = blocks;
    this.#tally = tally;
    this.#bins = bins;
    this.#counts = Uint32Array.from({ length: blocks.length }, (_, block) =>
      bins.reduce((sum, bin) => sum + tally.counts[block * BINS + bin], 0),
    );
    this.count = this.#counts.reduce((sum, count) => sum + count, 0);
    const { inputShape, task, classes, features, schema, notes = [] } = blocks.description;
    this.inputShape = [...inputShape];
    this.task = task;
    if (classes) this.classes = [...classes];
    if (features) this.features = [...features];
    if (schema) this.schema = schema;
    this.notes = notes;
  }

  /** What tells its rows from others, for checkpoints. */
  get fingerprint(): string {
    return `${this.count} rows of stream ${this.#tally.hash[0].toString(16)}`;
  }

  /** How many rows each class has. */
  get classCounts(): number[] | undefined {
    return this.classes?.map((_, label) =>
      this.#bins.reduce((sum, bin) => sum + this.#tally.classes[bin * this.classes!.length + label], 0),
    );
  }

  /** Mean and deviation of every feature: what a `normalize` layer takes. */
  get statistics(): Statistics {
    return statisticsOf(this.#tally, this.#bins, this.count, this.schema);
  }

  /**
   * Parts of these fractions, as `split` of data in memory: `[0.8, 0.2]`, or 0.8, which means the same. A row is in a part by
   * a hash of its numbers, so equal rows are in the same one, whatever else is in the files; parts have about the
   * fractions that were asked for, in hundredths.
   *
   * Throws `ArgumentError` for fractions that make no sense, `DataError` where a part would be empty.
   *
   * @example
   * import { openStream, writeFileAtomically } from "chainrule/data/node";
   * const rows = Array.from({ length: 400 }, (_, i) => `${i},${i % 3 ? "no" : "yes"}`);
   * await writeFileAtomically("many.csv", new TextEncoder().encode(`size,ripe\n${rows.join("\n")}\n`));
   * const [train, validation] = (await openStream("many.csv", { target: "ripe" })).split(0.8);
   * console.log(train.count + validation.count); // 400
   */
  split(given: number | readonly number[], options: Pick<SplitOptions, "seed"> = {}): DataStream[] {
    checkOptionNames("split", options, ["seed"]);
    const { seed = 0 } = options;
    checkInteger("The seed", seed, 0);
    const fractions = typeof given === "number" ? [given, 1 - given] : given;
    const sum = Array.isArray(fractions) ? fractions.reduce((total, fraction) => total + fraction, 0) : 0;
    if (!(sum > 0 && sum <= 1 + 1e-9 && fractions.every((fraction) => fraction > 0)))
      throw new ArgumentError(
        `The fractions are ${show(given)}; give numbers above 0 that sum to at most 1, such as [0.8, 0.2].`,
      );
    const order = new RandomStream(seed, "split").permutation(this.#bins.length);
    let reached = 0;
    return fractions.map((fraction) => {
      const begin = Math.round(reached * this.#bins.length);
      reached += fraction;
      const own = [...order.subarray(begin, Math.round(reached * this.#bins.length))].map((i) => this.#bins[i]);
      const part = new DataStream(
        this.#blocks,
        this.#tally,
        own.sort((a, b) => a - b),
      );
      if (part.count === 0)
        throw new DataError(
          `A part of ${fraction} of ${this.count} rows would be empty, as rows go by a hash of what is in them. Give more rows that differ, or a larger fraction.`,
        );
      return part;
    });
  }

  /**
   * The rows in parts of some megabytes, as they are stored or mixed: the same order for the same seed and epoch. While one
   * part is used, the next one is read.
   *
   * Throws `DataError` and `FileError`, which name file and row.
   *
   * @example
   * import { openStream, writeFileAtomically } from "chainrule/data/node";
   * await writeFileAtomically("few.csv", new TextEncoder().encode("size,ripe\n3,yes\n1,no\n"));
   * for await (const { x, y } of (await openStream("few.csv", { target: "ripe" })).rows()) console.log(x, y);
   * // Float32Array(2) [ 3, 1 ] Int32Array(2) [ 1, 0 ]
   */
  async *rows(options: RowsOptions = {}): AsyncGenerator<StreamedRows> {
    checkOptionNames("rows", options, ["epoch", "seed", "shuffle", "from"]);
    const { epoch = 0, seed = 0, shuffle = false, from = 0 } = options;
    const groups = this.#groups(shuffle ? new RandomStream(seed, `blocks ${epoch}`) : undefined);
    let row = 0;
    let next: Promise<StreamedRows> | undefined;
    for (const [i, { count }] of groups.entries()) {
      const begin = Math.max(0, from - row);
      row += count;
      if (row <= from) continue;
      const read = (k: number): Promise<StreamedRows> => {
        const mix = shuffle ? new RandomStream(seed, `rows ${epoch} ${k}`) : undefined;
        const reading = this.#gather(groups[k].blocks, groups[k].count, mix);
        reading.catch(() => {}); // told when they are wanted
        return reading;
      };
      const group = await (next ?? read(i));
      next = i + 1 < groups.length ? read(i + 1) : undefined;
      yield begin === 0 ? group : after(group, begin);
    }
  }

  /** The blocks in their order, as many together as are mixed with one another. */
  #groups(random: RandomStream | undefined): { blocks: number[]; count: number }[] {
    const order = random?.permutation(this.#blocks.length);
    const row = this.#blocks.rowBytes ?? rowSize(this.inputShape) * 4;
    const groups: { blocks: number[]; count: number }[] = [];
    let last: { blocks: number[]; count: number } | undefined;
    for (let i = 0; i < this.#blocks.length; i++) {
      const block = order?.[i] ?? i;
      if (this.#counts[block] === 0) continue;
      if (!last || (last.count + this.#counts[block]) * row > BUFFER_BYTES) {
        last = { blocks: [], count: 0 };
        groups.push(last);
      }
      last.blocks.push(block);
      last.count += this.#counts[block];
    }
    return groups;
  }

  /** The rows of blocks, those that belong to it, mixed if there is something to mix them by. */
  async #gather(blocks: readonly number[], count: number, random: RandomStream | undefined): Promise<StreamedRows> {
    const place = random?.permutation(count);
    let [x, y]: (NumberArray | undefined)[] = [];
    let at = 0;
    const owns =
      this.#bins.length < BINS
        ? Uint8Array.from({ length: BINS }, (_, bin) => Number(this.#bins.includes(bin)))
        : undefined;
    for (let i = 0; i < blocks.length; i += READ_AT_ONCE)
      for (const rows of await Promise.all(
        blocks.slice(i, i + READ_AT_ONCE).map((block) => this.#blocks.read(block)),
      )) {
        if (rows.count === 0) continue;
        const [width, targets] = [rows.x.length / rows.count, rows.y.length / rows.count];
        x ??= blank(rows.x, count * width);
        y ??= blank(rows.y, count * targets);
        const bins = owns && binsOf(rows).bins;
        const chosen = new Int32Array(rows.count);
        for (let row = 0; row < rows.count; row++) {
          const isOurs = !bins || owns![bins[row]] === 1;
          chosen[row] = !isOurs ? -1 : place ? place[at] : at;
          if (isOurs) at++;
        }
        placeRows(rows.x, x, chosen);
        placeRows(rows.y, y, chosen);
      }
    if (at !== count)
      throw new DataError(`${count} rows were to be read, but there are ${at}: the data changed while they were read.`);
    return { x: x!, y: y as Dataset["y"], count };
  }

  /** Gives back what reading has taken: files and workers. */
  async close(): Promise<void> {
    await this.#blocks.close?.();
  }
}

/** Blocks that are read at the same time. */
const READ_AT_ONCE = 8;

const blank = <A extends NumberArray>(like: A, length: number): A =>
  new (like.constructor as new (length: number) => A)(length);

/** Copies each row to the place that is chosen for it, if there is one. */
function placeRows(from: NumberArray, to: NumberArray, chosen: Int32Array): void {
  // Numbers of one size are copied alike, so that the loop sees one kind of array.
  if (from.BYTES_PER_ELEMENT === 4) placeWords(wordsOf(from), wordsOf(to), chosen);
  else for (const [row, at] of chosen.entries()) if (at >= 0) placeRow(from, to, from.length / chosen.length, row, at);
}

const placeRow = (from: NumberArray, to: NumberArray, width: number, row: number, at: number): void =>
  to.set(from.subarray(row * width, (row + 1) * width), at * width);

const wordsOf = ({ buffer, byteOffset, length }: NumberArray) => new Uint32Array(buffer, byteOffset, length);

function placeWords(from: Uint32Array, to: Uint32Array, chosen: Int32Array): void {
  const width = from.length / chosen.length;
  for (let row = 0, i = 0; row < chosen.length; row++) {
    let k = chosen[row] * width;
    if (k < 0) i += width;
    else for (const end = i + width; i < end; ) to[k++] = from[i++];
  }
}

/** Rows from `begin` on. */
const after = ({ x, y, count }: StreamedRows, begin: number): StreamedRows => ({
  x: x.subarray((x.length / count) * begin),
  y: y.subarray((y.length / count) * begin) as Dataset["y"],
  count: count - begin,
});

/** The rows of all blocks, in their order. */
async function* inOrder(blocks: Blocks): AsyncGenerator<StreamedRows> {
  for (let block = 0; block < blocks.length; block += READ_AT_ONCE) {
    const numbers = Array.from({ length: Math.min(READ_AT_ONCE, blocks.length - block) }, (_, i) => block + i);
    yield* await Promise.all(numbers.map((number) => blocks.read(number)));
  }
}

/** All rows, in their order. */
export const rowsOf = (blocks: Blocks): AsyncIterable<StreamedRows> => blocks.scan?.() ?? inOrder(blocks);

/** Goes through all rows once and gives them as a stream. `told` hears of each block. */
export async function streamOf(
  blocks: Blocks,
  told?: (rows: StreamedRows) => void | Promise<void>,
): Promise<DataStream> {
  const tally = new Tally(blocks.description);
  let since = performance.now();
  for await (const rows of rowsOf(blocks)) {
    tally.add(rows);
    await told?.(rows);
    if (performance.now() - since < READ_TIME) continue;
    await new Promise((resolve) => setTimeout(resolve));
    since = performance.now();
  }
  return new DataStream(blocks, tally.finish());
}

/** A first pass lets other work run after so many milliseconds. */
const READ_TIME = 50;
