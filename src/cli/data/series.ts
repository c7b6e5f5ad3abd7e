/**
 * Files as series to forecast: for training, with what is chosen from the part that is learnt from; or as a trained model
 * reads them. Parts follow each other in time: the last one is for the test, the one before it for validation, and no window
 * lies across two.
 */
import { didYouMean } from "../../checks.ts";
import {
  calendarOf,
  type Dataset,
  demand,
  forecastWindows,
  meanChange,
  type Series,
  type SeriesMissing,
  seasonOf,
  sliceSeries,
  stepText,
  variableOf,
  withCalendar,
} from "../../data/index.ts";
import { readSeriesFile } from "../../data/node.ts";
import { DataError } from "../../index.ts";
import type { ForecastPlan } from "../model/forecast-plan.ts";
import { UsageError } from "../terminal/exit.ts";
import { name, plural } from "../terminal/text.ts";

/** Windows over a part of a series, with the series that they are of. */
export interface ForecastData extends Dataset {
  readonly y: Float32Array;
  readonly series: Series;
  readonly plan: ForecastPlan;
  /** The row of the series at which each window begins. */
  readonly begins: Int32Array;
}

/** Whether a data set is windows over a series. */
export const isForecast = (data: object): data is ForecastData => "plan" in data && "begins" in data;

/** What the command line says of a series. */
export interface SeriesReading {
  readonly target?: string;
  readonly time?: string;
  readonly horizon?: number;
  readonly window?: number;
  readonly season?: number;
  readonly missing?: string;
  readonly ignore?: readonly string[];
  readonly decimal?: "point" | "comma";
  readonly encoding?: string;
  readonly header?: boolean;
}

/** The made series that needs no file. */
export const isMadeSeries = (source: string): boolean => source === "demand";

interface Written {
  readonly decimal?: "point" | "comma";
  readonly encoding?: string;
}

async function readWhole(
  source: string,
  columns: { readonly time?: string; readonly variables?: readonly string[]; readonly ignore?: readonly string[] },
  written: Written & { readonly header?: boolean },
): Promise<Series> {
  return isMadeSeries(source) ? demand() : readSeriesFile(source, { ...columns, ...written });
}

/** The shares of a series that are kept for the test and for validation. */
export interface Shares {
  readonly test: number;
  readonly validation: number;
}

/** The rows at which validation and test begin: each has room for a window at least. */
export function cutsOf(count: number, { length, horizon }: Pick<ForecastPlan, "length" | "horizon">, shares: Shares) {
  const rows = (share: number) => (share === 0 ? 0 : Math.max(Math.round(share * count), length + horizon));
  const test = count - rows(shares.test);
  return { validation: test - rows(shares.validation), test };
}

/** Windows over the rows of a series from one on, up to another. */
export function forecastPart(series: Series, plan: ForecastPlan, from = 0, to = series.count): ForecastData {
  const { length, horizon, targets, missing } = plan;
  const part = forecastWindows(sliceSeries(series, from, to), { length, horizon, targets, missing });
  return { ...part, begins: part.begins.map((begin) => begin + from), series, plan };
}

/** The parts of windows over a whole series. */
export function forecastParts({ series, plan }: ForecastData, shares: Shares) {
  const { validation, test } = cutsOf(series.count, plan, shares);
  if (validation < plan.length + plan.horizon)
    throw new DataError(
      `The series has ${plural(series.count, "row")}, too few for windows of ${plan.length} and the ${plan.horizon} after them in each part. Give a longer series, a shorter --window or --horizon, or --test 0.`,
    );
  return {
    train: forecastPart(series, plan, 0, validation),
    ...(validation < test && { validation: forecastPart(series, plan, validation, test) }),
    ...(test < series.count && { test: forecastPart(series, plan, test) }),
  };
}

/** Reads a series for training, and chooses what the command line leaves open by the part that is learnt from. */
export async function readTrainingSeries(
  source: string,
  asked: SeriesReading & { readonly horizon: number },
  shares: Shares,
): Promise<ForecastData> {
  const { time, ignore, horizon, header, decimal, encoding } = asked;
  const missing = missingOf(asked.missing);
  const isHeadless = header === false;
  const columns = { ...(time !== undefined && { time }), ...(ignore && { ignore }) };
  const written = { ...(decimal && { decimal }), ...(encoding && { encoding }), ...(isHeadless && { header: false }) };
  const own = await readWhole(source, columns, written);
  const targets = targetsOf(own, asked.target, source);
  const learnt = own.count - Math.round((shares.test + shares.validation) * own.count);
  if (learnt < 4)
    throw new DataError(`${source} has ${plural(own.count, "row")}; a forecast needs at least some dozens.`, {
      file: source,
    });
  const part = sliceSeries(own, 0, learnt);
  const indices = targets.map((target) => variableOf(own, target));
  const seasons = indices.map((column) => asked.season ?? seasonOf(part, column, horizon));
  const length = asked.window ?? usualWindow(horizon, Math.max(...seasons), learnt);
  const calendar = calendarOf(part);
  const plan: ForecastPlan = {
    ...(time !== undefined && { time }),
    ...{ variables: own.variables, targets, length, horizon, missing, calendar, seasons },
    scales: indices.map((column, k) => meanChange(part, column, seasons[k])),
    ...(own.grid && { step: own.grid.step }),
    ...(isHeadless && { header: false as const }),
  };
  return forecastPart(withCalendar(own, calendar), plan);
}

/** How far a network looks back unless it is said: as far as it looks ahead, and over two seasons where that is not too far. */
function usualWindow(horizon: number, season: number, rows: number): number {
  const wanted = Math.max(horizon, 8, 2 * season <= 96 ? 2 * season : 28);
  return Math.max(1, Math.min(wanted, Math.floor(rows / 3)));
}

function missingOf(asked: string | undefined): SeriesMissing {
  if (asked === undefined || asked === "error" || asked === "previous" || asked === "drop") return asked ?? "error";
  throw new UsageError(
    `--missing ${asked} is for tables whose rows stand for themselves. Forecasts take previous (the last known value goes in, and windows whose target is missing are left out) or drop (windows that touch a missing value are left out).`,
  );
}

/** One variable, or several with commas between them. */
function targetsOf({ variables }: Series, asked: string | undefined, source: string): string[] {
  const made = isMadeSeries(source) ? variables[0] : undefined;
  const target = asked ?? made ?? (variables.length === 1 ? variables[0] : undefined);
  const known = variables.map((title) => name(title)).join(", ");
  if (target === undefined)
    throw new UsageError(
      `No target was given. Name the column to foretell, such as --target load. There are ${known}.`,
    );
  const targets = variables.includes(target) ? [target] : target.split(",").map((item) => item.trim());
  const stray = targets.find((title) => !variables.includes(title));
  if (stray !== undefined)
    throw new UsageError(
      `--target: there is no column "${name(stray)}" of numbers. There are ${known}.${didYouMean(stray, variables)}`,
    );
  return targets;
}

/** Reads a series as a trained model takes it. */
export async function readSeriesFor(source: string, plan: ForecastPlan, written: Written): Promise<Series> {
  const { time, variables, calendar, step, header } = plan;
  const columns = { ...(time !== undefined && { time }), variables };
  const own = await readWhole(source, columns, { ...written, ...(header === false && { header }) });
  const came = own.grid?.step;
  if (step && came && (step.unit !== came.unit || Math.abs(step.size / came.size - 1) > 0.01))
    throw new DataError(
      `${source}: its times are ${stepText(came)} apart, but the model was trained on ${stepText(step)}. Bring them to the same distance.`,
      { file: source },
    );
  return withCalendar(own, calendar);
}
