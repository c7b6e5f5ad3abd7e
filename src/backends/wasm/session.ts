/**
 * The WebAssembly engine's session: one memory, in which variables and the plans' arenas lie, and the compiled plans.
 * Nothing is allocated while a plan runs.
 */
import { checkNumbers, noSuchRow, whole } from "../../checks.ts";
import { ArgumentError } from "../../errors.ts";
import { constantArray } from "../../graph/leaf.ts";
import type { Node } from "../../graph/node.ts";
import type { AnyArray } from "../../graph/op.ts";
import { sizeOf } from "../../graph/shape.ts";
import type { Plan } from "../../plan/plan.ts";
import { bytesOf } from "../../plan/target.ts";
import { createAllocator } from "../allocator.ts";
import { ARRAYS } from "../arrays.ts";
import type { ImmediateBackend, ImmediateExecutable, ImmediateSession, Run } from "../backend.ts";
import { brokenSession, checkLength, closedSession, withoutValue } from "../checks.ts";
import { BARRIER_BYTES, badRow } from "./barrier.ts";
import { compilePlan, planWork, worthSharing } from "./compile.ts";
import { detectFeatures } from "./features.ts";
import {
  availableThreads,
  controlBytes,
  type Helpers,
  MOST_PORTS,
  startHelpers,
  threadsUnavailable,
} from "./threads.ts";
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
    const hindrance = options.turbo ? enableTurbo(() => openSession({ threads: 1 }, true)) : "";
    return openSession(options, options.turbo && !hindrance, hindrance);
  },
});

/** Ends the threads of sessions that nobody holds any more. */
const abandoned = new FinalizationRegistry<Helpers>((helpers) => helpers.close());

function openSession(
  { relaxedSimd: wanted, threads = Math.min(availableThreads(), DEFAULT_THREADS) }: WasmOptions,
  turbo = false,
  noTurbo?: string,
): ImmediateSession {
  checkNumbers("wasm: ", { threads }, whole(1));
  const available = detectFeatures();
  const relaxedSimd = wanted ?? available.relaxedSimd;
  const noThreads = threads > 1 ? threadsUnavailable() : undefined;
  const most = noThreads ? 1 : threads;
  const memory = new WebAssembly.Memory({ initial: 1, maximum: MAXIMUM_PAGES, shared: most > 1 });
  const allocator = createAllocator(64, (end) => {
    const pages = memory.buffer.byteLength / PAGE;
    const missing = Math.ceil((end + SLACK) / PAGE) - pages;
    if (missing <= 0) return;
    try {
      // A fifth more than needed, so that many small arrays do not grow it many times.
      memory.grow(Math.max(missing, Math.min(Math.ceil(pages / 5), MAXIMUM_PAGES - pages)));
    } catch (cause) {
      throw new ArgumentError(
        `The engine needs ${Math.ceil(end / 2 ** 20)} MB of memory and cannot have them (WebAssembly ends at 4096 MB). Use a smaller batch, model or data set, or keep pixels as bytes.`,
        { code: "out-of-memory", facts: { megabytes: Math.ceil(end / 2 ** 20) }, cause },
      );
    }
  });
  const barrierAddress = allocator.allocate(BARRIER_BYTES);
  const controlAddress = allocator.allocate(controlBytes(most));
  let helpers: Helpers | undefined;
  let closed = false;
  let broken: unknown;
  const variables = new Map<Node, number>();
  const runMemories = new Set<RunMemory>();

  /** The array of a node's values, of `count` runs, at an address. */
  const view = ({ dtype, shape }: Node, address: number, count = 1): AnyArray =>
    new ARRAYS[dtype](memory.buffer, address, sizeOf(shape) * count);

  const addressOf = (variable: Node): number => {
    const address = variables.get(variable);
    if (address === undefined) throw withoutValue(variable, closed);
    return address;
  };

  const write = (variable: Node, values: AnyArray | readonly number[]): void => {
    if (closed) throw closedSession();
    checkLength(variable, values);
    if (!variables.has(variable)) variables.set(variable, allocator.allocate(bytesOf(variable)));
    view(variable, addressOf(variable)).set(values);
  };

  const read = (variable: Node): AnyArray => view(variable, addressOf(variable)).slice();

  /** Memory of at least so many bytes for the runs of one more plan: a piece that is there already, if it is large enough. */
  const memoryForRuns = (bytes: number): RunMemory => {
    let found = [...runMemories].find((piece) => piece.bytes >= bytes);
    if (!found) {
      found = { address: allocator.allocate(bytes), bytes, plans: 0 };
      runMemories.add(found);
    }
    found.plans++;
    return found;
  };

  /** Gives a module to the helper threads; the number by which they know it. */
  const enlist = (module: WebAssembly.Module): number => {
    if (!helpers) {
      helpers = startHelpers(memory, controlAddress, most - 1);
      // Whatever belongs to the session holds its allocator.
      abandoned.register(allocator, helpers, allocator);
    }
    return helpers.load(module);
  };

  const compile = (plan: Plan): ImmediateExecutable => {
    const constants = new Map<Node, number>();
    let runMemory: RunMemory | undefined;
    const address = (node: Node): number => {
      const slot = plan.slots.get(node);
      if (slot) return runMemory ? runMemory.address + slot.offset : 0;
      const values = constantArray(node);
      if (!values) return addressOf(node);
      let place = constants.get(node);
      if (place === undefined) {
        place = allocator.allocate(bytesOf(node));
        constants.set(node, place);
        view(node, place).set(values);
      }
      return place;
    };
    const ports = [...plan.inputs, ...plan.outputs];
    const shared = most > 1 && !closed && ports.length <= MOST_PORTS && worthSharing(plan);
    const { code, phases } = compilePlan(plan, {
      fusedMadd: relaxedSimd,
      turbo,
      threads: shared ? most : 1,
      sharedMaximum: most > 1 ? MAXIMUM_PAGES : undefined,
      barrierAddress,
      address,
      scratch: (bytes) => {
        runMemory = memoryForRuns(plan.arenaBytes + bytes);
        return runMemory.address + plan.arenaBytes;
      },
    });
    const module = new WebAssembly.Module(code);
    const functions = new WebAssembly.Instance(module, { env: { memory } }).exports as Record<
      string,
      (...parameters: number[]) => number
    >;
    const job = shared ? enlist(module) : 0;

    // Inputs and outputs of many runs pass through memory of their own, which grows with the longest series of runs.
    const inputPlaces = plan.inputs.map(address);
    const work = planWork(plan);
    let staged = 0;
    let staging: number[] = [];
    const stage = (count: number): void => {
      if (count <= staged) return;
      for (const address of staging) allocator.free(address);
      // The inputs of a single run go straight to their places.
      staging = (count === 1 ? plan.outputs : ports).map((node) => allocator.allocate(bytesOf(node) * count));
      staged = count;
    };

    return {
      run: (inputs, count = 1): Run => {
        if (closed) throw closedSession();
        if (broken) throw brokenSession(broken);
        for (const [i, node] of plan.inputs.entries()) checkLength(node, inputs[i], count);
        stage(count);
        const outputPlaces = staging.slice(staging.length - plan.outputs.length);
        const places = count === 1 ? [...inputPlaces, ...outputPlaces] : staging;
        for (const [i, node] of plan.inputs.entries()) view(node, places[i], count).set(inputs[i]);
        const threads = (job && work * count >= WAKING_WORK && helpers?.start(job, count, places)) || 1;
        let completed: number;
        try {
          completed = functions.run(0, threads, count, ...places);
        } catch (cause) {
          if (threads > 1) functions.leave();
          const bad = badRow(new Int32Array(memory.buffer, barrierAddress, BARRIER_BYTES / 4));
          broken = bad ? noSuchRow(bad.row, bad.rows) : cause;
          throw bad ? broken : brokenSession(cause);
        }
        const outputs = plan.outputs.map((node, i) => view(node, places[inputs.length + i], count).slice());
        return { outputs, completed, threads };
      },

      /** Runs each step alone, often enough for the clock to see it; keeps the best of several tries. */
      profile: () => {
        const before = plan.updates.map(({ variable }) => [variable, read(variable)] as const);
        const times = phases.map((step) => {
          let best = Number.POSITIVE_INFINITY;
          for (let attempt = 0; attempt < 5; attempt++) {
            const start = performance.now();
            let [runs, spent] = [0, 0];
            while (spent < 4) {
              for (let k = 0; k < 10; k++, runs++)
                for (const { name, units, bases } of step) functions[name](0, units, 0, ...bases);
              spent = performance.now() - start;
            }
            best = Math.min(best, spent / runs);
          }
          return best;
        });
        for (const [variable, values] of before) write(variable, values);
        return times;
      },

      free: () => {
        if (job) helpers?.free(job);
        for (const address of [...staging, ...constants.values()]) allocator.free(address);
        if (runMemory && --runMemory.plans === 0) {
          runMemories.delete(runMemory);
          allocator.free(runMemory.address);
        }
        runMemory = undefined;
      },
    };
  };

  const notes = [noThreads, noTurbo && `no turbo: ${noTurbo}`].filter(Boolean).join("; ");
  return {
    description: `wasm, ${relaxedSimd ? "relaxed " : ""}SIMD${turbo ? ", 256-bit vectors" : ""}, ${most} thread${most > 1 ? "s" : ""}${notes && ` (${notes})`}`,
    vectorBits: turbo ? 256 : 128,
    get usedBytes() {
      return allocator.usedBytes();
    },
    write,
    read,
    free(variable) {
      allocator.free(addressOf(variable));
      variables.delete(variable);
    },
    compile,
    close() {
      closed = true;
      helpers?.close();
      helpers = undefined;
      abandoned.unregister(allocator);
      variables.clear();
    },
  };
}
