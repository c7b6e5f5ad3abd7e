/**
 * Cuts CSV and TSV text into records, as it arrives: quoted fields (RFC 4180), line ends of any system, byte order
 * marks, delimiter found from the header. It gives text with the line it stands in; what the text means is for table.ts.
 */
import { checkOptionNames } from "../checks.ts";
import { ArgumentError } from "../errors.ts";
import { type Message, message, option } from "../wording.ts";
import { dataError, show } from "./fail.ts";

/** Text of a table: all at once or in pieces, as a file or a response gives them. */
export type CsvSource = string | Uint8Array | Iterable<string | Uint8Array> | AsyncIterable<string | Uint8Array>;

/** One record. */
export interface CsvRecord {
  /** The line in which it begins, from 1; the header stands in line 1. */
  readonly row: number;
  readonly fields: string[];
}

/** Options of `parseCsv`. */
export interface CsvOptions {
  /**
   * What stands between fields; found from the first line (comma, tab, semicolon or bar, else runs of spaces that part
   * every line alike) when not given.
   */
  readonly delimiter?: string;
  /** What the bytes mean, by a name that `TextDecoder` knows, such as windows-1252; UTF-8, or UTF-16 by its mark, unless said. */
  readonly encoding?: string;
  /** Name of the file, for messages. */
  readonly file?: string;
}

export const CSV_OPTIONS = ["delimiter", "encoding", "file"];

/** No record is longer than this many characters; else a missing quote would take a whole file into memory. */
const MAX_RECORD = 4_000_000;

const DELIMITERS = [",", "\t", ";", "|"];
const SPACE = 32;
const TAB = 9;
const QUOTE = 34;
const NEWLINE = 10;
const RETURN = 13;

/**
 * The records of CSV or TSV text, in batches as the text arrives. Lines with nothing on them are skipped.
 *
 * Throws `DataError` with the row for a quote that is not closed, text after a closing quote, and bytes that are not of
 * the encoding.
 *
 * @example
 * import { parseCsv } from "chainrule/data";
 * for await (const records of parseCsv('name,age\n"Ada, Countess",36\n')) console.log(records[1]);
 * // { row: 2, fields: [ 'Ada, Countess', '36' ] }
 */
export async function* parseCsv(source: CsvSource, options: CsvOptions = {}): AsyncGenerator<CsvRecord[]> {
  checkOptionNames("parseCsv", options, CSV_OPTIONS);
  yield* csvRecords(source, options, []);
}

/** The same; `notes` receives what was taken for granted, for people. */
export async function* csvRecords(
  source: CsvSource,
  options: CsvOptions,
  notes: Message[],
): AsyncGenerator<CsvRecord[]> {
  const parser = new CsvParser(options, notes);
  let decoder: TextDecoder | undefined;
  const decode = (bytes?: Uint8Array) => {
    decoder ??= decoderFor(bytes, options.encoding, notes);
    try {
      return decoder.decode(bytes, { stream: bytes !== undefined });
    } catch (cause) {
      const name = decoder.encoding.toUpperCase();
      throw parser.fail(
        message`the text is not ${name}; say what it is, such as ${option("encoding", "windows-1252")} (Western Europe), save the file as UTF-8, or it is no CSV file.`,
        cause,
      );
    }
  };
  for await (const piece of typeof source === "string" || source instanceof Uint8Array ? [source] : source) {
    const records = parser.push(typeof piece === "string" ? piece : decode(piece));
    if (records.length > 0) yield records;
  }
  const last = parser.push(decode(), true);
  if (last.length > 0) yield last;
}

/** The decoder of an encoding; by a byte order mark, where there is one. */
function decoderFor(bytes: Uint8Array | undefined, encoding: string | undefined, notes: Message[]): TextDecoder {
  const [a, b] = bytes ?? [];
  const marked = a === 0xff && b === 0xfe ? "utf-16le" : a === 0xfe && b === 0xff ? "utf-16be" : undefined;
  if (encoding === undefined && marked) notes.push("The text is UTF-16, by the mark at its beginning.");
  try {
    return new TextDecoder(encoding ?? marked ?? "utf-8", { fatal: true });
  } catch (cause) {
    throw new ArgumentError(
      `There is no encoding called ${show(encoding)} here; names are utf-8, utf-16le, windows-1252, iso-8859-1, shift_jis and others of the Encoding Standard.`,
      { cause },
    );
  }
}

/** Holds what is left of the text until its record is whole. */
class CsvParser {
  readonly #file: string | undefined;
  readonly #notes: Message[];
  #delimiter: number | undefined;
  #rest = "";
  #line = 1;
  #begun = false;

  constructor(options: CsvOptions, notes: Message[]) {
    this.#file = options.file;
    this.#notes = notes;
    this.#delimiter = options.delimiter?.charCodeAt(0);
  }

  fail(said: Message, cause?: unknown, row = this.#line) {
    return dataError(said, this.#file === undefined ? { row } : { file: this.#file, row }, { cause });
  }

  /** The records that are whole once `piece` has come; at the end of the text, the last one too. */
  push(piece: string, final = false): CsvRecord[] {
    let text = this.#rest + piece;
    if (!this.#begun && text.length > 0) {
      if (text.charCodeAt(0) === 0xfeff) text = text.slice(1); // byte order mark
      this.#begun = true;
    }
    if (this.#delimiter === undefined) {
      const line = /^[^\r\n]*(?=[\r\n])/.exec(text)?.[0] ?? (final ? text : undefined);
      if (line !== undefined) {
        this.#delimiter = detectDelimiter(line, text, final).charCodeAt(0);
        if (this.#delimiter === SPACE) this.#notes.push("The columns are parted by spaces.");
      }
    }
    const records: CsvRecord[] = [];
    let position = 0;
    if (this.#delimiter !== undefined)
      while (position < text.length) {
        const row = this.#line;
        const fields: string[] = [];
        const next = this.#record(text, position, this.#delimiter, final, fields);
        if (next === undefined) {
          this.#line = row;
          break;
        }
        position = next;
        if (fields.length > 1 || fields[0] !== "") records.push({ row, fields });
      }
    this.#rest = text.slice(position);
    if (this.#rest.length > MAX_RECORD)
      throw this.fail(`the record is longer than ${MAX_RECORD} characters; a closing quote is probably missing.`);
    return records;
  }

  /** Reads one record into `fields`; gives where the next begins, or `undefined` when the text ends within it. */
  #record(text: string, begin: number, delimiter: number, final: boolean, fields: string[]): number | undefined {
    let at = begin;
    const isGap = (i: number) => delimiter === SPACE && (text.charCodeAt(i) === SPACE || text.charCodeAt(i) === TAB);
    while (isGap(at)) at++;
    for (;;) {
      let field = "";
      if (text.charCodeAt(at) === QUOTE) {
        const end = this.#quoted(text, at, final);
        if (end === undefined) return undefined;
        field = text.slice(at + 1, end).replaceAll('""', '"');
        at = end + 1;
      } else {
        const from = at;
        while (at < text.length) {
          const code = text.charCodeAt(at);
          if (code === delimiter || code === NEWLINE || code === RETURN) break;
          at++;
        }
        field = text.slice(from, at);
      }
      fields.push(field);
      while (isGap(at) && (isGap(at + 1) || isEnd(text.charCodeAt(at + 1)))) at++;
      if (at >= text.length) return final ? at : undefined;
      const code = text.charCodeAt(at++);
      if (code === delimiter) {
        if (at >= text.length && !final) return undefined;
        continue;
      }
      if (code === RETURN) {
        if (at >= text.length && !final) return undefined; // perhaps the half of \r\n
        if (text.charCodeAt(at) === NEWLINE) at++;
      } else if (code !== NEWLINE) {
        throw this.fail("there is text after a closing quote; double the quotes that belong to the text.");
      }
      this.#line++;
      return at;
    }
  }

  /** Where the quoted field that begins at `begin` closes; `undefined` when more text is wanted. Counts its lines. */
  #quoted(text: string, begin: number, final: boolean): number | undefined {
    const row = this.#line;
    for (let at = begin + 1; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code === NEWLINE || (code === RETURN && text.charCodeAt(at + 1) !== NEWLINE)) this.#line++;
      if (code !== QUOTE) continue;
      if (text.charCodeAt(at + 1) === QUOTE) at++;
      else if (at + 1 < text.length || final) return at;
    }
    if (final)
      throw this.fail(
        "a quote is opened but never closed; close it, or double it if it belongs to the text.",
        undefined,
        row,
      );
    return undefined;
  }
}

const isEnd = (code: number): boolean => Number.isNaN(code) || code === NEWLINE || code === RETURN;

/** The delimiter that is most frequent in the first line outside quotes; a comma when there is none. */
function detectDelimiter(line: string, text: string, final: boolean): string {
  const bare = line.replace(/"[^"]*"/g, "");
  const counts = DELIMITERS.map((delimiter) => bare.split(delimiter).length);
  const most = Math.max(...counts);
  return most === 1 && partsAlike(text, final) ? " " : DELIMITERS[counts.indexOf(most)];
}

/** Whether runs of spaces part all the lines that are there into as many fields, and into more than one. */
function partsAlike(text: string, final: boolean): boolean {
  const lines = text.split(/\r\n|\r|\n/).filter((line) => line.trim() !== "");
  if (!final && lines.length > 1) lines.pop(); // perhaps a half
  const counts = new Set(lines.map((line) => line.trim().split(/[ \t]+/).length));
  return lines.length > 1 && counts.size === 1 && !counts.has(1);
}
