/** One training run as users see it: an awaitable that gives the history, an iterable that gives the epochs. */
import { checkNumbers, whole } from "../checks.ts";
import { ArgumentError } from "../errors.ts";
import { type Loss, type LossesOption, lossesOf } from "../nn/losses.ts";
import { adam, type Optimizer } from "../optim/index.ts";
import { type BatchSource, batchRows, noBatches, streamRows } from "./batch-source.ts";
import { type CallbackOption, callbacksOf, type TrainingRun } from "./callbacks.ts";
import { checkFit } from "./check-arguments.ts";
import { encodeTraining, previousOf, restoreTraining, type TrainingRecord } from "./checkpoint.ts";
import { type ClassWeights, classWeigher, countClasses } from "./class-weights.ts";
import { Epochs } from "./epochs.ts";
import { type Examples, splitForValidation } from "./examples.ts";
import { checkExamples, checkMeasured, checkPadding, healthCheck, type Warning, warnOnce } from "./health.ts";
import { type InferenceModel, streamedPieces } from "./inference-model.ts";
import { files } from "./node-files.ts";
import type { MetricsOption } from "./objective.ts";
import { mapRows, openPieces } from "./pieces.ts";
import type { EpochReport, Scores } from "./scores.ts";
import { type Data, isStream, type Stream } from "./to-arrays.ts";
import { type Augment, makeEvaluator, makeTrainer, type Pace, type Trainer } from "./trainer.ts";

/** Where a run stands between epochs, for progress displays. */
export interface Progress {
  /** From 1. */
  readonly epoch: number;
  readonly epochs: number;
  /** Steps done in this epoch. */
  readonly step: number;
  /** Infinity in the first epoch of data that come from a function, as long as nobody knows where it ends. */
  readonly steps: number;
  /** Over this epoch so far. */
  readonly scores: Scores;
  readonly samplesPerSecond: number;
}

/** A run in the middle of its work: its model, what it trains on, and where it stands. */
export interface RunningFit {
  readonly model: InferenceModel<unknown>;
  readonly record: TrainingRecord;
  readonly trainer: Trainer;
}

/** Looks at a run after each series of steps, and before the first; `Recorder` is one. It must change nothing. */
export interface FitObserver {
  /** Looks at the run. */
  observe(run: RunningFit): void | Promise<void>;
}

/** Options of `model.fit`. */
export interface FitOptions {
  /**
   * A loss's name, such as `crossEntropy`, one with options such as `huber({ delta: 0.5 })`, or a function of your own; of a
   * network whose outputs have names, one for each: `{ label: "crossEntropy", age: { loss: "meanSquaredError", weight: 0.1 } }`.
   */
  readonly loss: LossesOption;
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
  readonly validation?: Data | Stream | number;
  /** Varies the rows of the training data anew in each epoch; `augmentImage` of chainrule/data does it for images. */
  readonly augment?: Augment;
  /** Names such as `accuracy`; of a network whose outputs have names, by these: `{ label: ["accuracy"] }`. */
  readonly metrics?: MetricsOption;
  /** Stops the run after the current series of steps; the model keeps what it has learnt, and the run rejects. */
  readonly signal?: AbortSignal;
  /** What is told of each epoch and may end the run, such as `earlyStopping()`; or functions of the epoch. */
  readonly callbacks?: readonly CallbackOption[];
  /**
   * Told of what keeps the network from learning, each once: by the data at the start, then after each epoch. Unless
   * given, `console.warn` says it, after a look at the network about once a second and at the end; false for silence.
   */
  readonly onWarning?: ((warning: Warning) => void) | false;
  /** Called every few milliseconds while training. */
  readonly onProgress?: (progress: Progress) => void;
  /**
   * How many steps may be done before it is asked again; asked before each series of steps. A promise is waited for, so
   * that a run can be paused, and go step by step.
   *
   * @example
   * let paused = Promise.resolve();
   * await model.fit(data, { loss: "crossEntropy", epochs: 3, pace: () => paused.then(() => 1) });
   */
  readonly pace?: Pace;
  /** Looks on while the run trains: a `Recorder` of chainrule/explain, with which to rewind it. */
  readonly observer?: FitObserver;
  /** Writes a file from which the run can go on with the same bits. */
  readonly checkpoint?: {
    readonly path: string;
    /**
     * How often within an epoch; 30 s unless said. It is also written when the run is aborted or its rows cannot be read
     * on, at the end, and after each epoch, but then not more than once a second.
     */
    readonly everySeconds?: number;
  };
  /** A checkpoint file to go on from; data, network and options must be those it was written with. */
  readonly resume?: string;
}

/** Milliseconds between two looks at a network's health where nobody asked for them. */
const LOOK_EVERY = 1000;

/** The models of the runs under way. */
const training = new WeakSet<InferenceModel<unknown>>();

/** Keeps in the model what it was trained with, where that has a name. */
function rememberLoss({ details, network }: InferenceModel<unknown>, losses: ReturnType<typeof lossesOf>): void {
  const names = network.outputs.map(({ name }) => name);
  const written = ({ options = {} }: Loss) => (Object.keys(options).length > 0 ? options : undefined);
  if (losses.some(({ loss }) => loss.name === undefined)) return;
  delete details.lossOptions;
  const [{ loss }] = losses;
  if (names[0] === undefined) {
    details.loss = loss.name;
    if (written(loss)) details.lossOptions = written(loss);
  } else {
    details.loss = Object.fromEntries(
      losses.map(({ loss, weight }, i) => [
        names[i],
        { loss: loss.name, ...(written(loss) && { options: written(loss) }), ...(weight !== 1 && { weight }) },
      ]),
    );
  }
}

/** A training run, from `model.fit`: awaited, it gives the history; iterated, its epochs as they come. Once only. */
export class Fit extends Epochs {
  readonly #model: InferenceModel<unknown>;
  readonly #data: Data | Stream | BatchSource;
  readonly #options: FitOptions;
  #started = false;

  constructor(model: InferenceModel<unknown>, data: Data | Stream | BatchSource, options: FitOptions) {
    super();
    this.#model = model;
    this.#data = data;
    this.#options = options;
  }

  /** The epochs as they come. */
  override async *[Symbol.asyncIterator](): AsyncGenerator<EpochReport> {
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

  /** Gives rows the weights of their classes, which are counted in the rows of an epoch. */
  async #weigher(
    rows: Iterable<Examples> | AsyncIterable<Examples>,
    loss: Loss,
  ): Promise<(some: Examples) => Examples> {
    const { classWeights, signal } = this.#options;
    if (classWeights === undefined) return (some) => some;
    const counts = new Map<number, number>();
    for await (const part of rows) {
      countClasses(part, loss, counts);
      signal?.throwIfAborted();
    }
    return classWeigher(counts, classWeights, typeof this.#data === "function" ? undefined : this.#data.classes);
  }

  async *#run(): AsyncGenerator<EpochReport> {
    const model = this.#model;
    const data = this.#data;
    const options = this.#options;
    const { loss, optimizer = adam(), epochs = 1, validation, metrics = [], signal, checkpoint, onWarning } = options;
    checkNumbers("fit: ", { epochs }, whole(0));
    const prepare = (batch: Data, what = ""): Examples => model.examples(batch, loss, what);
    const { seed } = model.network;
    const [given, measured] =
      isStream(data) && typeof validation === "number"
        ? data.split([1 - validation, validation], { seed })
        : [data, validation];
    const source = isStream(given)
      ? streamRows(given, (epoch) => ({ epoch, seed, shuffle: true }), prepare)
      : typeof given === "function"
        ? batchRows(given, options.stepsPerEpoch, prepare)
        : undefined;
    const all = source ? undefined : prepare(given as Data);
    const [kept, held] =
      all && typeof measured === "number"
        ? splitForValidation(all, measured, seed)
        : [all, typeof measured === "object" && !isStream(measured) ? prepare(measured, "validation ") : undefined];
    const losses = lossesOf(
      model.network.outputs.map(({ name }) => name),
      loss,
    );
    const weigh = await this.#weigher(kept ? [kept] : source!(0, 0), losses[0].loss);
    const stream = isStream(given) ? given : undefined;
    const pieces =
      source &&
      (await openPieces(mapRows(source, weigh), options.batchSize ?? (stream && 32), {
        none: noBatches(0),
        rows: stream?.count,
        goesOn: stream !== undefined,
        signal,
      }));
    const examples = pieces ? pieces.sample : weigh(kept!);
    const { batchSize: asked = 32 } = options;
    const batchSize = pieces ? pieces.batchSize : asked === "all" ? examples.count : asked;
    const streamed = isStream(measured) ? measured : undefined;
    const callbacks = callbacksOf(options.callbacks ?? []);
    const record: TrainingRecord = {
      loss,
      optimizer,
      batchSize,
      metrics,
      examples,
      held,
      callbacks,
      augment: options.augment,
      pieces,
      stream,
      heldStream: streamed,
    };
    const trainer = makeTrainer(model, examples, record);
    let check: ReturnType<typeof healthCheck> | undefined;
    const toMeasure = streamed ? await streamedPieces(model, streamed, loss) : held;
    const evaluator = toMeasure && makeEvaluator(model, toMeasure, loss, metrics);
    rememberLoss(model, losses);
    try {
      let stopped = false;
      const run: TrainingRun = {
        model,
        stop: () => {
          stopped = true;
        },
      };
      for (const callback of callbacks) await callback.onBegin?.(run);
      const warn = onWarning === false ? undefined : warnOnce(onWarning ?? (({ message }) => console.warn(message)));
      if (options.resume !== undefined)
        await restoreTraining(options.resume, run, trainer, record, (warning) => warn?.([warning]));
      const observe = () => options.observer?.observe({ model, record, trainer });
      await observe();
      let savedAt = performance.now();
      /** Writes the checkpoint, if the last one is older than so many seconds. */
      const save = async (seconds: number): Promise<void> => {
        if (!checkpoint || performance.now() - savedAt < seconds * 1000) return;
        const { writeFile } = await files();
        const keepPrevious = previousOf(checkpoint.path);
        await writeFile(checkpoint.path, await encodeTraining(model, trainer, record), { keepPrevious });
        savedAt = performance.now();
      };
      warn?.([...checkExamples(model.network, examples), ...checkPadding(model.network, examples)]);
      if (!evaluator) warn?.(checkMeasured(model.network, metrics));
      let lookedAt = performance.now();
      while (trainer.position.epoch < epochs && !stopped) {
        const start = performance.now();
        const { row: startRow, epoch: finished } = trainer.position;
        const waitedBefore = trainer.inputSeconds;
        const epoch = finished + 1;
        const seconds = (): number => Math.max(performance.now() - start, 1e-3) / 1000;
        const samplesPerSecond = (): number => (trainer.position.row - startRow) / seconds();
        const progress = async (): Promise<void> => {
          await observe();
          options.onProgress?.({
            epoch,
            epochs,
            step: Math.ceil(trainer.position.row / batchSize),
            steps: trainer.stepsPerEpoch,
            scores: trainer.runningScores,
            samplesPerSecond: samplesPerSecond(),
          });
          await save(checkpoint?.everySeconds ?? 30);
        };
        let report: EpochReport;
        try {
          const scores = await trainer.finishEpoch({ signal, progress, pace: options.pace });
          const about = {
            epoch,
            seconds: seconds(),
            samplesPerSecond: samplesPerSecond(),
            ...(pieces && { inputSeconds: trainer.inputSeconds - waitedBefore }),
          };
          const scored = await evaluator?.run(signal);
          report = { ...scores, ...about, ...(scored && { validation: scored }) } as EpochReport;
        } catch (error) {
          if (signal?.aborted || trainer.isCutOff) await save(0);
          throw error;
        }
        // Who did not ask for warnings is not made to wait for them: a look now and then, and at the end, must do.
        if (warn && (onWarning || epoch >= epochs || performance.now() - lookedAt > LOOK_EVERY)) {
          check ??= healthCheck(model, examples, loss);
          warn(await check.run(finished >= 2 && trainer.position.step >= 100));
          lookedAt = performance.now();
        }
        trainer.beginEpoch((report.validation ?? report).loss);
        await observe();
        for (const callback of callbacks) await callback.onEpoch?.(report, run);
        await save(trainer.position.epoch >= epochs || stopped ? 0 : 1);
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
