/** The results as text: one table per workload for the terminal, the same as Markdown, and the summary ratios. */
import type { Measurement } from "./peers.ts";

/** All rounds of one peer on one workload with one number of threads. */
export interface Result {
  workload: string;
  peer: string;
  threads: number;
  version: string;
  unit: "samples/s" | "GFLOP/s";
  /** One value per round; empty where the peer could not run. */
  values: number[];
  error?: string;
}

export function rateOf(measurement: Measurement): number {
  return measurement.samplesPerSecond ?? measurement.gflops ?? Number.NaN;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** The systems whose best is the line to cross. */
const NATIVE = ["pytorch", "sklearn", "onnxruntime"];

const number = (value: number) => value.toLocaleString("en", { maximumFractionDigits: value < 100 ? 1 : 0 });
const ratio = (value: number) => (value >= 10 ? `${value.toFixed(0)} x` : `${value.toFixed(2)} x`);

/** Rows of a table: peer, threads, median, range of the rounds, and how many times faster chainrule is. */
function rowsOf(results: readonly Result[]): string[][] {
  return results.map((result) => {
    if (result.values.length === 0) return [result.peer, String(result.threads), "-", `cannot: ${result.error}`, ""];
    const own = results.find((other) => other.peer === "chainrule" && other.threads === result.threads);
    const ends = [Math.min(...result.values), Math.max(...result.values)].map(number);
    const spread = result.values.length > 1 ? ends.join(" .. ") : "one";
    const times = own?.values.length && own !== result ? ratio(median(own.values) / median(result.values)) : "";
    return [result.peer, String(result.threads), number(median(result.values)), spread, times];
  });
}

const HEAD = ["peer", "threads", "", "rounds", "chainrule is"];

function groups(results: readonly Result[]): [string, Result[]][] {
  const byWorkload = new Map<string, Result[]>();
  for (const result of results) byWorkload.set(result.workload, [...(byWorkload.get(result.workload) ?? []), result]);
  return [...byWorkload];
}

const headOf = (group: readonly Result[]) => HEAD.map((title) => title || group[0].unit);

/** For a terminal of 80 columns. */
export function toText(results: readonly Result[], describe: (workload: string) => string): string {
  const widths = [13, 7, 12, 27, 13];
  const line = (cells: readonly string[]) => {
    const padded = cells.map((cell, i) => (i === 0 || i === 3 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])));
    return `  ${padded.join("  ")}`.slice(0, 100).trimEnd();
  };
  return groups(results)
    .map(([workload, group]) =>
      [`${workload}: ${describe(workload)}`, line(headOf(group)), ...rowsOf(group).map(line), ...summary(group)].join(
        "\n",
      ),
    )
    .join("\n\n");
}

export function toMarkdown(results: readonly Result[], describe: (workload: string) => string): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return groups(results)
    .map(([workload, group]) =>
      [
        `### ${workload}`,
        "",
        describe(workload),
        "",
        line(headOf(group)),
        "|---|---:|---:|---|---:|",
        ...rowsOf(group).map(line),
        ...summary(group).map((text) => `\n${text.trim()}`),
      ].join("\n"),
    )
    .join("\n\n");
}

/** chainrule against the best of PyTorch, scikit-learn and onnxruntime: one thread each, and each at its better count. */
function summary(group: readonly Result[]): string[] {
  const ran = group.filter((result) => result.values.length > 0);
  const best = (names: readonly string[], candidates: readonly Result[]) =>
    Math.max(...candidates.filter((result) => names.includes(result.peer)).map((result) => median(result.values)));
  const single = ran.filter((result) => result.threads === 1);
  const lines: [string, Result[]][] = [
    ["one thread against one", single],
    ["each at its better thread count", ran],
  ];
  return lines.flatMap(([title, candidates]) => {
    const value = best(["chainrule"], candidates) / best(NATIVE, candidates);
    return Number.isFinite(value) && value > 0
      ? [`  chainrule / best of ${NATIVE.join(", ")}, ${title}: ${ratio(value)}`]
      : [];
  });
}
