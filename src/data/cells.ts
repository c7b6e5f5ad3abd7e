/**
 * What one cell of a table says: a number, a boolean, a date, a category, or nothing. Which of them a whole column
 * holds is decided in table.ts.
 */

/** A cell: a number, other text, or missing. */
export type Cell = number | string | undefined;

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;
/** Digits that begin with a zero, as in zip codes and numbers of articles: a code, not a quantity. */
const CODE = /^0\d+$/;
/** Whole numbers so long that a double may not tell them from their neighbours. */
const LONG = /^[+-]?\d{16,}$/;
const MISSING = new Set(["", "na", "n/a", "nan", "null", "none", "?", "-", "--"]);
const TRUE = new Set(["true", "yes", "t", "y"]);
const FALSE = new Set(["false", "no", "f", "n"]);
const DATE = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d(?:\.\d+)?))?\s*(Z|[+-]\d\d:?\d\d)?)?$/;

/** What the text of a field is: a finite or huge number, missing, or the text without the spaces around it. */
export function parseCell(field: string): Cell {
  const text = field.trim();
  if (NUMBER.test(text)) return CODE.test(text) || isLong(text) ? text : Number(text);
  return text.length <= 4 && MISSING.has(text.toLowerCase()) ? undefined : text;
}

/** Whether a text is a whole number beyond 2⁵³, such as an identifier, which as a number would be another one. */
export const isLong = (text: string): boolean => LONG.test(text) && !Number.isSafeInteger(Number(text));

/** Whether a cell is a code: digits with leading zeros, or too many of them for a number. */
export const isCode = (cell: Cell): cell is string => typeof cell === "string" && (CODE.test(cell) || isLong(cell));

/** How the numbers of a column are written where they are not plain: `1,234.5`, `1.234,5`, `$5`, `24%`, `(120)`. */
export interface NumberForm {
  /** What stands before the decimals. */
  readonly decimal: "point" | "comma";
  /** What stands beside the digits: a currency, or %. */
  readonly unit?: string;
}

const UNIT = "[$€£¥₹₩₽₺]|USD|EUR|GBP|CHF|JPY|CNY|INR|AUD|CAD|SEK|NOK|DKK|PLN|CZK|HUF|%";
const AMOUNT = new RegExp(`^(\\(?)([+-]?)\\s*(${UNIT})?\\s*([+-]?)([\\d.,' ]*\\d)\\s*(${UNIT})?(\\)?)$`);
/** Digits, in groups of three or not, by what stands before the decimals. */
const DIGITS = {
  point: /^(\d{1,3}([,' ])\d{3}(\2\d{3})*(\.\d+)?|\d*\.?\d+)$/,
  comma: /^(\d{1,3}([.' ])\d{3}(\2\d{3})*(,\d+)?|\d*,?\d+)$/,
};

/**
 * The number that a text means: with a sign of any kind or in parentheses (less than 0), with groups of three digits, and
 * with a currency or % beside it. `undefined` where it means none.
 */
export function parseAmount(text: string, decimal: NumberForm["decimal"]): { value: number; unit: string } | undefined {
  const plain = text
    .replace(/[−–]/g, "-")
    .replace(/[\u00a0\u2009\u202f]/g, " ")
    .replaceAll("’", "'");
  const [, open, sign, before = "", inner, digits, after = "", close] = AMOUNT.exec(plain) ?? [];
  if (digits === undefined || (open === "(") !== (close === ")") || (sign && inner) || (before && after))
    return undefined;
  if (!DIGITS[decimal].test(digits) || CODE.test(digits)) return undefined;
  const value = Number(digits.replace(decimal === "point" ? /[,' ]/g : /[.' ]/g, "").replace(",", "."));
  return { value: open || sign === "-" || inner === "-" ? -value : value, unit: before + after };
}

/** What of a date comes again and again: the hour of the day, the day of the week, the day of the year. */
export type DatePart = "hour" | "weekday" | "yearday";

export const DATE_PARTS: readonly DatePart[] = ["hour", "weekday", "yearday"];

/** How far a moment, in days since 1970-01-01, is through its day, week or year: from 0 up to 1. */
export function datePhase(days: number, part: DatePart): number {
  const day = Math.floor(days);
  if (part === "hour") return days - day;
  // 1970-01-01 was a Thursday; weeks begin on Monday.
  if (part === "weekday") return ((((day + 3) % 7) + 7) % 7) / 7;
  const year = new Date(day * 86_400_000).getUTCFullYear();
  const [begin, end] = [year, year + 1].map((y) => new Date(0).setUTCFullYear(y, 0, 1) / 86_400_000);
  return (days - begin) / (end - begin);
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
