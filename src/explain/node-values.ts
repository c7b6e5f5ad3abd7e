/**
 * The values of a graph's nodes, each computed when it is first asked for, by the reference interpreter in float64.
 * Nodes are those of the graph as it was built; composites are put in their place by the planner's own first pass.
 */
import { evaluate } from "../backends/reference/reference.ts";
import { constantArray, fillValue } from "../graph/leaf.ts";
import { type Node, topologicalOrder } from "../graph/node.ts";
import type { AnyArray } from "../graph/op.ts";
import { lower } from "../plan/lower.ts";
import { storageOf } from "../plan/operands.ts";

export type LeafValue = (leaf: Node) => AnyArray;

const isGiven = (node: Node): boolean => node.op.meaning.kind === "leaf";

export class Values {
  /** For each node of the graph, the node of primitive ops that computes it. */
  readonly #primitive: ReadonlyMap<Node, Node>;
  readonly #leaf: LeafValue;
  readonly #known: Map<Node, AnyArray>;

  private constructor(primitive: ReadonlyMap<Node, Node>, leaf: LeafValue, known: Map<Node, AnyArray>) {
    this.#primitive = primitive;
    this.#leaf = leaf;
    this.#known = known;
  }

  /** For the graph of all nodes that `roots` depend on. */
  static of(roots: readonly Node[], leaf: LeafValue): Values {
    const nodes = topologicalOrder(roots).filter((node) => !isGiven(node));
    const { outputs } = lower({ inputs: [], outputs: nodes });
    return new Values(new Map(nodes.map((node, i) => [node, outputs[i]])), leaf, new Map());
  }

  /** The node's elements, row by row. Do not change them. */
  get(node: Node): AnyArray {
    const wanted = storageOf(this.primitiveOf(node));
    for (const part of this.#missing(wanted)) this.#known.set(part, this.#compute(part));
    return this.#known.get(wanted)!;
  }

  /** What has to be computed to know a node, in order. */
  #missing(wanted: Node): Node[] {
    const missing = new Set<Node>();
    const pending = [wanted];
    while (pending.length > 0) {
      const node = storageOf(pending.pop()!);
      if (this.#known.has(node) || missing.has(node)) continue;
      missing.add(node);
      pending.push(...node.inputs);
    }
    return [...missing].sort((a, b) => a.id - b.id);
  }

  #compute(node: Node): AnyArray {
    if (!isGiven(node)) return evaluate([node], "float64", (x) => this.#known.get(x)!)(node);
    const fill = fillValue(node);
    return fill === undefined ? (constantArray(node) ?? this.#leaf(node)) : evaluate([], "float64", this.#leaf)(node);
  }

  /** The primitive node that computes this one. Equal nodes have the same one: it is computed once. */
  primitiveOf(node: Node): Node {
    return this.#primitive.get(node) ?? node;
  }

  /** The same graph with other values of some nodes; whatever does not depend on them is not computed again. */
  with(replaced: ReadonlyMap<Node, AnyArray>): Values {
    const given = new Map([...replaced].map(([node, array]) => [storageOf(this.primitiveOf(node)), array]));
    const changed = new Set<Node>(given.keys());
    for (const node of topologicalOrder([...this.#known.keys()])) {
      if (node.inputs.some((x) => changed.has(x))) changed.add(node);
    }
    const kept = [...this.#known].filter(([node]) => !changed.has(node));
    return new Values(this.#primitive, this.#leaf, new Map([...kept, ...given]));
  }
}
