/** `chainrule train`: what it chooses, shows, saves; how it stops and goes on. Its failures are in failures.test.ts. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { barPicture, fruit, png, prices, Scratch, writeIdx } from "./command.ts";

const bytes = (scratch: Scratch, name: string) => readFileSync(join(scratch.path, name)).toString("base64");

describe.concurrent("data", () => {
  test("a table with classes: chooses, trains, reports and saves", async () => {
    const scratch = new Scratch();
    scratch.write("fruit.csv", fruit(200));
    const { code, stdout, stderr } = await scratch.run(["train", "fruit.csv", "--target", "state", "--epochs", "60"]);
    expect(code).toBe(0);
    expect(stderr).toContain("160 rows of 4 features");
    expect(stderr).toContain("2 classes of state: raw, ripe");
    expect(stderr).toContain("binaryCrossEntropy");
    expect(stderr).toMatch(/^epoch {2}1\/60 {2}loss \d/m);
    expect(stderr).toMatch(/^epoch 60\/60 .*accuracy (9\d|100)\.\d\d %.*\/s$/m);
    expect(stdout).toMatch(/accuracy {2}(9\d|100)\.\d\d %/);
    expect(stdout).toContain("Confusion matrix");
    expect(stdout).toContain("Saved  fruit.safetensors");
    expect(stdout).toContain("predict fruit.safetensors fruit.csv");
    expect(`${stdout}${stderr}`).not.toContain("\u001b");
    expect(Math.max(...`${stdout}${stderr}`.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(scratch.list()).toEqual(["fruit.csv", "fruit.safetensors"]);
  });

  test("a table with numbers: the output is in the target's own units", async () => {
    const scratch = new Scratch();
    scratch.write("prices.csv", prices(300));
    const events = await scratch.json(["train", "prices.csv", "--target", "price", "--validation", "0.1"]);
    const epochs = events.filter(({ event }) => event === "epoch");
    expect(events[0]).toMatchObject({ event: "start", task: "regression", loss: "meanSquaredError", rows: 216 });
    expect(epochs[0]).toMatchObject({ epoch: 1, validation: { loss: expect.any(Number) } });
    const { test: scores } = events.at(-1) as { test: { r2: number; meanAbsoluteError: number } };
    expect(scores.r2).toBeGreaterThan(0.95);
    expect(scores.meanAbsoluteError).toBeLessThan(10);
  });

  test("IDX files in a directory, and a network of one's own", async () => {
    const scratch = new Scratch();
    writeIdx(scratch, "bars");
    const events = await scratch.json(["train", "bars", "--layers", "dense 32 relu, dropout 0.1", "--epochs", "20"]);
    expect(events[0]).toMatchObject({
      inputShape: [28, 28, 1],
      layers: "rescale 1/255, flatten, dense 32 relu, dropout 0.1, dense 10",
      loss: "crossEntropy",
      testRows: 100,
    });
    expect(events.at(-1)).toMatchObject({
      event: "done",
      test: { accuracy: 1 },
      model: "bars.safetensors",
      epochs: 20,
    });
  });

  test("a folder of class folders", async () => {
    const scratch = new Scratch();
    for (const label of [0, 1, 2])
      for (let i = 0; i < 8; i++) scratch.write(`shapes/kind ${label}/${i}.png`, png(barPicture(3 * label, i), 28, 28));
    const { stdout, code } = await scratch.run(["train", "shapes", "--image-size", "14x14", "--test", "0"]);
    expect(code).toBe(0);
    expect(stdout).toContain("On the training data  24 rows");
    expect(stdout).toContain("kind 2");
  });

  test("--test takes another file, read as the training data were", async () => {
    const scratch = new Scratch();
    scratch.write("fruit.csv", fruit(100));
    scratch.write("more.csv", fruit(40));
    const args = ["train", "fruit.csv", "--target", "state", "--epochs", "3"];
    const events = await scratch.json([...args, "--test", "more.csv"]);
    expect(events[0]).toMatchObject({ rows: 100, testRows: 40 });
  });
});

describe.concurrent("output", () => {
  test("--json: one object per line on stdout, and nothing else; --quiet: nothing on stderr", async () => {
    const scratch = new Scratch();
    const { stdout, stderr } = await scratch.run(["train", "iris", "--epochs", "3", "--json", "--quiet"]);
    expect(stderr).toBe("");
    const events = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(events.map(({ event }) => event)).toEqual(["start", "epoch", "epoch", "epoch", "done"]);
    expect(events[1]).toMatchObject({
      epoch: 1,
      loss: expect.any(Number),
      accuracy: expect.any(Number),
      samplesPerSecond: expect.any(Number),
    });
    const { test: scores } = events[4] as { test: { confusion: number[][] } };
    expect(scores.confusion.flat().reduce((a, b) => a + b)).toBe(30);
  });

  test("it runs from the source too, and proposes commands that work there", async () => {
    const scratch = new Scratch();
    const { code, stdout } = await scratch.run(["train", "xor", "--epochs", "2"], { fromSource: true });
    expect(code).toBe(0);
    expect(stdout).toContain("npm run chainrule -- predict xor.safetensors xor --sample 1");
  });

  test("--quiet alone prints nothing", async () => {
    const scratch = new Scratch();
    expect(await scratch.run(["train", "xor", "--epochs", "2", "--quiet"])).toEqual({
      code: 0,
      stdout: "",
      stderr: "",
    });
    expect(scratch.list()).toEqual(["xor.safetensors"]);
  });

  test("the same seed gives the same bytes whatever the threads, another seed others", async () => {
    const scratch = new Scratch();
    const train = (seed: string, threads: string, out: string) =>
      scratch.run(["train", "iris", "--epochs", "5", "--seed", seed, "--threads", threads, "--out", out, "--quiet"]);
    await Promise.all([
      train("1", "1", "a.safetensors"),
      train("1", "2", "b.safetensors"),
      train("2", "1", "c.safetensors"),
    ]);
    expect(bytes(scratch, "a.safetensors")).toBe(bytes(scratch, "b.safetensors"));
    expect(bytes(scratch, "a.safetensors")).not.toBe(bytes(scratch, "c.safetensors"));
  });
});

describe("stopping and going on", () => {
  const args = ["train", "spirals", "--epochs", "4000", "--layers", "dense 16 relu, dropout 0.1", "--out"];

  test("Ctrl-C and kill −9 leave a checkpoint, and the run that goes on ends with the same bytes", async () => {
    const scratch = new Scratch();
    const undisturbed = scratch.run([...args, "whole.safetensors", "--quiet"]);
    const stopped = await scratch.run([...args, "part.safetensors"], {
      watch: (stderr, child) => {
        if (/epoch +\d{2,}\/4000/.test(stderr) && !stderr.includes("Stopping")) child.kill("SIGINT");
      },
    });
    expect(stopped.code).toBe(130);
    expect(stopped.stdout).toBe("");
    expect(stopped.stderr).toMatch(/Interrupted\. .*\n.*train --resume part\.checkpoint\.safetensors/);
    expect(scratch.list()).toContain("part.checkpoint.safetensors");
    expect(scratch.list()).not.toContain("part.safetensors");

    // A checkpoint of the end of an epoch is written once a second; kill −9 leaves the last of them.
    const killed = await scratch.run(["train", "--resume", "part.checkpoint.safetensors"], {
      watch: (_, child) => {
        if (existsSync(join(scratch.path, "part.checkpoint.safetensors.previous"))) child.kill("SIGKILL");
      },
    });
    expect(killed.code).toBe(null);

    const resumed = await scratch.run(["train", "--resume", "part.checkpoint.safetensors"]);
    expect(resumed.code).toBe(0);
    expect(resumed.stderr).toContain("resumes");
    expect((await undisturbed).code).toBe(0);
    expect(bytes(scratch, "part.safetensors")).toBe(bytes(scratch, "whole.safetensors"));
    expect(scratch.list()).toEqual(["part.safetensors", "whole.safetensors"]);
  });

  test("a resumed run takes no other options, and says which may change", async () => {
    const scratch = new Scratch();
    await scratch.run(["train", "iris", "--epochs", "100000", "--out", "i.safetensors"], {
      watch: (stderr, child) => {
        if (/^epoch/m.test(stderr) && !stderr.includes("Stopping")) child.kill("SIGTERM");
      },
    });
    const checkpoint = "i.checkpoint.safetensors";
    const changed = await scratch.run(["train", "--resume", checkpoint, "--learning-rate", "1"]);
    expect(changed.code).toBe(2);
    expect(changed.stderr).toMatch(/--learning-rate cannot change .* --epochs/);
    const other = await scratch.run(["train", "moons", "--resume", checkpoint]);
    expect(other.code).toBe(2);
    expect(other.stderr).toContain("name no other");
  });
});
