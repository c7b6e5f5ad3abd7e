/**
 * The graph: a node is an op applied to other nodes, with its shape known at once. Building a graph computes nothing;
 * a plan made from it does. Nodes are immutable plain data, so the explainer, the exporters and the planner all read
 * the very graph that trains.
 */
import type { Op } from "./op.ts";
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

let nextId = 0;
let context: { scope: string; phase: Phase; source: Node | undefined } = {
  scope: "",
  phase: "forward",
  source: undefined,
};
const names = new WeakMap<Node, string>();

/** Makes a node. Ops call this; users call ops. */
export function makeNode(op: Op, inputs: readonly Node[], attributes: Attributes, shape: Shape, dtype: DType): Node {
  return Object.freeze({ id: nextId++, op, inputs, attributes, shape, dtype, ...context });
}

/** The same node over other inputs: for rewriting a graph. Name, layer and phase stay. */
export function withInputs(node: Node, inputs: readonly Node[]): Node {
  const copy = Object.freeze({ ...node, id: nextId++, inputs });
  const name = names.get(node);
  if (name !== undefined) names.set(copy, name);
  return copy;
}

function within<T>(change: Partial<typeof context>, build: () => T): T {
  const outer = context;
  context = { ...context, ...change };
  try {
    return build();
  } finally {
    context = outer;
  }
}

/** Builds nodes that belong to the layer called `scope`. */
export const inScope = <T>(scope: string, build: () => T): T => within({ scope }, build);

/** Builds nodes that belong to a phase of the training step; backward ones remember the node they differentiate. */
export const inPhase = <T>(phase: Phase, build: () => T, source?: Node): T =>
  within(source ? { phase, source, scope: source.scope } : { phase, source }, build);

/** Gives a node a name by which it can be asked for, such as `dense_1.z`. */
export function named(node: Node, name: string): Node {
  names.set(node, name);
  return node;
}

/** The node's given name, or one made from its layer and op. */
export const nameOf = (node: Node): string =>
  names.get(node) ?? (node.scope ? `${node.scope}.${node.op.name}` : node.op.name);

export const hasName = (node: Node): boolean => names.has(node);

/** All nodes that `outputs` depend on, themselves included, each after its inputs; without those that are `known`. */
export function topologicalOrder(outputs: readonly Node[], known: (node: Node) => boolean = () => false): Node[] {
  const seen = new Set<Node>();
  const pending = [...outputs];
  while (pending.length > 0) {
    const node = pending.pop()!;
    if (seen.has(node) || known(node)) continue;
    seen.add(node);
    pending.push(...node.inputs);
  }
  return [...seen].sort((a, b) => a.id - b.id);
}
