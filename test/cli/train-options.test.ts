/** What `chainrule train` can be told of the training itself: when to stop, what counts, what is varied, kept, warned of. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { fruit, Scratch, writeIdx } from "./command.ts";

const read = (scratch: Scratch, name: string) => readFileSync(join(scratch.path, name));

describe.concurrent("options of the training", () => {
  test("--early-stopping ends the run and says so; the model is that of the best epoch", async () => {
    const scratch = new Scratch();
    const args = ["train", "moons", "--validation", "0.3", "--learning-rate", "0.1", "--schedule", "constant"];
    const { code, stderr } = await scratch.run([
      ...[...args, "--epochs", "300", "--early-stopping", "4"],
      ...["--history", "h.json"],
    ]);
    expect(code).toBe(0);
    expect(stderr).toContain("stops after 4 epochs without a better validation loss");
    const epochs = JSON.parse(read(scratch, "h.json").toString()) as { epoch: number; validation: { loss: number } }[];
    expect(stderr).toContain(`Stopped after epoch ${epochs.length}: the validation loss got no better.`);
    expect(epochs.length).toBeLessThan(300);
    const losses = epochs.map(({ validation }) => validation.loss);
    expect(losses.indexOf(Math.min(...losses))).toBe(epochs.length - 5);
  });

  test("256-bit vectors: an older Node says what a newer one brings, unless told not to use them", async () => {
    const scratch = new Scratch();
    const engine = async (...more: string[]) =>
      (await scratch.run(["train", "moons", "--epochs", "1", ...more])).stderr.replace(/\s+/g, " ");
    const isOld = Number.parseInt(process.versions.node, 10) < 24;
    const usual = await engine();
    expect(usual).toMatch(isOld ? /Node 24 would train 1\.3 to 1\.9 times as fast/ : /256-bit vectors|threads?/);
    expect(await engine("--no-turbo")).not.toMatch(/256-bit|Node 24/);
  });

  test("--metrics and --history: a column for each; those over all rows only with --validation", async () => {
    const scratch = new Scratch();
    const args = ["train", "moons", "--epochs", "3", "--metrics", "accuracy,f1", "--history", "h.csv"];
    const { stderr } = await scratch.run(args);
    expect(stderr.replace(/\s+/g, " ")).toContain(
      "f1 needs all predictions at once and is measured on validation data: give --validation 0.2 to see it",
    );
    const [epoch] = (await scratch.json([...args, "--validation", "0.2"])).filter(({ event }) => event === "epoch");
    expect(epoch).toMatchObject({ validation: { accuracy: expect.any(Number), f1: expect.any(Number) } });
    const [head, ...rows] = read(scratch, "h.csv").toString().trimEnd().split("\n");
    expect(head).toBe("epoch,accuracy,loss,validation.accuracy,validation.loss,validation.f1,seconds,samplesPerSecond");
    expect(rows.length).toBe(3);
  });

  test("--class-weights balanced changes what is learnt", async () => {
    const scratch = new Scratch();
    scratch.write("fruit.csv", fruit(100));
    const args = ["train", "fruit.csv", "--target", "state", "--epochs", "2", "--quiet", "--out"];
    await scratch.run([...args, "a.safetensors"]);
    const { code } = await scratch.run([...args, "b.safetensors", "--class-weights", "balanced"]);
    expect(code).toBe(0);
    expect(read(scratch, "a.safetensors").equals(read(scratch, "b.safetensors"))).toBe(false);
  });

  test("--augment: the same seed the same bits, and a run that was stopped goes on to them, with its history", async () => {
    const scratch = new Scratch();
    writeIdx(scratch, "bars");
    const args = ["train", "bars", "--augment", "shift 2, rotate 10, flip, noise 5", "--epochs", "150", "--layers"];
    const whole = scratch.run([...args, "dense 8 relu", "--out", "whole.safetensors", "--quiet"]);
    const stopped = await scratch.run([...args, "dense 8 relu", "--out", "part.safetensors", "--history", "h.csv"], {
      watch: (stderr, child) => {
        if (/epoch +\d{2,}\/150/.test(stderr) && !stderr.includes("Stopping")) child.kill("SIGINT");
      },
    });
    expect(stopped.code).toBe(130);
    const resumed = await scratch.run(["train", "--resume", "part.checkpoint.safetensors"]);
    expect(resumed.stderr).toContain("images varied by shift 2, rotate 10, flip, noise 5");
    expect(resumed.code).toBe(0);
    expect((await whole).code).toBe(0);
    expect(read(scratch, "part.safetensors").equals(read(scratch, "whole.safetensors"))).toBe(true);
    const epochs = read(scratch, "h.csv").toString().trimEnd().split("\n").slice(1);
    expect(epochs.map((line) => Number(line.split(",")[0]))).toEqual(Array.from({ length: 150 }, (_, i) => i + 1));
  });

  test("warnings of columns come before the training, others after it, each with what to try; not with --quiet", async () => {
    const scratch = new Scratch();
    const rows = Array.from({ length: 60 }, (_, i) => `${i % 7},5,${(i * 3) % 11},${i % 7 > 3 ? "a" : "b"}`);
    scratch.write("t.csv", `x,same,z,y\n${rows.join("\n")}\n`);
    const args = ["train", "t.csv", "--target", "y", "--epochs", "2"];
    const { stderr } = await scratch.run(args);
    // What the columns show is said once, and before the training.
    expect(stderr).toMatch(
      /warning +Column "same" has the same value in all rows; leave it out: --ignore\s+same\.\s+epoch 1/,
    );
    expect((await scratch.json(args)).filter(({ event }) => event === "warning")).toMatchObject([
      { kind: "column", message: expect.stringContaining("--ignore same") },
    ]);
    const twice = ["train", "iris", "--layers", "dense 8 relu, dense 3 sigmoid", "--epochs", "2"];
    const after = await scratch.run(twice);
    expect(after.stderr).toMatch(/epoch 2\/2[\s\S]*^warning +dense_2 ends in sigmoid/m);
    expect(after.stderr.replace(/\s+/g, " ")).toContain("predict gives probabilities all the same");
    expect(await scratch.run([...args, "--quiet"])).toEqual({ code: 0, stdout: "", stderr: "" });
  });

  test.each([
    [["--augment", "shift 2"], /--augment is for images .* shape \[4\]/],
    [["--augment", "shfit 2"], /no change "shfit"\. Known are shift, rotate.*"shift"/],
    [["--augment", "shift 2, shift 3"], /says shift twice/],
    [["--augment", "flip sideways"], /direction is "sideways".*horizontal, vertical, both/],
    [["--metrics", "acuracy"], /no metric "acuracy"\. Known are accuracy.*Did you mean "accuracy"/],
    [["--history", "h.txt"], /\.csv or \.json/],
    [["--class-weights", "even"], /Allowed choices are balanced/],
    [["--early-stopping", "0"], /whole number above 0/],
  ] as const)("%j", async (args, says) => {
    const scratch = new Scratch();
    const { code, stderr } = await scratch.run(["train", "iris", ...args]);
    expect(stderr.replaceAll("\n", " ")).toMatch(says);
    expect(code).toBe(2);
    expect(scratch.list()).toEqual([]);
  });

  test("--class-weights is for classes", async () => {
    const { code, stderr } = await new Scratch().run(["train", "curve", "--class-weights", "balanced"]);
    expect(stderr).toContain("--class-weights is for classes");
    expect(code).toBe(2);
  });
});
