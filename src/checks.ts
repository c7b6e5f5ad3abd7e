/**
 * What all rooms check of what people hand over: the names of options, and numbers. Each message says what came, what was
 * wanted and, where a name is misspelt, which one was probably meant. What is no option is checked where it is used.
 */
import { ArgumentError } from "./errors.ts";

/** A short text for any value, safe for values of any size or depth; text stands in quotes. */
export function show(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}…` : value);
  if (Array.isArray(value)) {
    if (value.some((item) => typeof item === "object")) return `an array of ${value.length}`;
    return value.length > 8 ? `[${value.slice(0, 8).map(show).join(", ")}, …]` : `[${value.map(show).join(", ")}]`;
  }
  if (typeof value === "function") return "a function";
  if (typeof value === "object" && value !== null) return "an object";
  return String(value);
}

/** How many letters must be changed, added or left out to make one word of the other (Levenshtein, 1966). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(next[j - 1] + 1, row[j] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length];
}

/** The name that was probably meant by one that does not exist, as a sentence; empty if none is near. */
function meant(name: string, known: readonly string[]): string {
  const [near] = known
    .map((option) => ({ option, far: distance(name.toLowerCase(), option.toLowerCase()) }))
    .sort((a, b) => a.far - b.far);
  return near?.far <= Math.min(3, name.length / 2) ? `Did you mean "${near.option}"? ` : "";
}

/** The error for a name that does not exist; `more` ends its list of those that do. */
export const unknownName = (what: string, name: string, known: readonly string[], more = ""): ArgumentError =>
  new ArgumentError(
    `There is no ${what} called ${show(name)}. ${meant(String(name), known)}Choose one of ${known.join(", ")}${more}.`,
  );

/** Throws for options that do not exist, naming the one that was probably meant. */
export function checkOptionNames(what: string, options: unknown, known: readonly string[]): void {
  if (typeof options !== "object" || options === null || Array.isArray(options))
    throw new ArgumentError(`${what} takes its options as { ${known[0] ?? ""}: … }; ${show(options)} came.`);
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue;
    throw new ArgumentError(
      `${what} has no option "${name}". ${meant(name, known)}Known are ${known.join(", ") || "none"}.`,
    );
  }
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
  for (const [name, value] of Object.entries(values)) {
    if (typeof value !== "number" || !fits(value))
      throw new ArgumentError(`${what}${name} must be ${wanted}; ${show(value)} came.`);
  }
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

/** Throws for values that are not whole numbers ≥ `least`, nor lists of such; `what` is whose they are. */
export function checkWhole(what: string, values: Readonly<Record<string, unknown>>, least: number): void {
  for (const [name, value] of Object.entries(values)) {
    const said = Array.isArray(value) ? `each of ${name}` : name;
    for (const n of [value].flat(2)) checkNumbers(what, { [said]: n }, whole(least));
  }
}
