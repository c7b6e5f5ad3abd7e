/**
 * Reads CSV and TSV files, piece by piece, so that a file larger than memory allows as text can still be read. What
 * the columns mean is for ../table.ts. Node only.
 */
import { createReadStream } from "node:fs";
import type { TableDataset } from "../encoder.ts";
import type { TableSchema } from "../schema.ts";
import { type EncodedTable, type EncodeOptions, encodeTable, readTable, type TableOptions } from "../table.ts";
import { fileError } from "./files.ts";

/**
 * The data set in a CSV or TSV file with a header; see `readTable`. Throws `FileError` and `DataError`.
 *
 * @example
 * import { readCsv, writeFileAtomically } from "chainrule/data/node";
 * await writeFileAtomically("fruit.csv", new TextEncoder().encode("size,ripe\n3,yes\n1,no\n"));
 * console.log((await readCsv("fruit.csv", { target: "ripe" })).classes); // [ 'no', 'yes' ]
 */
export function readCsv(path: string, options: TableOptions): Promise<TableDataset> {
  return readTable(pieces(path), { file: path, ...options });
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
export function encodeCsv(schema: TableSchema, path: string, options: EncodeOptions = {}): Promise<EncodedTable> {
  return encodeTable(schema, pieces(path), { file: path, ...options });
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
