/** What files write out of several operators and is one of ours: products that are GELU, SiLU or Mish, products with a matrix turned. */
import { constantArray, fillValue } from "../../../graph/leaf.ts";
import type { Node } from "../../../graph/node.ts";
import { sizeOf } from "../../../graph/shape.ts";
import { gelu, matmul, mish, mul, silu } from "../../../ops/index.ts";
import { range } from "./moving.ts";

const isNear = (a: number, b: number): boolean => Math.abs(a - b) < 1e-5 * Math.abs(b);

/** The number that a constant of one element is. */
function numberOf(node: Node): number | undefined {
  return sizeOf(node.shape) === 1 ? (fillValue(node) ?? constantArray(node)?.[0]) : undefined;
}

/** The factors of a product that are no numbers, and the product of those that are. */
function factorsOf(node: Node): { nodes: Node[]; scale: number } {
  const number = numberOf(node);
  if (number !== undefined) return { nodes: [], scale: number };
  if (node.op.name === "div") {
    const by = numberOf(node.inputs[1]);
    if (by !== undefined) {
      const { nodes, scale } = factorsOf(node.inputs[0]);
      return { nodes, scale: scale / by };
    }
  }
  if (node.op.name !== "mul") return { nodes: [node], scale: 1 };
  const parts = node.inputs.map(factorsOf);
  return { nodes: parts.flatMap(({ nodes }) => nodes), scale: parts[0].scale * parts[1].scale };
}

/** 1 + erf(z / √2) */
function isTwiceDistribution(node: Node, z: Node): boolean {
  if (node.op.name !== "add") return false;
  const other = node.inputs.find((x) => numberOf(x) === undefined);
  if (other?.op.name !== "erf" || !node.inputs.some((x) => numberOf(x) === 1)) return false;
  const { nodes, scale } = factorsOf(other.inputs[0]);
  return nodes.length === 1 && nodes[0] === z && isNear(scale, Math.SQRT1_2);
}

/** The product of two, as one of our activations where it is one. */
export function productOf(a: Node, b: Node): Node {
  const whole = mul(a, b);
  const { nodes, scale } = factorsOf(whole);
  if (nodes.length !== 2) return whole;
  for (const [z, gate] of [nodes, nodes.toReversed()]) {
    // A number of more axes than the rest would have given the result its shape.
    if (whole.shape.length > z.shape.length) continue;
    if (isNear(scale, 0.5) && isTwiceDistribution(gate, z)) return gelu(z);
    if (scale !== 1) continue;
    if (gate.op.name === "sigmoid" && gate.inputs[0] === z) return silu(z);
    const [inner] = gate.op.name === "tanh" ? gate.inputs : [];
    if (inner?.op.name === "softplus" && inner.inputs[0] === z) return mish(z);
  }
  return whole;
}

/** A matrix product; of matrices that were only turned before, the turning is left to it. */
export function matrixProduct(a: Node, b: Node): Node {
  const unturned = ({ op, inputs, attributes, shape }: Node): Node | undefined => {
    const rank = shape.length;
    const order = attributes.order as readonly number[];
    const isTurned =
      op.name === "transpose" && [...range(rank - 2), rank - 1, rank - 2].every((axis, i) => order[i] === axis);
    return isTurned ? inputs[0] : undefined;
  };
  const [left, right] = [unturned(a), unturned(b)];
  return matmul(left ?? a, right ?? b, { transposeA: left !== undefined, transposeB: right !== undefined });
}
