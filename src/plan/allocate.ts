/**
 * The third pass: gives each stored result a place in one block of memory. Results whose lives do not overlap share
 * bytes; the largest are placed first, each at the lowest offset that is free for its whole life
 * (Pisarchyk & Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020: greedy by size).
 */
import type { Node } from "../graph/node.ts";
import type { Lowered } from "./lower.ts";
import { storageOf } from "./operands.ts";
import { aligned, bytesOf, type Target } from "./target.ts";
import type { Slot, Step, Update } from "./types.ts";

export function allocate(
  { inputs, outputs, guard }: Lowered,
  steps: readonly Step[],
  copies: readonly Update[],
  target: Target,
): { slots: Map<Node, Slot>; arenaBytes: number } {
  const end = steps.length;
  const lives = new Map<Node, { from: number; to: number }>();
  const live = (node: Node, at: number): void => {
    const life = lives.get(node);
    if (life) life.to = Math.max(life.to, at);
    else lives.set(node, { from: at, to: at });
  };
  // Inputs and outputs keep their places for the whole run.
  for (const node of inputs) lives.set(node, { from: -1, to: end });
  for (const [i, step] of steps.entries()) {
    for (const node of step.writes) if (step.stores.get(node) === node) live(node, i);
    if (step.loop) live(step.loop.workspace, i);
    for (const node of step.reads) if (lives.has(node)) live(node, i);
  }
  for (const node of [...outputs, ...(guard ? [guard] : [])])
    if (lives.has(storageOf(node))) live(storageOf(node), end);
  // A new value that could not be written in place is copied to its variable at the end.
  for (const { value } of copies) live(value, end);

  /** What has its place already, by offset. */
  const placed: (Slot & { from: number; to: number })[] = [];
  const slots = new Map<Node, Slot>();
  let arenaBytes = 0;
  const bySize = [...lives].sort(([a, x], [b, y]) => bytesOf(b, target) - bytesOf(a, target) || x.from - y.from);
  for (const [node, { from, to }] of bySize) {
    const bytes = aligned(bytesOf(node, target), target);
    let [offset, next] = [0, 0];
    for (const other of placed) {
      if (other.from > to || from > other.to) continue;
      if (offset + bytes <= other.offset) break;
      offset = Math.max(offset, other.offset + other.bytes);
    }
    while (next < placed.length && placed[next].offset <= offset) next++;
    placed.splice(next, 0, { offset, bytes, from, to });
    slots.set(node, { offset, bytes: bytesOf(node, target) });
    arenaBytes = Math.max(arenaBytes, offset + bytes);
  }
  return { slots, arenaBytes };
}
