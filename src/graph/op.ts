/**
 * The descriptor of an op: everything the library computes with, in one frozen literal. Nothing outside the literal's
 * file (and, for structural ops, one kernel per backend) names the op.
 */
import { show } from "../checks.ts";
import { ArgumentError } from "../errors.ts";
import { type Attributes, type DType, makeNode, type Node } from "./node.ts";
import type { Sample } from "./samples.ts";
import type { Scalar } from "./scalar.ts";
import type { Shape } from "./shape.ts";

/** An array in the reference interpreter. */
export type FloatArray = Float64Array | Float32Array;
export type AnyArray = FloatArray | Int32Array | Uint8Array;

/** A dense array with its shape, as the reference interpreter passes it to an op. */
export interface Tensor<A extends AnyArray = AnyArray> {
  readonly shape: Shape;
  readonly data: A;
}

/** What the chain rule has at a node y = op(inputs): dy is ∂L/∂y. */
export interface BackwardContext<A> {
  readonly inputs: readonly Node[];
  readonly attributes: A;
  readonly y: Node;
  readonly dy: Node;
}

/** One use of the op, from which tests are made: its operands, and its attributes where it takes some. */
export type Case = readonly Sample[] | { readonly inputs: readonly Sample[]; readonly attributes: object };

/** The op told in words and symbols, for the explainer. */
export interface Explanation {
  readonly forward: string;
  readonly derivative: string;
}

/** What is said of an op, and what it is tried with. No graph needs it, so this library's ops keep it apart: ops/about.ts. */
export interface About {
  readonly explain: Explanation;
  readonly cases: readonly Case[];
}

/** By the names of ops. */
export type AboutOps = Readonly<Record<string, About>>;

/** How an op's result comes about. */
export type Meaning<A> =
  /** A leaf: its value is given, not computed. */
  | { readonly kind: "leaf" }
  /** Each output element is a scalar expression of the input elements at the same (broadcast) place. */
  | { readonly kind: "elementwise"; readonly scalar: (attributes: A, ...inputs: Scalar[]) => Scalar }
  /** The same elements under another shape: no work and no memory. */
  | { readonly kind: "view" }
  /** Made of other ops, put in its place when the plan is made. */
  | { readonly kind: "composite"; readonly lower: (inputs: readonly Node[], attributes: A) => Node }
  /** Computed by a kernel of each backend; `reference` defines what is correct. Its y begins as zeros. */
  | {
      readonly kind: "structural";
      readonly reference: (inputs: readonly Tensor[], y: Tensor, attributes: A) => void;
      /**
       * Present if elementwise ops on the result can be done while it is still in registers: how many leading axes of
       * the result the kernel takes for its rows.
       */
      readonly epilogue?: (inputs: readonly Node[], y: Shape) => number;
      /** For reductions: the elementwise ops that make the operand can be done while it is read. */
      readonly reduces?: (inputs: readonly Node[], attributes: A) => { outer: number; reduced: number; inner: number };
      /** Floating-point operations of one evaluation, for the plan's table. */
      readonly flops?: (inputs: readonly Node[], y: Shape, attributes: A) => number;
    };

// Methods, not properties: a parameter of a method is bivariant, so an Op<A> is an Op.
export interface Op<A = Attributes> {
  readonly name: string;
  /** `never`, since ops of all attributes stand beside each other: a node's own are passed to them by a cast. */
  readonly meaning: Meaning<never>;
  /** The result's shape and element type; throws a ShapeError that says what was wanted. */
  shape(inputs: readonly Node[], attributes: A): { shape: Shape; dtype: DType };
  /** ∂L/∂input for each input, as graph nodes; undefined where the derivative is zero or does not exist. */
  backward?(context: BackwardContext<A>): readonly (Node | undefined)[];
  /** A simpler node that means the same, or undefined. */
  simplify?(inputs: readonly Node[], attributes: A): Node | undefined;
  /** For users' ops; what is said of the library's own is in their files' tables. */
  readonly explain?: Explanation;
}

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
