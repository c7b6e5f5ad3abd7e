/**
 * How the readers of files say what is wrong: one form of words for the place (file, row, column), and one way to show
 * a value that came from outside. It is not a class of errors; those are in ../errors.ts.
 */
import { ArgumentError, DataError, type DataLocation } from "../errors.ts";

/** A `DataError` whose message begins with the place: `iris.csv, row 17, column "sepal": …`. */
export function dataError(message: string, at: DataLocation = {}, cause?: unknown): DataError {
  const place = [
    at.file,
    at.row === undefined ? undefined : `row ${at.row}`,
    at.column === undefined ? undefined : `column ${typeof at.column === "string" ? show(at.column) : at.column}`,
  ].filter((part) => part !== undefined);
  const text = place.length > 0 ? `${place.join(", ")}: ${message}` : message;
  return new DataError(text, at, cause === undefined ? undefined : { cause });
}

/** A short text for any value, safe for values of any size or depth. */
export function show(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}…` : value);
  if (Array.isArray(value)) {
    if (value.some((item) => typeof item === "object")) return `an array of ${value.length}`;
    return value.length > 8 ? `[${value.slice(0, 8).map(show).join(", ")}, …]` : `[${value.map(show).join(", ")}]`;
  }
  if (typeof value === "object" && value !== null) return "an object";
  return String(value);
}

/** A list of names for a message, cut short when long. */
export function list(names: readonly string[]): string {
  const shown = names.slice(0, 12).map(show).join(", ");
  return names.length > 12 ? `${shown} and ${names.length - 12} more` : shown;
}

/** Whether `value` is an object as JSON has them: neither null nor an array. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** An own property of a parsed object; what its prototype holds is never looked at. */
export function own(object: Record<string, unknown>, key: string): unknown {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

/** Checks an option that must be a whole number in [least, most]. */
export function checkInteger(name: string, value: number, least: number, most = Number.MAX_SAFE_INTEGER): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;
  throw new ArgumentError(`${name} is ${show(value)}; give a whole number ${range}.`);
}
