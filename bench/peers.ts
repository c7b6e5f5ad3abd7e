/**
 * Who takes part in the benchmark: how each peer is started, what it can do with threads, and how to bring it.
 * Every peer is a script that prints one JSON line; see bench/README.md for the protocol.
 */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";

/** What there is to measure: networks of rows and images, of sequences, and matrix products. */
export type Kind = "networks" | "sequences" | "products";

export interface Peer {
  readonly name: string;
  readonly language: "node" | "python" | "tsx";
  readonly script: string;
  /** Put after the job. */
  readonly arguments?: readonly string[];
  /** Networks unless said. */
  readonly does?: readonly Kind[];
  /** Whether it can use more than one thread. */
  readonly threaded: boolean;
  /** The one line that brings it where it is missing. */
  readonly bring: string;
  /** The Node that runs it, where not the run's first. */
  readonly node?: string;
}

export interface Job {
  workload: string;
  threads: number;
  seconds: number;
}

/** One run of one peer: its JSON line. A rate, an error or the reason why it is no match is there. */
export interface Measurement {
  version: string;
  samplesPerSecond?: number;
  gflops?: number;
  error?: string;
  skipped?: string;
  /** The seconds after which it was given up. */
  overtime?: number;
}

const npm = "(cd bench && ONNXRUNTIME_NODE_INSTALL=skip npm install)";
const apt = "apt-get install python3-torch python3-sklearn libopenblas0-pthread";

export const PEERS: readonly Peer[] = [
  {
    name: "chainrule",
    language: "tsx",
    script: "chainrule.ts",
    does: ["networks", "sequences", "products"],
    threaded: true,
    bring: "npm install",
  },
  {
    name: "chainrule-turbo",
    language: "tsx",
    script: "chainrule.ts",
    arguments: ["--turbo"],
    does: ["networks", "sequences", "products"],
    threaded: true,
    bring: "npm install",
  },
  {
    name: "pytorch",
    language: "python",
    script: "peers/pytorch.py",
    does: ["networks", "sequences"],
    threaded: true,
    bring: apt,
  },
  { name: "sklearn", language: "python", script: "peers/scikit_learn.py", threaded: true, bring: apt },
  { name: "onnxruntime", language: "node", script: "peers/onnxruntime.mjs", threaded: true, bring: npm },
  { name: "tfjs-wasm", language: "node", script: "peers/tfjs.mjs", threaded: false, bring: npm },
  { name: "jax-js", language: "node", script: "peers/jax.mjs", threaded: false, bring: npm },
  { name: "brain.js", language: "node", script: "peers/brain.mjs", threaded: false, bring: npm },
  { name: "numpy", language: "python", script: "peers/sgemm.py", does: ["products"], threaded: true, bring: apt },
];

/** Kernels of OpenBLAS for x86-64; "" leaves the choice to it. */
const CORE_TYPES = ["", "HASWELL", "SKYLAKEX", "ZEN"];

const here = fileURLToPath(new URL(".", import.meta.url));

/** Starts peers under the given Node and Python, each job in a process of its own. */
export class Runner {
  readonly #node: string;
  /** Put into the environment of the Python peers. */
  #environment: Readonly<Record<string, string>> = {};
  readonly #pythons: readonly string[];
  /** The command that starts each peer, found by probe(). */
  readonly #commands = new Map<Peer, string[]>();

  constructor(options: { node: string; python?: string }) {
    this.#node = options.node;
    // The system's first, where packages of the distribution are, and for all peers alike.
    this.#pythons = options.python ? [options.python] : ["/usr/bin/python3", "python3"];
  }

  /** Returns the peer's version, or undefined where it is not installed. */
  async probe(peer: Peer): Promise<string | undefined> {
    const node = peer.node ?? this.#node;
    const interpreters = {
      node: [[node]],
      tsx: [[node, "--import", "tsx"]],
      python: this.#pythons.map((python) => [python]),
    };
    for (const interpreter of interpreters[peer.language]) {
      const command = [...interpreter, `${here}${peer.script}`];
      const { json } = await run<Measurement>([...command, "--probe", ...(peer.arguments ?? [])], 60);
      if (json) {
        this.#commands.set(peer, command);
        return json.version;
      }
    }
    return undefined;
  }

  /**
   * Finds the kernels with which OpenBLAS is fastest here: on some processors it takes slow ones by itself. All Python
   * peers then run with them.
   * @returns what was found, for people; undefined where there is no NumPy
   */
  async chooseBlas(): Promise<string | undefined> {
    const rates: [name: string, gflops: number][] = [];
    for (const python of this.#pythons) {
      for (const core of CORE_TYPES) {
        const env: Record<string, string> = core === "" ? {} : { OPENBLAS_CORETYPE: core };
        const { json } = await run<{ gflops: number }>([python, `${here}peers/blas_trial.py`], 30, env);
        if (json) rates.push([core, json.gflops]);
      }
      if (rates.length > 0) break;
    }
    if (rates.length === 0) return undefined;
    const [best, gflops] = rates.reduce((a, b) => (b[1] > 1.05 * a[1] ? b : a));
    const [, own] = rates[0];
    if (best !== "") this.#environment = { OPENBLAS_CORETYPE: best };
    return best === ""
      ? `OpenBLAS as it is: ${gflops.toFixed(0)} GFLOP/s`
      : `OPENBLAS_CORETYPE=${best}: ${gflops.toFixed(0)} GFLOP/s, by itself ${own.toFixed(0)}`;
  }

  /** Runs one job of a peer that probe() found. */
  async measure(peer: Peer, job: Job, limitSeconds: number): Promise<Measurement> {
    const command = [...this.#commands.get(peer)!, JSON.stringify(job), ...(peer.arguments ?? [])];
    const env = peer.language === "python" ? this.#environment : {};
    const { json, ...failure } = await run<Measurement>(command, limitSeconds, env);
    return json ?? { version: "", ...failure };
  }
}

interface Output<Line> {
  json?: Line;
  error?: string;
  overtime?: number;
}

/** Runs a command that prints one line of JSON at its end. */
export function run<Line>(
  [file, ...args]: string[],
  limitSeconds: number,
  environment: Readonly<Record<string, string>> = {},
): Promise<Output<Line>> {
  return new Promise((resolve) => {
    const env = { ...process.env, ...environment };
    const options = { timeout: limitSeconds * 1000, cwd: here, killSignal: "SIGKILL" as const, env };
    execFile(file, args, options, (failure, stdout, stderr) => {
      const line = stdout.trim().split("\n").at(-1)!;
      if (line.startsWith("{")) return resolve({ json: JSON.parse(line) });
      if (failure?.killed) return resolve({ overtime: limitSeconds });
      const reasons = stderr.split("\n").filter((text) => /error/i.test(text));
      resolve({ error: reasons.at(-1)?.trim() ?? failure?.message ?? "it printed nothing" });
    });
  });
}
