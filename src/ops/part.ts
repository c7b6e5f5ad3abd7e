/**
 * An array in an array: `part` is some neighbouring elements under a shape of their own, `placed` the reverse, blocks in zeros.
 * An op that has several results gives them one after the other in one array, of which these are the parts.
 */
import { ShapeError } from "../errors.ts";
import { constant } from "../graph/leaf.ts";
import type { DType, Node } from "../graph/node.ts";
import { type AboutOps, applyOp, defineOp, type Op } from "../graph/op.ts";
import { uniform } from "../graph/samples.ts";
import { type Shape, showShape, sizeOf } from "../graph/shape.ts";
import { add } from "./arithmetic.ts";
import { reshape } from "./broadcast.ts";
import { pad } from "./shape.ts";

type PartAttributes = { readonly offset: number; readonly shape: Shape; readonly dtype: DType };

const partOp = defineOp<PartAttributes>({
  name: "part",
  meaning: { kind: "view", offset: (_, { offset }) => offset },
  shape: ([x], { offset, shape, dtype }) => {
    if (offset + sizeOf(shape) > sizeOf(x.shape))
      throw new ShapeError(
        `part: ${showShape(shape)} from element ${offset} on does not lie inside ${showShape(x.shape)}.`,
      );
    return { shape, dtype };
  },
  backward: ({ inputs: [x], dy, attributes: { offset } }) => [
    applyOp(placedOp, [dy], { shape: x.shape, offsets: [offset] }),
  ],
});

/** The elements of x from number `offset` on, as an array of this shape. */
export const part = (x: Node, offset: number, shape: Shape, dtype: DType = "float"): Node =>
  applyOp(partOp, [x], { offset, shape, dtype });

type PlacedAttributes = { readonly shape: Shape; readonly offsets: readonly number[] };

const placedOp: Op<PlacedAttributes> = defineOp<PlacedAttributes>({
  name: "placed",
  meaning: {
    kind: "composite",
    lower: (inputs, { shape, offsets }) => {
      const size = sizeOf(shape);
      const blocks = inputs.map((x, i) => {
        const flat = reshape(x, [sizeOf(x.shape)]);
        return pad(flat, [offsets[i]], [size - offsets[i] - sizeOf(x.shape)]);
      });
      return reshape(
        blocks.reduce((a, b) => add(a, b), constant(0, [size])),
        shape,
      );
    },
  },
  shape: (_, { shape }) => ({ shape, dtype: "float" }),
  backward: ({ inputs, dy, attributes: { offsets } }) => inputs.map((x, i) => part(dy, offsets[i], x.shape)),
  join: (a, b) =>
    applyOp(placedOp, [...a.inputs, ...b.inputs], {
      shape: a.shape,
      offsets: [a, b].flatMap(({ attributes }) => attributes.offsets as number[]),
    }),
});

/** The sum of the blocks that lie in an array from an element on, if it is nothing but blocks in zeros; undefined if it is not. */
export function blocksAt(array: Node, offset: number): Node[] | undefined {
  if (array.op !== (placedOp as unknown as Op)) return undefined;
  const { offsets } = array.attributes as unknown as PlacedAttributes;
  return array.inputs.filter((_, i) => offsets[i] === offset);
}

/** What is said of these ops, and what they are tried with: for about.ts, and in no bundle that only computes. */
export default (): AboutOps => ({
  part: {
    explain: { forward: "y = some elements of x", derivative: "∂L/∂x = ∂L/∂y at these elements, 0 at others" },
    cases: [
      { inputs: [uniform(20)], attributes: { offset: 5, shape: [2, 3], dtype: "float" } },
      { inputs: [uniform(4, 3)], attributes: { offset: 0, shape: [12], dtype: "float" } },
    ],
  },
  placed: {
    explain: { forward: "y = the inputs, each added to its place in zeros", derivative: "∂L/∂xᵢ = ∂L/∂y at its place" },
    cases: [
      { inputs: [uniform(2, 3), uniform(4)], attributes: { shape: [20], offsets: [8, 2] } },
      { inputs: [uniform(5), uniform(2, 2)], attributes: { shape: [3, 4], offsets: [0, 3] } },
    ],
  },
});
