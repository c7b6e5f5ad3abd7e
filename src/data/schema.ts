/**
 * How the columns of a table became features: plain data that is kept in the model file, so that new rows are encoded
 * as those of the training were. Here: its types, and the check of one that was read from a file. The encoding itself
 * is in table.ts.
 */
import { DATE_PARTS, type DatePart, type NumberForm } from "./cells.ts";
import { dataError, isObject, own, show } from "./fail.ts";

/** How a table deals with missing values; see `TableOptions`. */
export type MissingPolicy = "error" | "mean" | "drop";

/**
 * A column that becomes one feature (number or 0/1), one per category, or, of dates, the days since 1970-01-01 and a sine
 * and a cosine for each of its parts.
 */
export type ColumnSchema =
  | { readonly name: string; readonly kind: "numeric"; readonly form?: NumberForm; readonly fill?: number }
  | { readonly name: string; readonly kind: "boolean"; readonly fill?: number }
  | { readonly name: string; readonly kind: "date"; readonly parts?: readonly DatePart[]; readonly fill?: number }
  | { readonly name: string; readonly kind: "categorical"; readonly categories: string[]; readonly fill?: string };

/** What a column can hold. */
export type ColumnKind = ColumnSchema["kind"];

/** The columns of a table in order, and its target. */
export interface TableSchema {
  readonly columns: ColumnSchema[];
  /** The column to predict: its classes, or `classes` absent for a number. */
  readonly target: {
    readonly name: string;
    readonly kind: ColumnKind;
    readonly classes?: string[];
    readonly form?: NumberForm;
  };
  readonly missing: MissingPolicy;
  /** False where the table has no line of names: its columns are 1, 2, 3, … */
  readonly header?: false;
}

/** The names of the features that a schema makes, in order. */
export function featureNames(schema: TableSchema): string[] {
  return schema.columns.flatMap((column) => {
    if (column.kind === "categorical") return column.categories.map((category) => `${column.name}=${category}`);
    const parts = column.kind === "date" ? (column.parts ?? []) : [];
    return [
      column.name,
      ...parts.flatMap((part) => [`${column.name} (${part}, sin)`, `${column.name} (${part}, cos)`]),
    ];
  });
}

/** How many features a column becomes. */
export const featureCount = (column: ColumnSchema): number =>
  column.kind === "categorical"
    ? column.categories.length
    : 1 + 2 * (column.kind === "date" ? (column.parts?.length ?? 0) : 0);

const KINDS: readonly string[] = ["numeric", "boolean", "date", "categorical"];
const POLICIES: readonly string[] = ["error", "mean", "drop"];

/**
 * Checks a schema that comes from a file, and copies what belongs to it. Throws `DataError` where it is no schema.
 *
 * @example
 * import { parseSchema } from "chainrule/data";
 * const schema = parseSchema({
 *   columns: [{ name: "height", kind: "numeric" }], target: { name: "weight", kind: "numeric" }, missing: "error",
 * });
 */
export function parseSchema(value: unknown, file?: string): TableSchema {
  const at = file === undefined ? {} : { file };
  const fail = (what: string, came: unknown, wanted: string) =>
    dataError(
      `the table's schema has ${what} ${show(came)}; wanted is ${wanted}. The file is damaged: save the model again.`,
      at,
    );
  const text = (what: string, came: unknown): string => {
    if (typeof came !== "string") throw fail(what, came, "a string");
    return came;
  };
  const texts = (what: string, came: unknown): string[] => {
    if (!Array.isArray(came) || came.length === 0) throw fail(what, came, "a list of strings");
    if (new Set(came).size < came.length) throw fail(what, came, "every one once");
    return came.map((item) => text(what, item));
  };
  const kind = (came: unknown): ColumnKind => {
    if (typeof came !== "string" || !KINDS.includes(came)) throw fail("kind", came, `one of ${KINDS.join(", ")}`);
    return came as ColumnKind;
  };
  const form = (came: unknown): { form?: NumberForm } => {
    if (came === undefined) return {};
    const decimal = isObject(came) ? own(came, "decimal") : came;
    if (decimal !== "point" && decimal !== "comma") throw fail("the form of numbers", came, "point or comma");
    const unit = own(came as Record<string, unknown>, "unit");
    return { form: { decimal, ...(unit === undefined ? {} : { unit: text("the unit", unit) }) } };
  };
  const column = (came: unknown): ColumnSchema => {
    if (!isObject(came)) throw fail("a column", came, "an object");
    const name = text("a column's name", own(came, "name"));
    const fill = own(came, "fill");
    const columnKind = kind(own(came, "kind"));
    if (columnKind === "categorical") {
      const categories = texts("categories", own(came, "categories"));
      return { name, kind: columnKind, categories, ...(fill === undefined ? {} : { fill: text("fill", fill) }) };
    }
    if (fill !== undefined && (typeof fill !== "number" || !Number.isFinite(fill)))
      throw fail("fill", fill, "a number");
    const filled = { name, ...(fill === undefined ? {} : { fill }) };
    if (columnKind === "numeric") return { ...filled, kind: columnKind, ...form(own(came, "form")) };
    const parts = own(came, "parts");
    if (columnKind === "boolean" || parts === undefined) return { ...filled, kind: columnKind };
    if (!Array.isArray(parts) || !parts.every((part) => DATE_PARTS.includes(part)))
      throw fail("parts", parts, `a list of ${DATE_PARTS.join(", ")}`);
    return { ...filled, kind: columnKind, parts: [...parts] };
  };

  if (!isObject(value)) throw fail("the form", value, "an object");
  const columns = own(value, "columns");
  if (!Array.isArray(columns) || columns.length === 0) throw fail("columns", columns, "a list of columns");
  const target = own(value, "target");
  if (!isObject(target)) throw fail("target", target, "an object");
  const classes = own(target, "classes");
  const missing = own(value, "missing");
  if (typeof missing !== "string" || !POLICIES.includes(missing))
    throw fail("missing", missing, `one of ${POLICIES.join(", ")}`);
  const names = [...columns.map((came) => (isObject(came) ? own(came, "name") : came)), own(target, "name")];
  const double = names.find((name, i) => names.indexOf(name) < i);
  if (double !== undefined) throw fail("twice the name", double, "every name once");
  const targetKind = kind(own(target, "kind"));
  if (classes === undefined && (targetKind === "categorical" || targetKind === "boolean"))
    throw fail("classes", classes, "a list of strings");
  if (targetKind === "boolean" && Array.isArray(classes) && classes.length !== 2) throw fail("classes", classes, "two");
  return {
    columns: columns.map(column),
    target: {
      name: text("the target's name", own(target, "name")),
      kind: targetKind,
      ...(classes === undefined ? {} : { classes: texts("classes", classes) }),
      ...form(own(target, "form")),
    },
    missing: missing as MissingPolicy,
    ...(own(value, "header") === false && { header: false }),
  };
}
