/** `evaluate`, `predict` and `summary` on models that `train` has made. */
import { beforeAll, describe, expect, test } from "vitest";
import { barPicture, fruit, png, prices, Scratch, writeIdx } from "./command.ts";

const scratch = new Scratch();

beforeAll(async () => {
  scratch.write("fruit.csv", fruit(200));
  scratch.write("prices.csv", prices(200));
  writeIdx(scratch, "bars");
  await Promise.all([
    scratch.run(["train", "fruit.csv", "--target", "state", "--quiet"]),
    scratch.run(["train", "prices.csv", "--target", "price", "--quiet"]),
    scratch.run(["train", "bars", "--epochs", "20", "--quiet"]),
  ]);
});

describe.concurrent("a table", () => {
  test("rows come out as CSV with the probability of each class", async () => {
    scratch.write("new.csv", "colour,size,weight\nred,10,16\ngreen,0,1\n");
    const { stdout, code } = await scratch.run(["predict", "fruit.safetensors", "new.csv"]);
    expect(code).toBe(0);
    const [header, ...rows] = stdout
      .trimEnd()
      .split("\n")
      .map((line) => line.split(","));
    expect(header).toEqual(["state", "p(raw)", "p(ripe)"]);
    expect(rows.map(([state]) => state)).toEqual(["ripe", "raw"]);
    for (const [, raw, ripe] of rows) expect(Number(raw) + Number(ripe)).toBeCloseTo(1, 5);
  });

  test("stdin, several files, and JSON", async () => {
    const stdin = "size,weight,colour\n10,16,red\n";
    const { stdout } = await scratch.run(["predict", "fruit.safetensors", "-"], { stdin });
    expect(stdout).toMatch(/^state,.*\nripe,/);
    scratch.write("one.csv", stdin);
    const both = await scratch.run(["predict", "fruit.safetensors", "one.csv", "fruit.csv"]);
    expect(both.stdout.split("\n").slice(0, 2).join("\n")).toMatch(/^file,state,.*\none\.csv,ripe/);
    const [answer] = await scratch.json(["predict", "fruit.safetensors", "one.csv"]);
    expect(answer).toMatchObject({
      input: "one.csv",
      row: 1,
      prediction: "ripe",
      probabilities: { ripe: expect.any(Number) },
    });
  });

  test("numbers come out in the target's units", async () => {
    scratch.write("homes.csv", "b,a\n0.5,0.5\n");
    const { stdout } = await scratch.run(["predict", "prices.safetensors", "homes.csv"]);
    const [header, value] = stdout.split("\n");
    expect(header).toBe("price");
    expect(Math.abs(Number(value) - 325)).toBeLessThan(15);
  });

  test("evaluate reports as train does", async () => {
    const { stdout } = await scratch.run(["evaluate", "fruit.safetensors", "fruit.csv"]);
    expect(stdout).toMatch(/^fruit\.csv, the rows held out from training {2}40 rows\n {2}accuracy/);
    const [{ test: scores }] = await scratch.json(["evaluate", "prices.safetensors", "prices.csv"]);
    expect(scores).toMatchObject({ rows: 40, r2: expect.any(Number) });
  });

  test("summary shows what the model takes and gives", async () => {
    const { stdout } = await scratch.run(["summary", "fruit.safetensors"]);
    expect(stdout).toContain("takes       size, weight, colour=green, colour=red");
    expect(stdout).toContain("gives       state: raw, ripe");
    expect(stdout).toContain("normalize_1");
    const [all] = await scratch.json(["summary", "fruit.safetensors"]);
    expect(all).toMatchObject({ classes: ["raw", "ripe"], inputShape: [4] });
  });
});

describe.concurrent("pictures", () => {
  test("a picture of any size and polarity is drawn with the probabilities beside it", async () => {
    // Black on white, four times as large, off centre: a form in which no training picture was.
    const large = Uint8Array.from({ length: 112 * 112 }, (_, i) => {
      const [y, x] = [Math.floor(i / 112), i % 112];
      return 255 - barPicture(4)[(y >> 2) * 28 + (x >> 2)];
    });
    scratch.write("bar.png", png(large, 112, 112));
    const { stdout, code } = await scratch.run(["predict", "bars.safetensors", "bar.png"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^bar\.png: \d {2}\d+\.\d %/);
    expect(stdout).toContain("█");
    expect(stdout.match(/━|─/g)!.length).toBeGreaterThan(100);
    expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
    const [asIs] = await scratch.json(["predict", "bars.safetensors", "bar.png", "--as-is"]);
    expect(asIs).toMatchObject({ input: "bar.png", prediction: expect.any(String) });
  });

  test("--sample takes rows of a data set, and says whether the answer is right", async () => {
    const answers = await scratch.json(["predict", "bars.safetensors", "bars", "--sample", "1,4"]);
    expect(answers).toMatchObject([
      { row: 1, prediction: "0", truth: "0" },
      { row: 4, prediction: "3", truth: "3" },
    ]);
    const beyond = await scratch.run(["predict", "bars.safetensors", "bars", "--sample", "101"]);
    expect(beyond).toMatchObject({ code: 2, stderr: expect.stringContaining("rows 1 to 100") });
  });

  test("a mistake in the last input leaves no half of an answer", async () => {
    scratch.write("good.png", png(barPicture(1), 28, 28));
    scratch.write("blank.png", png(new Uint8Array(784), 28, 28));
    const outcome = await scratch.run(["predict", "bars.safetensors", "good.png", "blank.png"]);
    expect(outcome).toMatchObject({
      code: 1,
      stdout: "",
      stderr: expect.stringContaining("blank.png: the image is blank"),
    });
  });
});
