/**
 * How good forecasts are, beside those that need no network: that all stays as it was last, and that it is as it was one
 * season before. Errors are in the target's own units; the scaled one (MASE; Hyndman & Koehler, 2006) is the mean absolute
 * error over the mean change, from season to season, in the training part.
 */
import { naiveForecast, stepText, variableOf } from "../../data/index.ts";
import type { Model } from "../../index.ts";
import type { ForecastData } from "../data/series.ts";
import { measure, name, plural } from "../terminal/text.ts";
import type { Sheet } from "./test-report.ts";

/** The errors of one way to forecast one target, over all windows and all times ahead. */
interface Errors {
  readonly by: string;
  readonly meanAbsoluteError: number;
  readonly rootMeanSquaredError: number;
  readonly meanAbsoluteScaledError: number;
}

export interface ForecastScores {
  readonly windows: number;
  /** How far ahead, in words. */
  readonly ahead: string;
  /** For each target the network first, then the others. */
  readonly targets: readonly { readonly target: string; readonly errors: readonly Errors[] }[];
}

export async function measureForecast(model: Model, data: ForecastData): Promise<ForecastScores> {
  const { plan, series, begins } = data;
  const { length, horizon, targets, seasons, scales } = plan;
  const said = await model.predict(data.x);
  const windows = { begins, length, horizon };
  const scored = targets.map((target, k) => {
    const column = variableOf(series, target);
    const truth = columnOf(data.y, k, targets.length);
    const errors = [
      errorsOf("the network", columnOf(said, k, targets.length), truth, scales[k]),
      errorsOf("the last value", naiveForecast(series, windows, [column]), truth, scales[k]),
    ];
    const season = seasons[k];
    if (season > 1) {
      const before = naiveForecast(series, windows, [column], season);
      errors.push(errorsOf(`${stepsText(data, season)} before`, before, truth, scales[k]));
    }
    return { target, errors: errors.filter(({ meanAbsoluteError }) => !Number.isNaN(meanAbsoluteError)) };
  });
  return { windows: data.count, ahead: stepsText(data, horizon), targets: scored };
}

const columnOf = (all: Float32Array, k: number, width: number): Float32Array => all.filter((_, i) => i % width === k);

/** So many steps of a series in words: `24 hours`, or `24 values` where times are not known. */
function stepsText({ plan: { step } }: ForecastData, steps: number): string {
  return step && step.unit !== "number" ? stepText({ ...step, size: steps * step.size }) : plural(steps, "value");
}

/** The same, with how many values they are. */
function spanText(data: ForecastData, steps: number): string {
  const [text, values] = [stepsText(data, steps), plural(steps, "value")];
  return text === values ? text : `${text} (${values})`;
}

function errorsOf(by: string, said: Float32Array, truth: Float32Array, scale: number): Errors {
  let [absolute, squares] = [0, 0];
  for (let i = 0; i < truth.length; i++) {
    absolute += Math.abs(said[i] - truth[i]);
    squares += (said[i] - truth[i]) ** 2;
  }
  const meanAbsoluteError = absolute / truth.length;
  return {
    by,
    meanAbsoluteError,
    rootMeanSquaredError: Math.sqrt(squares / truth.length),
    meanAbsoluteScaledError: scale > 0 ? meanAbsoluteError / scale : Number.NaN,
  };
}

/** Forecasts as the JSON events have them. */
export const jsonForecast = ({ targets }: ForecastScores) => ({ forecast: targets });

/** What is said of a series before the training: how long it is, what the network sees, and of what calendar. */
export function seriesLines(data: ForecastData): string[] {
  const { series, plan } = data;
  const { variables, targets, length, horizon, calendar, seasons } = plan;
  const apart = plan.step && plan.step.unit !== "number" ? `, ${stepText(plan.step)} apart` : "";
  const names = variables.slice(0, 8).map((title) => name(title, 20));
  const shown = variables.length > 8 ? [...names, `… (${variables.length - 8} more)`] : names;
  const CALENDAR = { hour: "the hour of the day", weekday: "the day of the week", yearday: "the day of the year" };
  const season = [...new Set(seasons)].filter((each) => each > 1).map((each) => stepsText(data, each));
  return [
    `a series of ${plural(series.count, "time")}${apart}: ${shown.join(", ")}`,
    `the network sees ${spanText(data, length)}, and foretells ${spanText(data, horizon)} of ${targets.map((title) => name(title, 20)).join(", ")}`,
    ...(calendar.length > 0 ? [`it is told ${calendar.map((part) => CALENDAR[part]).join(", ")}`] : []),
    ...(season.length > 0 ? [`comes again after ${season.join(" and ")}, by the training part`] : []),
  ];
}

export function forecastLines(title: string, scores: ForecastScores, { paint }: Sheet): string[] {
  const lines = [
    `${paint("bold", title)}  ${paint("dim", `${plural(scores.windows, "forecast")} of ${scores.ahead} each`)}`,
  ];
  for (const { target, errors } of scores.targets) {
    const label = Math.max(...errors.map(({ by }) => by.length), name(target, 24).length);
    const row = (head: string, cells: readonly string[]) =>
      `  ${head.padEnd(label)}${cells.map((cell) => cell.padStart(15)).join("")}`;
    lines.push(paint("dim", row(name(target, 24), ["mean error", "root mean sq.", "scaled"])));
    for (const [i, each] of errors.entries()) {
      const { by, meanAbsoluteError, rootMeanSquaredError, meanAbsoluteScaledError } = each;
      const cells = [measure(meanAbsoluteError), measure(rootMeanSquaredError), meanAbsoluteScaledError.toFixed(3)];
      const text = row(by, cells);
      lines.push(i === 0 ? paint("bold", text) : text);
    }
  }
  lines.push(
    paint("dim", "  mean error: |forecast − truth| in the target's unit; scaled: by its change"),
    paint("dim", "  from season to season while it was learnt from (MASE)"),
  );
  const [best] = scores.targets.flatMap(({ errors: [network, ...naive] }) =>
    naive.filter((each) => each.meanAbsoluteError <= network.meanAbsoluteError),
  );
  if (best)
    lines.push(paint("yellow", `  The network is no better than ${best.by}: it has learnt nothing that helps.`));
  return lines;
}
