/** Formulas as plain text: `dense_1.a = tanh(dense_1.z)`. */
import {
  type BinaryOperator,
  bindingOf,
  type Formula,
  type RenderOptions,
  rightBinding,
  shownLayer,
} from "./formula.ts";
import { showNumber } from "./number.ts";

const SIGNS: Readonly<Record<BinaryOperator, string>> = {
  add: " + ",
  sub: " − ",
  mul: " · ",
  product: " · ",
  div: " / ",
  lt: " < ",
  gt: " > ",
  le: " ≤ ",
  eq: " = ",
};

const SUPERSCRIPTS = ["⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"];

const superscript = (n: number): string =>
  Number.isInteger(n) && n >= 0 ? [...String(n)].map((digit) => SUPERSCRIPTS[Number(digit)]).join("") : `^${n}`;

/**
 * Renders a formula to one line of text.
 *
 * @example
 * formulaText(step.forward[0].results[1].formula); // "tanh(dense_1.z)"
 */
export function formulaText(formula: Formula, options: RenderOptions = {}): string {
  const show = (part: Formula, least = 0): string => {
    const text = formulaText(part, options);
    return bindingOf(part) < least ? `(${text})` : text;
  };
  switch (formula.kind) {
    case "symbol": {
      const { letter, index, prime } = formula;
      const shown = shownLayer(formula, options.layer);
      const name = shown === "" ? letter : `${shown}.${letter}`;
      return `${name}${prime ? "′" : ""}${index && index.length > 0 ? `[${index.join(",")}]` : ""}`;
    }
    case "number":
    case "value":
      return showNumber(formula.value, options.digits);
    case "binary": {
      const { operator, left, right } = formula;
      // A fraction of two numbers is one number to the eye: 1/64.
      if (operator === "div" && left.kind === "number" && right.kind === "number")
        return `${show(left)}/${show(right)}`;
      return show(left, bindingOf(formula)) + SIGNS[operator] + show(right, rightBinding(operator));
    }
    case "neg":
      return `−${show(formula.of, 3.5)}`;
    case "abs":
      return `|${show(formula.of)}|`;
    case "sqrt":
      return `√${bindingOf(formula.of) >= 9 ? show(formula.of) : `(${show(formula.of)})`}`;
    case "transpose":
      return `${show(formula.of, 6)}ᵀ`;
    case "exp":
      return bindingOf(formula.of) >= 9 ? `e^${show(formula.of)}` : `e^(${show(formula.of)})`;
    case "bracket":
      return `[${show(formula.of)}]`;
    case "power":
      return `${show(formula.of, 9)}${superscript(formula.exponent)}`;
    case "call":
      return `${formula.name}(${formula.operands.map((x) => show(x)).join(", ")})`;
    case "sum":
      return `Σ${formula.over ? `[${formula.over}]` : ""} ${show(formula.of, 4)}`;
    case "choice":
      return `${show(formula.yes, 2)} where ${show(formula.condition)}, else ${show(formula.no, 2)}`;
    case "partial":
      return `∂${show(formula.of, 9)}/∂${show(formula.by, 9)}`;
    case "equal":
      return formula.sides.map((side) => show(side)).join(" = ");
  }
}
