/**
 * The first pass of planning: puts composites' parts in their place and makes one node of equal ones, so that what two
 * paths need (a softmax forward and backward, say) is computed once.
 */

import { nodeKeys } from "../graph/equality.ts";
import { constant, fillValue, input, isConstant } from "../graph/leaf.ts";
import { inPhase, inScope, makeNode, type Node, topologicalOrder, withInputs } from "../graph/node.ts";
import type { TrimmedLoop } from "../graph/op.ts";
import { toFloat } from "../ops/functions.ts";
import { SINGLE_PRECISION, type Target } from "./target.ts";
import type { Plan, PlanRequest, Update } from "./types.ts";

export type Lowered = Pick<Plan, "inputs" | "outputs" | "updates" | "guard"> & {
  /** Every node to compute and every leaf, in order. */
  readonly nodes: readonly Node[];
};

export function lower(request: PlanRequest, { loops }: Target = SINGLE_PRECISION): Lowered {
  const trims = new Map<Node, TrimmedLoop>();
  const replaced = new Map<Node, Node>();
  const unique = new Map<string, Node>();
  const keyOf = nodeKeys((x) => x.id);

  // A number that is the same everywhere has no memory to be read from; an op puts it there.
  const stored = (node: Node): Node => (fillValue(node) === undefined ? node : copyOf(node));

  const rewrite = (outputs: readonly Node[]): void => {
    for (const node of topologicalOrder(outputs, (x) => replaced.has(x))) {
      const ready = node.inputs.map((x) => replaced.get(x)!);
      const { meaning } = node.op;
      const trim = trims.get(node);
      const inputs = readsMemory(node)
        ? ready.map((x, i) => (trim && !trim.needs[i] ? constant(0, x.shape, x.dtype) : stored(x)))
        : ready;
      const change = trim ? trimmedLoop(inputs, node, trim) : movedPart(node, trims.get(node.inputs[0]));
      const moved = change || !inputs.every((x, i) => x === node.inputs[i]) ? withInputs(node, inputs, change) : node;
      if (meaning.kind === "leaf" && !isConstant(node)) {
        replaced.set(node, node);
        continue;
      }
      const key = keyOf(moved);
      const known = unique.get(key);
      let result = known ?? moved;
      const made =
        meaning.kind === "composite" ? meaning.lower : meaning.kind === "loop" && !loops ? meaning.unroll : undefined;
      if (!known && made) {
        const parts = inPhase(node.phase, () => inScope(node.scope, () => made(inputs, moved.attributes as never)));
        trimLoops([parts], trims, (x) => replaced.has(x));
        rewrite([parts]);
        result = replaced.get(parts)!;
      }
      unique.set(key, result);
      // The result stands for itself, too: parts of composites are made of results.
      for (const each of [node, result]) replaced.set(each, result);
    }
  };

  trimLoops(
    [
      ...request.outputs,
      ...(request.updates ?? []).map(({ value }) => value),
      ...(request.guard ? [request.guard] : []),
    ],
    trims,
  );
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
const readsMemory = ({ op: { meaning } }: Node): boolean =>
  meaning.kind === "loop" || (meaning.kind === "structural" && !meaning.reduces);

/** Finds what of the loops is read, from the end of the graph to its beginning: what one does not need others need not keep. */
function trimLoops(
  roots: readonly Node[],
  trims: Map<Node, TrimmedLoop>,
  known: (node: Node) => boolean = () => false,
): void {
  const alive = new Set(roots);
  /** Those that are read otherwise than by parts. */
  const whole = new Set(roots);
  const read = new Map<Node, number[]>();
  for (const node of topologicalOrder(roots, known).reverse()) {
    if (!alive.has(node)) continue;
    const { meaning } = node.op;
    const trim =
      meaning.kind === "loop" && !whole.has(node) ? meaning.trim(node.attributes as never, read.get(node)!) : undefined;
    if (trim) trims.set(node, trim);
    const { offset } = node.attributes;
    for (const [i, x] of node.inputs.entries()) {
      if (trim && !trim.needs[i]) continue;
      alive.add(x);
      if (x.op.meaning.kind !== "loop") continue;
      if (meaning.kind === "view" && typeof offset === "number") read.set(x, [...(read.get(x) ?? []), offset]);
      else whole.add(x);
    }
  }
}

const trimmedLoop = (inputs: readonly Node[], { op }: Node, { attributes }: TrimmedLoop) => ({
  attributes,
  shape: op.shape(inputs, attributes).shape,
});

/** A part of a trimmed loop's result begins at another element. */
const movedPart = ({ attributes }: Node, trim: TrimmedLoop | undefined) =>
  trim && { attributes: { ...attributes, offset: trim.offsets.get(attributes.offset as number) } };

/** The op that gives back its operand. Applied to floats it is simplified away, so `copyOf` makes its node by hand. */
const identity = toFloat(input("x", [], "int")).op;

const copyOf = (node: Node): Node => makeNode(identity, [node], {}, node.shape, "float");
