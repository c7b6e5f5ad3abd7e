/**
 * `chainrule predict MODEL INPUT…`: what a model makes of new data. Rows of a table come out as CSV; pictures and
 * samples of a data set are drawn with the probabilities beside them.
 */
import type { Command } from "commander";
import type { BackendOptions } from "./backend.ts";
import { positiveWhole, rows } from "./options.ts";

export interface PredictOptions extends BackendOptions {
  readonly sample?: number[];
  readonly asIs?: boolean;
  readonly json?: boolean;
}

const HELP = `
INPUT is one or more of
  FILE.csv          rows with the columns of the training data ("-" reads them
                    from stdin); the predictions are written as CSV
  FILE.png, .jpg    a picture; for a model of handwritten digits of any size,
                    dark on light or light on dark
  DATA --sample N   rows of a data set, counted from 1: mnist --sample 7,8,9

Examples
  chainrule predict mnist.safetensors my-digit.png
  chainrule predict iris.safetensors new-flowers.csv > predictions.csv`;

export function register(program: Command): void {
  program
    .command("predict")
    .summary("use a trained model on new data")
    .description("Says what a trained model makes of new data.")
    .argument("<model>", "a file that train wrote")
    .argument("<input...>", "tables or pictures, see below")
    .option("--sample <numbers>", "take these rows of a data set, from 1", rows)
    .option("--as-is", "only resize pictures; do not cut out and centre the digit")
    .option("--threads <n>", "threads", positiveWhole)
    .option("--json", "write one JSON object per row")
    .addHelpText("after", HELP)
    .action(async (path: string, inputs: string[], options: PredictOptions) => {
      const { predict } = await import("./prediction.ts");
      await predict(path, inputs, options);
    });
}
