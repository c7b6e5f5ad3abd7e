/**
 * The options of `fit` and `evaluate` as they go to a worker: losses, optimisers, schedules and callbacks by their names
 * and options. What is code of one's own cannot go there; the message says what to do instead.
 */
import {
  ArgumentError,
  type Callback,
  callbackNamed,
  type EpochReport,
  type FitOptions,
  type Loss,
  type LossesOption,
  type LossOption,
  lossNamed,
  type Optimizer,
  type OutputLoss,
  optimizerNamed,
  optimizerNames,
  type TrainingRun,
} from "../index.ts";

/** Something of the library that is made again there. */
interface Named {
  readonly name: string;
  readonly options: Readonly<Record<string, unknown>>;
}

/** A callback that is called on the page; the run waits until it has answered. */
export type EpochFunction = (epoch: EpochReport, run: Pick<TrainingRun, "stop">) => void | Promise<void>;

/**
 * Options of a worker's `fit`: those of `model.fit`. `augment` and `observer`, which are called too often or look at the
 * run itself, belong to a worker of your own.
 */
export interface WorkerFitOptions extends Omit<FitOptions, "callbacks" | "augment" | "observer"> {
  /** Such as `earlyStopping()`; or functions of the epoch, which are called here. */
  readonly callbacks?: readonly (Callback | EpochFunction)[];
}

/** The same as it goes to the worker. */
export interface WireOptions extends Omit<WorkerFitOptions, "loss" | "optimizer" | "callbacks"> {
  readonly loss: WireLoss;
  readonly optimizer?: Named;
  readonly callbacks: readonly (Named | EpochFunction)[];
}

const OWN_WORKER =
  "It runs in the worker, and code does not go there: put it into a module of your own for the worker, which then calls serve(), and give inWorker that worker.";

/** The losses of outputs with names. */
interface ByOutput {
  readonly outputs: Readonly<Record<string, { readonly loss: string | Named; readonly weight?: number }>>;
}

/** A loss, or those of all outputs, as it goes to the worker. */
export type WireLoss = string | Named | ByOutput;

export function wireLoss(option: LossesOption): WireLoss {
  if (typeof option !== "object" || typeof option.perSample === "function") return wireOne(option as LossOption);
  const each = Object.entries(option as Readonly<Record<string, LossOption | OutputLoss>>);
  return {
    outputs: Object.fromEntries(
      each.map(([name, own]) => {
        const { loss, ...weight } = typeof own === "object" && "loss" in own ? own : { loss: own };
        return [name, { ...weight, loss: wireOne(loss) }];
      }),
    ),
  };
}

function wireOne(loss: LossOption): string | Named {
  if (typeof loss === "string") return loss;
  if (typeof loss === "function")
    throw new ArgumentError(
      `A loss that is a function cannot be used in a worker by itself. ${OWN_WORKER} There, defineLoss gives it a name; give fit that name.`,
    );
  const { name, options = {} } = loss;
  if (name === undefined) throw new ArgumentError(`This loss has no name. ${OWN_WORKER} Make it with defineLoss.`);
  return { name, options };
}

const readOne = (loss: string | Named): Loss =>
  typeof loss === "string" ? lossNamed(loss) : lossNamed(loss.name, loss.options);

export function readLoss(loss: WireLoss): LossesOption {
  if (typeof loss === "string" || !("outputs" in loss)) return readOne(loss);
  const each = Object.entries(loss.outputs);
  return Object.fromEntries(each.map(([name, { loss, ...weight }]) => [name, { ...weight, loss: readOne(loss) }]));
}

function wireOptimizer({ name, config }: Optimizer): Named {
  if (!optimizerNames().includes(name))
    throw new ArgumentError(`The optimizer ${name} is your own. ${OWN_WORKER} Train there with fit itself.`);
  if (JSON.stringify(config).includes('"kind":"a function"'))
    throw new ArgumentError(
      `${name}'s learning rate is a function. ${OWN_WORKER} Or take one of the library's schedules.`,
    );
  return { name, options: config };
}

export function wireOptions(options: WorkerFitOptions): WireOptions {
  const { loss, optimizer, callbacks = [], ...rest } = options;
  for (const name of ["augment", "observer"])
    if (name in rest) throw new ArgumentError(`fit in a worker has no ${name}. ${OWN_WORKER}`);
  return {
    ...rest,
    loss: wireLoss(loss),
    ...(optimizer && { optimizer: wireOptimizer(optimizer) }),
    callbacks: callbacks.map((callback) => {
      if (typeof callback === "function") return callback;
      const { name, options } = callback;
      if (!options)
        throw new ArgumentError(
          `The callback ${name} is your own. ${OWN_WORKER} Or give a function (epoch, run) => ….`,
        );
      return { name, options };
    }),
  };
}

export const readOptions = ({ loss, optimizer, callbacks, ...rest }: WireOptions): FitOptions => ({
  ...rest,
  loss: readLoss(loss),
  ...(optimizer && { optimizer: optimizerNamed(optimizer.name, optimizer.options) }),
  callbacks: callbacks.map((callback) =>
    typeof callback === "function"
      ? (epoch: EpochReport, run: TrainingRun) => callback(epoch, { stop: () => run.stop() })
      : callbackNamed(callback.name, callback.options),
  ),
});
