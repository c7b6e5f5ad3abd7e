/**
 * The WebAssembly engine's session: one memory, in which variables and the plans' arenas lie, and the compiled plans.
 * Nothing is allocated while a plan runs.
 */
import { ArgumentError } from "../../errors.ts";
import { constantArray } from "../../graph/leaf.ts";
import { type DType, type Node, nameOf } from "../../graph/node.ts";
import type { AnyArray } from "../../graph/op.ts";
import { sizeOf } from "../../graph/shape.ts";
import { bytesOf } from "../../plan/allocate.ts";
import type { Plan } from "../../plan/plan.ts";
import type { ImmediateBackend, ImmediateExecutable, ImmediateSession, Run } from "../backend.ts";
import { Allocator } from "./allocator.ts";
import { BARRIER_BYTES } from "./barrier.ts";
import { compilePlan } from "./compile.ts";
import { detectFeatures, type Features } from "./features.ts";

const PAGE = 65536;
/** 4 GB, all that 32-bit addresses reach. */
const MAXIMUM_PAGES = 65536;
/** Vectors may read a little past the last element of the last array. */
const SLACK = 256;

export interface WasmOptions {
  /** Use fused multiply-add; by default where there is any. */
  readonly relaxedSimd?: boolean;
}

/** The WebAssembly engine. */
export const wasm = (options: WasmOptions = {}): ImmediateBackend => ({
  name: "wasm",
  open: () => new WasmSession(options),
});

class WasmSession implements ImmediateSession {
  readonly description: string;
  readonly #features: Features;
  readonly #memory: WebAssembly.Memory;
  readonly #allocator: Allocator;
  readonly #barrier: number;
  readonly #variables = new Map<Node, number>();

  constructor({ relaxedSimd }: WasmOptions) {
    const available = detectFeatures();
    this.#features = { ...available, relaxedSimd: relaxedSimd ?? available.relaxedSimd };
    this.#memory = new WebAssembly.Memory({ initial: 1, maximum: MAXIMUM_PAGES });
    this.#allocator = new Allocator(64, (end) => this.#reach(end + SLACK));
    this.#barrier = this.#allocator.allocate(BARRIER_BYTES);
    this.description = `wasm, ${this.#features.relaxedSimd ? "relaxed SIMD" : "SIMD"}, 1 thread`;
  }

  #reach(end: number): void {
    const missing = Math.ceil((end - this.#memory.buffer.byteLength) / PAGE);
    if (missing <= 0) return;
    const pages = this.#memory.buffer.byteLength / PAGE;
    try {
      // A fifth more than needed, so that many small arrays do not grow it many times.
      this.#memory.grow(Math.min(Math.max(missing, Math.ceil(pages / 5)), Math.max(missing, MAXIMUM_PAGES - pages)));
    } catch (cause) {
      throw new ArgumentError(
        `The engine needs ${Math.ceil(end / 2 ** 20)} MB of memory and cannot have them (WebAssembly ends at 4096 MB). Use a smaller batch, model or data set, or keep pixels as bytes.`,
        { cause },
      );
    }
  }

  #view(dtype: DType, address: number, length: number): AnyArray {
    const { buffer } = this.#memory;
    if (dtype === "byte") return new Uint8Array(buffer, address, length);
    return dtype === "int" ? new Int32Array(buffer, address, length) : new Float32Array(buffer, address, length);
  }

  write(variable: Node, values: AnyArray | readonly number[]): void {
    let address = this.#variables.get(variable);
    if (address === undefined) {
      address = this.#allocator.allocate(bytesOf(variable));
      this.#variables.set(variable, address);
    }
    this.#view(variable.dtype, address, sizeOf(variable.shape)).set(values);
  }

  read(variable: Node): AnyArray {
    return this.#view(variable.dtype, this.#addressOf(variable), sizeOf(variable.shape)).slice();
  }

  free(variable: Node): void {
    this.#allocator.free(this.#addressOf(variable));
    this.#variables.delete(variable);
  }

  close(): void {
    this.#variables.clear();
  }

  /** The bytes of the engine's memory in use. */
  get usedBytes(): number {
    return this.#allocator.usedBytes;
  }

  #addressOf(variable: Node): number {
    const address = this.#variables.get(variable);
    if (address === undefined) {
      throw new ArgumentError(`The variable "${nameOf(variable)}" has no value yet: write one first.`);
    }
    return address;
  }

  compile(plan: Plan): ImmediateExecutable {
    const allocated: number[] = [];
    const allocate = (bytes: number): number => {
      const address = this.#allocator.allocate(bytes);
      allocated.push(address);
      return address;
    };
    const arena = allocate(plan.arenaBytes);
    const addressOf = (node: Node): number => {
      const slot = plan.slots.get(node);
      return slot ? arena + slot.offset : this.#addressOf(node);
    };
    const code = compilePlan(plan, {
      relaxedSimd: this.#features.relaxedSimd,
      threads: 1,
      sharedMaximum: undefined,
      barrierAddress: this.#barrier,
      address: addressOf,
      allocateScratch: allocate,
    });
    for (const node of plan.slots.keys()) {
      const values = constantArray(node);
      if (values) this.#view(node.dtype, addressOf(node), values.length).set(values);
    }
    const instance = new WebAssembly.Instance(new WebAssembly.Module(code), { env: { memory: this.#memory } });
    const start = instance.exports.run as (thread: number, count: number, ...ports: number[]) => number;

    // Inputs and outputs of many runs pass through memory of their own, which grows with the longest series of runs.
    const ports = [...plan.inputs, ...plan.outputs];
    let staged = 0;
    let places: number[] = [];
    const stage = (count: number): void => {
      if (count <= staged) return;
      for (const address of places) this.#allocator.free(address);
      places = ports.map((node) => this.#allocator.allocate(bytesOf(node) * count));
      staged = count;
    };

    return {
      run: (inputs, count = 1): Run => {
        stage(count);
        for (const [i, node] of plan.inputs.entries()) {
          this.#view(node.dtype, places[i], sizeOf(node.shape) * count).set(inputs[i]);
        }
        const completed = start(0, count, ...places);
        const outputs = plan.outputs.map((node, i) =>
          this.#view(node.dtype, places[plan.inputs.length + i], sizeOf(node.shape) * count).slice(),
        );
        return { outputs, completed };
      },
      free: () => {
        for (const address of [...places, ...allocated]) this.#allocator.free(address);
      },
    };
  }
}
