/**
 * `npm run bench`: runs chainrule and every installed peer on the same workloads, in interleaved rounds of separate
 * processes, and prints medians and ratios. What is measured and how the peers are used: bench/README.md.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg } from "node:os";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { type Measurement, PEERS, type Peer, Runner } from "./peers.ts";
import { median, type Result, rateOf, toMarkdown, toText } from "./table.ts";

const USAGE = `npm run bench -- [options]
  --workloads A,B   from bench/workloads.json, or "all"   (the design's four)
  --peers A,B       ${PEERS.map((peer) => peer.name).join(", ")}   (all installed)
  --threads 1,2     thread counts of the peers that have threads   (1 and the cores, at most 2)
  --rounds N        rounds, each every peer once; medians are shown   (3)
  --seconds N       length of one measurement   (1)
  --timeout N       seconds after which a peer is given up   (300)
  --node PATH       the Node that runs chainrule and the JavaScript peers   (this one)
  --python PATH     the Python of PyTorch, scikit-learn and NumPy   (/usr/bin/python3, python3)
  --markdown FILE   writes the tables there too`;

interface Workload {
  /** Told in place of a long list of layers. */
  about?: string;
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
  const { about, input, layers, batch, mode, matmul } = workloads[name];
  if (matmul) return `float32 product of two ${matmul} x ${matmul} matrices`;
  return `${about ?? `${input!.join("x")} -> ${layers}`}; batch ${batch}${mode ? `, ${mode}` : ", Adam"}`;
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

function versionOf(node: string): string {
  try {
    return execFileSync(node, ["--version"], { encoding: "utf8" }).trim();
  } catch (error) {
    throw new UsageError(`cannot run the Node at ${node}: ${(error as Error).message}`);
  }
}

function readOptions() {
  const { values } = parseArgs({
    options: {
      workloads: { type: "string" },
      peers: { type: "string" },
      threads: { type: "string", default: availableParallelism() > 1 ? "1,2" : "1" },
      rounds: { type: "string", default: "3" },
      seconds: { type: "string", default: "1" },
      timeout: { type: "string", default: "300" },
      node: { type: "string", default: process.execPath },
      python: { type: "string" },
      markdown: { type: "string" },
      help: { type: "boolean", short: "h" },
    },
  });
  const byName = Object.fromEntries(PEERS.map((peer) => [peer.name, peer]));
  const node = values.node.includes("/") ? resolve(values.node) : values.node;
  return {
    ...values,
    node,
    nodeVersion: versionOf(node),
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
    say(`${peer.name.padEnd(12)} ${version ?? `missing; to bring it: ${peer.bring}`}`);
    if (version !== undefined) present.push(peer);
  }
  return present;
}

/** Takes a measurement in and returns how it reads in the log. */
function record(result: Result, measurement: Measurement): string {
  result.version = measurement.version;
  if (measurement.error) {
    result.error = measurement.error;
    return measurement.error;
  }
  const rate = rateOf(measurement);
  result.values.push(rate);
  return `${Math.round(rate).toLocaleString("en")} ${result.unit}`;
}

async function main(): Promise<void> {
  const options = readOptions();
  if (options.help) return console.log(USAGE);
  const load = loadavg()[0];
  if (load > 0.7) say(`The machine is busy (load ${load.toFixed(1)}): the numbers will be too low.`);
  const runner = new Runner(options);
  const peers = await installed(runner, options.peers);

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

  let waiting = results;
  for (let round = 1; round <= options.rounds; round++) {
    const again: Result[] = [];
    for (const result of waiting) {
      const { workload, threads } = result;
      const peer = peers.find(({ name }) => name === result.peer)!;
      const begin = performance.now();
      const measurement = await runner.measure(peer, { workload, threads, seconds: options.seconds }, options.timeout);
      if (measurement.skipped) continue;
      const outcome = record(result, measurement);
      say(`round ${round}  ${workload}  ${peer.name}, ${threads} thread${threads > 1 ? "s" : ""}: ${outcome}`);
      if (!result.error && performance.now() - begin < SLOW_SECONDS * 1000) again.push(result);
    }
    waiting = again;
  }

  const machine = { cpu: cpus()[0].model.trim(), cores: availableParallelism(), load };
  const versions = Object.fromEntries(
    results.filter(({ version }) => version).map(({ peer, version }) => [peer, version]),
  );
  const header = `${machine.cpu}, ${machine.cores} cores; Node ${options.nodeVersion}; ${new Date().toISOString().slice(0, 10)}`;
  const shown = results.filter(({ values, error }) => values.length > 0 || error);
  console.log(`\n${header}\n\n${toText(shown, describe)}`);

  const folder = new URL("results/", here);
  mkdirSync(folder, { recursive: true });
  const withMedians = shown.map((result) => ({
    ...result,
    median: result.values.length ? median(result.values) : null,
  }));
  const report = { date: new Date().toISOString(), machine, node: options.nodeVersion, versions, results: withMedians };
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
