/**
 * Turns tables (CSV, TSV, plain objects) into numbers: makes the data set for training and the schema that encodes later
 * rows in the same way. Going through rows is in table-rows.ts, finding what columns hold in table-columns.ts, one cell in
 * cells.ts, one row in encoder.ts; nothing is standardised here (see `statistics`).
 */
import { checkOptionNames, didYouMean } from "../checks.ts";
import { ArgumentError } from "../errors.ts";
import { type Message, message, option } from "../wording.ts";
import { CSV_OPTIONS, type CsvOptions, type CsvSource } from "./csv.ts";
import type { Dataset, Task } from "./dataset.ts";
import { Encoder, type TableDataset } from "./encoder.ts";
import { dataError, list, show } from "./fail.ts";
import { Growing } from "./growing.ts";
import type { ColumnKind, MissingPolicy, TableSchema } from "./schema.ts";
import { Column, type ColumnValues, describe, describeTarget, noteMissing, type Table } from "./table-columns.ts";
import { eachRow, type PlainRow, place, plainCell } from "./table-rows.ts";

export type { PlainRow } from "./table-rows.ts";

/** Options of `readTable`. */
export interface TableOptions extends CsvOptions {
  /** The column to predict. */
  readonly target: string;
  /** Default: see `readTable`. */
  readonly task?: Task;
  /**
   * Missing values (an empty cell, NA, N/A, NaN, null, None, ?, - or --): "error" (default) names the first; "mean" fills in
   * the column's mean, for categories and booleans the most frequent; "drop" leaves the row out. A missing target is
   * an error unless rows are dropped.
   */
  readonly missing?: MissingPolicy;
  /** Columns to leave out, such as identifiers. */
  readonly ignore?: readonly string[];
  /** What columns hold, where it should not be found from their values. */
  readonly columns?: Readonly<Record<string, ColumnKind>>;
  /** The most categories of a column, and classes of the target. Default 256. */
  readonly maxCategories?: number;
  /** False where the table has no line of names: its columns are then called 1, 2, 3, …. Default true. */
  readonly header?: boolean;
}

/** Options of `encodeTable`. */
export interface EncodeOptions extends CsvOptions {
  /** False where the table has no line of names; as in the schema's own table unless said. */
  readonly header?: boolean;
  /** Whether the target is read: by default when its column is there; with `true` it must be, with `false` it is not. */
  readonly target?: boolean;
}

/** Rows encoded by a schema; `y` is there when the target was read. */
export type EncodedTable = Omit<TableDataset, "y"> & { readonly y?: Dataset["y"] };

export const TABLE_OPTIONS = [
  ...CSV_OPTIONS,
  "target",
  "task",
  "missing",
  "ignore",
  "columns",
  "maxCategories",
  "header",
];
export const ENCODE_OPTIONS = [...CSV_OPTIONS, "target", "header"];

/** The most numbers that a table may become: 4 GiB of 32-bit floats. */
const MAX_NUMBERS = 2 ** 30;

/**
 * Reads a table, from text or from plain objects, and finds what its columns hold:
 * - numeric: more than half of the values are numbers; then any other text in it is an error. Or all are numbers as people
 *   write them: `1,234.5`, `1.234,5`, `1'234`, `$5`, `24%`, `(120)` for −120; `notes` says how they were read;
 * - boolean: all are true/false, yes/no, t/f or y/n; one feature, 0 or 1;
 * - date: more than half are ISO 8601 (`2024-01-31`, `2024-01-31T12:00:00Z`; without zone UTC) or day, month, year with
 *   points (`31.1.2024`); days since 1970-01-01, and a sine and a cosine of the hour of the day, the day of the week and
 *   the day of the year where they vary;
 * - categorical otherwise: one feature per category, 0 or 1. Digits that begin with zeros are words: a code.
 *
 * The task is classification when the target is categorical or boolean, or holds whole numbers of at most 20 different
 * values, each on average at least twice; regression otherwise.
 *
 * Throws `DataError` that names file, row and column for ragged rows, text among numbers, missing values, no such
 * target, a single class, a target of words that hardly ever repeat, a doubled or empty name in the header, too many categories, and an empty table.
 *
 * @example
 * import { readTable } from "chainrule/data";
 * const data = await readTable("size,colour,ripe\n3,red,yes\n1,green,no\n2,red,yes\n", { target: "ripe" });
 * console.log(data.features, data.classes); // [ 'size', 'colour=green', 'colour=red' ] [ 'no', 'yes' ]
 */
export async function readTable(source: CsvSource | readonly PlainRow[], options: TableOptions): Promise<TableDataset> {
  checkOptionNames("readTable", options, TABLE_OPTIONS);
  const { missing = "error", maxCategories = 256 } = options;
  const at = options.file === undefined ? {} : { file: options.file };
  const notes: Message[] = [];
  let columns: Column[] = [];
  const rows = new Growing(Int32Array);
  await eachRow(source, options, notes, (row, cell, header, said) => {
    if (columns.length === 0)
      columns = chooseColumns(header, options).map(({ name, index, most }) => new Column(name, index, most));
    rows.push(row);
    for (const column of columns) {
      const value = cell(column.index);
      column.push(value);
      if (value === undefined) column.countMissing(said(column.index));
    }
  });
  if (rows.length === 0) throw dataError("the table has a header but no rows; add rows.", at);

  let kept = Array.from({ length: rows.length }, (_, i) => i);
  if (missing === "drop") {
    kept = kept.filter((i) => columns.every((column) => column.cell(i) !== undefined));
    if (kept.length === 0)
      throw dataError(
        message`every row has a missing value, so none is left; fill some in, or use ${option("missing", "mean")}.`,
        at,
        { code: "missing-value" },
      );
  }
  const table: Table = { at, rows, kept, count: kept.length, maxCategories, notes };
  const schema = describeTable(columns, () => table, options);
  const inputs = columns.filter((column) => column.name !== options.target);
  const targetColumn = columns.find((column) => column.name === options.target)!;

  const encoder = new Encoder(schema, at);
  const size = encoder.size * kept.length;
  if (size > MAX_NUMBERS)
    throw dataError(
      message`the table would become ${kept.length} rows of ${encoder.size} features, more than memory is meant for; leave columns out (${option("ignore")}).`,
      at,
    );
  const x = new Float32Array(size);
  const y = schema.target.classes ? new Int32Array(kept.length) : new Float32Array(kept.length);
  kept.forEach((i, k) => {
    encoder.row((c) => inputs[c].cell(i), x, k * encoder.size, rows.at(i));
    y[k] = encoder.target(targetColumn.cell(i), rows.at(i));
  });
  return { x, y, count: kept.length, ...encoder.description, notes };
}

/**
 * Encodes a table by the schema of an earlier one. Columns that the schema does not know are left aside.
 *
 * Throws `DataError` that names row and column for a column that is not there, a category or class that the schema
 * does not know, and all that `readTable` throws. Where the schema says "drop", rows are dropped only if the target is read.
 *
 * @example
 * import { encodeTable, readTable } from "chainrule/data";
 * const { schema } = await readTable("size,ripe\n3,yes\n1,no\n", { target: "ripe" });
 * console.log((await encodeTable(schema, "size\n2\n")).x); // Float32Array(1) [ 2 ]
 */
export async function encodeTable(
  schema: TableSchema,
  source: CsvSource | readonly PlainRow[],
  options: EncodeOptions = {},
): Promise<EncodedTable> {
  checkOptionNames("encodeTable", options, ENCODE_OPTIONS);
  const at = options.file === undefined ? {} : { file: options.file };
  const encoder = new Encoder(schema, at);
  const x = new Growing(Float32Array);
  const y = new Growing<Dataset["y"]>(schema.target.classes ? Int32Array : Float32Array);
  let places: number[] | undefined;
  let targetPlace = -1;
  const scratch = new Float32Array(encoder.size);
  const { header = schema.header } = options;
  await eachRow(source, { ...options, header }, [], (row, cell, header) => {
    if (places === undefined) {
      places = schema.columns.map(({ name }) => place(header, name, at));
      if (options.target !== false) targetPlace = header.indexOf(schema.target.name);
      if (options.target === true) place(header, schema.target.name, at);
    }
    const cells = places.map(cell);
    const label = targetPlace < 0 ? undefined : cell(targetPlace);
    if (schema.missing === "drop" && targetPlace >= 0 && (label === undefined || cells.includes(undefined))) return;
    scratch.fill(0);
    encoder.row((c) => cells[c], scratch, 0, row);
    if (x.length + scratch.length > MAX_NUMBERS)
      throw dataError("the table is too large for memory; encode it in parts.", at);
    for (const value of scratch) x.push(value);
    if (targetPlace >= 0) y.push(encoder.target(label, row));
  });
  if (x.length === 0) throw dataError("the table has no rows to encode; add rows.", at);
  return {
    x: x.values(),
    count: x.length / encoder.size,
    ...encoder.description,
    ...(targetPlace < 0 ? {} : { y: y.values() }),
  };
}

/**
 * Encodes plain records, such as parsed JSON, by the schema of a table: `[N, F]`, flat.
 *
 * Throws `DataError` that names row and column, as `encodeTable` does.
 *
 * @example
 * import { encodeRows, readTable } from "chainrule/data";
 * const { schema } = await readTable("size,ripe\n3,yes\n1,no\n", { target: "ripe" });
 * console.log(encodeRows(schema, [{ size: 2 }])); // Float32Array(1) [ 2 ]
 */
export function encodeRows(schema: TableSchema, rows: readonly PlainRow[]): Float32Array {
  const encoder = new Encoder(schema, {});
  const x = new Float32Array(rows.length * encoder.size);
  rows.forEach((row, i) => {
    const absent = schema.columns.find(({ name }) => !Object.hasOwn(row, name));
    if (absent)
      throw dataError(
        `the row has no ${show(absent.name)}; it has ${list(Object.keys(row))}.${didYouMean(absent.name, Object.keys(row))} Give every column; null says that a value is missing.`,
        { row: i + 1, column: absent.name },
      );
    encoder.row((c) => plainCell(row[schema.columns[c].name]), x, i * encoder.size, i + 1);
  });
  return x;
}

/** What the columns of a table hold; `tableOf` gives what is to be known of the table for each of them. */
export function describeTable<C extends ColumnValues>(
  columns: readonly C[],
  tableOf: (column: C) => Table,
  options: TableOptions,
): TableSchema {
  const { missing = "error" } = options;
  for (const column of columns) if (missing !== "error") noteMissing(column, missing, tableOf(column).notes);
  const targetColumn = columns.find((column) => column.name === options.target)!;
  const target = describeTarget(targetColumn, tableOf(targetColumn), options);
  const inputs = columns.filter((column) => column !== targetColumn);
  return {
    columns: inputs.map((column) => describe(column, tableOf(column), missing, options.columns?.[column.name])),
    target,
    missing,
    ...(options.header === false && { header: false }),
  };
}

/** The columns that are not to be ignored, and how many different numbers of each are to be told apart. */
export function chooseColumns(
  header: string[],
  options: TableOptions,
): { name: string; index: number; most: number }[] {
  const at = options.file === undefined ? {} : { file: options.file };
  if (typeof options.target !== "string")
    throw new ArgumentError(`No target was given; name the column to predict: one of ${list(header)}.`);
  place(header, options.target, at);
  for (const name of [...(options.ignore ?? []), ...Object.keys(options.columns ?? {})]) place(header, name, at);
  if (options.ignore?.includes(options.target))
    throw new ArgumentError(`The target ${show(options.target)} is also to be ignored; choose one.`);
  // What may be left of them without the rows that are dropped, or is said to be categories, is not known before the end.
  const isExact = (name: string): boolean =>
    options.missing === "drop" || name === options.target || options.columns?.[name] === "categorical";
  const { maxCategories = 256 } = options;
  const columns = header
    .map((name, index) => ({ name, index, most: isExact(name) ? Infinity : maxCategories }))
    .filter(({ name }) => !options.ignore?.includes(name));
  if (columns.length < 2)
    throw dataError(`there is no column but the target ${show(options.target)}; add columns to predict it from.`, at);
  return columns;
}
