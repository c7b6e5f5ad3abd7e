/**
 * What a column of any number of rows holds, in bounded memory: each different value and how often it occurs, as long as
 * they are few; from then on each further one counts as one that is known and of its kind. So what is found of a
 * column (table-columns.ts) is what is found of all its rows, but for the many words of columns that are no categories.
 */
import { type Cell, isCode, parseBoolean, parseDate } from "./cells.ts";
import type { ColumnValues } from "./table-columns.ts";

/** Values that are told apart: more than a column has categories, as a rule. */
const MOST = 2 ** 13;

/** A value, how often it occurs, and the row in which it came first. */
interface Entry {
  cell: number | string;
  readonly row: number;
  times: number;
}

/** The values of a column, gathered row by row. */
export class ColumnSummary implements ColumnValues {
  readonly name: string;
  readonly index: number;
  readonly #most: number;
  readonly #entries: Entry[] = [];
  readonly #entryOf = new Map<number | string, Entry>();
  /** Where what is not told apart is counted, by its kind. */
  readonly #others = new Map<string, Entry>();
  readonly missing = new Map<string, number>();
  hasMany = false;
  excess = 0;

  constructor(name: string, index: number, maxCategories: number) {
    this.name = name;
    this.index = index;
    this.#most = Math.max(MOST, maxCategories + 1);
  }

  get length(): number {
    return this.#entries.length;
  }

  cell(i: number): Cell {
    return this.#entries[i].cell;
  }

  times(i: number): number {
    return this.#entries[i].times;
  }

  /** The row in which a value came first. */
  row(i: number): number {
    return this.#entries[i].row;
  }

  countMissing(said: string): void {
    this.missing.set(said, (this.missing.get(said) ?? 0) + 1);
  }

  push(cell: number | string, row: number): void {
    // Of numbers without end none is looked up any more.
    const entry = this.hasMany && typeof cell === "number" ? undefined : this.#entryOf.get(cell);
    if (entry) entry.times++;
    else if (!this.hasMany && this.#entryOf.size < this.#most) this.#entryOf.set(cell, this.#add(cell, row));
    else this.#pushOther(cell, row);
  }

  #add(cell: number | string, row: number): Entry {
    const entry = { cell, row, times: 1 };
    this.#entries.push(entry);
    return entry;
  }

  #pushOther(cell: number | string, row: number): void {
    if (typeof cell === "number") {
      this.hasMany = true;
      const kind = Number.isInteger(cell) ? "whole" : "number";
      this.excess += cell - this.#count(kind, cell, row);
      return;
    }
    const day = isCode(cell) || parseBoolean(cell) !== undefined ? undefined : parseDate(cell);
    if (day === undefined) {
      this.#count(isCode(cell) ? "code" : "word", cell, row);
      return;
    }
    this.#pushDate(cell, day, row);
  }

  /** Dates count as the first of them, but for the first and the last of all, whose distance matters. */
  #pushDate(cell: string, day: number, row: number): void {
    const ordinary = this.#count("date", cell, row);
    if (ordinary === cell) return;
    const usual = parseDate(ordinary)!;
    let folded: number | undefined = day;
    for (const [kind, further] of [
      ["earliest", -1],
      ["latest", 1],
    ] as const) {
      const end = this.#others.get(kind);
      const reached = end ? parseDate(end.cell)! : usual;
      if ((day - reached) * further <= 0) continue;
      folded = end && reached;
      if (end) end.cell = cell;
      else this.#others.set(kind, this.#add(cell, row));
    }
    if (folded === undefined) this.#others.get("date")!.times--;
    else this.excess += folded - usual;
  }

  /** Counts a value as the first one of its kind, which it gives. */
  #count(kind: string, cell: number, row: number): number;
  #count(kind: string, cell: string, row: number): string;
  #count(kind: string, cell: number | string, row: number): number | string {
    const other = this.#others.get(kind);
    if (other) other.times++;
    else this.#others.set(kind, this.#add(cell, row));
    return other?.cell ?? cell;
  }
}
