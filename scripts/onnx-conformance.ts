/**
 * Runs ONNX's own conformance cases: folders of `model.onnx` with inputs and the outputs that are right.
 *
 * Run: npm run onnx-conformance -- DIR [DIR …] [--backend reference|gradients] [--only NAME] [--write docs/onnx.md]
 *
 * A folder that holds cases, or folders of them. Each case becomes a graph of ours, is computed by the WebAssembly engine
 * (or by the reference), and compared as ONNX's runner does: relative 1e-3, absolute 1e-7; whole numbers exactly.
 * The last line says how many passed; the exit code is 1 where one failed.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { OPERATORS } from "../src/interchange/onnx/operators/index.ts";
import { compareCase, EXCUSED, type Outcome } from "./onnx-case.ts";

const args = process.argv.slice(2);
const option = (name: string): string | undefined => {
  const at = args.indexOf(name);
  return at < 0 ? undefined : args.splice(at, 2)[1];
};
const backend = option("--backend") ?? "wasm";
const only = option("--only");
const page = option("--write");

/** The folders at or below one that hold a case, in order. */
function* casesIn(folder: string): Generator<string> {
  if (existsSync(join(folder, "model.onnx"))) yield folder;
  else
    for (const entry of readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1)))
      if (entry.isDirectory()) yield* casesIn(join(folder, entry.name));
}

if (args.length === 0) {
  console.error("Usage: npm run onnx-conformance -- DIR [DIR …] [--backend reference|gradients] [--only NAME]");
  process.exit(2);
}

const tallies = new Map<string, { passed: number; total: number }>();
const failures: string[] = [];
for (const folder of args) {
  for (const path of casesIn(folder)) {
    const name = basename(path);
    if (only && !name.includes(only)) continue;
    const files = readdirSync(path, { recursive: true }) as string[];
    const outcome: Outcome = await compareCase((file) => readFileSync(join(path, file)), files, backend);
    const kind = basename(dirname(path));
    const tally = tallies.get(kind) ?? { passed: 0, total: 0 };
    tallies.set(kind, { passed: tally.passed + Number(outcome.passed), total: tally.total + 1 });
    if (outcome.passed) continue;
    console.log(`FAILED ${name}: ${outcome.reason}`);
    const unknown = /not known here: (.+?) \(/.exec(outcome.reason)?.[1];
    const reason = unknown ? `${unknown} is not known` : outcome.reason;
    failures.push(`- \`${name}\`: ${EXCUSED[name]?.why ?? reason}`);
  }
}
const all = [...tallies.values()];
const [passed, total] = (["passed", "total"] as const).map((key) => all.reduce((sum, tally) => sum + tally[key], 0));

if (page) {
  const rows = [...tallies].map(([kind, tally]) => `| ${kind} | ${tally.passed} of ${tally.total} |`);
  const operators = Object.keys(OPERATORS).sort();
  const text = [
    "| cases | passed |",
    "| --- | --- |",
    ...rows,
    "",
    failures.length > 0 ? "What does not pass:" : "All pass.",
    "",
    ...failures,
    "",
    `The ${operators.length} operators that are read, of versions 1 to 28: ${operators.join(", ")}. Functions that a file defines are too.`,
  ].join("\n");
  const [before, , after] = readFileSync(page, "utf8").split(/<!-- \/?cases -->/);
  writeFileSync(page, `${before}<!-- cases -->\n${text}\n<!-- /cases -->${after}`);
}
console.log(`${passed} of ${total} passed`);
process.exitCode = passed === total ? 0 : 1;
