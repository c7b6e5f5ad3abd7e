/**
 * Runs ONNX's own conformance cases: folders of `model.onnx` with inputs and the outputs that are right.
 *
 * Run: npm run onnx-conformance -- DIR [DIR …] [--backend reference] [--only NAME]
 *
 * A folder that holds cases, or folders of them. Each case becomes a graph of ours, is computed by the WebAssembly engine
 * (or by the reference), and compared as ONNX's runner does: relative 1e-3, absolute 1e-7; whole numbers exactly.
 * The last line says how many passed; the exit code is 1 where one failed.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { compareCase, type Outcome } from "./onnx-case.ts";

const args = process.argv.slice(2);
const option = (name: string): string | undefined => {
  const at = args.indexOf(name);
  return at < 0 ? undefined : args.splice(at, 2)[1];
};
const backend = option("--backend") ?? "wasm";
const only = option("--only");

/** The folders at or below one that hold a case, in order. */
function* casesIn(folder: string): Generator<string> {
  if (existsSync(join(folder, "model.onnx"))) yield folder;
  else
    for (const entry of readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1)))
      if (entry.isDirectory()) yield* casesIn(join(folder, entry.name));
}

if (args.length === 0) {
  console.error("Usage: npm run onnx-conformance -- DIR [DIR …] [--backend reference] [--only NAME]");
  process.exit(2);
}

let passed = 0;
let total = 0;
for (const folder of args) {
  for (const path of casesIn(folder)) {
    if (only && !basename(path).includes(only)) continue;
    const outcome: Outcome = await compareCase(
      (name) => readFileSync(join(path, name)),
      readdirSync(path, { recursive: true }) as string[],
      backend,
    );
    total++;
    if (outcome.passed) passed++;
    else console.log(`FAILED ${basename(path)}: ${outcome.reason}`);
  }
}
console.log(`${passed} of ${total} passed`);
process.exitCode = passed === total ? 0 : 1;
