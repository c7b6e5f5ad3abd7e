/**
 * What a text is cut into for a language model, by `--tokens`, and its two parts: the one that is learnt from, and its end, which is
 * kept for validation. Pieces of words are learnt from the first part alone.
 */
import {
  bytePairTokenizer,
  byteTokenizer,
  characterTokenizer,
  type Tokenizer,
  tokenizerFrom,
} from "../../data/index.ts";
import { readFile } from "../../data/node.ts";
import { DataError } from "../../index.ts";
import { UsageError } from "../terminal/exit.ts";
import type { TrainOptions } from "./run.ts";

/** The part of a text, its end, that is kept for validation. */
export const HELD = 0.1;

/** So many pieces of words are learnt unless it is said. */
const USUAL_VOCABULARY = 1000;

/** The two parts of a text; no character is cut in two. */
export function partsOf(text: string): [string, string] {
  let cut = Math.floor(text.length * (1 - HELD));
  if (/[\udc00-\udfff]/.test(text[cut])) cut--;
  return [text.slice(0, cut), text.slice(cut)];
}

/** The tokeniser that was asked for; characters, or bytes where there are many different ones, unless it was said. */
export async function chooseTokenizer(text: string, { tokens, vocabulary }: TrainOptions): Promise<Tokenizer> {
  if (vocabulary !== undefined && tokens !== "bpe")
    throw new UsageError("--vocabulary is for --tokens bpe: say that too, or leave it out.");
  switch (tokens) {
    case undefined: {
      const letters = characterTokenizer(text);
      return letters.size <= 256 ? letters : byteTokenizer();
    }
    case "characters":
      return characterTokenizer(text);
    case "bytes":
      return byteTokenizer();
    case "bpe":
      return bytePairTokenizer(partsOf(text)[0], { vocabulary: vocabulary ?? USUAL_VOCABULARY });
    default:
      return readTokenizer(tokens);
  }
}

async function readTokenizer(path: string): Promise<Tokenizer> {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(await readFile(path)));
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    throw new DataError(`${path} is no JSON: ${cause.message}.`, { file: path }, { cause });
  }
  return tokenizerFrom(json);
}

/** The word for one token of a kind, and for many. */
export const tokenWords = ({ kind }: Tokenizer): readonly [string, string] =>
  kind === "bytes" ? ["byte", "bytes"] : kind === "bpe" ? ["piece", "pieces"] : ["character", "characters"];

/** How many characters a text has; one of two units counts once. */
export function charactersOf(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}
