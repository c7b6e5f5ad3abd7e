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
const PLUS = 43;
const MINUS = 45;
const POINT = 46;
const ZERO = 48;
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
  yield* readRecords(source, options, [], false);
}

/** A record whose fields are texts, or numbers where the text is one written plainly. */
export interface CellRecord {
  readonly row: number;
  readonly fields: (string | number)[];
}

/** The same with plain numbers as numbers; `notes` receives what was taken for granted, for people. */
export const cellRecords = (source: CsvSource, options: CsvOptions, notes: Message[]): AsyncGenerator<CellRecord[]> =>
  readRecords(source, options, notes, true);

async function* readRecords<F extends string | number>(
  source: CsvSource,
  options: CsvOptions,
  notes: Message[],
  numbers: boolean,
): AsyncGenerator<{ row: number; fields: F[] }[]> {
  const parser = new CsvParser<F>(options, notes, numbers);
  let decoder: TextDecoder | undefined;
  const decode = (bytes?: Uint8Array) => {
    decoder ??= decoderFor(bytes, options.encoding, notes);
    try {
      return decoder.decode(bytes, { stream: bytes !== undefined });
    } catch (cause) {
      throw parser.fail(notOf(decoder), cause);
    }
  };
  for await (const piece of typeof source === "string" || source instanceof Uint8Array ? [source] : source) {
    const text = typeof piece === "string" ? piece : decode(piece);
    const records = parser.push(text, typeof piece === "string" ? undefined : asciiOf(piece, text, decoder));
    if (records.length > 0) yield records;
  }
  const last = parser.push(decode(), undefined, true);
  if (last.length > 0) yield last;
}

/** What stands between the fields of a table, found from the text that it begins with. */
export function delimiterOf(text: string, isAll: boolean): string {
  const [line] = /^[^\r\n]*/.exec(text)!;
  return detectDelimiter(line, text, isAll);
}

/** A part of a table's text that begins and ends with whole records. */
export interface CsvPart {
  readonly bytes: Uint8Array;
  /** The line in which it begins. */
  readonly line: number;
}

/** The records of a part of a table, plain numbers as numbers. */
export function recordsOf({ bytes, line }: CsvPart, options: CsvOptions, notes: Message[]): CellRecord[] {
  const parser = new CsvParser<string | number>(options, notes, true, line);
  const decoder = decoderFor(line === 1 ? bytes : undefined, options.encoding, notes);
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch (cause) {
    throw parser.fail(notOf(decoder), cause);
  }
  return parser.push(text, asciiOf(bytes, text, decoder), true);
}

const notOf = ({ encoding }: TextDecoder): Message =>
  message`the text is not ${encoding.toUpperCase()}; say what it is, such as ${option("encoding", "windows-1252")} (Western Europe), save the file as UTF-8, or it is no CSV file.`;

/**
 * Cuts bytes into parts of whole records, of about `size` bytes each, without looking at what they say: for encodings in which a
 * byte below 128 means what it means in ASCII.
 * @param delimiter what stands between fields, since a quote at the beginning of one may hold line ends; none of lines without fields
 */
export async function* recordParts(
  source: AsyncIterable<Uint8Array>,
  delimiter: string | undefined,
  size: number,
): AsyncGenerator<CsvPart & { readonly offset: number }> {
  const border = new BorderFinder(delimiter);
  let rest = new Uint8Array(0);
  /** Where `rest` stands in the file, and its first line. */
  let [offset, line] = [0, 1];
  for await (const piece of source) {
    const bytes = new Uint8Array(rest.length + piece.length);
    bytes.set(rest);
    bytes.set(piece, rest.length);
    let begin = 0;
    for (;;) {
      const end = border.next(bytes, begin, size);
      if (end < 0) break;
      yield { bytes: bytes.subarray(begin, end), offset: offset + begin, line };
      line += border.lines;
      begin = end;
    }
    rest = bytes.subarray(begin);
    offset += begin;
    border.drop(begin);
    if (rest.length > size + MAX_RECORD)
      throw dataError(`the record is longer than ${MAX_RECORD} characters; a closing quote is probably missing.`, {
        row: line,
      });
  }
  if (rest.length > 0) yield { bytes: rest, offset, line };
}

/** Finds where records end, and remembers how far it has looked. */
class BorderFinder {
  readonly #separator: number;
  readonly #hasFields: boolean;
  #at = 0;
  #isQuoted = false;
  /** Whether a quote here would open a field. */
  #isFresh: boolean;
  #lines = 0;
  /** The lines before the border that was found. */
  lines = 0;

  constructor(delimiter: string | undefined) {
    this.#separator = delimiter?.charCodeAt(0) ?? -1;
    this.#hasFields = delimiter !== undefined;
    this.#isFresh = this.#hasFields;
  }

  /** The first end of a record at least `size` bytes after `begin`; −1 where there is none yet. */
  next(bytes: Uint8Array, begin: number, size: number): number {
    const [separator, hasFields, least] = [this.#separator, this.#hasFields, begin + size];
    let [at, isQuoted, isFresh, lines] = [this.#at, this.#isQuoted, this.#isFresh, this.#lines];
    let end = -1;
    while (end < 0 && at < bytes.length) {
      const byte = bytes[at++];
      if (isQuoted) {
        if (byte === NEWLINE) lines++;
        else if (byte === QUOTE) isQuoted = false;
        isFresh = byte === QUOTE; // a doubled quote opens again at once
      } else if (byte === NEWLINE) {
        lines++;
        isFresh = hasFields;
        if (at >= least) end = at;
      } else if (byte === QUOTE && isFresh) isQuoted = true;
      else if (byte !== SPACE && byte !== TAB) isFresh = byte === separator;
      else if (byte === separator) isFresh = true;
    }
    [this.#at, this.#isQuoted, this.#isFresh, this.#lines] = [at, isQuoted, isFresh, end < 0 ? lines : 0];
    if (end >= 0) this.lines = lines;
    return end;
  }

  /** So many bytes at the beginning are gone. */
  drop(count: number): void {
    this.#at -= count;
  }
}

/**
 * The bytes of a text, if they are its characters' codes: in UTF-8 where there are as many as characters, and the first is
 * not the rest of one that began in the piece before.
 */
const asciiOf = (bytes: Uint8Array, text: string, decoder: TextDecoder | undefined): Uint8Array | undefined =>
  decoder?.encoding === "utf-8" && bytes.length === text.length && bytes[0] < 128 ? bytes : undefined;

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

/** 10⁰ … 10²²: the powers of ten that a double holds exactly. */
const POWERS_OF_TEN = Float64Array.from({ length: 23 }, (_, i) => Number(`1e${i}`));

/** Holds what is left of the text until its record is whole. */
class CsvParser<F extends string | number> {
  readonly #numbers: boolean;
  readonly #file: string | undefined;
  readonly #notes: Message[];
  #delimiter: number | undefined;
  #rest = "";
  /** The codes of its characters: a typed array is read several times as fast as a string that was put together. */
  #restCodes = new Uint16Array(0);
  #line = 1;
  /** Where the last number ended. */
  #numberEnd = 0;
  #begun = false;
  /** Whether the first record has come, which may be names: 1.50 is one, and stays text. */
  #named = false;

  /** @param line the one in which the text begins; after the first one, which may hold names, numbers are numbers */
  constructor(options: CsvOptions, notes: Message[], numbers: boolean, line = 1) {
    this.#line = line;
    this.#named = line > 1;
    this.#numbers = numbers;
    this.#file = options.file;
    this.#notes = notes;
    this.#delimiter = options.delimiter?.charCodeAt(0);
  }

  fail(said: Message, cause?: unknown, row = this.#line) {
    return dataError(said, this.#file === undefined ? { row } : { file: this.#file, row }, { cause });
  }

  /** The records that are whole once `piece` has come; at the end of the text, the last one too. */
  push(piece: string, ascii: Uint8Array | undefined, final = false): { row: number; fields: F[] }[] {
    if (!this.#begun && piece.length > 0) {
      this.#begun = true;
      if (piece.charCodeAt(0) === 0xfeff) return this.push(piece.slice(1), undefined, final); // byte order mark
    }
    const text = this.#rest + piece;
    const codes = this.#codesWith(piece, ascii);
    if (this.#delimiter === undefined) {
      const line = /^[^\r\n]*(?=[\r\n])/.exec(text)?.[0] ?? (final ? text : undefined);
      if (line !== undefined) {
        this.#delimiter = detectDelimiter(line, text, final).charCodeAt(0);
        if (this.#delimiter === SPACE) this.#notes.push("The columns are parted by spaces.");
      }
    }
    const records: { row: number; fields: F[] }[] = [];
    let position = 0;
    if (this.#delimiter !== undefined)
      while (position < text.length) {
        const row = this.#line;
        const fields: F[] = [];
        const next = this.#record(text, codes, position, this.#delimiter, final, fields);
        if (next === undefined) {
          this.#line = row;
          break;
        }
        position = next;
        if (fields.length === 1 && fields[0] === "") continue;
        this.#named = true;
        records.push({ row, fields });
      }
    this.#rest = text.slice(position);
    this.#restCodes = codes.subarray(position);
    if (this.#rest.length > MAX_RECORD)
      throw this.fail(`the record is longer than ${MAX_RECORD} characters; a closing quote is probably missing.`);
    return records;
  }

  #codesWith(piece: string, ascii: Uint8Array | undefined): Uint16Array<ArrayBuffer> {
    const begin = this.#restCodes.length;
    const codes = new Uint16Array(begin + piece.length);
    codes.set(this.#restCodes);
    if (ascii) codes.set(ascii, begin);
    else for (let i = 0; i < piece.length; i++) codes[begin + i] = piece.charCodeAt(i);
    return codes;
  }

  /** Reads one record into `fields`; gives where the next begins, or `undefined` when the text ends within it. */
  #record(
    text: string,
    codes: Uint16Array,
    begin: number,
    delimiter: number,
    final: boolean,
    fields: F[],
  ): number | undefined {
    let at = begin;
    const isGap = (i: number) => delimiter === SPACE && (codes[i] === SPACE || codes[i] === TAB);
    while (isGap(at)) at++;
    for (;;) {
      if (codes[at] === QUOTE) {
        const end = this.#quoted(codes, at, final);
        if (end === undefined) return undefined;
        fields.push(text.slice(at + 1, end).replaceAll('""', '"') as F);
        at = end + 1;
      } else {
        const from = at;
        const number = this.#named && this.#numbers ? this.#number(codes, from) : undefined;
        at = number === undefined ? from : this.#numberEnd;
        while (at < codes.length) {
          const code = codes[at];
          if (code === delimiter || code === NEWLINE || code === RETURN) break;
          at++;
        }
        const isNumber = number !== undefined && at === this.#numberEnd;
        fields.push((isNumber ? number : text.slice(from, at)) as F);
      }
      while (isGap(at) && (isGap(at + 1) || isEnd(codes[at + 1]))) at++;
      if (at >= text.length) return final ? at : undefined;
      const code = codes[at++];
      if (code === delimiter) {
        if (at >= text.length && !final) return undefined;
        continue;
      }
      if (code === RETURN) {
        if (at >= text.length && !final) return undefined; // perhaps the half of \r\n
        if (codes[at] === NEWLINE) at++;
      } else if (code !== NEWLINE) {
        throw this.fail("there is text after a closing quote; double the quotes that belong to the text.");
      }
      this.#line++;
      return at;
    }
  }

  /**
   * The number whose text begins at `begin`, and where it ends: digits with a sign and a point, at most 15 of them;
   * `undefined` for all else. As the digits are a whole number below 2⁵³ and the power of ten is exact, the one division
   * rounds as `Number` does (Clinger, 1990).
   */
  #number(codes: Uint16Array, begin: number): number | undefined {
    let at = begin;
    const sign = codes[at];
    if (sign === MINUS || sign === PLUS) at++;
    const first = at;
    let value = 0;
    let point = -1;
    for (; at < codes.length; at++) {
      const digit = codes[at] - ZERO;
      if (digit >= 0 && digit <= 9) value = value * 10 + digit;
      else if (digit === POINT - ZERO && point < 0) point = at;
      else break;
    }
    const count = at - first - (point < 0 ? 0 : 1);
    const isCode = point < 0 && count > 1 && codes[first] === ZERO;
    if (count < 1 || count > 15 || isCode) return undefined;
    this.#numberEnd = at;
    if (point >= 0) value /= POWERS_OF_TEN[at - point - 1];
    return sign === MINUS ? -value : value;
  }

  /** Where the quoted field that begins at `begin` closes; `undefined` when more text is wanted. Counts its lines. */
  #quoted(codes: Uint16Array, begin: number, final: boolean): number | undefined {
    const row = this.#line;
    for (let at = begin + 1; at < codes.length; at++) {
      const code = codes[at];
      if (code === NEWLINE || (code === RETURN && codes[at + 1] !== NEWLINE)) this.#line++;
      if (code !== QUOTE) continue;
      if (codes[at + 1] === QUOTE) at++;
      else if (at + 1 < codes.length || final) return at;
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

const isEnd = (code: number | undefined): boolean => code === undefined || code === NEWLINE || code === RETURN;

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
