/** `chainrule train DATA --from MODEL`: going on with what a model has learnt, on the same data or on others like them. */
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { dense, sequential } from "chainrule";
import { iris } from "chainrule/data";
import { describe, expect, test } from "vitest";
import { fruit, Scratch } from "./command.ts";

type Epoch = { event: string; epoch: number; loss: number };
const losses = (events: readonly Record<string, unknown>[]) =>
  (events as Epoch[]).filter(({ event }) => event === "epoch").map(({ loss }) => loss);

describe.concurrent("going on from a trained model", () => {
  test("on the same data: at a tenth of the rate, with the same rows held out, under a new name", async () => {
    const scratch = new Scratch();
    const first = await scratch.json(["train", "iris", "--epochs", "40", "--seed", "5", "--test", "0.3"]);
    const before = readFileSync(join(scratch.path, "iris.safetensors"));
    const more = await scratch.json(["train", "iris", "--from", "iris.safetensors", "--epochs", "3"]);
    expect(losses(more)[0]).toBeLessThan(0.5 * losses(first)[0]);
    expect(more[0]).toMatchObject({ seed: 5, testRows: 45, optimizer: { learningRate: { learningRate: 0.001 } } });
    expect(scratch.list()).toEqual(["iris-continued.safetensors", "iris.safetensors"]);
    expect(readFileSync(join(scratch.path, "iris.safetensors"))).toEqual(before);
    const { stdout } = await scratch.run(["summary", "iris-continued.safetensors"]);
    expect(stdout.replace(/\s+/g, " ")).toContain("40 epochs of adamw, batches of 16; then iris, 3 epochs of adamw");
    const { stderr } = await scratch.run([
      "train",
      "iris",
      "--from",
      "iris.safetensors",
      "--epochs",
      "1",
      "--seed",
      "6",
    ]);
    expect(stderr.replace(/\s+/g, " ")).toContain("the model has learnt from some of the rows now held out");
  });

  test("a table is read by the columns that the model knows", async () => {
    const scratch = new Scratch();
    scratch.write("fruit.csv", fruit(60));
    // Other rows, the columns in another order, and one of the two colours only.
    const [, ...rows] = fruit(90).trimEnd().split("\n").slice(60);
    const green = rows.map((row) => row.split(",")).filter(([, , colour]) => colour === "green");
    const lines = green.map(([size, weight, colour, state]) => [state, colour, weight, size].join(","));
    scratch.write("more.csv", `state,colour,weight,size\n${lines.join("\n")}\n`);
    await scratch.run(["train", "fruit.csv", "--target", "state", "--epochs", "60"]);
    const before = await scratch.json(["evaluate", "fruit.safetensors", "more.csv"]);
    const { code, stderr } = await scratch.run(["train", "more.csv", "--from", "fruit.safetensors", "--epochs", "2"]);
    expect({ code, stderr }).toMatchObject({ code: 0 });
    const after = await scratch.json(["evaluate", "more-continued.safetensors", "more.csv", "--all"]);
    const scores = [before, after].map(([event]) => (event as { test: { accuracy: number } }).test.accuracy);
    expect(scores[0]).toBeGreaterThan(0.8);
    expect(scores[1]).toBeGreaterThan(0.8);
  });

  test("a run that was stopped goes on without the model's file, and ends with the same bytes", async () => {
    const scratch = new Scratch();
    await scratch.run(["train", "spirals", "--epochs", "5", "--layers", "dense 16 relu, dropout 0.1"]);
    const args = ["train", "spirals", "--from", "spirals.safetensors", "--epochs", "4000", "--out"];
    const whole = await scratch.run([...args, "whole.safetensors", "--quiet"]);
    expect(whole.code).toBe(0);
    const stopped = await scratch.run([...args, "part.safetensors"], {
      watch: (stderr, child) => {
        if (/epoch +\d{2,}\/4000/.test(stderr) && !stderr.includes("Stopping")) child.kill("SIGINT");
      },
    });
    expect(stopped.code).toBe(130);
    rmSync(join(scratch.path, "spirals.safetensors"));
    const resumed = await scratch.run(["train", "--resume", "part.checkpoint.safetensors"]);
    expect(resumed).toMatchObject({ code: 0 });
    const bytes = (name: string) => readFileSync(join(scratch.path, name), "base64");
    expect(bytes("part.safetensors")).toBe(bytes("whole.safetensors"));
  });

  test("a model of the API, whose rate is not known, goes on and is resumed", async () => {
    const scratch = new Scratch();
    const model = sequential({ input: [4], seed: 2 }, [dense(8, { activation: "tanh" }), dense(3)]);
    await model.fit(iris(), { loss: "crossEntropy", epochs: 2 });
    await model.save(join(scratch.path, "api.safetensors"));
    const stopped = await scratch.run(["train", "iris", "--from", "api.safetensors", "--epochs", "3000"], {
      watch: (stderr, child) => {
        if (/epoch +\d{2,}\/3000/.test(stderr) && !stderr.includes("Stopping")) child.kill("SIGINT");
      },
    });
    expect(stopped.code).toBe(130);
    const resumed = await scratch.run(["train", "--resume", "iris-continued.checkpoint.safetensors"]);
    expect(resumed).toMatchObject({ code: 0 });
    expect(resumed.stderr).toMatch(/epoch 3000\/3000/);
  });

  test("the model that is gone on from is never replaced unasked, and what is tried next works", async () => {
    const scratch = new Scratch();
    scratch.write("fruit.csv", fruit(60));
    await scratch.run(["train", "fruit.csv", "--target", "state", "--epochs", "3"]);
    const next = (from: string) => scratch.run(["train", "fruit.csv", "--from", from, "--epochs", "2"]);
    expect((await next("fruit.safetensors")).stdout).toMatch(/train fruit\.csv --target state \\?\s*--layers/);
    await next("fruit-continued.safetensors");
    await next("fruit.safetensors");
    const models = ["", "-continued", "-continued-2", "-continued-3"].map((end) => `fruit${end}.safetensors`);
    expect(scratch.list()).toEqual(["fruit.csv", ...models].sort());
  });

  test("rows for the test are read as the model's, decimal commas too", async () => {
    const scratch = new Scratch();
    const rows = Array.from({ length: 40 }, (_, i) => `${i},5;${3 * i},25`);
    scratch.write("a.csv", `x;y\n${rows.join("\n")}\n`);
    scratch.write("b.csv", `x;y\n${rows.slice(0, 9).join("\n")}\n`);
    await scratch.run(["train", "a.csv", "--target", "y", "--decimal", "comma", "--epochs", "3", "--test", "b.csv"]);
    const more = await scratch.run(["train", "a.csv", "--from", "a.safetensors", "--epochs", "1", "--test", "b.csv"]);
    expect(more).toMatchObject({ code: 0 });
    expect(more.stderr).toMatch(/9 rows, from b\.csv/);
  });

  test("what does not fit is refused", async () => {
    const scratch = new Scratch();
    await scratch.run(["train", "xor", "--epochs", "2"]);
    const refused = async (args: readonly string[], code: number, message: RegExp) => {
      const outcome = await scratch.run(["train", ...args]);
      expect(outcome.stderr.replace(/\s+/g, " ")).toMatch(message);
      expect(outcome.code).toBe(code);
    };
    const from = ["--from", "xor.safetensors"];
    await refused(["iris", ...from], 1, /a row has shape \[4\], but the model takes \[2\]/);
    await refused(["xor", ...from, "--layers", "dense 2"], 2, /--layers and --from each say what the network is/);
    await refused(
      ["xor", ...from, "--task", "regression"],
      2,
      /--task: with --from, data are read as the model takes them/,
    );
    await refused(
      ["xor", ...from, "--loss", "crossEntropy"],
      2,
      /crossEntropy needs 2 outputs, but the model .* has 1/,
    );
    await refused(["xor", "--from", "none.safetensors"], 1, /Cannot read none\.safetensors/);
    await refused(["curve", ...from], 1, /a row has shape \[1\], but the model takes \[2\]/);
  });
});
