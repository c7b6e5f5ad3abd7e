/** The WebGPU backend and its sessions: variables in a GPU's memory, and the plans that work on them. */
import { type ChainruleError, PlatformError } from "../../errors.ts";
import type { Node } from "../../graph/node.ts";
import type { AnyArray } from "../../graph/op.ts";
import { sizeOf } from "../../graph/shape.ts";
import type { Plan } from "../../plan/plan.ts";
import { ARRAYS } from "../arrays.ts";
import type { Backend, Executable, Session } from "../backend.ts";
import { brokenSession, checkLength, closedSession, withoutValue } from "../checks.ts";
import { type Device, openDevice, type WebgpuOptions } from "./device.ts";
import { makeExecutable, type Shared } from "./executable.ts";
import { openMemory } from "./memory.ts";
import { wordsOf } from "./words.ts";

/**
 * A GPU, by WebGPU: the browser's or Deno's own; in Node that of the package `webgpu`, an optional peer. What lies in its
 * memory is read by `weightAsync` and `toBytesAsync`.
 * @throws PlatformError where there is none; it says what would bring it
 *
 * @example
 * const model = sequential({ input: [784], backend: await webgpu() }, [dense(4096, { activation: "relu" }), dense(10)]);
 */
export async function webgpu(options: WebgpuOptions = {}): Promise<Backend> {
  const opened = await openDevice(options);
  let lost: ChainruleError | undefined;
  opened.device.lost.then(({ message }) => {
    lost = new PlatformError(
      `The GPU was lost${message ? ` (${message})` : ""}, and what was in its memory with it. Make a new backend with await webgpu(), and go on from the last checkpoint (resume) or file.`,
      { code: "device-lost" },
    );
  });
  return { name: "webgpu", open: () => openSession(opened, () => lost) };
}

/**
 * Milliseconds of a series: the event loop runs while the GPU does, and the way there and back takes one or two; but a page
 * is not drawn meanwhile.
 */
const SERIES_TIME = 50;

/** What plans need only while they run. They run one after the other, so that several can have the same. */
interface RunMemory {
  readonly address: number;
  readonly words: number;
  plans: number;
}

function openSession(opened: Device, lost: () => ChainruleError | undefined): Session {
  const gone = lost();
  if (gone) throw gone;
  const memory = openMemory(opened);
  const variables = new Map<Node, number>();
  const runMemories = new Set<RunMemory>();
  let closed = false;
  let broken: unknown;

  const check = (): void => {
    if (closed) throw closedSession();
    const gone = lost();
    if (gone) throw gone;
    if (broken) throw brokenSession(broken);
  };

  const addressOf = (variable: Node): number => {
    const address = variables.get(variable);
    if (address === undefined) throw withoutValue(variable, closed);
    return address;
  };

  /** What comes of the GPU, or the error that says that it was lost. */
  const orLost = async <T>(coming: Promise<T>): Promise<T> => {
    try {
      return await coming;
    } catch (cause) {
      // The device says that it is lost a little later than what it was busy with fails.
      await new Promise((resolve) => setTimeout(resolve));
      throw lost() ?? cause;
    }
  };

  /** Copies elements to a place in memory. */
  const put = (node: Node, address: number, values: AnyArray | readonly number[]): void => {
    const words = new Uint32Array(wordsOf(node));
    new ARRAYS[node.dtype](words.buffer).set(values);
    if (words.length > 0) memory.write(address, words);
  };

  const shared: Shared = {
    memory,
    workgroupBytes: opened.device.limits.maxComputeWorkgroupStorageSize,
    addressOf,
    put,
    memoryForRuns: (words) => {
      let found = [...runMemories].find((piece) => piece.words >= words);
      if (!found) {
        found = { address: memory.allocate(words), words, plans: 0 };
        runMemories.add(found);
      }
      found.plans++;
      const piece = found;
      return {
        address: piece.address,
        release: () => {
          if (--piece.plans > 0 || closed) return;
          runMemories.delete(piece);
          memory.free(piece.address);
        },
      };
    },
    check,
    orLost,
    break: (cause) => {
      broken = cause;
    },
  };

  return {
    description: `webgpu, ${opened.name}`,
    seriesTime: SERIES_TIME,
    get usedBytes() {
      return memory.usedBytes();
    },
    write(variable, values) {
      check();
      checkLength(variable, values);
      let address = variables.get(variable);
      if (address === undefined) {
        address = memory.allocate(wordsOf(variable));
        variables.set(variable, address);
      }
      put(variable, address, values);
    },
    async read(variable) {
      const address = addressOf(variable);
      const gone = lost();
      if (gone) throw gone;
      const encoder = opened.device.createCommandEncoder();
      const { words } = await orLost(memory.readBack(encoder, [[address, wordsOf(variable)]]));
      return new ARRAYS[variable.dtype](words[0].buffer).slice(0, sizeOf(variable.shape));
    },
    free(variable) {
      memory.free(addressOf(variable));
      variables.delete(variable);
    },
    compile(plan: Plan): Executable {
      check();
      return makeExecutable(plan, shared);
    },
    close() {
      closed = true;
      variables.clear();
      memory.close();
    },
  };
}
