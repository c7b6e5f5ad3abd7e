/** `chainrule explain MODEL DATA`: one training step of a model, opened up. */
import { type Command, InvalidArgumentError } from "commander";
import type { BackendOptions } from "./backend.ts";
import { positiveNumber, positiveWhole } from "./options.ts";

export interface ExplainCommandOptions extends BackendOptions {
  readonly sample: number;
  readonly batch: number;
  readonly weight: readonly string[];
  readonly unit: readonly string[];
  readonly follow: number;
  readonly terms: number;
  readonly digits: number;
  readonly loss?: string;
  readonly optimizer?: string;
  readonly learningRate?: number;
  readonly step?: number;
  readonly plan?: boolean;
  readonly graph?: "mermaid" | "dot";
  readonly values?: boolean;
  readonly json?: boolean;
  readonly latex?: boolean;
  readonly html?: string;
}

const HELP = `
Without --weight, --unit, --plan or --graph the whole step is told: forward,
loss, backward, update. It is told as if the model were trained on with these
rows: a model as at step 1, with the optimiser and the first learning rate of
its training, a checkpoint at its own step, with the optimiser's state.
Samples are counted from 1, as lines of data are; places in arrays from 0.

Examples
  chainrule explain mnist.safetensors mnist --sample 7
  chainrule explain mnist.safetensors mnist --weight "dense_2.kernel[17,4]"
  chainrule explain mnist.safetensors mnist --unit "dense_1[5]" --follow 1
  chainrule explain mnist.safetensors mnist --batch 64 --html step.html`;

const collected = (value: string, before: readonly string[]): string[] => [...before, value];

function depth(text: string): number {
  if (text === "all") return Number.POSITIVE_INFINITY;
  const value = Number(text);
  if (/^\d+$/.test(text)) return value;
  throw new InvalidArgumentError('Give a whole number from 0 on, or "all".');
}

function graphForm(text: string): "mermaid" | "dot" {
  if (text === "mermaid" || text === "dot") return text;
  throw new InvalidArgumentError("Choose mermaid or dot.");
}

export function register(program: Command): void {
  program
    .command("explain")
    .summary("show every number of one training step")
    .description("Opens one training step of a model: forward, loss, backward, update, with every number.")
    .argument("<model>", "a file that train wrote")
    .argument("<data>", "mnist, a table with the target's column, a directory; of two parts the test part")
    .option("--sample <n>", "the row of the data to look at, from 1", positiveWhole, 1)
    .option("--batch <n>", "take so many rows, from that one on, as the batch", positiveWhole, 1)
    .option("--weight <name>", "one weight, such as dense_2.kernel[17,4]; may be given several times", collected, [])
    .option("--unit <name>", "one unit, such as dense_1[5]; may be given several times", collected, [])
    .option("--follow <n>", "follow gradients so many sums back towards the loss, or all", depth, 0)
    .option("--terms <n>", "list so many terms of each sum", positiveWhole, 8)
    .option("--digits <n>", "significant digits of numbers", positiveWhole, 6)
    .option("--loss <name>", "the loss; the one the model was trained with")
    .option("--optimizer <name>", "the optimiser, as train takes it; the one of its training")
    .option("--learning-rate <rate>", "its learning rate; the first one of its training", positiveNumber)
    .option("--step <n>", "which step of training this is, for bias corrections and dropout; 1", positiveWhole)
    .option("--plan", "the plan: passes over memory, with their cost")
    .option("--graph <form>", "the graph of the step as mermaid or dot", graphForm)
    .option("--values", "with the range of values at each node of the graph")
    .option("--threads <n>", "threads", positiveWhole)
    .option("--json", "write the description as one JSON object")
    .option("--latex", "write a LaTeX document")
    .option("--html <file>", "write a page that any browser shows, without network")
    .addHelpText("after", HELP)
    .action(async (path: string, source: string, options: ExplainCommandOptions) => {
      const { explainCommand } = await import("./explaining.ts");
      await explainCommand(path, source, options);
    });
}
