/**
 * Turns tables (CSV, TSV, plain records) into numbers: finds what each column holds, makes the data set for training
 * and the schema that encodes later rows in the same way. Cutting the text into fields is in csv.ts, one cell in
 * cells.ts, one row in encoder.ts; nothing is standardised here (see `statistics`).
 */

import { checkOptionNames } from "../checks.ts";
import { ArgumentError } from "../errors.ts";
import { type Message, message, option } from "../wording.ts";
import { type Cell, category, parseBoolean, parseCell, parseDate } from "./cells.ts";
import { CSV_OPTIONS, type CsvOptions, type CsvSource, parseCsv } from "./csv.ts";
import type { Dataset, Task } from "./dataset.ts";
import { Encoder, numberFor, type Place, type TableDataset, wrongKind } from "./encoder.ts";
import { dataError, list, show } from "./fail.ts";
import type { ColumnKind, ColumnSchema, MissingPolicy, TableSchema } from "./schema.ts";

/** Options of `readTable`. */
export interface TableOptions extends CsvOptions {
  /** The column to predict. */
  readonly target: string;
  /** Default: see `readTable`. */
  readonly task?: Task;
  /**
   * Missing values (an empty cell, NA, N/A, NaN, null, None or ?): "error" (default) names the first; "mean" fills in
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
}

/** Options of `encodeTable`. */
export interface EncodeOptions extends CsvOptions {
  /** Whether the target is read: by default when its column is there; with `true` it must be, with `false` it is not. */
  readonly target?: boolean;
}

/** Rows encoded by a schema; `y` is there when the target was read. */
export type EncodedTable = Omit<TableDataset, "y"> & { readonly y?: Dataset["y"] };

export const TABLE_OPTIONS = [...CSV_OPTIONS, "target", "task", "missing", "ignore", "columns", "maxCategories"];
export const ENCODE_OPTIONS = [...CSV_OPTIONS, "target"];

/** The most numbers that a table may become: 4 GiB of 32-bit floats. */
const MAX_NUMBERS = 2 ** 30;

/**
 * Reads a table with a header and finds what its columns hold:
 * - numeric: more than half of the values are numbers; then any other text in it is an error;
 * - boolean: all are true/false, yes/no, t/f or y/n; one feature, 0 or 1;
 * - date: more than half are ISO 8601 (`2024-01-31`, `2024-01-31T12:00:00Z`; without zone UTC) or day, month, year with
 *   points (`31.1.2024`); days since 1970-01-01;
 * - categorical otherwise: one feature per category, 0 or 1.
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
export async function readTable(source: CsvSource, options: TableOptions): Promise<TableDataset> {
  checkOptionNames("readTable", options, TABLE_OPTIONS);
  const { missing = "error", maxCategories = 256 } = options;
  const at = options.file === undefined ? {} : { file: options.file };
  let columns: Column[] = [];
  const rows = new Growing(Int32Array);
  await eachRecord(source, options, (record, header) => {
    if (columns.length === 0) columns = chooseColumns(header, options);
    rows.push(record.row);
    for (const column of columns) column.push(parseCell(record.fields[column.index]));
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
  const table: Table = { at, rows, kept, maxCategories };
  const targetColumn = columns.find((column) => column.name === options.target)!;
  const target = describeTarget(targetColumn, table, options);
  const inputs = columns.filter((column) => column !== targetColumn);
  const described = inputs.map((column) => describe(column, table, missing, options.columns?.[column.name]));
  const schema: TableSchema = { columns: described, target, missing };

  const encoder = new Encoder(schema, at);
  const size = encoder.size * kept.length;
  if (size > MAX_NUMBERS)
    throw dataError(
      message`the table would become ${kept.length} rows of ${encoder.size} features, more than memory is meant for; leave columns out (${option("ignore")}).`,
      at,
    );
  const x = new Float32Array(size);
  const y = target.classes ? new Int32Array(kept.length) : new Float32Array(kept.length);
  kept.forEach((i, k) => {
    encoder.row((c) => inputs[c].cell(i), x, k * encoder.size, rows.at(i));
    y[k] = encoder.target(targetColumn.cell(i), rows.at(i));
  });
  return { x, y, count: kept.length, ...encoder.description };
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
  source: CsvSource,
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
  await eachRecord(source, options, ({ row, fields }, header) => {
    if (places === undefined) {
      places = schema.columns.map(({ name }) => place(header, name, at));
      if (options.target !== false) targetPlace = header.indexOf(schema.target.name);
      if (options.target === true) place(header, schema.target.name, at);
    }
    const cells = places.map((index) => parseCell(fields[index]));
    const label = targetPlace < 0 ? undefined : parseCell(fields[targetPlace]);
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

/** A row by the names of its columns. */
export type PlainRow = Readonly<Record<string, number | string | boolean | Date | null | undefined>>;

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
    const cell = (c: number): Cell => {
      const { name } = schema.columns[c];
      const value = Object.hasOwn(row, name) ? row[name] : undefined;
      if (value === null || value === undefined) return undefined;
      if (typeof value === "number") return Number.isNaN(value) ? undefined : value;
      if (value instanceof Date) return Number.isNaN(value.getTime()) ? undefined : value.toISOString();
      return parseCell(String(value));
    };
    encoder.row(cell, x, i * encoder.size, i + 1);
  });
  return x;
}

/** Calls `visit` for every record after the header, whose names are checked, as the number of fields is. */
async function eachRecord(
  source: CsvSource,
  { file, delimiter }: CsvOptions,
  visit: (record: { row: number; fields: string[] }, header: string[]) => void,
): Promise<void> {
  const at = file === undefined ? {} : { file };
  let header: string[] | undefined;
  for await (const records of parseCsv(source, { ...at, ...(delimiter && { delimiter }) }))
    for (const record of records) {
      if (header === undefined) {
        header = checkHeader(record.fields, { ...at, row: record.row });
        continue;
      }
      if (record.fields.length !== header.length)
        throw dataError(
          `there are ${record.fields.length} fields, but ${header.length} names in the header; add or remove fields, or quote those that hold a delimiter.`,
          { ...at, row: record.row },
        );
      visit(record, header);
    }
  if (header === undefined) throw dataError("the file is empty; a table begins with a header of column names.", at);
}

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

/** The index of a column that must be there. */
function place(header: readonly string[], name: string, at: Place): number {
  const index = header.indexOf(name);
  if (index < 0)
    throw dataError(
      `there is no column ${show(name)}; the columns are ${list(header)}. The header stands in the first line.`,
      at,
    );
  return index;
}

function chooseColumns(header: string[], options: TableOptions): Column[] {
  const at = options.file === undefined ? {} : { file: options.file };
  if (typeof options.target !== "string")
    throw new ArgumentError(`No target was given; name the column to predict: one of ${list(header)}.`);
  place(header, options.target, at);
  for (const name of [...(options.ignore ?? []), ...Object.keys(options.columns ?? {})]) place(header, name, at);
  if (options.ignore?.includes(options.target))
    throw new ArgumentError(`The target ${show(options.target)} is also to be ignored; choose one.`);
  const columns = header
    .map((name, index) => new Column(name, index))
    .filter((column) => !options.ignore?.includes(column.name));
  if (columns.length < 2)
    throw dataError(`there is no column but the target ${show(options.target)}; add columns to predict it from.`, at);
  return columns;
}

/** A typed array that grows. */
class Growing<A extends Int32Array | Float32Array | Float64Array> {
  #array: A;
  readonly #kind: new (
    length: number,
  ) => A;
  length = 0;

  constructor(kind: new (length: number) => A) {
    this.#kind = kind;
    this.#array = new kind(64);
  }

  push(value: number): void {
    if (this.length === this.#array.length) {
      const larger = new this.#kind(this.length * 2);
      larger.set(this.#array);
      this.#array = larger;
    }
    this.#array[this.length++] = value;
  }

  at(i: number): number {
    return this.#array[i];
  }

  values(): A {
    return this.#array.slice(0, this.length) as A;
  }
}

/** The cells of one column in little memory: numbers as they are, every other text once. */
class Column {
  readonly name: string;
  readonly index: number;
  readonly #numbers = new Growing(Float64Array);
  /** 0: a number; −1: missing; n: text n − 1. Absent as long as all cells are numbers. */
  #codes: Growing<Int32Array> | undefined;
  readonly #texts: string[] = [];
  readonly #codeOf = new Map<string, number>();

  constructor(name: string, index: number) {
    this.name = name;
    this.index = index;
  }

  push(cell: Cell): void {
    if (typeof cell !== "number" && this.#codes === undefined) {
      this.#codes = new Growing(Int32Array);
      for (let i = 0; i < this.#numbers.length; i++) this.#codes.push(0);
    }
    this.#numbers.push(typeof cell === "number" ? cell : 0);
    this.#codes?.push(typeof cell === "number" ? 0 : cell === undefined ? -1 : this.#code(cell));
  }

  #code(text: string): number {
    let code = this.#codeOf.get(text);
    if (code === undefined) {
      this.#texts.push(text);
      code = this.#texts.length;
      this.#codeOf.set(text, code);
    }
    return code;
  }

  cell(i: number): Cell {
    const code = this.#codes?.at(i) ?? 0;
    return code === 0 ? this.#numbers.at(i) : code < 0 ? undefined : this.#texts[code - 1];
  }
}

/** What describing a column needs to know of the table. */
interface Table {
  readonly at: Place;
  /** The line of each row. */
  readonly rows: Growing<Int32Array>;
  /** The rows that count. */
  readonly kept: readonly number[];
  readonly maxCategories: number;
}

/** The kind of a column by its values, as `readTable` says. */
function findKind(column: Column, table: Table): ColumnKind {
  let [all, numbers, booleans, dates] = [0, 0, 0, 0];
  for (const i of table.kept) {
    const cell = column.cell(i);
    if (cell === undefined) continue;
    all++;
    if (typeof cell === "number") numbers++;
    else if (parseBoolean(cell) !== undefined) booleans++;
    else if (parseDate(cell) !== undefined) dates++;
  }
  if (all === 0)
    throw dataError(message`the column has no values; fill it in, or leave it out (${option("ignore")}).`, {
      ...table.at,
      column: column.name,
    });
  if (numbers > all / 2) return "numeric";
  if (booleans === all) return "boolean";
  return dates > all / 2 ? "date" : "categorical";
}

/** The distinct values of a column and how often each occurs. */
function countValues(column: Column, table: Table): Map<number | string, number> {
  const counts = new Map<number | string, number>();
  for (const i of table.kept) {
    const cell = column.cell(i);
    if (cell !== undefined) counts.set(cell, (counts.get(cell) ?? 0) + 1);
  }
  return counts;
}

const DECIMAL_COMMA = /^[+-]?(\d+|\d{1,3}(\.\d{3})+)?,\d+$/;

/** What to say of words that nearly all look like `3,5`. */
function withCommas(counts: Map<number | string, number>): Message | undefined {
  const such = [...counts.keys()].filter((value) => typeof value === "string" && DECIMAL_COMMA.test(value));
  // Whole numbers stand among them without a comma.
  const rest = [...counts.keys()].filter((value) => typeof value === "string").length - such.length;
  if (such.length === 0 || rest > such.length / 10) return undefined;
  return message`values such as ${show(such[0])} look like numbers with decimal commas; ${option("decimal", "comma")} reads them as such.`;
}

/** The categories of a column in order: as numbers where all are, else by character. */
function categoriesOf(counts: Map<number | string, number>, column: Column, table: Table): string[] {
  if (counts.size > table.maxCategories)
    throw dataError(
      withCommas(counts) ??
        message`the column has ${counts.size} different values, more than the ${table.maxCategories} categories allowed; leave it out (${option("ignore")}), or, in a program, raise maxCategories.`,
      { ...table.at, column: column.name },
    );
  const values = [...counts.keys()];
  if (values.every((value) => typeof value === "number")) return values.sort((a, b) => a - b).map(category);
  return values.map(category).sort();
}

function describe(
  column: Column,
  table: Table,
  missing: MissingPolicy,
  declared: ColumnKind | undefined,
): ColumnSchema {
  const { name } = column;
  const kind = declared ?? findKind(column, table);
  if (kind === "categorical") {
    const counts = countValues(column, table);
    const categories = categoriesOf(counts, column, table);
    if (missing !== "mean") return { name, kind, categories };
    const most = Math.max(...counts.values());
    return { name, kind, categories, fill: categories.find((text) => counts.get(parseCell(text)!) === most)! };
  }
  if (missing !== "mean") return { name, kind };
  let [sum, all] = [0, 0];
  for (const i of table.kept) {
    const number = numberFor(kind, column.cell(i));
    if (number === undefined) continue; // missing, or an error when the row is encoded
    sum += number;
    all++;
  }
  const mean = all === 0 ? 0 : sum / all;
  return { name, kind, fill: kind === "boolean" ? Math.round(mean) : mean };
}

const MAX_CLASSES_OF_NUMBERS = 20;

function describeTarget(column: Column, table: Table, options: TableOptions): TableSchema["target"] {
  const { name } = column;
  const at = { ...table.at, column: name };
  const kind = options.columns?.[name] ?? findKind(column, table);
  const counts = countValues(column, table);
  const values = [...counts.keys()];
  const few = counts.size <= MAX_CLASSES_OF_NUMBERS && counts.size * 2 <= table.kept.length;
  const whole = values.every((value) => Number.isInteger(value));
  const words = kind === "categorical" || kind === "boolean";
  const task = options.task ?? (words || (kind === "numeric" && few && whole) ? "classification" : "regression");
  if (kind === "categorical" && options.task !== "classification" && options.columns?.[name] === undefined) {
    const wrong = withCommas(counts);
    if (wrong !== undefined) throw dataError(wrong, at);
    if (counts.size >= 20 && counts.size > 0.9 * table.kept.length)
      throw dataError(
        message`the target has ${counts.size} different words in ${table.kept.length} rows, such as ${show(values[0])}, so it is hardly a class. Choose another target, write numbers as numbers, or say ${option("task", "classification")}.`,
        at,
      );
  }
  if (task === "regression") {
    if (words)
      throw dataError(
        message`the target holds words such as ${show(values[0])}; regression wants numbers. Choose another target, or ${option("task", "classification")}.`,
        at,
      );
    return { name, kind };
  }
  if (kind === "numeric" || kind === "boolean") {
    const wrong = table.kept.find((i) => column.cell(i) !== undefined && numberFor(kind, column.cell(i)) === undefined);
    if (wrong !== undefined) throw wrongKind(kind, column.cell(wrong), { ...at, row: table.rows.at(wrong) });
  }
  const classes =
    kind === "boolean"
      ? [0, 1].flatMap((truth) => values.find((value) => parseBoolean(value) === truth) ?? []).map(category)
      : categoriesOf(counts, column, table);
  if (classes.length < 2)
    throw dataError(
      `every row has the class ${show(classes[0])}; there is nothing to tell apart. Add rows of another class.`,
      at,
    );
  return { name, kind, classes };
}
