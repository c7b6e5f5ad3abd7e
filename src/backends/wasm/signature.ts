/**
 * What a step does, apart from where its arrays lie. Steps of one signature have the same code: the blocks of a deep
 * network are compiled once, and so is what a loop over time repeats.
 */
import { attributesKey } from "../../graph/equality.ts";
import { fillValue } from "../../graph/leaf.ts";
import type { Node } from "../../graph/node.ts";
import { offsetOf, storageOf } from "../../plan/operands.ts";
import type { Plan, Step } from "../../plan/plan.ts";

/** Where elements lie: in whose memory, and at which of its elements they begin. */
export interface Place {
  readonly home: Node;
  readonly offset: number;
}

/** Where the nodes of a plan lie. A new value that is stored in place of the old one is read from there as well. */
export function placesIn({ steps }: Plan): (node: Node) => Place {
  const homes = new Map(steps.flatMap((step) => [...step.stores]));
  return (node) => ({ home: homes.get(storageOf(node)) ?? storageOf(node), offset: offsetOf(node) });
}

export const isSamePlace = (a: Place, b: Place): boolean => a.home === b.home && a.offset === b.offset;

export interface Signature {
  readonly key: string;
  /** The arrays that the step reads and writes, one node for each place, in the order of their use. */
  readonly arrays: readonly Node[];
}

export function signatureOf({ nodes, writes, space, split }: Step, placeOf: (node: Node) => Place): Signature {
  const arrays: Node[] = [];
  const places: Place[] = [];
  const arrayOf = (node: Node): number => {
    const place = placeOf(node);
    const known = places.findIndex((other) => isSamePlace(other, place));
    if (known >= 0) return known;
    places.push(place);
    return arrays.push(node) - 1;
  };
  const own = new Map(nodes.map((node, i) => [node, i]));
  const written = new Set(writes);
  const operand = (x: Node): string => {
    const fill = fillValue(x);
    if (own.has(x)) return `=${own.get(x)}`;
    return `${fill === undefined ? `@${arrayOf(x)}` : attributesKey(fill)}:${x.dtype}[${x.shape}]`;
  };
  const texts = nodes.map((node) => {
    const { op, inputs, attributes, dtype, shape } = node;
    const stored = written.has(node) ? `@${arrayOf(node)}` : "";
    return `${op.name}${attributesKey(attributes)}(${inputs.map(operand)}):${dtype}[${shape}]${stored}`;
  });
  return { key: `${texts.join(";")}|${space}|${split}`, arrays };
}
