// Draws what a terminal shows as an SVG, for the README: `tmux capture-pane -ep | node scripts/terminal-to-svg.mjs > x.svg`.
// Knows the colours and styles (SGR) that the command uses, and nothing else of terminals.
import { readFileSync } from "node:fs";

const COLOURS = {
  31: "#e06c75",
  32: "#98c379",
  33: "#e5c07b",
  34: "#61afef",
  35: "#c678dd",
  36: "#56b6c2",
  90: "#7f848e",
};
const [CELL, LINE, MARGIN] = [8.4, 19, 20];

const ESCAPES = new RegExp(`(${String.fromCharCode(27)}\\[[\\d;]*m)`);
const encode = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(" ", "\u00a0");
const lines = readFileSync(0, "utf8").trimEnd().split("\n");

// A style lasts until another code changes it, over line ends too.
let style = {};
const spans = lines.map((line) => {
  let column = 0;
  const parts = [];
  // Text and escape sequences in turn.
  for (const piece of line.split(ESCAPES)) {
    if (piece.startsWith("\u001b")) {
      for (const code of piece.slice(2, -1).split(";").map(Number)) {
        if (code === 0) style = {};
        else if (code === 1) style = { ...style, bold: true };
        else if (code === 2) style = { ...style, dim: true };
        else if (code === 22) style = { ...style, bold: false, dim: false };
        else if (code === 39) style = { ...style, fill: undefined };
        else if (COLOURS[code]) style = { ...style, fill: COLOURS[code] };
      }
    } else if (piece) {
      const fill = style.fill ?? (style.dim ? "#7f848e" : undefined);
      const attributes = `${fill ? ` fill="${fill}"` : ""}${style.bold ? ' font-weight="bold"' : ""}`;
      if (piece.trim())
        parts.push(`<tspan x="${(MARGIN + column * CELL).toFixed(1)}"${attributes}>${encode(piece)}</tspan>`);
      column += [...piece].length;
    }
  }
  return parts.join("");
});

const width = 80 * CELL + 2 * MARGIN;
const height = lines.length * LINE + 2 * MARGIN;
const rows = spans
  .map((row, i) => (row ? `<text y="${MARGIN + (i + 1) * LINE - 5}">${row}</text>` : ""))
  .filter(Boolean);
console.log(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">
<title>${encode(process.argv[2] ?? "A terminal")}</title>
<rect width="100%" height="100%" rx="8" fill="#21252b"/>
<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="14" fill="#d7dae0">
${rows.join("\n")}
</g>
</svg>`);
