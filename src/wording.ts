/**
 * Messages in which the names of options are data, so that whoever shows one writes them as they are written there: in a
 * program `missing: "mean"`, on a command line `--missing mean`, in a page a button. No sentence has to be parsed for it.
 */

/** An option, or a function, that a message names. */
export interface Term {
  readonly option: string;
  readonly value?: string | number | boolean;
}

/** A text, or the parts of one. */
export type Message = string | readonly (string | Term)[];

/** An option for a message: `option("missing", "mean")`. */
export const option = (name: string, value?: string | number | boolean): Term =>
  value === undefined ? { option: name } : { option: name, value };

/** A message with options in it: `` message`use ${option("missing", "mean")}` ``. */
export const message = (texts: readonly string[], ...inner: readonly (string | number | Term)[]): Message =>
  texts.flatMap((text, i) => {
    const part = inner[i] ?? "";
    return [text, typeof part === "number" ? String(part) : part];
  });

/** Two messages as one. */
export const joined = (...messages: readonly Message[]): Message => messages.flat();

/** As a program writes it: `missing: "mean"`, or the name alone. */
const inProgram = ({ option, value }: Term): string =>
  value === undefined ? option : `${option}: ${JSON.stringify(value)}`;

/** A message as text, with each option as `write` has it; as in a program unless said. */
export const inWords = (text: Message, write: (term: Term) => string = inProgram): string =>
  typeof text === "string" ? text : text.map((part) => (typeof part === "string" ? part : write(part))).join("");
