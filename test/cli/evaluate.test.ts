/** `chainrule evaluate`: rows that the model has learnt from are told from those it has not. */
import { describe, expect, test } from "vitest";
import { barPicture, fruit, idx, prices, Scratch, writeIdx } from "./command.ts";

const WARNING = /^warning {5}The model was trained on rows of/m;

/** The scores and which rows they are of. */
async function evaluate(scratch: Scratch, ...args: string[]) {
  const { stdout, stderr, code } = await scratch.run(["evaluate", ...args, "--json"]);
  expect(code).toBe(0);
  const { test: scores, rows } = JSON.parse(stdout) as {
    test: Record<string, unknown> & { rows: number };
    rows: string;
  };
  return { scores, rows, stderr };
}

describe.concurrent("evaluate", () => {
  test("the table of the training: the rows held out, with the very scores that train reported", async () => {
    const scratch = new Scratch();
    scratch.write("fruit.csv", fruit(200));
    const train = ["train", "fruit.csv", "--target", "state", "--epochs", "5", "--seed", "3", "--test", "0.25"];
    const done = (await scratch.json(train)).at(-1) as { test: unknown };
    const held = await evaluate(scratch, "fruit.safetensors", "fruit.csv");
    expect(held).toMatchObject({ rows: "held out", scores: done.test, stderr: "" });
    expect(held.scores.rows).toBe(50);

    const all = await evaluate(scratch, "fruit.safetensors", "fruit.csv", "--all");
    expect(all).toMatchObject({ rows: "trained on", scores: { rows: 200 }, stderr: expect.stringMatching(WARNING) });
    const text = await scratch.run(["evaluate", "fruit.safetensors", "fruit.csv"]);
    expect(text.stdout).toMatch(/^fruit\.csv, the rows held out from training {2}50 rows$/m);
    expect(text.stdout).toMatch(/^All 200 rows, .*--all$/m);
  });

  test("nothing held out: all rows, with a warning; only validation held out: that", async () => {
    const scratch = new Scratch();
    scratch.write("p.csv", prices(100));
    const train = ["train", "p.csv", "--target", "price", "--epochs", "2", "--quiet", "--test", "0"];
    await scratch.run(train);
    const all = await evaluate(scratch, "p.safetensors", "p.csv");
    expect(all).toMatchObject({ rows: "trained on", scores: { rows: 100 } });
    expect(all.stderr.replace(/\s+/g, " ")).toContain("None were held out, so test it on other data.");
    await scratch.run([...train, "--validation", "0.1"]);
    expect(await evaluate(scratch, "p.safetensors", "p.csv")).toMatchObject({ rows: "held out", scores: { rows: 10 } });
  });

  test("other data are taken whole; under the same name with a word about it", async () => {
    const scratch = new Scratch();
    scratch.write("fruit.csv", fruit(100));
    scratch.write("more.csv", fruit(60));
    await scratch.run(["train", "fruit.csv", "--target", "state", "--epochs", "2", "--quiet"]);
    expect(await evaluate(scratch, "fruit.safetensors", "more.csv")).toMatchObject({ rows: "given", stderr: "" });
    scratch.write("fruit.csv", fruit(120));
    const longer = await evaluate(scratch, "fruit.safetensors", "fruit.csv");
    expect(longer).toMatchObject({ rows: "given", scores: { rows: 120 } });
    expect(longer.stderr.replace(/\s+/g, " ")).toContain("trained on a fruit.csv with other rows");
  });

  test("a missing value that was dropped or filled in does not hide that rows are the same", async () => {
    const scratch = new Scratch();
    scratch.write("t.csv", fruit(100).replace("\n0,0,", "\n,0,"));
    for (const policy of ["mean", "drop"]) {
      await scratch.run(["train", "t.csv", "--target", "state", "--missing", policy, "--epochs", "2", "--quiet"]);
      expect(await evaluate(scratch, "t.safetensors", "t.csv")).toMatchObject({ rows: "held out" });
    }
  });

  test("data with a test part of their own: that part, without a word", async () => {
    const scratch = new Scratch();
    writeIdx(scratch, "bars");
    const labels = Uint8Array.from({ length: 50 }, (_, i) => i % 10);
    const pictures = Buffer.concat([...labels].map((label) => barPicture(label, 2)));
    scratch.write("bars/t10k-images-idx3-ubyte", idx([50, 28, 28], pictures));
    scratch.write("bars/t10k-labels-idx1-ubyte", idx([50], labels));
    await scratch.run(["train", "bars", "--epochs", "1", "--quiet"]);
    const own = await evaluate(scratch, "bars.safetensors", "bars");
    expect(own).toMatchObject({ rows: "given", scores: { rows: 50 }, stderr: "" });
  });

  test("iris", async () => {
    const scratch = new Scratch();
    await scratch.run(["train", "iris", "--epochs", "2", "--quiet"]);
    expect(await evaluate(scratch, "iris.safetensors", "iris")).toMatchObject({
      rows: "held out",
      scores: { rows: 30 },
    });
  });
});
