/** Tables as people have them: money, dates, codes, no line of names, other encodings, spaces, JSON; read in training and after. */
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { Scratch } from "./command.ts";

const lines = (header: string, count: number, row: (i: number) => string): string =>
  `${[header, ...Array.from({ length: count }, (_, i) => row(i))].filter((line) => line !== "").join("\n")}\n`;

/** What training says, in one line. */
async function train(scratch: Scratch, ...args: string[]): Promise<string> {
  const { stderr } = await scratch.run(["train", ...args, "--seed", "1"]);
  expect(stderr).not.toContain("error:");
  return stderr.replace(/\s+/g, " ");
}

/** The scores of a run's test. */
async function scores(scratch: Scratch, ...args: string[]): Promise<Record<string, number>> {
  const events = await scratch.json(["train", ...args, "--seed", "1"]);
  return (events.at(-1) as { test: Record<string, number> }).test;
}

describe.concurrent("tables as people have them", () => {
  test("the hour of the day decides, and a network can use it", async () => {
    const scratch = new Scratch();
    const two = (n: number) => String(n).padStart(2, "0");
    // Rain from 18 to 6 o'clock, whatever the day.
    const row = (i: number) => {
      const [day, hour] = [1 + (i % 28), (i * 7) % 24];
      return `2024-${two(1 + (i % 12))}-${two(day)} ${two(hour)}:30,${(i * 31) % 17},${hour < 6 || hour >= 18 ? "yes" : "no"}`;
    };
    scratch.write("rain.csv", lines("when,temp,rain", 200, row));
    const rain = ["rain.csv", "--target", "rain"];
    expect(await train(scratch, ...rain, "--epochs", "1")).toContain(
      "1 date: when (days, hour of the day, day of the week, day of the year)",
    );
    expect((await scores(scratch, ...rain)).accuracy).toBeGreaterThanOrEqual(0.95);
  });

  test("money is a number in the target, in training and in evaluate; the reading is said", async () => {
    const scratch = new Scratch();
    const row = (i: number) =>
      `${1 + (i % 6)},"${(100 + 80 * (1 + (i % 6))).toString()},${String(100 + i)}",${(i * 7) % 30}%`;
    scratch.write("homes.csv", lines("rooms,price,discount", 80, row));
    const said = await train(scratch, "homes.csv", "--target", "price", "--epochs", "2");
    expect(said).toContain('price: "180,100" is read as the number 180100; if it is 180.1, say --decimal comma.');
    expect(said).toContain('discount: "0%" is read as the number 0, in %.');
    const { code } = await scratch.run(["evaluate", "homes.safetensors", "homes.csv"]);
    expect(code).toBe(0);
  });

  test("no line of names: said by the error, trained with --no-header, and remembered by the model", async () => {
    const scratch = new Scratch();
    scratch.write(
      "plain.csv",
      lines("", 60, (i) => `${(i * 13) % 7}.5,${(i * 5) % 11},${"pq"[i % 2]}`),
    );
    const refused = await scratch.run(["train", "plain.csv", "--target", "3"]);
    expect(refused.stderr).toMatch(/looks like a row and not like names.*--no-header/s);
    const said = await train(scratch, "plain.csv", "--target", "3", "--no-header", "--epochs", "2");
    expect(said).toContain("2 numbers: 1, 2");
    const { stdout } = await scratch.run(["predict", "plain.safetensors", "plain.csv"]);
    expect(stdout.trim().split("\n")).toHaveLength(61);
  });

  test("an encoding is named by the error, given by --encoding, and remembered by the model", async () => {
    const scratch = new Scratch();
    const text = lines("größe,art", 40, (i) => `${(i * 3) % 8}.5,${i % 2 ? "süß" : "herb"}`);
    scratch.write(
      "wein.csv",
      Uint8Array.from(text, (c) => c.charCodeAt(0)),
    );
    const refused = await scratch.run(["train", "wein.csv", "--target", "art"]);
    expect(refused.stderr).toContain("--encoding windows-1252");
    await train(scratch, "wein.csv", "--target", "art", "--encoding", "windows-1252", "--epochs", "2");
    expect((await scratch.run(["evaluate", "wein.safetensors", "wein.csv"])).code).toBe(0);
  });

  test("a rare class that is missed is said, and what would help; two classes have precision, recall, F1 and AUC", async () => {
    const scratch = new Scratch();
    // One row in thirty is of class 1, and nothing tells which.
    scratch.write(
      "rare.csv",
      lines("a,b,y", 600, (i) => `${(i * 37) % 101},${(i * 53) % 89},${Number(i % 30 === 7)}`),
    );
    const rare = ["rare.csv", "--target", "y", "--epochs", "5"];
    const test = await scores(scratch, ...rare);
    expect(await train(scratch, ...rare)).toMatch(
      /4 of the 4 test rows of class 1 are wrong.*--class-weights balanced/,
    );
    const { confusion } = test as unknown as { confusion: number[][] };
    const [[, wrong], [missed, right]] = confusion;
    expect(test.balancedAccuracy).toBeCloseTo((confusion[0][0] / 116 + right / 4) / 2, 10);
    expect(test.recall).toBe(right / (missed + right));
    expect(test.precision).toBe(right + wrong === 0 ? 0 : right / (right + wrong));
    expect(test.auc).toBeGreaterThanOrEqual(0);
    const loss = await scratch.run(["train", "iris", "--loss", "binaryCrossEntropy"]);
    expect([loss.code, loss.stderr]).toEqual([2, expect.stringContaining("Take crossEntropy")]);
  });

  test("zip codes are words unless --columns says otherwise", async () => {
    const scratch = new Scratch();
    scratch.write(
      "zip.csv",
      lines("zip,spend,churn", 60, (i) => `0000${i % 7},${i % 5}.5,${i % 2}`),
    );
    const said = await train(scratch, "zip.csv", "--target", "churn", "--epochs", "2");
    expect(said).toContain("1 of words, each a feature: zip (7)");
    const numbers = await train(scratch, "zip.csv", "--target", "churn", "--epochs", "2", "--columns", "zip numeric");
    expect(numbers).toContain("2 numbers: zip, spend");
    const wrong = await scratch.run(["train", "zip.csv", "--target", "churn", "--columns", "zip nummeric"]);
    expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining('Did you mean "numeric"?')]);
  });

  test("JSON, JSON Lines and gzip are read as CSV is", async () => {
    const scratch = new Scratch();
    const rows = Array.from({ length: 40 }, (_, i) => ({ a: i % 9, b: i % 2 === 0, y: "pq"[(i >> 1) % 2] }));
    scratch.write("rows.json", JSON.stringify(rows));
    scratch.write("rows.jsonl", rows.map((row) => JSON.stringify(row)).join("\n"));
    scratch.write("rows.csv.gz", gzipSync(lines("a,b,y", 40, (i) => Object.values(rows[i]).join())));
    const tests = [];
    for (const file of ["rows.json", "rows.jsonl", "rows.csv.gz"])
      tests.push(await scores(scratch, file, "--target", "y", "--epochs", "3"));
    expect(tests[1]).toEqual(tests[0]);
    expect(tests[2]).toEqual(tests[0]);
  });

  test("a value inside a value is named", async () => {
    const scratch = new Scratch();
    scratch.write("bad.json", '[{"a": 1, "y": "p"}, {"a": {"b": 2}, "y": "q"}]');
    const bad = await scratch.run(["train", "bad.json", "--target", "y"]);
    expect(bad.stderr).toContain('bad.json, row 2, column "a": the value is');
  });
});
