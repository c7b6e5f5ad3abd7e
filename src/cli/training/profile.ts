/** `train --profile`: what each step of the plan costs, as a table of at most 80 columns. Measuring is the library's. */
import { profileTraining, type StepCost } from "../../explain/index.ts";
import type { EpochReport } from "../../index.ts";
import { examplesFor } from "../options/losses.ts";
import { count, duration, type Paint, painter, percent, plural } from "../terminal/text.ts";
import type { Training } from "./run.ts";

const WIDTHS = [2, 8, 14, 16, 6, 8, 6, 7, 5];
const HEADS = ["#", "phase", "result", "ops", "calls", "total ms", "share", "GFLOP/s", "GB/s"];

const cut = (text: string, width: number): string => (text.length > width ? `${text.slice(0, width - 1)}…` : text);

/** Three digits, as far as there is room. */
const short = (x: number): string =>
  x >= 100 ? count(Math.round(x)) : x < 0.001 ? x.toExponential(0) : x.toPrecision(3).slice(0, 5);

/** The steps with what they took in `calls` calls. */
export function profileLines(steps: readonly StepCost[], calls: number, paint: Paint): string[] {
  const whole = steps.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => (i >= 1 && i <= 3 ? cut(cell, WIDTHS[i]).padEnd(WIDTHS[i]) : cell.padStart(WIDTHS[i])))
      .join(" ");
  const numbers = (milliseconds: number, flops: number, bytes: number): string[] => [
    String(calls),
    short(milliseconds * calls),
    percent(milliseconds / whole, 1).replace(" ", ""),
    flops > 0 ? short(flops / milliseconds / 1e6) : "",
    short(bytes / milliseconds / 1e6),
  ];
  const sum = (key: "flops" | "bytes") => steps.reduce((total, step) => total + step[key], 0);
  return [
    paint("dim", line(HEADS)),
    ...steps.map(({ phase, result, ops, milliseconds, flops, bytes }, i) =>
      line([String(i + 1), phase, result, [...new Set(ops)].join("+"), ...numbers(milliseconds, flops, bytes)]),
    ),
    paint("bold", line(["", "all", "", "", ...numbers(whole, sum("flops"), sum("bytes"))])),
  ];
}

/** Measures the plan of the run, and says so. */
export async function reportProfile(run: Training, history: readonly EpochReport[]): Promise<void> {
  const { model, parts, recipe, options, display } = run;
  const { loss, optimizer, metrics } = recipe;
  const batchSize = Math.min(recipe.batchSize, parts.train.count);
  const { classWeights } = options;
  const steps = await profileTraining(model, examplesFor(parts.train, loss, model), {
    loss,
    optimizer,
    metrics,
    batchSize,
    ...(classWeights && { classWeights }),
  });
  const calls = history.length * Math.floor(parts.train.count / batchSize);
  display.event({ event: "profile", batchSize, threads: 1, calls, steps });
  if (options.json || options.quiet) return;
  const paint = painter(process.stdout);
  const seconds = history.reduce((total, epoch) => total + epoch.seconds, 0);
  const last = parts.train.count % batchSize;
  const text = [
    "",
    `${paint("bold", "Profile")}  ${paint("dim", `of one step of training, ${batchSize} rows, after the run`)}`,
    ...profileLines(steps, calls, paint),
    "",
    `Each step of the plan was run alone, over and over, on one thread; total is its`,
    `best time × the ${count(calls)} calls of this run.`,
    ...(last > 0 ? [`The last batch of an epoch, of ${plural(last, "row")}, has a plan of its own, not shown.`] : []),
    `The epochs themselves took ${duration(seconds)} (${model.engine}).`,
    "GB/s counts each array once that a step reads or writes.",
  ];
  process.stdout.write(`${text.join("\n")}\n`);
}
