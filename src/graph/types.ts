/** What a graph consists of, nodes and the descriptors of ops, which know each other. Types alone; see node.ts and op.ts. */
import type { Scalar } from "./scalar.ts";
import type { Shape } from "./shape.ts";

/**
 * What the elements are. `float` has the precision of the backend (float64 in the reference, float32 in
 * WebAssembly); `int` is a signed 32-bit integer; `byte` an unsigned 8-bit one, such as a pixel.
 */
export type DType = "float" | "int" | "byte";

/** What an op was applied with. Their form is the op's own: its functions take it, its kernels cast to it. */
export type Attributes = Readonly<Record<string, unknown>>;

/** Which part of a training step a node belongs to. */
export type Phase = "forward" | "backward" | "update";

/**
 * A node of a graph: an op, what it is applied to, and the shape of the result. Nothing is computed when it is made.
 */
export interface Node {
  /** Grows with creation, so inputs always have smaller ids than the nodes that use them. */
  readonly id: number;
  readonly op: Op;
  readonly inputs: readonly Node[];
  readonly attributes: Attributes;
  readonly shape: Shape;
  readonly dtype: DType;
  /** The layer that made it, such as `dense_1`; empty outside any. */
  readonly scope: string;
  readonly phase: Phase;
  /** For the backward nodes: the forward node through which the chain rule came. */
  readonly source: Node | undefined;
}

/** What an op's test cases draw their operands from. */
export interface Sample {
  readonly shape: Shape;
  readonly dtype: DType;
  /** Numbers are drawn uniformly from [low, high); `gap` keeps them at least so far from 0. */
  readonly low: number;
  readonly high: number;
  readonly gap: number;
}

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

/**
 * Where an array of a loop's body lies in turn i: `step` elements further on in each turn, or to and fro between two places
 * where it `alternates`. Operands have their numbers; "own" is the loop's result, "work" memory that is its own.
 */
export interface MovingPlace {
  readonly array: number | "own" | "work";
  readonly offset: number;
  readonly step: number;
  readonly alternates?: boolean;
}

/** What a loop does, turn by turn: all that a backend needs to go round it. */
export interface Turns {
  readonly length: number;
  /** What each turn computes, and the leaves that stand for where it goes. None of them is read in the same turn. */
  readonly results: readonly { readonly variable: Node; readonly value: Node }[];
  /** Where the leaves of the body lie. */
  readonly places: ReadonlyMap<Node, MovingPlace>;
  /** How many elements of its own it works with. */
  readonly work: number;
  /** Copied before the first turn: a whole operand to where a leaf lies then. */
  readonly before: readonly { readonly operand: number; readonly leaf: Node }[];
  /** Copied after the last turn: from where a leaf would lie in the next one to an element of the result. */
  readonly after: readonly { readonly leaf: Node; readonly offset: number }[];
}

/** A loop without what nobody reads of it. */
export interface TrimmedLoop<A = Attributes> {
  readonly attributes: A;
  /** Which of the operands it still needs. */
  readonly needs: readonly boolean[];
  /** Where the parts that are read begin now, by where they began. */
  readonly offsets: ReadonlyMap<number, number>;
}

/** How an op's result comes about. */
export type Meaning<A> =
  /** A leaf: its value is given, not computed. */
  | { readonly kind: "leaf" }
  /** Each output element is a scalar expression of the input elements at the same (broadcast) place. */
  | { readonly kind: "elementwise"; readonly scalar: (attributes: A, ...inputs: Scalar[]) => Scalar }
  /**
   * Neighbouring elements of the operand, under a shape of their own: no work and no memory. They begin at element
   * `offset`, at the first unless said.
   */
  | { readonly kind: "view"; readonly offset?: (inputs: readonly Node[], attributes: A) => number }
  /** Made of other ops, put in its place when the plan is made. */
  | { readonly kind: "composite"; readonly lower: (inputs: readonly Node[], attributes: A) => Node }
  /** A loop over time, whose body is a graph of its own. */
  | {
      readonly kind: "loop";
      readonly turns: (attributes: A) => Turns;
      /** Of the result only the parts that begin at some elements are read: views with that `offset` as an attribute. */
      readonly trim: (attributes: A, read: readonly number[]) => TrimmedLoop<A>;
      /** The same result without a loop, for who cannot go round one: each turn is written out. */
      readonly unroll: (inputs: readonly Node[], attributes: A) => Node;
    }
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
  /** The sum of two results of the op, where one node of it can stand for both; for gradients that come over several paths. */
  join?(a: Node, b: Node): Node | undefined;
  /** A simpler node that means the same, or undefined. */
  simplify?(inputs: readonly Node[], attributes: A): Node | undefined;
  /** For users' ops; what is said of the library's own is in their files' tables. */
  readonly explain?: Explanation;
}
