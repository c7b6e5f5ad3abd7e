/** `chainrule gradcheck` and `summary`: what they print fits in 80 columns, whatever the names and sizes. */
import { expect, test } from "vitest";
import { Scratch } from "./command.ts";

const widest = (text: string): number => Math.max(...text.split("\n").map((line) => [...line].length));

test("gradcheck: a table with a line for each parameter, and the verdict", async () => {
  const scratch = new Scratch();
  await scratch.run(["train", "iris", "--layers", "dense 2000 relu, dense 1000 tanh", "--epochs", "1", "--quiet"]);
  const { stdout, code } = await scratch.run(["gradcheck", "iris.safetensors", "iris", "--elements", "2"]);
  expect(code).toBe(0);
  expect(stdout).toContain("on 8 rows of iris");
  expect(stdout).toMatch(/^ +parameter +checked +worst at +∂L\/∂w +difference +error$/m);
  expect(stdout).toMatch(
    /^ok dense_2\.kernel +2 of 2,000,000 +\[\d+,\d+\] +-?\d\.\d{4}e[+-]\d+ +-?\d\.\d{4}e[+-]\d+ +\d\.\de/m,
  );
  expect(stdout).toMatch(/^All gradients agree: relative error at most \d\.\de-\d+, allowed 1e-6\.$/m);
  expect(widest(stdout)).toBeLessThanOrEqual(80);
  const random = await scratch.run(["gradcheck", "iris.safetensors", "--elements", "1", "--rows", "2"]);
  expect(random.stdout).toContain("on 2 rows of random numbers");
});

test("summary: many features are cut and broken between them", async () => {
  const scratch = new Scratch();
  const names = Array.from({ length: 30 }, (_, i) => `a_long_name_of_a_feature_${i}`);
  const rows = Array.from({ length: 20 }, (_, r) => [...names.map((_, i) => (r * 7 + i * 3) % 11), r * 0.5].join());
  scratch.write("t.csv", `${names.join()},y\n${rows.join("\n")}\n`);
  await scratch.run(["train", "t.csv", "--target", "y", "--epochs", "1", "--quiet"]);
  const { stdout } = await scratch.run(["summary", "t.safetensors"]);
  expect(widest(stdout)).toBeLessThanOrEqual(80);
  expect(stdout).toMatch(/^takes {7}a_long_name_of_a_feature_0, a_long_name_of_a_feature_1,$/m);
  expect(stdout).toContain("… (30)");
  expect(stdout).toMatch(/^trained {5}t\.csv, 1 epoch of adamw, batches of 16$/m);
});
