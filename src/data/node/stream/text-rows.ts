/**
 * The rows of text files, CSV, TSV and JSON Lines, in blocks that can be read again one by one: text is cut at the ends of
 * records, some 128 kB together. What cells mean is for table-blocks.ts.
 */
import { message, option } from "../../../wording.ts";
import type { Cell } from "../../cells.ts";
import { type CsvOptions, type CsvPart, delimiterOf, recordParts, recordsOf } from "../../csv.ts";
import { dataError, list, show } from "../../fail.ts";
import {
  cellOf,
  checkFields,
  checkPlainRow,
  emptyTable,
  type PlainRow,
  plainCell,
  takeHeader,
} from "../../table-rows.ts";
import { readPieces } from "../table.ts";
import { checkUnchanged, FileReader, type WatchedFile } from "./watched-file.ts";

/** Bytes of text in a block. */
const BLOCK = 2 ** 17;

/** Where the rows of a block stand. */
export interface BlockPlace {
  readonly file: WatchedFile;
  readonly offset: number;
  readonly length: number;
  /** The line or the row in which it begins, from 1. */
  readonly line: number;
}

/** A row: its line, and its cells by the places of the columns. */
export interface TableRow {
  readonly line: number;
  cell(column: number): Cell;
  /** What a cell is written like. */
  said(column: number): string;
}

/** How the rows of one kind of files are found and read. */
export interface TableFormat {
  /** The names of the columns; none before the first block was read. */
  readonly header: readonly string[];
  /** The blocks of a file one after the other, with their rows. */
  scan(file: WatchedFile): AsyncIterable<{ readonly place: BlockPlace; readonly rows: TableRow[] }>;
  /** The rows of one block. */
  read(place: BlockPlace): Promise<TableRow[]>;
  close(): Promise<void>;
}

export interface TextOptions extends Omit<CsvOptions, "file"> {
  /** False where the files have no line of names. */
  readonly header?: boolean;
}

abstract class TextFormat implements TableFormat {
  header: string[] = [];
  readonly #reader = new FileReader();

  protected abstract separator(file: WatchedFile): Promise<string | undefined>;
  protected abstract rows(part: CsvPart, file: WatchedFile): TableRow[];

  async *scan(file: WatchedFile) {
    const separator = await this.separator(file);
    let isEmpty = true;
    try {
      for await (const { bytes, offset, line } of recordParts(readPieces(file.path), separator, BLOCK)) {
        isEmpty = false;
        const rows = this.rows({ bytes, line }, file);
        if (rows.length > 0) yield { place: { file, offset, length: bytes.length, line }, rows };
      }
    } catch (error) {
      // A file that was cut or written to while it was read looks damaged.
      await checkUnchanged(file);
      throw error;
    }
    await checkUnchanged(file);
    if (isEmpty) throw emptyTable({ file: file.path });
  }

  async read({ file, offset, length, line }: BlockPlace): Promise<TableRow[]> {
    if (isZipped(file))
      throw dataError(
        message`a gzipped file can only be read from its beginning. Give ${option("cache", "DIR")}, where its rows are kept unpacked, or unpack it.`,
        { file: file.path },
      );
    return this.rows({ bytes: await this.#reader.read(file, offset, length), line }, file);
  }

  close(): Promise<void> {
    return this.#reader.close();
  }
}

const isZipped = ({ path }: WatchedFile): boolean => /\.gz$/i.test(path);

/** Tables with a line of names, or without. */
export class CsvFormat extends TextFormat {
  readonly #options: TextOptions;
  #delimiter: string | undefined;

  constructor({ delimiter, encoding, header }: TextOptions) {
    super();
    this.#options = { delimiter, encoding, header };
    this.#delimiter = delimiter;
  }

  protected async separator(file: WatchedFile): Promise<string> {
    const { encoding } = this.#options;
    for await (const piece of readPieces(file.path)) {
      if (/^utf-?16/i.test(encoding ?? "") || ((piece[0] ^ piece[1]) === 1 && piece[0] >= 0xfe))
        throw dataError("the text is UTF-16, which cannot be read in blocks; save it as UTF-8.", { file: file.path });
      const text = new TextDecoder(encoding).decode(piece);
      this.#delimiter ??= delimiterOf(text, piece.length === file.size);
      break;
    }
    return this.#delimiter ?? ",";
  }

  protected rows(part: CsvPart, { path }: WatchedFile): TableRow[] {
    const at = { file: path };
    const { encoding, header = true } = this.#options;
    const records = recordsOf(part, { ...at, delimiter: this.#delimiter, ...(encoding && { encoding }) }, []);
    if (part.line === 1 && records.length > 0) {
      const names = takeHeader(records, header, at);
      if (this.header.length === 0) this.header = names;
      else this.#compare(names, path);
    }
    return records.map((record) => {
      const { fields } = checkFields(record, this.header, header, at);
      return {
        line: record.row,
        cell: (i) => cellOf(fields[i]),
        said: (i) => String(fields[i]).trim(),
      };
    });
  }

  /** All files of a table must have the same columns. */
  #compare(names: readonly string[], file: string): void {
    const wrong = names.findIndex((name, i) => name !== this.header[i]);
    if (wrong < 0 && names.length === this.header.length) return;
    const missing = this.header.filter((name) => !names.includes(name));
    const more = names.filter((name) => !this.header.includes(name));
    const differs = [
      missing.length > 0 && `it lacks ${list(missing)}`,
      more.length > 0 && `it has ${list(more)} besides`,
      missing.length + more.length === 0 &&
        `column ${wrong + 1} is ${show(names[wrong])}, not ${show(this.header[wrong])}`,
    ].filter((text) => text !== false);
    throw dataError(
      `the columns are not those of the first file: ${differs.join(", and ")}. Take files with the same columns in the same order.`,
      { file, row: 1 },
    );
  }
}

/** An object on each line. Those of the first block name the columns. */
export class JsonLinesFormat extends TextFormat {
  protected async separator(): Promise<undefined> {}

  protected rows({ bytes, line }: CsvPart, { path }: WatchedFile): TableRow[] {
    const objects: { line: number; row: PlainRow }[] = [];
    for (const [i, text] of new TextDecoder().decode(bytes).split("\n").entries()) {
      if (text.trim() === "") continue;
      const at = { file: path, row: line + i };
      let row: unknown;
      try {
        row = JSON.parse(text);
      } catch (cause) {
        throw dataError(`the text is no JSON: ${(cause as Error).message}.`, at, { cause });
      }
      checkPlainRow(row, at);
      objects.push({ line: line + i, row });
    }
    if (this.header.length === 0) this.header = [...new Set(objects.flatMap(({ row }) => Object.keys(row)))];
    return objectRows(objects, this.header, path);
  }
}

/** Rows of objects that have no names but those of the header. */
export function objectRows(
  objects: readonly { readonly line: number; readonly row: PlainRow }[],
  header: readonly string[],
  file: string,
): TableRow[] {
  const known = new Set(header);
  return objects.map(({ line, row }) => {
    const strange = Object.keys(row).find((name) => !known.has(name));
    if (strange !== undefined)
      throw dataError(`the first rows have no such column; theirs are ${list(header)}. Give all rows the same names.`, {
        file,
        row: line,
        column: strange,
      });
    return {
      line,
      cell: (i) => plainCell(row[header[i]]),
      said: (i) => (row[header[i]] === undefined ? "" : String(row[header[i]])),
    };
  });
}
