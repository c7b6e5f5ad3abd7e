/**
 * Turns the cells of a row into features and a label or target, as a schema says. It neither reads files nor decides
 * what columns hold; table.ts does.
 */

import type { DataError, DataLocation } from "../errors.ts";
import { type Message, message, option } from "../wording.ts";
import {
  type Cell,
  category,
  datePhase,
  isCode,
  type NumberForm,
  parseAmount,
  parseBoolean,
  parseDate,
} from "./cells.ts";
import type { Dataset } from "./dataset.ts";
import { dataError, list, show } from "./fail.ts";
import { type ColumnKind, featureCount, featureNames, type TableSchema } from "./schema.ts";

/** A data set from a table, with its schema. */
export type TableDataset = Dataset & {
  readonly schema: TableSchema;
  readonly features: string[];
  /** What was taken for granted where a table can be read in several ways, to be said to people. */
  readonly notes?: readonly Message[];
};

/** The file that a table comes from, where there is one. */
export type Place = { readonly file?: string };

/** The kinds of columns that become one number. */
type NumberKind = Exclude<ColumnKind, "categorical">;

const WANTED: Record<NumberKind, string> = {
  numeric: "numbers",
  boolean: "true/false, yes/no, t/f, y/n or 0/1",
  date: "dates such as 2024-01-31, 31.1.2024 or 2024-01-31T12:00:00Z",
};

/** The number that a cell stands for in a column of this kind; `undefined` when it is missing or of another kind. */
export function numberFor(kind: NumberKind, cell: Cell, form?: NumberForm): number | undefined {
  if (kind === "boolean") return parseBoolean(cell);
  if (kind === "date") return parseDate(cell);
  // Among numbers with decimal commas a point can only part groups of three digits, which a plain number does not say.
  if (typeof cell === "number") return form?.decimal === "comma" && !Number.isInteger(cell) ? undefined : cell;
  if (isCode(cell)) return Number(cell);
  return cell === undefined || form === undefined ? undefined : parseAmount(cell, form.decimal)?.value;
}

/** The error for a cell that does not fit its column. */
export function wrongKind(kind: NumberKind, cell: Cell, at: DataLocation): DataError {
  return dataError(
    message`the value is ${show(cell)}, but the column holds ${WANTED[kind]}; correct it, or take the column for words (${option("columns", "categorical")}) or leave it out (${option("ignore")}).`,
    at,
  );
}

/** Writes rows as a schema says. */
export class Encoder {
  readonly #schema: TableSchema;
  readonly #at: Place;
  /** For each column the place of its first feature and, for categories, their order. */
  readonly #layout: { offset: number; order: Map<string, number> | undefined; plain: boolean }[] = [];
  readonly #classes: Map<string, number> | undefined;
  /** Number of features. */
  readonly size: number;
  /** What the encoded data set says of itself. */
  readonly description: Omit<TableDataset, "x" | "y" | "count">;

  constructor(schema: TableSchema, at: Place) {
    this.#schema = schema;
    this.#at = at;
    const orderOf = (names: readonly string[]) => new Map(names.map((name, i) => [name, i]));
    let offset = 0;
    for (const column of schema.columns) {
      const order = column.kind === "categorical" ? orderOf(column.categories) : undefined;
      this.#layout.push({ offset, order, plain: column.kind === "numeric" && column.form?.decimal !== "comma" });
      offset += featureCount(column);
    }
    this.size = offset;
    const { classes } = schema.target;
    if (classes) this.#classes = orderOf(classes);
    this.description = {
      inputShape: [offset],
      task: classes ? "classification" : "regression",
      features: featureNames(schema),
      schema,
      ...(classes ? { classes: [...classes] } : {}),
    };
  }

  /** Writes the features of one row, whose cell in column c is `cell(c)`, to `out` (zeros so far) from `offset`. */
  row(cell: (c: number) => Cell, out: Float32Array, offset: number, row: number): void {
    for (let c = 0; c < this.#layout.length; c++) {
      const column = this.#schema.columns[c];
      const { offset: feature, order, plain } = this.#layout[c];
      const came = cell(c);
      if (plain && typeof came === "number") {
        const value = Math.fround(came);
        out[offset + feature] = value;
        if (value - value === 0) continue; // finite: the way of most cells
      }
      if (came === undefined && column.fill === undefined)
        throw dataError(
          message`the value is missing; fill it in, or train with ${option("missing", "mean")} (fills in the column's mean) or ${option("missing", "drop")} (leaves the row out).`,
          this.#place(row, column.name),
          { code: "missing-value" },
        );
      if (column.kind !== "categorical") {
        const form = column.kind === "numeric" ? column.form : undefined;
        const value = came === undefined ? column.fill! : this.#number(column.kind, came, row, column.name, form);
        out[offset + feature] = value;
        if (column.kind === "date")
          for (const [i, part] of (column.parts ?? []).entries()) {
            const angle = 2 * Math.PI * datePhase(value, part);
            out[offset + feature + 1 + 2 * i] = Math.sin(angle);
            out[offset + feature + 2 + 2 * i] = Math.cos(angle);
          }
        continue;
      }
      const name = category(came ?? column.fill!);
      // Models of earlier versions know 007 as 7.
      const index = order!.get(name) ?? (isCode(came) ? order!.get(String(Number(came))) : undefined);
      if (index === undefined)
        throw dataError(
          `the category is ${show(name)}, which the training data did not have; known are ${list(column.categories)}.`,
          this.#place(row, column.name),
        );
      out[offset + feature + index] = 1;
    }
  }

  /** The label or the target of a row. */
  target(cell: Cell, row: number): number {
    const { name, kind, classes, form } = this.#schema.target;
    if (cell === undefined)
      throw dataError(
        message`the target is missing; fill it in, or leave such rows out with ${option("missing", "drop")}.`,
        this.#place(row, name),
        { code: "missing-value" },
      );
    if (this.#classes === undefined) return this.#number(kind as NumberKind, cell, row, name, form);
    const label = kind === "boolean" ? parseBoolean(cell) : this.#classes.get(category(cell));
    if (label === undefined)
      throw dataError(
        `the class is ${show(category(cell))}, which the training data did not have; known are ${list(classes!)}.`,
        this.#place(row, name),
      );
    return label;
  }

  #place(row: number, column: string) {
    return { ...this.#at, row, column };
  }

  #number(kind: NumberKind, cell: number | string, row: number, column: string, form?: NumberForm): number {
    const number = numberFor(kind, cell, form);
    if (number === undefined) throw wrongKind(kind, cell, this.#place(row, column));
    if (!Number.isFinite(Math.fround(number)))
      throw dataError(
        `the value is ${number}, too large for a 32-bit float (at most 3.4e38); correct it, or use another unit.`,
        this.#place(row, column),
      );
    return number;
  }
}
