/**
 * What the command says of a table: what its columns were taken for, and which of them look as if they were meant
 * otherwise. It reads the header and the finished data set; reading itself is in ../data/table.ts.
 */
import { didYouMean } from "../../checks.ts";
import {
  type ColumnKind,
  type ColumnSchema,
  type Dataset,
  featureCount,
  parseCsv,
  type TableSchema,
} from "../../data/index.ts";
import { holdsObjects, readPieces } from "../../data/node.ts";
import { DataError } from "../../index.ts";
import { UsageError } from "../terminal/exit.ts";
import { name, plural, quote } from "../terminal/text.ts";

/** How the first line is read. */
interface HeaderOptions {
  readonly encoding?: string;
  readonly header?: boolean;
}

/** The names of a table's columns. Throws `DataError` where the first line does not look like a header of several. */
export async function readHeader(path: string, { encoding, header: named }: HeaderOptions = {}): Promise<string[]> {
  if (holdsObjects(path)) return [];
  for await (const [first] of parseCsv(readPieces(path), { file: path, ...(encoding && { encoding }) })) {
    const header = first.fields.map((field, i) => (named === false ? String(i + 1) : field.trim()));
    if (header.length > 1 && (named === false || new Set(header).size === header.length || !looksLikeValues(header)))
      return header;
    if (header.length > 1) throw new DataError(`${path}: ${VALUES}`, { file: path, row: 1 });
    const [separator] = /[:;|\t]| +/.exec(header[0]) ?? [];
    const guess = separator === undefined ? "" : ` It seems to have ${separator.trim() ? `"${separator}"` : "spaces"}.`;
    throw new DataError(
      `${path}, row 1: there is only one column, "${name(header[0], 60)}". Between columns stand commas, semicolons, tabs or bars, or spaces, as many in each row.${guess} Save the table with commas.`,
      { file: path, row: 1 },
    );
  }
  return [];
}

const VALUES =
  "the first line holds numbers, but names of the columns belong there. If it is a row, say --no-header (columns are then 1, 2, 3, …), or write a line of names above it, such as size,price.";

/** Whether the first line is rather a row than a header. */
const looksLikeValues = (names: readonly string[]): boolean =>
  names.filter((title) => /^[+-]?\d+([.,]\d+)?$/.test(title)).length >= names.length / 2;

const COLUMN_KINDS = ["numeric", "boolean", "date", "categorical"] as const;

/** Reads `--columns`, such as `zip numeric, when date`. */
export function columnKinds(text: string): Record<string, ColumnKind> {
  return Object.fromEntries(
    text.split(",").map((item) => {
      const [, title, kind] = /^\s*(.+?)\s+(\S+)\s*$/.exec(item) ?? [];
      const known = COLUMN_KINDS.find((each) => each === kind);
      if (known) return [title, known];
      const meant = kind === undefined ? "" : didYouMean(kind, COLUMN_KINDS);
      throw new UsageError(
        `--columns "${text}": after the name of each column stands what it holds: ${COLUMN_KINDS.join(", ")}.${meant}`,
      );
    }),
  );
}

/** The columns in a sentence, the last one always among them, as it is the likely target. */
function columnsText(header: readonly string[]): string {
  const shown =
    header.length > 12 ? [...header.slice(0, 11), `… (${header.length - 12} more)`, header.at(-1)!] : header;
  return shown.map((title) => name(title)).join(", ");
}

/** Says which columns there are where no target was given. */
export async function refuseWithoutTarget(path: string, options: HeaderOptions): Promise<never> {
  if (holdsObjects(path))
    throw new UsageError("No target was given. Name the value to predict, such as --target price.");
  const header = await readHeader(path, options);
  if (header.length === 0)
    throw new DataError(`${path}: the file is empty; a table begins with a header.`, { file: path });
  const hint = options.header !== false && looksLikeValues(header) ? ` Note: ${VALUES}` : "";
  throw new UsageError(
    `No target was given. Name the column to predict, such as --target ${quote(header.at(-1)!)}. The columns are ${columnsText(header)}.${hint}`,
  );
}

// What was chosen ----------------------------------------------------------------------------------------------------

const KINDS = {
  numeric: ["number", "numbers"],
  date: ["date", "dates"],
  boolean: ["yes or no", "yes or no"],
  categorical: ["of words, each a feature", "of words, each a feature"],
} as const;

const DATE_PARTS = { hour: "hour of the day", weekday: "day of the week", yearday: "day of the year" };

/** A list of names, cut where it is long. */
function listed(names: readonly string[], most = 12): string {
  const rest = names.length - most;
  return rest > 1 ? `${names.slice(0, most).join(", ")}, and ${rest} more` : names.join(", ");
}

/** A line for each kind of column: `2 numbers: size, rooms`. */
export function columnLines({ columns }: TableSchema, ignored: readonly string[] = []): string[] {
  const shown = (column: ColumnSchema): string =>
    column.kind === "categorical"
      ? `${name(column.name)} (${column.categories.length})`
      : column.kind === "date"
        ? `${name(column.name)} (${["days", ...(column.parts ?? []).map((part) => DATE_PARTS[part])].join(", ")})`
        : name(column.name);
  const lines = (Object.keys(KINDS) as (keyof typeof KINDS)[]).flatMap((kind) => {
    const own = columns.filter((column) => column.kind === kind);
    return own.length > 0 ? [`${own.length} ${KINDS[kind][own.length > 1 ? 1 : 0]}: ${listed(own.map(shown))}`] : [];
  });
  return ignored.length > 0 ? [...lines, `left out: ${listed(ignored.map((title) => name(title)))}`] : lines;
}

// What looks wrong ---------------------------------------------------------------------------------------------------

/** What most values of a text column look like, and what to do if they are that. */
const LOOKS: readonly { readonly form: RegExp; readonly like: string; readonly advice: string }[] = [
  {
    form: /^[+-]?(\d+|\d{1,3}(\.\d{3})+)?,\d+$/,
    like: "numbers with decimal commas",
    advice: "Give --decimal comma to read them as numbers.",
  },
  {
    form: /^\d{1,2}[./-]\d{1,2}[./-](\d{4}|\d{2})$/,
    like: "dates",
    advice: "Write them as 2024-01-31 to have them read as dates.",
  },
  {
    form: /^[$€£¥~<>+-]?\s?\d{1,3}([\d., ']*\d)?\s?(%|[$€£¥]|[a-zA-Zµ°²³/]{1,6})?$/,
    like: "numbers with something beside them",
    advice: "Leave the digits alone in their cells to have them read as numbers.",
  },
  {
    form: /^[^;\t|]*[;\t|].*$/,
    like: "several columns in one",
    advice: "Save the table with the same separator throughout.",
  },
];

/** Of this many different words on, nearly one for each row, a column tells rows apart and nothing else. */
const MANY = 10;

function wordsWarning(title: string, words: readonly string[], rows: number, ignore: string): string | undefined {
  const some = words[words.length >> 1];
  const looks = LOOKS.find(({ form }) => words.filter((word) => form.test(word)).length > words.length / 2);
  // Few such words may well be names of kinds: 10 kg, 20 kg.
  if (looks && words.length >= MANY)
    return `${title} holds words such as "${name(some, 20)}", which look like ${looks.like}. ${looks.advice}`;
  if (words.length >= MANY && words.length > rows / 2) {
    return `${title} has ${words.length} different values in ${plural(rows, "row")}, such as "${name(some, 20)}", so it hardly says what rows have in common. If it is a number or name of the row, ${ignore}.`;
  }
  return undefined;
}

/** Which columns are likely to have been meant otherwise than they were read. */
export function columnWarnings({ x, count, schema }: Dataset): string[] {
  if (!schema) return [];
  const names = [...schema.columns.map((column) => column.name), schema.target.name];
  const warnings = schema.header !== false && looksLikeValues(names) ? [VALUES[0].toUpperCase() + VALUES.slice(1)] : [];
  let feature = 0;
  const width = x.length / count;
  for (const column of schema.columns) {
    const title = `Column "${name(column.name)}"`;
    const ignore = `leave it out: --ignore ${quote(column.name)}`;
    if (column.kind === "categorical") {
      const warning = wordsWarning(title, column.categories, count, ignore);
      if (warning !== undefined) warnings.push(warning);
      else if (column.categories.length === 1) warnings.push(`${title} has the same value in all rows; ${ignore}.`);
    } else {
      const values = Array.from({ length: count }, (_, row) => x[row * width + feature]);
      if (values.every((value) => value === values[0]))
        warnings.push(`${title} has the same value in all rows; ${ignore}.`);
      else if (isRowNumber(values, column)) {
        warnings.push(`${title} counts the rows, and new rows will have other numbers; ${ignore}.`);
      }
    }
    feature += featureCount(column);
  }
  const { classes, name: target } = schema.target;
  const words = classes && wordsWarning(`The target "${name(target)}"`, classes, count, "choose another target");
  return words === undefined ? warnings : [...warnings, words];
}

/** Whether a column of numbers is the rows' own: 1, 2, 3, …, or numbers of which none comes twice under such a name. */
function isRowNumber(values: readonly number[], { kind, name: title }: ColumnSchema): boolean {
  if (kind !== "numeric" || values.length < MANY || !values.every((value) => Number.isInteger(value))) return false;
  if (values.every((value, i) => i === 0 || value === values[i - 1] + 1)) return true;
  return /(^|[\s_.-])(id|nr|no|index|key)$/i.test(title) && new Set(values).size === values.length;
}
