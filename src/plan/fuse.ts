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
  const varies = (from: number, to: number): boolean | undefined => {
    const part = space.slice(from, to);
    const own = padded.slice(from, to);
    if (own.every((n) => n === 1)) return false;
    return sameShape(own, part) ? true : undefined;
  };
  const oneRow = sizeOf(space.slice(0, split)) === 1;
  const oneColumn = sizeOf(space.slice(split)) === 1;
  const rows = oneRow ? false : varies(0, split);
  const columns = oneColumn ? false : varies(split, space.length);
  if (rows === undefined || columns === undefined) return undefined;
  // An axis of length 1 varies or not as one likes; "full" is the quickest to read.
  if ((rows || oneRow) && (columns || oneColumn)) return sizeOf(shape) === sizeOf(space) ? "full" : "scalar";
  if (rows) return "perRow";
  return columns ? "perColumn" : "scalar";
}

interface Group {
  nodes: Node[];
  root: Node | undefined;
  reductions: Node[];
  space: Shape;
  split: number;
  /** Whether every operand must have a pattern; loops without reductions go over any broadcast. */
  regular: boolean;
  before: Set<Group>;
  after: Set<Group>;
}

const isForward = (group: Group): boolean => group.nodes[0].phase === "forward";

const isElementwise = (node: Node): boolean => node.op.meaning.kind === "elementwise";

function groupOf(node: Node): Group {
  const { meaning } = node.op;
  const base = { nodes: [node], reductions: [] as Node[], before: new Set<Group>(), after: new Set<Group>() };
  if (meaning.kind === "structural" && meaning.reduces) {
    const { inner } = meaning.reduces(node.inputs, node.attributes as never);
    const { from, to } = node.attributes as { from: number; to: number };
    const space = node.inputs[0].shape;
    return { ...base, root: undefined, reductions: [node], space, split: inner === 1 ? from : to, regular: true };
  }
  const root = isElementwise(node) ? undefined : node;
  const epilogue = meaning.kind === "structural" ? meaning.epilogue : undefined;
  const split = epilogue?.(node.inputs, node.shape) ?? 0;
  return { ...base, root, space: node.shape, split, regular: root !== undefined };
}

export function fuse({ nodes, outputs, updates, guard }: Lowered): { steps: Step[]; copies: Update[] } {
  const groups = new Map<Node, Group>();
  for (const node of nodes) {
    if (node.op.meaning.kind !== "leaf" && node.op.meaning.kind !== "view") groups.set(node, groupOf(node));
  }

  const link = (first: Group, then: Group): void => {
    if (first === then) return;
    first.after.add(then);
    then.before.add(first);
  };
  const readers = new Map<Node, Node[]>();
  for (const node of groups.keys()) {
    for (const x of node.inputs) {
      const base = storageOf(x);
      readers.set(base, [...(readers.get(base) ?? []), node]);
      const producer = groups.get(base);
      if (producer) link(producer, groups.get(node)!);
    }
  }

  const reaches = (from: Group, to: Group, skipDirect = false): boolean => {
    const seen = new Set<Group>();
    const pending = [...from.after].filter((g) => !(skipDirect && g === to));
    while (pending.length > 0) {
      const group = pending.pop()!;
      if (group === to) return true;
      if (seen.has(group)) continue;
      seen.add(group);
      pending.push(...group.after);
    }
    return false;
  };

  // A variable is overwritten in place once every other reader is done. Where a reader needs the new value as well as
  // the old one, that cannot be; the new value then has memory of its own until the end of the run.
  const inPlace = new Map<Node, Node>();
  for (const { variable, value } of updates) {
    const target = groups.get(value)!;
    const others = (readers.get(variable) ?? [])
      .filter((reader) => reader !== value)
      .map((reader) => groups.get(reader)!);
    const readsWhole = value.inputs.every(
      (x) => storageOf(x) !== variable || (isElementwise(value) && sameShape(x.shape, value.shape)),
    );
    if (guard && groups.has(storageOf(guard))) link(groups.get(storageOf(guard))!, target);
    if (!readsWhole || others.some((other) => reaches(target, other))) continue;
    inPlace.set(value, variable);
    for (const other of others) link(other, target);
  }

  const operandsFit = (members: readonly Node[], space: Shape, split: number): boolean =>
    members.every(
      (node) =>
        !isElementwise(node) ||
        node.inputs.every((x) => fillValue(x) !== undefined || patternOf(x.shape, space, split) !== undefined),
    );

  const updatesStayWhole = (members: readonly Node[]): boolean =>
    members.every((value) => {
      const target = inPlace.get(value);
      if (!target) return true;
      return members.every((reader) =>
        reader.inputs.every(
          (x) => storageOf(x) !== target || (isElementwise(reader) && sameShape(x.shape, value.shape)),
        ),
      );
    });

  /**
   * Whether nothing reads, in the very pass that makes it, a finished reduction or a result under another shape, and
   * whether the kernel's own operands are ready before it begins.
   */
  const onePass = (members: readonly Node[], root: Node | undefined, reductions: readonly Node[]): boolean => {
    const own = new Set(members);
    const fits = (node: Node, x: Node): boolean =>
      own.has(x) ? node !== root && !reductions.includes(x) : !own.has(storageOf(x));
    return members.every((node) => node.inputs.every((x) => fits(node, x)));
  };

  const isOnlyReduced = (node: Node): boolean => {
    const own = readers.get(node) ?? [];
    const sums = own.filter((reader) => {
      const group = groups.get(reader)!;
      return (
        reader.inputs.includes(node) &&
        group.reductions.includes(reader) &&
        isForward(group) === isForward(groups.get(node)!)
      );
    });
    return sums.length > 0 && sums.length === own.length && sums.every((sum) => sameRun(sum, sums[0]));
  };

  /** Puts the consumer's group into the producer's, if that can be one pass and no path leads out of it and back. */
  const merge = (first: Group, second: Group): boolean => {
    if (first === second || !sameShape(first.space, second.space)) return false;
    if (first.root && second.root) return false;
    // What the backward pass derives from a forward result it derives when it needs it: storing it would cost memory.
    if (isForward(first) !== isForward(second)) return false;
    const root = first.root ?? second.root;
    // What is made only to be summed up is made by the loop that sums: storing it would cost memory.
    if (root && second.nodes.every(isOnlyReduced)) return false;
    const reductions = [...first.reductions, ...second.reductions];
    if (root && (reductions.length > 0 || !hasEpilogue(root))) return false;
    if (
      first.reductions.length > 0 &&
      second.reductions.length > 0 &&
      !sameRun(first.reductions[0], second.reductions[0])
    )
      return false;
    const regular = root !== undefined || reductions.length > 0;
    const split = first.regular ? first.split : second.split;
    const members = [...first.nodes, ...second.nodes];
    if (regular && !operandsFit(members, first.space, split)) return false;
    if (!onePass(members, root, reductions) || !updatesStayWhole(members)) return false;
    if (reaches(first, second, true) || reaches(second, first)) return false;
    first.nodes = members.sort((a, b) => a.id - b.id);
    Object.assign(first, { root, reductions, split, regular });
    for (const group of second.before) {
      group.after.delete(second);
      link(group, first);
    }
    for (const group of second.after) {
      group.before.delete(second);
      link(first, group);
    }
    first.after.delete(second);
    first.before.delete(second);
    for (const node of second.nodes) groups.set(node, first);
    return true;
  };

  for (const node of groups.keys()) {
    const { meaning } = node.op;
    const joins = isElementwise(node) || (meaning.kind === "structural" && meaning.reduces);
    if (!joins) continue;
    for (const x of node.inputs) {
      const producer = groups.get(x);
      if (!producer) continue;
      // What a reduction consumes must be made by the loop itself, not summed by it.
      if (isElementwise(node) ? producer.reductions.includes(x) : !isElementwise(x)) continue;
      merge(producer, groups.get(node)!);
    }
  }

  const wanted = new Set<Node>([...outputs, ...(guard ? [guard] : [])].map(storageOf));
  for (const { value } of updates) wanted.add(value);
  const steps = schedule(new Set(groups.values())).map((group) => toStep(group, groups, readers, wanted, inPlace));
  return { steps, copies: updates.filter(({ value }) => !inPlace.has(value)) };
}

const hasEpilogue = ({ op: { meaning }, dtype }: Node): boolean =>
  meaning.kind === "structural" && meaning.epilogue !== undefined && dtype === "float";

const sameRun = (a: Node, b: Node): boolean =>
  a.attributes.from === b.attributes.from && a.attributes.to === b.attributes.to;

/** A topological order that does updates as soon as they can be done, while what they read is still in the cache. */
function schedule(groups: ReadonlySet<Group>): Group[] {
  const waiting = new Map([...groups].map((group) => [group, group.before.size]));
  const ready = [...groups].filter((group) => group.before.size === 0);
  const order: Group[] = [];
  const rank = (group: Group): number => {
    const last = group.nodes[group.nodes.length - 1];
    return last.phase === "update" && !group.root ? -1 : group.nodes[0].id;
  };
  while (ready.length > 0) {
    let next = 0;
    for (let i = 1; i < ready.length; i++) if (rank(ready[i]) < rank(ready[next])) next = i;
    const [group] = ready.splice(next, 1);
    order.push(group);
    for (const follower of group.after) {
      const left = waiting.get(follower)! - 1;
      waiting.set(follower, left);
      if (left === 0) ready.push(follower);
    }
  }
  if (order.length !== groups.size) throw new Error("The planner made a cycle of steps; this is a mistake in fuse.ts.");
  return order;
}

function toStep(
  group: Group,
  groups: ReadonlyMap<Node, Group>,
  readers: ReadonlyMap<Node, readonly Node[]>,
  wanted: ReadonlySet<Node>,
  inPlace: ReadonlyMap<Node, Node>,
): Step {
  const own = new Set(group.nodes);
  const reads = new Set<Node>();
  for (const node of group.nodes) {
    for (const x of node.inputs) {
      const base = storageOf(x);
      // A view of an own result is read from memory, unless the view is not of one of the step's nodes.
      if (!own.has(x) && fillValue(base) === undefined) reads.add(base);
    }
  }
  const writes = group.nodes.filter(
    (node) => wanted.has(node) || (readers.get(node) ?? []).some((reader) => groups.get(reader) !== group),
  );
  return {
    nodes: group.nodes,
    root: group.root,
    elementwise: group.nodes.filter(isElementwise),
    reductions: group.reductions,
    space: group.space,
    split: group.split,
    reads: [...reads],
    writes,
    stores: new Map(writes.map((node) => [node, inPlace.get(node) ?? node])),
  };
}
