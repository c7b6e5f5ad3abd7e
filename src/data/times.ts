/**
 * The times of a series: whether they come at equal distances, in days, months or plain numbers, where rows are missing
 * between them, and which times follow. Days count from 1970-01-01 (UTC); a month is one, however many days it has.
 */
import type { DataLocation } from "../errors.ts";
import { type Message, message, option } from "../wording.ts";
import { type Cell, parseDate } from "./cells.ts";
import { dataError, show } from "./fail.ts";

/** How far the times of a series are apart. */
export interface TimeStep {
  readonly unit: "day" | "month" | "number";
  readonly size: number;
}

/** Times at equal distances: where they begin, how far apart they are, and how they were written. */
export interface TimeGrid {
  readonly start: number;
  readonly step: TimeStep;
  /** Between day and hour, where there are hours: `"T"`, or a space; with `"Z"` at the end where it was written. */
  readonly written?: string;
}

/** The time of each row as a number, days for dates. Throws `DataError` for cells that are neither or of both kinds. */
export function readTimes(
  cells: readonly Cell[],
  column: string,
  at: (i: number) => DataLocation,
): { times: Float64Array; areDates: boolean; written: string } {
  const areDates = typeof cells.find((cell) => cell !== undefined) === "string";
  const times = Float64Array.from(cells, (cell, i) => {
    const time = areDates ? parseDate(cell) : typeof cell === "number" ? cell : undefined;
    if (time !== undefined && Number.isFinite(time)) return time;
    const wanted = areDates ? "a date such as 2024-01-31 or 2024-01-31T12:00:00Z" : "a number, as in the first row,";
    throw dataError(
      cell === undefined
        ? `the time is missing; ${wanted} was wanted in every row. Fill it in, or remove the row.`
        : message`the time is ${show(cell)}; ${wanted} was wanted. Correct it, or name another column with ${option("time")}.`,
      { ...at(i), column },
      { code: cell === undefined ? "missing-value" : "bad-data" },
    );
  });
  const text = String(cells.find((cell) => cell !== undefined));
  return { times, areDates, written: `${text.includes("T") ? "T" : " "}${/Z$/.test(text) ? "Z" : ""}` };
}

/** The day of the month and the time of day, in days; the last day of a month is the 32nd. */
function placeInMonth(time: number): number {
  const day = Math.floor(time);
  const [today, tomorrow] = [new Date(day * DAY), new Date((day + 1) * DAY)];
  return (tomorrow.getUTCDate() === 1 ? 32 : today.getUTCDate()) + (time - day);
}

const DAY = 86_400_000;

const monthOf = (time: number): number => {
  const date = new Date(Math.floor(time) * DAY);
  return 12 * date.getUTCFullYear() + date.getUTCMonth();
};

/** The one in the middle; of two the smaller, since a gap makes distances longer, never shorter. */
const median = (numbers: Float64Array): number => numbers.slice().sort()[(numbers.length - 1) >> 1];

/** How far from its place a time may stand, in steps: clocks are not exact. */
const TOLERANCE = 0.01;

/**
 * The distance at which most of ascending times stand, and how many of these each is from the first. Throws `DataError`
 * for times between these.
 */
export function gridOf(
  times: Float64Array,
  areDates: boolean,
  at: (i: number) => DataLocation,
): { step: TimeStep; places: Int32Array } {
  const usual = median(Float64Array.from({ length: times.length - 1 }, (_, i) => times[i + 1] - times[i]));
  if (areDates && usual >= 28) {
    const [first, ...others] = Array.from(times, placeInMonth);
    const isMonthly = others.every((place) => Math.abs(place - first) < 1e-6);
    // From January the 30th on, February has none: then the days decide.
    if (isMonthly) return counted(Float64Array.from(times, monthOf), times, { unit: "month" }, at);
  }
  return counted(times, times, { unit: areDates ? "day" : "number" }, at);
}

function counted(
  positions: Float64Array,
  times: Float64Array,
  { unit }: Pick<TimeStep, "unit">,
  at: (i: number) => DataLocation,
): { step: TimeStep; places: Int32Array } {
  const size = median(Float64Array.from({ length: positions.length - 1 }, (_, i) => positions[i + 1] - positions[i]));
  const step = { unit, size };
  const places = new Int32Array(positions.length);
  for (let i = 1; i < positions.length; i++) {
    const steps = (positions[i] - positions[i - 1]) / size;
    places[i] = places[i - 1] + Math.round(steps);
    if (Math.abs(steps - Math.round(steps)) > TOLERANCE || Math.round(steps) < 1)
      throw dataError(irregular(positions[i] - positions[i - 1], step, formatTime(times[i - 1], unit, " ")), at(i), {
        facts: { step: stepText(step) },
      });
  }
  return { step, places };
}

const irregular = (distance: number, step: TimeStep, before: string): Message =>
  message`the time is ${stepText({ ...step, size: distance })} after the one before it, ${before}, but most are ${stepText(step)} apart; a series has its values at equal distances. Bring them there, such as by a mean for each hour, or leave the time out (${option("ignore")}, without ${option("time")}) to take the rows as they follow each other.`;

/** A distance in words: `1 hour`, `15 minutes`, `3 months`. */
export function stepText({ unit, size }: TimeStep): string {
  const many = (n: number, word: string) => `${Number(n.toPrecision(6))} ${word}${n === 1 ? "" : "s"}`;
  if (unit === "number") return String(Number(size.toPrecision(6)));
  if (unit === "month") return size % 12 === 0 ? many(size / 12, "year") : many(size, "month");
  const seconds = Math.round(size * 86_400_000) / 1000;
  if (seconds % 604_800 === 0) return many(seconds / 604_800, "week");
  for (const [length, word] of [
    [86_400, "day"],
    [3600, "hour"],
    [60, "minute"],
  ] as const)
    if (seconds >= length && Number.isInteger((seconds / length) * 4)) return many(seconds / length, word);
  return many(seconds, "second");
}

/** The time that is `steps` after the start of a grid. */
export function timeAt({ start, step: { unit, size } }: TimeGrid, steps: number): number {
  if (unit !== "month") return start + steps * size;
  const day = Math.floor(start);
  const first = new Date(day * DAY);
  const month = first.getUTCMonth() + steps * size;
  const last = new Date(Date.UTC(first.getUTCFullYear(), month + 1, 0)).getUTCDate();
  const isLast = placeInMonth(start) >= 32;
  const date = Date.UTC(first.getUTCFullYear(), month, isLast ? last : Math.min(first.getUTCDate(), last));
  return date / DAY + (start - day);
}

/** A time as text: `2024-01-31`, or with hours where the series has them. */
export function formatTime(time: number, unit: TimeStep["unit"], written: string, hasHours = time % 1 !== 0): string {
  if (unit === "number") return String(Number(time.toPrecision(12)));
  const iso = new Date(Math.round(time * DAY)).toISOString();
  if (!hasHours) return iso.slice(0, 10);
  const clock = iso.slice(11).replace(/\.000Z$|Z$/, "");
  return `${iso.slice(0, 10)}${written[0]}${clock.replace(/^(\d\d:\d\d):00$/, "$1")}${written.slice(1)}`;
}
