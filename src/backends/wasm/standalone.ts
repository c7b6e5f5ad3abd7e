/**
 * A plan as a module that needs nothing of this library: code, and where its arrays lie in a memory of its own. For files that
 * only predict.
 */
import { constantArray, isVariable } from "../../graph/leaf.ts";
import type { Node } from "../../graph/node.ts";
import type { AnyArray } from "../../graph/op.ts";
import { sizeOf } from "../../graph/shape.ts";
import type { Plan } from "../../plan/plan.ts";
import { aligned, bytesOf } from "../../plan/target.ts";
import { BARRIER_BYTES } from "./barrier.ts";
import { compilePlan } from "./compile.ts";

/** An array that must be in the memory before the code runs. */
export interface PlacedArray {
  readonly node: Node;
  readonly address: number;
  readonly data: AnyArray;
}

export interface Standalone {
  /** A module that takes `env.memory`; `run(0, 1, count, …inputs, …outputs)` does the plan `count` times. */
  readonly code: Uint8Array<ArrayBuffer>;
  /** Pages of 64 KiB. */
  readonly pages: number;
  readonly arrays: readonly PlacedArray[];
  /** Where the inputs and outputs of one run lie. */
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
}

const PAGE = 65536;
/** Kernels read whole vectors, up to 32 elements past an array's end. */
const SLACK = 256;

/** Compiles a plan for one thread and 128-bit vectors without fused multiply-add, which every engine since 2021 has. */
export function standalone(plan: Plan, valuesOf: (variable: Node) => AnyArray): Standalone {
  let end = 64;
  const place = (bytes: number): number => {
    const address = end;
    end += aligned(bytes);
    return address;
  };
  const barrierAddress = place(BARRIER_BYTES);
  const arrays: PlacedArray[] = [];
  const places = new Map<Node, number>();
  let arena = 0;
  const address = (node: Node): number => {
    const slot = plan.slots.get(node);
    if (slot) return arena + slot.offset;
    let own = places.get(node);
    if (own === undefined) {
      own = place(bytesOf(node));
      places.set(node, own);
      const data = isVariable(node) ? valuesOf(node) : constantArray(node)!;
      arrays.push({ node, address: own, data });
    }
    return own;
  };
  const { code } = compilePlan(plan, {
    fusedMadd: false,
    turbo: false,
    threads: 1,
    sharedMaximum: undefined,
    barrierAddress,
    address,
    scratch: (bytes) => {
      arena = place(plan.arenaBytes + bytes);
      return arena + plan.arenaBytes;
    },
  });
  const inputs = plan.inputs.map(address);
  const outputs = plan.outputs.map((node) => place(sizeOf(node.shape) * 4));
  return { code, pages: Math.ceil((end + SLACK) / PAGE), arrays, inputs, outputs };
}
