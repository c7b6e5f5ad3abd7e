/**
 * The second pass: puts ops together into steps, each one pass over memory. A step is a structural op with elementwise
 * ops on its result (its epilogue), or a loop of elementwise ops that may end in reductions, or one op alone.
 * Steps come out in the order in which they run.
 */
import { fillValue } from "../graph/leaf.ts";
import type { Node } from "../graph/node.ts";
import { broadcastsTo, padShape, type Shape, sameShape, sizeOf } from "../graph/shape.ts";
import type { Lowered } from "./lower.ts";
import type { Update } from "./plan.ts";

/** How an operand of a step lies to the step's rows and columns. */
export type Pattern = "full" | "perRow" | "perColumn" | "scalar";

export interface Step {
  /** All nodes the step computes, in order. */
  readonly nodes: readonly Node[];
  /** The structural op whose kernel runs, unless the step is a loop. */
  readonly root: Node | undefined;
  readonly elementwise: readonly Node[];
  /** Reductions of what the loop computes or reads; all over the same axes. */
  readonly reductions: readonly Node[];
  /** The shape the step goes over. */
  readonly space: Shape;
  /** How many leading axes of the space make up the rows; the rest are the columns. */
  readonly split: number;
  /** Results and leaves from outside that it reads, views resolved. */
  readonly reads: readonly Node[];
  /** The nodes of the step whose values others need. */
  readonly writes: readonly Node[];
  /** Where each written node goes: itself (its slot), or the variable that it updates in place. */
  readonly stores: ReadonlyMap<Node, Node>;
}

/** The node whose memory holds this node's elements: views share their operand's. */
export function storageOf(node: Node): Node {
  let base = node;
  while (base.op.meaning.kind === "view") base = base.inputs[0];
  return base;
}

/** The pattern of an operand in a space of rows (the first `split` axes) and columns, or undefined if it has none. */
export function patternOf(shape: Shape, space: Shape, split: number): Pattern | undefined {
  if (!broadcastsTo(shape, space)) return undefined;
  const padded = padShape(shape, space.length);
  const [rows, columns] = [sizeOf(padded.slice(0, split)), sizeOf(padded.slice(split))];
  // An axis of length 1 varies or not as one likes; "full" is the quickest to read.
  if (rows * columns === sizeOf(space)) return "full";
  if (rows * columns === 1) return "scalar";
  if (columns === 1 && rows === sizeOf(space.slice(0, split))) return "perRow";
  return rows === 1 && columns === sizeOf(space.slice(split)) ? "perColumn" : undefined;
}

interface Group {
  nodes: Node[];
  root: Node | undefined;
  reductions: Node[];
  readonly space: Shape;
  split: number;
  /** What must come after it, besides its own nodes. */
  after: Node[];
}

const isForward = (group: Group): boolean => group.nodes[0].phase === "forward";

const isElementwise = (node: Node): boolean => node.op.meaning.kind === "elementwise";

function groupOf(node: Node): Group {
  const { meaning } = node.op;
  const group: Group = { nodes: [node], root: undefined, reductions: [], space: node.shape, split: 0, after: [] };
  if (meaning.kind !== "structural") return group;
  if (!meaning.reduces) return { ...group, root: node, split: meaning.epilogue?.(node.inputs, node.shape) ?? 0 };
  const { inner } = meaning.reduces(node.inputs, node.attributes as never);
  const { from, to } = node.attributes as { from: number; to: number };
  return { ...group, reductions: [node], space: node.inputs[0].shape, split: inner === 1 ? from : to };
}

export function fuse({ nodes, outputs, updates, guard }: Lowered): { steps: Step[]; copies: Update[] } {
  const groups = new Map<Node, Group>();
  /** The nodes that read a result or leaf, themselves or through views. */
  const readers = new Map<Node, Node[]>();
  const readersOf = (node: Node): readonly Node[] => readers.get(node) ?? [];
  for (const node of nodes) {
    if (node.op.meaning.kind === "leaf" || node.op.meaning.kind === "view") continue;
    groups.set(node, groupOf(node));
    for (const base of node.inputs.map(storageOf)) {
      readers.set(base, [...readersOf(base), node]);
      groups.get(base)?.after.push(node);
    }
  }

  /** Whether one group comes after another by way of others, or, unless only that is asked, at once. */
  const reaches = (from: Group, to: Group, byOthers = false): boolean => {
    const seen = new Set([from]);
    // A set that is iterated gives what is added on the way, too.
    for (const group of seen) {
      for (const node of group.after) {
        const next = groups.get(node)!;
        if (next !== to) seen.add(next);
        else if (group !== from || !byOthers) return true;
      }
    }
    return false;
  };

  /** Whether a node reads of a variable only the elements that are updated in the same place. */
  const readsInPlace = (reader: Node, variable: Node): boolean =>
    reader.inputs.every(
      (x) => storageOf(x) !== variable || (isElementwise(reader) && sameShape(x.shape, variable.shape)),
    );

  // A variable is overwritten in place once every other reader is done. Where a reader needs the new value as well as
  // the old one, that cannot be; the new value then has memory of its own until the end of the run.
  const inPlace = new Map<Node, Node>();
  for (const { variable, value } of updates) {
    const others = readersOf(variable).filter((reader) => reader !== value);
    if (guard) groups.get(storageOf(guard))?.after.push(value);
    if (!readsInPlace(value, variable) || others.some((other) => reaches(groups.get(value)!, groups.get(other)!)))
      continue;
    inPlace.set(value, variable);
    for (const other of others) groups.get(other)!.after.push(value);
  }

  const isOnlyReduced = (node: Node): boolean => {
    const own = readersOf(node);
    return (
      own.length > 0 &&
      own.every((reader) => {
        const group = groups.get(reader)!;
        return (
          reader.inputs.includes(node) &&
          group.reductions.includes(reader) &&
          isForward(group) === isForward(groups.get(node)!) &&
          sameRun(reader, own[0])
        );
      })
    );
  };

  /** Puts the consumer's group into the producer's, if that can be one pass and no path leads out of it and back. */
  const merge = (first: Group, second: Group): void => {
    if (first === second || !sameShape(first.space, second.space) || (first.root && second.root)) return;
    // What the backward pass derives from a forward result it derives when it needs it: storing it would cost memory.
    if (isForward(first) !== isForward(second)) return;
    const root = first.root ?? second.root;
    const reductions = [...first.reductions, ...second.reductions];
    if (!reductions.every((node) => sameRun(node, reductions[0]))) return;
    // What is made only to be summed up is made by the loop that sums: storing it would cost memory.
    if (root && (reductions.length > 0 || !hasEpilogue(root) || second.nodes.every(isOnlyReduced))) return;
    const split = first.split || second.split;
    const members = [...first.nodes, ...second.nodes].sort((a, b) => a.id - b.id);
    const own = new Set(members);
    const fits = (node: Node, x: Node): boolean => {
      // Nothing reads, in the very pass that makes it, a finished reduction or a result under another shape, and the
      // kernel's own operands are ready before it begins.
      if (own.has(x) ? node === root || reductions.includes(x) : own.has(storageOf(x))) return false;
      // Loops without reductions go over any broadcast.
      const regular = root || reductions.length > 0;
      return !regular || !isElementwise(node) || fillValue(x) !== undefined || !!patternOf(x.shape, first.space, split);
    };
    if (!members.every((node) => node.inputs.every((x) => fits(node, x)))) return;
    // A variable's old elements are read before, or by, the node that stores the new ones in their place.
    const keepsOld = (value: Node, i: number): boolean => {
      const variable = inPlace.get(value);
      const late = new Set(members.slice(i + 1));
      return (
        !variable ||
        (members.every((reader) => readsInPlace(reader, variable)) && !readersOf(variable).some((x) => late.has(x)))
      );
    };
    if (!members.every(keepsOld)) return;
    if (reaches(first, second, true) || reaches(second, first)) return;
    Object.assign(first, { nodes: members, root, reductions, split, after: [...first.after, ...second.after] });
    for (const node of second.nodes) groups.set(node, first);
  };

  for (const node of groups.keys()) {
    for (const x of node.inputs) {
      const [producer, consumer] = [groups.get(x), groups.get(node)!];
      // What a reduction consumes must be made by the loop itself, not summed by it.
      const joins = isElementwise(node) ? !producer?.reductions.includes(x) : isReduction(node) && isElementwise(x);
      if (producer && joins) merge(producer, consumer);
    }
  }

  const wanted = new Set([...outputs, ...(guard ? [guard] : []), ...updates.map(({ value }) => value)].map(storageOf));
  const steps = schedule(groups).map((group): Step => {
    const { nodes, root, reductions, space, split } = group;
    // A view of an own result is read from memory, unless the view is not of one of the step's nodes.
    const read = nodes.flatMap((node) => node.inputs.filter((x) => !nodes.includes(x))).map(storageOf);
    const writes = nodes.filter(
      (node) => wanted.has(node) || readersOf(node).some((reader) => groups.get(reader) !== group),
    );
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

/** A topological order that does updates as soon as they can be done, while what they read is still in the cache. */
function schedule(groups: ReadonlyMap<Node, Group>): Group[] {
  const all = new Set(groups.values());
  const after = new Map([...all].map((group) => [group, new Set(group.after.map((node) => groups.get(node)!))]));
  const waiting = new Map([...all].map((group) => [group, 0]));
  const wait = (group: Group, change: number): number => {
    const left = waiting.get(group)! + change;
    waiting.set(group, left);
    return left;
  };
  for (const [group, followers] of after) {
    followers.delete(group);
    for (const follower of followers) wait(follower, 1);
  }
  const ready = [...all].filter((group) => waiting.get(group) === 0);
  const rank = ({ nodes, root }: Group): number => (nodes.at(-1)!.phase === "update" && !root ? -1 : nodes[0].id);
  const order: Group[] = [];
  while (ready.length > 0) {
    const group = ready.sort((a, b) => rank(a) - rank(b)).shift()!;
    order.push(group);
    for (const follower of after.get(group)!) if (wait(follower, -1) === 0) ready.push(follower);
  }
  if (order.length !== all.size) throw new Error("The planner made a cycle of steps; this is a mistake in fuse.ts.");
  return order;
}
