/**
 * What a step does, apart from where its arrays lie. Steps of one signature have the same code: the blocks of a deep
 * network are compiled once, and so is what a loop over time repeats.
 */
import { attributesKey } from "../../graph/equality.ts";
import { fillValue } from "../../graph/leaf.ts";
import type { Node } from "../../graph/node.ts";
import type { Step } from "../../plan/plan.ts";

export interface Signature {
  readonly key: string;
  /** The arrays that the step reads and writes, each by the node in whose memory it lies, in the order of their use. */
  readonly arrays: readonly Node[];
}

/** @param homeOf the node in whose memory a node's elements lie */
export function signatureOf({ nodes, writes, space, split }: Step, homeOf: (node: Node) => Node): Signature {
  const arrays: Node[] = [];
  const arrayOf = (node: Node): number => {
    const home = homeOf(node);
    const known = arrays.indexOf(home);
    return known < 0 ? arrays.push(home) - 1 : known;
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
