/** A trained model as one page of HTML that asks nobody: one draws a picture or types numbers, and sees the answer. */
import { checkOptionNames } from "../../checks.ts";
import { type Shape, sizeOf } from "../../graph/shape.ts";
import type { InferenceModel } from "../../train/inference-model.ts";
import type { WeightType } from "../weights.ts";
import { partsOf } from "./to-module.ts";

/** Options of `toPage`. */
export interface ToPageOptions {
  /** Above the page; `chainrule` unless said. */
  readonly title?: string;
  readonly weights?: WeightType;
}

const escaped = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");

/** Data inside of a script, where no tag may end it. */
const asScript = (value: unknown): string => JSON.stringify(value).replaceAll("<", "\\u003c");

/** The side of grey pictures that can be drawn; undefined for other inputs. */
function drawnSide(shape: Shape): number | undefined {
  const [h, w, channels = 1] = shape;
  if (shape.length >= 2 && h === w && channels === 1 && h >= 8) return h;
  const side = Math.sqrt(sizeOf(shape));
  return shape.length === 1 && Number.isInteger(side) && side >= 20 ? side : undefined;
}

const STYLE = `:root{color-scheme:light dark;--ink:#1c1c1e;--paper:#fff;--soft:#e6e6ea;--bar:#2a6fdb}
@media(prefers-color-scheme:dark){:root{--ink:#eee;--paper:#151517;--soft:#2c2c30;--bar:#6ea8ff}}
*{box-sizing:border-box}body{margin:0;padding:2rem 1rem;font:1rem/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper)}
main{max-width:46rem;margin:auto;display:grid;gap:2rem;grid-template-columns:repeat(auto-fit,minmax(17rem,1fr))}h1{grid-column:1/-1;margin:0;font-size:1.5rem}
canvas{width:100%;max-width:20rem;aspect-ratio:1;border:1px solid var(--soft);border-radius:.5rem;background:#000;touch-action:none;cursor:crosshair}
button,input,textarea{font:inherit;color:inherit;background:var(--paper);border:1px solid var(--soft);border-radius:.4rem;padding:.35rem .7rem}
label{display:grid;grid-template-columns:1fr 8rem;gap:.5rem;align-items:center;margin-bottom:.4rem}textarea{width:100%;min-height:8rem}
output{display:block;font-size:2.5rem;font-weight:600;min-height:3.75rem}table{width:100%;border-spacing:0 .2rem}td{padding:0 .4rem 0 0}td:nth-child(2){width:60%}
.bar{height:1rem;border-radius:.25rem;background:var(--bar);min-width:1px}p{margin:.5rem 0;opacity:.75}`;

/** What is drawn, as the network has learnt pictures: cut out, brought to size, its centre of mass in the middle. */
const DRAWING = `const side = SIDE, canvas = document.querySelector("canvas"), pen = canvas.getContext("2d", { willReadFrequently: true });
pen.lineWidth = 24; pen.lineCap = pen.lineJoin = "round"; pen.strokeStyle = "#fff";
let last;
const at = (e) => { const box = canvas.getBoundingClientRect(); return [((e.clientX - box.left) / box.width) * 320, ((e.clientY - box.top) / box.height) * 320]; };
canvas.onpointerdown = (e) => { last = at(e); canvas.setPointerCapture(e.pointerId); draw(e); };
canvas.onpointermove = (e) => { if (last) draw(e); };
canvas.onpointerup = canvas.onpointercancel = () => { last = undefined; };
function draw(e) { const now = at(e); pen.beginPath(); pen.moveTo(...last); pen.lineTo(...now); pen.stroke(); last = now; answer(); }
document.querySelector("button").onclick = () => { pen.clearRect(0, 0, 320, 320); answer(); };
function given() {
  const { data } = pen.getImageData(0, 0, 320, 320);
  let [left, top, right, bottom] = [320, 320, -1, -1];
  for (let i = 0; i < 320 * 320; i++) if (data[i * 4 + 3] > 40) { const x = i % 320, y = (i / 320) | 0; left = Math.min(left, x); right = Math.max(right, x); top = Math.min(top, y); bottom = Math.max(bottom, y); }
  if (right < 0) return undefined;
  const inner = Math.round((side * 5) / 7), scale = inner / Math.max(right - left + 1, bottom - top + 1);
  const small = new OffscreenCanvas(side, side).getContext("2d", { willReadFrequently: true });
  const put = (dx, dy) => { small.clearRect(0, 0, side, side); small.imageSmoothingQuality = "high"; const w = (right - left + 1) * scale, h = (bottom - top + 1) * scale; small.drawImage(canvas, left, top, right - left + 1, bottom - top + 1, (side - w) / 2 + dx, (side - h) / 2 + dy, w, h); return small.getImageData(0, 0, side, side).data; };
  const first = put(0, 0);
  let [sum, sx, sy] = [0, 0, 0];
  for (let i = 0; i < side * side; i++) { const v = first[i * 4 + 3]; sum += v; sx += v * (i % side); sy += v * ((i / side) | 0); }
  const pixels = put(Math.round(side / 2 - 0.5 - sx / sum), Math.round(side / 2 - 0.5 - sy / sum));
  return Float32Array.from({ length: side * side }, (_, i) => pixels[i * 4 + 3] * FACTOR);
}
`;

const FIELDS = `const fields = [...document.querySelectorAll("input")];
for (const field of fields) field.oninput = answer;
function given() { const x = fields.map((field) => (field.value.trim() === "" ? NaN : Number(field.value))); return x.every(Number.isFinite) ? Float32Array.from(x) : undefined; }
`;

const TEXT = `const area = document.querySelector("textarea");
area.oninput = answer;
function given() { const x = area.value.trim().split(/[\\s,;]+/).map(Number); return x.length === SIZE && x.every(Number.isFinite) ? Float32Array.from(x) : undefined; }
`;

const ANSWER = `const shown = document.querySelector("output"), rows = document.querySelector("tbody");
function answer() {
  const x = given();
  rows.replaceChildren();
  if (!x) { shown.textContent = ""; return; }
  const list = classes ? classify(x)[0].probabilities : [...predict(x)];
  shown.textContent = classes ? classify(x)[0].class : list.map((v) => v.toPrecision(4)).join(", ");
  if (!classes) return;
  for (const [i, p] of list.entries()) {
    const row = rows.insertRow(), [name, bar, share] = [row.insertCell(), row.insertCell(), row.insertCell()];
    name.textContent = classes[i]; share.textContent = (p * 100).toFixed(1) + " %";
    bar.append(Object.assign(document.createElement("div"), { className: "bar" })); bar.firstChild.style.width = p * 100 + "%";
  }
}
`;

/**
 * A model as the text of a page: small grey pictures are drawn, other inputs typed. Everything is in the file; it sends nothing
 * anywhere.
 *
 * @example
 * await writeFileAtomically("digits.html", new TextEncoder().encode(toPage(model, { title: "Digits" })));
 */
export function toPage(model: InferenceModel<unknown>, options: ToPageOptions = {}): string {
  checkOptionNames("toPage", options, ["title", "weights"]);
  const { title = "chainrule", weights = "float32" } = options;
  const { inputShape, classes, code } = partsOf(model, weights);
  const size = sizeOf(inputShape);
  const side = drawnSide(inputShape);
  // Pixels from 0 to 255 where the network scales them itself.
  const scalesItself = ["rescale", "normalize"].includes(model.network.layers[0].kind);
  const { features } = model.details;
  const names = Array.from({ length: size }, (_, i) =>
    Array.isArray(features) && features.length === size ? String(features[i]) : `x${i + 1}`,
  );
  const [form, reading] =
    side !== undefined
      ? [
          '<canvas width="320" height="320" aria-label="Draw here"></canvas><p><button type="button">Clear</button></p>',
          DRAWING.replace("SIDE", `${side}`).replace("FACTOR", scalesItself ? "1" : "(1 / 255)"),
        ]
      : size <= 60
        ? [
            names
              .map(
                (name) => `<label><span>${escaped(name)}</span><input inputmode="decimal" autocomplete="off"></label>`,
              )
              .join("\n"),
            FIELDS,
          ]
        : [
            `<p>${size} numbers of shape [${inputShape.join(", ")}], with spaces or commas between them</p><textarea aria-label="Numbers"></textarea>`,
            TEXT.replace("SIZE", `${size}`),
          ];
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(title)}</title>
<style>${STYLE}</style>
<main>
<h1>${escaped(title)}</h1>
<div>${form}</div>
<div><output aria-live="polite"></output><table><tbody></tbody></table></div>
</main>
<script type="module">
const classes = ${classes ? asScript(classes) : "undefined"};
${code.replaceAll("</", "<\\/")}
${reading}${ANSWER}answer();
</script>
</html>
`;
}
