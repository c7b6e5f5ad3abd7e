/** Formulas as LaTeX, for amsmath: `a^{\text{dense\_1}} = \tanh\left(z^{\text{dense\_1}}\right)`. */
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
  add: " + ",
  sub: " - ",
  mul: " \\cdot ",
  product: "\\,",
  div: "/",
  lt: " < ",
  gt: " > ",
  le: " \\le ",
  eq: " = ",
};

/** Functions that LaTeX has a command for. */
const FUNCTIONS = new Set(["tanh", "max", "min", "exp", "log", "ln"]);

/** Signs that plain LaTeX fonts lack, in words of mathematics. */
const MATHEMATICAL: Readonly<Record<string, string>> = {
  "→": "\\to",
  "−": "-",
  "∂": "\\partial",
  ε: "\\varepsilon",
  "·": "\\cdot",
  Σ: "\\sum",
  "′": "'",
  "∞": "\\infty",
  "≥": "\\ge",
  "≤": "\\le",
  "²": "^2",
  "<": "<",
  ">": ">",
  "|": "|",
};

/** Makes text safe in LaTeX's text mode. */
export const escapeLatex = (text: string): string =>
  text.replace(/[\\{}_$&#%^~]|[→−∂ε·Σ′∞≥≤²<>|]/g, (c) => {
    if (Object.hasOwn(MATHEMATICAL, c)) return `$${MATHEMATICAL[c]}$`;
    return c === "\\" ? "\\textbackslash{}" : c === "^" || c === "~" ? `\\${c}{}` : `\\${c}`;
  });

const word = (text: string): string => (text.length === 1 ? text : `\\mathrm{${escapeLatex(text)}}`);

/**
 * Renders a formula to LaTeX, without the dollars.
 *
 * @example
 * formulaLatex(step.loss.formula);
 */
export function formulaLatex(formula: Formula, options: RenderOptions = {}): string {
  const show = (part: Formula, least = 0): string => {
    const text = formulaLatex(part, options);
    return bindingOf(part) < least ? `\\left(${text}\\right)` : text;
  };
  switch (formula.kind) {
    case "symbol": {
      const { letter, index, prime } = formula;
      const shown = shownLayer(formula, options.layer);
      const upper = [prime ? "\\prime" : "", shown === "" ? "" : `\\text{${escapeLatex(shown)}}`];
      const above = upper.filter((part) => part !== "").join("\\,");
      return `${word(letter)}${above && `^{${above}}`}${index && index.length > 0 ? `_{${index.join(",")}}` : ""}`;
    }
    case "number":
    case "value": {
      const { mantissa, exponent } = scientific(formula.value, options.digits);
      const digits = mantissa.replace("−", "-").replace("∞", "\\infty").replace("NaN", "\\mathrm{NaN}");
      return exponent === undefined ? digits : `${digits} \\cdot 10^{${exponent}}`;
    }
    case "binary": {
      const { operator, left, right } = formula;
      if (operator === "div") return `\\frac{${show(left)}}{${show(right)}}`;
      return show(left, bindingOf(formula)) + SIGNS[operator] + show(right, rightBinding(operator));
    }
    case "neg":
      return `-${show(formula.of, 3.5)}`;
    case "abs":
      return `\\left|${show(formula.of)}\\right|`;
    case "sqrt":
      return `\\sqrt{${show(formula.of)}}`;
    case "transpose":
      return `{${show(formula.of, bindsSuperscript(formula.of, options) ? 6 : 10)}}^{\\top}`;
    case "exp":
      return `e^{${show(formula.of)}}`;
    case "bracket":
      return `\\left[${show(formula.of)}\\right]`;
    case "power":
      return `{${show(formula.of, 9)}}^{${formula.exponent}}`;
    case "call": {
      const name = FUNCTIONS.has(formula.name) ? `\\${formula.name}` : `\\operatorname{${escapeLatex(formula.name)}}`;
      return `${name}\\left(${formula.operands.map((x) => show(x)).join(", ")}\\right)`;
    }
    case "sum":
      return `\\sum${formula.over ? `_{\\text{${escapeLatex(formula.over)}}}` : ""} ${show(formula.of, 4)}`;
    case "choice":
      return `\\begin{cases}${show(formula.yes)} & \\text{if } ${show(formula.condition)}\\\\${show(formula.no)} & \\text{else}\\end{cases}`;
    case "partial":
      return `\\frac{\\partial ${show(formula.of, 9)}}{\\partial ${show(formula.by, 9)}}`;
    case "equal":
      return formula.sides.map((side) => show(side)).join(" = ");
  }
}
