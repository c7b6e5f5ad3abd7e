/**
 * Reports as one self-contained HTML page: formulas in MathML, layers that fold, light and dark, usable by keyboard and
 * screen reader, nothing fetched from anywhere.
 */
import { showShape } from "../../graph/shape.ts";
import type { RenderOptions } from "../formula/formula.ts";
import { escapeHtml, formulaMathml } from "../formula/mathml.ts";
import { showNumber } from "../formula/number.ts";
import type { Block, Inline, Table } from "./blocks.ts";

/** Options of `htmlPage`. */
export interface HtmlOptions {
  /** Of the page; "One training step" unless said. */
  readonly title?: string;
  /** Significant digits; 6 unless said. */
  readonly digits?: number;
}

const STYLE = `
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --soft: #5b6570; --line: #d5dae0; --panel: #f5f7f9; --positive: #0b57a4; --negative: #b3261e; --warning: #7a4a00; --focus: #0b57a4; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ed; --paper: #14181d; --soft: #a3adb8; --line: #333b45; --panel: #1c2229; --positive: #7fb8ff; --negative: #ff9a8f; --warning: #f0b75e; --focus: #7fb8ff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 60rem; background: var(--paper); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 .5rem; } h2 { font-size: 1.25rem; margin: 2rem 0 .5rem; border-bottom: 1px solid var(--line); padding-bottom: .2rem; }
h2 small, summary small { font-weight: normal; color: var(--soft); font-size: .85em; margin-left: .4em; }
nav ul { list-style: none; display: flex; flex-wrap: wrap; gap: .3rem 1rem; padding: 0; margin: .5rem 0; }
a { color: var(--focus); } a:focus-visible, summary:focus-visible, button:focus-visible, .scroll:focus-visible { outline: 3px solid var(--focus); outline-offset: 2px; }
.skip { position: absolute; left: -999rem; } .skip:focus { left: 1rem; background: var(--paper); padding: .5rem; }
details { border: 1px solid var(--line); border-radius: .4rem; margin: .6rem 0; padding: 0 .9rem; }
summary { cursor: pointer; font-weight: 600; margin: 0 -.9rem; padding: .45rem .9rem; background: var(--panel); border-radius: .4rem; } details[open] > summary { margin-bottom: .5rem; }
summary h3, summary h4 { display: inline; font-size: 1rem; margin: 0; }
.scroll { overflow: auto hidden; margin: .35rem 0; } math { font-size: 1.1rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; } th, td { padding: .15rem .7rem .15rem 0; text-align: left; vertical-align: baseline; } td.n, th.n { text-align: right; }
thead th { color: var(--soft); font-weight: 500; border-bottom: 1px solid var(--line); } tfoot td { border-top: 1px solid var(--line); }
.positive { color: var(--positive); } .negative { color: var(--negative); }
.array { display: flex; align-items: center; gap: .6rem; } .array table { border-left: 2px solid var(--line); border-right: 2px solid var(--line); padding: 0 .3rem; } .array td { padding: .1rem .45rem; text-align: right; }
.statistics { color: var(--soft); font-size: .92rem; } .note { color: var(--warning); font-weight: 600; } .note::before { content: "! "; }
figure { margin: 1rem 0; } figure svg { width: 11rem; height: auto; image-rendering: pixelated; border: 1px solid var(--line); background: #000; } figcaption { color: var(--soft); font-size: .9rem; }
button { font: inherit; padding: .2rem .7rem; border: 1px solid var(--line); border-radius: .3rem; background: var(--panel); color: inherit; cursor: pointer; }
@media print { nav, .skip, button { display: none; } details { border: 0; } }
`;

const SCRIPT = `for (const button of document.querySelectorAll("button[data-open]")) button.addEventListener("click", () => {
  for (const each of document.querySelectorAll("details")) each.open = button.dataset.open === "true";
});`;

/**
 * Renders a report to a whole HTML page.
 *
 * @example
 * const page = htmlPage(stepReport(step));
 */
export function htmlPage(
  blocks: readonly Block[],
  { title = "One training step", digits = 6 }: HtmlOptions = {},
): string {
  const renderer = new HtmlRenderer(digits);
  const main = renderer.blocks(blocks, {});
  const links = renderer.anchors.map(({ id, text }) => `<li><a href="#${id}">${escapeHtml(text)}</a></li>`).join("");
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<a class="skip" href="#content">Skip to the content</a>
<header>
<h1>${escapeHtml(title)}</h1>
<nav aria-label="Parts of the step"><ul>${links}</ul></nav>
<p><button type="button" data-open="true">Open all</button> <button type="button" data-open="false">Close all</button></p>
</header>
<main id="content">
${main}
</main>
<script>${SCRIPT}</script>
</body>
</html>
`;
}

class HtmlRenderer {
  readonly #digits: number;
  readonly anchors: { id: string; text: string }[] = [];

  constructor(digits: number) {
    this.#digits = digits;
  }

  blocks(blocks: readonly Block[], options: RenderOptions): string {
    return blocks.map((block) => this.#block(block, { ...options, digits: this.#digits })).join("\n");
  }

  #number(value: number): string {
    const text = showNumber(value, this.#digits);
    return value === 0 || Number.isNaN(value)
      ? text
      : `<span class="${value > 0 ? "positive" : "negative"}">${text}</span>`;
  }

  #inline(part: Inline, options: RenderOptions): string {
    if (typeof part === "string") return escapeHtml(part);
    return typeof part === "number" ? this.#number(part) : formulaMathml(part, options);
  }

  #block(block: Block, options: RenderOptions): string {
    switch (block.kind) {
      case "section":
        return this.#section(block, options);
      case "line":
        return `<p>${block.parts.map((part) => this.#inline(part, options)).join("")}</p>`;
      case "formula":
        return scrolling("Formula", formulaMathml(block.formula, options));
      case "array":
        return this.#array(block, options);
      case "table":
        return scrolling("Table", this.#table(block, options));
      case "note":
        return `<p class="note" role="note">${escapeHtml(block.message)}</p>`;
      case "image":
        return imageFigure(block);
    }
  }

  #section(
    { title, summary, level, layer, blocks }: Extract<Block, { kind: "section" }>,
    options: RenderOptions,
  ): string {
    const inside = this.blocks(blocks, layer === undefined ? options : { ...options, layer });
    const small = summary ? ` <small>${escapeHtml(summary)}</small>` : "";
    if (level === 1) {
      const id = `part-${this.anchors.length + 1}`;
      this.anchors.push({ id, text: title });
      return `<section aria-labelledby="${id}">\n<h2 id="${id}">${escapeHtml(title)}${small}</h2>\n${inside}\n</section>`;
    }
    const heading = level === 2 ? "h3" : "h4";
    return `<details${level === 2 ? " open" : ""}>\n<summary><${heading}>${escapeHtml(title)}</${heading}>${small}</summary>\n${inside}\n</details>`;
  }

  #array({ label, shape, values, statistics }: Extract<Block, { kind: "array" }>, options: RenderOptions): string {
    const name = formulaMathml(label, options);
    if (values && shape.length === 0) return `<p class="array">${name} = ${this.#number(values[0])}</p>`;
    if (values) {
      const columns = shape.length > 1 ? shape[shape.length - 1] : values.length;
      const rows: string[] = [];
      for (let i = 0; i < values.length; i += columns) {
        rows.push(
          `<tr>${values
            .slice(i, i + columns)
            .map((v) => `<td>${this.#number(v)}</td>`)
            .join("")}</tr>`,
        );
      }
      return scrolling("Values", `<div class="array">${name} = <table><tbody>${rows.join("")}</tbody></table></div>`);
    }
    const { mean, deviation, min, max, zeros, nonFinite, count } = statistics;
    const n = (value: number) => showNumber(value, 4);
    const parts = [`mean ${n(mean)}`, `deviation ${n(deviation)}`, `from ${n(min)} to ${n(max)}`];
    if (zeros > 0) parts.push(`${zeros} of ${count} are 0`);
    if (nonFinite > 0) parts.push(`${nonFinite} are not finite`);
    return `<p class="statistics">${name} ${showShape(shape)}: ${parts.join(", ")}</p>`;
  }

  #table({ columns, rows, totals }: Table, options: RenderOptions): string {
    const numeric = columns.map((_, i) => [...rows, ...totals].some((row) => typeof row[i] === "number"));
    const cell = (part: Inline, i: number) =>
      `<td${numeric[i] ? ' class="n"' : ""}>${this.#inline(part, options)}</td>`;
    const body = (list: typeof rows) => list.map((row) => `<tr>${row.map(cell).join("")}</tr>`).join("");
    const head = columns.some((column) => column !== "")
      ? `<thead><tr>${columns.map((part, i) => `<th scope="col"${numeric[i] ? ' class="n"' : ""}>${this.#inline(part, options)}</th>`).join("")}</tr></thead>`
      : "";
    return `<table>${head}<tbody>${body(rows)}</tbody>${totals.length > 0 ? `<tfoot>${body(totals)}</tfoot>` : ""}</table>`;
  }
}

/** What is wider than the page scrolls by itself, also by keyboard. */
const scrolling = (label: string, inside: string): string =>
  `<div class="scroll" tabindex="0" role="group" aria-label="${label}">${inside}</div>`;

function imageFigure({ title, width, height, pixels }: Extract<Block, { kind: "image" }>): string {
  const cells = pixels.flatMap((value, i) => {
    if (value <= 0) return [];
    const level = Math.round(value * 255);
    return `<rect x="${i % width}" y="${Math.floor(i / width)}" width="1" height="1" fill="rgb(${level},${level},${level})"/>`;
  });
  return `<figure><svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeHtml(title)}, ${width} by ${height} pixels" shape-rendering="crispEdges">${cells.join("")}</svg><figcaption>${escapeHtml(title)}</figcaption></figure>`;
}
