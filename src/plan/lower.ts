/**
 * The first pass of planning: puts composites' parts in their place and makes one node of equal ones, so that what two
 * paths need (a softmax forward and backward, say) is computed once.
 */

import { nodeKeys } from "../graph/equality.ts";
import { fillValue, input, isConstant } from "../graph/leaf.ts";
import { inPhase, inScope, makeNode, type Node, topologicalOrder, withInputs } from "../graph/node.ts";
import { toFloat } from "../ops/functions.ts";
import type { Plan, PlanRequest, Update } from "./types.ts";

export type Lowered = Pick<Plan, "inputs" | "outputs" | "updates" | "guard"> & {
  /** Every node to compute and every leaf, in order. */
  readonly nodes: readonly Node[];
};

export function lower(request: PlanRequest): Lowered {
  const replaced = new Map<Node, Node>();
  const unique = new Map<string, Node>();
  const keyOf = nodeKeys((x) => x.id);

  // A number that is the same everywhere has no memory to be read from; an op puts it there.
  const stored = (node: Node): Node => (fillValue(node) === undefined ? node : copyOf(node));

  const rewrite = (outputs: readonly Node[]): void => {
    for (const node of topologicalOrder(outputs, (x) => replaced.has(x))) {
      const ready = node.inputs.map((x) => replaced.get(x)!);
      const inputs = readsMemory(node) ? ready.map(stored) : ready;
      const moved = inputs.every((x, i) => x === node.inputs[i]) ? node : withInputs(node, inputs);
      const { meaning } = node.op;
      if (meaning.kind === "leaf" && !isConstant(node)) {
        replaced.set(node, node);
        continue;
      }
      const key = keyOf(moved);
      const known = unique.get(key);
      let result = known ?? moved;
      if (!known && meaning.kind === "composite") {
        const parts = inPhase(node.phase, () =>
          inScope(node.scope, () => meaning.lower(inputs, node.attributes as never)),
        );
        rewrite([parts]);
        result = replaced.get(parts)!;
      }
      unique.set(key, result);
      // The result stands for itself, too: parts of composites are made of results.
      for (const each of [node, result]) replaced.set(each, result);
    }
  };

  const find = (node: Node): Node => {
    if (!replaced.has(node)) rewrite([node]);
    return replaced.get(node)!;
  };

  const outputs = request.outputs.map((node) => stored(find(node)));
  // An update stores what a step computes: a leaf, a view, or a value that two variables take is copied by an op.
  const taken = new Set<Node>();
  const updates = (request.updates ?? []).map(({ variable, value }): Update => {
    let computed = find(value);
    if (computed.op.meaning.kind === "leaf" || computed.op.meaning.kind === "view" || taken.has(computed)) {
      computed = copyOf(computed);
    }
    taken.add(computed);
    return { variable, value: computed };
  });
  const guard = request.guard && stored(find(request.guard));
  const nodes = topologicalOrder([
    ...request.inputs,
    ...outputs,
    ...updates.map((u) => u.value),
    ...(guard ? [guard] : []),
  ]);
  return { inputs: request.inputs, outputs, updates, guard, nodes };
}

/** Whether an op's kernel takes its operands from memory, rather than one element at a time. */
const readsMemory = ({ op: { meaning } }: Node): boolean => meaning.kind === "structural" && !meaning.reduces;

/** The op that gives back its operand. Applied to floats it is simplified away, so `copyOf` makes its node by hand. */
const identity = toFloat(input("x", [], "int")).op;

const copyOf = (node: Node): Node => makeNode(identity, [node], {}, node.shape, "float");
