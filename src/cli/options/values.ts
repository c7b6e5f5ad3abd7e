/** Readers for option values that several subcommands share. Each throws commander's error, which names the option. */
import { InvalidArgumentError } from "commander";

const number = (text: string): number => (text.trim() === "" ? Number.NaN : Number(text));

export function positiveWhole(text: string): number {
  const value = number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new InvalidArgumentError("Give a whole number above 0.");
}

export function wholeFromZero(text: string): number {
  const value = number(text);
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new InvalidArgumentError("Give a whole number from 0 on.");
}

export function positiveNumber(text: string): number {
  const value = number(text);
  if (Number.isFinite(value) && value > 0) return value;
  throw new InvalidArgumentError("Give a number above 0, such as 0.001.");
}

/** A part of the whole, below 1. */
export function fraction(text: string): number {
  const value = number(text);
  if (value >= 0 && value < 1) return value;
  throw new InvalidArgumentError("Give a fraction from 0 up to 1, such as 0.1.");
}

/** `28x28` or `28`. */
export function imageSize(text: string): { width: number; height: number } {
  const match = /^(\d{1,4})(?:x(\d{1,4}))?$/i.exec(text.trim());
  const [width, height] = match ? [Number(match[1]), Number(match[2] ?? match[1])] : [0, 0];
  if (width > 0 && height > 0) return { width, height };
  throw new InvalidArgumentError("Give WIDTHxHEIGHT, such as 28x28.");
}

/** `a,b,c` */
export function names(text: string): string[] {
  const list = text.split(",").map((item) => item.trim());
  if (list.every((item) => item !== "")) return list;
  throw new InvalidArgumentError("Give names with commas between them.");
}

/** A file for the history. */
export function historyFile(text: string): string {
  if (/\.(csv|json)$/.test(text)) return text;
  throw new InvalidArgumentError("Give a file that ends in .csv or .json.");
}

/** Row numbers, from 1: `7` or `1,5,9`. */
export function rows(text: string): number[] {
  return names(text).map(positiveWhole);
}

/** What a text is cut into. */
export function tokens(text: string): string {
  if (["characters", "bytes", "bpe"].includes(text) || /\.json$/i.test(text)) return text;
  throw new InvalidArgumentError("Give characters, bytes, bpe, or a tokenizer.json.");
}

/** How many pieces of words there are: the bytes are always among them. */
export function vocabulary(text: string): number {
  const value = number(text);
  if (Number.isSafeInteger(value) && value >= 256 && value <= 1e6) return value;
  throw new InvalidArgumentError("Give a whole number from 256 on: the 256 bytes are pieces too.");
}
