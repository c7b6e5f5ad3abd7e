/**
 * `npm run bench`: runs chainrule and every installed peer on the same workloads, in interleaved rounds of separate
 * processes, and prints medians and ratios. What is measured and how the peers are used: bench/README.md.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg } from "node:os";
import { parseArgs } from "node:util";
import { type Measurement, PEERS, type Peer, Runner } from "./peers.ts";
import { median, type Result, rateOf, toMarkdown, toText } from "./table.ts";

const USAGE = `npm run bench -- [options]
  --workloads A,B   from bench/workloads.json, or "all"   (the design's four)
  --peers A,B       ${PEERS.map((peer) => peer.name).join(", ")}   (all installed)
  --threads 1,2     thread counts of the peers that have threads   (1 and the cores, at most 2)
  --rounds N        rounds, each every peer once; medians are shown   (3)
  --seconds N       length of one measurement   (1)
  --timeout N       seconds after which a peer is given up   (180)
  --node PATH       the Node that runs chainrule and the JavaScript peers   (this one)
  --python PATH     the Python of PyTorch, scikit-learn and NumPy   (python3, /usr/bin/python3)
  --markdown FILE   writes the tables there too`;

interface Workload {
  layers?: string;
  input?: number[];
  batch?: number;
  mode?: "inference";
  matmul?: number;
}

const here = new URL(".", import.meta.url);
const workloads: Record<string, Workload> = JSON.parse(readFileSync(new URL("workloads.json", here), "utf8"));
const DEFAULT_WORKLOADS = ["mlp-128-b32", "mlp-128-b128", "mlp-512-512-b128", "cnn-b64"];
/** A run slower than this is not repeated in later rounds. */
const SLOW_SECONDS = 60;

function describe(name: string): string {
  const { input, layers, batch, mode, matmul } = workloads[name];
  if (matmul) return `float32 product of two ${matmul} x ${matmul} matrices`;
  const long = layers!.length > 70 ? `${layers!.split(", ").length} layers ending in ${layers!.slice(-24)}` : layers;
  return `${input!.join("x")} -> ${long}; batch ${batch}${mode ? `, ${mode}` : ", Adam"}`;
}

class UsageError extends Error {}

function chosen<T>(given: string | undefined, all: Record<string, T>, standard: string[], what: string): string[] {
  if (given === "all") return Object.keys(all);
  const names = given?.split(",") ?? standard;
  const unknown = names.find((name) => !(name in all));
  if (unknown !== undefined) throw new UsageError(`no ${what} "${unknown}"; there are ${Object.keys(all).join(", ")}`);
  return names;
}

function positive(text: string, option: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new UsageError(`--${option} wants a positive number, not "${text}"`);
  return value;
}

function readOptions() {
  const { values } = parseArgs({
    options: {
      workloads: { type: "string" },
      peers: { type: "string" },
      threads: { type: "string", default: availableParallelism() > 1 ? "1,2" : "1" },
      rounds: { type: "string", default: "3" },
      seconds: { type: "string", default: "1" },
      timeout: { type: "string", default: "180" },
      node: { type: "string", default: process.execPath },
      python: { type: "string" },
      markdown: { type: "string" },
      help: { type: "boolean", short: "h" },
    },
  });
  const byName = Object.fromEntries(PEERS.map((peer) => [peer.name, peer]));
  return {
    ...values,
    workloads: chosen(values.workloads, workloads, DEFAULT_WORKLOADS, "workload"),
    peers: chosen(values.peers, byName, Object.keys(byName), "peer").map((name) => byName[name]),
    threads: values.threads.split(",").map((text) => positive(text, "threads")),
    rounds: positive(values.rounds, "rounds"),
    seconds: positive(values.seconds, "seconds"),
    timeout: positive(values.timeout, "timeout"),
  };
}

const say = (text: string) => process.stderr.write(`${text}\n`);

/** The peers that are installed; the others are named with the line that brings them. */
async function installed(runner: Runner, peers: readonly Peer[]): Promise<Peer[]> {
  const present: Peer[] = [];
  for (const peer of peers) {
    const version = await runner.probe(peer);
    if (version === undefined) say(`${peer.name.padEnd(12)} missing; to bring it: ${peer.bring}`);
    else {
      say(`${peer.name.padEnd(12)} ${version}`);
      present.push(peer);
    }
  }
  return present;
}

function record(result: Result, measurement: Measurement): void {
  result.version = measurement.version;
  if (measurement.error) result.error = measurement.error;
  else result.values.push(rateOf(measurement));
}

async function main(): Promise<void> {
  const options = readOptions();
  if (options.help) return console.log(USAGE);
  const runner = new Runner(options);
  const peers = await installed(runner, options.peers);
  if (loadavg()[0] > 0.7) say(`The machine is busy (load ${loadavg()[0].toFixed(1)}): the numbers will be too low.`);

  const results: Result[] = options.workloads.flatMap((workload) =>
    peers.flatMap((peer) =>
      (peer.threaded ? options.threads : [1]).map(
        (threads): Result => ({
          workload,
          peer: peer.name,
          threads,
          version: "",
          unit: workloads[workload].matmul ? "GFLOP/s" : "samples/s",
          values: [],
        }),
      ),
    ),
  );

  const slow = new Set<Result>();
  for (let round = 1; round <= options.rounds; round++) {
    for (const result of results) {
      if (result.error || slow.has(result)) continue;
      const { workload, threads } = result;
      const peer = peers.find(({ name }) => name === result.peer)!;
      const begin = performance.now();
      record(result, await runner.measure(peer, { workload, threads, seconds: options.seconds }, options.timeout));
      if (performance.now() - begin > SLOW_SECONDS * 1000) slow.add(result);
      const shown = result.error ?? `${Math.round(result.values.at(-1)!).toLocaleString("en")} ${result.unit}`;
      say(`round ${round}  ${workload}  ${peer.name}, ${threads} thread${threads > 1 ? "s" : ""}: ${shown}`);
    }
  }

  const machine = { cpu: cpus()[0].model.trim(), cores: availableParallelism(), load: loadavg()[0] };
  const versions = Object.fromEntries(
    results.filter(({ version }) => version).map(({ peer, version }) => [peer, version]),
  );
  const node = execFileSync(options.node, ["--version"], { encoding: "utf8" }).trim();
  const header = `${machine.cpu}, ${machine.cores} cores; Node ${node}; ${new Date().toISOString().slice(0, 10)}`;
  // What a peer cannot do is told once, in the log above; the tables keep to what ran.
  const shown = results.filter(({ values }) => values.length > 0);
  console.log(`\n${header}\n\n${toText(shown, describe)}`);

  const folder = new URL("results/", here);
  mkdirSync(folder, { recursive: true });
  const latest = results.map((result) => ({ ...result, median: result.values.length ? median(result.values) : null }));
  const report = { date: new Date().toISOString(), machine, node, versions, results: latest };
  writeFileSync(new URL("latest.json", folder), `${JSON.stringify(report, null, 2)}\n`);
  if (options.markdown) {
    const peersLine = Object.entries(versions).map(([peer, version]) => `${peer} ${version}`);
    const text = [header, peersLine.join(", "), toMarkdown(shown, describe)].join("\n\n");
    writeFileSync(options.markdown, `${text}\n`);
  }
}

try {
  await main();
} catch (error) {
  if (!(error instanceof UsageError) && (error as { code?: string }).code?.startsWith("ERR_PARSE_ARGS") !== true)
    throw error;
  say(`${(error as Error).message}\n\n${USAGE}`);
  process.exitCode = 2;
}
