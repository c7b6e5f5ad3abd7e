/**
 * Who takes part in the benchmark: how each peer is started, what it can do with threads, and how to bring it.
 * Every peer is a script that prints one JSON line; see bench/README.md for the protocol.
 */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";

export interface Peer {
  readonly name: string;
  readonly language: "node" | "python" | "tsx";
  readonly script: string;
  /** Put after the job. */
  readonly arguments?: readonly string[];
  /** Networks unless said. */
  readonly does?: readonly ("networks" | "products")[];
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
    does: ["networks", "products"],
    threaded: true,
    bring: "npm install",
  },
  {
    name: "chainrule-turbo",
    language: "tsx",
    script: "chainrule.ts",
    arguments: ["--turbo"],
    does: ["networks", "products"],
    threaded: true,
    bring: "npm install",
  },
  { name: "pytorch", language: "python", script: "peers/pytorch.py", threaded: true, bring: apt },
  { name: "sklearn", language: "python", script: "peers/scikit_learn.py", threaded: true, bring: apt },
  { name: "onnxruntime", language: "node", script: "peers/onnxruntime.mjs", threaded: true, bring: npm },
  { name: "tfjs-wasm", language: "node", script: "peers/tfjs.mjs", threaded: false, bring: npm },
  { name: "jax-js", language: "node", script: "peers/jax.mjs", threaded: false, bring: npm },
  { name: "brain.js", language: "node", script: "peers/brain.mjs", threaded: false, bring: npm },
  { name: "numpy", language: "python", script: "peers/sgemm.py", does: ["products"], threaded: true, bring: apt },
];

const here = fileURLToPath(new URL(".", import.meta.url));

/** Starts peers under the given Node and Python, each job in a process of its own. */
export class Runner {
  readonly #node: string;
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

  /** Runs one job of a peer that probe() found. */
  async measure(peer: Peer, job: Job, limitSeconds: number): Promise<Measurement> {
    const command = [...this.#commands.get(peer)!, JSON.stringify(job), ...(peer.arguments ?? [])];
    const { json, ...failure } = await run<Measurement>(command, limitSeconds);
    return json ?? { version: "", ...failure };
  }
}

interface Output<Line> {
  json?: Line;
  error?: string;
  overtime?: number;
}

/** Runs a command that prints one line of JSON at its end. */
export function run<Line>([file, ...args]: string[], limitSeconds: number): Promise<Output<Line>> {
  return new Promise((resolve) => {
    const options = { timeout: limitSeconds * 1000, cwd: here, killSignal: "SIGKILL" as const };
    execFile(file, args, options, (failure, stdout, stderr) => {
      const line = stdout.trim().split("\n").at(-1)!;
      if (line.startsWith("{")) return resolve({ json: JSON.parse(line) });
      if (failure?.killed) return resolve({ overtime: limitSeconds });
      const reasons = stderr.split("\n").filter((text) => /error/i.test(text));
      resolve({ error: reasons.at(-1)?.trim() ?? failure?.message ?? "it printed nothing" });
    });
  });
}
