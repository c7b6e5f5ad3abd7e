/**
 * Opens data of any size for reading while a network trains: finds the files of a path or a pattern and, by their names, the
 * reader of their format.
 */
import { checkOptionNames } from "../../../checks.ts";
import { ArgumentError } from "../../../errors.ts";
import { type DataStream, streamOf } from "../../data-stream.ts";
import { show } from "../../fail.ts";
import type { TableSchema } from "../../schema.ts";
import { TABLE_OPTIONS, type TableOptions } from "../../table.ts";
import { findPaths } from "./find-paths.ts";
import { TableBlocks } from "./table-blocks.ts";
import { CsvFormat, JsonLinesFormat } from "./text-rows.ts";
import { watch } from "./watched-file.ts";

/** Options of `openStream`: for tables those of `readTable`. */
export interface StreamOptions extends Partial<Omit<TableOptions, "file">> {
  /** How the columns of a table become numbers, where that is known from another one: then `target` is not wanted. */
  readonly schema?: TableSchema;
}

const OPTIONS = [...TABLE_OPTIONS.filter((name) => name !== "file"), "schema"];

/**
 * Data that are read while they are used, from files larger than memory or not: CSV and TSV, or an object on each line
 * (.jsonl, .ndjson). A path, a pattern such as `shards/*.csv`, or a list of both; the files of one stream have the same columns.
 * They are gone through at once, for schema, statistics and counts, and must then stay as they are.
 *
 * Throws `FileError`, and `DataError` that names file, row and column.
 *
 * @example
 * import { openStream, writeFileAtomically } from "chainrule/data/node";
 * for (const i of [0, 1]) await writeFileAtomically(`fruit-${i}.csv`, new TextEncoder().encode(`size,ripe\n${i},yes\n9,no\n`));
 * const stream = await openStream("fruit-*.csv", { target: "ripe" });
 * console.log(stream.count, stream.classCounts, stream.statistics.mean); // 4 [ 2, 2 ] Float32Array(1) [ 4.75 ]
 */
export async function openStream(source: string | readonly string[], options: StreamOptions = {}): Promise<DataStream> {
  checkOptionNames("openStream", options, OPTIONS);
  const files = await Promise.all((await findPaths(source)).map(watch));
  const [{ path }] = files;
  const isJson = /\.(jsonl|ndjson)$/i.test(path);
  const { target, schema } = options;
  if (schema === undefined && target === undefined)
    throw new ArgumentError(
      `No target was given; name the column of ${show(path)} to predict, as in { target: "price" }.`,
    );
  const format = isJson ? new JsonLinesFormat() : new CsvFormat(options);
  const blocks = await TableBlocks.open(files, format, schema ? { schema } : { ...options, target: target! });
  return streamOf(blocks);
}
