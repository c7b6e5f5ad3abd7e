/** Ops that look things up by index: gather, its backward scatterAdd, oneHot, argmax, topK, and toIndex, which makes indices. */
import { noSuchRow } from "../checks.ts";
import { ShapeError } from "../errors.ts";
import type { DType, Node } from "../graph/node.ts";
import { type AboutOps, applyOp, defineOp } from "../graph/op.ts";
import { bytes, indices, uniform } from "../graph/samples.ts";
import { checkAxis, type Shape, sameShape, showShape, sizeOf } from "../graph/shape.ts";

function wantType(op: string, { dtype }: Node, wanted: DType): void {
  if (dtype !== wanted)
    throw new ShapeError(`${op} takes an operand of type ${wanted} there; one of type ${dtype} came.`);
}

function checkRow(row: number, [rows]: Shape): void {
  if (row < 0 || row >= rows) throw noSuchRow(row, rows);
}

const gatherOp = defineOp({
  name: "gather",
  meaning: {
    kind: "structural",
    epilogue: ([, index]) => index.shape.length,
    reference: ([table, index], y) => {
      const row = sizeOf(table.shape.slice(1));
      for (const [i, number] of index.data.entries()) {
        checkRow(number, table.shape);
        for (let j = 0; j < row; j++) y.data[i * row + j] = table.data[number * row + j];
      }
    },
  },
  shape: ([table, index]) => {
    wantType("gather", index, "int");
    checkAxis("gather", table.shape);
    return { shape: [...index.shape, ...table.shape.slice(1)], dtype: table.dtype === "int" ? "int" : "float" };
  },
  backward: ({ inputs: [table, index], dy }) => [scatterAdd(dy, index, table.shape), undefined],
});

/**
 * The rows of `table` that `index` names: table [N, …], index [B] of int → [B, …]. Bytes become floats on the way.
 * A run with an index outside of the table throws an ArgumentError that says which.
 */
export const gather = (table: Node, index: Node): Node => applyOp(gatherOp, [table, index], {});

const scatterAddOp = defineOp<{ shape: Shape }>({
  name: "scatterAdd",
  meaning: {
    kind: "structural",
    reference: ([x, index], y) => {
      const row = sizeOf(y.shape.slice(1));
      for (const [i, number] of index.data.entries()) {
        checkRow(number, y.shape);
        for (let j = 0; j < row; j++) y.data[number * row + j] += x.data[i * row + j];
      }
    },
  },
  shape: ([x, index], { shape }) => {
    wantType("scatterAdd", index, "int");
    const rows = [...index.shape, ...shape.slice(1)];
    if (!sameShape(x.shape, rows)) {
      throw new ShapeError(`scatterAdd: rows of shape ${showShape(x.shape)} came; ${showShape(rows)} was wanted.`);
    }
    return { shape, dtype: "float" };
  },
  backward: ({ inputs: [, index], dy }) => [gather(dy, index), undefined],
});

/** Zeros of `shape` [N, …] to which each row of x [B, …] is added at the place that `index` [B] names. */
export const scatterAdd = (x: Node, index: Node, shape: Shape): Node => applyOp(scatterAddOp, [x, index], { shape });

const oneHotOp = defineOp<{ classes: number }>({
  name: "oneHot",
  meaning: {
    kind: "structural",
    reference: ([index], y, { classes }) => {
      for (let i = 0; i < index.data.length; i++) {
        if (index.data[i] >= 0 && index.data[i] < classes) y.data[i * classes + index.data[i]] = 1;
      }
    },
  },
  shape: ([index], { classes }) => {
    wantType("oneHot", index, "int");
    return { shape: [...index.shape, classes], dtype: "float" };
  },
});

/** 1 at each label and 0 elsewhere: [B] of int → [B, classes]. A label outside the classes gives a row of zeros. */
export const oneHot = (index: Node, classes: number): Node => applyOp(oneHotOp, [index], { classes });

const toIndexOp = defineOp<{ limit: number }>({
  name: "toIndex",
  meaning: {
    kind: "structural",
    reference: ([x], y, { limit }) => {
      for (let i = 0; i < y.data.length; i++) y.data[i] = Math.min(Math.max(x.data[i], 0), limit - 1);
    },
  },
  shape: ([x]) => {
    wantType("toIndex", x, "float");
    return { shape: x.shape, dtype: "int" };
  },
});

/** Floats as indices below `limit`: rounded towards 0, and kept from 0 to limit − 1, so that no look-up leaves its table. */
export const toIndex = (x: Node, limit: number): Node => applyOp(toIndexOp, [x], { limit });

const argmaxOp = defineOp({
  name: "argmax",
  meaning: {
    kind: "structural",
    reference: ([x], y) => {
      const classes = x.shape[x.shape.length - 1];
      for (let i = 0; i < y.data.length; i++) {
        let best = 0;
        for (let j = 1; j < classes; j++) if (x.data[i * classes + j] > x.data[i * classes + best]) best = j;
        y.data[i] = best;
      }
    },
  },
  shape: ([x]) => {
    checkAxis("argmax", x.shape);
    return { shape: x.shape.slice(0, -1), dtype: "int" };
  },
});

/** The index of the largest element along the last axis; the first, if several are. */
export const argmax = (x: Node): Node => applyOp(argmaxOp, [x], {});

const topKOp = defineOp<{ k: number }>({
  name: "topK",
  meaning: {
    kind: "structural",
    reference: ([x], y, { k }) => {
      const n = x.shape[x.shape.length - 1];
      for (let row = 0; row < x.data.length / Math.max(1, n); row++) {
        const line = x.data.subarray(row * n, (row + 1) * n);
        // A sort that keeps equal elements in their order.
        const order = Array.from(line.keys()).sort((a, b) => line[b] - line[a] || a - b);
        for (let i = 0; i < k; i++) y.data[row * k + i] = order[i];
      }
    },
  },
  shape: ([x], { k }) => {
    checkAxis("topK", x.shape);
    const n = x.shape[x.shape.length - 1];
    if (!Number.isInteger(k) || k < 1 || k > n)
      throw new ShapeError(`topK: k must be a whole number from 1 to the ${n} elements of a row; ${k} came.`);
    return { shape: [...x.shape.slice(0, -1), k], dtype: "int" };
  },
});

/** The places of the k largest elements along the last axis, largest first; of equal ones the first: [B, C] → [B, k] of int. */
export const topK = (x: Node, k: number): Node => applyOp(topKOp, [x], { k });

/** What is said of these ops, and what they are tried with: for about.ts, and in no bundle that only computes. */
export default (): AboutOps => ({
  gather: {
    explain: { forward: "yᵢ = row of x number i", derivative: "∂L/∂x = the rows of ∂L/∂y, added where they came from" },
    cases: [
      [uniform(5, 6), indices(5, 4)],
      [uniform(5, 3, 2), indices(5, 4)],
      [bytes(7, 21), indices(7, 5)],
      [uniform(9), indices(9, 5)],
      [indices(100, 9), indices(9, 5)],
    ],
  },
  scatterAdd: {
    explain: { forward: "y[i] = Σ of the rows of x with index i", derivative: "∂L/∂x = the rows of ∂L/∂y" },
    cases: [{ inputs: [uniform(4, 6), indices(5, 4)], attributes: { shape: [5, 6] } }],
  },
  oneHot: {
    explain: { forward: "yᵢⱼ = [j = labelᵢ]", derivative: "0" },
    cases: [
      { inputs: [indices(10, 7)], attributes: { classes: 10 } },
      { inputs: [indices(3, 4)], attributes: { classes: 3 } },
    ],
  },
  toIndex: {
    explain: { forward: "y = ⌊x⌋, kept from 0 to n − 1", derivative: "0" },
    cases: [
      { inputs: [uniform(3, 5)], attributes: { limit: 2 } },
      { inputs: [uniform(8)], attributes: { limit: 100 } },
    ],
  },
  argmax: {
    explain: { forward: "y = the place of the largest element", derivative: "0" },
    cases: [[uniform(5, 10)], [uniform(3, 4, 7)]],
  },
  topK: {
    explain: { forward: "y = the places of the k largest elements", derivative: "0" },
    cases: [
      { inputs: [uniform(5, 10)], attributes: { k: 3 } },
      { inputs: [uniform(2, 3, 6)], attributes: { k: 6 } },
    ],
  },
});
