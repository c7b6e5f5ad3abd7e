/**
 * Learns which neighbours to join, from a text: again and again the pair of tokens that stands beside each other most often. Counts
 * are kept as pairs are joined, so that a join looks only at the words that hold it.
 */
import { check, checkOptionNames } from "../checks.ts";
import { BYTE_CHARACTERS, BYTE_ORDER, GPT2_CUT, wordsOf } from "./byte-pairs.ts";
import { checkInteger } from "./fail.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { tokenizerFrom } from "./tokenizer-file.ts";

/** Options of `bytePairTokenizer`. */
export interface BytePairOptions {
  /** How many tokens there are in all, the 256 bytes among them; 1000 unless said. */
  readonly vocabulary?: number;
  /** How often a pair must occur to be joined; 2 unless said. */
  readonly least?: number;
}

/** A word, as token numbers, and how often it occurs. */
interface Word {
  readonly tokens: number[];
  readonly count: number;
}

/** Pairs with the most frequent first; of equally frequent ones that of the smaller token numbers. */
class Ranking {
  readonly #heap: { readonly count: number; readonly key: number }[] = [];

  #before(i: number, j: number): boolean {
    const [a, b] = [this.#heap[i], this.#heap[j]];
    return a.count > b.count || (a.count === b.count && a.key < b.key);
  }

  #swap(i: number, j: number): void {
    [this.#heap[i], this.#heap[j]] = [this.#heap[j], this.#heap[i]];
  }

  push(count: number, key: number): void {
    let i = this.#heap.push({ count, key }) - 1;
    for (let up = (i - 1) >> 1; i > 0 && this.#before(i, up); i = up, up = (i - 1) >> 1) this.#swap(i, up);
  }

  pop(): { readonly count: number; readonly key: number } | undefined {
    const [first] = this.#heap;
    const last = this.#heap.pop();
    if (this.#heap.length === 0 || last === undefined) return first;
    this.#heap[0] = last;
    for (let i = 0; ; ) {
      const [left, right] = [2 * i + 1, 2 * i + 2];
      let best = i;
      if (left < this.#heap.length && this.#before(left, best)) best = left;
      if (right < this.#heap.length && this.#before(right, best)) best = right;
      if (best === i) return first;
      this.#swap(i, best);
      i = best;
    }
  }
}

/** A pair as one number; there are fewer tokens than this. */
const PAIR = 2 ** 21;

/** The pairs to join, in their order; the first of them becomes token 256. */
function learn(words: readonly Word[], most: number, least: number): [number, number][] {
  const counts = new Map<number, number>();
  const places = new Map<number, Set<number>>();
  const ranking = new Ranking();
  const changed = new Set<number>();
  const change = (a: number, b: number, by: number, place: number): void => {
    const key = a * PAIR + b;
    counts.set(key, (counts.get(key) ?? 0) + by);
    changed.add(key);
    if (by < 0) return;
    const at = places.get(key);
    if (at) at.add(place);
    else places.set(key, new Set([place]));
  };
  const rank = (): void => {
    for (const key of changed) ranking.push(counts.get(key)!, key);
    changed.clear();
  };
  words.forEach(({ tokens, count }, place) => {
    for (let i = 0; i + 1 < tokens.length; i++) change(tokens[i], tokens[i + 1], count, place);
  });
  rank();
  const learnt: [number, number][] = [];
  while (learnt.length < most) {
    const best = ranking.pop();
    if (!best || best.count < least) break;
    // A count that was true earlier: the one that is true now stands elsewhere in the ranking.
    if (counts.get(best.key) !== best.count) continue;
    const [a, b] = [Math.floor(best.key / PAIR), best.key % PAIR];
    const token = 256 + learnt.length;
    learnt.push([a, b]);
    for (const place of places.get(best.key)!) joinIn(words[place], a, b, token, (x, y, by) => change(x, y, by, place));
    counts.delete(best.key);
    places.delete(best.key);
    changed.delete(best.key);
    rank();
  }
  return learnt;
}

/** Joins a pair wherever it stands in a word, and tells which pairs come and go. */
function joinIn(
  { tokens, count }: Word,
  a: number,
  b: number,
  token: number,
  change: (x: number, y: number, by: number) => void,
): void {
  for (let i = 0; i + 1 < tokens.length; i++) {
    if (tokens[i] !== a || tokens[i + 1] !== b) continue;
    if (i > 0) {
      change(tokens[i - 1], a, -count);
      change(tokens[i - 1], token, count);
    }
    if (i + 2 < tokens.length) {
      change(b, tokens[i + 2], -count);
      change(token, tokens[i + 2], count);
    }
    tokens.splice(i, 2, token);
  }
}

/**
 * A tokeniser of pieces of words, learnt from a text: byte-pair encoding over bytes, cut as GPT-2 cuts. Any text has tokens, and
 * comes back to the byte. With fewer pairs that occur often enough there are fewer tokens than asked for. `toJSON` gives Hugging Face's
 * form, with which their libraries read it.
 *
 * @throws ArgumentError for a vocabulary of less than 256, or no text
 *
 * @example
 * const pieces = bytePairTokenizer("low lower lowest newer newest ".repeat(9), { vocabulary: 270 });
 * console.log(pieces.encode("lowest").length, pieces.decode(pieces.encode("lower"))); // 2 lower
 */
export function bytePairTokenizer(text: string, options: BytePairOptions = {}): Tokenizer {
  checkOptionNames("bytePairTokenizer", options, ["vocabulary", "least"]);
  const { vocabulary = 1000, least = 2 } = options;
  check(typeof text === "string" && text.length > 0, "bytePairTokenizer: a text that is not empty", text);
  checkInteger("bytePairTokenizer: vocabulary", vocabulary, 256, PAIR - 1);
  checkInteger("bytePairTokenizer: least", least, 1);
  const frequencies = new Map<string, number>();
  for (const word of wordsOf(text, [GPT2_CUT])) frequencies.set(word, (frequencies.get(word) ?? 0) + 1);
  const ofByte = new Int32Array(256);
  BYTE_ORDER.forEach((byte, token) => {
    ofByte[byte] = token;
  });
  const encoder = new TextEncoder();
  const words = Array.from(frequencies, ([word, count]) => ({
    tokens: Array.from(encoder.encode(word), (byte) => ofByte[byte]),
    count,
  }));
  const names = BYTE_ORDER.map((byte) => BYTE_CHARACTERS[byte]);
  const merges = learn(words, vocabulary - 256, least).map(([a, b]) => {
    names.push(names[a] + names[b]);
    return [names[a], names[b]];
  });
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };
  return tokenizerFrom({
    version: "1.0",
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: null,
    decoder: byteLevel,
    model: { type: "BPE", vocab: Object.fromEntries(names.map((name, token) => [name, token])), merges },
  });
}
