/**
 * Going on with a run from its checkpoint: what the command keeps there beside what the library keeps, its own data and
 * options, so that `--resume FILE` needs no others. Options are kept as text and read again like those of the command
 * line.
 */
import { resolve } from "node:path";
import type { Command } from "commander";
import { ChainruleError, DataError, type Model, reference } from "../../index.ts";
import { isNumber } from "../data/split.ts";
import { openFile } from "../model/open-model.ts";
import { asUsage } from "../options/language.ts";
import { UsageError } from "../terminal/exit.ts";
import { plural, warn } from "../terminal/text.ts";
import type { Training, TrainOptions } from "./run.ts";
import { exists } from "./saving.ts";

/** What may be said anew when a run is resumed; anything else would make it another run. */
const RESUMABLE = ["resume", "model", "out", "epochs", "history", "profile", "threads", "turbo", "json", "quiet"];

export const RESUMABLE_OPTIONS = RESUMABLE.slice(1)
  .map((name) => `--${name}`)
  .join(", ");

export interface Run {
  readonly data: string;
  readonly options: Readonly<Record<string, string>>;
  readonly epochsDone: number;
  /** The file it was read from: the checkpoint before the one that was named, where that is damaged. */
  readonly path: string;
}

async function open(path: string): Promise<Model> {
  try {
    return await openFile(path, reference());
  } catch (error) {
    if (!(error instanceof ChainruleError && error.facts.what === "layer")) throw error;
    const hint = "If a model file defines it, give --model FILE beside --resume.";
    throw new DataError(
      `${error.message} ${hint}`,
      { file: path },
      { code: error.code, facts: error.facts, cause: error },
    );
  }
}

/** Reads the run of a checkpoint; where that is damaged, aloud, of the one before it. */
export async function readRun(path: string): Promise<Run> {
  const previous = `${path}.previous`;
  try {
    return await readRunAt(path);
  } catch (error) {
    const isDamaged = error instanceof ChainruleError && error.code === "damaged-file";
    if (!isDamaged || !(await exists(previous))) throw error;
    warn(`${path} is damaged, so the run goes on from the checkpoint before it, ${previous}.`);
    return readRunAt(previous);
  }
}

async function readRunAt(path: string): Promise<Run> {
  const model = await open(path);
  const run = model.details.run as Partial<Run> | undefined;
  const training = model.details.training as { position?: { epoch?: unknown } } | undefined;
  model.close();
  const isText = (x: unknown): x is string => typeof x === "string";
  const { data, options } = typeof run === "object" && run !== null ? run : {};
  if (!isText(data) || typeof options !== "object" || options === null || !Object.values(options).every(isText)) {
    throw new DataError(
      `${path} is no checkpoint of "chainrule train": it does not say which run to go on with. Checkpoints end in .checkpoint.safetensors.`,
      { file: path },
    );
  }
  const epoch = training?.position?.epoch;
  return { data, options, epochsDone: typeof epoch === "number" ? epoch : 0, path };
}

/** What of a run is stored: of a text there is no more. */
type StoredParts = Pick<Training, "source" | "options" | "out"> & {
  readonly recipe: Pick<Training["recipe"], "epochs">;
};

/** The command's own data and options, as text, with paths that hold from every directory. */
export function storedRun({ source, options, recipe, out }: StoredParts) {
  const text = (key: string, value: unknown): string => {
    if (key === "test" && !isNumber(String(value))) return absolute(String(value));
    if (key === "model" || key === "from" || key === "history") return resolve(String(value));
    if (key === "tokens" && /\.json$/i.test(String(value))) return resolve(String(value));
    if (key === "imageSize") return `${options.imageSize!.width}x${options.imageSize!.height}`;
    return String(value);
  };
  const kept = Object.entries(options).filter(
    ([key, value]) =>
      !["resume", "out", "epochs", "json", "quiet", "profile", "threads", "turbo"].includes(key) &&
      !(key === "header" && value === true),
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

/** Sets the options as the checkpoint has them, through the same readers as the command line's. */
export function restoreOptions(command: Command, stored: Readonly<Record<string, string>>): void {
  for (const option of command.options) {
    const key = option.attributeName();
    if (command.getOptionValueSource(key) === "cli") {
      if (RESUMABLE.includes(key) || String(command.getOptionValue(key)) === stored[key]) continue;
      const was = Object.hasOwn(stored, key) ? `it was ${stored[key]}` : "it was not given";
      throw new UsageError(
        `${option.long} cannot change when a run is resumed, since it would become another run: when this one began, ${was}. Leave ${option.long} out, or begin a new run. These can be given: ${RESUMABLE_OPTIONS}.`,
      );
    }
    if (!Object.hasOwn(stored, key)) continue;
    if (option.negate) {
      command.setOptionValueWithSource(key, stored[key] !== "false", "config");
      continue;
    }
    const value = asUsage(`The checkpoint's ${option.long} "${stored[key]}"`, () =>
      option.parseArg ? option.parseArg(stored[key], undefined) : stored[key],
    );
    command.setOptionValueWithSource(key, value, "config");
  }
}

/** A run can become longer or shorter where that does not change the learning rates of its steps. */
export function checkEpochs(command: Command, { options: stored, epochsDone }: Run): void {
  const { epochs, schedule = "cosine" } = command.opts<TrainOptions>();
  if (command.getOptionValueSource("epochs") !== "cli" || String(epochs) === stored.epochs) return;
  if (!["constant", "plateau"].includes(schedule)) {
    throw new UsageError(
      `--epochs cannot change here: the ${schedule} schedule leads the learning rate to its end in epoch ${stored.epochs}, so another end would be another run. Leave --epochs out, or begin a new run with --epochs ${epochs}. Runs begun with --schedule constant or plateau can be made longer.`,
    );
  }
  if (epochs! <= epochsDone) {
    throw new UsageError(
      `--epochs ${epochs}: ${plural(epochsDone, "epoch")} are done already. Give more, or leave it out.`,
    );
  }
}
