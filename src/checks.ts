/**
 * What all rooms check of what people hand over: the names of options, and numbers. Each message says what came, what was
 * wanted and, where a name is misspelt, which one was probably meant. What is no option is checked where it is used.
 */
import { ArgumentError } from "./errors.ts";

/** Whether `value` is an object as JSON has them: neither null nor an array. */
export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const listed = (parts: readonly string[]): string => parts.slice(0, 8).join(", ") + (parts.length > 8 ? ", …" : "");

/** A short text for any value, safe for values of any size or depth; text stands in quotes. */
export function show(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}…` : value);
  if (typeof value === "function") return `a function${value.name && ` (${value.name}, not called?)`}`;
  if (isObject(value)) {
    const kind = value.constructor?.name;
    if (kind && kind !== "Object") return `a ${kind}`;
    const inner = Object.entries(value).map(([k, v]) => `${k.slice(0, 30)}: ${typeof v === "object" ? "…" : show(v)}`);
    return `{${listed(inner)}}`;
  }
  if (!Array.isArray(value)) return String(value);
  return value.some((item) => typeof item === "object")
    ? `an array of ${value.length}`
    : `[${listed(value.map(show))}]`;
}

/** Throws unless what came fits; `wanted` says what does. */
export function check(fits: boolean, wanted: string, came: unknown): asserts fits {
  if (!fits) throw new ArgumentError(`${wanted}; ${show(came)} came.`, { facts: { wanted, came: show(came) } });
}

/** The error for row numbers that a table does not have. */
export const noSuchRow = (row: number, rows: number): ArgumentError =>
  new ArgumentError(
    `Row ${row} of a table was asked for that has ${rows} rows, numbered from 0. Check the numbers that gather, scatterAdd or embedding was given.`,
    { code: "no-such-row", facts: { row, rows } },
  );

/** The number of letters to change, add, leave out or swap to make one word of another (Damerau, 1964). */
function distance(a: string, b: string): number {
  let [before, row] = [[] as number[], Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(next[j - 1] + 1, row[j] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        next[j] = Math.min(next[j], before[j - 2] + 1);
    }
    [before, row] = [row, next];
  }
  return row[b.length];
}

/** The known word that was probably meant by another one; undefined where none is near. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const [best] = known
    .map((name) => ({ name, far: distance(word.toLowerCase(), name.toLowerCase()) }))
    .sort((a, b) => a.far - b.far);
  return best && best.far <= Math.max(1, Math.floor(word.length / 3)) ? best.name : undefined;
}

/** ` Did you mean "dense"?` for the known word that was probably meant, or nothing. */
export function didYouMean(word: string, known: readonly string[]): string {
  const meant = nearest(word, known);
  return meant === undefined ? "" : ` Did you mean "${meant}"?`;
}

/** The error for a name that does not exist, with the one that was probably meant; `more` ends the list of those that do. */
const noSuch = (what: string, begin: string, name: unknown, known: readonly string[], more = ""): ArgumentError =>
  new ArgumentError(
    `${begin} ${show(name)}.${didYouMean(String(name), known)} Known are ${known.join(", ") || "none"}${more}.`,
    { code: "unknown-name", facts: { what, came: String(name), known, meant: nearest(String(name), known) } },
  );

export const unknownName = (what: string, name: string, known: readonly string[], more?: string): ArgumentError =>
  noSuch(what, `There is no ${what} called`, name, known, more);

/** Throws for options that do not exist, naming the one that was probably meant. */
export function checkOptionNames(what: string, options: unknown, known: readonly string[]): void {
  check(isObject(options), `${what} takes its options as { ${known[0] ?? ""}: … }`, options);
  for (const name of Object.keys(options))
    if (!known.includes(name)) throw noSuch("option", `${what} has no option`, name, known);
}

/**
 * Throws unless an object has one entry for each known name, and no other: `what` has an entry for each `of`, as x has one
 * for each input.
 */
export function checkEntries(what: string, of: string, given: object, known: readonly string[]): void {
  const came = Object.keys(given);
  for (const name of came)
    if (!known.includes(name)) throw noSuch(of, `${what} is given for an ${of} that is not there,`, name, known);
  const missing = known.filter((name) => !came.includes(name));
  if (missing.length > 0)
    throw new ArgumentError(
      `${what} has nothing for the ${of}${missing.length > 1 ? "s" : ""} ${missing.join(", ")}. Wanted are ${known.join(", ")}; ${came.join(", ") || "none"} came.`,
      { code: "missing-entry", facts: { what, missing, wanted: known, came } },
    );
}

/** Which numbers fit, and how that is said. */
export type Rule = readonly [fits: (x: number) => boolean, wanted: string];

export const ABOVE_0: Rule = [(x) => x > 0 && Number.isFinite(x), "a number above 0"];
export const FROM_0: Rule = [(x) => x >= 0 && Number.isFinite(x), "a number ≥ 0"];
export const BELOW_1: Rule = [(x) => x >= 0 && x < 1, "a number from 0 up to, not including, 1"];
export const BETWEEN_0_AND_1: Rule = [(x) => x > 0 && x < 1, "a number between 0 and 1"];
export const whole = (least: number): Rule => [
  (x) => Number.isSafeInteger(x) && x >= least,
  `a whole number ≥ ${least}`,
];

/** Throws for values that are not numbers, or do not fit; `what` is whose they are, such as `adam: `. */
export function checkNumbers(what: string, values: Readonly<Record<string, unknown>>, [fits, wanted]: Rule): void {
  for (const [name, value] of Object.entries(values))
    check(typeof value === "number" && fits(value), `${what}${name} must be ${wanted}`, value);
}

/**
 * The options of `what` with the usual values where none are given. Throws for those that `rules` does not name, and for
 * values that break theirs; what is no number has none.
 */
export function readOptions<O extends object, D extends object>(
  what: string,
  given: O,
  usual: D,
  rules: Readonly<Record<string, Rule | undefined>>,
): O & D {
  checkOptionNames(what, given, Object.keys(rules));
  const said = Object.entries(given).filter(([, value]) => value !== undefined);
  const options: Record<string, unknown> = { ...usual, ...Object.fromEntries(said) };
  for (const [name, rule] of Object.entries(rules))
    if (rule) checkNumbers(`${what}: `, { [name]: options[name] }, rule);
  return options as O & D;
}

/**
 * Throws for values that are not whole numbers ≥ `least`; `what` is whose they are. Lists of them fit where their length
 * is given, lists of lists where two are.
 */
export function checkWhole(
  what: string,
  values: Readonly<Record<string, unknown>>,
  least: number,
  ...[length, ...inner]: readonly number[]
): void {
  const [fits, wanted] = whole(least);
  for (const [name, value] of Object.entries(values)) {
    if (Array.isArray(value) && value.length === length)
      for (const n of value) checkWhole(what, { [`each of ${name}`]: n }, least, ...inner);
    else checkNumbers(what, { [name]: value }, [fits, length ? `${wanted}, or ${length} such` : wanted]);
  }
}
