/**
 * The work of `chainrule train`, from data to saved model and report. Choosing is in recipe.ts, reading in data.ts,
 * showing in progress.ts and report.ts. A run that stops early leaves a checkpoint and says how to go on.
 */
import { rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { type Dataset, split } from "../data/index.ts";
import { checkWritable } from "../data/node.ts";
import { DivergenceError, type EpochReport, FileError, type Model, sequential } from "../index.ts";
import { type BackendOptions, chooseBackend } from "./backend.ts";
import { checkpointOf } from "./checkpoint.ts";
import { type ReadOptions, readDataFor, readTrainingData, type TrainingData } from "./data.ts";
import type { Details } from "./details.ts";
import { EXIT, Interrupted, UsageError } from "./errors.ts";
import { targetsFor } from "./losses.ts";
import { Display } from "./progress.ts";
import { chooseRecipe, type Recipe, type RecipeOptions } from "./recipe.ts";
import { scoreLines } from "./report.ts";
import { jsonScores, measureModel, type TestScores } from "./scores.ts";
import {
  commandName,
  count,
  duration,
  fileSize,
  measure,
  name,
  painter,
  percent,
  plural,
  quote,
  sparkline,
  widthOf,
} from "./terminal.ts";

export interface TrainOptions extends RecipeOptions, ReadOptions, BackendOptions {
  readonly validation?: number;
  readonly test?: string;
  readonly seed?: number;
  readonly out?: string;
  readonly resume?: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

export async function train(source: string, options: TrainOptions): Promise<void> {
  const display = new Display(options);
  const { target, task, missing, ignore, imageSize, seed = 0 } = options;
  const given = { target, task, missing, ignore, imageSize };
  const reading = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const data = await readTrainingData(source, reading);
  const out = options.out ?? `${data.title}.safetensors`;
  await checkWritable(out);
  const parts = await divide(data, options);
  const recipe = chooseRecipe(parts.train, options);
  const model = sequential({ input: data.train.inputShape, seed, backend: chooseBackend(options) }, recipe.layers);
  try {
    Object.assign(model.details, detailsOf(data, source, recipe));
    announce(display, source, parts, recipe, model, options);
    const run = { source, options, out, display, model, recipe, parts };
    const history = await runTraining(run);
    await save(run);
    await finish(run, history, data);
  } finally {
    model.close();
  }
}

// Data ---------------------------------------------------------------------------------------------------------------

interface Parts {
  readonly train: Dataset;
  readonly validation?: Dataset;
  readonly test?: Dataset;
  /** How the test data came about. */
  readonly testNote: string;
}

/** The part of a data set without test data that is held out for the test. */
const HELD_OUT = 0.2;
/** Fewer rows than this are not divided unless asked. */
const LEAST_ROWS = 10;

async function divide(data: TrainingData, { test, validation = 0, seed = 0 }: TrainOptions): Promise<Parts> {
  const share = test === undefined ? undefined : Number(test.trim() || Number.NaN);
  const isShare = share !== undefined && !Number.isNaN(share);
  if (isShare && !(share >= 0 && share < 1)) {
    throw new UsageError(`--test ${test}: give a fraction from 0 up to 1, such as 0.2, or data.`);
  }
  let parts: Parts;
  if (test !== undefined && !isShare) {
    const { train } = data;
    const given = await readDataFor(test, detailsOf(data), train.inputShape);
    parts = { train, test: given, testNote: `from ${test}` };
  } else if (data.test && !isShare) {
    parts = { train: data.train, test: data.test, testNote: "of the data's own test set" };
  } else {
    const held = isShare ? share : data.train.count < LEAST_ROWS ? 0 : HELD_OUT;
    parts = holdOut(data.train, held, seed);
  }
  if (validation === 0) return parts;
  const [train, held] = split(parts.train, [1 - validation, validation], { seed });
  return { ...parts, train, validation: held };
}

function holdOut(all: Dataset, share: number, seed: number): Parts {
  if (share === 0) return { train: all, testNote: "none held out" };
  const [train, test] = split(all, [1 - share, share], { seed });
  return { train, test, testNote: `held out, ${percent(share, 0)} of the rows` };
}

function detailsOf(data: TrainingData, source?: string, recipe?: Recipe): Details {
  const { task, classes, features, schema } = data.train;
  const how = recipe && `${plural(recipe.epochs, "epoch")} of ${recipe.optimizer.name}, batches of ${recipe.batchSize}`;
  return {
    task,
    ...(classes && { classes }),
    ...(features && { features }),
    ...(schema && { schema }),
    ...(data.digits && { digits: true }),
    ...(source !== undefined && { trained: `${basename(resolve(source))}, ${how}` }),
  };
}

// What was chosen ----------------------------------------------------------------------------------------------------

/** A data set's rows in words: `60,000 pictures of 28 × 28 pixels`. */
function rowsText({ x, inputShape, count: rows }: Dataset): string {
  const isPicture = inputShape.length === 3 && x instanceof Uint8Array;
  if (!isPicture)
    return `${plural(rows, "row")} of ${plural(
      inputShape.reduce((a, b) => a * b, 1),
      "feature",
    )}`;
  const [height, width, channels] = inputShape;
  return `${plural(rows, `${channels === 1 ? "grey" : "colour"} picture`)} of ${width} × ${height} pixels`;
}

/** `dense 128 relu`, as `--layers` takes it. */
const layerText = (model: Model): string =>
  model.network.layers.map(({ kind, description }) => `${kind} ${description.replaceAll(",", "")}`.trim()).join(", ");

function announce(
  display: Display,
  source: string,
  parts: Parts,
  recipe: Recipe,
  model: Model,
  { seed = 0, resume }: TrainOptions,
): void {
  const { train, validation, test, testNote } = parts;
  const { classes, task, schema } = train;
  const { loss, optimizer, learningRate, schedule, epochs, batchSize, notes } = recipe;
  const paint = painter(process.stderr);
  const lines: [string, string][] = [
    ["data", `${name(source, 60)}: ${rowsText(train)}`],
    ["test", test ? `${plural(test.count, "row")}, ${testNote}` : "no rows: the report is on the training data itself"],
  ];
  if (validation)
    lines.push(["validation", `${plural(validation.count, "row")} of the training data, after each epoch`]);
  const target = schema ? ` of ${name(schema.target.name)}` : "";
  lines.push(["task", classes ? `${classes.length} classes${target}: ${listText(classes)}` : `${task}${target || ""}`]);
  lines.push(["network", `${layerText(model)} (${plural(model.network.parameterCount, "parameter")})`]);
  lines.push([
    "training",
    `${loss.name}, ${optimizer.name} at ${measureRate(learningRate)}, ${schedule}, batches of ${batchSize}, ${plural(epochs, "epoch")}, seed ${seed}`,
  ]);
  lines.push(["engine", model.engine]);
  if (resume !== undefined) lines.push(["resumes", resume]);
  for (const note of notes) lines.push(["note", note]);
  for (const [title, text] of lines) display.note(wrapped(title, text, paint));
  display.note("");
  display.event({
    event: "start",
    data: source,
    task,
    ...(classes && { classes }),
    rows: train.count,
    ...(validation && { validationRows: validation.count }),
    ...(test && { testRows: test.count }),
    inputShape: train.inputShape,
    layers: layerText(model),
    parameters: model.network.parameterCount,
    loss: loss.name,
    optimizer: { name: optimizer.name, ...optimizer.config },
    epochs,
    batchSize,
    seed,
    engine: model.engine,
  });
}

const measureRate = (x: number): string => String(Number(x.toPrecision(3)));

function listText(names: readonly string[]): string {
  const shown = names.slice(0, 10).map((title) => name(title, 20));
  return names.length > 10 ? `${shown.join(", ")}, …` : shown.join(", ");
}

/** A titled line, broken after commas where it is longer than the terminal is wide. */
function wrapped(title: string, text: string, paint: ReturnType<typeof painter>): string {
  const indent = 12;
  const room = widthOf(process.stderr) - indent;
  const lines: string[] = [""];
  for (const word of text.split(/(?<=,) /)) {
    const last = lines[lines.length - 1];
    if (last === "") lines[lines.length - 1] = word;
    else if (last.length + 1 + word.length <= room) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return `${paint("dim", title.padEnd(indent))}${lines.join(`\n${" ".repeat(indent)}`)}`;
}

// Training -----------------------------------------------------------------------------------------------------------

interface Training {
  readonly source: string;
  readonly options: TrainOptions;
  readonly out: string;
  readonly display: Display;
  readonly model: Model;
  readonly recipe: Recipe;
  readonly parts: Parts;
}

async function runTraining(run: Training): Promise<EpochReport[]> {
  const { options, out, display, model, recipe, parts } = run;
  const { loss, optimizer, epochs, batchSize, metrics } = recipe;
  const checkpoint = await checkpointPath(out);
  if (options.resume === undefined && (await exists(checkpoint))) {
    display.note(`note: ${checkpoint}, left by a run that was interrupted, will be replaced.`);
  }
  const stop = new AbortController();
  const release = onSignals(() => {
    display.note("Stopping after this step. Once more, and it quits at once.");
    stop.abort();
  });
  const width = model.network.outputShape.reduce((a, b) => a * b, 1);
  const examples = (data: Dataset) => ({ x: data.x, y: targetsFor(data, loss, width) });
  model.details.run = storedRun(run);
  const history: EpochReport[] = [];
  try {
    const fitting = model.fit(examples(parts.train), {
      loss,
      optimizer,
      epochs,
      batchSize,
      metrics,
      signal: stop.signal,
      checkpoint: { path: checkpoint },
      onProgress: (progress) => display.progress(progress),
      ...(parts.validation && { validation: examples(parts.validation) }),
      ...(options.resume !== undefined && { resume: options.resume }),
    });
    for await (const epoch of fitting) {
      history.push(epoch);
      display.epoch(epoch, epochs);
    }
    return history;
  } catch (error) {
    display.end();
    if (stop.signal.aborted && !(error instanceof FileError)) {
      display.event({ event: "interrupted", checkpoint });
      throw new Interrupted(
        `Interrupted. To go on where it stopped:\n  ${commandName()} train --resume ${quote(checkpoint)}`,
      );
    }
    if (error instanceof DivergenceError) throw await keptWeights(run, error);
    throw error;
  } finally {
    delete model.details.run;
    display.end();
    release();
  }
}

/** The command's own data and options, as text, with paths that hold from every directory. */
function storedRun({ source, options, out }: Training) {
  const text = (key: string, value: unknown): string => {
    if (key === "test" && Number.isNaN(Number(value))) return absolute(String(value));
    if (key === "imageSize") return `${options.imageSize!.width}x${options.imageSize!.height}`;
    return String(value);
  };
  const kept = Object.entries(options).filter(([key]) => !["resume", "out", "json", "quiet", "threads"].includes(key));
  return {
    data: absolute(source),
    options: { ...Object.fromEntries(kept.map(([key, value]) => [key, text(key, value)])), out: resolve(out) },
  };
}

/** A path from the root; names of built-in data sets stay. */
const absolute = (source: string): string => (/[./\\]/.test(source) ? resolve(source) : source);

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

/** Beside the model; where that is a device, which has no beside, in the working directory. */
async function checkpointPath(out: string): Promise<string> {
  const found = await stat(out).catch(() => undefined);
  return found === undefined || found.isFile() ? checkpointOf(out) : checkpointOf(basename(out));
}

/** Calls `stop` at the first Ctrl-C or request to end, and quits at the second. */
function onSignals(stop: () => void): () => void {
  let at: number | undefined;
  const listener = (): void => {
    const now = performance.now();
    if (at === undefined) {
      at = now;
      stop();
    } else if (now - at > 300) {
      process.exit(EXIT.interrupted); // sooner, it is the same Ctrl-C, passed on by npm or another parent
    }
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, listener);
  return () => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.off(signal, listener);
  };
}

/** Saves the last good weights beside the model that was to be. */
async function keptWeights({ out, model }: Training, error: DivergenceError): Promise<DivergenceError> {
  delete model.details.run;
  const path = `${out.replace(/\.safetensors$/, "")}.last-good.safetensors`;
  const kept = await model.save(path).then(
    () => ` They are in ${path}.`,
    () => "",
  );
  return new DivergenceError(`${error.message}${kept}`, error.step, error.where);
}

/** Saves the model; what a full disk refuses goes to the directory for temporary files, so that no work is lost. */
async function save({ out, model }: Training): Promise<void> {
  try {
    await model.save(out);
  } catch (error) {
    const refuge = join(tmpdir(), `chainrule-${process.pid}-${basename(out)}`);
    await model.save(refuge).catch(() => {
      throw error;
    });
    throw error instanceof FileError
      ? new FileError(`${error.message} The model is in ${refuge} instead.`, error.path, { cause: error })
      : error;
  }
  const checkpoint = await checkpointPath(out);
  for (const path of [checkpoint, `${checkpoint}.previous`]) await rm(path, { force: true });
}

// Report -------------------------------------------------------------------------------------------------------------

async function finish(run: Training, history: readonly EpochReport[], data: TrainingData): Promise<void> {
  const { source, options, out, display, model, recipe, parts } = run;
  const tested = parts.test ?? parts.train;
  const scores = await measureModel(model, tested);
  const seconds = history.reduce((sum, epoch) => sum + epoch.seconds, 0);
  const rows = history.reduce((sum, epoch) => sum + epoch.samplesPerSecond * epoch.seconds, 0);
  display.event({
    event: "done",
    [parts.test ? "test" : "training"]: jsonScores(scores),
    model: out,
    epochs: recipe.epochs,
    seconds,
    ...(history.length > 0 && { samplesPerSecond: rows / seconds }),
  });
  if (options.json || options.quiet) return;

  const paint = painter(process.stdout);
  const sheet = { paint, width: widthOf(process.stdout) };
  const lines: string[] = [];
  if (history.length > 0) {
    const losses = history.map(({ loss }) => loss);
    const speed = `${duration(seconds)}, ${count(Math.round(rows / seconds))} rows per second`;
    lines.push(`${paint("bold", "Trained")}  ${paint("dim", `${plural(history.length, "epoch")} in ${speed}`)}`);
    const [first, last] = [losses[0], losses[losses.length - 1]].map(measure);
    const chart = losses.length > 1 ? `${first} ${paint("cyan", sparkline(losses, 40))} ${last}` : last;
    lines.push(`  loss  ${chart}`, "");
  }
  lines.push(...scoreLines(parts.test ? "Test" : "On the training data", scores, classNames(data, scores), sheet), "");
  const { size } = await stat(out);
  lines.push(`${paint("bold", "Saved")}  ${out}${size > 0 ? paint("dim", `  ${fileSize(size)}`) : ""}`, "");
  lines.push(paint("bold", "Try next"));
  for (const proposal of proposals(source, out, data, options)) lines.push(`  ${commandName()} ${proposal}`);
  process.stdout.write(`${lines.join("\n")}\n`);
}

const classNames = (data: TrainingData, scores: TestScores): readonly string[] =>
  data.train.classes ?? (scores.task === "classification" ? scores.confusion.map((_, i) => String(i)) : []);

function proposals(source: string, out: string, data: TrainingData, options: TrainOptions): string[] {
  const [model, from] = [quote(out), quote(source)];
  const isTable = data.train.schema !== undefined;
  const target = options.target === undefined ? "" : ` --target ${quote(options.target)}`;
  const units = isTable || data.train.inputShape.length === 1 ? "dense 64 tanh" : "dense 256 relu, dropout 0.2";
  const predict = isTable
    ? [`predict ${model} ${from}`]
    : data.digits
      ? [`predict ${model} ${from} --sample 1`, `predict ${model} my-digit.png`]
      : [`predict ${model} ${from} --sample 1`];
  return [...predict, `summary ${model}`, `train ${from}${target} --layers "${units}"`];
}
