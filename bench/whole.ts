/**
 * What is measured of the built library in whole processes: MNIST to an accuracy with its peak memory, start-up, and
 * the size beside the peers'. Each gives plain data and a Markdown table of it.
 */
import { execFileSync } from "node:child_process";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { run } from "./peers.ts";
import { markdownTable, median } from "./table.ts";

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const LIBRARY = path("results/library");
const LIMIT_SECONDS = 1800;

/** Builds the library as it is published, into a folder of its own. */
export function buildLibrary(): void {
  const tsc = createRequire(import.meta.url).resolve("typescript/bin/tsc");
  execFileSync(process.execPath, [tsc, "-p", path("../tsconfig.build.json"), "--outDir", LIBRARY], {
    stdio: "inherit",
  });
}

async function task<Line>(node: string, script: string, argument: string): Promise<Line> {
  const { json, error } = await run<Line>([node, path(`tasks/${script}`), argument], LIMIT_SECONDS);
  if (json) return json;
  throw new Error(`bench/tasks/${script} ${argument}: ${error ?? `no result within ${LIMIT_SECONDS} s`}`);
}

// MNIST --------------------------------------------------------------------------------------------------------------

export interface MnistRun {
  network: "dense" | "cnn";
  target: number;
  seed: number;
  engine: string;
  /** On the test set, after each epoch. */
  accuracies: number[];
  /** Until the target was reached; null where it was not. */
  seconds: number | null;
  peakMegabytes: number;
}

/** The dense network once per seed, the convolutional one once; without and with turbo, taking turns. */
export async function trainMnist(node: string, threads: number, seeds: number, cnn: boolean): Promise<MnistRun[]> {
  const jobs = [
    ...Array.from({ length: seeds }, (_, seed) => ({ network: "dense" as const, target: 0.98, seed })),
    ...(cnn ? [{ network: "cnn" as const, target: 0.99, seed: 0 }] : []),
  ];
  const runs: MnistRun[] = [];
  for (const job of jobs) {
    for (const turbo of [false, true]) {
      const argument = JSON.stringify({ ...job, library: LIBRARY, threads, turbo });
      const outcome = await task<Omit<MnistRun, keyof typeof job>>(node, "mnist.mjs", argument);
      if (!turbo || !outcome.engine.includes("no turbo")) runs.push({ ...job, ...outcome });
    }
  }
  return runs;
}

const NETWORKS = { dense: "784-128-10", cnn: "32c3-64c3-p2-d128 with dropout" };

export function mnistTable(runs: readonly MnistRun[]): string {
  const kinds = [...new Set(runs.map(({ network, engine }) => `${network} ${engine}`))];
  const rows = kinds.map((kind) => {
    const group = runs.filter(({ network, engine }) => `${network} ${engine}` === kind);
    const { network, engine, target } = group[0];
    const reached = group.filter(({ seconds }) => seconds !== null);
    const last = group.map(({ accuracies }) => percent(accuracies.at(-1)!)).join(", ");
    const epochs = group.map(({ accuracies }) => accuracies.length).join(", ");
    const time = reached.length ? `${median(reached.map(({ seconds }) => seconds!)).toFixed(1)} s` : "–";
    const share = reached.length === group.length ? "" : ` (${reached.length} of ${group.length} seeds)`;
    const memory = Math.max(...group.map(({ peakMegabytes }) => peakMegabytes));
    return [NETWORKS[network], engine, percent(target), time + share, epochs, last, `${memory.toFixed(0)} MB`];
  });
  const head = ["network", "engine", "to reach", "time", "epochs", "test accuracy then", "peak memory"];
  return markdownTable(head, rows);
}

const percent = (part: number) => `${Number((part * 100).toFixed(2))} %`;

// Start-up -----------------------------------------------------------------------------------------------------------

export interface StartUp {
  node: string;
  milliseconds: number[];
  sinceProcessStart: number[];
}

/** @param nodes version → path */
export async function measureStartUp(nodes: ReadonlyMap<string, string>, times: number): Promise<StartUp[]> {
  const all = [...nodes].map(([node, program]) => ({ node, program, runs: [] as Record<string, number>[] }));
  for (let i = 0; i < times; i++)
    for (const { program, runs } of all) runs.push(await task(program, "start-up.mjs", LIBRARY));
  return all.map(({ node, runs }) => ({
    node,
    milliseconds: runs.map(({ milliseconds }) => milliseconds),
    sinceProcessStart: runs.map(({ sinceProcessStart }) => sinceProcessStart),
  }));
}

export function startUpTable(results: readonly StartUp[]): string {
  const rows = results.map(({ node, milliseconds, sinceProcessStart }) => [
    node,
    `${median(milliseconds).toFixed(0)} ms`,
    `${Math.min(...milliseconds).toFixed(0)} to ${Math.max(...milliseconds).toFixed(0)} ms`,
    `${median(sinceProcessStart).toFixed(0)} ms`,
  ]);
  const runs = results[0].milliseconds.length;
  return markdownTable(["", "import to end of first step", "range", "since the process began"], rows).concat(
    `\n\nMedians of ${runs} fresh processes.`,
  );
}

// Size ---------------------------------------------------------------------------------------------------------------

export type Sizes = [what: string, bytes: number][];

export const measureSizes = async () => (await task<{ sizes: Sizes }>(process.execPath, "size.mjs", "")).sizes;

export function sizeTable(sizes: Sizes): string {
  const own = sizes[0][1];
  return markdownTable(
    ["", "gzipped", "÷ chainrule"],
    sizes.map(([what, bytes]) => [
      what,
      `${Math.round(bytes / 1000).toLocaleString("en")} kB`,
      (bytes / own).toFixed(1),
    ]),
  );
}
