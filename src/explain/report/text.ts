/** Reports as text that reads well in a terminal: wrapped to its width, numbers coloured by their sign if wanted. */
import { showShape } from "../../graph/shape.ts";
import type { Statistics } from "../description.ts";
import { mapSymbols } from "../formula/formula.ts";
import { showNumber } from "../formula/number.ts";
import { formulaText } from "../formula/text.ts";
import type { Block, Inline, Table } from "./blocks.ts";
import { imageLines } from "./image.ts";

/** Options of `reportText`. */
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

/**
 * Renders a report to text, without a line break at its end.
 *
 * @example
 * console.log(reportText(stepReport(step)));
 */
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

  /** A table as wide as it comes; where that is too wide, with less in it, step by step, until it fits. */
  #table(table: Table, margin: string, layer: string | undefined): void {
    const room = this.#width - margin.length - 2;
    const fewer = Math.min(this.#digits, 4);
    const attempts = [
      { digits: this.#digits, split: false, short: false, gap: "  " },
      { digits: this.#digits, split: true, short: false, gap: "  " },
      { digits: this.#digits, split: true, short: true, gap: "  " },
      { digits: fewer, split: true, short: true, gap: "  " },
      { digits: fewer, split: true, short: true, gap: " " },
    ].map((attempt) => this.#layOut(table, layer, attempt));
    const { header, body, widths, gap } = attempts.find(({ total }) => total <= room) ?? attempts[attempts.length - 1];
    const all = [...table.rows, ...table.totals];
    const isNumeric = widths.map((_, column) => all.some((row) => typeof row[column] === "number"));
    this.#narrow(widths, isNumeric, room - gap.length * (widths.length - 1));
    const pad = (text: string, column: number) => {
      if (isNumeric[column]) return text.padStart(widths[column]);
      const cut = text.length > widths[column] ? `${text.slice(0, widths[column] - 1)}…` : text;
      return column === widths.length - 1 ? cut.trimEnd() : cut.padEnd(widths[column]);
    };
    const put = (texts: string[]) => this.#lines.push(`${margin}  ${texts.join(gap).trimEnd()}`);
    for (const texts of header) put(texts.map((text, column) => this.#paint("dim", pad(text, column))));
    for (const [i, texts] of body.entries()) {
      if (i === table.rows.length) {
        const last = widths.length - 1;
        put(widths.map((width, column) => (column === last ? "─" : " ").repeat(width)));
      }
      put(
        texts.map((text, column) => {
          const cell = all[i][column];
          return typeof cell === "number" ? this.#number(cell, pad(text, column)) : pad(text, column);
        }),
      );
    }
  }

  /** Takes from the widest columns of words what is too much; their cells are cut. */
  #narrow(widths: number[], isNumeric: readonly boolean[], room: number): void {
    const words = [...widths.keys()].filter((column) => !isNumeric[column]);
    for (let over = widths.reduce((a, b) => a + b, 0) - room; over > 0 && words.length > 0; over--) {
      const widest = words.reduce((most, column) => (widths[column] > widths[most] ? column : most));
      if (widths[widest] <= 6) return;
      widths[widest]--;
    }
  }

  /**
   * The table's texts.
   * @param attempt `split`: heads on two lines; `short`: names without their layers
   */
  #layOut(
    { columns, rows, totals }: Table,
    layer: string | undefined,
    { digits, split, short, gap }: { digits: number; split: boolean; short: boolean; gap: string },
  ) {
    const shown = (cell: Inline): string => {
      if (typeof cell === "number") return showNumber(cell, digits);
      if (typeof cell === "string") return cell;
      return this.#inline(short ? mapSymbols(cell, (name) => ({ ...name, layer: "" })) : cell, layer);
    };
    const heads = columns.map(shown);
    const lines = split ? [heads.map(beforeSlash), heads.map((head) => head.slice(beforeSlash(head).length))] : [heads];
    const header = lines.filter((texts) => texts.some((text) => text !== ""));
    const body = [...rows, ...totals].map((row) => row.map(shown));
    const widths = columns.map((_, column) => Math.max(...[...header, ...body].map((row) => row[column].length)));
    return { header, body, widths, gap, total: widths.reduce((sum, width) => sum + width + gap.length, -gap.length) };
  }
}

const beforeSlash = (head: string): string => head.split("/")[0];

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
