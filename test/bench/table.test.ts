/** The benchmark's tables: medians, ratios over the right rival, and what is missing is said and never a number. */
import { describe, expect, test } from "vitest";
import { refresh } from "../../bench/page.ts";
import { median, type Result, speedTable, spread } from "../../bench/table.ts";

const result = (peer: string, threads: number, values: number[], rest: Partial<Result> = {}): Result => ({
  workload: "w",
  peer,
  threads,
  version: "1",
  values,
  ...rest,
});

/** The cells of the row that begins so. */
function row(table: string, head: string): string[] {
  const found = table.split("\n").filter((line) => line.startsWith(`| ${head} |`));
  expect(found).toHaveLength(1);
  return found[0]
    .split("|")
    .slice(2, -1)
    .map((cell) => cell.trim());
}

test("a median is the middle one, or the mean of the middle two", () => {
  expect(median([9, 1, 5])).toBe(5);
  expect(median([4, 1, 9, 2])).toBe(3);
});

describe("a table of speeds", () => {
  const results = [
    result("chainrule", 1, [900, 3000, 1100]), // median 1,100
    result("chainrule", 2, [1800, 2000]), // median 1,900
    result("pytorch", 1, [1000]),
    result("pytorch", 2, [500]), // its better count is one thread
    result("sklearn", 1, [800]),
    result("sklearn", 2, [950]),
    result("jax-js", 1, [100]),
  ];
  const table = speedTable(results, [["w", "a net"]], "samples/s");

  test("shows the median for each number of threads", () => {
    expect(row(table, "samples/s, 1 / 2 threads")).toEqual(["a net"]);
    expect(row(table, "chainrule")).toEqual(["1,100 / 1,900"]);
    expect(row(table, "jax-js")).toEqual(["100"]);
  });

  test("compares one thread with one, and two with each peer at its better count", () => {
    expect(row(table, "chainrule ÷ the best of pytorch, sklearn")).toEqual(["1.10 / 1.90"]);
    expect(row(table, "chainrule ÷ jax-js")).toEqual(["11 / 19"]);
    expect(row(table, "chainrule, 2 threads ÷ 1")).toEqual(["1.73"]);
    expect(table).not.toContain("brain.js");
    expect(table).not.toContain("Left out");
  });
});

test("who is missing is named with the reason and has no number", () => {
  const results = [
    result("chainrule", 1, [10]),
    { ...result("chainrule", 1, [20]), workload: "v" },
    result("jax-js", 1, [], { overtime: 60 }),
    { ...result("jax-js", 1, [5]), workload: "v" },
    result("sklearn", 1, [], { skipped: "dense networks only" }),
    { ...result("sklearn", 1, [40]), workload: "v" },
    result("tfjs-wasm", 1, [], { error: "no gradient" }),
    { ...result("tfjs-wasm", 1, [], { error: "no gradient" }), workload: "v" },
    result("brain.js", 1, [], { skipped: "no batches" }),
    { ...result("brain.js", 1, [], { skipped: "no batches" }), workload: "v" },
  ];
  const columns = [["w", "W"] as const, ["v", "V"] as const];
  const table = speedTable(results, columns, "samples/s");
  expect(row(table, "jax-js")).toEqual(["over 60 s", "5"]);
  expect(row(table, "sklearn")).toEqual(["–", "40"]);
  expect(row(table, "tfjs-wasm")).toEqual(["failed", "failed"]);
  expect(row(table, "chainrule ÷ jax-js")).toEqual(["–", "4.00"]);
  expect(row(table, "chainrule ÷ sklearn")).toEqual(["–", "0.50"]);
  expect(table).not.toMatch(/^\| brain\.js \|/m);
  expect(table.split("\n").filter((line) => line.startsWith("- "))).toEqual([
    "- sklearn: dense networks only (W).",
    "- tfjs-wasm failed: no gradient.",
    "- brain.js: no batches.",
  ]);
});

test("the spread is the widest of the rounds, as a part of the median", () => {
  expect(spread([result("a", 1, [90, 100, 110]), result("b", 1, [7])])).toBeCloseTo(0.2, 12);
});

describe("a page", () => {
  const page = "# Page\n<!-- bench:one -->\nold\n<!-- /bench -->\nby hand\n<!-- bench:two -->\nx\n<!-- /bench -->\n";

  test("keeps everything outside the marked place", () => {
    const once = refresh(page, { one: "| new $& |" });
    expect(once).toBe(page.replace("\nold\n", () => "\n\n| new $& |\n\n"));
    expect(refresh(once, { one: "| new $& |" })).toBe(once);
  });

  test.each([
    ["has no such place", page, "three"],
    ["has two", page + page, "one"],
    ["does not end it", "<!-- bench:one -->\n", "one"],
    ["begins another within", page.replace("<!-- /bench -->\n", ""), "one"],
  ])("that %s is refused", (_, text, name) => {
    expect(() => refresh(text, { [name]: "new" })).toThrow(`<!-- bench:${name} -->`);
  });
});
