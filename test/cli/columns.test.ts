/** Tables on the command line: what columns are taken for is said aloud, and what looks otherwise is warned of. */
import { resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { columnLines, columnWarnings } from "../../src/cli/data/columns.ts";
import { fromHere, wrapped } from "../../src/cli/terminal/text.ts";
import { inCommandWords } from "../../src/cli/terminal/wording.ts";
import { readTable } from "../../src/data/table.ts";
import { message, option } from "../../src/wording.ts";
import { Scratch } from "./command.ts";

const longest = (text: string): number => Math.max(...text.split("\n").map((line) => [...line].length));

/** A table as spreadsheets of half of Europe write it. */
const houses = (rows: number): string => {
  const lines = Array.from({ length: rows }, (_, i) => {
    const size = 40 + ((i * 37) % 100) * 1.5;
    const when = `2020-0${1 + (i % 9)}-1${i % 10}`;
    const city = ["Ulm", "Bonn", "Kiel"][i % 3];
    return `H${1000 + i};${size.toFixed(1).replace(".", ",")};${1 + (i % 6)};${city};${when};${i % 4 ? "yes" : "no"};${size > 100 ? "dear" : "cheap"}`;
  });
  return `id;size;rooms;city;built;sold;price\n${lines.join("\n")}\n`;
};

describe("what columns were taken for", () => {
  test("numbers, dates, yes or no, words with how many, and what is left out", async () => {
    const { schema } = await readTable(houses(60), { target: "price", ignore: ["id"] });
    expect(columnLines(schema, ["id"])).toEqual([
      "2 numbers: size, rooms",
      "1 date: built (days, day of the week, day of the year)",
      "1 yes or no: sold",
      "1 of words, each a feature: city (3)",
      "left out: id",
    ]);
  });

  test("many columns are cut, with their number", async () => {
    const names = Array.from({ length: 30 }, (_, i) => `c${i}`);
    const { schema } = await readTable(`${names.join()},y\n${names.map((_, i) => i).join()},0.5\n`, { target: "y" });
    expect(columnLines(schema)).toEqual([`30 numbers: ${names.slice(0, 12).join(", ")}, and 18 more`]);
  });
});

describe("what looks as if it were meant otherwise", () => {
  const column = async (cell: (i: number) => string | number, name = "x"): Promise<string[]> => {
    const lines = Array.from({ length: 40 }, (_, i) => `"${cell(i)}";${(i * 7) % 5};${i % 2 ? "a" : "b"}`);
    return columnWarnings(await readTable(`${name};n;y\n${lines.join("\n")}\n`, { target: "y" }));
  };

  test.each([
    [
      "decimal commas beside decimal points",
      (i: number) => (i % 9 ? `${i},5` : `${i}.25`),
      /"x" holds words such as "[\d.,]+", .*decimal commas\. Give --decimal comma/,
    ],
    [
      "American dates",
      (i: number) => `${1 + (i % 12)}/${10 + (i % 18)}/2021`,
      /look like dates\. Write them as 2024-01-31/,
    ],
    ["units", (i: number) => `${i * 3} kg`, /numbers with something beside them/],
    ["two currencies", (i: number) => `${"$€"[i % 2]}${i * 3}`, /numbers with something beside them/],
    ["several columns in one", (i: number) => `${"ab"[i % 2]}${i}|z`, /several columns in one/],
    ["names of rows", (i: number) => `H${i}`, /40 different values in 40 rows, such as "H\d+".*--ignore x\.$/],
    ["one value", () => "same", /has the same value in all rows; leave it out: --ignore x/],
    ["the same number", () => 7, /has the same value in all rows/],
    ["numbers of rows", (i: number) => i + 17, /counts the rows/],
  ])("%s", async (_, cell, message) => {
    const warnings = await column(cell);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(message);
  });

  test("numbers that come once each, under a name such as customer_id", async () => {
    const cell = (i: number) => (i * 7919) % 1009;
    expect(await column(cell, "customer_id")).toEqual([expect.stringContaining("--ignore customer_id")]);
    expect(await column(cell, "paid")).toEqual([]);
  });

  test.each([
    ["a few kinds", (i: number) => ["10 kg", "20 kg", "30 kg"][i % 3]],
    ["words that return", (i: number) => `city ${i % 12}`],
    ["measured numbers", (i: number) => i * 0.37],
    ["whole numbers in no order", (i: number) => (i * 17) % 23],
    ["ISO dates", (i: number) => `2024-01-${10 + (i % 20)}`],
  ])("no word on %s", async (_, cell) => {
    expect(await column(cell)).toEqual([]);
  });

  test("a row where the names of columns belong", async () => {
    const rows = Array.from({ length: 30 }, (_, i) => `${(i * i) % 7},${(i * 5) % 11},${"ab"[i % 2]}`);
    const data = await readTable(`0,1,y\n${rows.join("\n")}\n`, { target: "y" });
    expect(columnWarnings(data)).toEqual([expect.stringMatching(/^The first line holds numbers, but names/)]);
  });
});

test.each([
  ["missing", "mean", "--missing mean"],
  ["missing", "drop", "--missing drop"],
  ["task", "classification", "--task classification"],
  ["ignore", undefined, "--ignore NAME"],
  ["decimal", "comma", "--decimal comma"],
  ["globalClipNorm", 1, '--optimizer "adam globalClipNorm=1"'],
  ["init", "he", "init=he"],
  ["classify", undefined, "predict"],
  ["notAnOptionOfTheCommand", 3, "notAnOptionOfTheCommand=3"],
] as const)("the option %s of a message becomes one of the command", (name, value, words) => {
  expect(inCommandWords(message`Try ${option(name, value)} (say).`)).toBe(`Try ${words} (say).`);
});

test("a message is broken at spaces, its own lines and indents stay", () => {
  expect(wrapped("aaa bbb ccc\n  dd ee ff\n\nlongerthanwidth x yy zz", 8)).toBe(
    "aaa bbb\nccc\n  dd ee\nff\n\nlongerthanwidth\nx yy zz",
  );
});

test("a path is said from here only where it lies below", () => {
  expect(fromHere(resolve("a/b.csv"))).toBe("a/b.csv");
  for (const path of ["a/b.csv", "mnist", resolve("../b.csv"), resolve(".")]) expect(fromHere(path)).toBe(path);
});

describe.concurrent("the command", () => {
  test("new dates with points are predicted; a number in another unit is noted on stderr", async () => {
    const scratch = new Scratch();
    const rows = Array.from(
      { length: 60 },
      (_, i) => `${1 + (i % 28)}.${1 + (i % 12)}.2024;${50 + (i % 9)};${i * 3.5}`,
    );
    scratch.write("t.csv", `when;size;y\n${rows.join("\n")}\n`);
    await scratch.run(["train", "t.csv", "--target", "y", "--epochs", "2", "--quiet"]);
    const says = (row: string) => scratch.run(["predict", "t.safetensors", "-"], { stdin: `when;size\n${row}\n` });
    const near = await says("31.12.2024;51");
    expect([near.code, near.stderr]).toEqual([0, ""]);
    const far = await says("31.12.2024;51000");
    expect(far.code).toBe(0);
    expect(far.stderr.replace(/\s+/g, " ")).toMatch(/row 1: "size" is 51,000, .* standard deviations/);
  });

  test("says what it took columns for, warns, and reads decimal commas", async () => {
    const scratch = new Scratch();
    scratch.write("houses.csv", houses(100));
    const train = ["train", "houses.csv", "--target", "price", "--epochs", "3"];
    const { stderr, stdout, code } = await scratch.run(train);
    expect(code).toBe(0);
    expect(stderr).toMatch(/^columns {5}2 numbers: size, rooms$/m);
    expect(stderr).toContain("2 of words, each a feature: id (100), city (3)");
    expect(stderr).toContain('size: "40,0" is read as the number 40.');
    expect(stderr).toMatch(/^warning {5}Column "id" has 100 different values/m);
    expect(longest(stderr + stdout)).toBeLessThanOrEqual(80);

    const events = await scratch.json([...train, "--decimal", "comma", "--ignore", "id", "--epochs", "60"]);
    expect(events[0]).toMatchObject({
      inputShape: [11],
      columns: expect.arrayContaining([{ name: "size", kind: "numeric" }]),
      ignored: ["id"],
    });
    expect(events.filter(({ event }) => event === "warning")).toEqual([]);
    expect(events.at(-1)).toMatchObject({ test: { accuracy: expect.any(Number) } });
    expect((events.at(-1) as { test: { accuracy: number } }).test.accuracy).toBeGreaterThan(0.85);

    // The model knows how its tables are written.
    const predicted = await scratch.run(["predict", "houses.safetensors", "houses.csv"]);
    const piped = await scratch.run(["predict", "houses.safetensors", "-"], { stdin: houses(100) });
    expect(predicted.stdout.split("\n")).toHaveLength(102);
    expect(piped.stdout).toBe(predicted.stdout);
  });

  test("few whole numbers become classes, which is said", async () => {
    const scratch = new Scratch();
    scratch.write("t.csv", `a,y\n${Array.from({ length: 40 }, (_, i) => `${i * 0.37},${i % 3}`).join("\n")}\n`);
    const says = async (...more: string[]) =>
      (await scratch.run(["train", "t.csv", "--target", "y", "--epochs", "1", ...more])).stderr.replace(/\s+/g, " ");
    expect(await says()).toContain("few whole numbers, so each is a class; --task regression predicts a number");
    expect(await says("--task", "classification")).not.toContain("few whole numbers");
  });

  test("without a target, every column is named, the last one as the likely target", async () => {
    const scratch = new Scratch();
    const names = Array.from({ length: 20 }, (_, i) => `c${i}`);
    scratch.write("wide.csv", `${names.join(",")}\n${names.join(",")}\n`);
    const { code, stderr } = await scratch.run(["train", "wide.csv"]);
    expect(code).toBe(2);
    expect(stderr).toContain("--target c19");
    expect(stderr).toMatch(/c0, c1, .* \(8 more\), c19\.$/m);
  });

  test("a header in one column: what separates columns", async () => {
    const scratch = new Scratch();
    scratch.write("t.csv", "a b y\n1 2 3\n");
    const { code, stderr } = await scratch.run(["train", "t.csv", "--target", "y"]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/only one column, "a b y".*commas.*It seems to have spaces/);
  });
});
