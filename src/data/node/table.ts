/**
 * Reads CSV and TSV files, piece by piece, so that a file larger than memory allows as text can still be read. What
 * the columns mean is for ../table.ts. Node only.
 */
import { createReadStream } from "node:fs";
import type { TableSchema } from "../schema.ts";
import {
  type EncodedTable,
  type EncodeOptions,
  encodeTable,
  readTable,
  type TableDataset,
  type TableOptions,
} from "../table.ts";
import { fileError } from "./files.ts";

/** The data set in a CSV or TSV file with a header; see `readTable`. Throws `FileError` and `DataError`. */
export function readCsv(path: string, options: TableOptions): Promise<TableDataset> {
  return readTable(pieces(path), { file: path, ...options });
}

/** The rows of a CSV or TSV file, encoded by the schema of an earlier one; see `encodeTable`. */
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
