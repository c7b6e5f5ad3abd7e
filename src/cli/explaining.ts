/** What `chainrule explain` does: reads model and rows, explains the step, writes it in the form asked for. */
import { decodeSafetensors } from "../data/index.ts";
import { readFile, writeFileAtomically } from "../data/node.ts";
import {
  type Block,
  dot,
  type Explanation,
  explain,
  htmlPage,
  latexDocument,
  mermaid,
  planReport,
  reportText,
  stepReport,
  unitReport,
  weightReport,
} from "../explain/index.ts";
import { type Data, type Model, type Optimizer, optimizerNamed } from "../index.ts";
import { readDataFor } from "./data.ts";
import { UsageError } from "./errors.ts";
import type { ExplainCommandOptions } from "./explain.ts";
import { openModel } from "./open-model.ts";
import { readOptimizer } from "./optimizers.ts";
import { widthOf } from "./terminal.ts";

export async function explainCommand(path: string, source: string, options: ExplainCommandOptions): Promise<void> {
  const { model, details } = await openModel(path, options);
  try {
    const data = await readDataFor(source, details, model.inputShape);
    const step = await explain(model, rowsOf(data, source, options), {
      ...(options.loss !== undefined && { loss: options.loss }),
      ...(await trainingOf(path, model, options)),
    });
    await write(step, options, path, source);
  } finally {
    model.close();
  }
}

/** The rows that make the batch. */
function rowsOf(
  data: Awaited<ReturnType<typeof readDataFor>>,
  source: string,
  { sample, batch }: ExplainCommandOptions,
): Data {
  if (sample + batch - 1 > data.count) {
    const wanted = batch === 1 ? `sample ${sample}` : `samples ${sample} to ${sample + batch - 1}`;
    throw new UsageError(`There is no ${wanted} in ${source}: its samples are 1 to ${data.count}.`);
  }
  const take = <A extends { slice(from: number, to: number): A; length: number }>(values: A): A => {
    const size = values.length / data.count;
    return values.slice((sample - 1) * size, (sample - 1 + batch) * size);
  };
  return { x: take(data.x), y: take(data.y) };
}

interface CheckpointDetails {
  readonly settings?: { readonly optimizer?: { readonly name?: unknown } & Record<string, unknown> };
  readonly position?: { readonly step?: unknown; readonly schedule?: Record<string, number> };
}

/** The optimiser, its state and the step: of the checkpoint, if the file is one and nothing else is said. */
async function trainingOf(path: string, model: Model, options: ExplainCommandOptions) {
  const { optimizer, learningRate, step } = options;
  const asked = optimizer !== undefined || learningRate !== undefined || step !== undefined;
  const training = model.details.training as CheckpointDetails | undefined;
  const done = training?.position?.step;
  if (asked || typeof done !== "number") {
    return {
      optimizer: readOptimizer(optimizer ?? "adam")(learningRate),
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

function optimizerOf(settings: NonNullable<CheckpointDetails["settings"]>["optimizer"], path: string): Optimizer {
  const { name, ...config } = settings ?? {};
  if (typeof name !== "string" || typeof config.learningRate !== "number") {
    throw new UsageError(
      `${path} was trained with a learning rate that changes, which the file does not hold as a number. Say --optimizer and --learning-rate.`,
    );
  }
  return optimizerNamed(name, config);
}

/** `dense_2.kernel[17,4]` → the name and the place. */
function placeOf(text: string, option: string, example: string): { name: string; index: number[] } {
  const match = /^([^[\]\s]+)\[\s*(\d+(?:\s*,\s*\d+)*)\s*\]$/.exec(text.trim());
  if (!match) throw new UsageError(`${option} "${text}" cannot be read. Write it like ${example}.`);
  return { name: match[1], index: match[2].split(",").map(Number) };
}

async function write(step: Explanation, options: ExplainCommandOptions, path: string, source: string): Promise<void> {
  const detail = { terms: options.terms, follow: options.follow };
  const units = options.unit.map((text) => {
    const { name, index } = placeOf(text, "--unit", "dense_1[5]");
    return step.unit(name, index, detail);
  });
  const weights = options.weight.map((text) => {
    const { name, index } = placeOf(text, "--weight", "dense_2.kernel[17,4]");
    return step.weight(name, index, detail);
  });
  const parts: Block[] = [...units.flatMap(unitReport), ...weights.flatMap(weightReport)];
  const { digits } = options;
  if (options.html !== undefined) {
    const title = `One training step of ${path} on ${source}, sample ${options.sample}`;
    const page = htmlPage([...stepReport(step), ...parts, ...planReport(step.plan())], { title, digits });
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
  const blocks = parts.length + plan.length > 0 ? [...parts, ...plan] : stepReport(step);
  if (options.latex) print(latexDocument(blocks, { digits }).trimEnd());
  else if (options.html === undefined) {
    const { stdout } = process;
    const color = stdout.isTTY === true && stdout.hasColors();
    print(reportText(blocks, { width: widthOf(stdout), color, digits }));
  } else print(`${options.html}: open it in a browser.`);
}
