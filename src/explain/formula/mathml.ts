/** Formulas as MathML Core, which browsers show and screen readers read aloud. */
import {
  type BinaryOperator,
  bindingOf,
  bindsSuperscript,
  type Formula,
  type RenderOptions,
  rightBinding,
  shownLayer,
} from "./formula.ts";
import { scientific } from "./number.ts";

const SIGNS: Readonly<Record<BinaryOperator, string>> = {
  add: "+",
  sub: "−",
  mul: "·",
  product: "·",
  div: "/",
  lt: "&lt;",
  gt: "&gt;",
  le: "≤",
  eq: "=",
};

/** Makes text safe inside HTML and MathML. */
export const escapeHtml = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");

const mo = (sign: string): string => `<mo>${sign}</mo>`;
const mi = (name: string): string => `<mi>${escapeHtml(name)}</mi>`;
const row = (...parts: string[]): string => `<mrow>${parts.join("")}</mrow>`;
const fenced = (inside: string, [open, close] = ["(", ")"]): string => row(mo(open), inside, mo(close));

function body(formula: Formula, options: RenderOptions): string {
  const show = (part: Formula, least = 0): string => {
    const inside = body(part, options);
    return bindingOf(part) < least ? fenced(inside) : inside;
  };
  switch (formula.kind) {
    case "symbol": {
      const { letter, index, prime } = formula;
      const shown = shownLayer(formula, options.layer);
      const above = [...(prime ? [mo("′")] : []), ...(shown === "" ? [] : [`<mtext>${escapeHtml(shown)}</mtext>`])];
      const below = index && index.length > 0 ? row(`<mn>${index.join(",")}</mn>`) : "";
      const upper = above.length > 0 ? row(...above) : "";
      if (upper && below) return `<msubsup>${mi(letter)}${below}${upper}</msubsup>`;
      if (upper) return `<msup>${mi(letter)}${upper}</msup>`;
      return below ? `<msub>${mi(letter)}${below}</msub>` : mi(letter);
    }
    case "number":
    case "value": {
      const { mantissa, exponent } = scientific(formula.value, options.digits);
      const negative = mantissa.startsWith("−");
      const digits = `<mn>${negative ? mantissa.slice(1) : mantissa}</mn>`;
      const power =
        exponent === undefined
          ? ""
          : `${mo("·")}<msup><mn>10</mn><mn>${String(exponent).replace("-", "−")}</mn></msup>`;
      return negative || power ? row(negative ? mo("−") : "", digits, power) : digits;
    }
    case "binary": {
      const { operator, left, right } = formula;
      if (operator === "div") return `<mfrac>${row(show(left))}${row(show(right))}</mfrac>`;
      return row(show(left, bindingOf(formula)), mo(SIGNS[operator]), show(right, rightBinding(operator)));
    }
    case "neg":
      return row(mo("−"), show(formula.of, 3.5));
    case "abs":
      return fenced(show(formula.of), ["|", "|"]);
    case "sqrt":
      return `<msqrt>${show(formula.of)}</msqrt>`;
    case "transpose":
      return `<msup>${row(show(formula.of, bindsSuperscript(formula.of, options) ? 6 : 10))}<mo>⊤</mo></msup>`;
    case "exp":
      return `<msup><mi>e</mi>${row(show(formula.of))}</msup>`;
    case "bracket":
      return fenced(show(formula.of), ["[", "]"]);
    case "power":
      return `<msup>${row(show(formula.of, 9))}<mn>${formula.exponent}</mn></msup>`;
    case "call": {
      const operands = formula.operands.map((x) => show(x)).join(mo(","));
      return row(mi(formula.name), "<mo>&#x2061;</mo>", fenced(operands));
    }
    case "sum": {
      const sign = formula.over ? `<munder><mo>∑</mo><mtext>${escapeHtml(formula.over)}</mtext></munder>` : mo("∑");
      return row(sign, show(formula.of, 4));
    }
    case "choice": {
      const line = (value: Formula, when: string) => `<mtr><mtd>${show(value)}</mtd><mtd>${when}</mtd></mtr>`;
      const cases = line(formula.yes, row("<mtext>if </mtext>", show(formula.condition)));
      return row(mo("{"), `<mtable>${cases}${line(formula.no, "<mtext>else</mtext>")}</mtable>`);
    }
    case "partial":
      return `<mfrac>${row(mo("∂"), show(formula.of, 9))}${row(mo("∂"), show(formula.by, 9))}</mfrac>`;
    case "equal":
      return row(formula.sides.map((side) => show(side)).join(mo("=")));
  }
}

/**
 * Renders a formula to a `<math>` element.
 *
 * @example
 * formulaMathml(step.loss.formula, { digits: 4 });
 */
export const formulaMathml = (formula: Formula, options: RenderOptions = {}): string =>
  `<math xmlns="http://www.w3.org/1998/Math/MathML">${body(formula, options)}</math>`;
