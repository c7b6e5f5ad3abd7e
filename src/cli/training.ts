/**
 * The work of `chainrule train`, from data to saved model and report. Choosing is in recipe.ts, reading in data.ts,
 * showing in progress.ts and report.ts. A run that stops early leaves a checkpoint and says how to go on.
 */
import { rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import type { Dataset } from "../data/index.ts";
import { checkWritable } from "../data/node.ts";
import {
  type Augment,
  type Callback,
  DivergenceError,
  type EpochReport,
  earlyStopping,
  FileError,
  History,
  lossNamed,
  type Model,
  sequential,
  type Warning,
} from "../index.ts";
import { augmenter } from "./augmenting.ts";
import { type BackendOptions, chooseBackend } from "./backend.ts";
import { checkpointOf } from "./checkpoint.ts";
import { decimalOf, type ReadOptions, readTrainingData, type TrainingData } from "./data.ts";
import { decaysToTry, heldOutLoss, usualDecay } from "./decay.ts";
import { detailsOf, fingerprintOf, type Origin } from "./details.ts";
import { Interrupted, UsageError } from "./errors.ts";
import { examplesFor } from "./losses.ts";
import { divide, isNumber, type Parts, type PartsOptions } from "./parts.ts";
import { reportProfile } from "./profile.ts";
import { Display } from "./progress.ts";
import { chooseRecipe, type Recipe, type RecipeOptions, showsPictures, usualEpochs } from "./recipe.ts";
import { commandName, measure, plural, quote } from "./terminal.ts";
import { announce, announceEnd, reportResults, showWarnings } from "./train-report.ts";
import { asTrained, continuedName, notesOnRows, trainedModel } from "./trained.ts";

export interface TrainOptions extends RecipeOptions, ReadOptions, PartsOptions, BackendOptions {
  readonly out?: string;
  readonly resume?: string;
  /** How many epochs without a better loss are let pass. */
  readonly earlyStopping?: number;
  readonly classWeights?: "balanced";
  readonly augment?: string;
  /** A CSV or JSON file for the scores of all epochs. */
  readonly history?: string;
  /** Whether to measure what the steps of the plan cost. */
  readonly profile?: boolean;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

/** One run of the command, all that was chosen. */
export interface Training {
  readonly source: string;
  readonly options: TrainOptions;
  readonly data: TrainingData;
  readonly parts: Parts;
  readonly recipe: Recipe;
  readonly model: Model;
  readonly augment?: Augment;
  readonly out: string;
  readonly display: Display;
}

export async function train(source: string, asked: TrainOptions): Promise<void> {
  const { target, task, missing, ignore, decimal, imageSize } = asked;
  const given = Object.entries({ target, task, missing, ignore, decimal, imageSize }).filter(
    ([, value]) => value !== undefined,
  );
  if (asked.profile && asked.backend === "reference")
    throw new UsageError("--profile is for the wasm backend, whose plan has steps to measure. Leave one out.");
  const trained = await trainedModel(asked);
  const data = await readTrainingData(source, Object.fromEntries(given), trained);
  // A run that is resumed has these options already.
  const said = trained && asked.resume === undefined ? { ...asTrained(trained, data, asked), ...asked } : asked;
  const out = said.out ?? (trained ? continuedName(data.title) : `${data.title}.safetensors`);
  await refuseInput(out, [source, said.test]);
  await checkWritable(out);
  if (said.history !== undefined) await checkWritable(said.history);
  const parts = await divide(data, { ...said, ...(trained && decimalOf(trained.details)) });
  if (said.classWeights && parts.train.task === "regression")
    throw new UsageError("--class-weights is for classes, but the target is a number. Leave it out.");
  const augment = said.augment === undefined ? undefined : augmenter(said.augment, parts.train, said.seed ?? 0);
  const display = new Display(said);
  const { options, notes } = await withOptimizer(parts.train, said, display);
  const origin = originOf(source, data, parts, options);
  const chosen = chooseRecipe(parts.train, options, trained?.loss);
  const model = trained?.model ?? (await makeModel(parts.train, chosen, options));
  const noted = [...chosen.notes, ...notes, ...notesOnRows(origin, trained?.details.origin)];
  const recipe = fitted({ ...chosen, notes: noted }, model, options);
  try {
    const { epochs, optimizer, batchSize } = recipe;
    const how = (count: number) => `${plural(count, "epoch")} of ${optimizer.name}, batches of ${batchSize}`;
    const { learningRate } = recipe;
    Object.assign(model.details, detailsOf(data, options.decimal), {
      origin,
      optimizer: options.optimizer ?? "adam",
      learningRate,
    });
    const run: Training = { source, options, data, parts, recipe, model, out, display, ...(augment && { augment }) };
    announce(run, await isFile(out));
    const history = await runTraining(run);
    const before = trained?.details.trained;
    model.details.trained = `${before ? `${before}; then ` : ""}${basename(resolve(source))}, ${how(history.at(-1)?.epoch ?? epochs)}`;
    await save(run);
    await reportResults(run, history);
    if (options.profile) await reportProfile(run, history);
  } finally {
    model.close();
  }
}

/**
 * The options with an optimiser: for tables, where none was given, one with the weight decay that did best in a trial. As
 * an option it is kept by checkpoints, so that a resumed run need not try again.
 */
async function withOptimizer(
  train: Dataset,
  said: TrainOptions,
  display: Display,
): Promise<{ options: TrainOptions; notes: readonly string[] }> {
  const { optimizer, model, from, resume, seed = 0, epochs = Number.POSITIVE_INFINITY } = said;
  if ((optimizer ?? from ?? resume) !== undefined || showsPictures(train)) return { options: said, notes: [] };
  const withDecay = (decay: number): TrainOptions => ({ ...said, optimizer: `adamw weightDecay=${decay}` });
  const decays = model === undefined ? decaysToTry(train.count) : [];
  if (decays.length === 0) return { options: withDecay(usualDecay(train.count)), notes: [] };
  display.note(`Trying weight decays of ${decays.join(", ")} on held-out training rows.`);
  const short = Math.min(epochs, usualEpochs(train.count, false));
  const losses: number[] = [];
  for (const decay of decays) {
    const options = { ...withDecay(decay), epochs: short, threads: 1 };
    const recipe = chooseRecipe(train, options);
    losses.push(await heldOutLoss(train, recipe, seed, () => makeModel(train, recipe, options)));
  }
  const best = decays[losses.indexOf(Math.min(...losses))];
  const scores = losses.map((loss, i) => `${measure(loss)} with ${decays[i]}`).join(", ");
  return {
    options: withDecay(best),
    notes: [`weight decay ${best}, since the loss on held-out training rows was ${scores}`],
  };
}

/** What tells `evaluate` which rows the model has learnt from. Data with a test part of their own are known by it. */
function originOf(source: string, { train, test }: TrainingData, { testShare }: Parts, options: TrainOptions): Origin {
  const { validation = 0, seed = 0 } = options;
  const file = test === undefined ? basename(resolve(source)) : "";
  return { fingerprint: fingerprintOf(train), file, test: testShare, validation, seed };
}

/** The model must not replace the data that it learns from. */
async function refuseInput(out: string, inputs: readonly (string | undefined)[]): Promise<void> {
  const identity = (path: string) =>
    stat(path).then(
      ({ dev, ino }) => `${dev}:${ino}`,
      () => undefined,
    );
  const target = await identity(out);
  if (target === undefined) return;
  for (const input of inputs) {
    if (input !== undefined && (await identity(input)) === target)
      throw new UsageError(`--out ${out} would replace the data it is trained on; choose another name.`);
  }
}

/** The network: of the layers chosen, of the model file, or of the checkpoint, when the model file has made it before. */
async function makeModel(train: Dataset, recipe: Recipe, options: TrainOptions): Promise<Model> {
  const { model: file, resume, seed = 0 } = options;
  const backend = chooseBackend(options);
  if (file === undefined) return sequential({ input: train.inputShape, seed, backend }, recipe.layers);
  const { buildModel, modelOfCheckpoint, readModelFunction } = await import("./model-file.ts");
  if (resume !== undefined) return modelOfCheckpoint(resume, backend);
  return buildModel(file, await readModelFunction(file), { train, recipe, seed, backend });
}

/** The recipe, brought into accord with a network that comes from a file. */
function fitted(recipe: Recipe, model: Model, { model: builder, from, seed = 0 }: TrainOptions): Recipe {
  const file = builder ?? from;
  if (file === undefined) return recipe;
  const notes = [...recipe.notes];
  if (model.network.seed !== seed) {
    const why = from === undefined ? `${basename(file)} does not pass seed on` : "it decides order and dropout";
    notes.push(`the model has the seed ${model.network.seed}, not ${seed}; ${why}`);
  }
  const [outputs] = model.network.outputShape;
  if (from !== undefined && outputs !== recipe.outputs)
    throw new UsageError(
      `--loss ${recipe.loss.name} needs ${plural(recipe.outputs, "output")}, but the model of ${from} has ${outputs}. Leave --loss out.`,
    );
  // Two outputs for two classes are as good as one; they only take another loss.
  const loss = outputs === recipe.outputs ? recipe.loss : lossNamed("crossEntropy");
  return { ...recipe, loss, outputs, notes };
}

async function runTraining(run: Training): Promise<EpochReport[]> {
  const { options, out, display, model, recipe, parts, augment } = run;
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
  const examples = (data: Dataset) => examplesFor(data, loss, model);
  model.details.run = storedRun(run);
  const history: EpochReport[] = [];
  const whole = new History();
  const warnings: Warning[] = [];
  const { earlyStopping: patience, classWeights } = options;
  const callbacks = [
    ...(patience === undefined ? [] : [earlyStopping({ patience: patience - 1 })]),
    ...(options.history === undefined ? [] : [recorder(whole)]),
  ];
  try {
    const fitting = model.fit(examples(parts.train), {
      loss,
      optimizer,
      epochs,
      batchSize,
      metrics,
      signal: stop.signal,
      checkpoint: { path: checkpoint },
      callbacks,
      onProgress: (progress) => display.progress(progress),
      ...(!(options.quiet && !options.json) && { onWarning: (warning) => warnings.push(warning) }),
      ...(classWeights && { classWeights }),
      ...(augment && { augment }),
      ...(parts.validation && { validation: examples(parts.validation) }),
      ...(options.resume !== undefined && { resume: options.resume }),
    });
    for await (const epoch of fitting) {
      history.push(epoch);
      display.epoch(epoch, epochs);
    }
    display.end();
    if (patience !== undefined) announceEnd(run, history);
    const unseen = metrics.filter((metric) => history.length > 0 && !parts.validation && !(metric in history[0]));
    if (unseen.length > 0)
      display.note(`note: ${unseen.join(", ")} needs all rows at once, so give --validation to see it.`);
    return history;
  } catch (error) {
    display.end();
    if (stop.signal.aborted && !(error instanceof FileError)) {
      display.event({ event: "interrupted", checkpoint });
      throw new Interrupted(
        `Interrupted. To go on where it stopped:\n  ${commandName()} train --resume ${quote(checkpoint)}\nIt is a model too, which evaluate and predict take.`,
      );
    }
    delete model.details.run;
    if (error instanceof DivergenceError) throw await keptWeights(run, error);
    if (error instanceof FileError && error.path === checkpoint) throw await savedElsewhere(run, error);
    throw error;
  } finally {
    delete model.details.run;
    display.end();
    release();
    showWarnings(run, warnings);
    if (options.history !== undefined && whole.length > 0) {
      await whole.save(options.history);
      if (whole[0].epoch > 1)
        display.note(
          `note: ${options.history} begins with epoch ${whole[0].epoch}, since the run began without --history.`,
        );
    }
  }
}

/** Keeps all epochs of a run, over every time that it is resumed. */
const recorder = (history: History): Callback => ({
  name: "history",
  onEpoch: (epoch) => void history.push(epoch),
  save: () => ({ values: { epochs: [...history] } }),
  restore: ({ values }) => {
    if (Array.isArray(values.epochs)) history.push(...(values.epochs as EpochReport[]));
  },
});

/** The command's own data and options, as text, with paths that hold from every directory. */
function storedRun({ source, options, recipe, out }: Training) {
  const text = (key: string, value: unknown): string => {
    if (key === "test" && !isNumber(String(value))) return absolute(String(value));
    if (key === "model" || key === "from" || key === "history") return resolve(String(value));
    if (key === "imageSize") return `${options.imageSize!.width}x${options.imageSize!.height}`;
    return String(value);
  };
  const kept = Object.entries(options).filter(
    ([key]) => !["resume", "out", "epochs", "json", "quiet", "profile", "threads", "turbo"].includes(key),
  );
  return {
    data: absolute(source),
    options: {
      ...Object.fromEntries(kept.map(([key, value]) => [key, text(key, value)])),
      epochs: String(recipe.epochs),
      out: resolve(out),
    },
  };
}

/** A path from the root; names of built-in data sets stay. */
const absolute = (source: string): string => (/[./\\]/.test(source) ? resolve(source) : source);

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

const isFile = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isFile(),
    () => false,
  );

/** Beside the model; where that is a device, which has no beside, in the working directory. */
async function checkpointPath(out: string): Promise<string> {
  const found = await stat(out).catch(() => undefined);
  return found === undefined || found.isFile() ? checkpointOf(out) : checkpointOf(basename(out));
}

/** Calls `stop` at the first Ctrl-C or request to end, and quits at the second. */
function onSignals(stop: () => void): () => void {
  const signals = ["SIGINT", "SIGTERM"] as const;
  let at: number | undefined;
  const listener = (signal: NodeJS.Signals): void => {
    const now = performance.now();
    if (at === undefined) {
      at = now;
      stop();
    } else if (now - at > 300) {
      // Sooner, it is the same Ctrl-C, passed on by npm or another parent. As if there were no listener, since an exit
      // would wait for a disk that hangs; shells see 130 as well.
      release();
      process.kill(process.pid, signal);
    }
  };
  const release = (): void => {
    for (const signal of signals) process.off(signal, listener);
  };
  for (const signal of signals) process.on(signal, listener);
  return release;
}

/** Saves the last good weights beside the model that was to be. */
async function keptWeights({ out, model }: Training, error: DivergenceError): Promise<DivergenceError> {
  const path = `${out.replace(/\.safetensors$/, "")}.last-good.safetensors`;
  const kept = await model.save(path).then(
    () => ` They are in ${path}.`,
    () => "",
  );
  return new DivergenceError(`${error.message}${kept}`, error.step, error.where);
}

async function save(run: Training): Promise<void> {
  const { out, model } = run;
  try {
    await model.save(out);
  } catch (error) {
    throw error instanceof FileError ? await savedElsewhere(run, error) : error;
  }
  const checkpoint = await checkpointPath(out);
  for (const path of [checkpoint, `${checkpoint}.previous`]) await rm(path, { force: true });
}

/** What a full disk refuses goes to the directory for temporary files, so that no work is lost. */
async function savedElsewhere({ out, model }: Training, error: FileError): Promise<FileError> {
  const refuge = join(tmpdir(), `chainrule-${process.pid}-${basename(out)}`);
  const saved = await model.save(refuge).then(
    () => ` The model as it is now is in ${refuge}.`,
    () => "",
  );
  return new FileError(`${error.message}${saved}`, error.path, { cause: error });
}
