/**
 * Byte-pair encoding over bytes, as GPT-2 has it (Sennrich et al., 2016; Radford et al., 2019): a text is cut into words and
 * what stands between them, each a list of bytes, and neighbours are joined in the order in which joining them was learnt. Any text has tokens,
 * and comes back to the byte. Learning the joins is in byte-pair-training.ts, files are in tokenizer-file.ts.
 */
import type { Tokenizer } from "./tokenizer.ts";

/** GPT-2's words: with a space before them, endings such as 's apart, spaces before a word but its own together. */
const GPT2_WORDS = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/** A pattern of such a tokeniser for JavaScript, whose own \s has the byte order mark and lacks U+0085. */
export const patternFrom = (source: string): RegExp =>
  new RegExp(source.replaceAll("\\s", "\\p{White_Space}").replaceAll("\\S", "\\P{White_Space}"), "gu");

/** How texts are cut into words: by what matches, with what lies between as words too, or without it. */
export interface Cut {
  readonly pattern: RegExp;
  readonly matchesOnly?: boolean;
}

export const GPT2_CUT: Cut = { pattern: patternFrom(GPT2_WORDS) };

/** A character for each byte that can be seen, as in files of tokenisers: its own for most, others from U+0100 on. */
export const BYTE_CHARACTERS: readonly string[] = (() => {
  const isPlain = (byte: number) => (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(isPlain(byte) ? byte : next++));
})();

/** The bytes in the order of their characters, which is the order of GPT-2's first 256 tokens. */
export const BYTE_ORDER: readonly number[] = Array.from({ length: 256 }, (_, byte) => byte).sort(
  (a, b) => BYTE_CHARACTERS[a].charCodeAt(0) - BYTE_CHARACTERS[b].charCodeAt(0),
);

/** A token of its own, found in the text before it is cut. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special?: boolean;
  /** Whether spaces before or after it belong to it. */
  readonly lstrip?: boolean;
  readonly rstrip?: boolean;
  /** Whether it stands between words only. */
  readonly single_word?: boolean;
}

/** What such a tokeniser is made of. */
export interface BytePairs {
  /** The bytes of each token by its number; undefined where no token has it. */
  readonly tokens: readonly (Uint8Array | undefined)[];
  /** Pairs of token numbers in the order in which they are joined, and what they become: a, b, a, b, …; one, one, … */
  readonly pairs: Int32Array;
  readonly joined: Int32Array;
  /** How a text is cut; each cuts further what those before it left. */
  readonly words: readonly Cut[];
  readonly added: readonly AddedToken[];
  readonly normalization?: "NFC" | "NFD" | "NFKC" | "NFKD";
  /** Whether a space is put before a text that begins without one. */
  readonly prefixSpace: boolean;
  /** Whether a word that is a token is taken as one, whatever the pairs say. */
  readonly wholeWords: boolean;
}

/** So many words are remembered with their tokens. */
const MOST_REMEMBERED = 100_000;

/** The parts of a text: what matches, and what lies between. */
function cut(text: string, { pattern, matchesOnly = false }: Cut): string[] {
  const parts: string[] = [];
  let end = 0;
  for (const match of text.matchAll(pattern)) {
    if (match.index > end && !matchesOnly) parts.push(text.slice(end, match.index));
    if (match[0] !== "") parts.push(match[0]);
    end = match.index + match[0].length;
  }
  if (end < text.length && !matchesOnly) parts.push(text.slice(end));
  return parts;
}

/** A text as a pattern that matches it alone. */
export const escaped = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");

/** Finds added tokens in a text, the longest first. */
function finderOf(added: readonly AddedToken[]): Cut | undefined {
  if (added.length === 0) return undefined;
  const alone = "[\\p{L}\\p{N}_]";
  const sources = [...added]
    .sort((a, b) => b.content.length - a.content.length)
    .map(({ content, lstrip, rstrip, single_word }) => {
      const body = single_word ? `(?<!${alone})${escaped(content)}(?!${alone})` : escaped(content);
      return `${lstrip ? "\\s*" : ""}${body}${rstrip ? "\\s*" : ""}`;
    });
  return { pattern: patternFrom(sources.join("|")) };
}

/** Splits a text into words, each piece of which is joined by itself. */
export function wordsOf(text: string, cuts: readonly Cut[]): string[] {
  return cuts.reduce((parts, how) => parts.flatMap((part) => cut(part, how)), [text]);
}

/** The tokeniser of learnt pairs; `json` is what `toJSON` gives. */
export function ofBytePairs(parts: BytePairs, json: unknown): Tokenizer {
  const { tokens, pairs, joined, words, added, normalization, prefixSpace, wholeWords } = parts;
  const size = tokens.length;
  const rank = new Map<number, number>();
  for (let i = 0; i < joined.length; i++) {
    const key = pairs[2 * i] * size + pairs[2 * i + 1];
    if (!rank.has(key)) rank.set(key, i);
  }
  const ofByte = new Int32Array(256).fill(-1);
  tokens.forEach((bytes, token) => {
    if (bytes?.length === 1 && ofByte[bytes[0]] < 0) ofByte[bytes[0]] = token;
  });
  const whole = new Map<string, number>();
  if (wholeWords)
    tokens.forEach((bytes, token) => {
      const word = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
      // A part of a character is no word.
      if (bytes && !word.includes("\ufffd")) whole.set(word, token);
    });
  const contents = new Map(added.map((token) => [token.content, token.id]));
  const finder = finderOf(added);
  const [encoder, decoder] = [new TextEncoder(), new TextDecoder("utf-8", { ignoreBOM: true })];
  const remembered = new Map<string, readonly number[]>();

  /** Joins the pair that was learnt first wherever it stands, until none is left that was learnt. */
  function join(word: string): readonly number[] {
    let list = Array.from(encoder.encode(word), (byte) => ofByte[byte]);
    while (list.length > 1) {
      let [best, first] = [Number.POSITIVE_INFINITY, -1];
      for (let i = 0; i + 1 < list.length; i++) {
        const at = rank.get(list[i] * size + list[i + 1]);
        if (at !== undefined && at < best) [best, first] = [at, i];
      }
      if (first < 0) break;
      const [a, b] = [pairs[2 * best], pairs[2 * best + 1]];
      const next = list.slice(0, first);
      for (let i = first; i < list.length; i++) {
        const isPair = list[i] === a && list[i + 1] === b;
        next.push(isPair ? joined[best] : list[i]);
        if (isPair) i++;
      }
      list = next;
    }
    return list;
  }

  function encodeWord(word: string): readonly number[] {
    const known = remembered.get(word);
    if (known) return known;
    const single = whole.get(word);
    const list = single === undefined ? join(word) : [single];
    if (remembered.size < MOST_REMEMBERED) remembered.set(word, list);
    return list;
  }

  function encodePlain(text: string, out: number[]): void {
    const normal = normalization ? text.normalize(normalization) : text;
    const whole = prefixSpace && !/^\s/.test(normal) ? ` ${normal}` : normal;
    for (const word of wordsOf(whole, words)) for (const token of encodeWord(word)) out.push(token);
  }

  return {
    kind: "bpe",
    size,
    encode(text) {
      const out: number[] = [];
      for (const part of finder ? cut(text, finder) : [text]) {
        const token = finder && (contents.get(part) ?? contents.get(part.trim()));
        if (token !== undefined) out.push(token);
        else if (part !== "") encodePlain(part, out);
      }
      return Int32Array.from(out);
    },
    decode(list) {
      const bytes: number[] = [];
      for (const token of Array.from(list)) for (const byte of tokens[token] ?? []) bytes.push(byte);
      return decoder.decode(Uint8Array.from(bytes));
    },
    toJSON: () => json,
  };
}
