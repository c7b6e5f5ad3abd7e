/**
 * `npm run bench`: measures chainrule beside every installed peer, prints the tables, and writes them into
 * docs/benchmarks.md when asked. What is measured and how the peers are used: bench/README.md.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg, totalmem } from "node:os";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { refresh } from "./page.ts";
import { PEERS, type Peer, Runner } from "./peers.ts";
import { measureRounds, type Workload } from "./rounds.ts";
import { type Column, type Result, speedTable, spread } from "./table.ts";
import {
  buildLibrary,
  measureSizes,
  measureStartUp,
  mnistTable,
  sizeTable,
  startUpTable,
  trainMnist,
} from "./whole.ts";

/** The tables of speeds, with their unit, and the tables of whole processes. */
const SPEEDS = {
  training: "samples/s",
  "more-training": "samples/s",
  inference: "samples/s",
  sequences: "places/s",
  sgemm: "GFLOP/s",
};
const TABLES = [...Object.keys(SPEEDS), "mnist", "start-up", "size"];

const USAGE = `npm run bench -- [options]
  --tables A,B      ${TABLES.join(", ")}   (all)
  --workloads A,B   only these of bench/workloads.json, and only speeds
  --peers A,B       ${PEERS.map((peer) => peer.name).join(", ")}   (all installed)
  --threads 1,2     thread counts of the peers that have threads   (1 and the cores, at most 2)
  --rounds N        rounds, each every peer once; medians are shown   (3)
  --seconds N       length of one measurement   (1)
  --limit N         seconds after which a measurement is given up   (60)
  --node PATH       the Node that runs chainrule and the JavaScript peers   (this one);
                    said again, chainrule runs on that one too
  --python PATH     the Python of PyTorch, scikit-learn and NumPy   (/usr/bin/python3, python3)
  --markdown        writes the tables into docs/benchmarks.md
  --quick           a minute to try it: few workloads, peers and rounds`;

type Entry = Omit<Workload, "name"> & { table: keyof typeof SPEEDS; title: string };

const here = new URL(".", import.meta.url);
const page = new URL("../docs/benchmarks.md", here);
const workloads: Record<string, Entry> = JSON.parse(readFileSync(new URL("workloads.json", here), "utf8"));

/** What --quick says unless the command line does. */
const QUICK = {
  workloads: "mlp-128-b32,xor,inference-b32,sgemm-512",
  peers: "chainrule,chainrule-turbo,pytorch,brain.js,numpy",
  rounds: "1",
  seconds: "0.3",
};

class UsageError extends Error {}

function chosen(given: string | undefined, all: readonly string[], what: string): string[] {
  const names = given?.split(",") ?? [...all];
  const unknown = names.find((name) => !all.includes(name));
  if (unknown !== undefined) throw new UsageError(`no ${what} "${unknown}"; there are ${all.join(", ")}`);
  return names;
}

function positive(text: string, option: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new UsageError(`--${option} wants a positive number, not "${text}"`);
  return value;
}

function versionOf(node: string): string {
  try {
    return `Node ${execFileSync(node, ["--version"], { encoding: "utf8" }).trim().slice(1)}`;
  } catch (error) {
    throw new UsageError(`cannot run the Node at ${node}: ${(error as Error).message}`);
  }
}

function readOptions() {
  const { values } = parseArgs({
    options: {
      tables: { type: "string" },
      workloads: { type: "string" },
      peers: { type: "string" },
      threads: { type: "string", default: availableParallelism() > 1 ? "1,2" : "1" },
      rounds: { type: "string" },
      seconds: { type: "string" },
      limit: { type: "string", default: "60" },
      node: { type: "string", multiple: true, default: [process.execPath] },
      python: { type: "string" },
      markdown: { type: "boolean", default: false },
      quick: { type: "boolean", default: false },
      help: { type: "boolean", short: "h" },
    },
  });
  const given = { ...(values.quick && QUICK), ...values };
  const tables = chosen(given.tables ?? (values.workloads && Object.keys(SPEEDS).join()), TABLES, "table");
  const ofTables = Object.keys(workloads).filter((name) => tables.includes(workloads[name].table));
  if (given.workloads && given.markdown)
    throw new UsageError("--markdown writes whole tables: leave out --workloads and --quick");
  const nodes = given.node.map((path) => (path.includes("/") ? resolve(path) : path));
  return {
    ...given,
    tables,
    workloads: chosen(given.workloads, Object.keys(workloads), "workload").filter((name) => ofTables.includes(name)),
    peers: chosen(
      given.peers,
      PEERS.map(({ name }) => name),
      "peer",
    ),
    threads: given.threads.split(",").map((text) => positive(text, "threads")),
    rounds: positive(given.rounds ?? "3", "rounds"),
    seconds: positive(given.seconds ?? "1", "seconds"),
    limit: positive(given.limit, "limit"),
    nodes: new Map(nodes.map((path) => [versionOf(path), path])),
  };
}

const say = (text: string) => process.stderr.write(`${text}\n`);

/** The chosen peers, and chainrule on every further Node. */
function contestants(names: readonly string[], nodes: ReadonlyMap<string, string>): Peer[] {
  return PEERS.filter(({ name }) => names.includes(name)).flatMap((peer) => {
    const others = peer.name === "chainrule" ? [...nodes].slice(1) : [];
    return [peer, ...others.map(([version, node]): Peer => ({ ...peer, name: `chainrule, ${version}`, node }))];
  });
}

/** The peers that are installed; the others are named with the line that brings them. */
async function installed(runner: Runner, peers: readonly Peer[]): Promise<Peer[]> {
  const present: Peer[] = [];
  for (const peer of peers) {
    const version = await runner.probe(peer);
    say(`${peer.name.padEnd(16)} ${version ?? `missing; to bring it: ${peer.bring}`}`);
    if (version !== undefined) present.push(peer);
  }
  return present;
}

/** On what, and when: the line under every table. */
function machine(): string {
  const memory = Math.round(totalmem() / 1e9);
  const load = loadavg()[0];
  if (load > 0.7) say(`The machine is busy (load ${load.toFixed(1)}): the numbers will be too low.`);
  const date = new Date().toISOString().slice(0, 10);
  const busy = load > 0.7 ? `, busy with other work (load ${load.toFixed(1)})` : "";
  return `Measured on ${date}: ${cpus()[0].model.trim()}, ${availableParallelism()} cores, ${memory} GB${busy}`;
}

async function main(): Promise<void> {
  const options = readOptions();
  if (options.help) return console.log(USAGE);
  const { tables, nodes, rounds, seconds, quick } = options;
  const filled = (parts: Record<string, string>) => refresh(readFileSync(page, "utf8"), parts);
  if (options.markdown) filled(Object.fromEntries(tables.map((name) => [name, ""]))); // fails now, not in the end
  const where = machine();
  const [[firstVersion, first]] = nodes;
  const versions = [...nodes.keys()].join(", ");
  const parts: Record<string, string> = {};
  const data: Record<string, unknown> = { where };
  const folder = new URL("results/", here);
  mkdirSync(folder, { recursive: true });
  // Written as it comes: a later part that fails takes nothing with it.
  const add = (name: string, table: string, ...caption: string[]) => {
    parts[name] = `${table}\n\n${[where, ...caption].join("; ")}.`;
    const text = Object.entries(parts).map(([name, part]) => `## ${name}\n\n${part}\n`);
    writeFileSync(new URL("latest.md", folder), text.join("\n"));
    writeFileSync(new URL("latest.json", folder), `${JSON.stringify(data, null, 2)}\n`);
    console.log(`\n${text.at(-1)}`);
    if (options.markdown) writeFileSync(page, filled({ [name]: parts[name] }));
  };

  if (options.workloads.length) {
    const runner = new Runner({ node: first, python: options.python });
    const peers = await installed(runner, contestants(options.peers, nodes));
    const blas = peers.some(({ language }) => language === "python") ? await runner.chooseBlas() : undefined;
    if (blas) say(blas);
    const jobs = options.workloads.map((name) => ({ name, ...workloads[name] }));
    const results = await measureRounds(runner, { ...options, workloads: jobs, peers, say });
    data.speeds = results;
    for (const [table, unit] of Object.entries(SPEEDS)) {
      const own = options.workloads.filter((name) => workloads[name].table === table);
      const columns = own.map((name): Column => [name, workloads[name].title]);
      if (columns.length === 0) continue;
      add(
        table,
        speedTable(results, columns, unit),
        versions,
        ...describe(results, own, rounds, seconds),
        ...(blas ? [blas] : []),
      );
    }
  }
  const whole = ["mnist", "start-up"].filter((name) => tables.includes(name));
  if (whole.length) {
    say("building the library");
    buildLibrary();
  }
  if (tables.includes("mnist")) {
    say("MNIST");
    const runs = await trainMnist(first, Math.max(...options.threads), quick ? 1 : rounds, !quick);
    data.mnist = runs;
    add("mnist", mnistTable(runs), firstVersion);
  }
  if (tables.includes("start-up")) {
    say("start-up");
    const startUp = await measureStartUp(nodes, quick ? 3 : 10);
    data["start-up"] = startUp;
    add("start-up", startUpTable(startUp), versions);
  }
  if (tables.includes("size")) {
    say("size");
    const sizes = await measureSizes();
    data.size = sizes;
    add("size", sizeTable(sizes));
  }
}

/** How a table was measured: the rounds, how far they lie apart, and the versions of the peers that have a value. */
function describe(results: readonly Result[], workloads: readonly string[], rounds: number, seconds: number): string[] {
  const ran = results.filter(({ workload, values }) => values.length > 0 && workloads.includes(workload));
  const versions = new Map(ran.map(({ peer, version }) => [peer, version]));
  const apart = `at most ${(spread(ran) * 100).toFixed(0)} % apart`;
  return [
    rounds > 1 ? `medians of ${rounds} rounds of ${seconds} s, ${apart}` : `one round of ${seconds} s`,
    ...[...versions].filter(([peer]) => !peer.startsWith("chainrule")).map((entry) => entry.join(" ")),
  ];
}

try {
  await main();
} catch (error) {
  if (!(error instanceof UsageError) && (error as { code?: string }).code?.startsWith("ERR_PARSE_ARGS") !== true)
    throw error;
  say(`${(error as Error).message}\n\n${USAGE}`);
  process.exitCode = 2;
}
