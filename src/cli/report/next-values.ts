/** What a model foretells of a series: the values after its last row, with their times, as CSV or as a JSON object each. */
import { filled, formatTime, type Series, sliceSeries, timeAt } from "../../data/index.ts";
import { DataError, type Model } from "../../index.ts";
import type { ForecastPlan } from "../model/forecast-plan.ts";
import { plural } from "../terminal/text.ts";

/** A time after the last one of a series, and what is foretold for it. */
export interface NextValue {
  /** The time; where times are not known, how many rows after the last one. */
  readonly time: string | number;
  /** One value for each target. */
  readonly values: readonly number[];
}

/** Foretells the values after the last row of a series. */
export async function nextValues(
  model: Model,
  { length, horizon, targets, missing }: ForecastPlan,
  series: Series,
  source: string,
): Promise<NextValue[]> {
  const { count, grid } = series;
  if (count < length)
    throw new DataError(
      `${source} has ${plural(count, "row")}, but the model looks at the last ${length}. Give at least as many.`,
      { file: source },
    );
  const before = missing === "previous" ? { ...series, values: filled(series) } : series;
  const x = sliceSeries(before, count - length).values;
  const gap = x.findIndex(Number.isNaN);
  if (gap >= 0)
    throw new DataError(
      `${source}: of the last ${length} times, which the model looks at, one has no value of "${series.variables[gap % series.variables.length]}". Fill it in, or train with --missing previous.`,
      { file: source },
      { code: "missing-value" },
    );
  const said = await model.predict(x.slice());
  const hasHours = grid !== undefined && (grid.step.size % 1 !== 0 || grid.start % 1 !== 0);
  return Array.from({ length: horizon }, (_, h) => ({
    time: grid ? formatTime(timeAt(grid, count + h), grid.step.unit, grid.written ?? " ", hasHours) : h + 1,
    values: [...said.subarray(h * targets.length, (h + 1) * targets.length)],
  }));
}
