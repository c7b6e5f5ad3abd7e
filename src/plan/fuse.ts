/**
 * The second pass: puts ops together into steps, each one pass over memory. A step is a structural op with elementwise
 * ops on its result (its epilogue), or a loop of elementwise ops that may end in reductions, or one op alone.
 * Steps come out in the order in which they run.
 */
import { fillValue } from "../graph/leaf.ts";
import type { Node } from "../graph/node.ts";
import { type Shape, sameShape } from "../graph/shape.ts";
import type { Lowered } from "./lower.ts";
import { patternOf, storageOf } from "./operands.ts";
import { Order } from "./order.ts";
import type { Target } from "./target.ts";
import type { Step, Update } from "./types.ts";

/** What becomes one step. */
interface Group {
  readonly nodes: Node[];
  root: Node | undefined;
  reductions: readonly Node[];
  readonly space: Shape;
  split: number;
  readonly phase: "forward" | "later";
  /** Whether it computes the number that stops a run. */
  guarded: boolean;
  /** The new values among its nodes that are stored in the place of the old ones. */
  inPlace: readonly Node[];
}

const isElementwise = (node: Node): boolean => node.op.meaning.kind === "elementwise";

function groupOf(node: Node): Group {
  const { meaning } = node.op;
  const group: Group = {
    nodes: [node],
    root: undefined,
    reductions: [],
    space: node.shape,
    split: 0,
    phase: node.phase === "forward" ? "forward" : "later",
    guarded: false,
    inPlace: [],
  };
  if (meaning.kind === "loop") return { ...group, root: node };
  if (meaning.kind !== "structural") return group;
  if (!meaning.reduces) return { ...group, root: node, split: meaning.epilogue?.(node.inputs, node.shape) ?? 0 };
  const { inner } = meaning.reduces(node.inputs, node.attributes as never);
  const { from, to } = node.attributes as { from: number; to: number };
  return { ...group, reductions: [node], space: node.inputs[0].shape, split: inner === 1 ? from : to };
}

/** Whether the step goes in rows and columns, to which every operand must lie; loops without reductions go over any. */
const isRegular = ({ root, reductions }: Pick<Group, "root" | "reductions">): boolean =>
  !!root || reductions.length > 0;

export function fuse(
  { nodes, outputs, updates, guard }: Lowered,
  { mostArrays }: Target,
): { steps: Step[]; copies: Update[] } {
  const computed = nodes.filter(({ op: { meaning } }) => meaning.kind !== "leaf" && meaning.kind !== "view");
  const groups = computed.map(groupOf);
  const order = new Order(groups.length);
  const vertices = new Map(computed.map((node, vertex) => [node, vertex]));
  const vertexOf = (node: Node): number => order.of(vertices.get(node)!);
  const groupWith = (node: Node): Group => groups[vertexOf(node)];

  /** The nodes that read a result or leaf, themselves or through views. */
  const readers = new Map<Node, Node[]>();
  const readersOf = (node: Node): readonly Node[] => readers.get(node) ?? [];
  for (const node of computed) {
    for (const base of new Set(node.inputs.map(storageOf))) {
      if (!readers.has(base)) readers.set(base, []);
      readers.get(base)!.push(node);
      if (vertices.has(base)) order.link(vertexOf(base), vertexOf(node));
    }
  }

  /** Whether a node reads of a variable only the elements that are updated in the same place. */
  const readsInPlace = (reader: Node, variable: Node): boolean =>
    reader.inputs.every(
      (x) => storageOf(x) !== variable || (isElementwise(reader) && sameShape(x.shape, variable.shape)),
    );

  // A variable is overwritten in place once every other reader is done and the guard has been looked at. Where that
  // needs the new value, it cannot be; the new value then has memory of its own until the end of the run.
  const guarded = guard && storageOf(guard);
  if (guarded && vertices.has(guarded)) groupWith(guarded).guarded = true;
  const inPlace = new Map<Node, Node>();
  for (const { variable, value } of updates) {
    const others = readersOf(variable).filter((reader) => reader !== value);
    if (guarded && vertices.has(guarded)) others.push(guarded);
    if (!readsInPlace(value, variable) || others.some((other) => order.reaches(vertexOf(value), vertexOf(other))))
      continue;
    inPlace.set(value, variable);
    groupWith(value).inPlace = [value];
    for (const other of others) order.link(vertexOf(other), vertexOf(value));
  }

  const isOnlyReduced = (node: Node): boolean => {
    const own = readersOf(node);
    return (
      own.length > 0 &&
      own.every((reader) => {
        const group = groupWith(reader);
        return (
          reader.inputs.includes(node) &&
          group.reductions.includes(reader) &&
          group.phase === groupWith(node).phase &&
          sameRun(reader, own[0])
        );
      })
    );
  };

  /** The nodes of the second group that read results of the first, with what they read: found from the smaller one. */
  const links = function* (first: Group, second: Group): Generator<[reader: Node, result: Node]> {
    if (first.nodes.length < second.nodes.length) {
      for (const node of first.nodes)
        for (const reader of readersOf(node)) if (groupWith(reader) === second) yield [reader, node];
    } else {
      for (const reader of second.nodes)
        for (const x of reader.inputs.map(storageOf)) if (vertices.has(x) && groupWith(x) === first) yield [reader, x];
    }
  };

  /** Puts the consumer's group into the producer's, if that can be one pass and no path leads out of it and back. */
  const merge = (first: Group, second: Group): void => {
    if (first === second || !sameShape(first.space, second.space) || (first.root && second.root)) return;
    // What the backward pass derives from a forward result it derives when it needs it: storing it would cost memory.
    if (first.phase !== second.phase) return;
    const root = first.root ?? second.root;
    const reductions = [...first.reductions, ...second.reductions];
    if (!reductions.every((node) => sameRun(node, reductions[0]))) return;
    // What is made only to be summed up is made by the loop that sums: storing it would cost memory.
    if (root && (reductions.length > 0 || !hasEpilogue(root) || second.nodes.every(isOnlyReduced))) return;
    const split = first.split || second.split;
    // Nothing reads, in the very pass that makes it, a finished reduction or a result under another shape, and the
    // kernel's own operands are ready before it begins.
    for (const [reader, result] of links(first, second))
      if (
        reader === root ||
        reductions.includes(result) ||
        reader.inputs.some((x) => x !== result && storageOf(x) === result)
      )
        return;
    const own = (x: Node): boolean => vertices.has(x) && (groupWith(x) === first || groupWith(x) === second);
    const lies = (x: Node): boolean => own(x) || fillValue(x) !== undefined || !!patternOf(x.shape, first.space, split);
    // A regular group's own operands lie well already.
    const becomesRegular = isRegular({ root, reductions })
      ? [first, second].filter((group) => !isRegular(group) || group.split !== split)
      : [];
    if (!becomesRegular.every((group) => group.nodes.every((node) => !isElementwise(node) || node.inputs.every(lies))))
      return;
    // A variable's old elements are read before, or by, the node that stores the new ones in their place.
    const keepsOld = (value: Node): boolean =>
      readersOf(inPlace.get(value)!).every(
        (reader) => !own(reader) || (readsInPlace(reader, inPlace.get(value)!) && reader.id <= value.id),
      );
    const guarded = first.guarded || second.guarded;
    const newValues = [...first.inPlace, ...second.inPlace];
    if (guarded && newValues.length > 0) return;
    if (!newValues.every(keepsOld)) return;
    if (Number.isFinite(mostArrays) && arraysOf([...first.nodes, ...second.nodes]) > mostArrays) return;
    const [a, b] = [vertexOf(first.nodes[0]), vertexOf(second.nodes[0])];
    if (!order.merge(a, b)) return;
    const [part, whole] = first.nodes.length < second.nodes.length ? [first, second] : [second, first];
    for (const node of part.nodes) whole.nodes.push(node);
    groups[order.of(a)] = Object.assign(whole, { root, reductions, split, guarded, inPlace: newValues });
  };

  const wanted = new Set([...outputs, ...(guard ? [guard] : []), ...updates.map(({ value }) => value)].map(storageOf));

  /** How many arrays a step of these nodes reads and writes. */
  const arraysOf = (members: readonly Node[]): number => {
    const own = new Set(members);
    const reads = members.flatMap((node) =>
      node.inputs.map(storageOf).filter((x) => !own.has(x) && fillValue(x) === undefined),
    );
    const writes = members.filter((node) => wanted.has(node) || readersOf(node).some((reader) => !own.has(reader)));
    return new Set([...reads, ...writes.map((node) => inPlace.get(node) ?? node)]).size;
  };

  // Updates stand next to what they need, so that what is asked of the order lies close together.
  order.sort((vertex) => rankOf(groups[vertex]));
  for (const node of computed) {
    for (const x of node.inputs) {
      if (!vertices.has(x)) continue;
      const [producer, consumer] = [groupWith(x), groupWith(node)];
      // What a reduction consumes must be made by the loop itself, not summed by it.
      const joins = isElementwise(node) ? !producer.reductions.includes(x) : isReduction(node) && isElementwise(x);
      if (joins) merge(producer, consumer);
    }
  }

  for (const { nodes } of groups) nodes.sort((a, b) => a.id - b.id);
  const steps = order
    .sort((vertex) => rankOf(groups[vertex]))
    .map((vertex): Step => {
      const { nodes, root, reductions, space, split } = groups[vertex];
      const own = new Set(nodes);
      // A view of an own result is read from memory, unless the view is not of one of the step's nodes.
      const read = nodes.flatMap((node) => node.inputs.filter((x) => !own.has(x))).map(storageOf);
      const writes = nodes.filter((node) => wanted.has(node) || readersOf(node).some((reader) => !own.has(reader)));
      return {
        nodes,
        root,
        reductions,
        space,
        split,
        elementwise: nodes.filter(isElementwise),
        reads: [...new Set(read)].filter((x) => fillValue(x) === undefined),
        writes,
        stores: new Map(writes.map((node) => [node, inPlace.get(node) ?? node])),
      };
    });
  return { steps, copies: updates.filter(({ value }) => !inPlace.has(value)) };
}

const isReduction = ({ op: { meaning } }: Node): boolean =>
  meaning.kind === "structural" && meaning.reduces !== undefined;

const hasEpilogue = ({ op: { meaning }, dtype }: Node): boolean =>
  meaning.kind === "structural" && meaning.epilogue !== undefined && dtype === "float";

const sameRun = (a: Node, b: Node): boolean =>
  a.attributes.from === b.attributes.from && a.attributes.to === b.attributes.to;

/** Updates are done as soon as they can be, while what they read is still in the cache; all else as it was written. */
const rankOf = ({ nodes, root }: Group): number => (nodes.at(-1)!.phase === "update" && !root ? -1 : nodes[0].id);
