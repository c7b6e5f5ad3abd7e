/**
 * Text for people: colours where the terminal has them, numbers and durations in a readable form, names from files made
 * safe to print. It knows nothing of networks.
 */
import { basename, isAbsolute, relative } from "node:path";
import { styleText } from "node:util";

export type Colour = "bold" | "dim" | "red" | "green" | "yellow" | "cyan";
export type Paint = (colour: Colour, text: string) => string;

/** Paints where the stream is a terminal with colours and NO_COLOR is not set. */
export const painter = (stream: NodeJS.WriteStream): Paint =>
  stream.isTTY && stream.hasColors() ? (colour, text) => styleText(colour, text) : (_, text) => text;

/** What stands around a report: at most 80 columns, less in a narrower terminal. */
export const widthOf = (stream: NodeJS.WriteStream): number => Math.max(40, Math.min(80, stream.columns ?? 80));

export const count = (n: number): string => n.toLocaleString("en");
export const percent = (share: number, digits = 2): string => `${(share * 100).toFixed(digits)} %`;
/** `1 row`, `2 rows`. */
export const plural = (n: number, word: string, words = `${word}s`): string => `${count(n)} ${n === 1 ? word : words}`;

/** A measured number, to four digits. */
export function measure(x: number): string {
  if (!Number.isFinite(x) || x === 0) return String(x);
  const size = Math.abs(x);
  if (size >= 1e7 || size < 1e-4) return x.toExponential(3);
  return size >= 1000 ? count(Math.round(x)) : x.toPrecision(4);
}

export function duration(seconds: number): string {
  if (seconds < 0.095) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

export function fileSize(bytes: number): string {
  if (bytes < 1000) return `${bytes} bytes`;
  if (bytes < 1e9) return bytes < 1e6 ? `${Math.round(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
  return `${(bytes / 1e9).toFixed(1)} GB`;
}

/** A name that came from a file, without what would steer the terminal, cut to `width`. */
export function name(text: string, width = 40): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not reach the terminal.
  const safe = [...text.replace(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, "?")];
  return safe.length > width ? `${safe.slice(0, width - 1).join("")}…` : safe.join("");
}

/** A text on lines of at most `width`, broken at spaces; its own line ends and indents stay. */
export function wrapped(text: string, width: number): string {
  const piece = new RegExp(`(.{1,${width}})(?: (?! )|$)`, "g");
  const lines = text.split("\n").map((line) => line.replace(piece, "$1\n").replace(/\n$/, ""));
  return lines.join("\n");
}

/** A titled text, broken after commas, or after any word, where it is longer than the terminal is wide. */
export function titled(title: string, text: string, paint: Paint, colour: Colour = "dim", at: RegExp = / /): string {
  const indent = 12;
  const room = widthOf(process.stderr) - indent;
  const lines: string[] = [];
  for (const word of text.split(at)) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= room) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return `${paint(colour, title.padEnd(indent))}${lines.join(`\n${" ".repeat(indent)}`)}`;
}

/** A warning for people, on stderr. */
export function warn(text: string): void {
  process.stderr.write(`${titled("warning", text, painter(process.stderr), "yellow")}\n`);
}

/** A bar of `width` columns that is filled to `share`, exact to half a column. */
export function bar(share: number, width: number): { full: string; rest: string } {
  const halves = Math.round(Math.min(1, Math.max(0, share)) * width * 2);
  const full = "━".repeat(halves >> 1) + (halves % 2 ? "╸" : "");
  return { full, rest: "─".repeat(width - full.length) };
}

/** A small chart of numbers in one line, the largest highest; on a logarithmic scale where all are above 0. */
export function sparkline(numbers: readonly number[], width: number): string {
  const values = numbers.every((v) => v > 0) ? numbers.map(Math.log) : numbers;
  const shown =
    values.length <= width
      ? values
      : Array.from({ length: width }, (_, i) => values[Math.round((i * (values.length - 1)) / (width - 1))]);
  const [least, most] = [Math.min(...shown), Math.max(...shown)];
  const steps = "▁▂▃▄▅▆▇█";
  return shown.map((v) => steps[most > least ? Math.round(((v - least) / (most - least)) * 7) : 0]).join("");
}

/** A path as it reads from here, where it lies here or below. */
export function fromHere(path: string): string {
  const way = relative("", path);
  return isAbsolute(path) && way !== "" && !way.startsWith("..") && !isAbsolute(way) ? way : path;
}

/** A word as a shell takes it. */
export const quote = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;

/** How this command is called here, for the commands that are proposed. */
export function commandName(): string {
  const script = process.argv[1] ?? "";
  if (script.endsWith(".ts")) return "npm run chainrule --";
  return basename(script) === "chainrule" && !script.includes("node_modules") ? "chainrule" : "npx chainrule";
}
