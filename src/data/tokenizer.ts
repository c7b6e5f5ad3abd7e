/**
 * Texts as lists of token numbers, characters or bytes, and windows over such lists for networks that say what comes next. Pieces
 * of words are in byte-pairs.ts, files of tokenisers in tokenizer-file.ts.
 */
import { check, checkOptionNames } from "../checks.ts";
import { checkInteger, dataError, show } from "./fail.ts";

/** What makes numbers of texts, and texts of numbers. Plain data: `tokenizerFrom` makes one again. */
export interface Tokenizer {
  readonly kind: "characters" | "bytes" | "bpe";
  /** How many tokens there are, numbered from 0. */
  readonly size: number;
  /** The tokens' numbers. @throws DataError for what it does not know */
  encode(text: string): Int32Array;
  /** The text of tokens' numbers. */
  decode(tokens: ArrayLike<number>): string;
  /** Plain data, of which `tokenizerFrom` makes it again. */
  toJSON(): unknown;
}

/**
 * Each character that occurs in a text is a token, in the order of their code points. A character beyond 2¹⁶, such as
 * an emoji, is one.
 *
 * @example
 * const letters = characterTokenizer("to be or not to be");
 * letters.encode("bee"); // Int32Array [1, 2, 2]
 */
export function characterTokenizer(text: string): Tokenizer {
  check(typeof text === "string" && text.length > 0, "characterTokenizer: a text that is not empty", text);
  return ofCharacters([...new Set(text)].sort((a, b) => a.codePointAt(0)! - b.codePointAt(0)!));
}

/** The tokeniser of characters in a given order. */
export function ofCharacters(characters: readonly string[]): Tokenizer {
  const numbers = new Map(characters.map((character, i) => [character, i]));
  return {
    kind: "characters",
    size: characters.length,
    encode(text) {
      const tokens = new Int32Array(text.length);
      let count = 0;
      for (const character of text) {
        const number = numbers.get(character);
        if (number === undefined)
          throw dataError(
            `The character ${show(character)} does not occur in the text that the tokens were taken from. Leave it out, or take a tokeniser of bytes.`,
            {},
            { facts: { character } },
          );
        tokens[count++] = number;
      }
      return tokens.slice(0, count);
    },
    decode: (tokens) => Array.from(tokens, (token) => characters[token] ?? "").join(""),
    toJSON: () => ({ kind: "characters", characters: characters.join("") }),
  };
}

/**
 * The 256 bytes of UTF-8 are the tokens, so that any text has some.
 *
 * @example
 * byteTokenizer().encode("é"); // Int32Array [195, 169]
 */
export function byteTokenizer(): Tokenizer {
  const [encoder, decoder] = [new TextEncoder(), new TextDecoder()];
  return {
    kind: "bytes",
    size: 256,
    encode: (text) => Int32Array.from(encoder.encode(text)),
    decode: (tokens) => decoder.decode(Uint8Array.from(tokens)),
    toJSON: () => ({ kind: "bytes" }),
  };
}

/** Options of `windows`. */
export interface WindowOptions {
  /** Tokens in a window, the context of the network. */
  readonly length: number;
  /** How far windows begin from each other; their length unless said, so that none overlap. */
  readonly stride?: number;
}

/** Examples for a network that says what comes next at each place. */
export interface Windows {
  /** Windows one after the other, N · length tokens: bytes where there are few tokens. */
  readonly x: Uint8Array | Float32Array;
  /** The same moved on by one: what comes next at each place. */
  readonly y: Int32Array;
  readonly count: number;
}

/**
 * Windows over a text's tokens, in their order, each with what comes next at each of its places.
 *
 * @example
 * const { x, y } = windows(byteTokenizer().encode("abcdef"), { length: 2 });
 * console.log(x, y); // Uint8Array [97, 98, 99, 100] Int32Array [98, 99, 100, 101]
 */
export function windows(tokens: ArrayLike<number>, options: WindowOptions): Windows {
  checkOptionNames("windows", options, ["length", "stride"]);
  const { length, stride = length } = options;
  checkInteger("windows: length", length, 1);
  checkInteger("windows: stride", stride, 1);
  const count = Math.floor((tokens.length - 1 - length) / stride) + 1;
  if (count < 1)
    throw dataError(
      `A window of ${length} tokens and the one after it do not fit into ${tokens.length}. Take a shorter window or a longer text.`,
    );
  const isSmall = Array.prototype.every.call(tokens, (token: number) => token < 256);
  const x = new (isSmall ? Uint8Array : Float32Array)(count * length);
  const y = new Int32Array(count * length);
  for (let i = 0; i < count; i++) {
    for (let t = 0; t < length; t++) {
      x[i * length + t] = tokens[i * stride + t];
      y[i * length + t] = tokens[i * stride + t + 1];
    }
  }
  return { x, y, count };
}
