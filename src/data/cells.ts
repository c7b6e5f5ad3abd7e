/**
 * What one cell of a table says: a number, a boolean, a date, a category, or nothing. Which of them a whole column
 * holds is decided in table.ts.
 */

/** A cell: a number, other text, or missing. */
export type Cell = number | string | undefined;

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;
const MISSING = new Set(["", "na", "n/a", "nan", "null", "none", "?"]);
const TRUE = new Set(["true", "yes", "t", "y"]);
const FALSE = new Set(["false", "no", "f", "n"]);
const DATE = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d(?:\.\d+)?))?\s*(Z|[+-]\d\d:?\d\d)?)?$/;

/** What the text of a field is: a finite or huge number, missing, or the text without the spaces around it. */
export function parseCell(field: string): Cell {
  const text = field.trim();
  if (NUMBER.test(text)) return Number(text);
  return text.length <= 4 && MISSING.has(text.toLowerCase()) ? undefined : text;
}

/** 1 for true, 0 for false, in any of the usual words; `undefined` for anything else. */
export function parseBoolean(cell: Cell): 0 | 1 | undefined {
  if (cell === 0 || cell === 1) return cell;
  const word = typeof cell === "string" ? cell.toLowerCase() : "";
  return TRUE.has(word) ? 1 : FALSE.has(word) ? 0 : undefined;
}

/** `31.12.2024`: with points the day stands first, wherever dates are written so. */
const POINTED = /^(\d{1,2})\.(\d{1,2})\.(\d{4})(?!\d)/;

/** Days since 1970-01-01 (UTC); `undefined` when the text is no date or names a day that does not exist. */
export function parseDate(cell: Cell): number | undefined {
  const iso = (_: string, day: string, month: string, year: string) =>
    `${year}-${month.padStart(2, "0")}-${day.padStart(2, "0")}`;
  const match = typeof cell === "string" ? DATE.exec(cell.replace(POINTED, iso)) : null;
  if (match === null) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map((part) => Number(part ?? 0));
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined;
  if (hour > 23 || minute > 59 || second >= 61) return undefined;
  const zone = /([+-])(\d\d):?(\d\d)/.exec(match[7] ?? "");
  const shift = zone === null ? 0 : (zone[1] === "-" ? -1 : 1) * (Number(zone[2]) * 60 + Number(zone[3]));
  return date.getTime() / 86_400_000 + (hour * 60 + minute - shift + second / 60) / 1440;
}

/** The name of a category or class: numbers in their shortest form, so that 1, 1.0 and 01 are one. */
export function category(cell: number | string): string {
  return typeof cell === "number" ? String(cell) : cell;
}
