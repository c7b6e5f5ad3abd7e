/** Measurements as Markdown tables. What the numbers mean is in README.md; where they are put is page.ts. */

/** All rounds of one peer on one workload with one number of threads. */
export interface Result {
  workload: string;
  peer: string;
  threads: number;
  version: string;
  /** One value per round; empty where the peer could not run. */
  values: number[];
  /** Why there is no value: it took too long, ... */
  overtime?: number;
  /** ... it failed, ... */
  error?: string;
  /** ... or the workload is not for this peer. */
  skipped?: string;
}

/** A column: the name of a workload and how it is called in the table. */
export type Column = readonly [workload: string, title: string];

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

export const number = (value: number) => value.toLocaleString("en", { maximumFractionDigits: value < 1000 ? 1 : 0 });
const ratio = (value: number) => value.toFixed(value >= 10 ? 0 : 2);

export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(head), `|${head.map((_, i) => (i === 0 ? "---|" : "---:|")).join("")}`, ...rows.map(line)].join("\n");
}

/** Whom chainrule is compared with: the best of the native systems, and each of the others. */
const RIVALS = [["pytorch", "sklearn", "onnxruntime"], ["numpy"], ["tfjs-wasm"], ["jax-js"], ["brain.js"]];

/** The table of one group of workloads: a row per peer, then the ratios, then what is left out and why. */
export function speedTable(results: readonly Result[], columns: readonly Column[], unit: string): string {
  const own = results.filter(({ workload }) => columns.some(([name]) => name === workload));
  const peers = [...new Set(own.map(({ peer }) => peer))].filter((peer) =>
    own.some((result) => result.peer === peer && !result.skipped),
  );
  const threads = [...new Set(own.map((result) => result.threads))].sort((a, b) => a - b);
  const of = (peer: string, workload: string) =>
    own.filter((result) => result.peer === peer && result.workload === workload);
  const shown = threads.length > 1 ? `, ${threads.join(" / ")} threads` : "";
  const titles = columns.map(([, title]) => title);
  const speeds = markdownTable(
    [`${unit}${shown}`, ...titles],
    peers.map((peer) => [peer, ...columns.map(([workload]) => cell(of(peer, workload)))]),
  );
  const ratios = ratioRows(peers, (peer) => columns.map(([workload]) => of(peer, workload)));
  return [
    speeds,
    ...(ratios.length ? [markdownTable([`ratio${shown}`, ...titles], ratios)] : []),
    ...reasons(own, columns),
  ].join("\n\n");
}

/** One peer on one workload: its median for each number of threads. */
function cell(results: readonly Result[]): string {
  const texts = results.map(({ values, overtime, error }) =>
    values.length ? number(median(values)) : overtime ? `over ${overtime} s` : error ? "failed" : "–",
  );
  return results.some(({ values }) => values.length) ? texts.join(" / ") : (texts[0] ?? "–");
}

/**
 * chainrule over its rivals: with one thread each; then chainrule on the most threads over each rival at its better
 * count. And chainrule on the most threads over itself on one.
 */
function ratioRows(peers: readonly string[], resultsOf: (peer: string) => Result[][]): string[][] {
  const rows: string[][] = [];
  const add = (title: string, cells: readonly (readonly number[])[]) => {
    if (!cells.some((values) => values.some(Number.isFinite))) return;
    const texts = cells.map((values) =>
      values.some(Number.isFinite) ? values.map((value) => (Number.isFinite(value) ? ratio(value) : "–")) : ["–"],
    );
    rows.push([title, ...texts.map((cell) => cell.join(" / "))]);
  };
  for (const peer of peers.filter((name) => name.startsWith("chainrule"))) {
    const own = resultsOf(peer);
    const most = Math.max(...own.flat().map(({ threads }) => threads));
    const counts = most > 1 ? [1, most] : [1];
    for (const group of RIVALS) {
      const rivals = group.filter((name) => peers.includes(name));
      const theirs = rivals.map(resultsOf);
      const cells = own.map((results, column) =>
        counts.map(
          (count) =>
            best(results, count, count) /
            best(
              theirs.flatMap((all) => all[column] ?? []),
              1,
              count,
            ),
        ),
      );
      add(`${peer} ÷ ${rivals.length > 1 ? "the best of " : ""}${rivals.join(", ")}`, cells);
    }
    if (most > 1)
      add(
        `${peer}, ${most} threads ÷ 1`,
        own.map((results) => [best(results, most, most) / best(results, 1, 1)]),
      );
  }
  return rows;
}

/** The highest median among the given numbers of threads; NaN if there is none. */
function best(results: readonly Result[], from: number, to: number): number {
  const medians = results
    .filter(({ threads, values }) => threads >= from && threads <= to && values.length > 0)
    .map(({ values }) => median(values));
  return medians.length ? Math.max(...medians) : Number.NaN;
}

/** How far the rounds of one measurement lie apart: the widest, as a part of its median. */
export function spread(results: readonly Result[]): number {
  const widths = results
    .filter(({ values }) => values.length > 1)
    .map(({ values }) => (Math.max(...values) - Math.min(...values)) / median(values));
  return Math.max(0, ...widths);
}

/** Who is missing where, and why; failures with their message. */
function reasons(results: readonly Result[], columns: readonly Column[]): string[] {
  const places = new Map<string, Set<string>>();
  for (const { workload, peer, skipped, error } of results) {
    if (!skipped && !error) continue;
    const key = error ? `${peer} failed: ${error}` : `${peer}: ${skipped}`;
    const title = columns.find(([name]) => name === workload)![1];
    places.set(key, (places.get(key) ?? new Set()).add(title));
  }
  if (places.size === 0) return [];
  const lines = [...places].map(([key, titles]) =>
    titles.size === columns.length ? `- ${key}.` : `- ${key} (${[...titles].join("; ")}).`,
  );
  return [["Left out:", ...lines].join("\n")];
}
