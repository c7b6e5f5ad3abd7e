/** Reports as text that reads well in a terminal: wrapped to its width, numbers coloured by their sign if wanted. */
import { showShape } from "../../graph/shape.ts";
import type { Statistics } from "../description.ts";
import { showNumber } from "../formula/number.ts";
import { formulaText } from "../formula/text.ts";
import type { Block, Inline, Table } from "./blocks.ts";
import { imageLines } from "./image.ts";

export interface TextOptions {
  /** Columns; 80 unless said. */
  readonly width?: number;
  /** Whether to colour numbers by sign (blue above 0, red below) and set headings apart. */
  readonly color?: boolean;
  /** Significant digits; 6 unless said. */
  readonly digits?: number;
}

const ESCAPE = "\u001b[";
const STYLES = { bold: "1", dim: "2", positive: "34", negative: "31", warning: "33" } as const;

/** Renders a report to text, without a line break at its end. */
export function reportText(blocks: readonly Block[], options: TextOptions = {}): string {
  const renderer = new TextRenderer(options);
  renderer.blocks(blocks, 0, undefined);
  return renderer.text;
}

class TextRenderer {
  readonly #width: number;
  readonly #color: boolean;
  readonly #digits: number;
  readonly #lines: string[] = [];

  constructor({ width = 80, color = false, digits = 6 }: TextOptions) {
    this.#width = width;
    this.#color = color;
    this.#digits = digits;
  }

  get text(): string {
    return this.#lines.join("\n");
  }

  #paint(style: keyof typeof STYLES, text: string): string {
    return this.#color && text !== "" ? `${ESCAPE}${STYLES[style]}m${text}${ESCAPE}0m` : text;
  }

  #number(value: number, text: string): string {
    return value > 0 ? this.#paint("positive", text) : value < 0 ? this.#paint("negative", text) : text;
  }

  #inline(part: Inline, layer: string | undefined): string {
    if (typeof part === "string") return part;
    if (typeof part === "number") return showNumber(part, this.#digits);
    return formulaText(part, { digits: this.#digits, ...(layer !== undefined && { layer }) });
  }

  blocks(blocks: readonly Block[], indent: number, layer: string | undefined): void {
    let under = 0;
    for (const block of blocks) {
      // Numbers stand under the formula they come from.
      if (block.kind === "formula") under = 2;
      else if (block.kind !== "array") under = 0;
      this.#block(block, block.kind === "array" ? indent + under : indent, layer);
    }
  }

  #block(block: Block, indent: number, layer: string | undefined): void {
    const margin = " ".repeat(indent);
    switch (block.kind) {
      case "section": {
        const { level, title, summary } = block;
        if (this.#lines.length > 0) this.#lines.push("");
        const heading =
          level === 1
            ? title.toUpperCase().replace(/^(WEIGHT|UNIT) .*/, (_, word: string) => word + title.slice(word.length))
            : title;
        this.#lines.push(margin + this.#paint("bold", heading) + (summary ? this.#paint("dim", `  ${summary}`) : ""));
        this.blocks(block.blocks, indent + 2, block.layer ?? layer);
        return;
      }
      case "line":
        this.#wrap(margin, block.parts.map((part) => this.#inline(part, layer)).join(""), "  ");
        return;
      case "formula":
        this.#wrap(margin, this.#inline(block.formula, layer), "    ");
        return;
      case "array":
        this.#array(block, margin, layer);
        return;
      case "table":
        this.#table(block, margin, layer);
        return;
      case "note":
        for (const [i, text] of broken(`! ${block.message}`, this.#width - indent - 2).entries())
          this.#lines.push(margin + (i > 0 ? "  " : "") + this.#paint("warning", text));
        return;
      case "image":
        this.#lines.push("", ...imageLines(block, this.#color).map((text) => `  ${text}`));
        return;
    }
  }

  #wrap(margin: string, text: string, hanging: string): void {
    const lines = broken(text, this.#width - margin.length, hanging.length);
    this.#lines.push(...lines.map((each, i) => margin + (i > 0 ? hanging : "") + each));
  }

  #array(
    { label, shape, values, statistics }: Extract<Block, { kind: "array" }>,
    margin: string,
    layer: string | undefined,
  ): void {
    const name = this.#inline(label, layer);
    if (!values) {
      this.#wrap(margin, `${name} ${showShape(shape)}: ${this.#statistics(statistics)}`, "  ");
      return;
    }
    const texts = values.map((value) => showNumber(value, this.#digits));
    const columns = shape.length > 1 ? shape[shape.length - 1] : values.length;
    const widths = Array.from({ length: columns }, (_, column) =>
      Math.max(...texts.filter((_, i) => i % columns === column).map((text) => text.length)),
    );
    const open = `${name} = [`;
    const rows: string[] = [];
    for (let i = 0; i < texts.length; i += columns) {
      const cells = texts
        .slice(i, i + columns)
        .map((text, column) =>
          this.#number(values[i + column], text.padStart(columns === texts.length ? 0 : widths[column])),
        );
      rows.push(cells.join(", "));
    }
    if (shape.length === 0) this.#lines.push(`${margin}${name} = ${rows[0]}`);
    else if (plainLength(rows[0]) + open.length + margin.length < this.#width) {
      this.#lines.push(
        ...rows.map(
          (row, i) => `${margin}${i === 0 ? open : " ".repeat(open.length)}${row}${i === rows.length - 1 ? "]" : ""}`,
        ),
      );
    } else this.#wrap(margin, `${name} = [${texts.join(", ")}]`, "  ");
  }

  #statistics({ mean, deviation, min, max, zeros, nonFinite, count }: Statistics): string {
    const n = (value: number) => showNumber(value, Math.min(this.#digits, 4));
    const parts = [`mean ${n(mean)}`, `deviation ${n(deviation)}`, `from ${n(min)} to ${n(max)}`];
    if (zeros > 0) parts.push(`${zeros} of ${count} are 0`);
    if (nonFinite > 0) parts.push(`${nonFinite} are not finite`);
    return parts.join(", ");
  }

  #table({ columns, rows, totals }: Table, margin: string, layer: string | undefined): void {
    const hasHeader = columns.some((title) => title !== "");
    const header = columns.map((title) => this.#inline(title, layer));
    const body = [...rows, ...totals].map((row) => row.map((cell) => this.#inline(cell, layer)));
    const all = hasHeader ? [header, ...body] : body;
    const widths = columns.map((_, column) => Math.max(...all.map((row) => row[column].length)));
    const isNumeric = columns.map((_, column) => [...rows, ...totals].some((row) => typeof row[column] === "number"));
    const pad = (text: string, column: number) =>
      isNumeric[column] ? text.padStart(widths[column]) : text.padEnd(widths[column]);
    const put = (texts: string[]) => this.#lines.push(`${margin}  ${texts.join("  ").trimEnd()}`);
    if (hasHeader) put(header.map((text, column) => this.#paint("dim", pad(text, column))));
    const showRow = (row: readonly Inline[], texts: string[]) =>
      put(
        texts.map((text, column) => {
          const cell = row[column];
          return typeof cell === "number" ? this.#number(cell, pad(text, column)) : pad(text, column);
        }),
      );
    for (const [i, row] of rows.entries()) showRow(row, body[i]);
    if (totals.length > 0)
      put(widths.map((width, column) => (column === widths.length - 1 ? "─".repeat(width) : " ".repeat(width))));
    for (const [i, row] of totals.entries()) showRow(row, body[rows.length + i]);
  }
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the escape sequences of colours.
const plainLength = (text: string): number => text.replace(/\u001b\[[\d;]*m/g, "").length;

/** Breaks a line at spaces, rather before an = than elsewhere; lines after the first have `hanging` columns less. */
function broken(text: string, width: number, hanging = 0): string[] {
  const lines: string[] = [];
  let rest = text;
  let room = width;
  while (rest.length > room) {
    const [equals, space] = [rest.lastIndexOf(" = ", room), rest.lastIndexOf(" ", room)];
    const at = equals > room / 3 ? equals : space > 10 ? space : room;
    lines.push(rest.slice(0, at));
    rest = rest.slice(at).trimStart();
    room = width - hanging;
  }
  return [...lines, rest];
}
