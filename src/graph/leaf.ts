/**
 * The leaves of a graph: what is given each run (input), what lasts between runs (variable), what never changes
 * (constant).
 */
import { check, checkWhole } from "../checks.ts";
import { ArgumentError } from "../errors.ts";
import { type DType, makeNode, type Node, named } from "./node.ts";
import { type AnyArray, defineOp, type Op } from "./op.ts";
import { type Shape, showShape, sizeOf } from "./shape.ts";

type LeafAttributes = { readonly shape: Shape; readonly dtype: DType };

const defineLeaf = (name: string): Op =>
  defineOp<LeafAttributes>({
    name,
    meaning: { kind: "leaf" },
    shape: (_, { shape, dtype }) => ({ shape, dtype }),
  }) as unknown as Op;

const inputOp = defineLeaf("input");
const variableOp = defineLeaf("variable");
const constantOp = defineLeaf("constant");

const leaf = (op: Op, shape: Shape, dtype: DType, attributes = {}): Node => {
  check(Array.isArray(shape), `${op.name}: the shape is a list, such as [28, 28]`, shape);
  checkWhole(`${op.name}: the `, { shape }, 0, shape.length);
  return makeNode(op, [], { shape, dtype, ...attributes }, shape, dtype);
};

/** A value given anew at every run. */
export const input = (name: string, shape: Shape, dtype: DType = "float"): Node =>
  named(leaf(inputOp, shape, dtype), name);

/** A value that lasts from run to run and that a plan can update: a parameter, an optimiser's state, a data set. */
export const variable = (name: string, shape: Shape, dtype: DType = "float"): Node =>
  named(leaf(variableOp, shape, dtype), name);

/** A constant: one number everywhere, or an array of numbers. */
export function constant(value: number | AnyArray, shape: Shape = [], dtype: DType = "float"): Node {
  if (typeof value !== "number" && value.length !== sizeOf(shape)) {
    throw new ArgumentError(
      `A constant of shape ${showShape(shape)} needs ${sizeOf(shape)} numbers; ${value.length} came.`,
    );
  }
  return leaf(constantOp, shape, dtype, { value });
}

export const isInput = (node: Node): boolean => node.op === inputOp;
export const isVariable = (node: Node): boolean => node.op === variableOp;
export const isConstant = (node: Node): boolean => node.op === constantOp;

/** The number a constant holds everywhere; undefined for other nodes. */
export function fillValue(node: Node): number | undefined {
  const value = isConstant(node) ? node.attributes.value : undefined;
  return typeof value === "number" ? value : undefined;
}

/** The elements of a constant array; undefined for other nodes. */
export function constantArray(node: Node): AnyArray | undefined {
  const value = isConstant(node) ? node.attributes.value : undefined;
  return typeof value === "object" ? (value as AnyArray) : undefined;
}
