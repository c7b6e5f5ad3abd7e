/** Series: what is read of their times, where windows lie, what nothing but the training part is known of, naive forecasts. */
import { DataError, lastSeason, recommend, sequential } from "chainrule";
import {
  calendarOf,
  demand,
  forecastWindows,
  formatTime,
  meanChange,
  naiveForecast,
  readSeries,
  type SeriesOptions,
  seasonOf,
  sliceSeries,
  splitSeries,
  stepText,
  timeAt,
  withCalendar,
} from "chainrule/data";
import { describe, expect, test } from "vitest";

const csv = (header: string, rows: readonly string[]) => `${header}\n${rows.join("\n")}\n`;
/** v counts up from 1. */
const dated = (times: readonly string[]) =>
  csv(
    "at,v",
    times.map((time, i) => `${time},${i + 1}`),
  );
const read = (times: readonly string[]) => readSeries(dated(times), { time: "at" });
const notesOf = (notes: readonly unknown[] | undefined) => (notes ?? []).join("\n");

describe("times", () => {
  test.each<[string, string[], string, string]>([
    ["hours", ["2024-01-01T22:00", "2024-01-01T23:00", "2024-01-02T00:00"], "1 hour", "2024-01-02T01:00"],
    ["quarter hours with a zone", ["2024-03-01 00:00Z", "2024-03-01 00:15Z"], "15 minutes", "2024-03-01 00:30Z"],
    ["days", ["2024-02-27", "2024-02-28"], "1 day", "2024-02-29"],
    ["weeks", ["2024-12-18", "2024-12-25"], "1 week", "2025-01-01"],
    ["months", ["2024-01-15", "2024-02-15", "2024-03-15"], "1 month", "2024-04-15"],
    ["ends of months", ["2023-11-30", "2023-12-31", "2024-01-31"], "1 month", "2024-02-29"],
    ["quarters", ["2023-07-01", "2023-10-01", "2024-01-01"], "3 months", "2024-04-01"],
    ["years", ["2022-01-01", "2023-01-01", "2024-01-01"], "1 year", "2025-01-01"],
    ["points", ["30.12.2023", "31.12.2023"], "1 day", "2024-01-01"],
    ["numbers", ["10", "12.5", "15"], "2.5", "17.5"],
  ])("%s", async (_, times, step, next) => {
    const { grid, count, values } = await read(times);
    expect(stepText(grid!.step)).toBe(step);
    expect(formatTime(timeAt(grid!, count), grid!.step.unit, grid!.written!, next.length > 10)).toBe(next);
    expect([...values]).toEqual(times.map((_, i) => i + 1));
  });

  test("out of order: sorted, and said", async () => {
    const { values, notes } = await read(["2024-01-03", "2024-01-02", "2024-01-01"]);
    expect([...values]).toEqual([3, 2, 1]);
    expect(notesOf(notes)).toMatch(/not in the order of "at", and have been sorted/);
  });

  test("rows that are absent: missing values, and said", async () => {
    const { values, count, notes } = await read(["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-06"]);
    expect(count).toBe(6);
    expect([...values]).toEqual([1, 2, 3, Number.NaN, Number.NaN, 4]);
    expect(notesOf(notes)).toMatch(/2 of 6 times from the first to the last have no row/);
  });

  test.each<[string, string[], RegExp, number]>([
    [
      "the same time twice",
      ["2024-01-01", "2024-01-02", "2024-01-02"],
      /row 4, column "at": the time is the same as in row 3/,
      4,
    ],
    [
      "unequal distances",
      ["2024-01-01T00:00", "2024-01-01T01:00", "2024-01-01T02:00", "2024-01-01T03:30"],
      /row 5, column "at": the time is 1.5 hours after the one before it, 2024-01-01 02:00, but most are 1 hour apart/,
      5,
    ],
    ["a time that is none", ["2024-01-01", "soon"], /the time is "soon"; a date such as/, 3],
    ["a number among dates", ["2024-01-01", "7"], /the time is 7; a date such as/, 3],
    ["a day that does not exist", ["2024-02-28", "2024-02-30"], /the time is "2024-02-30"/, 3],
    ["no time", ["2024-01-01", ""], /the time is missing/, 3],
  ])("%s", async (_, times, message, row) => {
    const error = await read(times).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(DataError);
    expect((error as Error).message).toMatch(message);
    expect((error as DataError).at.row).toBe(row);
  });

  test("mostly absent rows are refused", async () => {
    await expect(read(["2024-01-01", "2024-01-02", "2024-01-03", "2024-02-29"])).rejects.toThrow(
      /56 of 60 times .* have no row/,
    );
  });

  test.each<[string, string, SeriesOptions, RegExp]>([
    [
      "words",
      "at,v\n2024-01-01,few\n2024-01-02,3\n",
      { time: "at" },
      /row 2, column "v": the value is "few", but a series/,
    ],
    ["no such time", "at,v\n1,2\n2,3\n", { time: "when" }, /there is no column "when"; the columns are "at", "v"/],
    ["nothing but times", "at\n1\n2\n", { time: "at" }, /no column but the time/],
    ["one row", "v\n1\n", {}, /at least two rows; 1 came/],
    ["too large", "v\n1e39\n2\n", {}, /too large for a 32-bit float/],
    ["no such option", "v\n1\n2\n", { times: "v" } as SeriesOptions, /Did you mean "time"/],
  ])("refused: %s", async (_, text, options, message) => {
    await expect(readSeries(text, options)).rejects.toThrow(message);
  });
});

describe("windows", () => {
  const counting = (count: number) =>
    readSeries(
      csv(
        "a,b",
        Array.from({ length: count }, (_, i) => `${i},${100 + i}`),
      ),
    );

  test("x and y follow each other; stride and targets", async () => {
    const { x, y, count, inputShape, begins } = forecastWindows(await counting(7), {
      length: 2,
      horizon: 2,
      targets: ["b"],
      stride: 2,
    });
    expect([count, inputShape, [...begins]]).toEqual([2, [2, 2], [0, 2]]);
    expect([...x]).toEqual([0, 100, 1, 101, 2, 102, 3, 103]);
    expect([...y]).toEqual([102, 103, 104, 105]);
    const both = forecastWindows(await counting(4), { length: 2, horizon: 2 });
    expect([...both.y]).toEqual([2, 102, 3, 103]);
  });

  test("parts: each value is in one of them, and no window lies across a cut", async () => {
    const series = await counting(50);
    const parts = splitSeries(series, [0.6, 0.2, 0.2]);
    expect(parts.map(({ count }) => count)).toEqual([30, 10, 10]);
    expect(parts.flatMap(({ values }) => [...values])).toEqual([...series.values]);
    let [from, seen] = [0, 0];
    for (const part of parts) {
      const windows = forecastWindows(part, { length: 3, horizon: 2, targets: ["a"] });
      const all = [...windows.x.filter((_, i) => i % 2 === 0), ...windows.y];
      expect(Math.min(...all)).toBe(from);
      expect(Math.max(...all)).toBe(from + part.count - 1);
      seen += windows.count;
      from += part.count;
    }
    expect(seen).toBe(26 + 6 + 6);
  });

  test("what is learnt from knows nothing of what is tested on: its scale does not move with the end of the series", async () => {
    const series = await counting(40);
    const other = { ...series, values: series.values.map((v, i) => (i >= 2 * 32 ? 1e6 + v : v)) };
    const adviceOf = (of: typeof series) => {
      const [train] = splitSeries(of, [0.8, 0.2]);
      const windows = forecastWindows(train, { length: 4, horizon: 2, targets: ["a"] });
      const { enter, leave } = recommend(windows);
      return JSON.stringify([enter, leave, seasonOf(train, 0, 2), meanChange(train, 0, 1)]);
    };
    expect(adviceOf(other)).toBe(adviceOf(series));
    // The scale of a variable is one for all places of a window: of 0 … 29, weighted by the windows that see them.
    const { enter } = recommend(
      forecastWindows(splitSeries(series, [0.8, 0.2])[0], { length: 4, horizon: 2, targets: ["a"] }),
    );
    const { mean } = enter[0].config as { mean: number[] };
    expect(mean.map((m) => Math.round(m * 1e4) / 1e4)).toEqual([14.5, 114.5]);
  });

  test("missing values", async () => {
    const series = await readSeries("a,b\n1,1\n2,\n3,3\n4,4\n5,5\n6,\n7,7\n");
    const windows = (missing?: "previous" | "drop") =>
      forecastWindows(series, { length: 2, horizon: 1, targets: ["a"], ...(missing && { missing }) });
    expect(() => windows()).toThrow(/2 values of the series are missing, the first of them "b" at time 2/);
    expect([...windows("drop").begins]).toEqual([2, 3]);
    const { x, begins } = windows("previous");
    expect([...begins]).toEqual([0, 1, 2, 3, 4]);
    expect([...x.subarray(0, 4)]).toEqual([1, 1, 2, 1]); // b stays as it was
    const ofB = forecastWindows(series, { length: 2, horizon: 1, targets: ["b"], missing: "previous" });
    expect([...ofB.begins]).toEqual([0, 1, 2, 4]); // none whose b to foretell is missing
  });

  test("refused: windows that do not fit, and names that are not there", async () => {
    const series = await counting(5);
    expect(() => forecastWindows(series, { length: 4, horizon: 2 })).toThrow(
      /a window of 4 times and the 2 after it do not fit into 5/,
    );
    expect(() => forecastWindows(series, { length: 2, horizon: 1, targets: ["c"] })).toThrow(/no variable "c"/);
    expect(() => forecastWindows(series, { length: 0, horizon: 1 })).toThrow(/length must be a whole number ≥ 1/);
    expect(() => splitSeries(series, [0.8, 0.4])).toThrow(/sum to at most 1/);
    expect(() => sliceSeries(series, 3, 3)).toThrow(/at least one/);
  });
});

describe("without a network", () => {
  test("naive forecasts repeat the last value, or what was one season before", async () => {
    const series = await readSeries(csv("v", ["1", "2", "3", "4", "5", "6", "7", "8"]));
    const windows = { begins: [0, 1], length: 3, horizon: 4 };
    expect([...naiveForecast(series, windows, [0])]).toEqual([3, 3, 3, 3, 4, 4, 4, 4]);
    expect([...naiveForecast(series, windows, [0], 2)]).toEqual([2, 3, 2, 3, 3, 4, 3, 4]);
    // Before the series begins nothing is known.
    expect([...naiveForecast(series, windows, [0], 4)]).toEqual([Number.NaN, 1, 2, 3, 1, 2, 3, 4]);
  });

  test("the same as a layer", async () => {
    const series = demand({ count: 60 });
    const windows = forecastWindows(series, { length: 10, horizon: 7, targets: ["temperature", "load"], stride: 5 });
    expect(windows.columns).toEqual([1, 0]);
    for (const season of [1, 3, 7, 10]) {
      const layer = lastSeason(7, { season, features: windows.columns });
      const said = await sequential({ input: windows.inputShape }, [layer]).predict(windows.x);
      expect([...said]).toEqual([
        ...naiveForecast(series, { begins: windows.begins, length: 10, horizon: 7 }, windows.columns, season),
      ]);
    }
    expect(() => sequential({ input: [5, 2] }, [lastSeason(3, { season: 6 })])).toThrow(/at least 6 places/);
    expect(() => lastSeason(3, { features: [-1] })).toThrow(/features must be whole numbers/);
  });

  test("recommend finds the season by the windows, and begins where the naive forecast is", async () => {
    const rows = Array.from({ length: 120 }, (_, i) => `${[5, 9, 2, 7][i % 4] + i / 10}`);
    const windows = forecastWindows(await readSeries(csv("v", rows)), { length: 10, horizon: 6 });
    const [residual] = recommend(windows).hidden;
    const { layers } = residual.config as { layers: { kind: string; config: object }[] };
    expect(layers.find(({ kind }) => kind === "lastSeason")!.config).toMatchObject({
      horizon: 6,
      season: 4,
      features: [0],
    });
    // A trend of 0.1 a step: one season before is 0.4 less, two 0.8; over a horizon of 6 that is √((4 · 0.4² + 2 · 0.8²) / 6).
    const { y } = windows;
    const mean = y.reduce((sum, v) => sum + v, 0) / y.length;
    const deviation = Math.sqrt(y.reduce((sum, v) => sum + (v - mean) ** 2, 0) / y.length);
    const scale = layers.find(({ kind }) => kind === "rescale")!.config as { scale: number };
    expect(scale.scale).toBeCloseTo(Math.sqrt((4 * 0.16 + 2 * 0.64) / 6) / deviation, 3);
  });

  test("the season is found by the calendar, of a day for hours", () => {
    const series = demand();
    expect(seasonOf(series, 0, 24)).toBe(24);
    expect(calendarOf(series)).toEqual(["hour", "weekday"]);
    const { variables, values } = withCalendar(sliceSeries(series, 6, 7), ["hour"]);
    expect(variables).toEqual(["load", "temperature", "hour (sin)", "hour (cos)"]);
    expect(values[2]).toBeCloseTo(1, 6); // six o'clock: a quarter of the day
    expect(values[3]).toBeCloseTo(0, 6);
  });

  test("a walk has none", async () => {
    const rows = Array.from({ length: 400 }, (_, i) => `${new Date(864e5 * i).toISOString().slice(0, 10)},${i ** 1.5}`);
    const series = await readSeries(csv("day,v", rows), { time: "day" });
    expect(seasonOf(series, 0, 3)).toBe(1);
    expect(meanChange(series, 0, 1)).toBeCloseTo(399 ** 1.5 / 399, 3); // it only grows
  });
});
