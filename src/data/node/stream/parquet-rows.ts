/**
 * The rows of Parquet files, read by hyparquet group by group: for a cache, since a group is decoded whole and can be large. What
 * cells mean is for table-blocks.ts.
 */
import { message, option } from "../../../wording.ts";
import { dataError } from "../../fail.ts";
import { loadParquet, parquetError, plainRow } from "../parquet.ts";
import { type BlockPlace, objectRows, type TableFormat, type TableRow } from "./text-rows.ts";
import { checkUnchanged, FileReader, type WatchedFile } from "./watched-file.ts";

/** Rows that are decoded at once. */
const ROWS = 2 ** 14;

export class ParquetFormat implements TableFormat {
  header: string[] = [];
  readonly #reader = new FileReader();

  async *scan(file: WatchedFile) {
    const { parquetMetadataAsync, parquetReadObjects } = await loadParquet();
    const source = {
      byteLength: file.size,
      slice: async (begin: number, end = file.size) => (await this.#reader.read(file, begin, end - begin)).buffer,
    };
    const metadata = await parquetMetadataAsync(source).catch((cause: unknown) => {
      throw parquetError(file.path, cause);
    });
    const rows = Number(metadata.num_rows);
    for (let from = 0; from < rows; from += ROWS) {
      const objects = await parquetReadObjects({
        file: source,
        metadata,
        rowStart: from,
        rowEnd: Math.min(from + ROWS, rows),
      }).catch((cause: unknown) => {
        throw parquetError(file.path, cause);
      });
      const plain = objects.map((row, i) => ({ line: from + i + 1, row: plainRow(row) }));
      if (this.header.length === 0) this.header = Object.keys(plain[0].row);
      const place: BlockPlace = { file, offset: from, length: plain.length, line: from + 1 };
      yield { place, rows: objectRows(plain, this.header, file.path) };
    }
    await checkUnchanged(file);
  }

  async read({ file }: BlockPlace): Promise<TableRow[]> {
    throw dataError(
      message`the groups of a Parquet file are too large to be read again and again. Give ${option("cache", "DIR")}, where its rows are kept as numbers.`,
      { file: file.path },
    );
  }

  close(): Promise<void> {
    return this.#reader.close();
  }
}
