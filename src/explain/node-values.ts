/**
 * The values of a graph's nodes, each computed when it is first asked for, by the reference interpreter in float64. The
 * graph is taken as it was built: nothing of it is rewritten, so that what is told is what was written.
 */
import { evaluate } from "../backends/reference/reference.ts";
import { constantArray, fillValue } from "../graph/leaf.ts";
import { type Node, topologicalOrder } from "../graph/node.ts";
import type { AnyArray } from "../graph/op.ts";
import { sizeOf } from "../graph/shape.ts";
import { offsetOf, storageOf } from "../plan/operands.ts";

export type LeafValue = (leaf: Node) => AnyArray;

const isGiven = (node: Node): boolean => node.op.meaning.kind === "leaf";

export class Values {
  readonly #leaf: LeafValue;
  readonly #known: Map<Node, AnyArray>;

  /** @param known what need not be computed */
  constructor(leaf: LeafValue, known: Map<Node, AnyArray> = new Map()) {
    this.#leaf = leaf;
    this.#known = known;
  }

  /** The node's elements, row by row. Do not change them. */
  get(node: Node): AnyArray {
    const wanted = storageOf(node);
    for (const part of this.#missing(wanted)) this.#known.set(part, this.#compute(part));
    const whole = this.#known.get(wanted)!;
    const [offset, size] = [offsetOf(node), sizeOf(node.shape)];
    return size === whole.length ? whole : whole.subarray(offset, offset + size);
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

  /** The same graph with other values of some nodes; whatever does not depend on them is not computed again. */
  with(replaced: ReadonlyMap<Node, AnyArray>): Values {
    const given = new Map<Node, AnyArray>();
    for (const [node, array] of replaced) {
      const base = storageOf(node);
      // Of some rows alone, the others stay.
      const whole =
        sizeOf(node.shape) === sizeOf(base.shape) ? array.slice() : (given.get(base) ?? this.get(base)).slice();
      whole.set(array, offsetOf(node));
      given.set(base, whole);
    }
    const changed = new Set<Node>(given.keys());
    for (const node of topologicalOrder([...this.#known.keys()])) {
      if (node.inputs.some((x) => changed.has(x))) changed.add(node);
    }
    const kept = [...this.#known].filter(([node]) => !changed.has(node));
    return new Values(this.#leaf, new Map([...kept, ...given]));
  }
}
