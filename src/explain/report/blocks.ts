/**
 * A report as data: sections of formulas, numbers and tables, which the renderers beside this file turn into text,
 * HTML or LaTeX. Nothing here knows how anything looks.
 */
import type { Shape } from "../../graph/shape.ts";
import type { Statistics } from "../description.ts";
import type { Formula } from "../formula/formula.ts";

/** What a cell or a line holds: words, a number, a formula. */
export type Inline = string | number | Formula;

export interface Table {
  readonly kind: "table";
  readonly columns: readonly Inline[];
  readonly rows: readonly (readonly Inline[])[];
  /** Rows set apart at the end: sums. */
  readonly totals: readonly (readonly Inline[])[];
}

/** A part of a report: a heading, a paragraph, a formula, an array, a table, … */
export type Block =
  | {
      readonly kind: "section";
      readonly title: string;
      readonly summary: string;
      readonly level: 1 | 2 | 3;
      readonly layer?: string;
      readonly blocks: readonly Block[];
    }
  | { readonly kind: "line"; readonly parts: readonly Inline[] }
  | { readonly kind: "formula"; readonly formula: Formula }
  /** An array: its elements where they are few, else its statistics. */
  | {
      readonly kind: "array";
      readonly label: Formula;
      readonly shape: Shape;
      readonly values: readonly number[] | undefined;
      readonly statistics: Statistics;
    }
  | Table
  | { readonly kind: "note"; readonly message: string }
  /** Grey values from 0 to 1, row by row. */
  | {
      readonly kind: "image";
      readonly title: string;
      readonly width: number;
      readonly height: number;
      readonly pixels: readonly number[];
    };

export const section = (
  title: string,
  summary: string,
  level: 1 | 2 | 3,
  blocks: readonly Block[],
  layer?: string,
): Block => ({
  kind: "section",
  title,
  summary,
  level,
  blocks,
  ...(layer !== undefined && { layer }),
});

export const line = (...parts: readonly Inline[]): Block => ({ kind: "line", parts });
export const formula = (formula: Formula): Block => ({ kind: "formula", formula });
export const note = (message: string): Block => ({ kind: "note", message });
