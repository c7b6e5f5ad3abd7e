/**
 * Makes formulas from nodes of the graph: an elementwise op shows the very expression that is computed, a structural one
 * the notation of the table below. A node that has a name in the network ends the expansion with that name.
 */
import { fillValue } from "../../graph/leaf.ts";
import { type Node, nameOf } from "../../graph/node.ts";
import { inputScalar, type Scalar, type ScalarFunction } from "../../graph/scalar.ts";
import { type BinaryOperator, binary, type Formula, number, symbol } from "./formula.ts";

/** What a node is called, if it has a name of its own. */
export type Bind = (node: Node) => Formula | undefined;

/** A formula longer than this many parts is shown by the name of its op instead. */
const LONGEST = 80;

const partsOf = (formula: Formula): number => {
  switch (formula.kind) {
    case "symbol":
    case "number":
    case "value":
      return 1;
    case "binary":
      return 1 + partsOf(formula.left) + partsOf(formula.right);
    case "call":
      return 1 + formula.operands.reduce((sum, x) => sum + partsOf(x), 0);
    case "choice":
      return 1 + partsOf(formula.condition) + partsOf(formula.yes) + partsOf(formula.no);
    case "partial":
      return 1;
    case "equal":
      return formula.sides.reduce((sum, x) => sum + partsOf(x), 0);
    default:
      return 1 + partsOf(formula.of);
  }
};

/** The formula of a node's value, in terms of the names that `bind` knows; the node's own name is not used. */
export function formulaOf(node: Node, bind: Bind): Formula {
  const operand = (x: Node): Formula => {
    const bound = bind(x);
    if (bound) return bound;
    const formula = formulaOf(x, bind);
    return partsOf(formula) > LONGEST ? symbol(nameOf(x)) : formula;
  };
  const { meaning } = node.op;
  const value = fillValue(node);
  if (value !== undefined) return constantFormula(value);
  if (meaning.kind === "leaf") return symbol(nameOf(node));
  if (meaning.kind === "view") return operand(node.inputs[0]);
  const operands = node.inputs.map(operand);
  if (meaning.kind === "elementwise") {
    return scalarFormula(meaning.scalar(node.attributes as never, ...operands.map((_, i) => inputScalar(i))), operands);
  }
  const notation = NOTATIONS[node.op.name];
  return notation ? notation(operands, node) : { kind: "call", name: node.op.name, operands };
}

/** 1/64 rather than 0.015625: means divide by counts. */
function constantFormula(value: number): Formula {
  const count = 1 / value;
  // 1 − 0.9 is not quite 0.1, but that is what was meant.
  const decimal = Number(value.toPrecision(12));
  if (decimal.toExponential().split("e")[0].replace("-", "").length <= 5) return number(decimal);
  return Math.abs(count - Math.round(count)) < 1e-9 * Math.abs(count)
    ? binary("div", number(1), number(Math.round(count)))
    : number(value);
}

/** How structural ops are written. One that is missing here is written as a function of its operands. */
const NOTATIONS: Readonly<Record<string, (operands: readonly Formula[], node: Node) => Formula>> = {
  matmul: ([a, b], { attributes: { transposeA, transposeB } }) =>
    binary("product", transposeA ? transposed(a) : a, transposeB ? transposed(b) : b),
  transpose: ([x], { inputs }) =>
    inputs[0].shape.length === 2 ? transposed(x) : { kind: "call", name: "transpose", operands: [x] },
  sum: ([x], { attributes, inputs }) => ({
    kind: "sum",
    over: attributes.from === 0 && attributes.to === 1 && inputs[0].shape.length > 1 ? "rows" : "",
    of: x,
  }),
  softmaxCrossEntropy: ([z, y]) => ({
    kind: "neg",
    of: { kind: "sum", over: "classes", of: binary("mul", y, call("ln", call("softmax", z))) },
  }),
};

const transposed = (of: Formula): Formula => ({ kind: "transpose", of });
const call = (name: string, ...operands: Formula[]): Formula => ({ kind: "call", name, operands });

const INFIX: Partial<Readonly<Record<ScalarFunction, BinaryOperator>>> = {
  add: "add",
  sub: "sub",
  mul: "mul",
  div: "div",
  lt: "lt",
  le: "le",
  eq: "eq",
};

const same = (a: Formula, b: Formula): boolean => a === b || JSON.stringify(a) === JSON.stringify(b);
const isConstantFormula = (f: Formula): boolean =>
  f.kind === "number" || (f.kind === "binary" && f.left.kind === "number" && f.right.kind === "number");
const isNumber = (formula: Formula, value: number): boolean => formula.kind === "number" && formula.value === value;

/** Whether an expression is another one, or 0 where that is too small to matter, which a formula need not say. */
function dropsTiny({ name, operands: [condition, zero, x] }: Scalar & { kind: "apply" }): boolean {
  if (name !== "select" || condition.kind !== "apply" || condition.name !== "lt") return false;
  const [size, bound] = condition.operands;
  const isTiny = bound.kind === "constant" && bound.value < 1e-12 && zero.kind === "constant" && zero.value === 0;
  return isTiny && size.kind === "apply" && size.name === "abs" && size.operands[0] === x;
}

/** A scalar expression, with formulas for its inputs. */
export function scalarFormula(e: Scalar, inputs: readonly Formula[]): Formula {
  if (e.kind === "input") return inputs[e.index];
  if (e.kind === "constant") return constantFormula(e.value);
  if (dropsTiny(e)) return scalarFormula(e.operands[2], inputs);
  const operands = e.operands.map((x) => scalarFormula(x, inputs));
  const [a, b, c] = operands;
  if (e.name === "select") return choice(a, b, c);
  if (e.name === "mul" && same(a, b)) return { kind: "power", of: a, exponent: 2 };
  if (e.name === "add" && same(a, b)) return scaled(2, a);
  if (e.name === "mul" && isNumber(a, 1)) return b;
  if (e.name === "lt" && a.kind === "number" && b.kind !== "number") return binary("gt", b, a);
  // A number goes before what it multiplies.
  if (e.name === "mul" && isConstantFormula(b) && !isConstantFormula(a)) return binary("mul", b, a);
  const operator = INFIX[e.name];
  if (operator) return binary(operator, a, b);
  if (e.name === "neg" || e.name === "abs" || e.name === "sqrt" || e.name === "exp") return { kind: e.name, of: a };
  return { kind: "call", name: FUNCTION_NAMES[e.name] ?? e.name, operands };
}

/** factor · formula, with a number that stands there already taken into the factor. */
const scaled = (factor: number, formula: Formula): Formula => {
  const inner = formula.kind === "binary" && formula.operator === "mul" && formula.left.kind === "number";
  if (!inner) return binary("mul", number(factor), formula);
  const product = factor * (formula.left as { value: number }).value;
  return product === 1 ? formula.right : binary("mul", number(product), formula.right);
};

const FUNCTION_NAMES: Partial<Readonly<Record<ScalarFunction, string>>> = { log: "ln" };

/** Truth values as brackets, [z > 0], as the literature writes derivatives that are 1 here and 0 there. */
function choice(condition: Formula, then: Formula, otherwise: Formula): Formula {
  if (isNumber(then, 1) && isNumber(otherwise, 0)) return { kind: "bracket", of: condition };
  // "where [c] = 0, b, else a" is "where c, a, else b".
  if (condition.kind === "binary" && condition.operator === "eq" && isNumber(condition.right, 0)) {
    const inner = condition.left;
    if (inner.kind === "bracket") return choice(inner.of, otherwise, then);
  }
  if (isNumber(otherwise, 0)) return binary("mul", then, { kind: "bracket", of: condition });
  return { kind: "choice", condition, yes: then, no: otherwise };
}
