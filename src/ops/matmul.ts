/** The matrix product, with either operand transposed on the way. */
import { ShapeError } from "../errors.ts";
import type { Node } from "../graph/node.ts";
import { type AboutOps, applyOp, checkNode, defineOp } from "../graph/op.ts";
import { uniform } from "../graph/samples.ts";
import { type Shape, showShape, sizeOf } from "../graph/shape.ts";
import { reshape } from "./broadcast.ts";
import { toFloat } from "./functions.ts";

/** transposeA: a is stored as [K, M]; transposeB: b is stored as [N, K]. */
type Transposes = { readonly transposeA?: boolean; readonly transposeB?: boolean };

/** The sizes of y[M, N] = Σ over K of a[M, K] · b[K, N]. */
export function matmulSizes(a: Shape, b: Shape, { transposeA, transposeB }: Transposes) {
  const [m, k] = transposeA ? [a[1], a[0]] : a;
  const [n, kb] = transposeB ? b : [b[1], b[0]];
  return { m, n, k, kb };
}

const shown = ({ shape }: Node, transposed = false): string => showShape(shape) + (transposed ? "ᵀ" : "");

const matmulOp = defineOp<Transposes>({
  name: "matmul",
  meaning: {
    kind: "structural",
    epilogue: () => 1,
    reference: ([a, b], y, transposes) => {
      const { m, n, k } = matmulSizes(a.shape, b.shape, transposes);
      const [ai, ak] = transposes.transposeA ? [1, m] : [k, 1];
      const [bk, bj] = transposes.transposeB ? [1, k] : [n, 1];
      for (let i = 0; i < m; i++) {
        for (let j = 0; j < n; j++) {
          let sum = 0;
          for (let l = 0; l < k; l++) sum += a.data[i * ai + l * ak] * b.data[l * bk + j * bj];
          y.data[i * n + j] = sum;
        }
      }
    },
    flops: ([a], [, n]) => 2 * n * sizeOf(a.shape),
  },
  shape: ([a, b], transposes) => {
    const { m, n, k, kb } = matmulSizes(a.shape, b.shape, transposes);
    if (a.shape.length !== 2 || b.shape.length !== 2 || k !== kb) {
      throw new ShapeError(
        `matmul: ${shown(a, transposes.transposeA)} · ${shown(b, transposes.transposeB)} does not fit: two matrices are wanted, the second with a row for each column of the first.`,
      );
    }
    return { shape: [m, n], dtype: "float" };
  },
  backward: ({ inputs: [a, b], dy, attributes: { transposeA, transposeB } }) => [
    transposeA
      ? matmul(b, dy, { transposeA: transposeB, transposeB: true }) // daᵀ = b dyᵀ
      : matmul(dy, b, { transposeB: !transposeB }), // da = dy bᵀ
    transposeB
      ? matmul(dy, a, { transposeA: true, transposeB: transposeA }) // dbᵀ = dyᵀ a
      : matmul(a, dy, { transposeA: !transposeA }), // db = aᵀ dy
  ],
});

/**
 * The matrix product a[M, K] · b[K, N] = y[M, N]. If `a` has more axes, all but the last count as rows.
 * @throws ShapeError if the inner sizes differ
 *
 * @example
 * const product = compile((a, b) => matmul(a, b));
 * const y = await product(tensor([[1, 2]]), tensor([[3], [4]])); // [[11]]
 */
export function matmul(a: Node, b: Node, transposes: Transposes = {}): Node {
  checkNode("An operand of matmul", a);
  if (a.shape.length <= 2 || transposes.transposeA) return applyOp(matmulOp, [toFloat(a), toFloat(b)], transposes);
  const rows = a.shape.slice(0, -1);
  const y = matmul(reshape(a, [-1, a.shape[a.shape.length - 1]]), b, transposes);
  return reshape(y, [...rows, y.shape[1]]);
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
    ].flatMap(([m, k, n]) =>
      [{}, { transposeA: true }, { transposeB: true }, { transposeA: true, transposeB: true }].map(
        (attributes: Transposes) => ({
          inputs: [
            attributes.transposeA ? uniform(k, m) : uniform(m, k),
            attributes.transposeB ? uniform(n, k) : uniform(k, n),
          ],
          attributes,
        }),
      ),
    ),
  },
});
