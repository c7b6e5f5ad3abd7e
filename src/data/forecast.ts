/**
 * Forecasting as a task for a network: windows over a series, each with the values that came after it; and the forecasts
 * that need no network, which any network has to beat. Which windows are for training is decided by cutting the series
 * first, so that none lies across a cut.
 */
import { check, checkOptionNames } from "../checks.ts";
import { message, option } from "../wording.ts";
import type { Dataset } from "./dataset.ts";
import { checkInteger, dataError, show } from "./fail.ts";
import { calendarSeasons, type Series, variableOf } from "./series.ts";
import { formatTime, timeAt } from "./times.ts";

/**
 * What to do about missing values: `"error"` names the first; `"previous"` takes the last known value for the input, and
 * leaves out windows whose target is missing; `"drop"` leaves out all windows that touch one.
 */
export type SeriesMissing = "error" | "previous" | "drop";

/** Options of `forecastWindows`. */
export interface ForecastOptions {
  /** How many values the network sees. */
  readonly length: number;
  /** How many it foretells. */
  readonly horizon: number;
  /** The variables to foretell; all unless said. */
  readonly targets?: readonly string[];
  /** How far windows begin from each other; 1 unless said. */
  readonly stride?: number;
  /** `"error"` unless said. */
  readonly missing?: SeriesMissing;
}

/** Windows over a series: a data set, and where each begins. */
export interface ForecastWindows extends Dataset {
  readonly y: Float32Array;
  /** The row of the series at which each window begins. */
  readonly begins: Int32Array;
  /** Where the targets stand among the variables, from 0. */
  readonly columns: readonly number[];
}

/**
 * Windows over a series in their order: x holds `length` times of all its variables, y the targets at the `horizon` times after
 * them, time by time. Windows of one part of a series (`splitSeries`) know nothing of another.
 *
 * Throws `DataError` where no window fits in, and for missing values unless `missing` says what to do.
 *
 * @example
 * import { forecastWindows, readSeries } from "chainrule/data";
 * const series = await readSeries("sold\n1\n2\n3\n4\n5\n");
 * const { x, y } = forecastWindows(series, { length: 2, horizon: 2 });
 * console.log(x, y); // Float32Array(4) [ 1, 2, 2, 3 ] Float32Array(4) [ 3, 4, 4, 5 ]
 */
export function forecastWindows(series: Series, options: ForecastOptions): ForecastWindows {
  checkOptionNames("forecastWindows", options, ["length", "horizon", "targets", "stride", "missing"]);
  const { length, horizon, targets = series.variables, stride = 1, missing = "error" } = options;
  for (const [name, value] of Object.entries({ length, horizon, stride }))
    checkInteger(`forecastWindows: ${name}`, value, 1);
  check(targets.length > 0, "forecastWindows: targets names at least one variable", targets);
  const { variables } = series;
  const width = variables.length;
  const columns = targets.map((name) => variableOf(series, name));
  const places = Math.floor((series.count - length - horizon) / stride) + 1;
  if (places < 1)
    throw dataError(
      message`a window of ${length} times and the ${horizon} after it do not fit into ${series.count}. Give a longer series, a shorter ${option("length")}, or a shorter ${option("horizon")}.`,
    );
  if (missing === "error") refuseMissing(series);
  const values = missing === "previous" ? filled(series) : series.values;
  const isKnown = (from: number, to: number, of: readonly number[], data: Float32Array): boolean => {
    for (let t = from; t < to; t++) for (const c of of) if (Number.isNaN(data[t * width + c])) return false;
    return true;
  };
  const all = variables.map((_, c) => c);
  const begins = Int32Array.from({ length: places }, (_, i) => i * stride).filter(
    (begin) =>
      isKnown(begin, begin + length, all, values) &&
      isKnown(begin + length, begin + length + horizon, columns, series.values),
  );
  if (begins.length === 0)
    throw dataError(
      `each of the ${places} windows of ${length} times and ${horizon} after them has a missing value; fill some in, or take shorter windows.`,
      {},
      { code: "missing-value" },
    );
  const x = new Float32Array(begins.length * length * width);
  const y = new Float32Array(begins.length * horizon * columns.length);
  begins.forEach((begin, i) => {
    x.set(values.subarray(begin * width, (begin + length) * width), i * length * width);
    for (let h = 0; h < horizon; h++)
      for (const [k, c] of columns.entries())
        y[(i * horizon + h) * columns.length + k] = values[(begin + length + h) * width + c];
  });
  return { x, y, count: begins.length, inputShape: [length, width], task: "regression", begins, columns };
}

function refuseMissing(series: Series): void {
  const { values, variables, grid } = series;
  const first = values.findIndex(Number.isNaN);
  if (first < 0) return;
  const row = Math.floor(first / variables.length);
  const count = values.reduce((sum, value) => sum + (Number.isNaN(value) ? 1 : 0), 0);
  const when = grid ? `at ${formatTime(timeAt(grid, row), grid.step.unit, grid.written ?? " ")}` : `at time ${row + 1}`;
  throw dataError(
    message`${count} values of the series are missing, the first of them ${show(variables[first % variables.length])} ${when}; fill them in, or say ${option("missing", "previous")} (takes the last known value for the input and leaves out windows whose target is missing) or ${option("missing", "drop")} (leaves out windows that touch one).`,
    {},
    { code: "missing-value", facts: { missing: count } },
  );
}

/** The values, each missing one with the last known before it; before the first known one they stay missing. */
export function filled({ values, variables }: Series): Float32Array {
  const all = values.slice();
  const width = variables.length;
  for (let i = width; i < all.length; i++) if (Number.isNaN(all[i])) all[i] = all[i - width];
  return all;
}

/**
 * What is foretold without a network, in the form of y: at each time the value one season before it, or, with a season of 1, the
 * last known value. NaN where the series does not reach back so far.
 *
 * @param windows where each begins in the series, and how long it is
 * @param columns where the targets stand among the variables
 */
export function naiveForecast(
  series: Series,
  windows: { readonly begins: ArrayLike<number>; readonly length: number; readonly horizon: number },
  columns: readonly number[],
  season = 1,
): Float32Array {
  checkInteger("naiveForecast: the season", season, 1);
  const { begins, length, horizon } = windows;
  const values = filled(series);
  const said = new Float32Array(begins.length * horizon * columns.length);
  for (let i = 0; i < begins.length; i++)
    for (let h = 0; h < horizon; h++) {
      // As many seasons before as it takes to come to what is known.
      const t = begins[i] + length + h - season * Math.ceil((h + 1) / season);
      for (const [k, c] of columns.entries())
        said[(i * horizon + h) * columns.length + k] = t < 0 ? Number.NaN : values[t * series.variables.length + c];
    }
  return said;
}

/** The mean of |y(t) − y(t − lag)| over the known pairs of a variable; NaN where there are none. */
export function meanChange({ values, variables, count }: Series, column: number, lag: number): number {
  let [sum, pairs] = [0, 0];
  for (let t = lag; t < count; t++) {
    const change = Math.abs(values[t * variables.length + column] - values[(t - lag) * variables.length + column]);
    if (Number.isNaN(change)) continue;
    sum += change;
    pairs++;
  }
  return sum / pairs;
}

/** Where times are not known, seasons as they are usual: quarters, days of a week, months, hours, weeks, and others. */
const USUAL_SEASONS = [4, 7, 12, 24, 48, 52, 96, 168, 365];

/**
 * After how many steps a variable comes again: of a day, a week, a year (or, without dates, usual lengths) and none (1), the
 * one whose naive forecast over the horizon is best. Only what the series itself holds is looked at, so that of a training part nothing of the test is known.
 */
export function seasonOf(series: Series, column: number, horizon: number): number {
  const errorOf = (season: number): number => {
    let sum = 0;
    for (let h = 1; h <= horizon; h++) sum += meanChange(series, column, season * Math.ceil(h / season));
    return sum / horizon;
  };
  const seasons = series.grid ? calendarSeasons(series) : USUAL_SEASONS.filter((season) => series.count >= 2 * season);
  const candidates = [1, ...seasons].map((season) => ({ season, error: errorOf(season) }));
  return candidates.reduce((best, each) => (each.error < best.error ? each : best)).season;
}
