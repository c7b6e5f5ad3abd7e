/** `chainrule gradcheck MODEL [DATA]`: proves a model's gradients against finite differences, in float64. */
import type { Command } from "commander";
import { positiveWhole } from "./options.ts";

interface GradcheckOptions {
  readonly rows: number;
  readonly elements: number;
  readonly json?: boolean;
}

export function register(program: Command): void {
  program
    .command("gradcheck")
    .summary("compare a model's gradients with finite differences")
    .description(
      "Compares the gradient of every parameter with central finite differences in float64, on the first rows of a data set, or on random numbers if none is given.",
    )
    .argument("<model>", "a file that train wrote")
    .argument("[data]", "what train takes")
    .option("--rows <n>", "rows of the batch", positiveWhole, 8)
    .option("--elements <n>", "elements checked of each parameter", positiveWhole, 20)
    .option("--json", "write the result as one JSON object")
    .action(gradcheckModel);
}

async function gradcheckModel(path: string, source: string | undefined, options: GradcheckOptions): Promise<void> {
  const [{ openModel }, { readDataFor }, { gradcheck }, { batchOf, randomBatch }, { EXIT }] = await Promise.all([
    import("./open-model.ts"),
    import("./data.ts"),
    import("../index.ts"),
    import("./batch.ts"),
    import("./errors.ts"),
  ]);
  const { model, details } = await openModel(path, { threads: 1 });
  try {
    const batch = source
      ? batchOf(await readDataFor(source, details, model.inputShape), options.rows)
      : randomBatch(model, options.rows);
    const report = await gradcheck(model, batch, { elements: options.elements });
    process.stdout.write(`${options.json ? JSON.stringify({ event: "done", ...report, model: path }) : report}\n`);
    if (!report.passed) process.exitCode = EXIT.failed;
  } finally {
    model.close();
  }
}
