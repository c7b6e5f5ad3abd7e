/**
 * Reads CSV and TSV files, piece by piece, so that a file larger than memory allows as text can still be read. What
 * the columns mean is for ../table.ts. Node only.
 */
import { createReadStream } from "node:fs";
import { checkOptionNames } from "../../checks.ts";
import { type CsvOptions, type CsvSource, parseCsv } from "../csv.ts";
import type { TableDataset } from "../encoder.ts";
import { dataError } from "../fail.ts";
import type { TableSchema } from "../schema.ts";
import {
  ENCODE_OPTIONS,
  type EncodedTable,
  type EncodeOptions,
  encodeTable,
  readTable,
  TABLE_OPTIONS,
  type TableOptions,
} from "../table.ts";
import { fileError } from "./files.ts";

/** How the numbers of a file are written. */
export interface DecimalOptions {
  /** What stands before the decimals: a point, unless said; or a comma, as in `3,5` and `1.234,5`; then 1.234 is 1234. */
  readonly decimal?: "point" | "comma";
}

/**
 * The data set in a CSV or TSV file with a header; see `readTable`. Throws `FileError` and `DataError`.
 *
 * @example
 * import { readCsv, writeFileAtomically } from "chainrule/data/node";
 * await writeFileAtomically("fruit.csv", new TextEncoder().encode("size,ripe\n3,yes\n1,no\n"));
 * console.log((await readCsv("fruit.csv", { target: "ripe" })).classes); // [ 'no', 'yes' ]
 */
export async function readCsv(path: string, options: TableOptions & DecimalOptions): Promise<TableDataset> {
  checkOptionNames("readCsv", options, [...TABLE_OPTIONS, "decimal"]);
  return readTable(...written(pieces(path), { file: path, ...options }));
}

/**
 * The rows of a CSV or TSV file, encoded by the schema of an earlier one; see `encodeTable`. Throws `FileError` and
 * `DataError`.
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
  return encodeTable(schema, ...written(pieces(path), { file: path, ...options }));
}

/** Text and options for a reader that knows decimal points alone. */
function written<O extends CsvOptions & DecimalOptions>(
  source: CsvSource,
  { decimal, ...options }: O,
): [CsvSource, Omit<O, "decimal">] {
  if (decimal !== "comma") return [source, options];
  const { file, delimiter } = options;
  return [
    decimalPoints(source, { ...(file && { file }), ...(delimiter && { delimiter }) }),
    { ...options, delimiter: "," },
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

async function* pieces(path: string): AsyncGenerator<Uint8Array> {
  const stream = createReadStream(path);
  try {
    for await (const piece of stream) yield piece as Uint8Array;
  } catch (cause) {
    throw fileError("read", path, cause);
  } finally {
    stream.destroy();
  }
}
