/** One training run as users see it: an awaitable that gives the history, an iterable that gives the epochs. */
import { checkNumbers, whole } from "../checks.ts";
import { ArgumentError } from "../errors.ts";
import { type LossOption, lossOf } from "../nn/losses.ts";
import { adam, type Optimizer } from "../optim/index.ts";
import { type CallbackOption, callbacksOf, type TrainingRun } from "./callbacks.ts";
import { encodeTraining, restoreTraining, type TrainingRecord } from "./checkpoint.ts";
import { type ClassWeights, classWeigher } from "./class-weights.ts";
import { checkFit } from "./door.ts";
import { checkExamples, healthCheck, type Warning, warnOnce } from "./health.ts";
import { History } from "./history.ts";
import type { Data, Model } from "./model.ts";
import { splitForValidation } from "./rows.ts";
import { type BatchSource, epochReader } from "./source.ts";
import { type Augment, makeEvaluator, type Scores, Trainer } from "./trainer.ts";

/** What one epoch brought: the loss and each metric under its name, over the training data as it was trained on. */
export interface Epoch extends Scores {
  /** From 1. */
  readonly epoch: number;
  readonly seconds: number;
  readonly samplesPerSecond: number;
}

/** An epoch with the scores on the validation data, if any were given. */
export type EpochReport = Epoch & { readonly validation?: Scores };

/** Where a run stands between epochs, for progress displays. */
export interface Progress {
  /** From 1. */
  readonly epoch: number;
  readonly epochs: number;
  /** Steps done in this epoch. */
  readonly step: number;
  readonly steps: number;
  /** Over this epoch so far. */
  readonly scores: Scores;
  readonly samplesPerSecond: number;
}

/** A run in the middle of its work: its model, what it trains on, and where it stands. */
export interface RunningFit {
  readonly model: Model;
  readonly record: TrainingRecord;
  readonly trainer: Trainer;
}

/** Looks at a run after each series of steps, and before the first; `Recorder` is one. It must change nothing. */
export interface FitObserver {
  /** Looks at the run. */
  observe(run: RunningFit): void;
}

/** Options of `model.fit`. */
export interface FitOptions {
  /** A loss's name, such as `crossEntropy`, one with options such as `huber({ delta: 0.5 })`, or a function of your own. */
  readonly loss: LossOption;
  /**
   * How much the rows of each class count in the loss, by class number, or by class name if the data have names; 1 for
   * those left out. `"balanced"` gives every class the same share: rows / (classes · rows of the class).
   */
  readonly classWeights?: ClassWeights;
  /** Adam with its usual settings unless said. */
  readonly optimizer?: Optimizer;
  /** 1 unless said. */
  readonly epochs?: number;
  /** How many rows one step learns from; 32 unless said, with a function as data those of its first batch. `"all"` is gradient descent in the classical form. */
  readonly batchSize?: number | "all";
  /** How many batches make an epoch, where the data are a function that gives batches; all it gives unless said. */
  readonly stepsPerEpoch?: number;
  /** Data to measure each epoch with, or the fraction of the training data to set aside for it, drawn by the seed. */
  readonly validation?: Data | number;
  /** Varies the rows of the training data anew in each epoch; `augmentImage` of chainrule/data does it for images. */
  readonly augment?: Augment;
  /** Names such as `accuracy`. */
  readonly metrics?: readonly string[];
  /** Stops the run after the current series of steps; the model keeps what it has learnt, and the run rejects. */
  readonly signal?: AbortSignal;
  /** What is told of each epoch and may end the run, such as `earlyStopping()`; or functions of the epoch. */
  readonly callbacks?: readonly CallbackOption[];
  /** Told of what keeps the network from learning, each once: by the data at the start, then after each epoch. */
  readonly onWarning?: (warning: Warning) => void;
  /** Called every few milliseconds while training. */
  readonly onProgress?: (progress: Progress) => void;
  /** Looks on while the run trains: a `Recorder` of chainrule/explain, with which to rewind it. */
  readonly observer?: FitObserver;
  /** Writes a file from which the run can go on with the same bits. */
  readonly checkpoint?: {
    readonly path: string;
    /**
     * How often within an epoch; 30 s unless said. It is also written when the run is aborted, at the end, and after
     * each epoch, but then not more than once a second.
     */
    readonly everySeconds?: number;
  };
  /** A checkpoint file to go on from; data, network and options must be those it was written with. */
  readonly resume?: string;
}

/** The models of the runs under way. */
const training = new WeakSet<Model>();

/** A training run, from `model.fit`: awaited, it gives the history; iterated, its epochs as they come. Once only. */
export class Fit implements AsyncIterable<EpochReport>, PromiseLike<History> {
  readonly #model: Model;
  readonly #data: Data | BatchSource;
  readonly #options: FitOptions;
  #started = false;
  #result: Promise<History> | undefined;

  constructor(model: Model, data: Data | BatchSource, options: FitOptions) {
    this.#model = model;
    this.#data = data;
    this.#options = options;
  }

  // biome-ignore lint/suspicious/noThenProperty: being awaitable is the point of this class.
  then<A = History, B = never>(
    resolve?: ((history: History) => A | PromiseLike<A>) | null,
    reject?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.#result ??= (async () => {
      const history = new History();
      for await (const epoch of this) history.push(epoch);
      return history;
    })();
    return this.#result.then(resolve, reject);
  }

  /** The epochs as they come. */
  async *[Symbol.asyncIterator](): AsyncGenerator<EpochReport> {
    if (this.#started) throw new ArgumentError("This training run has begun already; call fit again for another one.");
    this.#started = true;
    checkFit(this.#data, this.#options);
    if (training.has(this.#model))
      throw new ArgumentError("The model is already training; wait until that run ends, or train another model.");
    training.add(this.#model);
    try {
      yield* this.#run();
    } finally {
      training.delete(this.#model);
    }
  }

  async *#run(): AsyncGenerator<EpochReport> {
    const {
      loss,
      optimizer = adam(),
      epochs = 1,
      validation,
      metrics = [],
      signal,
      checkpoint,
      resume,
      onWarning,
    } = this.#options;
    checkNumbers("fit: ", { epochs }, whole(0));
    const model = this.#model;
    const data = this.#data;
    const { classWeights, stepsPerEpoch } = this.#options;
    const isSource = typeof data === "function";
    const reader = isSource
      ? epochReader(data, stepsPerEpoch, (batch, what) => model.examples(batch, loss, what))
      : undefined;
    const first = await reader?.(0, signal);
    const all = first?.examples ?? model.examples(data as Data, loss);
    const [kept, held] =
      typeof validation === "number"
        ? splitForValidation(all, validation, model.network.seed)
        : [all, validation && model.examples(validation, loss, "validation ")];
    const weigh = classWeigher(kept, classWeights, isSource ? undefined : data.classes);
    const examples = weigh(kept);
    const { batchSize: asked = first?.batchSize ?? 32 } = this.#options;
    const batchSize = asked === "all" ? examples.x.count : asked;
    const callbacks = callbacksOf(this.#options.callbacks ?? []);
    const { augment } = this.#options;
    const record: TrainingRecord = {
      loss,
      optimizer,
      batchSize,
      metrics,
      examples,
      held,
      callbacks,
      ...(augment && { augment }),
      ...(reader && { read: async (epoch, signal) => weigh((await reader(epoch, signal)).examples) }),
    };
    const trainer = new Trainer(model, examples, record);
    let check: ReturnType<typeof healthCheck> | undefined;
    const evaluator = held && makeEvaluator(model, held, loss, metrics);
    const { name: lossName, options: lossOptions = {} } = lossOf(loss);
    if (lossName !== undefined) {
      model.details.loss = lossName;
      if (Object.keys(lossOptions).length > 0) model.details.lossOptions = lossOptions;
      else delete model.details.lossOptions;
    }
    try {
      let stopped = false;
      const run: TrainingRun = {
        model,
        stop: () => {
          stopped = true;
        },
      };
      for (const callback of callbacks) await callback.onBegin?.(run);
      if (resume !== undefined) await restoreTraining(resume, run, trainer, record);
      const observe = (): void => this.#options.observer?.observe({ model, record, trainer });
      observe();
      let savedAt = performance.now();
      const write = async (): Promise<void> => {
        if (!checkpoint) return;
        const { writeFileAtomically } = await import("../data/node/files.ts");
        await writeFileAtomically(checkpoint.path, encodeTraining(model, trainer, record), {
          keepPrevious: `${checkpoint.path}.previous`,
        });
        savedAt = performance.now();
      };
      const warn = onWarning && warnOnce(onWarning);
      warn?.(checkExamples(model.network, examples));
      check = warn && healthCheck(model, examples, loss);
      const total = examples.x.count;
      while (trainer.position.epoch < epochs && !stopped) {
        const start = performance.now();
        const { row: startRow, epoch: finished } = trainer.position;
        const speed = (row: number) => ((row - startRow) / Math.max(performance.now() - start, 1e-3)) * 1000;
        const progress = async (): Promise<void> => {
          observe();
          const { row } = trainer.position;
          this.#options.onProgress?.({
            epoch: finished + 1,
            epochs,
            step: Math.ceil(row / batchSize),
            steps: trainer.stepsPerEpoch,
            scores: trainer.scores,
            samplesPerSecond: speed(row),
          });
          const { everySeconds = 30 } = checkpoint ?? {};
          if (performance.now() - savedAt > everySeconds * 1000) await write();
        };
        let scores: Scores;
        let seconds: number;
        let samplesPerSecond: number;
        let scored: Scores | undefined;
        try {
          scores = await trainer.finishEpoch(signal, progress);
          seconds = (performance.now() - start) / 1000;
          samplesPerSecond = speed(total);
          scored = await evaluator?.run(signal);
        } catch (error) {
          if (signal?.aborted) await write();
          throw error;
        }
        if (check) warn?.(await check.run(finished >= 2 && trainer.position.step >= 100));
        trainer.beginEpoch((scored ?? scores).loss);
        observe();
        const report = {
          ...scores,
          epoch: finished + 1,
          seconds,
          samplesPerSecond,
          ...(scored && { validation: scored }),
        } as EpochReport;
        for (const callback of callbacks) await callback.onEpoch?.(report, run);
        if (performance.now() - savedAt > 1000 || trainer.position.epoch >= epochs || stopped) await write();
        yield report;
      }
      for (const callback of callbacks) await callback.onEnd?.(run);
    } finally {
      trainer.free();
      evaluator?.free();
      check?.free();
    }
  }
}
