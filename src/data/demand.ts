/** A made series to try forecasts on: how much power a town takes, hour by hour. */
import { checkOptionNames } from "../checks.ts";
import { RandomStream } from "../random.ts";
import { checkInteger } from "./fail.ts";
import type { Series } from "./series.ts";

/** Options of `demand`. */
export interface DemandOptions {
  /** Hours; 12 weeks unless said. */
  readonly count?: number;
  readonly seed?: number;
}

/**
 * The power that a town takes in each hour, in megawatts, and the temperature in °C, from 2024-01-01 on: it has a morning and
 * an evening, weekends, heating below 16 °C, weather that stays for days, and noise. Of 12 weeks, or `count` hours.
 *
 * @example
 * import { demand } from "chainrule/data";
 * console.log(demand().variables, demand().count); // [ 'load', 'temperature' ] 2016
 */
export function demand(options: DemandOptions = {}): Series {
  checkOptionNames("demand", options, ["count", "seed"]);
  const { count = 2016, seed = 0 } = options;
  checkInteger("count", count, 2);
  const random = new RandomStream(seed, "demand");
  const values = new Float32Array(2 * count);
  let [weather, other] = [0, 0];
  for (let t = 0; t < count; t++) {
    const [hour, day] = [t % 24, Math.floor(t / 24)];
    const isWeekend = day % 7 >= 5; // 2024-01-01 was a Monday
    // Both follow themselves: AR(1) of 98 % and 80 % from hour to hour.
    weather = 0.98 * weather + random.normal();
    other = 0.8 * other + random.normal();
    const season = 8 - 10 * Math.cos((2 * Math.PI * (day - 15)) / 366);
    const temperature = season + 3 * Math.sin((2 * Math.PI * (hour - 9)) / 24) + weather;
    const people = bump(hour, isWeekend ? 11 : 8, 2.5) + 1.2 * bump(hour, 19, 3);
    const heating = Math.max(0, 16 - temperature);
    const load = 60 + (isWeekend ? 18 : 30) * people + 1.5 * heating + 1.5 * other;
    values.set([load, temperature], 2 * t);
  }
  const grid = { start: 19723, step: { unit: "day", size: 1 / 24 }, written: "T" } as const;
  return { values, count, variables: ["load", "temperature"], grid };
}

/** A rise and fall around an hour, some hours wide. */
const bump = (hour: number, middle: number, width: number): number => Math.exp(-(((hour - middle) / width) ** 2) / 2);
