/**
 * Reads tables from files: CSV and TSV piece by piece, so that a file larger than memory allows as text can still be
 * read, gzipped or not; JSON as an array of objects, JSON Lines as an object a line, Parquet by parquet.ts. What the columns mean is for
 * ../table.ts. Node only.
 */
import { createReadStream } from "node:fs";
import { pipeline } from "node:stream";
import { createGunzip } from "node:zlib";
import { checkOptionNames } from "../../checks.ts";
import { type CsvOptions, type CsvSource, parseCsv } from "../csv.ts";
import type { TableDataset } from "../encoder.ts";
import { dataError, isObject, show } from "../fail.ts";
import type { TableSchema } from "../schema.ts";
import { readSeries, SERIES_OPTIONS, type Series, type SeriesOptions } from "../series.ts";
import {
  ENCODE_OPTIONS,
  type EncodedTable,
  type EncodeOptions,
  encodeTable,
  type PlainRow,
  readTable,
  TABLE_OPTIONS,
  type TableOptions,
} from "../table.ts";
import { fileError, readFile } from "./files.ts";
import { readParquet } from "./parquet.ts";

/** How the numbers of a file are written. */
export interface DecimalOptions {
  /** What stands before the decimals: a point, unless said; or a comma, as in `3,5` and `1.234,5`; then 1.234 is 1234. */
  readonly decimal?: "point" | "comma";
}

/**
 * The data set in a table's file; see `readTable`: CSV or TSV (also as .gz), an array of objects (.json), or an object on
 * each line (.jsonl, .ndjson), or Parquet (.parquet; `npm install hyparquet`). Throws `FileError` and `DataError`.
 *
 * @example
 * import { readCsv, writeFileAtomically } from "chainrule/data/node";
 * await writeFileAtomically("fruit.csv", new TextEncoder().encode("size,ripe\n3,yes\n1,no\n"));
 * console.log((await readCsv("fruit.csv", { target: "ripe" })).classes); // [ 'no', 'yes' ]
 */
export async function readCsv(path: string, options: TableOptions & DecimalOptions): Promise<TableDataset> {
  checkOptionNames("readCsv", options, [...TABLE_OPTIONS, "decimal"]);
  if (holdsObjects(path)) return readTable(await readObjects(path), { file: path, ...withoutText(options) });
  return readTable(...written(readPieces(path), { file: path, ...options }));
}

/**
 * The rows of a table's file, encoded by the schema of an earlier one; see `readCsv` for the files and `encodeTable`.
 * Throws `FileError` and `DataError`.
 *
 * @example
 * import { encodeCsv, readCsv, writeFileAtomically } from "chainrule/data/node";
 * await writeFileAtomically("fruit.csv", new TextEncoder().encode("size,ripe\n3,yes\n1,no\n"));
 * const { schema } = await readCsv("fruit.csv", { target: "ripe" });
 * console.log((await encodeCsv(schema, "fruit.csv")).x); // Float32Array(2) [ 3, 1 ]
 */
export async function encodeCsv(
  schema: TableSchema,
  path: string,
  options: EncodeOptions & DecimalOptions = {},
): Promise<EncodedTable> {
  checkOptionNames("encodeCsv", options, [...ENCODE_OPTIONS, "decimal"]);
  if (holdsObjects(path)) return encodeTable(schema, await readObjects(path), { file: path, ...withoutText(options) });
  return encodeTable(schema, ...written(readPieces(path), { file: path, ...options }));
}

/**
 * The series in a table's file; see `readCsv` for the files and `readSeries`. Throws `FileError` and `DataError`.
 *
 * @example
 * import { readSeriesFile, writeFileAtomically } from "chainrule/data/node";
 * await writeFileAtomically("sold.csv", new TextEncoder().encode("day,sold\n2024-01-01,3\n2024-01-02,5\n"));
 * console.log((await readSeriesFile("sold.csv", { time: "day" })).count); // 2
 */
export async function readSeriesFile(path: string, options: SeriesOptions & DecimalOptions = {}): Promise<Series> {
  checkOptionNames("readSeriesFile", options, [...SERIES_OPTIONS, "decimal"]);
  if (holdsObjects(path)) return readSeries(await readObjects(path), { file: path, ...withoutText(options) });
  return readSeries(...written(readPieces(path), { file: path, ...options }));
}

/** Whether a file holds its rows as objects with names, by its own name: JSON, JSON Lines or Parquet. */
export const holdsObjects = (path: string): boolean => /\.(json|jsonl|ndjson|parquet)$/i.test(path);

const readObjects = (path: string): Promise<readonly PlainRow[]> =>
  /\.parquet$/i.test(path) ? readParquet(path) : readJson(path);

/** The options without those that say how text is written, which objects have no need of. */
function withoutText<O extends CsvOptions & DecimalOptions & { readonly header?: boolean }>({
  decimal: _,
  delimiter: __,
  encoding: ___,
  header: ____,
  ...options
}: O) {
  return options;
}

/** The rows in a file of JSON: an array of objects, alone or as the only array of an object; or an object on each line. */
async function readJson(path: string): Promise<readonly PlainRow[]> {
  const at = { file: path };
  const text = new TextDecoder().decode(await readFile(path));
  const parse = (json: string, row?: number): unknown => {
    try {
      return JSON.parse(json);
    } catch (cause) {
      throw dataError(`the text is no JSON: ${(cause as Error).message}.`, { ...at, ...(row && { row }) }, { cause });
    }
  };
  const lines = /\.json$/i.test(path) ? undefined : text.split("\n");
  const parsed = lines ? lines.flatMap((line, i) => (line.trim() ? [parse(line, i + 1)] : [])) : parse(text);
  const arrays = isObject(parsed) ? Object.values(parsed).filter(Array.isArray) : [parsed];
  const [rows] = arrays;
  if (arrays.length !== 1 || !Array.isArray(rows) || !rows.some(isObject))
    throw dataError(
      `an array of objects was wanted, one for each row: [{ "size": 3, "ripe": true }, …]; ${show(parsed)} came.`,
      at,
    );
  return rows as PlainRow[];
}

/** Text and options for a reader that knows decimal points alone. */
function written<O extends CsvOptions & DecimalOptions>(
  source: CsvSource,
  { decimal, ...options }: O,
): [CsvSource, Omit<O, "decimal">] {
  if (decimal !== "comma") return [source, options];
  const { file, delimiter, encoding } = options;
  return [
    decimalPoints(source, { ...(file && { file }), ...(delimiter && { delimiter }), ...(encoding && { encoding }) }),
    { ...options, delimiter: ",", encoding: undefined },
  ];
}

const COMMA = /^[+-]?\d*,\d+([eE][+-]?\d+)?$/;
/** `1.234`, `1.234,5` or `1.234.567`. */
const GROUPED = /^[+-]?[1-9]\d{0,2}(\.\d{3})+(,\d+)?$/;
const POINT = /^[+-]?\d*\.\d+([eE][+-]?\d+)?$/;

/**
 * CSV text whose numbers have decimal commas, as CSV text with decimal points and commas between the fields; lines keep
 * their numbers. A point may only stand before three digits, as in `1.234`, which is 1234: `DataError` for `1.5`.
 */
export async function* decimalPoints(source: CsvSource, options: CsvOptions = {}): AsyncGenerator<string> {
  let line = 1;
  let header: readonly string[] | undefined;
  const plain = (field: string, row: number, i: number): string => {
    const text = field.trim();
    const isNumber = COMMA.test(text) || GROUPED.test(text);
    if (!isNumber && POINT.test(text)) {
      const column = header?.[i]?.trim() || i + 1;
      throw dataError(
        `the value is ${JSON.stringify(text)}, but decimals were said to follow a comma; write it with a comma, or without the point.`,
        { ...(options.file !== undefined && { file: options.file }), row, column },
      );
    }
    const value = isNumber ? text.replaceAll(".", "").replace(",", ".") : field;
    return /[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
  };
  for await (const records of parseCsv(source, options)) {
    let text = "";
    for (const { row, fields } of records) {
      const record = fields.map((field, i) => plain(field, row, i)).join(",");
      header ??= fields;
      text += `${"\n".repeat(row - line)}${record}\n`;
      line = row + 1 + record.split(/\r\n|\r|\n/).length - 1;
    }
    yield text;
  }
}

/** The bytes of a file, as it is read; of a gzipped one, what was zipped. */
export async function* readPieces(path: string): AsyncGenerator<Uint8Array> {
  const isZipped = /\.gz$/i.test(path);
  const stream = createReadStream(path, { highWaterMark: 2 ** 18 });
  try {
    for await (const piece of isZipped ? pipeline(stream, createGunzip(), () => {}) : stream) yield piece as Uint8Array;
  } catch (cause) {
    if (isZipped && !stream.errored)
      throw dataError("the gzip file is damaged or cut short. Download or copy it again.", { file: path }, { cause });
    throw fileError("read", path, cause);
  } finally {
    stream.destroy();
  }
}
