/** What a plan must know of the machine that it is for: how much memory arrays take, and how much one step may do. */
import type { DType, Node } from "../graph/node.ts";
import { sizeOf } from "../graph/shape.ts";

export interface Target {
  /** Bytes of an element of each type. */
  readonly bytes: Readonly<Record<DType, number>>;
  /** Every array begins at a multiple of so many bytes. */
  readonly alignment: number;
  /** Whether it goes round loops; where it does not, they are written out. */
  readonly loops: boolean;
  /** The most arrays that one step may read and write, as a GPU binds so many at once. */
  readonly mostArrays: number;
}

/** Processors that compute in single precision: what plans are for unless said. */
export const SINGLE_PRECISION: Target = {
  bytes: { byte: 1, int: 4, float: 4 },
  alignment: 64,
  loops: true,
  mostArrays: Number.POSITIVE_INFINITY,
};

/** The bytes of a node's elements. */
export const bytesOf = (node: Node, { bytes }: Target = SINGLE_PRECISION): number =>
  sizeOf(node.shape) * bytes[node.dtype];

/** The bytes that a piece of memory takes, so that the next one begins where an array may. */
export const aligned = (bytes: number, { alignment }: Target = SINGLE_PRECISION): number =>
  Math.ceil(Math.max(1, bytes) / alignment) * alignment;
