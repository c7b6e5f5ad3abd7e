/**
 * What a scan does turn by turn: where its results lie in its one array, what of its body is needed for those that are read, and
 * where each turn finds and leaves its arrays. Plain data for backends, made of the scan's attributes alone.
 */
import type { Body } from "../graph/body.ts";
import { variable } from "../graph/leaf.ts";
import { type Node, nameOf, topologicalOrder } from "../graph/node.ts";
import type { MovingPlace, TrimmedLoop, Turns } from "../graph/op.ts";
import { sizeOf } from "../graph/shape.ts";

export interface ScanAttributes {
  readonly body: Body;
  /** How many turns, T. */
  readonly length: number;
  /** Whether it begins at the last place. */
  readonly reverse: boolean;
  /** Whether the backward pass computes anew what it needs of a turn, and only states are kept. */
  readonly recompute: boolean;
  /** The results that are read; all unless said. */
  readonly wanted?: readonly Result[];
}

/**
 * A result: the states before and after all turns, [T + 1, …], of which `before` and `after` are views; the state after the last
 * turn; or what each turn gives, [T, …].
 */
export type Result = `${"path" | "last" | "stack"}.${number}`;

const size = (node: Node): number => sizeOf(node.shape);
/** Every result begins at a multiple of 64 bytes. */
const rounded = (elements: number): number => Math.ceil(Math.max(1, elements) / 16) * 16;

/** Where each result begins, and how long the array of all is. */
export function layoutOf({ body, length, wanted }: ScanAttributes): {
  offsets: ReadonlyMap<Result, number>;
  elements: number;
} {
  const all: [Result, number][] = [
    ...body.states.flatMap((state, s): [Result, number][] => [
      [`path.${s}`, (length + 1) * size(state)],
      [`last.${s}`, size(state)],
    ]),
    ...body.outputs.map((output, o): [Result, number] => [`stack.${o}`, length * size(output)]),
  ];
  const offsets = new Map<Result, number>();
  let elements = 0;
  for (const [result, own] of all) {
    if (wanted && !wanted.includes(result)) continue;
    offsets.set(result, elements);
    elements += rounded(own);
  }
  return { offsets, elements };
}

/** Where the states before, and after, all turns begin in a path, in elements: its place T is the beginning where time runs backwards. */
export const inPath = (state: Node, reverse: boolean): { before: number; after: number } =>
  reverse ? { before: size(state), after: 0 } : { before: 0, after: size(state) };

/** The states that must be kept up for the wanted results, and the leaves of the body that are read. */
function needed({ body, wanted }: ScanAttributes): { states: number[]; leaves: Set<Node> } {
  const isWanted = (result: Result): boolean => !wanted || wanted.includes(result);
  const states = new Set([...body.states.keys()].filter((s) => isWanted(`path.${s}`) || isWanted(`last.${s}`)));
  const outputs = body.outputs.filter((_, o) => isWanted(`stack.${o}`));
  for (;;) {
    const nodes = new Set(topologicalOrder([...outputs, ...[...states].map((s) => body.next[s])]));
    const more = [...body.states.keys()].filter((s) => !states.has(s) && nodes.has(body.states[s]));
    if (more.length === 0) return { states: [...states].sort((a, b) => a - b), leaves: nodes };
    for (const s of more) states.add(s);
  }
}

export function turnsOf(attributes: ScanAttributes): Turns {
  const { body, length, reverse } = attributes;
  const { offsets } = layoutOf(attributes);
  const { states, leaves } = needed(attributes);
  const places = new Map<Node, MovingPlace>();
  const results: { variable: Node; value: Node }[] = [];
  const before: { operand: number; leaf: Node }[] = [];
  const after: { leaf: Node; offset: number }[] = [];
  let work = 0;

  /** `count` elements for each turn, from an element of an array on; turn 0 is at the end where time runs backwards. */
  const along = (array: MovingPlace["array"], offset: number, count: number): MovingPlace =>
    reverse ? { array, offset: offset + (length - 1) * count, step: -count } : { array, offset, step: count };
  const goesTo = (value: Node, place: MovingPlace): void => {
    const home = variable(nameOf(value), value.shape, value.dtype);
    results.push({ variable: home, value });
    places.set(home, place);
  };

  for (const [q, leaf] of body.sequences.entries()) if (leaves.has(leaf)) places.set(leaf, along(q, 0, size(leaf)));
  for (const s of states) {
    const leaf = body.states[s];
    const count = size(leaf);
    const path = offsets.get(`path.${s}`);
    if (path === undefined) {
      // To and fro between two places: each turn reads the one and writes the other.
      places.set(leaf, { array: "work", offset: work, step: rounded(count), alternates: true });
      goesTo(body.next[s], { array: "work", offset: work + rounded(count), step: -rounded(count), alternates: true });
      work += 2 * rounded(count);
    } else {
      const at = inPath(leaf, reverse);
      places.set(leaf, along("own", path + at.before, count));
      goesTo(body.next[s], along("own", path + at.after, count));
    }
    before.push({ operand: body.sequences.length + s, leaf });
    const last = offsets.get(`last.${s}`);
    if (last !== undefined) after.push({ leaf, offset: last });
  }
  for (const [c, leaf] of body.constants.entries())
    if (leaves.has(leaf))
      places.set(leaf, { array: body.sequences.length + body.states.length + c, offset: 0, step: 0 });
  for (const [o, output] of body.outputs.entries()) {
    const stack = offsets.get(`stack.${o}`);
    if (stack !== undefined) goesTo(output, along("own", stack, size(output)));
  }
  return { length, results, places, work, before, after };
}

/** Only the results that are read: those in which elements of these numbers lie. */
export function trimScan(attributes: ScanAttributes, read: readonly number[]): TrimmedLoop<ScanAttributes> {
  const { body } = attributes;
  const { offsets, elements } = layoutOf(attributes);
  const begins = [...offsets];
  const found = read.map((element) => {
    const index = begins.findIndex(([, begin], i) => begin <= element && element < (begins[i + 1]?.[1] ?? elements));
    const [result, begin] = begins[index];
    return { element, result, inside: element - begin };
  });
  const trimmed = { ...attributes, wanted: [...new Set(found.map(({ result }) => result))].sort() };
  const layout = layoutOf(trimmed);
  const { states, leaves } = needed(trimmed);
  return {
    attributes: trimmed,
    needs: [
      ...body.sequences.map((leaf) => leaves.has(leaf)),
      ...body.states.map((_, s) => states.includes(s)),
      ...body.constants.map((leaf) => leaves.has(leaf)),
    ],
    offsets: new Map(
      found.map(({ element, result, inside }) => [element, layout.offsets.get(result)! + inside] as const),
    ),
  };
}
