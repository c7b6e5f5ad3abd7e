/** The matrix product, of two matrices or of many pairs, with either operand transposed on the way: see product.ts. */
import type { Node } from "../../../graph/node.ts";
import { matmulSizes } from "../../../ops/matmul.ts";
import type { Step } from "../../../plan/plan.ts";
import { load, loadFour } from "../fused.ts";
import type { Dispatch, KernelContext } from "../kernel.ts";
import { type Element, type Operand, placeInMatrix, product } from "./product.ts";

export function matmul(step: Step, context: KernelContext): Dispatch[] {
  const [a, b] = step.root!.inputs;
  const { transposeA = false, transposeB = false } = step.root!.attributes as {
    transposeA?: boolean;
    transposeB?: boolean;
  };
  const { groups, m, n, k } = matmulSizes(a.shape, b.shape, { transposeA, transposeB });
  /** An operand of `width` rows or columns, which lie side by side along them or along k. */
  const operand = (node: Node, width: number, across: boolean): Operand => {
    const element =
      (read: typeof load): Element =>
      (writer, group, x, inner, context) => {
        const within = across ? `${inner} * ${width}u + ${x}` : `${x} * ${k}u + ${inner}`;
        return read(node, writer.name(groups === 1 ? within : `${group} * ${width * k}u + ${within}`), context);
      };
    const isWell = (across ? width : k) % 4 === 0 && context.isAligned(node);
    return { one: element(load), four: isWell ? element(loadFour) : undefined, across };
  };
  return product(step, context, {
    groups,
    m,
    n,
    k,
    a: operand(a, m, transposeA),
    b: operand(b, n, !transposeB),
    place: placeInMatrix(m, n, groups),
  });
}
