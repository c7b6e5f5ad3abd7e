/**
 * What can watch a training run and end it: callbacks, among them early stopping. One that remembers something between
 * epochs says so, and a checkpoint keeps it.
 */
import { check, checkNumbers, checkOptionNames, FROM_0, isObject, unknownName, whole } from "../checks.ts";
import { ArgumentError } from "../errors.ts";
import { scoreNames } from "./history.ts";
import type { InferenceModel } from "./inference-model.ts";
import type { EpochReport, Scores } from "./scores.ts";

/** A run, as its callbacks have it. */
export interface TrainingRun {
  readonly model: InferenceModel<unknown>;
  /** Ends the run after this epoch. */
  stop(): void;
}

/** What a callback remembers: plain JSON, and arrays by name. */
export interface CallbackMemory {
  readonly values: Readonly<Record<string, unknown>>;
  readonly arrays?: ReadonlyMap<string, Float32Array>;
}

/** Something that is told of a run's epochs and may end it. */
export interface Callback {
  /** Under which a checkpoint keeps its memory; no two of a run alike. */
  readonly name: string;
  /** Its options as plain JSON, where `callbackNamed` can make it again of its name and them. */
  readonly options?: Readonly<Record<string, unknown>>;
  /** Before the first epoch, and before anything is restored. */
  onBegin?(run: TrainingRun): void | Promise<void>;
  /** After each epoch and its validation. */
  onEpoch?(epoch: EpochReport, run: TrainingRun): void | Promise<void>;
  /** When the run has come to its end; not if it was aborted. */
  onEnd?(run: TrainingRun): void | Promise<void>;
  /** What it must know again to go on as if the run had never stopped. */
  save?(): CallbackMemory;
  /** Takes up what `save` gave. */
  restore?(memory: CallbackMemory, run: TrainingRun): void;
}

/** A callback, or a function that is called after each epoch. */
export type CallbackOption = Callback | ((epoch: EpochReport, run: TrainingRun) => void | Promise<void>);

/** Callbacks in one form, each with a name of its own. */
export function callbacksOf(options: readonly CallbackOption[]): readonly Callback[] {
  check(
    Array.isArray(options) && options.every((option) => isObject(option) || typeof option === "function"),
    "callbacks are a list, such as [earlyStopping()]",
    options,
  );
  const callbacks = options.map((option, i) =>
    typeof option === "function" ? { name: `function ${i + 1}`, onEpoch: option } : option,
  );
  const names = callbacks.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined)
    throw new ArgumentError(`Two callbacks are called "${twice}"; a checkpoint could not tell them apart.`);
  return callbacks;
}

/** Options of `earlyStopping`. */
export interface EarlyStoppingOptions {
  /** The loss or a metric, such as `accuracy` or `label.accuracy`, of the validation data if there are any; `loss` unless said. */
  readonly monitor?: string;
  /** Whether less is better or more; follows from the name unless said. */
  readonly mode?: "min" | "max";
  /** How many epochs without getting better it lets pass; 5 unless said. */
  readonly patience?: number;
  /** How much better is better; 0 unless said. */
  readonly minimumChange?: number;
  /** Whether the model gets the weights of its best epoch back when the run ends; true unless said. */
  readonly restoreBest?: boolean;
}

/** Losses and errors should be small, all else large. */
const modeOf = (name: string): "min" | "max" => (/loss|error|mae|mse|entropy|divergence/i.test(name) ? "min" : "max");

/** A score of an epoch: of the validation data if there are any. */
export function monitored(epoch: EpochReport, monitor: string): number {
  const scores: Scores = epoch.validation ?? epoch;
  const names = scoreNames(epoch);
  // As the history's columns are called: validation.label.accuracy.
  const name = epoch.validation ? monitor.replace(/^validation\./, "") : monitor;
  if (names.includes(name)) return scores[name];
  throw unknownName("score", name, names, "; add it to metrics");
}

/**
 * Ends a run when a score has not got better for some epochs, and gives the model the weights of the best one back
 * (Prechelt, 1998).
 *
 * @example
 * await model.fit(data, { loss: "crossEntropy", epochs: 100, validation: 0.2, callbacks: [earlyStopping({ patience: 3 })] });
 */
export function earlyStopping(options: EarlyStoppingOptions = {}): Callback {
  checkOptionNames("earlyStopping", options, ["monitor", "mode", "patience", "minimumChange", "restoreBest"]);
  const { monitor = "loss", mode = modeOf(monitor), patience = 5, minimumChange = 0, restoreBest = true } = options;
  checkNumbers("earlyStopping: ", { patience }, whole(0));
  checkNumbers("earlyStopping: ", { minimumChange }, FROM_0);
  let best: number | undefined;
  let waited = 0;
  let weights = new Map<string, Float32Array>();
  return {
    name: "earlyStopping",
    options: { ...options },
    // The same object may serve one run after the other.
    onBegin: () => {
      [best, waited, weights] = [undefined, 0, new Map()];
    },
    onEpoch: async (epoch, run) => {
      const score = monitored(epoch, monitor);
      const gain = best === undefined ? Number.POSITIVE_INFINITY : mode === "min" ? best - score : score - best;
      if (gain > minimumChange) {
        [best, waited] = [score, 0];
        if (restoreBest)
          for (const { name } of run.model.network.parameters) weights.set(name, await run.model.weightAsync(name));
      } else {
        waited++;
      }
      if (waited > patience) run.stop();
    },
    onEnd: ({ model }) => {
      for (const [name, values] of weights) model.setWeight(name, values);
    },
    save: () => ({ values: { best, waited }, arrays: weights }),
    restore: ({ values, arrays = new Map() }, run) => {
      best = typeof values.best === "number" ? values.best : undefined;
      waited = Number(values.waited ?? 0);
      weights = new Map(arrays);
      if (waited > patience) run.stop();
    },
  };
}

const CALLBACKS: Readonly<Record<string, (options?: Readonly<Record<string, unknown>>) => Callback>> = {
  earlyStopping,
};

/**
 * A callback by its name, such as `earlyStopping`, with its options as plain JSON.
 * @throws ArgumentError if there is none of that name
 *
 * @example
 * const callback = callbackNamed("earlyStopping", { patience: 3 });
 */
export function callbackNamed(name: string, options: Readonly<Record<string, unknown>> = {}): Callback {
  if (Object.hasOwn(CALLBACKS, name)) return CALLBACKS[name](options);
  throw unknownName("callback", name, Object.keys(CALLBACKS));
}
