/** The views of a step: formulas in three notations, text, HTML, LaTeX, Mermaid, DOT. */
import { dense, sequential, sgd } from "chainrule";
import {
  type Block,
  dot,
  type Explanation,
  explain,
  type Formula,
  formulaLatex,
  formulaMathml,
  formulaText,
  htmlPage,
  latexDocument,
  mermaid,
  planReport,
  reportText,
  showNumber,
  stepReport,
  unitReport,
  weightReport,
} from "chainrule/explain";
import { beforeAll, expect, test } from "vitest";
import { binary, equal, number, partial, symbol } from "../../src/explain/formula/formula.ts";

let step: Explanation;
let report: readonly Block[];
beforeAll(async () => {
  const model = sequential({ input: [3], seed: 1 }, [dense(2, { activation: "tanh" }), dense(2)]);
  const batch = {
    x: [
      [0.5, 0.2, 0.1],
      [1, -1, 0],
    ],
    y: [0, 1],
  };
  step = await explain(model, batch, { loss: "crossEntropy", optimizer: sgd({ learningRate: 0.1, momentum: 0.9 }) });
  const weight = weightReport(step.weight("dense_1.kernel", [0, 1], { follow: 2 }));
  report = [...stepReport(step), ...unitReport(step.unit("dense_1", 1)), ...weight, ...planReport(step.plan())];
});

const z = symbol("z", "dense_1");
const FORMULAS: [Formula, string, string][] = [
  [equal(z, number(-0.5)), "dense_1.z = −0.5", "z^{\\text{dense\\_1}} = -0.5"],
  [
    binary("sub", number(1), binary("add", z, number(2))),
    "1 − (dense_1.z + 2)",
    "1 - \\left(z^{\\text{dense\\_1}} + 2\\right)",
  ],
  [binary("mul", z, number(-2)), "dense_1.z · (−2)", "z^{\\text{dense\\_1}} \\cdot \\left(-2\\right)"],
  [
    binary("div", z, binary("mul", z, z)),
    "dense_1.z / (dense_1.z · dense_1.z)",
    "\\frac{z^{\\text{dense\\_1}}}{z^{\\text{dense\\_1}} \\cdot z^{\\text{dense\\_1}}}",
  ],
  [
    { kind: "power", of: binary("add", z, number(1)), exponent: 2 },
    "(dense_1.z + 1)²",
    "{\\left(z^{\\text{dense\\_1}} + 1\\right)}^{2}",
  ],
  [
    partial(symbol("L"), symbol("kernel", "dense_1", [3, 5])),
    "∂L/∂dense_1.kernel[3,5]",
    "\\frac{\\partial L}{\\partial \\mathrm{kernel}^{\\text{dense\\_1}}_{3,5}}",
  ],
  [{ kind: "transpose", of: symbol("a", "dense_1") }, "dense_1.aᵀ", "{\\left(a^{\\text{dense\\_1}}\\right)}^{\\top}"],
  [number(1.5e-9), "1.5e−9", "1.5 \\cdot 10^{-9}"],
];

test.each(FORMULAS)("%# in text and LaTeX", (formula, text, latex) => {
  expect(formulaText(formula)).toBe(text);
  expect(formulaLatex(formula)).toBe(latex);
});

test("in the layer that is told of, names go without it", () => {
  expect(formulaText(z, { layer: "dense_1" })).toBe("z");
  expect(formulaLatex(z, { layer: "dense_1" })).toBe("z");
  expect(formulaMathml(z, { layer: "dense_1" })).toContain("<mi>z</mi></math>");
});

test.each([
  [0.1 + 0.2, 6, "0.3"],
  [-0.0941494123, 6, "−0.0941494"],
  [1234567, 6, "1.23457e6"],
  [123456, 3, "123456"],
  [0.000012345, 3, "1.23e−5"],
  [Number.NaN, 6, "NaN"],
  [Number.NEGATIVE_INFINITY, 6, "−∞"],
])("%f to %i digits is %s", (value, digits, text) => {
  expect(showNumber(value, digits)).toBe(text);
});

test("formulas bind the net's own names, read from the graph", () => {
  const [first] = step.forward;
  expect(first.results.map(({ formula }) => formulaText(formula, { layer: "dense_1" }))).toEqual([
    "x · kernel + bias",
    "tanh(z)",
  ]);
  expect(first.derivatives.map(({ formula }) => formulaText(formula, { layer: "dense_1" }))).toEqual(["1 − a²"]);
  expect(step.backward[1].parameters.map(({ formula }) => formulaText(formula, { layer: "dense_1" }))).toEqual([
    "xᵀ · ∂L/∂z",
    "Σ[rows] ∂L/∂z",
  ]);
  expect(step.update[0].formulas.map((formula) => formulaText(formula, { layer: "dense_1" }))).toEqual([
    "velocity′ = 0.9 · velocity + ∂L/∂kernel",
    "kernel′ = kernel − learningRate · velocity′",
  ]);
});

test("the report fits into 80 columns, and into 60", () => {
  for (const width of [80, 60]) {
    for (const line of reportText(report, { width }).split("\n")) expect(line.length).toBeLessThanOrEqual(width);
  }
});

test("colours change nothing but the colours", () => {
  const coloured = reportText(report, { color: true });
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the escape sequences of colours.
  expect(coloured.replace(/\u001b\[[\d;]*m/g, "")).toBe(reportText(report));
  expect(coloured).toContain("\u001b[31m−");
});

test("the page is whole, fetches nothing, and every tag is closed", () => {
  const page = htmlPage(report, { title: "A <step> & more" });
  expect(page).toContain("<title>A &lt;step&gt; &amp; more</title>");
  const withoutNames = page.replaceAll("http://www.w3.org/1998/Math/MathML", "");
  expect(withoutNames).not.toMatch(/https?:|src=|url\(|@import/);
  const open: string[] = [];
  const body = page.slice(page.indexOf("<body>"), page.indexOf("</html>")).replace(/<script>[\s\S]*?<\/script>/g, "");
  for (const [, closing, name, empty] of body.matchAll(/<(\/?)([a-z0-9]+)[^>]*?(\/?)>/g)) {
    if (empty) continue;
    if (!closing) open.push(name);
    else expect(open.pop()).toBe(name);
  }
  expect(open).toEqual([]);
  expect(page).toContain('<html lang="en">');
});

test("LaTeX environments are closed and its braces balance", () => {
  const document = latexDocument(report);
  const open: string[] = [];
  for (const [, kind, name] of document.matchAll(/\\(begin|end)\{([a-z*]+)\}/g)) {
    if (kind === "begin") open.push(name);
    else expect(open.pop()).toBe(name);
  }
  expect(open).toEqual([]);
  const braces = document.replaceAll(/\\[{}]/g, "");
  expect(braces.split("{").length).toBe(braces.split("}").length);
  expect([...document].filter((character) => character > "~")).toEqual([]);
});

test("the graph as Mermaid and DOT: layers, shapes, both passes, values on request", () => {
  const drawn = mermaid(step);
  expect(drawn).toMatch(/^flowchart TD/);
  expect(drawn).toContain("subgraph g");
  expect(drawn).toContain("dense_1.a<br>tanh<br>[2, 2]");
  expect(drawn).toContain('["dense_1, backward"]');
  expect(drawn).not.toContain("…");
  expect(mermaid(step, { values: true })).toContain("…");
  const nodes = new Set([...drawn.matchAll(/^ +(n\d+)[[(]/gm)].map((match) => match[1]));
  for (const [, from, to] of drawn.matchAll(/(n\d+) --> (n\d+)/g)) expect(nodes.has(from) && nodes.has(to)).toBe(true);
  const graph = dot(step, { phases: ["forward"] });
  expect(graph).toMatch(/^digraph step \{/);
  expect(graph).not.toContain("backward");
  expect(graph.split("{").length).toBe(graph.split("}").length);
});
