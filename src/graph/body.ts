/**
 * The body of a loop over time: a graph of its own, whose leaves are one place of each sequence, the states as they are before
 * it, and what is the same in all turns. Nodes of the graph around it stand in none of it.
 */
import { type Keyed, nodeKeys } from "./equality.ts";
import { type Node, topologicalOrder } from "./node.ts";

/** What a body consists of; all leaves are variables. */
export interface BodyParts {
  readonly sequences: readonly Node[];
  readonly states: readonly Node[];
  readonly constants: readonly Node[];
  /** The states after it, in the order of `states`. */
  readonly next: readonly Node[];
  /** What else can be had of each turn. */
  readonly outputs: readonly Node[];
}

export class Body implements BodyParts, Keyed {
  readonly sequences: readonly Node[];
  readonly states: readonly Node[];
  readonly constants: readonly Node[];
  readonly next: readonly Node[];
  readonly outputs: readonly Node[];
  #key: string | undefined;

  constructor({ sequences, states, constants, next, outputs }: BodyParts) {
    this.sequences = sequences;
    this.states = states;
    this.constants = constants;
    this.next = next;
    this.outputs = outputs;
  }

  /** The same for bodies that compute the same. */
  get attributeKey(): string {
    if (this.#key !== undefined) return this.#key;
    const numbers = new Map<Node, number>();
    const keyOf = nodeKeys((x) => numbers.get(x)!);
    const leaves = [this.sequences, this.states, this.constants];
    const order = topologicalOrder([...leaves.flat(), ...this.next, ...this.outputs]);
    const nodes = [...leaves.flat(), ...order.filter((node) => !leaves.some((own) => own.includes(node)))];
    const texts = nodes.map((node, i) => {
      numbers.set(node, i);
      return `${keyOf(node)}:${node.dtype}[${node.shape}]`;
    });
    const results = [this.next, this.outputs].map((list) => list.map((node) => numbers.get(node)));
    this.#key = `body(${leaves.map((own) => own.length)};${texts.join(";")};${results.join("→")})`;
    return this.#key;
  }
}
