/**
 * Helper threads: Workers that share the engine's memory and run the same modules. Between runs they watch a word of the
 * memory for a moment, since the next run often follows at once, and then sleep on it and cost nothing. Nothing waits for
 * one that is not ready yet, since a plan gives the same bits with any number of threads.
 */

/** Words of the control block, in 32-bit steps from its address. */
const SIGNAL = 0; // how many messages were sent and runs started: changes whenever a helper should look up
const MESSAGES = 16; // how many messages were sent
const JOB = 17; // which module to run; then the threads and the count of the run, and its ports
const READY = 64; // for each helper, the last message that it has read

/** Inputs and outputs that one plan can have in a run with helpers. */
export const MOST_PORTS = READY - JOB - 3;
export const controlBytes = (threads: number): number => (READY + threads) * 4;

/** Some 150 µs: three times as long as waking up takes. */
const WATCHES = 20_000;

/**
 * What a helper runs, as source text: it must work in a Worker of any platform without a file of its own. Messages cannot
 * be read while it waits for work, so it leaves whenever there is one. `WebAssembly` ignores the ports beyond a run's own.
 */
const HELPER = `
const node = globalThis.process?.getBuiltinModule?.("node:worker_threads");
const jobs = {};
let control, memory, thread, runs = 0;
(node?.parentPort ?? self).onmessage = ({ data: { start, module, free, message } }) => {
  if (start) {
    ({ memory, thread } = start);
    control = new Int32Array(memory.buffer, start.address);
  }
  if (module) jobs[message] = new WebAssembly.Instance(module, { env: { memory } }).exports;
  delete jobs[free];
  Atomics.store(control, ${READY - 1} + thread, message);
  for (;;) {
    const signal = Atomics.load(control, ${SIGNAL});
    if (Atomics.load(control, ${MESSAGES}) !== message) return;
    if (signal - message !== runs) {
      runs = signal - message;
      const { run, leave } = jobs[control[${JOB}]];
      try {
        run(thread, ...control.subarray(${JOB + 1}, ${READY}));
      } catch {
        leave();
      }
    } else {
      let watches = ${WATCHES};
      while (watches-- && Atomics.load(control, ${SIGNAL}) === signal);
      Atomics.wait(control, ${SIGNAL}, signal);
    }
  }
};
`;

/** As much of a Worker as is used here, the same in Node and in browsers. */
interface Helper {
  postMessage(message: unknown): void;
  terminate(): unknown;
  unref?(): void;
}

function startHelper(onError: () => void): Helper {
  const node = globalThis.process?.getBuiltinModule?.("node:worker_threads");
  if (node) {
    const helper = new node.Worker(HELPER, { eval: true, execArgv: [] });
    helper.unref();
    helper.on("error", onError);
    return helper;
  }
  const url = URL.createObjectURL(new Blob([HELPER], { type: "text/javascript" }));
  const helper = new Worker(url);
  helper.addEventListener("error", onError);
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

export type Helpers = ReturnType<typeof startHelpers>;

/** @param address where `controlBytes` of the memory, zeros, are kept for this */
export function startHelpers(memory: WebAssembly.Memory, address: number, count: number) {
  // Runs go on without helpers where one of them cannot go on.
  let lost = false;
  const helpers = Array.from({ length: count }, (_, i) => {
    const helper = startHelper(() => {
      lost = true;
    });
    helper.postMessage({ start: { memory, address, thread: i + 1 }, message: 0 });
    return helper;
  });
  /** A fresh view: the buffer grows, and old views keep its old length. */
  const control = () => new Int32Array(memory.buffer, address, READY + count);
  const wake = (words: Int32Array): void => {
    Atomics.add(words, SIGNAL, 1);
    Atomics.notify(words, SIGNAL);
  };
  const tell = (content: { module: WebAssembly.Module } | { free: number }): number => {
    const words = control();
    const message = Atomics.add(words, MESSAGES, 1) + 1;
    // Before the message is there: a helper that reads it takes what is beyond the messages for runs.
    wake(words);
    for (const helper of helpers) helper.postMessage({ ...content, message });
    return message;
  };

  return {
    /** Gives a module to the helpers. They take part in its runs from when all of them have it. */
    load: (module: WebAssembly.Module): number => tell({ module }),

    free: (job: number) => tell({ free: job }),

    /**
     * Lets the helpers take part in a run that the caller begins right after.
     * @param ports the addresses that the module's `run` takes after thread, threads and count
     * @returns the number of threads that the run has
     */
    start(job: number, count: number, ports: readonly number[]): number {
      const words = control();
      if (lost || helpers.some((_, i) => Atomics.load(words, READY + i) < job)) return 1;
      const threads = helpers.length + 1;
      words.set([job, threads, count, ...ports], JOB);
      wake(words);
      return threads;
    },

    close(): void {
      for (const helper of helpers) helper.terminate();
    },
  };
}
