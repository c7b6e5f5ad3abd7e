/** The epochs of a run: a list that can show itself as a chart and be saved as CSV or JSON. */

import { check, unknownName } from "../checks.ts";
import { files } from "./node-files.ts";
import type { EpochReport } from "./scores.ts";

/** Options of `history.chart`. */
export interface ChartOptions {
  /** What to show; `loss` unless said. */
  readonly metric?: string;
  /** In characters; 72 by 12 unless said. */
  readonly width?: number;
  readonly height?: number;
}

/** The names of what an epoch measured. */
export const scoreNames = ({
  epoch,
  seconds,
  samplesPerSecond,
  inputSeconds,
  validation,
  ...scores
}: EpochReport): string[] => Object.keys({ ...validation, ...scores });

/** What a run brought: an array of its epochs. */
export class History extends Array<EpochReport> {
  /**
   * One score over the epochs as a chart of characters: ● training, ○ validation.
   * @throws ArgumentError if the epochs have no such score
   *
   * @example
   * console.log((await model.fit(data, { loss: "crossEntropy", epochs: 20 })).chart());
   */
  chart({ metric = "loss", width = 72, height = 12 }: ChartOptions = {}): string {
    const series = [
      { mark: "●", name: "training", values: this.map((epoch) => epoch[metric]) },
      { mark: "○", name: "validation", values: this.map((epoch) => epoch.validation?.[metric]) },
    ].filter(({ values }) => values.some((value) => value !== undefined));
    if (this.length > 0 && series.length === 0) throw unknownName("score", metric, scoreNames(this[0]));
    const all = series.flatMap(({ values }) => values.filter((v): v is number => Number.isFinite(v)));
    if (all.length === 0) return `${metric}: no epochs yet`;
    const [low, high] = [Math.min(...all), Math.max(...all)];
    const labels = [high, (high + low) / 2, low].map((v) => v.toPrecision(4));
    const margin = Math.max(...labels.map((label) => label.length));
    const columns = Math.max(2, width - margin - 3);
    const grid = Array.from({ length: height }, () => new Array<string>(columns).fill(" "));
    const place = (share: number, size: number): number => Math.round((share || 0) * (size - 1)); // of 0 / 0, too
    for (const { mark, values } of series) {
      for (const [i, value] of values.entries()) {
        if (value === undefined || !Number.isFinite(value)) continue;
        const row = height - 1 - place((value - low) / (high - low), height);
        grid[row][place(i / (this.length - 1), columns)] = mark;
      }
    }
    const places = new Map([0, Math.floor((height - 1) / 2), height - 1].map((row, i) => [row, labels[i]]));
    const lines = grid.map((row, i) => `${(places.get(i) ?? "").padStart(margin)} ┤${row.join("")}`.trimEnd());
    const [first, last] = [0, -1].map((i) => `${this.at(i)?.epoch}`);
    const axis = `${" ".repeat(margin + 2)}${first}${last.padStart(columns - first.length)}`;
    const legend = series.map(({ mark, name }) => `${mark} ${name}`).join("   ");
    return [`${metric}   ${legend}`, ...lines, axis].join("\n");
  }

  /** A line per epoch; the validation's columns are called `validation.loss` and so on. */
  toCsv(): string {
    const rows = this.map(({ epoch, seconds, samplesPerSecond, inputSeconds, validation = {}, ...scores }) => ({
      epoch,
      ...scores,
      ...Object.fromEntries(Object.entries(validation).map(([name, value]) => [`validation.${name}`, value])),
      seconds,
      samplesPerSecond,
      ...(inputSeconds !== undefined && { inputSeconds }),
    }));
    const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
    const quote = (text: string): string => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
    const lines = rows.map((row) => columns.map((column) => (row as Record<string, number>)[column] ?? "").join(","));
    return `${[columns.map(quote).join(","), ...lines].join("\n")}\n`;
  }

  /** Writes the history to a file, all of it or nothing: CSV or JSON, by the ending of its name. */
  async save(path: string): Promise<void> {
    const [ending] = /\.(csv|json)$/.exec(path) ?? [];
    check(ending !== undefined, "A history is saved as .csv or .json", path);
    const text = ending === ".csv" ? this.toCsv() : JSON.stringify(this, null, 2);
    const { writeFile } = await files();
    await writeFile(path, new TextEncoder().encode(text));
  }
}
