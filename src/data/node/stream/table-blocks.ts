/**
 * Tables whose rows are read block by block; several files are one table. A first pass finds what the columns hold, as
 * `readTable` finds it; then any block can be read alone, as numbers.
 */
import { type Message, message, option } from "../../../wording.ts";
import type { Cell } from "../../cells.ts";
import { ColumnSummary } from "../../column-summary.ts";
import type { Blocks, Description } from "../../data-stream.ts";
import { Encoder } from "../../encoder.ts";
import { dataError } from "../../fail.ts";
import type { TableSchema } from "../../schema.ts";
import { chooseColumns, describeTable, type TableOptions } from "../../table.ts";
import { place } from "../../table-rows.ts";
import type { StreamedRows } from "../../tally.ts";
import type { BlockPlace, TableFormat, TableRow } from "./text-rows.ts";
import type { WatchedFile } from "./watched-file.ts";

/** Finds what the columns of the table in some files hold. `told` hears of each block. */
async function findSchema(
  files: readonly WatchedFile[],
  format: TableFormat,
  options: TableOptions,
  notes: Message[],
  told: (place: BlockPlace) => void,
): Promise<TableSchema> {
  const { missing = "error", maxCategories = 256 } = options;
  const at = { file: files[0].path };
  let columns: ColumnSummary[] = [];
  let [all, count] = [0, 0];
  for (const file of files)
    for await (const { place, rows } of format.scan(file)) {
      told(place);
      if (columns.length === 0)
        columns = chooseColumns([...format.header], { ...options, ...at }).map(
          ({ name, index }) => new ColumnSummary(name, index, maxCategories),
        );
      const cells = new Array<Cell>(columns.length);
      for (const row of rows) {
        all++;
        let isWhole = true;
        for (let i = 0; i < columns.length; i++) {
          cells[i] = row.cell(columns[i].index);
          if (cells[i] === undefined) isWhole = false;
        }
        if (!isWhole)
          for (const [i, column] of columns.entries())
            if (cells[i] === undefined) column.countMissing(row.said(column.index));
        if (!isWhole && missing === "drop") continue;
        count++;
        for (let i = 0; i < columns.length; i++) {
          const cell = cells[i];
          if (cell !== undefined) columns[i].push(cell, row.line);
        }
      }
    }
  if (all === 0) throw dataError("the table has a header but no rows; add rows.", at);
  if (count === 0)
    throw dataError(
      message`every row has a missing value, so none is left; fill some in, or use ${option("missing", "mean")}.`,
      at,
      { code: "missing-value" },
    );
  return describeTable(
    columns,
    (column) => ({
      at,
      rows: { at: (i) => column.row(i) },
      kept: Array.from({ length: column.length }, (_, i) => i),
      count,
      maxCategories,
      notes,
    }),
    options,
  );
}

/** The blocks of a table in files, whose rows become numbers by a schema: a given one, or what is found. */
export class TableBlocks implements Blocks {
  readonly description: Description;
  readonly #files: readonly WatchedFile[];
  readonly #format: TableFormat;
  readonly #schema: TableSchema;
  readonly #isLabelled: boolean;
  #places: BlockPlace[];
  /** Writers of rows, by file, which they name in errors. */
  readonly #encoders = new Map<string, Encoder>();
  /** Where the schema's columns stand, and its target. */
  #columns: number[] | undefined;
  #target = -1;

  private constructor(
    files: readonly WatchedFile[],
    format: TableFormat,
    schema: TableSchema,
    places: BlockPlace[],
    notes: readonly Message[],
    labelled = true,
  ) {
    this.#isLabelled = labelled;
    this.#files = files;
    this.#format = format;
    this.#schema = schema;
    this.#places = places;
    this.description = { ...this.#encoder(files[0].path).description, notes };
  }

  static async open(
    files: readonly WatchedFile[],
    format: TableFormat,
    options: TableOptions | { readonly schema: TableSchema; readonly labelled?: boolean },
  ): Promise<TableBlocks> {
    if ("schema" in options) return new TableBlocks(files, format, options.schema, [], [], options.labelled);
    const notes: Message[] = [];
    const places: BlockPlace[] = [];
    const schema = await findSchema(files, format, options, notes, (place) => places.push(place));
    return new TableBlocks(files, format, schema, places, notes);
  }

  get length(): number {
    return this.#places.length;
  }

  async *scan(): AsyncGenerator<StreamedRows> {
    const places: BlockPlace[] = [];
    for (const file of this.#files)
      for await (const { place, rows } of this.#format.scan(file)) {
        places.push(place);
        yield this.#encode(rows, file.path);
      }
    this.#places = places;
  }

  async read(block: number): Promise<StreamedRows> {
    const place = this.#places[block];
    return this.#encode(await this.#format.read(place), place.file.path);
  }

  close(): Promise<void> {
    return this.#format.close();
  }

  #encoder(file: string): Encoder {
    const known = this.#encoders.get(file);
    if (known) return known;
    const encoder = new Encoder(this.#schema, { file });
    this.#encoders.set(file, encoder);
    return encoder;
  }

  #encode(rows: readonly TableRow[], file: string): StreamedRows {
    const { columns, target, missing } = this.#schema;
    const { header } = this.#format;
    this.#columns ??= columns.map(({ name }) => place(header, name, { file }));
    if (this.#isLabelled && this.#target < 0) this.#target = place(header, target.name, { file });
    const encoder = this.#encoder(file);
    const x = new Float32Array(rows.length * encoder.size);
    const y = target.classes ? new Int32Array(rows.length) : new Float32Array(rows.length);
    let count = 0;
    for (const row of rows) {
      const label = this.#isLabelled ? row.cell(this.#target) : undefined;
      const cells = this.#columns.map((column) => row.cell(column));
      if (this.#isLabelled && missing === "drop" && (label === undefined || cells.includes(undefined))) continue;
      encoder.row((c) => cells[c], x, count * encoder.size, row.line);
      y[count++] = this.#isLabelled ? encoder.target(label, row.line) : 0;
    }
    return { x: x.subarray(0, count * encoder.size), y: y.subarray(0, count) as typeof y, count };
  }
}
