/** The matrix product, of two matrices or of many pairs, with either operand transposed on the way: see product.ts. */
import { matmulSizes } from "../../../ops/matmul.ts";
import type { Step } from "../../../plan/plan.ts";
import { load } from "../fused.ts";
import type { Dispatch, KernelContext } from "../kernel.ts";
import { placeInMatrix, product } from "./product.ts";

export function matmul(step: Step, context: KernelContext): Dispatch[] {
  const [a, b] = step.root!.inputs;
  const { transposeA = false, transposeB = false } = step.root!.attributes as {
    transposeA?: boolean;
    transposeB?: boolean;
  };
  const { groups, m, n, k } = matmulSizes(a.shape, b.shape, { transposeA, transposeB });
  const inGroup = (group: string, size: number, index: string): string =>
    groups === 1 ? index : `${group} * ${size}u + ${index}`;
  return product(step, context, {
    groups,
    m,
    n,
    k,
    a: (writer, group, row, inner) =>
      load(
        a,
        writer.name(inGroup(group, m * k, transposeA ? `${inner} * ${m}u + ${row}` : `${row} * ${k}u + ${inner}`)),
        context,
      ),
    b: (writer, group, inner, column) =>
      load(
        b,
        writer.name(
          inGroup(group, k * n, transposeB ? `${column} * ${k}u + ${inner}` : `${inner} * ${n}u + ${column}`),
        ),
        context,
      ),
    aAlong: transposeA ? "row" : "inner",
    bAlong: transposeB ? "inner" : "column",
    place: placeInMatrix(m, n, groups),
  });
}
