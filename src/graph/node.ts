/**
 * The graph: a node is an op applied to other nodes, with its shape known at once. Building a graph computes nothing;
 * a plan made from it does. Nodes are immutable plain data, so the explainer, the exporters and the planner all read
 * the very graph that trains.
 */
import type { Shape } from "./shape.ts";
import type { Attributes, DType, Node, Op, Phase } from "./types.ts";

export type { Attributes, DType, Node, Phase } from "./types.ts";

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

/** The same node over other inputs: for rewriting a graph. Name, layer and phase stay; attributes and shape may change. */
export function withInputs(
  node: Node,
  inputs: readonly Node[],
  change: Partial<Pick<Node, "attributes" | "shape">> = {},
): Node {
  const copy = Object.freeze({ ...node, ...change, id: nextId++, inputs });
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
