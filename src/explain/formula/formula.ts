/**
 * Formulas as data: a small tree that renders to plain text, LaTeX and MathML. Formulas are made from nodes of the graph
 * or from numbers, never parsed from strings, so what is shown is what was computed.
 */

/** A name from the user's own network: `dense_1.z[3, 5]`, with ′ for a value after the update. */
export interface SymbolFormula {
  readonly kind: "symbol";
  /** `z`, `kernel`, `m`; `L` is the loss. */
  readonly letter: string;
  /** The layer it belongs to; empty for the input, the target, the loss and numbers of the optimiser. */
  readonly layer: string;
  /** One element of it. */
  readonly index?: readonly number[];
  readonly prime?: boolean;
}

export type BinaryOperator = "add" | "sub" | "mul" | "div" | "product" | "lt" | "gt" | "le" | "eq";

/** A formula as data; `formulaText`, `formulaLatex` and `formulaMathml` write it. */
export type Formula =
  | SymbolFormula
  /** `number` is part of the formula itself; `value` stands in the place of a name. */
  | { readonly kind: "number" | "value"; readonly value: number }
  /** `product` is the matrix product, `mul` goes element by element. */
  | { readonly kind: "binary"; readonly operator: BinaryOperator; readonly left: Formula; readonly right: Formula }
  | { readonly kind: "neg" | "abs" | "sqrt" | "transpose" | "exp" | "bracket"; readonly of: Formula }
  | { readonly kind: "power"; readonly of: Formula; readonly exponent: number }
  | { readonly kind: "call"; readonly name: string; readonly operands: readonly Formula[] }
  /** The sum of something over something: `Σ over the batch`. */
  | { readonly kind: "sum"; readonly over: string; readonly of: Formula }
  /** `yes` where the condition holds, else `no`. */
  | { readonly kind: "choice"; readonly condition: Formula; readonly yes: Formula; readonly no: Formula }
  | { readonly kind: "partial"; readonly of: Formula; readonly by: Formula }
  /** left = right = right = … */
  | { readonly kind: "equal"; readonly sides: readonly Formula[] };

export const symbol = (letter: string, layer = "", index?: readonly number[]): SymbolFormula => ({
  kind: "symbol",
  letter,
  layer,
  ...(index && { index }),
});

export const number = (value: number): Formula => ({ kind: "number", value });

/** The number that a name has, for a formula with its numbers put in. */
export const value = (value: number): Formula => ({ kind: "value", value });

export const binary = (operator: BinaryOperator, left: Formula, right: Formula): Formula => ({
  kind: "binary",
  operator,
  left,
  right,
});

export const partial = (of: Formula, by: Formula): Formula => ({ kind: "partial", of, by });

export const equal = (...sides: readonly Formula[]): Formula => ({ kind: "equal", sides });

/** a + b + c …; 0 if there is nothing to add. */
export const total = (terms: readonly Formula[]): Formula =>
  terms.length === 0 ? number(0) : terms.reduce((left, right) => binary("add", left, right));

/** a · b · c …; 1 if there is nothing to multiply. */
export const times = (factors: readonly Formula[]): Formula =>
  factors.length === 0 ? number(1) : factors.reduce((left, right) => binary("mul", left, right));

/** How tightly a formula binds: a part that binds less than its place needs stands in parentheses. */
export function bindingOf(formula: Formula): number {
  switch (formula.kind) {
    case "equal":
      return 0;
    case "choice":
      return 1;
    case "binary":
      return BINDING[formula.operator];
    case "sum":
      return 3.5;
    case "neg":
      return 3.4;
    case "number":
    case "value":
      return formula.value < 0 || Object.is(formula.value, -0) ? 3.5 : 9;
    case "partial":
      return 5;
    case "power":
    case "transpose":
    case "exp":
      return 6;
    default:
      return 9;
  }
}

const BINDING: Readonly<Record<BinaryOperator, number>> = {
  lt: 2,
  gt: 2,
  le: 2,
  eq: 2,
  add: 3,
  sub: 3,
  mul: 4,
  product: 4,
  div: 4,
};

/** What the right operand of an operator must bind like, not to need parentheses: a − (b + c), a / (b · c). */
export const rightBinding = (operator: BinaryOperator): number =>
  operator === "sub" || operator === "div" ? BINDING[operator] + 1 : operator === "add" ? 3.5 : BINDING[operator] + 0.5;

/** How formulas are shown. */
export interface RenderOptions {
  /** Significant digits of numbers; 6 unless said. */
  readonly digits?: number;
  /** The layer being told of: its own names go without it, `z` instead of `dense_1.z`. */
  readonly layer?: string;
}

/** The part of a symbol's layer that has to be shown: none where it is the layer being told of. */
export const shownLayer = ({ layer }: SymbolFormula, told: string | undefined): string =>
  told !== undefined && (layer === told || layer.startsWith(`${told}.`)) ? "" : layer;

/** The formula with other symbols in the places of its own. */
export function mapSymbols(formula: Formula, change: (symbol: SymbolFormula) => SymbolFormula): Formula {
  const map = (part: Formula): Formula => mapSymbols(part, change);
  switch (formula.kind) {
    case "symbol":
      return change(formula);
    case "number":
    case "value":
      return formula;
    case "binary":
      return { ...formula, left: map(formula.left), right: map(formula.right) };
    case "call":
      return { ...formula, operands: formula.operands.map(map) };
    case "choice":
      return { ...formula, condition: map(formula.condition), yes: map(formula.yes), no: map(formula.no) };
    case "partial":
      return { ...formula, of: map(formula.of), by: map(formula.by) };
    case "equal":
      return { ...formula, sides: formula.sides.map(map) };
    default:
      return { ...formula, of: map(formula.of) };
  }
}

/** Whether a formula has no superscript of its own yet, so that another one can be put on it without parentheses. */
export const bindsSuperscript = (formula: Formula, { layer }: RenderOptions): boolean =>
  formula.kind !== "symbol" || (shownLayer(formula, layer) === "" && !formula.prime);
