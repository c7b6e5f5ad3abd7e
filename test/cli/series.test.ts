/** `train --horizon`: a series from a file to a forecast, with what is said of its times, and what beginners do. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { Scratch } from "./command.ts";

const scratch = new Scratch();

/** Sales of a shop, day by day: more with each day, twice as many on Saturdays; and whether there was an offer. */
function sales(days: number, skip: readonly number[] = []): string {
  const rows = Array.from({ length: days }, (_, i) => {
    const date = new Date(Date.UTC(2024, 0, 1 + i)).toISOString().slice(0, 10);
    return `${date},${(100 + i / 2) * (i % 7 === 5 ? 2 : 1) + ((i * i * 37) % 41)},${i % 5 === 0 ? "yes" : "no"}`;
  });
  return `day,sold,offer\n${rows.filter((_, i) => !skip.includes(i)).join("\n")}\n`;
}

const TRAIN = [
  "train",
  "shop.csv",
  "--target",
  "sold",
  "--time",
  "day",
  "--horizon",
  "7",
  "--epochs",
  "60",
  "--ignore",
  "offer",
];
let trained: Awaited<ReturnType<Scratch["run"]>>;

beforeAll(async () => {
  scratch.write("shop.csv", sales(210));
  scratch.write("gaps.csv", sales(210, [50, 51, 120]));
  scratch.write("short.csv", sales(10));
  scratch.write("months.csv", "day,sold,offer\n2024-01-01,1,no\n2024-02-01,2,no\n2024-03-01,3,no\n");
  trained = await scratch.run(TRAIN);
});

describe("a series", () => {
  test("is learnt better than it is foretold without a network, and what was chosen is said", () => {
    expect(trained.code).toBe(0);
    const said = trained.stderr.replace(/\s+/g, " ");
    expect(said).toContain("a series of 210 times, 1 day apart: sold");
    expect(said).toContain("the network sees 2 weeks (14 values), and foretells 1 week (7 values) of sold");
    expect(said).toContain("comes again after 1 week, by the training part");
    const error = (by: string) => Number(new RegExp(`${by} +([\\d.]+)`).exec(trained.stdout)?.[1]);
    expect(error("the network")).toBeLessThan(error("1 week before"));
    expect(error("1 week before")).toBeLessThan(error("the last value"));
    for (const line of `${trained.stderr}${trained.stdout}`.split("\n")) expect(line.length).toBeLessThanOrEqual(88);
  });

  test("evaluate measures the part that was held out, as train did", async () => {
    const [event] = await scratch.json(["evaluate", "shop.safetensors", "shop.csv"]);
    const { rows, test: scores } = event as { rows: string; test: { rows: number; forecast: Forecast[] } };
    expect(rows).toBe("held out");
    expect(scores.rows).toBe(42 - 14 - 7 + 1);
    const [{ target, errors }] = scores.forecast;
    expect([target, ...errors.map(({ by }) => by)]).toEqual(["sold", "the network", "the last value", "1 week before"]);
    const { stdout } = await scratch.run(["evaluate", "shop.safetensors", "shop.csv"]);
    const table = (text: string) => /the network[\s\S]*?\(MASE\)/.exec(text)?.[0];
    expect(table(stdout)).toBeDefined();
    expect(table(stdout)).toBe(table(trained.stdout));
    const all = await scratch.json(["evaluate", "shop.safetensors", "shop.csv", "--all"]);
    expect(all[0]).toMatchObject({ rows: "trained on", test: { rows: 210 - 14 - 7 + 1 } });
  });

  test("the naive errors are those of arithmetic", async () => {
    const [event] = await scratch.json(["evaluate", "shop.safetensors", "shop.csv"]);
    const [{ errors }] = (event as { test: { forecast: Forecast[] } }).test.forecast;
    const values = sales(210)
      .trimEnd()
      .split("\n")
      .slice(1)
      .map((row) => Number(row.split(",")[1]));
    let [last, week, count, change] = [0, 0, 0, 0];
    for (let begin = 168; begin + 21 <= 210; begin++)
      for (let h = 0; h < 7; h++) {
        const truth = values[begin + 14 + h];
        last += Math.abs(truth - values[begin + 13]);
        week += Math.abs(truth - values[begin + 7 + h]);
        count++;
      }
    for (let t = 7; t < 168; t++) change += Math.abs(values[t] - values[t - 7]) / 161;
    expect(errors[1].meanAbsoluteError).toBeCloseTo(last / count, 4);
    expect(errors[2].meanAbsoluteError).toBeCloseTo(week / count, 4);
    expect(errors[2].meanAbsoluteScaledError).toBeCloseTo(week / count / change, 4);
  });

  test("predict foretells what comes after the last row, with its time", async () => {
    const { stdout, code } = await scratch.run(["predict", "shop.safetensors", "shop.csv"]);
    const [head, ...rows] = stdout.trimEnd().split("\n");
    expect([code, head, rows.length]).toEqual([0, "day,sold", 7]);
    // 210 days from the first of January on: the last is July the 28th.
    expect(rows.map((row) => row.split(",")[0])).toEqual([
      "2024-07-29",
      "2024-07-30",
      "2024-07-31",
      "2024-08-01",
      "2024-08-02",
      "2024-08-03",
      "2024-08-04",
    ]);
    const sold = rows.map((row) => Number(row.split(",")[1]));
    expect(sold.indexOf(Math.max(...sold))).toBe(5); // a Saturday
    const json = await scratch.json(["predict", "shop.safetensors", "shop.csv"]);
    expect(json[0]).toEqual({ input: "shop.csv", day: "2024-07-29", prediction: { sold: sold[0] } });
  });

  test("explain and gradcheck open it as any other model", async () => {
    const check = await scratch.run(["gradcheck", "shop.safetensors", "shop.csv", "--elements", "3"]);
    expect([check.code, check.stdout]).toEqual([0, expect.stringMatching(/All gradients agree/)]);
    const step = await scratch.run(["explain", "shop.safetensors", "shop.csv", "--sample", "2"]);
    expect([step.code, step.stdout]).toEqual([0, expect.stringMatching(/ONE TRAINING STEP/)]);
  });

  test("missing rows are an error, and can be left out or filled in", async () => {
    const run = (...more: string[]) =>
      scratch.run([
        "train",
        "gaps.csv",
        "--target",
        "sold",
        "--time",
        "day",
        "--horizon",
        "7",
        "--epochs",
        "2",
        ...more,
      ]);
    const [refused, filled, left] = await Promise.all([
      run(),
      run("--missing", "previous", "--out", "filled.safetensors"),
      run("--missing", "drop", "--json", "--out", "left.safetensors"),
    ]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(
      /6 values of the series are missing, the first of them "sold" at 2024-02-20; .*--missing previous/,
    );
    expect(filled.stderr.replace(/\s+/g, " ")).toContain("3 of 210 times from the first to the last have no row");
    const rows = (text: string) => (JSON.parse(text.split("\n")[0]) as { rows: number }).rows;
    // 168 − 21 + 1 windows of the training part, less those that touch days 50 and 51, and those that touch day 120.
    expect(rows(left.stdout)).toBe(148 - 22 - 21);
    const foretold = await scratch.run(["predict", "filled.safetensors", "gaps.csv"]);
    expect(foretold.stdout.split("\n")).toHaveLength(9);
  });

  test("other networks: recurrent ones and causal convolutions from --layers; several targets; no times", async () => {
    const layers = "conv1d 4 3 relu padding=causal dilation=2, gru 4";
    const several = await scratch.json([
      ...["train", "shop.csv", "--ignore", "day", "--target", "sold,offer", "--horizon", "3", "--epochs", "1"],
      ...["--layers", layers, "--optimizer", "adam", "--out", "several.safetensors"],
    ]);
    expect(several[0].layers).toMatch(/conv1d 4 of 3 .*gru 4.*dense 6/);
    const [{ forecast }] = [several.at(-1)!.test as { forecast: Forecast[] }];
    expect(forecast.map(({ target }) => target)).toEqual(["sold", "offer"]);
    const { stdout } = await scratch.run(["predict", "several.safetensors", "shop.csv"]);
    expect(stdout).toMatch(/^ahead,sold,offer\n1,.*\n2,.*\n3,.*\n$/);
  });

  test("a run that was stopped goes on to the same bits", async () => {
    const args = [
      "train",
      "shop.csv",
      "--target",
      "sold",
      "--time",
      "day",
      "--horizon",
      "6",
      "--epochs",
      "1500",
      "--layers",
      "dense 2",
      "--optimizer",
      "adam",
      "--quiet",
      "--out",
    ];
    await scratch.run([...args, "whole.safetensors"]);
    const loud = args.filter((word) => word !== "--quiet");
    const stopped = await scratch.run([...loud, "parts.safetensors"], {
      watch: (stderr, child) => {
        if (/epoch +\d{2,}\/1500/.test(stderr) && !stderr.includes("Stopping")) child.kill("SIGINT");
      },
    });
    expect(stopped.code).toBe(130);
    const resumed = await scratch.run(["train", "--resume", "parts.checkpoint.safetensors", "--quiet"]);
    expect([resumed.code, resumed.stderr]).toEqual([0, ""]);
    const read = (name: string) => readFileSync(join(scratch.path, name));
    expect(read("parts.safetensors").equals(read("whole.safetensors"))).toBe(true);
  });

  test.each<[string, string[], number, RegExp]>([
    [
      "--time without --horizon",
      ["train", "shop.csv", "--target", "sold", "--time", "day"],
      2,
      /--time is for forecasts: say how far/,
    ],
    [
      "no target",
      ["train", "shop.csv", "--time", "day", "--horizon", "7"],
      2,
      /Name the column to foretell.* sold, offer/,
    ],
    [
      "no such target",
      ["train", "shop.csv", "--time", "day", "--horizon", "7", "--target", "solt"],
      2,
      /no column "solt".*Did you mean "sold"/,
    ],
    [
      "dates as values",
      ["train", "shop.csv", "--target", "sold", "--horizon", "7"],
      1,
      /column "day": the value is "2024-01-01", but a series/,
    ],
    ["a mean for missing values", [...TRAIN, "--missing", "mean"], 2, /--missing mean is for tables/],
    [
      "previous for a table",
      ["train", "shop.csv", "--target", "sold", "--missing", "previous"],
      2,
      /previous is for forecasts/,
    ],
    ["a task", [...TRAIN, "--task", "regression"], 2, /--task is not for forecasts/],
    ["pictures", ["train", "mnist", "--horizon", "3"], 2, /--horizon is for series in tables/],
    [
      "too short a series",
      ["train", "short.csv", "--target", "sold", "--time", "day", "--horizon", "7"],
      1,
      /too few for windows|do not fit/,
    ],
    [
      "other distances than it knows",
      ["evaluate", "shop.safetensors", "months.csv"],
      1,
      /1 month apart, but the model was trained on 1 day/,
    ],
    [
      "too few rows to look at",
      ["predict", "shop.safetensors", "short.csv"],
      1,
      /10 rows, but the model looks at the last 14/,
    ],
    ["rows of a series", ["predict", "shop.safetensors", "shop.csv", "--sample", "1"], 2, /--sample is for rows/],
    ["the made series without a horizon", ["train", "demand"], 2, /demand is a series: say how far/],
  ])("%s", async (_, args, code, message) => {
    const outcome = await scratch.run(args);
    expect(outcome.stderr.replace(/\s+/g, " ")).toMatch(message);
    expect(outcome.code).toBe(code);
  });
});

interface Forecast {
  readonly target: string;
  readonly errors: readonly {
    readonly by: string;
    readonly meanAbsoluteError: number;
    readonly meanAbsoluteScaledError: number;
  }[];
}
