/** The matrix product, of two matrices or of many pairs of them, with either operand transposed on the way. */
import { ShapeError } from "../errors.ts";
import type { Node } from "../graph/node.ts";
import { type AboutOps, applyOp, checkNode, defineOp } from "../graph/op.ts";
import { uniform } from "../graph/samples.ts";
import { broadcastShapes, type Shape, showShape, sizeOf } from "../graph/shape.ts";
import { broadcastTo, reshape } from "./broadcast.ts";
import { toFloat } from "./functions.ts";

/** transposeA: a is stored as [K, M]; transposeB: b is stored as [N, K]. */
type Transposes = { readonly transposeA?: boolean; readonly transposeB?: boolean };

/** The sizes of y[G, M, N] = Σ over K of a[G, M, K] · b[G, K, N]; one pair of matrices needs no G. */
export function matmulSizes(a: Shape, b: Shape, { transposeA, transposeB }: Transposes) {
  const [rows, columns] = a.slice(-2);
  const [bRows, bColumns] = b.slice(-2);
  const [m, k] = transposeA ? [columns, rows] : [rows, columns];
  const [n, kb] = transposeB ? [bRows, bColumns] : [bColumns, bRows];
  return { groups: a.length === 3 ? a[0] : 1, m, n, k, kb };
}

const shown = ({ shape }: Node, transposed = false): string => showShape(shape) + (transposed ? "ᵀ" : "");

const matmulOp = defineOp<Transposes>({
  name: "matmul",
  meaning: {
    kind: "structural",
    epilogue: (_, y) => y.length - 1,
    reference: ([a, b], y, transposes) => {
      const { groups, m, n, k } = matmulSizes(a.shape, b.shape, transposes);
      const [ai, ak] = transposes.transposeA ? [1, m] : [k, 1];
      const [bk, bj] = transposes.transposeB ? [1, k] : [n, 1];
      for (let g = 0; g < groups; g++) {
        for (let i = 0; i < m; i++) {
          for (let j = 0; j < n; j++) {
            let sum = 0;
            for (let l = 0; l < k; l++)
              sum += a.data[g * m * k + i * ai + l * ak] * b.data[g * k * n + l * bk + j * bj];
            y.data[(g * m + i) * n + j] = sum;
          }
        }
      }
    },
    flops: ([a], y) => 2 * y[y.length - 1] * sizeOf(a.shape),
  },
  shape: ([a, b], transposes) => {
    const { groups, m, n, k, kb } = matmulSizes(a.shape, b.shape, transposes);
    const rank = a.shape.length;
    if (rank !== b.shape.length || rank < 2 || rank > 3 || k !== kb || (rank === 3 && b.shape[0] !== groups)) {
      throw new ShapeError(
        `matmul: ${shown(a, transposes.transposeA)} · ${shown(b, transposes.transposeB)} does not fit: two matrices are wanted, the second with a row for each column of the first.`,
      );
    }
    return { shape: rank === 3 ? [groups, m, n] : [m, n], dtype: "float" };
  },
  backward: ({ inputs: [a, b], dy, attributes: { transposeA, transposeB } }) => [
    transposeA
      ? multiply(b, dy, { transposeA: transposeB, transposeB: true }) // daᵀ = b dyᵀ
      : multiply(dy, b, { transposeB: !transposeB }), // da = dy bᵀ
    transposeB
      ? multiply(dy, a, { transposeA: true, transposeB: transposeA }) // dbᵀ = dyᵀ a
      : multiply(a, dy, { transposeA: !transposeA }), // db = aᵀ dy
  ],
});

const multiply = (a: Node, b: Node, transposes: Transposes): Node => applyOp(matmulOp, [a, b], transposes);

/**
 * The matrix product a[M, K] · b[K, N] = y[M, N]. Axes before the last two count many products: they broadcast, as in
 * NumPy's matmul, [8, 1, M, K] · [4, K, N] = [8, 4, M, N]; where `b` is one matrix, all rows of `a` meet it at once.
 * @throws ShapeError if the inner sizes differ, or leading axes that do not broadcast
 *
 * @example
 * const product = compile((a, b) => matmul(a, b));
 * const y = await product(tensor([[1, 2]]), tensor([[3], [4]])); // [[11]]
 */
export function matmul(a: Node, b: Node, transposes: Transposes = {}): Node {
  for (const x of [a, b]) checkNode("An operand of matmul", x);
  const [rankA, rankB] = [a.shape.length, b.shape.length];
  if ((rankA <= 2 && rankB <= 2) || Math.min(rankA, rankB) < 2) return multiply(toFloat(a), toFloat(b), transposes);
  if (rankB === 2 && !transposes.transposeA) {
    const y = matmul(reshape(a, [-1, a.shape[rankA - 1]]), b, transposes);
    return reshape(y, [...a.shape.slice(0, -1), y.shape[1]]);
  }
  const leading = broadcastShapes("matmul", [a.shape.slice(0, -2), b.shape.slice(0, -2)]);
  const [x, w] = [a, b].map((operand) => {
    const matrix = operand.shape.slice(-2);
    return reshape(broadcastTo(operand, [...leading, ...matrix]), [sizeOf(leading), ...matrix]);
  });
  const y = multiply(x, w, transposes);
  return reshape(y, [...leading, ...y.shape.slice(1)]);
}

/** What is said of these ops, and what they are tried with: for about.ts, and in no bundle that only computes. */
export default (): AboutOps => ({
  matmul: {
    explain: { forward: "zᵢⱼ = Σₖ xᵢₖ wₖⱼ", derivative: "∂L/∂x = ∂L/∂z · wᵀ, ∂L/∂w = xᵀ · ∂L/∂z" },
    cases: [
      [3, 4, 5],
      [1, 7, 9],
      [6, 8, 8],
      [13, 17, 10],
      [7, 33, 1],
      [32, 20, 24],
      [3, 4, 5, 2],
      [13, 9, 10, 3],
      [1, 5, 33, 4],
    ].flatMap(([m, k, n, ...groups]) =>
      [{}, { transposeA: true }, { transposeB: true }, { transposeA: true, transposeB: true }].map(
        (attributes: Transposes) => ({
          inputs: [
            attributes.transposeA ? uniform(...groups, k, m) : uniform(...groups, m, k),
            attributes.transposeB ? uniform(...groups, n, k) : uniform(...groups, k, n),
          ],
          attributes,
        }),
      ),
    ),
  },
});
