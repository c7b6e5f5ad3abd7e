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
import { compilePlan, planWork, worthSharing } from "./compile.ts";
import { detectFeatures, type Features } from "./features.ts";
import { availableThreads, CONTROL_BYTES, Helpers, MOST_PORTS, threadsUnavailable } from "./threads.ts";
import { enableTurbo } from "./turbo.ts";

const PAGE = 65536;
/** 4 GB, all that 32-bit addresses reach. */
const MAXIMUM_PAGES = 65536;
/** Vectors may read a little past the last element of the last array. */
const SLACK = 256;

/** What plans need only while they run. They run one after the other, so that several can have the same. */
interface RunMemory {
  readonly address: number;
  readonly bytes: number;
  plans: number;
}

/** Options of `wasm`. */
export interface WasmOptions {
  /** Use fused multiply-add; by default where there is any. */
  readonly relaxedSimd?: boolean;
  /**
   * Threads for large plans; by default as many as the machine has processors, up to 8. The results are the same bits
   * for any number.
   */
  readonly threads?: number;
  /**
   * Has V8 use 256-bit vectors where it can (Node 24 and later): an experimental flag of V8, set for the whole process.
   * The same bits, a quarter to a half faster or more. Off unless said; where it cannot be had, the description says so.
   */
  readonly turbo?: boolean;
}

const DEFAULT_THREADS = 8;

/** Runs of less work are done before a sleeping thread has woken up. */
const WAKING_WORK = 2_000_000;

/**
 * The WebAssembly engine.
 *
 * @example
 * const model = sequential({ input: [4], backend: wasm({ threads: 1 }) }, [dense(3)]);
 */
export const wasm = (options: WasmOptions = {}): ImmediateBackend => ({
  name: "wasm",
  open: () => {
    const hindrance = options.turbo ? enableTurbo(() => new WasmSession({ threads: 1 }, true)) : undefined;
    return new WasmSession(options, options.turbo === true && !hindrance, hindrance);
  },
});

/** Ends the threads of sessions that nobody holds any more. */
const abandoned = new FinalizationRegistry<Helpers>((helpers) => helpers.close());

class WasmSession implements ImmediateSession {
  readonly description: string;
  readonly #features: Features;
  readonly #memory: WebAssembly.Memory;
  readonly #allocator: Allocator;
  readonly #barrier: number;
  readonly #threads: number;
  readonly #turbo: boolean;
  readonly #control: number;
  #helpers: Helpers | undefined;
  readonly #variables = new Map<Node, number>();
  readonly #runMemories = new Set<RunMemory>();

  constructor(
    { relaxedSimd, threads = Math.min(availableThreads(), DEFAULT_THREADS) }: WasmOptions,
    turbo: boolean,
    noTurbo?: string,
  ) {
    if (!Number.isInteger(threads) || threads < 1) {
      throw new ArgumentError(`The number of threads must be a whole number ≥ 1; ${threads} came.`);
    }
    const available = detectFeatures();
    this.#features = { ...available, relaxedSimd: relaxedSimd ?? available.relaxedSimd };
    const hindrance = threads > 1 ? threadsUnavailable() : undefined;
    this.#threads = hindrance ? 1 : threads;
    this.#turbo = turbo;
    this.#memory = new WebAssembly.Memory({ initial: 1, maximum: MAXIMUM_PAGES, shared: this.#threads > 1 });
    this.#allocator = new Allocator(64, (end) => this.#reach(end + SLACK));
    this.#barrier = this.#allocator.allocate(BARRIER_BYTES);
    this.#control = this.#allocator.allocate(CONTROL_BYTES);
    const simd = this.#features.relaxedSimd ? "relaxed SIMD" : "SIMD";
    const count = this.#threads === 1 ? "1 thread" : `${this.#threads} threads`;
    const notes = [hindrance, noTurbo && `no turbo: ${noTurbo}`].filter(Boolean).join("; ");
    this.description = `wasm, ${simd}${turbo ? ", 256-bit vectors" : ""}, ${count}${notes ? ` (${notes})` : ""}`;
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
    this.#helpers?.close();
    this.#helpers = undefined;
    abandoned.unregister(this);
    this.#variables.clear();
  }

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

  /** Memory of at least so many bytes for the runs of one more plan: a piece that is there already, if it is large enough. */
  #memoryForRuns(bytes: number): RunMemory {
    let found = [...this.#runMemories].find((piece) => piece.bytes >= bytes);
    if (!found) {
      found = { address: this.#allocator.allocate(bytes), bytes, plans: 0 };
      this.#runMemories.add(found);
    }
    found.plans++;
    return found;
  }

  /** Gives a module to the helper threads. They take part in runs from when all of them have it. */
  #enlist(module: WebAssembly.Module, ports: number, ready: number) {
    const word = () => new Int32Array(this.#memory.buffer, ready, 1);
    word()[0] = 0;
    if (!this.#helpers) {
      this.#helpers = new Helpers(this.#memory, this.#control, this.#threads - 1);
      abandoned.register(this, this.#helpers, this);
    }
    const helpers = this.#helpers;
    const job = helpers.load(module, ports, ready);
    return {
      /** The number of threads that the coming run has. */
      join: (count: number, places: readonly number[]): number => {
        if (Atomics.load(word(), 0) < this.#threads - 1) return 1;
        helpers.start(job, count, places);
        return this.#threads;
      },
      leave: () => {
        helpers.free(job);
        // A helper that has yet to load the module will write to the word: it is given back only when all have.
        if (Atomics.load(word(), 0) === this.#threads - 1) this.#allocator.free(ready);
      },
    };
  }

  /** Runs each step alone, often enough for the clock to see it; keeps the best of several tries. */
  #profile(plan: Plan, instance: WebAssembly.Instance): number[] {
    const before = plan.updates.map(({ variable }) => ({ variable, values: this.read(variable) }));
    const phases = Object.entries(instance.exports).flatMap(([name, code]) => {
      const [step, , units] = name.split(".").map(Number);
      return name === "run"
        ? []
        : [{ step, units, code: code as (begin: number, end: number, thread: number) => void }];
    });
    const times = plan.steps.map((_, i) => {
      const own = phases.filter(({ step }) => step === i);
      let best = Number.POSITIVE_INFINITY;
      for (let attempt = 0; attempt < 5; attempt++) {
        const start = performance.now();
        let runs = 0;
        for (let now = start; now - start < 4; now = performance.now()) {
          for (let k = 0; k < 10; k++, runs++) for (const { code, units } of own) code(0, units, 0);
        }
        best = Math.min(best, (performance.now() - start) / runs);
      }
      return best;
    });
    for (const { variable, values } of before) this.write(variable, values);
    return times;
  }

  compile(plan: Plan): ImmediateExecutable {
    const constants = new Map<Node, number>();
    let memory: RunMemory | undefined;
    const addressOf = (node: Node): number => {
      const slot = plan.slots.get(node);
      if (slot) return memory ? memory.address + slot.offset : 0;
      const values = constantArray(node);
      if (!values) return this.#addressOf(node);
      let address = constants.get(node);
      if (address === undefined) {
        address = this.#allocator.allocate(bytesOf(node));
        constants.set(node, address);
        this.#view(node.dtype, address, values.length).set(values);
      }
      return address;
    };
    const shared = this.#threads > 1 && plan.inputs.length + plan.outputs.length <= MOST_PORTS && worthSharing(plan);
    const code = compilePlan(plan, {
      relaxedSimd: this.#features.relaxedSimd,
      turbo: this.#turbo,
      threads: shared ? this.#threads : 1,
      sharedMaximum: this.#threads > 1 ? MAXIMUM_PAGES : undefined,
      barrierAddress: this.#barrier,
      address: addressOf,
      scratch: (bytes) => {
        memory = this.#memoryForRuns(plan.arenaBytes + bytes);
        return memory.address + plan.arenaBytes;
      },
    });
    const module = new WebAssembly.Module(code);
    const instance = new WebAssembly.Instance(module, { env: { memory: this.#memory } });
    const start = instance.exports.run as (
      thread: number,
      threads: number,
      count: number,
      ...ports: number[]
    ) => number;
    const crew = shared
      ? this.#enlist(module, plan.inputs.length + plan.outputs.length, this.#allocator.allocate(4))
      : undefined;

    // Inputs and outputs of many runs pass through memory of their own, which grows with the longest series of runs.
    const ports = [...plan.inputs, ...plan.outputs];
    const inputPlaces = plan.inputs.map(addressOf);
    const work = planWork(plan);
    let staged = 0;
    let staging: number[] = [];
    const stage = (count: number): void => {
      if (count <= staged) return;
      for (const address of staging) this.#allocator.free(address);
      // The inputs of a single run go straight to their places.
      staging = (count === 1 ? plan.outputs : ports).map((node) => this.#allocator.allocate(bytesOf(node) * count));
      staged = count;
    };

    return {
      run: (inputs, count = 1): Run => {
        stage(count);
        const outputPlaces = staging.slice(staging.length - plan.outputs.length);
        const places = count === 1 ? [...inputPlaces, ...outputPlaces] : staging;
        for (const [i, node] of plan.inputs.entries()) {
          this.#view(node.dtype, places[i], sizeOf(node.shape) * count).set(inputs[i]);
        }
        const threads = crew && work * count >= WAKING_WORK ? crew.join(count, places) : 1;
        const completed = start(0, threads, count, ...places);
        const outputs = plan.outputs.map((node, i) =>
          this.#view(node.dtype, places[plan.inputs.length + i], sizeOf(node.shape) * count).slice(),
        );
        return { outputs, completed };
      },
      profile: () => this.#profile(plan, instance),
      free: () => {
        crew?.leave();
        for (const address of [...staging, ...constants.values()]) this.#allocator.free(address);
        if (memory && --memory.plans === 0) {
          this.#runMemories.delete(memory);
          this.#allocator.free(memory.address);
        }
      },
    };
  }
}
