/** Runs peers on workloads in interleaved rounds: each round runs every one once, each in a process of its own. */
import type { Kind, Measurement, Peer, Runner } from "./peers.ts";
import { number, type Result } from "./table.ts";

/** An entry of workloads.json, as far as it matters who runs it. */
export interface Workload {
  readonly name: string;
  /** The side of a matrix product; networks have none. */
  readonly matmul?: number;
  /** The places of a sequence; networks of rows and images have none. */
  readonly places?: number;
}

export interface Rounds {
  readonly workloads: readonly Workload[];
  readonly peers: readonly Peer[];
  readonly threads: readonly number[];
  readonly rounds: number;
  /** Of one measurement. */
  readonly seconds: number;
  /** After which a measurement is given up. */
  readonly limit: number;
  readonly say: (text: string) => void;
}

/** A run slower than this is not repeated in later rounds. */
const SLOW_SECONDS = 30;

export async function measureRounds(runner: Runner, options: Rounds): Promise<Result[]> {
  const { peers, threads, rounds, seconds, limit, say } = options;
  const jobs = options.workloads.flatMap(({ name: workload, matmul, places }) => {
    const kind: Kind = matmul ? "products" : places ? "sequences" : "networks";
    const able = peers.filter(({ does = ["networks"] }) => does.includes(kind));
    return able.flatMap((peer) =>
      (peer.threaded ? threads : [1]).map((threads) => {
        const result: Result = { workload, peer: peer.name, threads, version: "", values: [] };
        return { peer, result };
      }),
    );
  });
  let waiting = jobs;
  for (let round = 1; round <= rounds; round++) {
    const again: typeof jobs = [];
    for (const job of waiting) {
      const { workload, threads } = job.result;
      const begin = performance.now();
      const outcome = record(job.result, await runner.measure(job.peer, { workload, threads, seconds }, limit));
      say(`round ${round}  ${workload}  ${job.peer.name}, ${threads} thread${threads > 1 ? "s" : ""}: ${outcome}`);
      const repeat = job.result.values.length === round && performance.now() - begin < SLOW_SECONDS * 1000;
      if (repeat) again.push(job);
    }
    waiting = again;
  }
  return jobs.map(({ result }) => result);
}

/** Takes a measurement in and returns how it reads in the log. A peer that fails once counts as failed. */
function record(result: Result, measurement: Measurement): string {
  const { version, samplesPerSecond, gflops, error, skipped, overtime } = measurement;
  result.version = version;
  const rate = samplesPerSecond ?? gflops;
  if (rate !== undefined) {
    result.values.push(rate);
    return number(rate);
  }
  result.values = [];
  Object.assign(result, { error, skipped, overtime });
  return error ?? skipped ?? `over ${overtime} s`;
}
