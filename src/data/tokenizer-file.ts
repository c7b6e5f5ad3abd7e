/**
 * Tokenisers from plain data: what `toJSON` gave, or Hugging Face's tokenizer.json. Of these files those with byte-pair encoding
 * over bytes are read (GPT-2, RoBERTa, Llama 3, Qwen and others); anything in them that would change tokens and is not known
 * is an error, never left out.
 */
import { PlatformError } from "../errors.ts";
import {
  type AddedToken,
  BYTE_CHARACTERS,
  type BytePairs,
  type Cut,
  escaped,
  GPT2_CUT,
  ofBytePairs,
  patternFrom,
} from "./byte-pairs.ts";
import { dataError, isObject, show } from "./fail.ts";
import { byteTokenizer, ofCharacters, type Tokenizer } from "./tokenizer.ts";

/** The tokeniser that `toJSON` gave as plain data, or that of a tokenizer.json. @throws DataError for other data */
export function tokenizerFrom(json: unknown): Tokenizer {
  const { kind, characters, model } = isObject(json) ? json : {};
  if (kind === "bytes") return byteTokenizer();
  if (kind === "characters" && typeof characters === "string" && characters.length > 0)
    return ofCharacters([...characters]);
  if (isObject(model)) return ofTokenizerJson(json as Record<string, unknown>);
  throw dataError(
    `A tokeniser of kind "characters" or "bytes", or Hugging Face's tokenizer.json, was wanted; ${show(json)} came.`,
  );
}

const notTaken = (what: string): PlatformError =>
  new PlatformError(
    `tokenizer.json: ${what}. Byte-pair encoding over bytes is read, as GPT-2, RoBERTa, Llama 3 and Qwen have it.`,
  );

const damaged = (what: string) => dataError(`tokenizer.json: ${what}; the file is damaged. Download it again.`);

function ofTokenizerJson(json: Record<string, unknown>): Tokenizer {
  const model = json.model as Record<string, unknown>;
  const { type = "BPE", vocab, merges } = model;
  if (type !== "BPE") throw notTaken(`its model is ${show(type)}`);
  if (!isObject(vocab) || !Array.isArray(merges)) throw damaged("its model has no vocab or no merges");
  for (const option of ["byte_fallback", "continuing_subword_prefix", "end_of_word_suffix"])
    if (model[option]) throw notTaken(`its model has ${option}`);
  const { words, prefixSpace } = wordsFrom(json.pre_tokenizer);
  const added = addedFrom(json.added_tokens);
  const entries = Object.entries(vocab);
  const isNumber = (token: unknown): token is number => Number.isSafeInteger(token) && (token as number) >= 0;
  const wrong = entries.find(([, token]) => !isNumber(token));
  if (wrong) throw damaged(`its token ${show(wrong[0])} has the number ${show(wrong[1])}`);
  const ids = new Map(entries as [string, number][]);
  let size = 0;
  for (const id of ids.values()) size = Math.max(size, id + 1);
  for (const { id } of added) size = Math.max(size, id + 1);
  if (size > 4 * (ids.size + added.length) + 256) throw damaged(`its highest token number, ${size - 1}, is too high`);
  const tokens = new Array<Uint8Array | undefined>(size).fill(undefined);
  const encoder = new TextEncoder();
  const contents = new Set(added.map(({ content }) => content));
  for (const [name, token] of ids) {
    const bytes = bytesOf(name);
    if (bytes) tokens[token] = bytes;
    else if (!contents.has(name)) throw notTaken(`its token ${show(name)} is not written as bytes`);
  }
  for (const { id, content } of added) tokens[id] = encoder.encode(content);
  const absent = BYTE_CHARACTERS.findIndex((character) => !ids.has(character));
  if (absent >= 0) throw notTaken(`it has no token for the byte ${absent}`);
  const [pairs, joined] = [new Int32Array(2 * merges.length), new Int32Array(merges.length)];
  merges.forEach((merge: unknown, i) => {
    const pair = typeof merge === "string" ? merge.split(" ") : merge;
    const [a, b] = Array.isArray(pair) && pair.length === 2 ? (pair as string[]) : ["", ""];
    const numbers = [ids.get(a), ids.get(b), ids.get(a + b)];
    if (!numbers.every(isNumber)) throw damaged(`its merge ${i + 1}, ${show(merge)}, joins what are no tokens`);
    pairs.set(numbers.slice(0, 2), 2 * i);
    joined[i] = numbers[2];
  });
  const parts: BytePairs = {
    ...{ tokens, pairs, joined, words, prefixSpace, added },
    wholeWords: model.ignore_merges === true,
    ...normalizationOf(json.normalizer),
  };
  return ofBytePairs(parts, json);
}

const BYTES = new Map(BYTE_CHARACTERS.map((character, byte) => [character, byte]));

/** The bytes that a token's name stands for; undefined where it has other characters. */
function bytesOf(name: string): Uint8Array | undefined {
  const bytes = Array.from(name, (character) => BYTES.get(character));
  return bytes.every((byte) => byte !== undefined) ? Uint8Array.from(bytes as number[]) : undefined;
}

function addedFrom(json: unknown): AddedToken[] {
  if (json === undefined || json === null) return [];
  const isAdded = (token: unknown): token is AddedToken =>
    isObject(token) &&
    Number.isSafeInteger(token.id) &&
    (token.id as number) >= 0 &&
    typeof token.content === "string" &&
    token.content !== "";
  if (!Array.isArray(json) || !json.every(isAdded)) throw damaged("its added tokens lack a number or a text");
  return json;
}

function normalizationOf(json: unknown): Pick<BytePairs, "normalization"> {
  if (json === undefined || json === null) return {};
  const { type, normalizers } = isObject(json) ? json : {};
  if (type === "NFC" || type === "NFD" || type === "NFKC" || type === "NFKD") return { normalization: type };
  if (type === "Sequence" && Array.isArray(normalizers) && normalizers.length < 2)
    return normalizationOf(normalizers[0]);
  throw notTaken(`its normalizer is ${show(type)}`);
}

/** How a text is cut: by one part of the file or several, the last of which makes bytes of it. */
function wordsFrom(json: unknown): Pick<BytePairs, "words" | "prefixSpace"> {
  const { type, pretokenizers } = isObject(json) ? json : {};
  const steps = type === "Sequence" && Array.isArray(pretokenizers) ? pretokenizers : [json];
  const words: Cut[] = [];
  let prefixSpace: boolean | undefined;
  for (const step of steps) {
    const {
      type,
      pattern,
      behavior,
      invert,
      use_regex = true,
      add_prefix_space,
      individual_digits,
    } = isObject(step) ? step : {};
    if (type === "ByteLevel") {
      prefixSpace = add_prefix_space === true;
      if (prefixSpace && steps.length > 1) throw notTaken("it puts a space before words that are cut already");
      if (use_regex === true) words.push(GPT2_CUT);
    } else if (type === "Split" && behavior === "Isolated" && isObject(pattern)) {
      words.push({ pattern: regexOf(pattern) });
    } else if (type === "Split" && behavior === "Removed" && invert === true && isObject(pattern)) {
      words.push({ pattern: regexOf(pattern), matchesOnly: true });
    } else if (type === "Digits") {
      words.push({ pattern: individual_digits === true ? /\p{N}/gu : /\p{N}+/gu });
    } else throw notTaken(`its text is cut by ${show(type)}${type === "Split" ? ` (${show(behavior)})` : ""}`);
  }
  if (prefixSpace === undefined) throw notTaken("it does not work on bytes");
  return { words, prefixSpace };
}

/** A pattern of such a file as JavaScript writes it. */
function regexOf({ Regex: source, String: literal }: Record<string, unknown>): RegExp {
  if (typeof literal === "string") return new RegExp(escaped(literal), "gu");
  if (typeof source !== "string") throw damaged("a pattern is no text");
  // (?i:…) holds letters and apostrophes in these files; JavaScript has it from Node 23 on.
  const plain = source.replace(/\(\?i:([^()]*)\)/g, (_, inner: string) => {
    const either = inner.replace(/[a-z]/gi, (letter) => {
      const more = letter.toLowerCase() === "s" ? "ſ" : letter.toLowerCase() === "k" ? "\u212a" : "";
      return `[${letter.toLowerCase()}${letter.toUpperCase()}${more}]`;
    });
    return `(?:${either})`;
  });
  try {
    return patternFrom(plain);
  } catch (cause) {
    throw new PlatformError(`tokenizer.json: JavaScript does not read its pattern ${show(source)}.`, { cause });
  }
}
