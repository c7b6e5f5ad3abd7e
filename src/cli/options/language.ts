/**
 * The small language of `--layers` and `--optimizer`: a name, positional arguments, key=value, as in
 * `dense 128 relu bias=false`. Each known name lists its parameters in order; all mistakes are named with what exists.
 * Which names there are is for layers.ts and optimizers.ts.
 */

import { didYouMean } from "../../checks.ts";
import { UsageError } from "../terminal/exit.ts";

/** Reads the text of one argument; gives undefined where it is not what was wanted. */
export interface Parameter<T> {
  readonly wanted: string;
  readonly read: (text: string) => T | undefined;
  /** The words it takes, where they can be counted. */
  readonly known?: readonly string[];
}

export const wholeNumber: Parameter<number> = {
  wanted: "a whole number above 0",
  read: (text) => (/^\d+$/.test(text) && Number(text) > 0 ? Number(text) : undefined),
};

/** A number, or a fraction such as 1/255. */
export const anyNumber: Parameter<number> = {
  wanted: "a number",
  read: (text) => {
    const [above, below = "1", ...more] = text.split("/");
    const value = Number(above) / Number(below);
    return above.trim() !== "" && below.trim() !== "" && more.length === 0 && Number.isFinite(value)
      ? value
      : undefined;
  },
};

export const yesOrNo: Parameter<boolean> = {
  wanted: "true or false",
  read: (text) => (text === "true" ? true : text === "false" ? false : undefined),
};

/** A word that its user checks. */
export const anyWord = <T>(): Parameter<T> => ({ wanted: "a word", read: (text) => text as T });

export const either = <A, B>(a: Parameter<A>, b: Parameter<B>): Parameter<A | B> => ({
  wanted: `${a.wanted}, or ${b.wanted}`,
  read: (text) => a.read(text) ?? b.read(text),
});

type Parameters = Readonly<Record<string, Parameter<unknown>>>;
type Values<P extends Parameters> = { readonly [K in keyof P]: P[K] extends Parameter<infer T> ? T : never };

/** A name that the language knows: how its arguments are read, and what is made of them. */
export interface Entry<R> {
  /** For help: `dense units [activation] [init] [bias]`. */
  readonly usage: string;
  make(words: readonly string[], text: string): R;
}

/** Makes an entry of parameters in their positional order, the ones that must be there first. */
export function entry<R, N extends Parameters, O extends Parameters>(
  title: string,
  needed: N,
  optional: O,
  make: (values: Values<N> & Partial<Values<O>>) => R,
): Entry<R> {
  const parameters = new Map<string, Parameter<unknown>>([...Object.entries(needed), ...Object.entries(optional)]);
  const names = [...parameters.keys()];
  const usage = [title, ...Object.keys(needed), ...Object.keys(optional).map((key) => `[${key}]`)].join(" ");
  return {
    usage,
    make: (words, text) => {
      const values = new Map<string, unknown>();
      const positional = [...names];
      for (const word of words) {
        const [left, right] = splitKey(word);
        const key = left ?? positional.find((free) => !values.has(free));
        if (key === undefined)
          throw new UsageError(`"${text}" has one argument too many, "${word}". It goes: ${usage}.`);
        const parameter = parameters.get(key);
        if (!parameter) {
          const known = names.length > 0 ? `It takes ${names.join(", ")}.` : "It takes none.";
          throw new UsageError(`"${text}": ${title} has no argument "${key}". ${known}${didYouMean(key, names)}`);
        }
        if (values.has(key)) throw new UsageError(`"${text}" gives ${key} twice. It goes: ${usage}.`);
        const value = parameter.read(right);
        if (value === undefined) {
          throw new UsageError(
            `"${text}": ${key} is "${right}", but ${parameter.wanted} was wanted.${didYouMean(right, parameter.known ?? [])} It goes: ${usage}.`,
          );
        }
        values.set(key, value);
      }
      const missing = Object.keys(needed).find((key) => !values.has(key));
      if (missing) {
        throw new UsageError(
          `"${text}" lacks ${missing}: ${parameters.get(missing)!.wanted} was wanted. It goes: ${usage}.`,
        );
      }
      return make(Object.fromEntries(values) as Values<N> & Partial<Values<O>>);
    },
  };
}

/** `init=he` is a key and its value; anything else is a value. */
function splitKey(word: string): [string | undefined, string] {
  const at = word.indexOf("=");
  return at < 0 ? [undefined, word] : [word.slice(0, at), word.slice(at + 1)];
}

/** Reads one item, such as `dense 128 relu`, by a table of entries. */
export function readItem<R>(text: string, entries: Readonly<Record<string, Entry<R>>>, what: string): R {
  const [title, ...words] = text.split(/\s+/);
  if (!Object.hasOwn(entries, title)) {
    const known = Object.keys(entries);
    throw new UsageError(`There is no ${what} "${title}". Known are ${known.join(", ")}.${didYouMean(title, known)}`);
  }
  return entries[title].make(words, text);
}

/** Does something, and makes of what the library has against it a mistake of the command line at `place`. */
export function asUsage<T>(place: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (error instanceof UsageError || !(error instanceof Error)) throw error;
    throw new UsageError(`${place}: ${error.message}`, { cause: error });
  }
}
