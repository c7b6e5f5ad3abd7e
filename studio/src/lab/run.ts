/**
 * One run: its data, its model, its recorder, and the training that waits between two steps whenever it is told to. All
 * looking happens while it waits, so that everything that is shown belongs to one moment.
 */
import {
  type ChainruleError,
  type Data,
  DataError,
  health,
  type LossOption,
  type Model,
  type Optimizer,
  optimizerNamed,
  recommend,
  sequential,
} from "chainrule";
import { type Dataset, split } from "chainrule/data";
import { type Explanation, explain, Recorder } from "chainrule/explain";
import { Distributions } from "./distributions.ts";
import { ScoreHistory } from "./history.ts";
import type { Setup, WarningLook } from "./looks.ts";
import { makeSchedule } from "./make-layer.ts";
import { outputsFor, type PlacedLayer, placeLayers } from "./network.ts";
import type { Spec } from "./spec.ts";

/** How fast a run goes that plays: steps a frame, or as fast as it can. */
export type Speed = number | "full";

/** How many numbers training changes; means and deviations of the data are none of them. */
export const weightCountOf = ({ network }: Model): number =>
  network.parameters
    .filter(({ trainable }) => trainable)
    .reduce((sum, { node }) => sum + node.shape.reduce((a, b) => a * b, 1), 0);

/** Milliseconds between two looks at the health of a run. */
const HEALTH_EVERY = 1000;

/** Rows whose activations and gradients are counted in distributions; more would hold up a convolutional network. */
const SPREAD_ROWS = 16;

/** Epochs without end: a run goes on until it is stopped. */
const ENDLESS = 1e9;

/** Gives a model the weights of another one of the same form. */
function takeWeights(model: Model, start: Model, name: string): void {
  const given = new Map(start.network.parameters.map((parameter) => [parameter.name, parameter.node.shape.join()]));
  const wanted = model.network.parameters.filter(({ name, node }) => given.get(name) !== node.shape.join());
  if (wanted.length > 0 || given.size !== model.network.parameters.length) {
    model.close();
    throw new DataError(
      `${name} takes rows of ${start.inputShape.join(" × ")} and gives ${start.network.outputShape.join(" × ")}; these data ask for another network. Drop it together with data like those it was trained on.`,
    );
  }
  for (const parameter of model.network.parameters) model.setWeight(parameter.name, start.weight(parameter.name));
}

export class Run {
  readonly spec: Spec;
  readonly train: Dataset;
  readonly heldOut: Dataset | undefined;
  readonly model: Model;
  readonly placed: readonly PlacedLayer[];
  readonly loss: string;
  readonly optimizer: Optimizer;
  readonly batchSize: number;
  readonly stepsPerEpoch: number;
  readonly recorder = new Recorder({ everyMilliseconds: 200, memory: 64 * 2 ** 20 });
  readonly history: ScoreHistory;
  readonly distributions = new Distributions();
  /** The first look waits until there is something to see, so that it holds up no page that opens. */
  #spreadAt = { due: performance.now() + HEALTH_EVERY, done: 0 };
  warnings: readonly WarningLook[] = [];
  #lookedAt = Number.NEGATIVE_INFINITY;
  #lookedDone = -1;
  /** The rate of each step as the spec has it. */
  readonly #schedule: (step: number) => number;
  /** The learning rates set by hand, each with the step from which it holds. */
  readonly #rates: { from: number; rate: number }[];
  readonly #stop = new AbortController();
  failure: ChainruleError | Error | undefined;
  samplesPerSecond = 0;
  /** Steps that may be done: infinite while it plays at full speed. */
  #until = 0;
  /** Whether it was woken since it last fell asleep, and how to wake it. */
  #isAwake = false;
  #wake: () => void = () => {};
  readonly #ended: Promise<void>;

  /**
   * @param still what is to be done between two steps, before the run goes on or waits
   * @param start a model whose weights are the first ones
   */
  constructor(spec: Spec, data: Dataset, still: () => Promise<void>, start?: Model) {
    const [train, heldOut] =
      spec.heldOut > 0 ? split(data, [1 - spec.heldOut, spec.heldOut], { seed: spec.seed }) : [data];
    // Of rows that are written out nothing is to be found out: their network is as it stands.
    const advice = spec.data.kind === "rows" ? undefined : recommend(train);
    const isClasses = data.task === "classification";
    this.loss = spec.loss ?? advice?.loss ?? (isClasses ? "crossEntropy" : "meanSquaredError");
    const classes = isClasses ? (data.classes?.length ?? new Set(data.y).size) : undefined;
    this.placed = placeLayers(
      spec,
      data.inputShape,
      advice && { ...advice, outputs: outputsFor(this.loss, advice, classes) },
    );
    this.spec = spec;
    this.train = train;
    this.heldOut = heldOut;
    this.batchSize = Math.min(spec.batchSize, train.count);
    this.stepsPerEpoch = Math.ceil(train.count / this.batchSize);
    const score = advice?.metrics[0] ?? (isClasses ? "accuracy" : "meanAbsoluteError");
    this.history = new ScoreHistory(score);
    const { name, weightDecay, learningRate, schedule } = spec.optimizer;
    this.#rates = [{ from: 0, rate: learningRate }];
    const moving = schedule && makeSchedule(schedule, learningRate);
    this.#schedule = (step) => moving?.at(step) ?? learningRate;
    this.optimizer = optimizerNamed(name, {
      ...(weightDecay > 0 && { weightDecay }),
      learningRate: (step) => this.rateAt(step),
    });
    this.model = sequential(
      { input: data.inputShape, seed: spec.seed },
      this.placed.map(({ layer }) => layer),
    );
    for (const [name, values] of Object.entries(spec.weights ?? {}))
      this.model.setWeight(name, Float32Array.from(values));
    if (start) takeWeights(this.model, start, spec.start ?? "The model");
    Object.assign(this.model.details, {
      task: data.task,
      ...(data.classes && { classes: data.classes }),
      ...(data.features && { features: data.features }),
      ...(data.schema && { schema: data.schema }),
      loss: this.loss,
    });
    this.#ended = this.#fit(score, still);
  }

  get done(): number {
    return this.recorder.steps;
  }

  /** The rate of the step that comes after so many others. One set by hand takes the place of the first; the schedule goes on. */
  rateAt(step: number): number {
    const { rate } = this.#rates.filter(({ from }) => from <= step).at(-1)!;
    const { learningRate } = this.spec.optimizer;
    return rate === learningRate ? this.#schedule(step) : this.#schedule(step) * (rate / learningRate);
  }

  /** From the next step on. */
  setLearningRate(rate: number): void {
    this.#rates.push({ from: this.done, rate });
  }

  /** The step up to which it goes on; the last one done where it waits. */
  get goal(): number {
    return Number.isFinite(this.#until) ? Math.max(this.#until, this.done) : this.done;
  }

  get isWaiting(): boolean {
    return this.done >= this.#until;
  }

  /** Lets it go on until so many steps are done. */
  goOn(until: number): void {
    this.#until = until;
    this.wake();
  }

  /** Lets it look around again, without going on. */
  wake(): void {
    this.#isAwake = true;
    this.#wake();
  }

  async #sleep(): Promise<void> {
    if (!this.#isAwake)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    this.#isAwake = false;
  }

  async #fit(score: string, still: () => Promise<void>): Promise<void> {
    const pace = async (): Promise<number> => {
      for (;;) {
        if (this.#stop.signal.aborted) return 1;
        await still();
        const left = this.#until - this.done;
        if (left > 0) return left;
        await this.#sleep();
      }
    };
    try {
      const run = this.model.fit(this.train as Data, {
        loss: this.loss as LossOption,
        optimizer: this.optimizer,
        epochs: ENDLESS,
        batchSize: this.batchSize,
        metrics: [score],
        ...(this.heldOut && { validation: this.heldOut }),
        observer: this.recorder,
        signal: this.#stop.signal,
        // The lab looks for itself, less often than after each of a thousand epochs a second.
        onWarning: false,
        onProgress: ({ samplesPerSecond }) => {
          this.samplesPerSecond = samplesPerSecond;
        },
        pace,
      });
      for await (const epoch of run) {
        this.history.push(this.done, epoch);
        this.samplesPerSecond = epoch.samplesPerSecond;
      }
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      this.failure = error as Error;
      this.#until = 0;
    }
    // What has failed can still be looked at.
    while (!this.#stop.signal.aborted) {
      await still();
      await this.#sleep();
    }
  }

  /** Looks for what keeps the network from learning, about once a second; what is no longer so is no longer said. */
  async lookAtHealth(): Promise<void> {
    if (this.failure || performance.now() - this.#lookedAt < HEALTH_EVERY || this.done === this.#lookedDone) return;
    this.#lookedDone = this.done;
    const found = await health(this.model, this.train, { loss: this.loss });
    const isTrained = this.done >= Math.max(100, 2 * this.stepsPerEpoch);
    this.warnings = found
      .filter(({ kind }) => isTrained || kind !== "notLearning")
      .map(({ kind, where, message }) => {
        const layer = this.model.network.layers.find(({ name }) => where === name || where.startsWith(`${name}.`));
        return { kind, message, ...(layer && { layer: layer.name }) };
      });
    this.#lookedAt = performance.now();
  }

  /** Takes how all numbers are spread, about once a second, and never for more than a part of the time. */
  async lookAtDistributions(): Promise<void> {
    const begun = performance.now();
    if (this.failure || begun < this.#spreadAt.due || this.done === this.#spreadAt.done) return;
    const { model, train, done } = this;
    const arrays: Record<string, ArrayLike<number>> = {};
    // A handful of biases has no spread to look at.
    const weights = model.network.parameters.filter(({ trainable, node }) => trainable && node.shape.length > 1);
    for (const { name } of weights) arrays[`weights ${name}`] = model.weight(name);
    const size = train.x.length / train.count;
    const rows = Math.min(train.count, SPREAD_ROWS);
    const x = train.x.subarray(0, rows * size);
    const some = await model.intermediates(x);
    for (const { name, kind } of model.network.layers)
      if (!/^(flatten|dropout)$/.test(kind)) arrays[`activations ${name}`] = some[name].data;
    const y = train.y.subarray(0, (rows * train.y.length) / train.count);
    const explanation = await explain(model, { x, y }, { loss: this.loss as LossOption });
    for (const { name } of weights) arrays[`gradients ${name}`] = explanation.gradient(name);
    this.distributions.record(done, arrays);
    const cost = performance.now() - begun;
    this.#spreadAt = { due: begun + Math.max(HEALTH_EVERY, 25 * cost), done };
  }

  setup(): Pick<Setup, "layers" | "weightCount" | "engine" | "loss" | "stepsPerEpoch"> {
    const { network, engine } = this.model;
    return {
      layers: network.layers.map(({ name, kind, description, inputShape, outputShape, parameters }, i) => ({
        ...{ name, kind, description, inputShape, outputShape },
        parameters: parameters.map(({ name, node }) => ({ name, shape: node.shape })),
        ...(this.placed[i].card !== undefined && { card: this.placed[i].card }),
      })),
      weightCount: weightCountOf(this.model),
      engine,
      loss: this.loss,
      stepsPerEpoch: this.stepsPerEpoch,
    };
  }

  /** The model after so many steps: its own where that is now. */
  async modelAt(moment: number): Promise<Model> {
    return moment === this.done ? this.model : this.recorder.modelAt(moment);
  }

  /** The step that comes after a moment. */
  explain(moment: number): Promise<Explanation> {
    return this.recorder.explain(moment + 1);
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.wake();
    await this.#ended;
    this.recorder.close();
    this.model.close();
  }
}
