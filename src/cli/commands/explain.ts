/** `chainrule explain MODEL DATA`: one training step of a model, opened up. */
import { type Command, InvalidArgumentError } from "commander";
import { type Dataset, decodeSafetensors, take } from "../../data/index.ts";
import { readFile, writeFileAtomically } from "../../data/node.ts";
import {
  type Block,
  dot,
  type Explanation,
  explain,
  htmlPage,
  type Inline,
  latexDocument,
  mermaid,
  planReport,
  reportText,
  stepReport,
  unitReport,
  weightReport,
} from "../../explain/index.ts";
import {
  cosineDecay,
  type Data,
  exponentialDecay,
  type LearningRate,
  type Loss,
  type Model,
  type Optimizer,
  oneCycle,
  optimizerNamed,
  reduceOnPlateau,
  stepDecay,
  warmup,
} from "../../index.ts";
import { batchOf } from "../data/first-rows.ts";
import { readDataFor } from "../data/sources.ts";
import type { Details } from "../model/metadata.ts";
import { openDataModel } from "../model/open-model.ts";
import type { BackendOptions } from "../options/backend.ts";
import { readLoss } from "../options/losses.ts";
import { readOptimizer } from "../options/optimizers.ts";
import { positiveNumber, positiveWhole } from "../options/values.ts";
import { trainedLoss } from "../report/scores.ts";
import { UsageError } from "../terminal/exit.ts";
import { name, percent, widthOf } from "../terminal/text.ts";

interface ExplainCommandOptions extends BackendOptions {
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
      await explainCommand(path, source, options);
    });
}

async function explainCommand(path: string, source: string, options: ExplainCommandOptions): Promise<void> {
  const { model, details } = await openDataModel(path, options);
  try {
    const data = await readDataFor(source, details, model.inputShape);
    const loss = options.loss === undefined ? trainedLoss(model, details.task) : readLoss(options.loss);
    const batch = rowsOf(data, model, loss, source, options);
    const step = await explain(model, batch, { loss, ...(await trainingOf(path, model, details, options)) });
    const answers = await answersOf(model, details, data, source, options);
    await write(step, answers, options, path, source);
  } finally {
    model.close();
  }
}

/** The rows that make the batch. */
function rowsOf(
  data: Dataset,
  model: Model,
  loss: Loss,
  source: string,
  { sample, batch }: ExplainCommandOptions,
): Data {
  if (sample + batch - 1 > data.count) {
    const wanted = batch === 1 ? `sample ${sample}` : `samples ${sample} to ${sample + batch - 1}`;
    throw new UsageError(`There is no ${wanted} in ${source}: its samples are 1 to ${data.count}.`);
  }
  return batchOf(data, model, loss, batch, sample - 1);
}

/** The most samples whose answers are told. */
const MOST_ANSWERS = 8;

/** What is right for the samples of the batch, and what the model says without dropout. */
async function answersOf(
  model: Model,
  { classes }: Details,
  data: Dataset,
  source: string,
  { sample, batch }: ExplainCommandOptions,
): Promise<Block> {
  const shown = Math.min(batch, MOST_ANSWERS);
  const some = take(
    data,
    Array.from({ length: shown }, (_, i) => sample - 1 + i),
  );
  const said = classes ? await model.classify(some.x) : undefined;
  const values = said ? said.probabilities : await model.predict(some.x);
  const width = values.length / shown;
  const rows = Array.from({ length: shown }, (_, i): Inline[] => {
    if (!classes || !said) return [sample + i, some.y[(i * some.y.length) / shown], values[i * width]];
    const own = said.classes[i];
    const title = name(classes[own], 24);
    return [sample + i, name(classes[some.y[i]], 24), title, percent(values[i * width + own], 1)];
  });
  const columns = ["sample", "target", "prediction", ...(classes ? ["probability"] : [])];
  const more = batch > shown ? `${batch - shown} more samples are in the batch` : "";
  const table: Block = { kind: "table", columns, rows: rows.map(([n, ...rest]) => [String(n), ...rest]), totals: [] };
  const title = batch === 1 ? `Sample ${sample}` : `Samples ${sample} to ${sample + batch - 1}`;
  const blocks: Block[] = [table, ...(more ? [{ kind: "line", parts: [more] } as const] : [])];
  return { kind: "section", title, summary: `of ${name(source, 50)}`, level: 1, blocks };
}

interface CheckpointDetails {
  readonly settings?: { readonly optimizer?: { readonly name?: unknown } & Record<string, unknown> };
  readonly position?: { readonly step?: unknown; readonly schedule?: Record<string, number> };
}

/** The optimiser, its state and the step: of the checkpoint, if the file is one and nothing else is said. */
async function trainingOf(path: string, model: Model, details: Details, options: ExplainCommandOptions) {
  const { optimizer, learningRate, step } = options;
  const asked = optimizer !== undefined || learningRate !== undefined || step !== undefined;
  const training = model.details.training as CheckpointDetails | undefined;
  const done = training?.position?.step;
  if (asked || typeof done !== "number") {
    // Another optimiser than the one of the training has a usual rate of its own.
    const rate = learningRate ?? (optimizer === undefined ? details.learningRate : undefined);
    return {
      optimizer: readOptimizer(optimizer ?? details.optimizer ?? "adam")(rate),
      ...(step !== undefined && { step }),
    };
  }
  const { tensors } = decodeSafetensors(await readFile(path), path);
  const state = [...tensors].flatMap(([name, { data }]) =>
    name.startsWith("optimizer.") ? [[name.slice("optimizer.".length), Array.from(data, Number)] as const] : [],
  );
  return {
    optimizer: optimizerOf(training?.settings?.optimizer, path),
    step: done + 1,
    state: Object.fromEntries(state),
    ...(training?.position?.schedule && { schedule: training.position.schedule }),
  };
}

/** The schedules that a checkpoint can name, made again from what it says of them. */
const SCHEDULES: Readonly<Record<string, (config: never) => LearningRate>> = {
  constant: ({ learningRate }: { learningRate: number }) => learningRate,
  stepDecay,
  exponentialDecay,
  cosineDecay,
  oneCycle,
  warmup: ({ steps, next }: { steps: number; next: ScheduleConfig }) => warmup({ steps, next: scheduleOf(next) }),
  reduceOnPlateau: ({ learningRate, ...rest }: { learningRate: ScheduleConfig }) =>
    reduceOnPlateau({ ...rest, learningRate: scheduleOf(learningRate) }),
};

type ScheduleConfig = number | { readonly kind: string };

function scheduleOf(config: ScheduleConfig): LearningRate {
  if (typeof config === "number") return config;
  const { kind, ...options } = config;
  if (Object.hasOwn(SCHEDULES, kind)) return SCHEDULES[kind](options as never);
  throw new UsageError(
    `The checkpoint's learning rate follows "${kind}", which a file cannot hold. Say --optimizer and --learning-rate.`,
  );
}

function optimizerOf(settings: NonNullable<CheckpointDetails["settings"]>["optimizer"], path: string): Optimizer {
  const { name, learningRate, ...config } = settings ?? {};
  if (typeof name !== "string") throw new UsageError(`${path} does not say its optimiser. Say --optimizer.`);
  return optimizerNamed(name, { ...config, learningRate: scheduleOf(learningRate as ScheduleConfig) });
}

/** `dense_2.kernel[17,4]` → the name and the place. */
function placeOf(text: string, option: string, example: string): { name: string; index: number[] } {
  const match = /^([^[\]\s]+)\[\s*(\d+(?:\s*,\s*\d+)*)\s*\]$/.exec(text.trim());
  if (!match) throw new UsageError(`${option} "${text}" cannot be read. Write it like ${example}.`);
  return { name: match[1], index: match[2].split(",").map(Number) };
}

async function write(
  step: Explanation,
  answers: Block,
  options: ExplainCommandOptions,
  path: string,
  source: string,
): Promise<void> {
  const title = `sample ${options.sample}`;
  const detail = { terms: options.terms, follow: options.follow };
  const units = options.unit.map((text) => {
    const { name, index } = placeOf(text, "--unit", "dense_1[5]");
    return step.unit(name, index, detail);
  });
  const weights = options.weight.map((text) => {
    const { name, index } = placeOf(text, "--weight", "dense_2.kernel[17,4]");
    return step.weight(name, index, detail);
  });
  const parts: Block[] = [...units.flatMap((unit) => unitReport(unit, title)), ...weights.flatMap(weightReport)];
  const { digits } = options;
  if (options.html !== undefined) {
    const page = htmlPage([answers, ...stepReport(step, 0, title), ...parts, ...planReport(step.plan())], {
      title: `One training step of ${path} on ${source}, ${title}`,
      digits,
    });
    await writeFileAtomically(options.html, new TextEncoder().encode(page));
  }
  const print = (text: string): void => void process.stdout.write(`${text}\n`);
  if (options.json) {
    const json = { step, units, weights, ...(options.plan && { plan: step.plan() }) };
    print(JSON.stringify(json));
    return;
  }
  if (options.graph) {
    const draw = options.graph === "dot" ? dot : mermaid;
    print(draw(step, { values: options.values === true }));
    return;
  }
  const plan = options.plan ? planReport(step.plan()) : [];
  const told = parts.length + plan.length > 0 ? [...parts, ...plan] : stepReport(step, 0, title);
  const blocks = parts.length === 0 && plan.length > 0 ? told : [answers, ...told];
  if (options.latex) print(latexDocument(blocks, { digits }).trimEnd());
  else if (options.html === undefined) {
    const { stdout } = process;
    const color = stdout.isTTY === true && stdout.hasColors();
    print(reportText(blocks, { width: widthOf(stdout), color, digits }));
  } else print(`${options.html}: open it in a browser.`);
}
