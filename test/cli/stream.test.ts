/** The command on streams: the same scores as in memory, resume, kept rows, patterns, predictions, bad files. */
import { readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { tooLarge } from "../../src/cli/data/streams.ts";
import { fruit, prices, Scratch } from "./command.ts";

const scratch = new Scratch();
/** 3,000 rows that differ: the hash of equal ones would take them to one side. */
const table = (text: string) => {
  const [head, ...rows] = text.trim().split("\n");
  return `${head},noise\n${rows.map((row, i) => `${row},${(i * 7919) % 104729}`).join("\n")}\n`;
};
scratch.write("fruit.csv", table(fruit(3000)));
scratch.write("prices.csv", table(prices(3000)));
scratch.write("shards/1.csv", table(fruit(1500)));
scratch.write("shards/2.csv", table(fruit(1500)));

test("a table is streamed, tested on rows held out by their hash, evaluated and predicted", async () => {
  const train = await scratch.run([
    "train",
    "fruit.csv",
    "--target",
    "state",
    "--ignore",
    "noise",
    "--stream",
    "--epochs",
    "5",
  ]);
  // Without the noise most rows are equal to others.
  expect(train.code).toBe(0);
  expect(train.stderr).toMatch(/fruit\.csv: \d,\d{3} rows of 4 features/);
  expect(train.stderr).toMatch(/read as a stream/);
  expect(train.stderr).toMatch(/held out by a hash of the row, 20 %/);
  expect(train.stdout).toMatch(/rows per second, input \d+ %/);
  const events = await scratch.json([
    "train",
    "fruit.csv",
    "--target",
    "state",
    "--stream",
    "--validation",
    "0.25",
    "--cache",
    "kept",
    "--epochs",
    "8",
  ]);
  const start = events.find(({ event }) => event === "start")!;
  const done = events.find(({ event }) => event === "done")! as { test: { rows: number; accuracy: number } };
  expect(start.streamed).toBe(true);
  expect((start.rows as number) + (start.validationRows as number) + (start.testRows as number)).toBe(3000);
  expect(done.test.rows).toBe(start.testRows);
  expect(done.test.accuracy).toBeGreaterThan(0.95);
  // The held-out rows are known again, as numbers kept or as text.
  for (const more of [[], ["--cache", "kept"]]) {
    const [again] = await scratch.json(["evaluate", "fruit.safetensors", "fruit.csv", ...more]);
    expect(again).toMatchObject({ rows: "held out", test: done.test });
  }
  const [all] = await scratch.json(["evaluate", "fruit.safetensors", "fruit.csv", "--all"]);
  expect(all).toMatchObject({ rows: "trained on", test: { rows: 3000 } });
  const streamed = await scratch.run(["predict", "fruit.safetensors", "fruit.csv", "--stream"]);
  const whole = await scratch.run(["predict", "fruit.safetensors", "fruit.csv"]);
  expect(streamed.stdout).toBe(whole.stdout);
  expect(streamed.stdout.split("\n").length).toBe(3002);
});

test("kept rows are measured and removed by one command", async () => {
  expect(readdirSync(scratch.path)).toContain("kept");
  const said = await scratch.run(["cache", "kept"]);
  expect(said.stdout).toMatch(/take \d+ kB\. To remove them: chainrule cache kept --remove/);
  expect((await scratch.run(["cache", "kept", "--remove"])).stdout).toMatch(/\d+ kB freed in kept/);
  expect((await scratch.run(["cache", "kept"])).stdout).toMatch(/take 0 bytes/);
});

test("several files by a pattern, a number as the target, a checkpoint", async () => {
  const [shards, one] = await Promise.all([
    scratch.json(["train", "shards/*.csv", "--target", "state", "--epochs", "3", "--out", "shards.safetensors"]),
    scratch.json([
      "train",
      "prices.csv",
      "--target",
      "price",
      "--ignore",
      "noise",
      "--stream",
      "--epochs",
      "20",
      "--test",
      "0",
    ]),
  ]);
  expect(shards.find(({ event }) => event === "start")).toMatchObject({ streamed: true });
  const done = one.find(({ event }) => event === "done") as { training: { rows: number; r2: number } };
  expect(done.training.rows).toBe(3000);
  expect(done.training.r2).toBeGreaterThan(0.99);
});

test("a run that was stopped goes on with the same bits", async () => {
  const run = ["train", "fruit.csv", "--target", "state", "--stream", "--epochs", "30", "--seed", "3", "--json"];
  const whole = await scratch.run([...run, "--out", "whole.safetensors"]);
  let isStopped = false;
  const stopped = await scratch.run(
    [
      "train",
      "fruit.csv",
      "--target",
      "state",
      "--stream",
      "--epochs",
      "30",
      "--seed",
      "3",
      "--out",
      "stopped.safetensors",
    ],
    {
      watch: (stderr, child) => {
        if (isStopped || !/epoch +[45]\/30/.test(stderr)) return;
        isStopped = true;
        child.kill("SIGINT");
      },
    },
  );
  expect(stopped.code).toBe(130);
  const resumed = await scratch.run(["train", "--resume", "stopped.checkpoint.safetensors", "--json"]);
  expect(resumed.code).toBe(0);
  const last = (text: string) => JSON.parse(text.trim().split("\n").at(-1)!) as { test: unknown };
  expect(last(resumed.stdout).test).toEqual(last(whole.stdout).test);
});

test("what does not fit is streamed, aloud; bad files and options are named", async () => {
  expect(tooLarge(100e6, 8e9)).toBeUndefined();
  expect(tooLarge(4e9, 3e9)).toBe("4.0 GB would take some 8.0 GB, and 3.0 GB of memory are free");
  expect(tooLarge(3.6e9, 64e9)).toMatch(/the engine holds 4 GB/);
  scratch.write("zipped.jsonl.gz", Buffer.from([0x1f, 0x8b, 8]));
  const bad = async (...args: string[]) => (await scratch.run(args)).stderr;
  expect(await bad("train", "fruit.csv", "--stream")).toMatch(/No target was given/);
  expect(await bad("train", "none-*.csv", "--target", "a")).toMatch(/no file has such a name/);
  expect(await bad("train", "fruit.csv", "--target", "state", "--stream", "--decimal", "comma")).toMatch(/--no-stream/);
  const words = table(fruit(3000)).split("\n");
  words[2900] = words[2900].replace(/^\d+/, "seven");
  scratch.write("words.csv", words.join("\n"));
  expect(await bad("train", "words.csv", "--target", "state", "--stream")).toMatch(
    /words\.csv, row 2901, column "size": the value is "seven"/,
  );
});
