/** `chainrule explain`: the report, one unit, one weight, a checkpoint, other forms, and what does not exist. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { decodeSafetensors } from "../../src/data/safetensors.ts";
import { Scratch } from "../cli/command.ts";

const scratch = new Scratch();
const MODEL = "iris.safetensors";

beforeAll(async () => {
  const { code, stderr } = await scratch.run(["train", "iris", "--optimizer", "adam", "--epochs", "3", "--quiet"]);
  expect(stderr).toBe("");
  expect(code).toBe(0);
});

const explain = (...args: string[]) => scratch.run(["explain", MODEL, "iris", ...args]);

test("the whole step, in 80 columns", async () => {
  const { stdout, code } = await explain("--sample", "3");
  expect(code).toBe(0);
  for (const part of ["FORWARD", "LOSS", "BACKWARD", "UPDATE"]) expect(stdout).toContain(part);
  for (const line of stdout.split("\n")) expect(line.length).toBeLessThanOrEqual(80);
});

test("a unit and a weight", async () => {
  const { stdout } = await explain("--unit", "dense_1[2]", "--weight", "dense_1.kernel[1,2]", "--follow", "1");
  expect(stdout).toContain("UNIT 2 of dense_1");
  expect(stdout).toContain("WEIGHT dense_1.kernel[1,2]");
  expect(stdout).toContain(": agrees, relative error");
});

test("the sample with its target and what the model says, under the number that was asked for", async () => {
  const { stdout } = await explain("--sample", "3", "--unit", "dense_1[2]");
  // The third row of iris is a setosa.
  expect(stdout).toMatch(
    /^SAMPLE 3 {2}of iris\n {4}sample {2}target {2}prediction +probability\n {4}3 +setosa +\w+ +\d/,
  );
  expect(stdout).toContain("UNIT 2 of dense_1  sample 3");
  const batch = (await explain("--sample", "11", "--batch", "10")).stdout;
  expect(batch).toMatch(/^SAMPLES 11 TO 20 {2}of iris$/m);
  expect(batch).toContain("2 more samples are in the batch");
  expect(batch).toContain("Of sample 11:");
  expect(batch).not.toContain("sample 0");
});

test("the prediction is the one of predict", async () => {
  const said = (await scratch.run(["predict", MODEL, "iris", "--sample", "60"])).stdout;
  const [, title, percent] = /row 60: (\S+) {2}(\d+\.\d %)/.exec(said)!;
  expect((await explain("--sample", "60")).stdout).toMatch(new RegExp(`^ +60 +versicolor +${title} +${percent}$`, "m"));
});

test("the input has its own letter, in the derivatives too", async () => {
  const { stdout } = await explain();
  expect(stdout).toContain("∂y/∂x = 1 / deviation");
  expect(stdout).not.toContain("x.y");
});

test("the update of the whole step satisfies its formulas, in numbers", async () => {
  const { stdout } = await explain("--digits", "9");
  const [, update] = stdout.split(/^UPDATE/m);
  expect(update).toMatch(/gradients here are the engine's, in single precision/);
  const number = (text: string) => Number(text.replaceAll("−", "-").replace(/[()]/g, ""));
  const one = /\n {2}dense_2\.bias\n[\s\S]*?Where the gradient is largest:\n([\s\S]*?)\n\n/.exec(update)![1];
  const flat = one.replace(/\n\s+/g, " ");
  const [, gradient, m] = /m′\[\d+\] = .* = 0\.9 · 0 \+ 0\.1 · (\S+) = (\S+)/.exec(flat)!;
  const [, v] = /v′\[\d+\] = .* = 0\.999 · 0 \+ 0\.001 · \S+² = (\S+)/.exec(flat)!;
  const [, w, after] = /bias′\[\d+\] = .* = (\S+) − \S+ · \S+ \/ \(.*\) = (\S+)$/.exec(flat)!;
  expect(number(m) / (0.1 * number(gradient))).toBeCloseTo(1, 6);
  expect(number(v) / (0.001 * number(gradient) ** 2)).toBeCloseTo(1, 6);
  // Adam's first step is the learning rate of the training, 0.01, against the sign of the gradient, but for ε.
  const dw = number(gradient);
  expect(number(w) - number(after)).toBeCloseTo((0.01 * dw) / (Math.abs(dw) + 1e-8), 7);
});

test("the optimiser and first learning rate of the training, unless others are said", async () => {
  const own = new Scratch();
  const train = ["train", "iris", "--epochs", "2", "--optimizer", "sgd momentum=0.9", "--learning-rate", "0.03"];
  await own.run([...train, "--quiet"]);
  const update = async (...more: string[]) =>
    (await own.run(["explain", MODEL, "iris", "--weight", "dense_1.bias[0]", ...more])).stdout;
  expect(await update()).toMatch(/Update {2}sgd, step 1\n +learningRate = 0\.03\n/);
  expect(await update("--learning-rate", "0.5")).toMatch(/Update {2}sgd, step 1\n +learningRate = 0\.5\n/);
  expect(await update("--optimizer", "adam")).toMatch(/Update {2}adam, step 1\n +learningRate = 0\.001\n/);
});

test("a checkpoint is explained at its own step, with the optimiser's state and the schedule's rate", async () => {
  const own = new Scratch();
  await own.run(
    ["train", "iris", "--optimizer", "adam", "--epochs", "90000", "--batch-size", "120", "--learning-rate", "0.02"],
    {
      watch: (stderr, child) => {
        if (/^epoch +\d\d\//m.test(stderr) && !stderr.includes("Stopping")) child.kill("SIGINT");
      },
    },
  );
  const file = "iris.checkpoint.safetensors";
  const json = async (...more: string[]) =>
    JSON.parse((await own.run(["explain", file, "iris", "--json", ...more])).stdout) as {
      step: { step: number; optimizer: { name: string; scalars: { learningRate: number } } };
      weights: { update: { state: { value: number }[]; before: number; after: number } }[];
    };
  const { step, weights } = await json("--weight", "dense_1.bias[0]");
  // One step per epoch: the step to come is the one after those done, on the cosine from 0.02 to 0 in 90,000 steps.
  expect(step.step).toBeGreaterThan(9);
  expect(step.optimizer.name).toBe("adam");
  const rate = 0.01 * (1 + Math.cos((Math.PI * (step.step - 1)) / 90_000));
  expect(step.optimizer.scalars.learningRate / rate).toBeCloseTo(1, 10);
  const { tensors } = decodeSafetensors(readFileSync(join(own.path, file)), file);
  const stored = ["m", "v"].map((name) => tensors.get(`optimizer.${name}.dense_1.bias`)!.data[0] as number);
  expect(weights[0].update.state.map(({ value }) => value)).toEqual(stored);
  expect(weights[0].update.before).toBe(tensors.get("dense_1.bias")!.data[0]);
  expect((await json("--step", "1")).step.step).toBe(1);
});

test("a loss on values takes labels as it was trained with them", async () => {
  const own = new Scratch();
  await own.run(["train", "iris", "--epochs", "2", "--loss", "hinge", "--quiet"]);
  const { stdout, code } = await own.run(["explain", MODEL, "iris", "--sample", "60"]);
  expect(code).toBe(0);
  // A versicolor: the second class is 1, the others −1.
  expect(stdout).toMatch(/target = \[−1, 1, −1\]/);
  expect((await own.run(["gradcheck", MODEL, "iris"])).code).toBe(0);
});

test("JSON, LaTeX, HTML, the plan, the graph", async () => {
  const json = JSON.parse((await explain("--json", "--weight", "dense_1.bias[0]")).stdout);
  expect(json).toMatchObject({ step: { format: 1, batchSize: 1 }, weights: [{ weight: { name: "dense_1.bias" } }] });
  expect((await explain("--latex")).stdout).toMatch(/^\\documentclass/);
  expect((await explain("--plan")).stdout).toMatch(/Nothing is\s+computed twice\./);
  expect((await explain("--graph", "mermaid")).stdout).toMatch(/^flowchart TD/);
  expect((await explain("--graph", "dot")).stdout).toMatch(/^digraph step/);
  expect((await explain("--html", "step.html", "--batch", "8")).stdout).toContain("step.html");
  expect(readFileSync(join(scratch.path, "step.html"), "utf8")).toMatch(/^<!doctype html>/);
});

test.each([
  [["--sample", "151"], 2, "There is no sample 151 in iris: its samples are 1 to 150."],
  [["--unit", "dense_9[0]"], 2, 'There is no layer "dense_9". This model has'],
  [["--unit", "dense_1"], 2, "Write it like dense_1[5]."],
  [["--weight", "dense_1.kernel[99,0]"], 2, "its elements are [0, 0] to"],
  [["--follow", "x"], 2, 'Give a whole number from 0 on, or "all".'],
  [["--html", "none/step.html"], 1, "none/step.html"],
])("%j is refused", async (args, code, message) => {
  const outcome = await explain(...args);
  expect(outcome.stderr).toContain(message);
  expect(outcome.code).toBe(code);
});
