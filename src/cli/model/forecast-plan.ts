/**
 * What the command keeps of a model that forecasts a series: which columns it reads, how far it looks back and ahead, and what
 * its errors are measured by. Here too: checking it, as it comes from a file.
 */
import type { DatePart, SeriesMissing, TimeStep } from "../../data/index.ts";
import { DataError } from "../../index.ts";

export interface ForecastPlan {
  /** The column of the times. */
  readonly time?: string;
  /** The columns that are read, and those of them that are foretold. */
  readonly variables: readonly string[];
  readonly targets: readonly string[];
  /** How many times the network sees, and how many it foretells. */
  readonly length: number;
  readonly horizon: number;
  readonly missing: SeriesMissing;
  /** What the network is told of the calendar. */
  readonly calendar: readonly DatePart[];
  /** How far the times are apart. */
  readonly step?: TimeStep;
  /** For each target after how many steps it comes again; 1 where it does not. */
  readonly seasons: readonly number[];
  /** For each target the mean change over that many steps in the training part, which scaled errors (MASE) are measured by. */
  readonly scales: readonly number[];
  /** False where the table has no line of names. */
  readonly header?: false;
}

const isText = (x: unknown): x is string => typeof x === "string";
const isCount = (x: unknown): x is number => Number.isSafeInteger(x) && (x as number) > 0;
const isListOf =
  <T>(is: (x: unknown) => x is T) =>
  (x: unknown): x is T[] =>
    Array.isArray(x) && x.every(is);

const isStep = (x: unknown): x is TimeStep => {
  const { unit, size } = (x ?? {}) as Partial<TimeStep>;
  return (unit === "day" || unit === "month" || unit === "number") && typeof size === "number" && size > 0;
};

/** Checks what a model file says of its series. Throws `DataError`. */
export function parseForecastPlan(value: unknown, file: string): ForecastPlan {
  const plan = (value ?? {}) as Record<keyof ForecastPlan, unknown>;
  const { time, variables, targets, length, horizon, missing, calendar, step, seasons, scales, header } = plan;
  const isPart = (x: unknown): x is DatePart => x === "hour" || x === "weekday" || x === "yearday";
  const isScale = (x: unknown): x is number => typeof x === "number" || x === null;
  if (
    (time === undefined || isText(time)) &&
    isListOf(isText)(variables) &&
    isListOf(isText)(targets) &&
    targets.length > 0 &&
    targets.every((name) => variables.includes(name)) &&
    isCount(length) &&
    isCount(horizon) &&
    (missing === "error" || missing === "previous" || missing === "drop") &&
    isListOf(isPart)(calendar) &&
    (step === undefined || isStep(step)) &&
    isListOf(isCount)(seasons) &&
    isListOf(isScale)(scales) &&
    seasons.length === targets.length &&
    scales.length === targets.length
  )
    return {
      ...(time !== undefined && { time }),
      ...{ variables, targets, length, horizon, missing, calendar, seasons },
      // JSON has no NaN.
      scales: scales.map((scale) => scale ?? Number.NaN),
      ...(step !== undefined && { step }),
      ...(header === false && { header }),
    };
  throw new DataError(`${file}: what it says of its series is not whole; the file is damaged. Train the model again.`, {
    file,
  });
}
