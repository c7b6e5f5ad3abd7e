/**
 * The descriptor of an op: everything the library computes with, in one frozen literal. Nothing outside the literal's
 * file (and, for structural ops, one kernel per backend) names the op.
 */
import { show } from "../checks.ts";
import { ArgumentError } from "../errors.ts";
import { makeNode } from "./node.ts";
import type { Attributes, Meaning, Node, Op } from "./types.ts";

export type {
  About,
  AboutOps,
  AnyArray,
  BackwardContext,
  Case,
  Explanation,
  FloatArray,
  Meaning,
  MovingPlace,
  Op,
  Tensor,
  TrimmedLoop,
  Turns,
} from "./types.ts";

const registry = new Map<string, Op>();

/** Every op that has been defined, by name. */
export const allOps = (): ReadonlyMap<string, Op> => registry;

/** Registers an op. Its name must be new. The mark lets bundlers leave out the ops that nothing uses. */
/* @__NO_SIDE_EFFECTS__ */
export function defineOp<A = Attributes>(descriptor: Omit<Op<A>, "meaning"> & { readonly meaning: Meaning<A> }): Op<A> {
  if (registry.has(descriptor.name))
    throw new ArgumentError(`There is already an op called "${descriptor.name}". Choose another name.`);
  // The casts forget A, and remember it where only the caller knows it.
  const op = Object.freeze(descriptor) as unknown as Op<A>;
  registry.set(descriptor.name, op as unknown as Op);
  return op;
}

/** Throws for what is no node, such as the NaN of an own loss that computes with - and *. */
export function checkNode(what: string, x: unknown): void {
  if ((x as Node | undefined)?.op) return;
  throw new ArgumentError(`${what} must be a node, as ops give it: sub(y, t), mul(a, b); ${show(x)} came.`);
}

/** Applies an op: checks the operands and their shapes and gives the new node. */
export function applyOp<A>(op: Op<A>, inputs: readonly Node[], attributes: A): Node {
  for (const x of inputs) checkNode(`An operand of ${op.name}`, x);
  const { shape, dtype } = op.shape(inputs, attributes);
  return (
    op.simplify?.(inputs, attributes) ?? makeNode(op as unknown as Op, inputs, attributes as Attributes, shape, dtype)
  );
}
