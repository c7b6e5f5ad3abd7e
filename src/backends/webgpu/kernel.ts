/**
 * What a kernel is to the WebGPU backend: a function that writes the compute shaders of one plan step. Shapes are
 * constants in them; where arrays begin they are told, so that steps that are alike share one pipeline.
 */
import type { Node } from "../../graph/node.ts";
import type { Step } from "../../plan/plan.ts";

/**
 * One shader and how often it runs. Its body has `group` and `local` (vec3<u32>) and `lane`, the number of the invocation
 * in its workgroup.
 */
export interface Dispatch {
  readonly body: string;
  /** What stands outside of the body: arrays of a workgroup, functions. */
  readonly declarations?: string;
  /** Whether its memory `m` consists of vectors of four words: then `vectorWord` tells words. */
  readonly vectors?: boolean;
  /** Invocations of a workgroup along x; 256 unless said. */
  readonly size?: number;
  /** Workgroups along x, y, z. */
  readonly groups: readonly [number, number, number];
}

/** What a kernel may know of the plan that it is part of. */
export interface KernelContext {
  /** Where a node's elements begin in memory, in words, as WGSL; views share their operand's place. */
  base(node: Node): string;
  /** A word of memory, as WGSL that can be read and set. */
  word(place: string): string;
  /** Whether that is a multiple of four words. */
  isAligned(node: Node): boolean;
  /** Whether a node is stored in a variable, which a run that a guard stopped must leave alone. */
  isLasting(node: Node): boolean;
  /** So many words of memory for the step's dispatches alone: where it begins, as WGSL. */
  scratch(words: number): string;
  /** Bytes that a workgroup's arrays may take. */
  readonly workgroupBytes: number;
}

export const plainWord = (place: string): string => `m[${place}]`;

/** The same where memory consists of vectors. */
export const vectorWord = (place: string): string => `m[(${place}) >> 2u][(${place}) & 3u]`;

export type Kernel = (step: Step, context: KernelContext) => Dispatch[];

/** Collects lines of WGSL, and names values. */
export class Writer {
  readonly #lines: string[] = [];
  readonly #names = new Map<string, string>();
  readonly #prefix: string;

  /** @param prefix begins every name, so that one writer's differ from those around it */
  constructor(prefix = "v") {
    this.#prefix = prefix;
  }

  emit(line: string): void {
    this.#lines.push(line);
  }

  /** A name for a value that does not change; the same for the same expression. */
  name(value: string): string {
    if (/^\w+$/.test(value)) return value;
    let known = this.#names.get(value);
    if (known === undefined) {
      known = `${this.#prefix}${this.#names.size}`;
      this.#names.set(value, known);
      this.emit(`let ${known} = ${value};`);
    }
    return known;
  }

  toString(): string {
    return this.#lines.map((line) => `  ${line}\n`).join("");
  }
}

/** The most workgroups along one axis that every device has. */
const MOST_GROUPS = 65535;

/** The invocations of a workgroup that goes straight through an array. */
export const FLAT_SIZE = 256;

/** Runs a body for each i below `count`, in order of memory, which keeps neighbours' accesses together. */
export function flat(count: number, body: (writer: Writer, i: string) => void): Dispatch {
  const groups = Math.max(1, Math.ceil(count / FLAT_SIZE));
  const x = Math.min(groups, MOST_GROUPS);
  const writer = new Writer();
  const first = groups > x ? `(group.y * ${x}u + group.x)` : "group.x";
  writer.emit(`let i = ${first} * ${FLAT_SIZE}u + lane;`);
  writer.emit(`if (i >= ${count}u) { return; }`);
  body(writer, "i");
  return { body: String(writer), groups: [x, Math.ceil(groups / x), 1] };
}
