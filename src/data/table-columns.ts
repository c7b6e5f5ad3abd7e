/**
 * Finds what the columns of a table hold from their values: numbers, yes or no, dates, words, and how they are written.
 * It keeps columns in little memory; reading rows is in table-rows.ts, making features in encoder.ts.
 */
import { type Message, message, option } from "../wording.ts";
import {
  type Cell,
  category,
  DATE_PARTS,
  type DatePart,
  datePhase,
  isCode,
  isLong,
  type NumberForm,
  parseAmount,
  parseBoolean,
  parseCell,
  parseDate,
} from "./cells.ts";
import type { Task } from "./dataset.ts";
import { numberFor, type Place, wrongKind } from "./encoder.ts";
import { dataError, show } from "./fail.ts";
import { Growing } from "./growing.ts";
import type { ColumnKind, ColumnSchema, MissingPolicy, TableSchema } from "./schema.ts";

/**
 * The cells of one column in little memory: every text once, and numbers as they are while there are at most `most` different
 * ones; from then on they name no categories, and 32 bits hold what becomes of them.
 */
export class Column implements ColumnValues {
  readonly name: string;
  readonly index: number;
  #numbers: Growing<Float64Array> | Growing<Float32Array> = new Growing(Float64Array);
  /** The numbers so far, while they are few. */
  #few: Set<number> | undefined = new Set();
  readonly #most: number;
  /** 0: a number; −1: missing; n: text n − 1. Absent as long as all cells are numbers. */
  #codes: Growing<Int32Array> | undefined;
  readonly #texts: string[] = [];
  readonly #codeOf = new Map<string, number>();

  constructor(name: string, index: number, most: number) {
    this.name = name;
    this.index = index;
    this.#most = most;
  }

  /** How missing values are written, and how often. */
  readonly missing = new Map<string, number>();

  countMissing(said: string): void {
    this.missing.set(said, (this.missing.get(said) ?? 0) + 1);
  }

  push(cell: Cell): void {
    if (typeof cell !== "number" && this.#codes === undefined) {
      this.#codes = new Growing(Int32Array);
      for (let i = 0; i < this.#numbers.length; i++) this.#codes.push(0);
    }
    if (this.#few && typeof cell === "number" && this.#few.add(cell).size > this.#most) this.#shorten();
    this.#numbers.push(typeof cell === "number" ? cell : 0);
    this.#codes?.push(typeof cell === "number" ? 0 : cell === undefined ? -1 : this.#code(cell));
  }

  #shorten(): void {
    this.#few = undefined;
    const numbers = new Growing(Float32Array);
    numbers.append(this.#numbers.values());
    this.#numbers = numbers;
  }

  /** Whether there are more different numbers than `most`, which are then no longer told apart exactly. */
  get hasMany(): boolean {
    return this.#few === undefined;
  }

  #code(text: string): number {
    let code = this.#codeOf.get(text);
    if (code === undefined) {
      this.#texts.push(text);
      code = this.#texts.length;
      this.#codeOf.set(text, code);
    }
    return code;
  }

  readonly excess = 0;

  times(): number {
    return 1;
  }

  cell(i: number): Cell {
    const code = this.#codes?.at(i) ?? 0;
    return code === 0 ? this.#numbers.at(i) : code < 0 ? undefined : this.#texts[code - 1];
  }
}

/** The values of one column as describing it needs them: of each row, or each different one and how often it occurs. */
export interface ColumnValues {
  readonly name: string;
  /** Whether there are more different numbers than are told apart. */
  readonly hasMany: boolean;
  /** How missing values are written, and how often. */
  readonly missing: ReadonlyMap<string, number>;
  cell(i: number): Cell;
  /** How often the value occurs; 1 for those of each row. */
  times(i: number): number;
  /** What is to be added to the sum of all numbers, where one stands for others. */
  readonly excess: number;
}

/** What describing a column needs to know of the table. */
export interface Table {
  readonly at: Place;
  /** The line of each value. */
  readonly rows: { at(i: number): number };
  /** The values that count. */
  readonly kept: readonly number[];
  /** How many rows count. */
  readonly count: number;
  readonly maxCategories: number;
  /** What is to be said of how it was read. */
  readonly notes: Message[];
}

/** Says how many values of a column are missing, how they are written, and what becomes of them. */
export function noteMissing({ name, missing }: ColumnValues, policy: MissingPolicy, notes: Message[]): void {
  if (missing.size === 0) return;
  const written = [...missing].map(([text, count]) => `${text === "" ? "empty" : show(text)} ${count}`).join(", ");
  const count = [...missing.values()].reduce((a, b) => a + b);
  const fate = policy === "mean" ? "filled in" : "their rows left out";
  notes.push(`${name}: ${count} missing (${written}), ${fate}.`);
}

interface Found {
  readonly kind: ColumnKind;
  readonly form?: NumberForm;
}

/** How numbers are written in a column that holds nothing but numbers, some of them not plain; undefined for others. */
function findForm(column: ColumnValues, table: Table): NumberForm | undefined {
  const values = [...countValues(column, table).keys()];
  const texts = values.filter((value) => typeof value === "string");
  const numbers = values.filter((value) => typeof value === "number");
  const formWith = (decimal: NumberForm["decimal"]): NumberForm | undefined => {
    // A plain number with a point is none of those with decimal commas.
    if (decimal === "comma" && !numbers.every(Number.isInteger)) return undefined;
    const amounts = texts.map((text) => parseAmount(text, decimal));
    if (!amounts.every((amount) => amount !== undefined)) return undefined;
    const units = [...new Set(amounts.map(({ unit }) => unit))];
    const [unit = ""] = units.filter((each) => each !== "");
    // 24 beside 24% may be another thing; 5 beside $5 is not.
    const isOne = units.length === 1 || (units.length === 2 && units.includes("") && unit !== "%");
    if (!isOne || (unit === "%" && numbers.length > 0)) return undefined;
    return { decimal, ...(unit && { unit }) };
  };
  const [point, comma] = [formWith("point"), formWith("comma")];
  const form = point ?? comma;
  if (form === undefined || texts.length === 0) return undefined;
  const shown = texts.find((text) => /[.,' ]/.test(text)) ?? texts[0];
  const { value } = parseAmount(shown, form.decimal)!;
  const unit = form.unit ? `, in ${form.unit}` : "";
  const other = point && comma ? parseAmount(shown, "comma")!.value : value;
  table.notes.push(
    other === value
      ? `${column.name}: ${show(shown)} is read as the number ${value}${unit}.`
      : message`${column.name}: ${show(shown)} is read as the number ${value}${unit}; if it is ${other}, say ${option("decimal", "comma")}.`,
  );
  return form;
}

/** What a column holds by its values, as `readTable` says. */
function findKind(column: ColumnValues, table: Table): Found {
  let [all, numbers, booleans, dates, codes] = [0, 0, 0, 0, 0];
  for (const i of table.kept) {
    const cell = column.cell(i);
    if (cell === undefined) continue;
    const times = column.times(i);
    all += times;
    if (typeof cell === "number") numbers += times;
    else if (isCode(cell)) codes += times;
    else if (parseBoolean(cell) !== undefined) booleans += times;
    else if (parseDate(cell) !== undefined) dates += times;
  }
  if (all === 0)
    throw dataError(message`the column has no values; fill it in, or leave it out (${option("ignore")}).`, {
      ...table.at,
      column: column.name,
    });
  if (codes > 0 && codes + numbers === all) {
    const texts = table.kept.map((i) => column.cell(i)).filter(isCode);
    // Among shorter numbers a long one is a large quantity; identifiers are all long.
    if (numbers > 0 && texts.every(isLong)) return { kind: "numeric" };
    const [shown] = texts;
    const why = isLong(shown)
      ? "whole numbers beyond 2⁵³, which as numbers could not all be told apart"
      : "digits with leading zeros";
    table.notes.push(
      message`${column.name}: ${why}, such as ${show(shown)}, are taken for words; ${option("columns", "numeric")} takes them for numbers.`,
    );
    return { kind: "categorical" };
  }
  if (booleans === all) return { kind: "boolean" };
  const form = numbers < all && codes + booleans + dates === 0 ? findForm(column, table) : undefined;
  if (form || numbers > all / 2) return { kind: "numeric", ...(form && { form }) };
  return { kind: dates > all / 2 ? "date" : "categorical" };
}

/** The parts of dates in which the rows differ. */
function varyingParts(column: ColumnValues, table: Table): DatePart[] {
  const days = table.kept.map((i) => parseDate(column.cell(i))).filter((day) => day !== undefined);
  const differs = (of: (day: number) => number): boolean => days.some((day) => of(day) !== of(days[0]));
  const span =
    days.reduce((most, day) => Math.max(most, day), -Infinity) - days.reduce((a, b) => Math.min(a, b), Infinity);
  return DATE_PARTS.filter((part) =>
    // Within a few weeks the day of the year says no more than the date.
    part === "yearday" ? span >= YEARDAY_SPAN : differs((day) => datePhase(day, part)),
  );
}

/** Days that dates must span for the day of the year to be a feature. */
const YEARDAY_SPAN = 60;

/** The distinct values of a column and how often each occurs. */
function countValues(column: ColumnValues, table: Table): Map<number | string, number> {
  const counts = new Map<number | string, number>();
  for (const i of table.kept) {
    const cell = column.cell(i);
    if (cell !== undefined) counts.set(cell, (counts.get(cell) ?? 0) + column.times(i));
  }
  return counts;
}

const DECIMAL_COMMA = /^[+-]?(\d+|\d{1,3}(\.\d{3})+)?,\d+$/;

/** What to say of words that nearly all look like `3,5`. */
function withCommas(counts: Map<number | string, number>): Message | undefined {
  const such = [...counts.keys()].filter((value) => typeof value === "string" && DECIMAL_COMMA.test(value));
  // Whole numbers stand among them without a comma.
  const rest = [...counts.keys()].filter((value) => typeof value === "string").length - such.length;
  if (such.length === 0 || rest > such.length / 10) return undefined;
  return message`values such as ${show(such[0])} look like numbers with decimal commas; ${option("decimal", "comma")} reads them as such.`;
}

/** The categories of a column in order: as numbers where all are, else by character. */
function categoriesOf(counts: Map<number | string, number>, column: ColumnValues, table: Table): string[] {
  if (column.hasMany || counts.size > table.maxCategories)
    throw dataError(
      withCommas(counts) ??
        message`the column has ${column.hasMany ? "too many" : counts.size} different values, more than the ${table.maxCategories} categories allowed; leave it out (${option("ignore")}), or, in a program, raise maxCategories.`,
      { ...table.at, column: column.name },
    );
  const values = [...counts.keys()];
  if (values.every((value) => typeof value === "number")) return values.sort((a, b) => a - b).map(category);
  return values.map(category).sort();
}

export function describe(
  column: ColumnValues,
  table: Table,
  missing: MissingPolicy,
  declared: ColumnKind | undefined,
): ColumnSchema {
  const { name } = column;
  const { kind, form }: Found = declared ? { kind: declared } : findKind(column, table);
  if (kind === "categorical") {
    const counts = countValues(column, table);
    const categories = categoriesOf(counts, column, table);
    if (missing !== "mean") return { name, kind, categories };
    const most = Math.max(...counts.values());
    return { name, kind, categories, fill: categories.find((text) => counts.get(parseCell(text)!) === most)! };
  }
  const described =
    kind === "date"
      ? { name, kind, parts: varyingParts(column, table) }
      : kind === "numeric"
        ? { name, kind, ...(form && { form }) }
        : { name, kind };
  if (missing !== "mean") return described;
  let [sum, all] = [0, 0];
  for (const i of table.kept) {
    const number = numberFor(kind, column.cell(i), form);
    if (number === undefined) continue; // missing, or an error when the row is encoded
    sum += number * column.times(i);
    all += column.times(i);
  }
  sum += column.excess;
  const mean = all === 0 ? 0 : sum / all;
  return { ...described, fill: kind === "boolean" ? Math.round(mean) : mean };
}

const MAX_CLASSES_OF_NUMBERS = 20;

export function describeTarget(
  column: ColumnValues,
  table: Table,
  options: { readonly task?: Task; readonly columns?: Readonly<Record<string, ColumnKind>> },
): TableSchema["target"] {
  const { name } = column;
  const at = { ...table.at, column: name };
  const declared = options.columns?.[name];
  const { kind, form }: Found = declared ? { kind: declared } : findKind(column, table);
  const counts = countValues(column, table);
  const values = [...counts.keys()];
  const few = counts.size <= MAX_CLASSES_OF_NUMBERS && counts.size * 2 <= table.count;
  const whole = values.every((value) => Number.isInteger(value));
  const words = kind === "categorical" || kind === "boolean";
  const task = options.task ?? (words || (kind === "numeric" && few && whole) ? "classification" : "regression");
  if (kind === "categorical" && options.task !== "classification" && options.columns?.[name] === undefined) {
    const wrong = withCommas(counts);
    if (wrong !== undefined) throw dataError(wrong, at);
    if (counts.size >= 20 && counts.size > 0.9 * table.count)
      throw dataError(
        message`the target has ${counts.size} different words in ${table.count} rows, such as ${show(values[0])}, so it is hardly a class. Choose another target, write numbers as numbers, or say ${option("task", "classification")}.`,
        at,
      );
  }
  if (task === "regression") {
    if (words)
      throw dataError(
        message`the target holds words such as ${show(values[0])}; regression wants numbers. Choose another target, or ${option("task", "classification")}.`,
        at,
      );
    return { name, kind, ...(form && { form }) };
  }
  if (kind === "numeric" || kind === "boolean") {
    const wrong = table.kept.find(
      (i) => column.cell(i) !== undefined && numberFor(kind, column.cell(i), form) === undefined,
    );
    if (wrong !== undefined) throw wrongKind(kind, column.cell(wrong), { ...at, row: table.rows.at(wrong) });
  }
  const classes =
    kind === "boolean"
      ? [0, 1].flatMap((truth) => values.find((value) => parseBoolean(value) === truth) ?? []).map(category)
      : categoriesOf(counts, column, table);
  if (classes.length < 2)
    throw dataError(
      `every row has the class ${show(classes[0])}; there is nothing to tell apart. Add rows of another class.`,
      at,
    );
  return { name, kind, classes };
}
