/**
 * Sequences of different lengths as arrays of one: in a few groups of like lengths, each padded to its longest, for networks that
 * are there for several lengths; or several to a row, for networks that say what comes next. Both waste less than padding all to the
 * longest one.
 */
import { check, checkOptionNames } from "../checks.ts";
import { checkInteger, dataError } from "./fail.ts";

/** Options of `buckets`. */
export interface BucketOptions {
  /** How many lengths there may be; 4 unless said. */
  readonly count?: number;
  /** What stands behind the end of a sequence; 0 unless said. */
  readonly padding?: number;
  /** How many numbers each place has; 1 unless said. */
  readonly features?: number;
}

/** Sequences of like lengths. */
export interface Bucket {
  /** Places of each row: the longest of its sequences. */
  readonly length: number;
  /** Which sequences they are, from 0. */
  readonly rows: Int32Array;
  readonly count: number;
  /** Row by row, `count` · `length` · `features` numbers; behind the end of each stands the padding. */
  readonly x: Float32Array;
  /** How many places each sequence has of its own. */
  readonly lengths: Int32Array;
}

function lengthsOf(what: string, sequences: readonly ArrayLike<number>[], features: number): Int32Array {
  check(Array.isArray(sequences) && sequences.length > 0, `${what}: at least one sequence`, sequences);
  return Int32Array.from(sequences, ({ length }, row) => {
    if (length > 0 && length % features === 0) return length / features;
    const wanted = features === 1 ? "at least one number" : `${features} numbers for each of its places`;
    throw dataError(`the sequence has ${length} numbers; ${wanted} was wanted.`, { row: row + 1 });
  });
}

/**
 * Divides sequences by their lengths into a few buckets, so that there is the least padding that so many lengths allow; the
 * shortest first. A network of each length with the same weights then does less work than one of the longest; `masking` keeps the padding out.
 *
 * Throws `DataError` for a sequence that is empty or has no whole places.
 *
 * @example
 * import { buckets } from "chainrule/data";
 * const [short, long] = buckets([[1], [2, 3], [4, 5, 6, 7, 8], [9]], { count: 2, padding: -1 });
 * console.log(short.x, [...short.rows], long.length); // Float32Array(6) [ 1, -1, 2, 3, 9, -1 ] [ 0, 1, 3 ] 5
 */
export function buckets(sequences: readonly ArrayLike<number>[], options: BucketOptions = {}): Bucket[] {
  checkOptionNames("buckets", options, ["count", "padding", "features"]);
  const { count = 4, padding = 0, features = 1 } = options;
  checkInteger("buckets: count", count, 1);
  checkInteger("buckets: features", features, 1);
  const lengths = lengthsOf("buckets", sequences, features);
  const limits = bestLimits(lengths, count);
  return limits.map((length, i) => {
    const shortest = i === 0 ? 0 : limits[i - 1];
    const rows = Int32Array.from(lengths.keys()).filter((row) => lengths[row] > shortest && lengths[row] <= length);
    const x = new Float32Array(rows.length * length * features).fill(padding);
    rows.forEach((row, k) => {
      x.set(sequences[row], k * length * features);
    });
    return { length, rows, count: rows.length, x, lengths: rows.map((row) => lengths[row]) };
  });
}

/** The lengths to pad to, at most so many, for which all padded rows together have the fewest places. */
function bestLimits(lengths: Int32Array, count: number): number[] {
  const sorted = lengths.slice().sort();
  const distinct = [...new Set(sorted)];
  // How many sequences are at most as long as each of the lengths.
  const upTo = distinct.map((length) => sorted.findLastIndex((each) => each <= length) + 1);
  const most = Math.min(count, distinct.length);
  // least[i]: the fewest places for the sequences up to length i, in as many buckets as there were rounds.
  let least = distinct.map((length, i) => length * upTo[i]);
  const cuts: number[][] = [];
  for (let k = 1; k < most; k++) {
    const cut: number[] = [];
    const before = least;
    least = distinct.map((length, i) => {
      let [best, at] = [before[i], -1];
      for (let j = 0; j < i; j++) {
        const places = before[j] + length * (upTo[i] - upTo[j]);
        if (places < best) [best, at] = [places, j];
      }
      cut.push(at);
      return best;
    });
    cuts.push(cut);
  }
  const limits: number[] = [];
  let i = distinct.length - 1;
  for (let k = cuts.length - 1; ; k--) {
    while (k >= 0 && cuts[k][i] < 0) k--;
    limits.unshift(distinct[i]);
    if (k < 0) return limits;
    i = cuts[k][i];
  }
}

/** Options of `pack`. */
export interface PackOptions {
  /** Places of a row, the context of the network. */
  readonly length: number;
  /** What stands where a row has no more sequences; 0 unless said. Nothing is foretold there. */
  readonly padding?: number;
}

/** Rows that hold several sequences each, for a network that says what comes next. */
export interface Packed {
  /** `count` · `length` tokens. */
  readonly x: Float32Array;
  /** What comes next at each place; −1, which does not count, at the end of each sequence and on padding. */
  readonly y: Int32Array;
  readonly count: number;
  /** The share of places that hold padding. */
  readonly padded: number;
}

/**
 * Packs sequences of tokens into rows of one length, the longest first, each into the first row with room (first-fit decreasing). A place of
 * attention sees the sequences before its own in the row, as it is usual; what comes next is asked within each sequence alone. One that is longer than a row
 * is cut into pieces.
 *
 * Throws `DataError` for an empty sequence.
 *
 * @example
 * import { pack } from "chainrule/data";
 * const { x, y } = pack([[1, 2], [3, 4, 5], [6, 7]], { length: 5 });
 * console.log(x, y); // Float32Array(10) [ 3, 4, 5, 1, 2, 6, 7, 0, 0, 0 ] Int32Array(10) [ 4, 5, -1, 2, -1, 7, -1, -1, -1, -1 ]
 */
export function pack(sequences: readonly ArrayLike<number>[], options: PackOptions): Packed {
  checkOptionNames("pack", options, ["length", "padding"]);
  const { length, padding = 0 } = options;
  checkInteger("pack: length", length, 1);
  lengthsOf("pack", sequences, 1);
  const pieces = sequences.flatMap((sequence) => {
    const tokens = Array.from(sequence);
    // Each piece but the last foretells the first token of the next one too.
    return Array.from({ length: Math.ceil(tokens.length / length) }, (_, i) => ({
      tokens: tokens.slice(i * length, (i + 1) * length),
      next: tokens[(i + 1) * length] ?? -1,
    }));
  });
  pieces.sort((a, b) => b.tokens.length - a.tokens.length);
  const rows: { readonly pieces: typeof pieces; room: number }[] = [];
  // Full rows are not looked at again.
  let from = 0;
  for (const piece of pieces) {
    while (from < rows.length && rows[from].room === 0) from++;
    let row = rows.find(({ room }, i) => i >= from && room >= piece.tokens.length);
    if (!row) {
      row = { pieces: [], room: length };
      rows.push(row);
    }
    row.pieces.push(piece);
    row.room -= piece.tokens.length;
  }
  const x = new Float32Array(rows.length * length).fill(padding);
  const y = new Int32Array(rows.length * length).fill(-1);
  rows.forEach((row, i) => {
    let at = i * length;
    for (const { tokens, next } of row.pieces) {
      x.set(tokens, at);
      y.set([...tokens.slice(1), next], at);
      at += tokens.length;
    }
  });
  const free = rows.reduce((sum, { room }) => sum + room, 0);
  return { x, y, count: rows.length, padded: free / (rows.length * length) };
}
