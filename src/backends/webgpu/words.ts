/** How arrays lie in the GPU's memory, which has words of four bytes and nothing smaller. */
import type { Node } from "../../graph/node.ts";
import { bytesOf } from "../../plan/target.ts";

/** The words of a node's elements; bytes lie four to a word. */
export const wordsOf = (node: Node): number => Math.ceil(bytesOf(node) / 4);
