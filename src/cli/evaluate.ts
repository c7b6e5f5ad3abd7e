/** `chainrule evaluate MODEL DATA`: how good a saved model is on a data set. */
import type { Command } from "commander";
import type { BackendOptions } from "./backend.ts";
import { positiveWhole } from "./options.ts";

interface EvaluateOptions extends BackendOptions {
  readonly json?: boolean;
}

export function register(program: Command): void {
  program
    .command("evaluate")
    .summary("test a trained model on a data set")
    .description("Tests a trained model on a data set, which takes the forms that train takes.")
    .argument("<model>", "a file that train wrote")
    .argument("<data>", "mnist, a table with the target's column, a directory; of two parts the test part")
    .option("--threads <n>", "threads", positiveWhole)
    .option("--json", "write the result as one JSON object")
    .action(evaluate);
}

async function evaluate(path: string, source: string, options: EvaluateOptions): Promise<void> {
  const [{ openModel }, { readDataFor }, { measureModel, jsonScores }, { scoreLines }, terminal] = await Promise.all([
    import("./open-model.ts"),
    import("./data.ts"),
    import("./scores.ts"),
    import("./report.ts"),
    import("./terminal.ts"),
  ]);
  const { model, details } = await openModel(path, options);
  try {
    const data = await readDataFor(source, details, model.inputShape);
    const scores = await measureModel(model, data);
    const lines = options.json
      ? [JSON.stringify({ event: "done", test: jsonScores(scores), model: path, data: source })]
      : scoreLines(source, scores, details.classes ?? [], {
          paint: terminal.painter(process.stdout),
          width: terminal.widthOf(process.stdout),
        });
    process.stdout.write(`${lines.join("\n")}\n`);
  } finally {
    model.close();
  }
}
