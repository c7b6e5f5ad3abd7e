/**
 * How the readers of files say what is wrong: one form of words for the place (file, row, column), and what is
 * asked of untrusted objects. It is not a class of errors; those are in ../errors.ts.
 */
import { show } from "../checks.ts";
import { ArgumentError, DataError, type DataLocation } from "../errors.ts";

export { show };

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
