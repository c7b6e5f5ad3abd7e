/** Reports as a LaTeX document for the article class with amsmath. */
import { showShape } from "../../graph/shape.ts";
import type { RenderOptions } from "../formula/formula.ts";
import { escapeLatex, formulaLatex } from "../formula/latex.ts";
import type { Block, Inline } from "./blocks.ts";

/** Options of `latexDocument`. */
export interface LatexOptions {
  /** Significant digits; 6 unless said. */
  readonly digits?: number;
}

/**
 * Renders a report to a LaTeX document.
 *
 * @example
 * const document = latexDocument(weightReport(step.weight("dense_1.kernel", [0, 0])));
 */
export const latexDocument = (blocks: readonly Block[], { digits = 6 }: LatexOptions = {}): string =>
  [
    "\\documentclass{article}",
    "\\usepackage[T1]{fontenc}",
    "\\usepackage[utf8]{inputenc}",
    "\\usepackage{amsmath,geometry}",
    "\\allowdisplaybreaks",
    "\\begin{document}",
    ...blocks.flatMap((block) => lines(block, { digits })),
    "\\end{document}",
    "",
  ].join("\n");

const SECTIONS = ["section*", "subsection*", "subsubsection*"] as const;

const inline = (part: Inline, options: RenderOptions): string =>
  typeof part === "string"
    ? escapeLatex(part)
    : `$${formulaLatex(typeof part === "number" ? { kind: "number", value: part } : part, options)}$`;

function lines(block: Block, options: RenderOptions): string[] {
  switch (block.kind) {
    case "section": {
      const { title, summary, level, layer, blocks } = block;
      const own = layer === undefined ? options : { ...options, layer };
      const heading = escapeLatex(summary ? `${title}: ${summary}` : title);
      return [`\\${SECTIONS[level - 1]}{${heading}}`, ...blocks.flatMap((each) => lines(each, own))];
    }
    case "line":
      return ["", `${block.parts.map((part) => inline(part, options)).join("")}\\par`];
    case "formula":
      return formulaLines(block.formula, options);
    case "note":
      return ["", `\\textbf{${escapeLatex(block.message)}}\\par`];
    case "image":
      return [];
    case "array":
      return arrayLines(block, options);
    case "table": {
      const row = (cells: readonly Inline[]) => `${cells.map((cell) => inline(cell, options)).join(" & ")} \\\\`;
      const head = block.columns.some((column) => column !== "") ? [row(block.columns), "\\hline"] : [];
      const totals = block.totals.length > 0 ? ["\\hline", ...block.totals.map(row)] : [];
      return [
        "",
        `\\noindent\\begin{tabular}{${"l".repeat(block.columns.length)}}`,
        ...head,
        ...block.rows.map(row),
        ...totals,
        "\\end{tabular}\\par",
      ];
    }
  }
}

/** A chain of equations is broken before each sign, so that it fits the page. */
function formulaLines(formula: Extract<Block, { kind: "formula" }>["formula"], options: RenderOptions): string[] {
  if (formula.kind !== "equal") return [`\\[${formulaLatex(formula, options)}\\]`];
  const [left, ...right] = formula.sides.map((side) => formulaLatex(side, options));
  return ["\\begin{align*}", `${left} ${right.map((side) => `&= ${side}`).join("\\\\\n")}`, "\\end{align*}"];
}

function arrayLines(
  { label, shape, values, statistics }: Extract<Block, { kind: "array" }>,
  options: RenderOptions,
): string[] {
  const name = formulaLatex(label, options);
  const number = (value: number) => formulaLatex({ kind: "number", value }, options);
  if (!values) {
    const { mean, deviation, min, max } = statistics;
    const short = { ...options, digits: 4 };
    const n = (value: number) => `$${formulaLatex({ kind: "number", value }, short)}$`;
    return [
      "",
      `$${name}$ ${escapeLatex(showShape(shape))}: mean ${n(mean)}, deviation ${n(deviation)}, from ${n(min)} to ${n(max)}\\par`,
    ];
  }
  if (shape.length === 0) return [`\\[${name} = ${number(values[0])}\\]`];
  const columns = shape.length > 1 ? shape[shape.length - 1] : values.length;
  const rows: string[] = [];
  for (let i = 0; i < values.length; i += columns)
    rows.push(
      values
        .slice(i, i + columns)
        .map(number)
        .join(" & "),
    );
  return [
    `\\setcounter{MaxMatrixCols}{${Math.max(10, columns)}}`,
    `\\[${name} = \\begin{pmatrix}${rows.join(" \\\\ ")}\\end{pmatrix}\\]`,
  ];
}
