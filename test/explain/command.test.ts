/** `chainrule explain`: the report, one unit, one weight, a checkpoint, other forms, and what does not exist. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { Scratch } from "../cli/command.ts";

const scratch = new Scratch();
const MODEL = "iris.safetensors";

beforeAll(async () => {
  const { code, stderr } = await scratch.run(["train", "iris", "--epochs", "3", "--quiet"]);
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
