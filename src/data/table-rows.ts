/**
 * Goes through the rows of a table, of text or of plain objects, with the names of its columns: what every reader of tables
 * begins with. What the cells mean is for others.
 */
import { didYouMean, isObject } from "../checks.ts";
import type { DataError } from "../errors.ts";
import { type Message, message, option } from "../wording.ts";
import { type Cell, isCode, parseCell } from "./cells.ts";
import { type CellRecord, type CsvOptions, type CsvSource, cellRecords } from "./csv.ts";
import type { Place } from "./encoder.ts";
import { dataError, list, show } from "./fail.ts";

/** A row by the names of its columns. */
export type PlainRow = Readonly<Record<string, number | string | boolean | Date | null | undefined>>;

/** A value of a plain row as a cell. */
export function plainCell(value: PlainRow[string]): Cell {
  if (value === null || value === undefined) return undefined;
  if (typeof value === "number") return Number.isNaN(value) ? undefined : value;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? undefined : value.toISOString();
  return parseCell(String(value));
}

/** Told of a row: its number, its cells and what they are written like, by the places of its columns; and all columns' names. */
type VisitRow = (row: number, cell: (i: number) => Cell, header: string[], said: (i: number) => string) => void;

/** Calls `visit` for every row of a table, of text or of plain objects. */
export async function eachRow(
  source: CsvSource | readonly PlainRow[],
  options: CsvOptions & { readonly header?: boolean },
  notes: Message[],
  visit: VisitRow,
): Promise<void> {
  if (Array.isArray(source) && source.some(isObject)) return eachPlainRow(source, options, visit);
  await eachRecord(source as CsvSource, options, notes, ({ row, fields }, header) =>
    visit(
      row,
      (i) => cellOf(fields[i]),
      header,
      (i) => String(fields[i]).trim(),
    ),
  );
}

/** Calls `visit` for every plain object. The columns are all the names that occur, in the order in which they come. */
function eachPlainRow(rows: readonly PlainRow[], { file }: CsvOptions, visit: VisitRow): void {
  const at = file === undefined ? {} : { file };
  const header = [...new Set(rows.flatMap((row) => (isObject(row) ? Object.keys(row) : [])))];
  rows.forEach((row, i) => {
    checkPlainRow(row, { ...at, row: i + 1 });
    visit(
      i + 1,
      (c) => plainCell(row[header[c]]),
      header,
      (c) => (row[header[c]] === undefined ? "" : String(row[header[c]])),
    );
  });
}

/** Throws unless this is a row of plain values by the names of its columns. */
export function checkPlainRow(row: unknown, at: Place & { readonly row: number }): asserts row is PlainRow {
  if (!isObject(row))
    throw dataError(`the row is ${show(row)}; an object with a value for each column was wanted.`, at);
  for (const name of Object.keys(row)) {
    const value = row[name];
    if (typeof value === "object" && value && !(value instanceof Date))
      throw dataError(
        `the value is ${show(value)}; numbers, texts, true or false, dates and null are values of a table. Make columns of its parts.`,
        { ...at, column: name },
      );
  }
}

/** Calls `visit` for every record after the header, whose names are checked, as the number of fields is. */
async function eachRecord(
  source: CsvSource,
  { header: named = true, ...options }: CsvOptions & { readonly header?: boolean },
  notes: Message[],
  visit: (record: CellRecord, header: string[]) => void,
): Promise<void> {
  const { file } = options;
  const at = file === undefined ? {} : { file };
  let header: string[] | undefined;
  for await (const records of cellRecords(source, options, notes)) {
    header ??= takeHeader(records, named, at);
    for (const record of records) visit(checkFields(record, header, named, at), header);
  }
  if (header === undefined) throw emptyTable(at);
}

export const emptyTable = (at: Place): DataError =>
  dataError("the file is empty; a table begins with a header of column names.", at);

/** Takes the header from the first records of a table, where it has one, and gives the names of the columns. */
export function takeHeader(records: CellRecord[], named: boolean, at: Place): string[] {
  const [first] = records;
  if (!named) return first.fields.map((_, i) => String(i + 1));
  records.shift();
  return checkHeader(first.fields.map(String), { ...at, row: first.row });
}

/** The record, if it has as many fields as there are columns. */
export function checkFields(record: CellRecord, header: readonly string[], named: boolean, at: Place): CellRecord {
  if (record.fields.length === header.length) return record;
  throw dataError(
    `there are ${record.fields.length} fields, but ${header.length} ${named ? "names in the header" : "in the first line"}; add or remove fields, or quote those that hold a delimiter.`,
    { ...at, row: record.row },
  );
}

/** What a field of a record says. */
export const cellOf = (field: string | number): Cell => (typeof field === "number" ? field : parseCell(field));

function checkHeader(fields: string[], at: Place & { row: number }): string[] {
  const header = fields.map((name) => name.trim());
  const empty = header.indexOf("");
  if (empty >= 0)
    throw dataError("the header gives it no name; name it, or remove the column.", { ...at, column: empty + 1 });
  const seen = new Set<string>();
  for (const name of header) {
    if (seen.has(name)) throw dataError("the header has this name twice; rename one.", { ...at, column: name });
    seen.add(name);
  }
  return header;
}

/** Whether a line is rather a row than the names of columns. */
const looksLikeValues = (fields: readonly string[]): boolean =>
  fields.filter((field) => typeof parseCell(field) === "number" || isCode(parseCell(field))).length >=
  fields.length / 2;

/** The index of a column that must be there. */
export function place(header: readonly string[], name: string, at: Place): number {
  const index = header.indexOf(name);
  if (index < 0)
    throw dataError(
      looksLikeValues(header)
        ? message`there is no column ${show(name)}: the first line, ${list(header)}, looks like a row and not like names. Where a table has no line of names, say ${option("header", false)}; its columns are 1, 2, 3, ….`
        : `there is no column ${show(name)}; the columns are ${list(header)}.${didYouMean(name, header)} The header stands in the first line.`,
      at,
    );
  return index;
}
