/**
 * Reads the rows of Parquet files by hyparquet, an optional peer dependency that is loaded when it is first needed. What the
 * columns mean is for ../table.ts. Node only.
 */
import { ChainruleError, PlatformError } from "../../errors.ts";
import { dataError } from "../fail.ts";
import type { PlainRow } from "../table.ts";
import { readFile } from "./files.ts";

/** The rows of a Parquet file. Throws `PlatformError` where hyparquet is not installed, `FileError` and `DataError`. */
export async function readParquet(path: string): Promise<readonly PlainRow[]> {
  const { parquetReadObjects } = await loadParquet();
  const { buffer, byteOffset, length } = await readFile(path);
  const rows = await parquetReadObjects({ file: buffer.slice(byteOffset, byteOffset + length) }).catch(
    (cause: unknown) => {
      throw parquetError(path, cause);
    },
  );
  return rows.map(plainRow);
}

/** The reader of Parquet. Throws `PlatformError` where it is not installed. */
export const loadParquet = () =>
  import("hyparquet").catch((cause: unknown) => {
    throw new PlatformError(
      "Parquet files are read by hyparquet, which is not installed here. Bring it in: npm install hyparquet",
      { cause },
    );
  });

/** What to say where it fails. What our own reader of bytes says stays as it is. */
export const parquetError = (path: string, cause: unknown): unknown =>
  cause instanceof ChainruleError
    ? cause
    : dataError(
        `the Parquet file cannot be read: ${(cause as Error).message}. It is damaged, or compressed otherwise than by Snappy; write it again uncompressed or with Snappy.`,
        { file: path },
        { cause },
      );

/** A row as other tables have them. */
export const plainRow = (row: Readonly<Record<string, unknown>>): PlainRow =>
  Object.fromEntries(Object.entries(row).map(([name, value]) => [name, plain(value)]));

/** 64-bit integers as numbers, as they are in every other table. */
const plain = (value: unknown): PlainRow[string] =>
  (typeof value === "bigint" ? Number(value) : value) as PlainRow[string];
