/**
 * Time series: values of one or several variables at equal distances in time, in their order. Here: reading them from a
 * table, cutting them into parts, what the calendar says of their times. Examples for a network are made in forecast.ts.
 */
import { check, checkOptionNames, didYouMean } from "../checks.ts";
import { ArgumentError } from "../errors.ts";
import { type Message, message, option } from "../wording.ts";
import { type Cell, DATE_PARTS, type DatePart, datePhase, parseBoolean } from "./cells.ts";
import { CSV_OPTIONS, type CsvOptions, type CsvSource } from "./csv.ts";
import { dataError, list, show } from "./fail.ts";
import { eachRow, type PlainRow, place } from "./table-rows.ts";
import { gridOf, readTimes, type TimeGrid, timeAt } from "./times.ts";

/** Values of one or several variables at equally distant times. */
export interface Series {
  /** `count` times of `variables.length` numbers, flat; NaN where a value is missing. */
  readonly values: Float32Array;
  readonly count: number;
  readonly variables: readonly string[];
  /** When the first values were, and how far apart they are; without it they are only known to follow each other. */
  readonly grid?: TimeGrid;
  /** What was taken for granted in reading it, to be said to people. */
  readonly notes?: readonly Message[];
}

/** Options of `readSeries`. */
export interface SeriesOptions extends CsvOptions {
  /** The column of the times: dates, or numbers. Without it rows are taken to be equally far apart, as they stand. */
  readonly time?: string;
  /** The columns to read; all but the time unless said. */
  readonly variables?: readonly string[];
  /** Columns to leave out. */
  readonly ignore?: readonly string[];
  /** False where the table has no line of names: its columns are then called 1, 2, 3, …. Default true. */
  readonly header?: boolean;
}

export const SERIES_OPTIONS = [...CSV_OPTIONS, "time", "variables", "ignore", "header"];

/** Of all places in time of a series, so many at most may have no row. */
const MOST_MISSING = 0.5;

/**
 * Reads a series from a table, of text or of plain objects: a row for each time, a column of numbers (or yes and no) for
 * each variable. Rows that are not in the order of their times are sorted; times without a row get missing values; `notes`
 * says both.
 *
 * Throws `DataError` that names row and column for a time that comes twice, times at unequal distances, and anything that
 * is no number.
 *
 * @example
 * import { readSeries } from "chainrule/data";
 * const series = await readSeries("day,sold\n2024-01-01,3\n2024-01-02,5\n2024-01-04,4\n", { time: "day" });
 * console.log(series.values); // Float32Array(4) [ 3, 5, NaN, 4 ]
 */
export async function readSeries(
  source: CsvSource | readonly PlainRow[],
  options: SeriesOptions = {},
): Promise<Series> {
  checkOptionNames("readSeries", options, SERIES_OPTIONS);
  const { time, file } = options;
  const at = file === undefined ? {} : { file };
  const notes: Message[] = [];
  let columns: { readonly name: string; readonly index: number }[] = [];
  const rows: { readonly row: number; readonly time: Cell; readonly values: number[] }[] = [];
  await eachRow(source, options, notes, (row, cell, header) => {
    if (rows.length === 0) columns = chooseVariables(header, options);
    const timeCell = time === undefined ? undefined : cell(place(header, time, at));
    const values = columns.map(({ name, index }) => numberOf(cell(index), { ...at, row, column: name }));
    rows.push({ row, time: timeCell, values });
  });
  if (rows.length < 2) throw dataError(`a series has at least two rows; ${rows.length} came.`, at);
  const variables = columns.map(({ name }) => name);
  const flat = (count: number, rowOf: (i: number) => readonly number[] | undefined): Float32Array => {
    const values = new Float32Array(count * variables.length).fill(Number.NaN);
    for (let i = 0; i < count; i++) values.set(rowOf(i) ?? [], i * variables.length);
    return values;
  };
  if (time === undefined)
    return { values: flat(rows.length, (i) => rows[i].values), count: rows.length, variables, notes };

  const placeOf = (i: number) => ({ ...at, row: rows[i].row });
  const read = readTimes(
    rows.map((row) => row.time),
    time,
    placeOf,
  );
  const order = Array.from(rows.keys());
  if (read.times.some((t, i) => i > 0 && t < read.times[i - 1])) {
    order.sort((a, b) => read.times[a] - read.times[b] || a - b);
    notes.push(`the rows were not in the order of ${show(time)}, and have been sorted by it`);
  }
  const times = Float64Array.from(order, (i) => read.times[i]);
  const twice = times.findIndex((t, i) => i > 0 && t === times[i - 1]);
  if (twice > 0)
    throw dataError(
      message`the time is the same as in row ${rows[order[twice - 1]].row}; a series has one row for each time. Where the file holds several series, such as one for each place, take one of them; where a clock was set back, give times with their zone, such as 2024-10-27T02:30:00+01:00.`,
      { ...placeOf(order[twice]), column: time },
      { facts: { twice: rows[order[twice - 1]].row } },
    );
  const { step, places } = gridOf(times, read.areDates, (i) => ({ ...placeOf(order[i]), column: time }));
  const count = places[places.length - 1] + 1;
  const absent = count - rows.length;
  if (absent > MOST_MISSING * count)
    throw dataError(
      `${absent} of ${count} times from the first to the last have no row; such a series has too little to learn from. Give a longer distance between times, such as a mean for each day.`,
      at,
      { code: "missing-value" },
    );
  if (absent > 0) notes.push(absentNote(absent, count));
  const rowAt = new Map(order.map((i, k) => [places[k], rows[i].values]));
  return {
    values: flat(count, (i) => rowAt.get(i)),
    count,
    variables,
    grid: { start: times[0], step, written: read.written },
    notes,
  };
}

const absentNote = (absent: number, count: number): Message =>
  `${absent} of ${count} times from the first to the last have no row; their values count as missing`;

function chooseVariables(header: readonly string[], options: SeriesOptions) {
  const { time, ignore = [], variables, file } = options;
  const at = file === undefined ? {} : { file };
  for (const name of ignore) place(header, name, at);
  const chosen = variables ?? header.filter((name) => name !== time && !ignore.includes(name));
  if (chosen.length === 0) throw dataError("there is no column but the time; a series has values at its times.", at);
  return chosen.map((name) => ({ name, index: place(header, name, at) }));
}

/** The number of a cell, 1 and 0 for yes and no; NaN where it is missing. */
function numberOf(cell: Cell, at: { readonly file?: string; readonly row: number; readonly column: string }): number {
  if (cell === undefined) return Number.NaN;
  const number = typeof cell === "number" ? cell : parseBoolean(cell);
  if (number === undefined)
    throw dataError(
      message`the value is ${show(cell)}, but a series holds numbers; correct it, or leave the column out (${option("ignore")}).`,
      at,
    );
  if (!Number.isFinite(Math.fround(number)))
    throw dataError(
      `the value is ${number}, too large for a 32-bit float (at most 3.4e38); correct it, or use another unit.`,
      at,
    );
  return number;
}

/** Where a variable stands among those of a series. Throws `ArgumentError` where it is not there. */
export function variableOf({ variables }: Pick<Series, "variables">, name: string): number {
  const index = variables.indexOf(name);
  if (index < 0)
    throw new ArgumentError(
      `There is no variable ${show(name)} in the series; it has ${list(variables)}.${didYouMean(name, variables)}`,
      { code: "unknown-name", facts: { what: "variable", came: name, known: [...variables] } },
    );
  return index;
}

/** The rows of a series from one on, up to another that is not among them. */
export function sliceSeries(series: Series, from: number, to: number = series.count): Series {
  const { values, variables, grid, count } = series;
  check(from >= 0 && from < to && to <= count, `sliceSeries: rows from 0 to ${count}, at least one`, [from, to]);
  return {
    ...series,
    values: values.subarray(from * variables.length, to * variables.length),
    count: to - from,
    ...(grid && { grid: { ...grid, start: timeAt(grid, from) } }),
  };
}

/**
 * Cuts a series into parts of the given fractions, in their order in time, such as `[0.8, 0.2]`: what is learnt from lies
 * before what is tested on. Fractions that sum to less than 1 leave the first rows out.
 *
 * Throws `ArgumentError` for fractions that make no sense or leave a part empty.
 *
 * @example
 * import { demand, splitSeries } from "chainrule/data";
 * const [train, test] = splitSeries(demand(), [0.8, 0.2]);
 * console.log(train.count, test.count); // 1612 404
 */
export function splitSeries(series: Series, fractions: readonly number[]): Series[] {
  const sum = fractions.reduce((total, fraction) => total + fraction, 0);
  check(
    sum > 0 && sum <= 1 + 1e-9 && fractions.every((fraction) => fraction > 0),
    "splitSeries: fractions above 0 that sum to at most 1, such as [0.8, 0.2]",
    fractions,
  );
  const begins = fractions.map((_, i) => {
    const rest = fractions.slice(i).reduce((total, fraction) => total + fraction, 0);
    return Math.max(0, series.count - Math.round(rest * series.count));
  });
  return begins.map((from, i) => sliceSeries(series, from, begins[i + 1] ?? series.count));
}

/** How many days each part of the calendar takes to come again. */
const PERIODS: Readonly<Record<DatePart, number>> = { hour: 1, weekday: 7, yearday: 365.2425 };

/** The length of a step of a grid in days; undefined where times are plain numbers. */
const daysOf = ({ step: { unit, size } }: TimeGrid): number | undefined =>
  unit === "number" ? undefined : unit === "day" ? size : (size * PERIODS.yearday) / 12;

/** The parts of the calendar that vary in a series and come again at least twice, so that something can be learnt from them. */
export function calendarOf({ grid, count }: Series): DatePart[] {
  const days = grid && daysOf(grid);
  if (days === undefined) return [];
  return DATE_PARTS.filter((part) => {
    const inPeriod = PERIODS[part] / days;
    return inPeriod > 1.9 && count >= 2 * inPeriod;
  });
}

/** How many steps of a series a day, a week and a year have, where these are whole numbers above 1 and come at least twice. */
export function calendarSeasons({ grid, count }: Series): number[] {
  const days = grid && daysOf(grid);
  if (days === undefined) return [];
  return DATE_PARTS.map((part) => PERIODS[part] / days)
    .filter((season) => Math.abs(season - Math.round(season)) < 0.01 * season)
    .map(Math.round)
    .filter((season) => season > 1 && count >= 2 * season);
}

/**
 * A series with variables from the calendar beside its own: a sine and a cosine of how far each time is through its day, its
 * week and its year. They come last.
 *
 * @param parts those that vary and come again at least twice, unless said
 * @throws ArgumentError where the series has no dates
 */
export function withCalendar(series: Series, parts: readonly DatePart[] = calendarOf(series)): Series {
  if (parts.length === 0) return series;
  const { grid, count, values, variables } = series;
  check(grid !== undefined && grid.step.unit !== "number", "withCalendar: a series with dates", grid);
  const [before, width] = [variables.length, variables.length + 2 * parts.length];
  const all = new Float32Array(count * width);
  for (let i = 0; i < count; i++) {
    const time = timeAt(grid, i);
    all.set(values.subarray(i * before, (i + 1) * before), i * width);
    parts.forEach((part, k) => {
      const angle = 2 * Math.PI * datePhase(time, part);
      all.set([Math.sin(angle), Math.cos(angle)], i * width + before + 2 * k);
    });
  }
  const names = parts.flatMap((part) => [`${part} (sin)`, `${part} (cos)`]);
  return { ...series, values: all, variables: [...variables, ...names] };
}
