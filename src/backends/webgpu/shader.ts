/**
 * Writes the shaders of a plan's steps: what kernels wrote, with what all shaders have around it. Nothing here needs a
 * GPU, so that tests can read what it would run.
 *
 * All arrays lie in one buffer `m` of words. A shader is told where its own begin by the table `at`, so that views,
 * updates in place and any number of operands need nothing more, and steps that are alike have one shader.
 */
import { PlatformError } from "../../errors.ts";
import type { Node } from "../../graph/node.ts";
import { offsetOf, storageOf } from "../../plan/operands.ts";
import type { Plan, Step } from "../../plan/plan.ts";
import { type Dispatch, type KernelContext, plainWord } from "./kernel.ts";
import { KERNELS } from "./kernels/index.ts";
import { loop } from "./kernels/loop.ts";
import { functionsFor } from "./math.ts";

/** A shader and how many workgroups run it. */
export interface Shader {
  readonly code: string;
  readonly groups: readonly [number, number, number];
}

/** The shaders of a step, one after the other, and what they are told. */
export interface StepShaders {
  readonly shaders: readonly Shader[];
  /** What the table holds: the word at which each array begins. */
  readonly table: readonly number[];
}

/** The name by which a shader knows an entry of its table. */
export const entry = (k: number): string => `at[${k >> 2}u].${"xyzw"[k & 3]}`;

/** A shader of its own, around a body. */
export function shaderOf({ body, declarations = "", size = 256, vectors = false }: Dispatch, entries: number): string {
  const own = `${declarations}\n@compute @workgroup_size(${size})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
${body}}
`;
  const reports = own.includes("report(")
    ? `fn report(row: u32, rows: u32) {
  if (atomicExchange(&status.bad, 1u) == 0u) { status.row = row; status.rows = rows; }
}
`
    : "";
  return `struct Status { stopped: u32, completed: u32, bad: atomic<u32>, row: u32, rows: u32 }
@group(0) @binding(0) var<storage, read_write> m: array<${vectors ? "vec4<u32>" : "u32"}>;
@group(0) @binding(1) var<uniform> at: array<vec4<u32>, ${Math.max(1, Math.ceil(entries / 4))}>;
@group(0) @binding(2) var<storage, read_write> status: Status;
var<private> infinityBits: u32 = 0x7f800000u;
var<private> nanBits: u32 = 0x7fc00000u;
${functionsFor(own)}${reports}${own}`;
}

function dispatchesOf(step: Step, context: KernelContext): Dispatch[] {
  if (!step.root) return loop(step, context);
  const kernel = KERNELS[step.root.op.name];
  if (!kernel)
    throw new PlatformError(
      `The webgpu backend has no kernel for the op "${step.root.op.name}". Add one in backends/webgpu/kernels, or take the wasm backend.`,
    );
  return kernel(step, context);
}

/** Where things lie, in words. */
export interface Layout {
  address(node: Node): number;
  /** So many words that a step may work in; called while shaders are written. */
  scratch(words: number): void;
  readonly scratchAddress: () => number;
  readonly workgroupBytes: number;
}

/** For the nodes of a plan, where their elements begin: a new value that is stored in place of the old one is read from there. */
export function placesOf(plan: Plan, address: (node: Node) => number): (node: Node) => number {
  const homes = new Map(plan.steps.flatMap((step) => [...step.stores]));
  return (node) => {
    const base = storageOf(node);
    return address(homes.get(base) ?? base) + offsetOf(node);
  };
}

/** The shaders of one step. Empty arrays have none. */
export function stepShaders(plan: Plan, step: Step, layout: Layout): StepShaders {
  const addresses = placesOf(plan, layout.address);
  const places: number[] = [];
  let scratch: number | undefined;
  const entryAt = (place: number): string => {
    let k = places.indexOf(place);
    if (k < 0) k = places.push(place) - 1;
    return entry(k);
  };
  const dispatches = dispatchesOf(step, {
    workgroupBytes: layout.workgroupBytes,
    base: (node) => entryAt(addresses(node)),
    word: plainWord,
    isAligned: (node) => addresses(node) % 4 === 0,
    isLasting: (node) => plan.guard !== undefined && (step.stores.get(node) ?? node) !== node,
    scratch: (words) => {
      layout.scratch(words);
      // A place that no address is: it becomes one when all steps have said how much they need.
      scratch ??= places.push(Number.NaN) - 1;
      return entry(scratch);
    },
  });
  return {
    shaders: dispatches.map((dispatch) => ({ code: shaderOf(dispatch, places.length), groups: dispatch.groups })),
    get table() {
      return places.map((place, k) => (k === scratch ? layout.scratchAddress() : place));
    },
  };
}
