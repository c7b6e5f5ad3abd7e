#!/usr/bin/env node
/**
 * The command `chainrule`: its subcommands, and how it ends. Every failure comes out as one message and an exit code;
 * CHAINRULE_DEBUG=1 shows the stack as well. What a subcommand does is in its own file.
 */
import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { ChainruleError } from "../errors.ts";
import { EXIT, Interrupted, UsageError } from "./terminal/exit.ts";
import { painter, widthOf, wrapped } from "./terminal/text.ts";
import { errorText } from "./terminal/wording.ts";

const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  version: string;
};

const program = new Command("chainrule")
  .description("Train neural networks on your own data, test them, use them.")
  .version(version)
  .exitOverride()
  .configureOutput({ outputError: (text, write) => write(painter(process.stderr)("red", text)) })
  .addHelpText(
    "after",
    `
For a first network: chainrule train mnist

Exit codes
  0    done
  1    the work failed: bad data, a file, a run that diverged, a wrong gradient
  2    the command line was wrong
  130  stopped by Ctrl-C or a signal; train leaves a checkpoint`,
  );

/** The subcommands, in the order of the help. Each is read only where it is wanted, since reading all takes a while. */
const COMMANDS: Readonly<Record<string, () => Promise<{ register(program: Command): void }>>> = {
  studio: () => import("./commands/studio.ts"),
  train: () => import("./commands/train.ts"),
  evaluate: () => import("./commands/evaluate.ts"),
  predict: () => import("./commands/predict.ts"),
  cache: () => import("./commands/cache.ts"),
  generate: () => import("./commands/generate.ts"),
  summary: () => import("./commands/summary.ts"),
  explain: () => import("./commands/explain.ts"),
  import: () => import("./commands/import.ts"),
  export: () => import("./commands/export.ts"),
  gradcheck: () => import("./commands/gradcheck.ts"),
};

const wanted = process.argv[2];
for (const command of Object.hasOwn(COMMANDS, wanted) ? [COMMANDS[wanted]] : Object.values(COMMANDS))
  (await command()).register(program);

/** The exit code for what was thrown, after saying what it was. */
function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage; // it has spoken already
  const thrown = error instanceof Error ? error : new Error(String(error));
  const { name, stack } = thrown;
  const message = errorText(thrown);
  if (error instanceof Interrupted) {
    process.stderr.write(`${message}\n`);
    return EXIT.interrupted;
  }
  const isDeliberate = error instanceof UsageError || error instanceof ChainruleError;
  // Whole where a script reads it.
  const text = process.stderr.isTTY ? wrapped(`error: ${message}`, widthOf(process.stderr)) : `error: ${message}`;
  process.stderr.write(`${text.replace("error:", (word) => painter(process.stderr)("red", word))}\n`);
  if (process.env.CHAINRULE_DEBUG) process.stderr.write(`${stack}\n`);
  else if (!isDeliberate) process.stderr.write("This should not happen. CHAINRULE_DEBUG=1 shows where it did.\n");
  const { code, facts } = error instanceof ChainruleError ? error : { code: "usage", facts: {} };
  if (process.argv.includes("--json"))
    process.stdout.write(`${JSON.stringify({ event: "error", name, code, facts, message })}\n`);
  return error instanceof UsageError || name === "ArgumentError" ? EXIT.usage : EXIT.failed;
}

// Whoever reads our output may stop early, as `head` does.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  process.exit(error.code === "EPIPE" ? EXIT.done : EXIT.failed);
});

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}
