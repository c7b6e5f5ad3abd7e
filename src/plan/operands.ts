/** How a step finds its operands: in whose memory they lie, and how they lie to its rows and columns. */
import type { Node } from "../graph/node.ts";
import type { MovingPlace } from "../graph/op.ts";
import { broadcastsTo, padShape, type Shape, sizeOf } from "../graph/shape.ts";

/** How an operand of a step lies to the step's rows and columns. */
export type Pattern = "full" | "perRow" | "perColumn" | "scalar";

/** The node whose memory holds this node's elements: views share their operand's. */
export function storageOf(node: Node): Node {
  let base = node;
  while (base.op.meaning.kind === "view") base = base.inputs[0];
  return base;
}

/** At which element of that memory they begin. */
export function offsetOf(node: Node): number {
  let offset = 0;
  for (let base = node; base.op.meaning.kind === "view"; base = base.inputs[0])
    offset += base.op.meaning.offset?.(base.inputs, base.attributes as never) ?? 0;
  return offset;
}

/** At which element of its array a place of a loop's body begins in turn i. */
export const elementAt = ({ offset, step, alternates }: MovingPlace, i: number): number =>
  offset + (alternates ? i % 2 : i) * step;

/** The pattern of an operand in a space of rows (the first `split` axes) and columns, or undefined if it has none. */
export function patternOf(shape: Shape, space: Shape, split: number): Pattern | undefined {
  if (!broadcastsTo(shape, space)) return undefined;
  const padded = padShape(shape, space.length);
  const [rows, columns] = [sizeOf(padded.slice(0, split)), sizeOf(padded.slice(split))];
  // An axis of length 1 varies or not as one likes; "full" is the quickest to read.
  if (rows * columns === sizeOf(space)) return "full";
  if (rows * columns === 1) return "scalar";
  if (columns === 1 && rows === sizeOf(space.slice(0, split))) return "perRow";
  return rows === 1 && columns === sizeOf(space.slice(split)) ? "perColumn" : undefined;
}
