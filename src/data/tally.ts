/**
 * What a first pass over rows finds, without keeping one: how many there are of each class, their statistics, and for each
 * row one of a hundred bins, by a hash of all its numbers. A split takes whole bins, so that equal rows are never on both
 * sides of it, and statistics of one side know nothing of the other.
 */
import { type Dataset, indicatorFeatures, rowSize, type Statistics } from "./dataset.ts";

/** Rows of a data set, as they are read. */
export type StreamedRows = Pick<Dataset, "x" | "y" | "count">;

/** Bins that rows fall into. */
export const BINS = 100;
/** Features of which statistics are kept for each bin; of more, as those of images, for all rows together. */
const MOST_FEATURES = 2048;

/** The bin of each row, and the sum of the rows' hashes. */
export function binsOf({ x, y, count }: StreamedRows): { bins: Uint8Array; sum: number } {
  const hashes = new Uint32Array(count).fill(0x811c9dc5);
  for (const values of [x, y]) {
    const words =
      values instanceof Uint8Array ? values : new Uint32Array(values.buffer, values.byteOffset, values.byteLength / 4);
    const width = words.length / count;
    for (let row = 0, i = 0; row < count; row++) {
      let hash = hashes[row];
      for (const end = (row + 1) * width; i < end; i++) hash = Math.imul((hash ^ words[i]) + (hash >>> 17), 0x01000193);
      hashes[row] = hash;
    }
  }
  const bins = new Uint8Array(count);
  let sum = 0;
  for (let row = 0; row < count; row++) {
    // The finaliser of MurmurHash3 (Appleby, 2011): each bit of the result depends on each bit of the row.
    let hash = hashes[row];
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    hash = (hash ^ (hash >>> 16)) >>> 0;
    bins[row] = hash % BINS;
    sum = (sum + Math.imul(hash, row + 1)) >>> 0;
  }
  return { bins, sum };
}

/** What was found of all rows: plain arrays, so that a cache can keep them. */
export interface TallyArrays {
  /** Rows of each bin in each block, [blocks, BINS]. */
  readonly counts: Uint16Array;
  /** Rows of each class in each bin, [BINS, classes]. */
  readonly classes: Float64Array;
  /** Of each feature in each bin, [BINS or 1, features], less `origin`, the first row: sums, and sums of squares. */
  readonly sums: Float64Array;
  readonly squares: Float64Array;
  readonly least: Float32Array;
  readonly largest: Float32Array;
  readonly origin: Float32Array;
  /** What tells these rows, in this order, from others: [1]. */
  readonly hash: Uint32Array;
}

/** Gathers what is to be known of rows that come block by block. */
export class Tally {
  readonly #features: number;
  readonly #classes: number;
  readonly #groups: number;
  readonly #counts: Uint16Array[] = [];
  readonly #all: Omit<TallyArrays, "counts">;

  constructor({ inputShape, classes = [] }: Pick<Dataset, "inputShape" | "classes">) {
    this.#features = rowSize(inputShape);
    this.#classes = classes.length;
    this.#groups = this.#features > MOST_FEATURES ? 1 : BINS;
    const size = this.#groups * this.#features;
    this.#all = {
      classes: new Float64Array(BINS * classes.length),
      sums: new Float64Array(size),
      squares: new Float64Array(size),
      least: new Float32Array(size).fill(Infinity),
      largest: new Float32Array(size).fill(-Infinity),
      origin: new Float32Array(this.#features),
      hash: new Uint32Array(1),
    };
  }

  /** Takes notice of the next block. */
  add(rows: StreamedRows): void {
    const { x, y, count } = rows;
    const { classes, sums, squares, least, largest, origin, hash } = this.#all;
    const width = this.#features;
    if (this.#counts.length === 0 && count > 0) origin.set(x.subarray(0, width));
    const { bins, sum } = binsOf(rows);
    hash[0] = Math.imul(hash[0], 31) + sum;
    const counts = new Uint16Array(BINS);
    const hasClasses = this.#classes > 0 && y.length === count;
    for (let row = 0, i = 0; row < count; row++) {
      const bin = bins[row];
      counts[bin]++;
      if (hasClasses) classes[bin * this.#classes + y[row]]++;
      const base = this.#groups === 1 ? 0 : bin * width;
      for (let f = 0; f < width; f++, i++) {
        const value = x[i];
        const shifted = value - origin[f];
        sums[base + f] += shifted;
        squares[base + f] += shifted * shifted;
        if (value < least[base + f]) least[base + f] = value;
        if (value > largest[base + f]) largest[base + f] = value;
      }
    }
    this.#counts.push(counts);
  }

  /** What was found. */
  finish(): TallyArrays {
    const counts = new Uint16Array(this.#counts.length * BINS);
    for (const [block, each] of this.#counts.entries()) counts.set(each, block * BINS);
    return { counts, ...this.#all };
  }
}

/** The statistics of the rows in some bins; see `statistics` of dataset.ts. */
export function statisticsOf(
  { sums, squares, least, largest, origin }: TallyArrays,
  bins: readonly number[],
  count: number,
  schema: Dataset["schema"],
): Statistics {
  const width = origin.length;
  const groups = sums.length === width ? [0] : bins;
  const [mean, deviation] = [new Float32Array(width), new Float32Array(width)];
  for (let f = 0; f < width; f++) {
    let [sum, square, low, high] = [0, 0, Infinity, -Infinity];
    for (const group of groups) {
      const i = group * width + f;
      sum += sums[i];
      square += squares[i];
      low = Math.min(low, least[i]);
      high = Math.max(high, largest[i]);
    }
    mean[f] = origin[f] + sum / count;
    deviation[f] = low === high ? 1 : Math.sqrt(Math.max(0, square / count - (sum / count) ** 2));
  }
  for (const f of indicatorFeatures(schema)) [mean[f], deviation[f]] = [0, 1];
  return { mean, deviation };
}
