/** Operators that multiply matrices. */
import { constant } from "../../../graph/leaf.ts";
import type { Node } from "../../../graph/node.ts";
import { sizeOf } from "../../../graph/shape.ts";
import {
  abs,
  add,
  argmax,
  broadcastTo,
  div,
  equal,
  matmul,
  mul,
  oneHot,
  reshape,
  select,
  slice,
  sub,
  sum,
  transpose,
} from "../../../ops/index.ts";
import type { Call, Operators } from "../call.ts";
import { Value } from "../value.ts";
import { matrixProduct } from "./idioms.ts";
import { coordinatesOf, pick, placeOf, range, rowNumbers } from "./moving.ts";

/** Products as NumPy has them: an operand of one axis is a row on the left, a column on the right. */
export function product(a: Node, b: Node): Node {
  const [row, column] = [a.shape.length === 1, b.shape.length === 1];
  const y = matrixProduct(row ? reshape(a, [1, a.shape[0]]) : a, column ? reshape(b, [b.shape[0], 1]) : b);
  const shape = y.shape.filter(
    (_, axis) => !(row && axis === y.shape.length - 2) && !(column && axis === y.shape.length - 1),
  );
  return reshape(y, shape);
}

/** α · A · B + β · C, with A and B transposed if wanted. */
function gemm(call: Call): Value {
  const scaled = (x: Node, factor: number): Node => (factor === 1 ? x : mul(factor, x));
  const transposes = { transposeA: call.number("transA", 0) !== 0, transposeB: call.number("transB", 0) !== 0 };
  const y = scaled(matmul(call.operand(0), call.operand(1), transposes), call.number("alpha", 1));
  const c = call.optional(2);
  const beta = call.number("beta", 1);
  return new Value(c && beta !== 0 ? add(y, scaled(c.node, beta)) : y, call.value(0).type);
}

/** An operand with the axes that stand for one letter twice replaced by the diagonal. */
function withoutRepeats(x: Node, letters: string): { node: Node; letters: string } {
  const own = [...new Set(letters)];
  if (own.length === letters.length) return { node: x, letters };
  const sizes = own.map((letter) => x.shape[letters.indexOf(letter)]);
  const places = range(sizeOf(sizes)).map((i) => {
    const at = coordinatesOf(i, sizes);
    return placeOf(
      [...letters].map((letter) => at[own.indexOf(letter)]),
      x.shape,
    );
  });
  return { node: reshape(pick(x, rowNumbers(places)), sizes), letters: own.join("") };
}

/** An operand with axes in the order of `letters`, ones for those that it lacks. */
function spread(operand: { node: Node; letters: string }, letters: string): Node {
  const own = [...letters].filter((letter) => operand.letters.includes(letter));
  const ordered = transpose(
    operand.node,
    own.map((letter) => operand.letters.indexOf(letter)),
  );
  return reshape(
    ordered,
    [...letters].map((letter) => (own.includes(letter) ? operand.node.shape[operand.letters.indexOf(letter)] : 1)),
  );
}

/** Σ of products over the letters that the result does not have. Two operands make a batch of matrix products. */
function einsum(call: Call): Value {
  const equation = call.text("equation", "").replaceAll(" ", "");
  const [left, right] = equation.split("->");
  const terms = left.split(",");
  const values = call.inputs.map((_, i) => call.operand(i));
  // The axes of an ellipsis get letters that no equation has, aligned at the last.
  const rest = Math.max(
    0,
    ...terms.map((term, i) => (term.includes("...") ? values[i].shape.length - term.length + 3 : 0)),
  );
  const dots = range(rest).map((i) => String.fromCharCode(0x391 + i));
  const named = (term: string, rank = rest): string => term.replace("...", dots.slice(rest - rank).join(""));
  const operands = values.map((node, i) =>
    withoutRepeats(node, named(terms[i], node.shape.length - terms[i].length + 3)),
  );
  const all = [...new Set(operands.flatMap(({ letters }) => [...letters]))];
  const once = all.filter((letter) => left.split(letter).length === 2 && !dots.includes(letter)).sort();
  const wanted = right === undefined ? dots.join("") + once.join("") : named(right);
  const summed = all.filter((letter) => !wanted.includes(letter)).join("");
  if (operands.length !== 2) {
    const letters = wanted + summed;
    const factors = operands.map((operand) => spread(operand, letters));
    const axes = range(letters.length).slice(wanted.length);
    const whole = factors.reduce((a, b) => mul(a, b));
    return new Value(axes.length > 0 ? sum(whole, axes) : whole, call.value(0).type);
  }
  const [a, b] = operands;
  const inBoth = (letter: string): boolean => a.letters.includes(letter) && b.letters.includes(letter);
  const batch = [...wanted].filter(inBoth).join("");
  const rows = [...wanted].filter((letter) => !b.letters.includes(letter)).join("");
  const columns = [...wanted].filter((letter) => !a.letters.includes(letter)).join("");
  const inner = [...summed].filter(inBoth).join("");
  // What only one operand has, and the result has not, is summed up before.
  const ready = (operand: typeof a, order: string): Node => {
    const alone = [...operand.letters].filter((letter) => !order.includes(letter)).join("");
    const node = spread(operand, order + alone);
    return alone ? sum(node, range(order.length + alone.length).slice(order.length)) : node;
  };
  const sizes = (node: Node, order: string, part: string): number[] =>
    [...part].map((letter) => node.shape[order.indexOf(letter)]);
  const [x, y] = [ready(a, batch + rows + inner), ready(b, batch + inner + columns)];
  const of = (part: string): number[] =>
    [...part].map((letter) => {
      const [one] = sizes(x, batch + rows + inner, (batch + rows + inner).includes(letter) ? letter : "");
      const [other] = sizes(y, batch + inner + columns, (batch + inner + columns).includes(letter) ? letter : "");
      return Math.max(one ?? 1, other ?? 1);
    });
  const wide = (node: Node, order: string): Node => broadcastTo(node, of(order));
  const p = reshape(wide(x, batch + rows + inner), [...of(batch), sizeOf(of(rows)), sizeOf(of(inner))]);
  const q = reshape(wide(y, batch + inner + columns), [...of(batch), sizeOf(of(inner)), sizeOf(of(columns))]);
  const result = { node: reshape(matmul(p, q), of(batch + rows + columns)), letters: batch + rows + columns };
  return new Value(spread(result, wanted), call.value(0).type);
}

/** Determinants of matrices [..., M, M], by elimination: each column's largest element is its pivot. */
function determinant(call: Call): Value {
  const { node, type, shape } = call.value(0);
  const outer = shape.slice(0, -2);
  let rest = reshape(node, [sizeOf(outer), ...shape.slice(-2)]); // [B, m, m]
  let result = constant(1, [sizeOf(outer), 1, 1]);
  for (let m = shape[shape.length - 1]; m > 0; m--) {
    const [b] = rest.shape;
    const column = slice(rest, [0, 0, 0], [b, m, 1]);
    const chosen = reshape(oneHot(argmax(reshape(abs(column), [b, m])), m), [b, 1, m]);
    const row = matmul(chosen, rest); // [B, 1, m], with the pivot first
    const pivot = slice(row, [0, 0, 0], [b, 1, 1]);
    // The first row takes the place of the chosen one, which changes the sign where they are two.
    const isFirst = slice(chosen, [0, 0, 0], [b, 1, 1]);
    const top = slice(rest, [0, 0, 0], [b, 1, m]);
    const swapped = select(reshape(chosen, [b, m, 1]), top, rest);
    const factor = select(equal(pivot, 0), 0, div(slice(swapped, [0, 1, 0], [b, m - 1, 1]), pivot));
    result = mul(result, mul(pivot, sub(mul(2, isFirst), 1)));
    rest = sub(slice(swapped, [0, 1, 1], [b, m - 1, m - 1]), mul(factor, slice(row, [0, 0, 1], [b, 1, m - 1])));
  }
  return new Value(reshape(result, outer), type);
}

export const LINEAR: Operators = {
  Det: determinant,
  Einsum: einsum,
  Gemm: gemm,
  MatMul: (call) => new Value(product(call.operand(0), call.operand(1)), call.value(0).type),
};
