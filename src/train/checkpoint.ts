/**
 * Checkpoints: a model file that also holds the optimiser's arrays and the position of the run, so that a run that goes
 * on from it ends with the same bits as one that was never stopped.
 */

import { isObject } from "../checks.ts";
import { ArgumentError, ChainruleError } from "../errors.ts";
import { type Loss, type LossesOption, lossesOf } from "../nn/losses.ts";
import type { Network } from "../nn/network.ts";
import type { Callback, TrainingRun } from "./callbacks.ts";
import type { Examples } from "./examples.ts";
import { arraysOf } from "./examples.ts";
import type { Warning } from "./health.ts";
import type { InferenceModel } from "./inference-model.ts";
import { decodeModelFile, type Floats, type ModelFile, tensorOf } from "./model-file.ts";
import { files } from "./node-files.ts";
import type { Stream } from "./to-arrays.ts";
import type { Position, Trainer, TrainerOptions } from "./trainer.ts";

export type TrainingRecord = TrainerOptions & {
  readonly examples: Examples;
  /** What it is validated with. */
  readonly held?: Examples;
  /** The streams that the rows of both come from, where they do. */
  readonly stream?: Stream;
  readonly heldStream?: Stream;
  readonly callbacks: readonly Callback[];
};

/** Of examples that checkpoints have been written for. */
const fingerprints = new WeakMap<Examples, string>();

/** FNV-1a over the bytes, in two halves of different seed: enough to tell data sets apart. */
function fingerprint(examples: Examples): string {
  const known = fingerprints.get(examples);
  if (known !== undefined) return known;
  const parts = arraysOf(examples).map((array) => {
    let [a, b] = [0x811c9dc5, 0x01000193];
    for (const byte of new Uint8Array(array.buffer, array.byteOffset, array.byteLength)) {
      a = Math.imul(a ^ byte, 0x01000193);
      b = Math.imul(b ^ byte, 0x85ebca6b);
    }
    return `${(a >>> 0).toString(16)}${(b >>> 0).toString(16)}`;
  });
  const print = `${examples.count} rows ${parts.join(" ")}`;
  fingerprints.set(examples, print);
  return print;
}

const describeLoss = ({ name, options = {} }: Loss): unknown =>
  name === undefined ? "a function" : Object.keys(options).length === 0 ? name : { name, ...options };

const describeLosses = (names: readonly (string | undefined)[], option: LossesOption): unknown => {
  const losses = lossesOf(names, option);
  if (names[0] === undefined) return describeLoss(losses[0].loss);
  return Object.fromEntries(losses.map(({ loss, weight }, i) => [names[i], { loss: describeLoss(loss), weight }]));
};

/** What must be the same for a run to go on: all that decides the next bits, besides the arrays. */
const settingsOf = (
  { outputs }: Network,
  { loss, optimizer, batchSize, metrics, examples, held, augment, pieces, stream, heldStream }: TrainingRecord,
) => ({
  loss: describeLosses(
    outputs.map(({ name }) => name),
    loss,
  ),
  optimizer: { name: optimizer.name, ...optimizer.config },
  batchSize,
  metrics: Array.isArray(metrics) ? [...metrics] : metrics,
  data: stream?.fingerprint ?? fingerprint(examples),
  ...(augment && { augment: "a function" }),
  ...(pieces && { batches: stream ? "streamed" : "from a function" }),
  // Where the losses of the validation decide the learning rate, they decide the bits.
  ...(optimizer.observe &&
    (held || heldStream) && { validation: heldStream?.fingerprint ?? fingerprint(held as Examples) }),
});

/** The optimiser's arrays under their names in the file: `optimizer.m.dense_1.kernel`. */
const stateArrays = (trainer: Trainer) =>
  trainer.states.flatMap(({ parameter, state }) =>
    Object.entries(state).map(([key, node]) => ({ node, name: `optimizer.${key}.${parameter.name}` })),
  );

/** A callback's arrays in the file: `callback.earlyStopping.dense_1.kernel`. */
const callbackPrefix = (name: string): string => `callback.${name}.`;

export async function encodeTraining(
  model: InferenceModel<unknown>,
  trainer: Trainer,
  record: TrainingRecord,
): Promise<Uint8Array> {
  const tensors = new Map<string, { shape: readonly number[]; data: Floats }>();
  for (const { node, name } of stateArrays(trainer))
    tensors.set(name, { shape: node.shape, data: (await model.session.read(node)) as Floats });
  const memories: Record<string, unknown> = {};
  for (const { name, save } of record.callbacks) {
    const memory = save?.();
    if (!memory) continue;
    memories[name] = memory.values;
    for (const [key, data] of memory.arrays ?? [])
      tensors.set(`${callbackPrefix(name)}${key}`, { shape: [data.length], data });
  }
  return model.toBytesAsync({
    tensors,
    details: {
      training: { settings: settingsOf(model.network, record), position: trainer.position, callbacks: memories },
    },
  });
}

/** Where the checkpoint before the last one is kept. */
export const previousOf = (path: string): string => `${path}.previous`;

/** Reads a checkpoint; where that is damaged, aloud, the one before it. */
async function readWhole(path: string, say: (warning: Warning) => void): Promise<ModelFile> {
  const { readFile } = await files();
  try {
    return decodeModelFile(await readFile(path), path);
  } catch (error) {
    const isDamaged = error instanceof ChainruleError && error.code === "damaged-file";
    const previous = isDamaged && (await readFile(previousOf(path)).catch(() => undefined));
    if (!previous) throw error;
    const said = `${path} is damaged, so the run goes on from the checkpoint before it, ${previousOf(path)}.`;
    say({ kind: "damagedCheckpoint", where: path, message: said, said });
    return decodeModelFile(previous, previousOf(path));
  }
}

export async function restoreTraining(
  path: string,
  run: TrainingRun,
  trainer: Trainer,
  record: TrainingRecord,
  say: (warning: Warning) => void,
): Promise<void> {
  const { model } = run;
  const file = await readWhole(path, say);
  const training = file.details.training as
    | { settings?: Record<string, unknown>; position?: Position; callbacks?: Record<string, unknown> }
    | undefined;
  if (!training?.settings || !isPosition(training.position)) {
    throw new ArgumentError(
      `${path} is a model, but no checkpoint: there is nothing to resume. Load it and fit anew, or give the checkpoint.`,
    );
  }
  const settings = settingsOf(model.network, record) as Record<string, unknown>;
  for (const key of new Set([...Object.keys(settings), ...Object.keys(training.settings)])) {
    const [then, now] = [training.settings, settings].map((all) => JSON.stringify(all[key]) ?? "nothing");
    if (then !== now) {
      throw new ArgumentError(
        `${path} was written with ${key} ${then}, but this run has ${now}. Resume with the same data and options, or begin a new run.`,
      );
    }
  }
  model.restore(file, path);
  for (const { node, name } of stateArrays(trainer)) model.session.write(node, tensorOf(file, name, node.shape, path));
  trainer.seek(training.position);
  for (const { name, restore } of record.callbacks) {
    const values = training.callbacks?.[name];
    if (!restore || !isObject(values)) continue;
    const prefix = callbackPrefix(name);
    const arrays = [...file.tensors]
      .filter(([key]) => key.startsWith(prefix))
      .map(([key, { data }]) => [key.slice(prefix.length), data as Float32Array] as const);
    restore({ values, arrays: new Map(arrays) }, run);
  }
}

function isPosition(x: unknown): x is Position {
  if (!isObject(x)) return false;
  const { step, epoch, row, sums, schedule = {} } = x;
  return (
    [step, epoch, row].every((n) => Number.isSafeInteger(n) && (n as number) >= 0) &&
    Array.isArray(sums) &&
    isObject(schedule) &&
    [...sums, ...Object.values(schedule)].every((n) => typeof n === "number")
  );
}
