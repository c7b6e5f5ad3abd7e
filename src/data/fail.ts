/**
 * How the readers of files say what is wrong: one form of words for the place (file, row, column), and what is
 * asked of untrusted objects. It is not a class of errors; those are in ../errors.ts.
 */
import { check, isObject, show } from "../checks.ts";
import { DataError, type DataLocation, type ErrorDetails } from "../errors.ts";
import { joined, type Message } from "../wording.ts";

export { isObject, show };

/** A `DataError` whose message begins with the place: `iris.csv, row 17, column "sepal": …`. */
export function dataError(said: Message, at: DataLocation = {}, details: ErrorDetails = {}): DataError {
  const { file, row, column } = at;
  const place = [file, row && `row ${row}`, column !== undefined && `column ${show(column)}`]
    .filter(Boolean)
    .join(", ");
  return new DataError(place ? joined(`${place}: `, said) : said, at, details);
}

/** A list of names for a message, cut short when long. */
export function list(names: readonly string[]): string {
  const shown = names.slice(0, 12).map(show).join(", ");
  return names.length > 12 ? `${shown} and ${names.length - 12} more` : shown;
}

/** An own property of a parsed object; what its prototype holds is never looked at. */
export function own(object: Record<string, unknown>, key: string): unknown {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

/** Checks an option that must be a whole number in [least, most]. */
export function checkInteger(name: string, value: number, least: number, most = Number.MAX_SAFE_INTEGER): void {
  const range = most === Number.MAX_SAFE_INTEGER ? `≥ ${least}` : `from ${least} to ${most}`;
  check(Number.isInteger(value) && value >= least && value <= most, `${name} must be a whole number ${range}`, value);
}
