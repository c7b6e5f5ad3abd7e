/**
 * Helper threads: Workers that share the engine's memory and run the same modules. Between runs they watch a word of the
 * memory for a moment, since the next run often follows at once, and then sleep on it and cost nothing. Nothing waits for
 * one that is not ready yet, since a plan gives the same bits with any number of threads.
 */

/** Words of the control block, in 32-bit steps from its address. */
const SIGNAL = 0; // changes whenever a helper should look up
const RUNS = 16; // how many runs have been started
const LEAVES = 17; // how many times helpers were asked to read their messages
const JOB = 18; // which module to run
const THREADS = 19;
const COUNT = 20;
const PORTS = 24;

/** Inputs and outputs that one plan can have in a run with helpers. */
export const MOST_PORTS = 40;
export const CONTROL_BYTES = (PORTS + MOST_PORTS) * 4;

/** Some 150 µs: three times as long as waking up takes. */
const WATCHES = 20_000;

/** What a helper runs, as source text: it must work in a Worker of any platform without a file of its own. */
const HELPER = `
  const node = globalThis.process?.getBuiltinModule?.("node:worker_threads");
  const instances = new Map();
  let control, memory, thread, runs = 0;
  const work = () => {
    for (;;) {
      const signal = Atomics.load(control, ${SIGNAL});
      if (Atomics.load(control, ${RUNS}) !== runs) {
        runs = Atomics.load(control, ${RUNS});
        const ports = control.subarray(${PORTS}, ${PORTS + MOST_PORTS});
        const { run, ports: count } = instances.get(control[${JOB}]);
        run(thread, control[${THREADS}], control[${COUNT}], ...ports.subarray(0, count));
      } else if (Atomics.load(control, ${LEAVES}) !== leaves) {
        return;
      } else {
        let watches = ${WATCHES};
        while (watches-- > 0 && Atomics.load(control, ${SIGNAL}) === signal);
        Atomics.wait(control, ${SIGNAL}, signal);
      }
    }
  };
  let leaves = 0;
  const receive = ({ start, load, free, enter }) => {
    if (start) {
      ({ memory, thread } = start);
      control = new Int32Array(memory.buffer, start.address, ${CONTROL_BYTES / 4});
      runs = start.runs;
    }
    if (load) {
      const { run } = new WebAssembly.Instance(load.module, { env: { memory } }).exports;
      instances.set(load.job, { run, ports: load.ports });
      Atomics.add(new Int32Array(memory.buffer), load.ready / 4, 1);
    }
    if (free !== undefined) instances.delete(free);
    if (enter !== undefined && enter === Atomics.load(control, ${LEAVES})) {
      leaves = enter;
      work();
    }
  };
  if (node) node.parentPort.on("message", receive);
  else self.onmessage = (event) => receive(event.data);
`;

/** As much of a Worker as is used here, the same in Node and in browsers. */
interface Helper {
  postMessage(message: unknown): void;
  terminate(): unknown;
  unref?(): void;
}

function startHelper(): Helper {
  const node = globalThis.process?.getBuiltinModule?.("node:worker_threads");
  if (node) {
    const helper = new node.Worker(HELPER, { eval: true, execArgv: [] });
    helper.unref();
    return helper;
  }
  const url = URL.createObjectURL(new Blob([HELPER], { type: "text/javascript" }));
  const helper = new Worker(url);
  URL.revokeObjectURL(url);
  return helper;
}

/** How many threads this platform can run at once. */
export function availableThreads(): number {
  const node = globalThis.process?.getBuiltinModule?.("node:os");
  return node ? node.availableParallelism() : (globalThis.navigator?.hardwareConcurrency ?? 1);
}

/** Why helper threads cannot be used here, or undefined if they can. */
export function threadsUnavailable(): string | undefined {
  if (typeof SharedArrayBuffer !== "function") return "no shared memory: the page is not cross-origin isolated";
  if (typeof document !== "undefined") return "the main thread of a page may not wait: train in a Worker";
  return undefined;
}

export class Helpers {
  readonly #memory: WebAssembly.Memory;
  readonly #address: number;
  readonly #helpers: Helper[];
  #jobs = 0;

  /** @param address where `CONTROL_BYTES` of the memory, zeros, are kept for this */
  constructor(memory: WebAssembly.Memory, address: number, count: number) {
    this.#memory = memory;
    this.#address = address;
    this.#helpers = Array.from({ length: count }, (_, i) => {
      const helper = startHelper();
      helper.postMessage({ start: { memory, address, thread: i + 1, runs: 0 }, enter: 0 });
      return helper;
    });
  }

  /** A fresh view: the buffer grows, and old views keep its old length. */
  get #control(): Int32Array {
    return new Int32Array(this.#memory.buffer, this.#address, CONTROL_BYTES / 4);
  }

  /** Has the helpers read these messages, which they cannot while they wait for work. */
  #tell(message: Record<string, unknown>): void {
    const control = this.#control;
    const enter = Atomics.add(control, LEAVES, 1) + 1;
    for (const helper of this.#helpers) helper.postMessage({ ...message, enter });
    Atomics.add(control, SIGNAL, 1);
    Atomics.notify(control, SIGNAL);
  }

  /**
   * Gives a module to the helpers.
   * @param ports the addresses its `run` takes after thread, threads and count
   * @param ready the address of a word that counts the helpers that have it
   * @returns the number by which `start` and `free` know it
   */
  load(module: WebAssembly.Module, ports: number, ready: number): number {
    const job = ++this.#jobs;
    this.#tell({ load: { job, module, ports, ready } });
    return job;
  }

  free(job: number): void {
    this.#tell({ free: job });
  }

  /** Lets the helpers take part in a run that the caller begins right after. */
  start(job: number, count: number, ports: readonly number[]): void {
    const control = this.#control;
    control[JOB] = job;
    control[THREADS] = this.#helpers.length + 1;
    control[COUNT] = count;
    control.set(ports, PORTS);
    Atomics.add(control, RUNS, 1);
    Atomics.add(control, SIGNAL, 1);
    Atomics.notify(control, SIGNAL);
  }

  close(): void {
    for (const helper of this.#helpers) helper.terminate();
  }
}
