/** Operators that ONNX's cases beside the project do not have, against its reference evaluator: test/fixtures/onnx-operators.py makes the cases. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { compareCase } from "../../scripts/onnx-case.ts";

const CASES: Readonly<Record<string, Readonly<Record<string, string>>>> = JSON.parse(
  readFileSync(join(import.meta.dirname, "../fixtures/onnx-operators.json"), "utf8"),
);

/** Where a derivative jumps: at rounded places, and at the largest of several. */
const KINKS = /nearest|roialign_max|quantizelinear_blocked|^qlinear/;

test.each(["wasm", "reference", "gradients"])("operators of one case each: %s", async (backend) => {
  const failed: string[] = [];
  for (const [name, files] of Object.entries(CASES)) {
    if (backend === "gradients" && KINKS.test(name)) continue;
    const read = (file: string): Uint8Array => Buffer.from(files[file], "base64");
    const { passed, reason } = await compareCase(read, Object.keys(files), backend);
    if (!passed) failed.push(`${name}: ${reason}`);
  }
  expect(failed).toEqual([]);
});
