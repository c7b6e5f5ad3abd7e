/**
 * The training loop: shuffles, runs steps in series, sums up epochs, evaluates, and can be stopped and resumed at any
 * step with the same bits. It owns the data set and the optimiser's state inside the engine while it lives.
 */
import type { Executable, Session } from "../backends/backend.ts";
import { checkNumbers, whole } from "../checks.ts";
import { ArgumentError, DataError, DivergenceError } from "../errors.ts";
import { variable } from "../graph/leaf.ts";
import { type Node, nameOf } from "../graph/node.ts";
import type { AnyArray } from "../graph/op.ts";
import { sizeOf } from "../graph/shape.ts";
import type { LossOption } from "../nn/losses.ts";
import type { Network } from "../nn/network.ts";
import { add, mul, sum } from "../ops/index.ts";
import type { Optimizer, ScheduleMemory } from "../optim/index.ts";
import { makePlan } from "../plan/plan.ts";
import { RandomStream } from "../random.ts";
import { cached } from "./cached.ts";
import { diagnose } from "./diagnose.ts";
import type { Rows, Targets } from "./inputs.ts";
import type { Model } from "./model.ts";
import {
  type DataLeaves,
  evaluationPlan,
  forwardBatch,
  gatheredBatch,
  leavesOf,
  type Objective,
  type OptimizerState,
  objectiveOf,
  openStates,
  optimizerStates,
  type TrainingGraph,
  trainingGraph,
  trainingPlan,
} from "./program.ts";
import { arraysOf } from "./rows.ts";

/** What is measured over a data set: the loss, and each metric under its name. */
export interface Scores {
  readonly loss: number;
  readonly [metric: string]: number;
}

/** Examples ready for the engine. */
export interface Examples {
  readonly x: Rows;
  readonly y: Targets;
  /** How much each row counts in the loss; all alike if absent. */
  readonly weights?: Float32Array;
}

/** Where a training run stands: enough, with the arrays, to go on as if it had never stopped. */
export interface Position {
  /** Steps done since the beginning. */
  readonly step: number;
  /** Epochs finished. */
  readonly epoch: number;
  /** Rows of the current epoch that are done. */
  readonly row: number;
  /** Sums over those rows of the loss and of each metric. */
  readonly sums: readonly number[];
  /** What the learning rate's schedule remembers of the finished epochs, if it does. */
  readonly schedule?: ScheduleMemory;
}

/**
 * Gives a row of x anew for an epoch, of the same length and type, as `augmentImage` does; the same for the same epoch
 * and row, for a run that is resumed to end with the same bits.
 * @param row one row of x, flat; not to be changed
 * @param epoch from 0
 * @param index the number of the row in the training data
 */
export type Augment = <A extends Uint8Array | Float32Array>(row: A, epoch: number, index: number) => A;

export interface TrainerOptions {
  readonly augment?: Augment;
  /** Reads the rows of an epoch after the first, which then stay in their order: as many as the first has. */
  readonly read?: (epoch: number, signal?: AbortSignal) => Promise<Examples>;
  readonly loss: LossOption;
  readonly optimizer: Optimizer;
  readonly batchSize: number;
  readonly metrics: readonly string[];
}

/** An engine's run should last about this long, so that the event loop stays responsive: milliseconds. */
const SERIES_TIME = 15;
/** Weights are copied this often within an epoch, for the case that the run diverges: milliseconds. */
const SNAPSHOT_INTERVAL = 2000;

/** Puts examples into the engine, in the place of others of the same form. */
function writeExamples(session: Session, data: DataLeaves, examples: Examples): void {
  const arrays = arraysOf(examples);
  for (const [i, node] of Object.values(data).entries()) session.write(node, arrays[i]);
}

/** Puts examples into the engine. */
export function uploadExamples(session: Session, network: Network, examples: Examples): DataLeaves {
  const data = leavesOf(variable, network, examples);
  writeExamples(session, data, examples);
  return data;
}

export function freeExamples(session: Session, data: DataLeaves): void {
  for (const node of Object.values(data)) session.free(node);
}

/** The scores of sums over `count` rows. */
const scoresOf = (sums: readonly number[], count: number, { metrics }: Objective): Scores => ({
  ...Object.fromEntries(metrics.map(({ name, finish = (x) => x }, i) => [name, finish(sums[i + 1] / count)])),
  loss: sums[0] / count,
});

const noSums = ({ metrics }: Objective): number[] => new Array(1 + metrics.length).fill(0);

/** Lets timers, input and other work run. */
export const breathe = (): Promise<void> =>
  new Promise((resolve) => {
    if (typeof setImmediate === "function") {
      setImmediate(resolve);
    } else {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => {
        port1.close();
        resolve();
      };
      port2.postMessage(0);
    }
  });

/** How many steps fit into one series, judged by the last one. */
const seriesLength = (length: number, milliseconds: number): number =>
  Math.max(1, Math.min(length * 4, Math.floor((length * SERIES_TIME) / Math.max(milliseconds, 0.01))));

/** The size of the next batch of so many rows, and how many of that size come in a row, up to a limit. */
const nextBatches = (rows: number, batchSize: number, limit: number): readonly [number, number] =>
  rows < batchSize ? [rows, 1] : [batchSize, Math.min(Math.floor(rows / batchSize), limit)];

/** Loss and metrics of a network over a whole data set, as often as asked. */
export function makeEvaluator(
  { session, network }: Model,
  examples: Examples,
  loss: LossOption,
  metrics: readonly string[],
) {
  const objective = objectiveOf(network, loss, metrics);
  const data = uploadExamples(session, network, examples);
  const total = examples.x.count;
  const width = sizeOf(network.outputShape);
  const executables = new Map<number, Executable>();

  const run = async (signal?: AbortSignal): Promise<Scores> => {
    const batchSize = forwardBatch(network);
    const { whole } = objective;
    const sums = noSums(objective);
    const outputs = new Float32Array(whole.length > 0 ? total * width : 0);
    let length = 1;
    for (let row = 0; row < total; ) {
      signal?.throwIfAborted();
      const [size, count] = nextBatches(total - row, batchSize, length);
      const executable = cached(executables, size, () =>
        session.compile(evaluationPlan(network, objective, data, size)),
      );
      const start = performance.now();
      const from = row;
      const run = await executable.run([Int32Array.from({ length: size * count }, (_, i) => from + i)], count);
      for (const i of sums.keys()) for (const value of run.outputs[i]) sums[i] += value;
      if (whole.length > 0) outputs.set(run.outputs[sums.length], row * width);
      length = seriesLength(count, performance.now() - start);
      row += size * count;
      await breathe();
    }
    const predictions = { outputs, width, targets: examples.y, loss: objective.loss };
    return {
      ...scoresOf(sums, total, objective),
      ...Object.fromEntries(whole.map((metric) => [metric.name, metric.whole(predictions)])),
    };
  };

  const free = (): void => {
    for (const executable of executables.values()) executable.free();
    freeExamples(session, data);
  };
  return { run, free };
}

export class Trainer {
  readonly #session: Session;
  readonly #network: Network;
  readonly #options: TrainerOptions;
  readonly #objective: Objective;
  readonly #count: number;
  /** The rows of x as they were given, for `augment`. */
  #x: Rows;
  /** The epoch whose rows are in the engine, where they differ. */
  #present: number | undefined;
  readonly #programs = new Map<number, { graph: TrainingGraph; executable: Executable }>();
  /** The examples in the engine. */
  readonly data: DataLeaves;
  readonly states: readonly OptimizerState[];
  readonly #stateNodes: readonly Node[];
  #position: Position;
  #order: { epoch: number; rows: Uint32Array } | undefined;
  /** Where the run stood when its arrays were last copied. */
  #snapshot: { at: number; position: Position } | undefined;
  readonly #copies = new Map<Node, Node>();
  #copying: Executable | undefined;
  #series = 1;

  constructor({ session, network }: Model, examples: Examples, options: TrainerOptions) {
    const { batchSize, loss, metrics, optimizer } = options;
    checkNumbers("fit: ", { batchSize }, whole(1));
    this.#session = session;
    this.#network = network;
    this.#options = options;
    this.#objective = objectiveOf(network, loss, metrics);
    this.#count = examples.x.count;
    this.#x = examples.x;
    this.states = optimizerStates(network, optimizer);
    if (this.states.length === 0) {
      throw new ArgumentError(
        "The network has nothing to train: give it a layer with parameters, such as dense, or unfreeze one.",
      );
    }
    this.data = uploadExamples(session, network, examples);
    this.#stateNodes = openStates(session, this.states);
    this.#position = { step: 0, epoch: 0, row: 0, sums: noSums(this.#objective) };
  }

  get position(): Position {
    return this.#position;
  }

  /** Steps per epoch; the last one may have a smaller batch. */
  get stepsPerEpoch(): number {
    return Math.ceil(this.#count / this.#options.batchSize);
  }

  /** Goes on from a position; the arrays must have been put back before. */
  seek(position: Position): void {
    this.#position = position;
    this.#snapshot = undefined;
  }

  /** The next `count` rows of the epoch. */
  #rows(count: number): Uint32Array {
    const { epoch, row } = this.#position;
    // In an order that is the same for the same seed, whatever was done before.
    if (this.#order?.epoch !== epoch) {
      const stream = new RandomStream(this.#network.seed, `shuffle ${epoch}`);
      const rows = this.#options.read ? new Uint32Array(this.#count).map((_, i) => i) : stream.permutation(this.#count);
      this.#order = { epoch, rows };
    }
    return this.#order.rows.subarray(row, row + count);
  }

  /** The rows of the data that the next step learns from; none at the end of an epoch. */
  get nextRows(): Uint32Array {
    return this.#rows(this.#options.batchSize);
  }

  #program(size: number) {
    return cached(this.#programs, size, () => {
      const batch = gatheredBatch(this.data, size);
      const graph = trainingGraph(this.#network, this.#objective, this.#options.optimizer, this.states, batch);
      return { graph, executable: this.#session.compile(trainingPlan(graph)) };
    });
  }

  /** The inputs of the next `count` steps. */
  #inputs(size: number, count: number): AnyArray[] {
    const { step, schedule } = this.#position;
    const steps = Int32Array.from({ length: count }, (_, i) => step + i);
    const scalars = Array.from(steps, (done) => this.#options.optimizer.scalars(done + 1, schedule));
    return [
      new Int32Array(this.#rows(size * count)),
      steps,
      ...Object.keys(scalars[0]).map((name) => Float64Array.from(scalars, (values) => values[name])),
    ];
  }

  /** Brings the rows of the current epoch into the engine, where they differ from epoch to epoch. */
  async bringRows(signal?: AbortSignal): Promise<void> {
    const { augment, read } = this.#options;
    const { epoch } = this.#position;
    if (!(augment || read) || this.#present === epoch) return;
    // The trainer was given the rows of the first epoch.
    if (read && (this.#present ?? 0) !== epoch) {
      const examples = await read(epoch, signal);
      if (examples.x.count !== this.#count)
        throw new DataError(
          `Epoch ${epoch + 1} was given ${examples.x.count} rows, the first ${this.#count}; all must have as many. stepsPerEpoch ends an epoch after so many batches.`,
        );
      writeExamples(this.#session, this.data, examples);
      if (augment) this.#x = examples.x;
    }
    if (augment) await this.#augment(augment, signal);
    this.#present = epoch;
  }

  async #augment(augment: Augment, signal?: AbortSignal): Promise<void> {
    const { epoch } = this.#position;
    const { values, count } = this.#x;
    const width = values.length / count;
    const varied = values.slice();
    let since = performance.now();
    for (let i = 0; i < count; i++) {
      const row = augment(values.subarray(i * width, (i + 1) * width), epoch, i);
      if (row.length !== width)
        throw new ArgumentError(`augment gave ${row.length} numbers for row ${i + 1}; ${width} were wanted.`);
      varied.set(row, i * width);
      if (performance.now() - since < SERIES_TIME) continue;
      await breathe();
      signal?.throwIfAborted();
      since = performance.now();
    }
    this.#session.write(this.data.x, varied);
  }

  /** Runs up to `limit` steps of the current epoch, all with batches of one size; says whether all were good. */
  async #run(limit: number): Promise<boolean> {
    const { step, row, sums } = this.#position;
    const [size, count] = nextBatches(this.#count - row, this.#options.batchSize, limit);
    const { outputs, completed } = await this.#program(size).executable.run(this.#inputs(size, count), count);
    this.#position = {
      ...this.#position,
      step: step + completed,
      row: row + completed * size,
      sums: sums.map((sum, i) =>
        Array.from(outputs[i].slice(0, completed)).reduce((all, value) => all + value * size, sum),
      ),
    };
    return completed === count;
  }

  /** Runs up to `limit` steps of the current epoch, all with batches of one size. */
  async advance(limit: number): Promise<void> {
    await this.bringRows();
    if (!(await this.#run(limit))) await this.#diverged();
  }

  /**
   * Runs to the end of the current epoch and gives its scores. `beginEpoch` goes on to the next one.
   * @param progress called after each series of steps
   */
  async finishEpoch(signal: AbortSignal | undefined, progress?: () => void | Promise<void>): Promise<Scores> {
    await this.bringRows(signal);
    while (this.#position.row < this.#count) {
      signal?.throwIfAborted();
      if (!(this.#snapshot && performance.now() - this.#snapshot.at < SNAPSHOT_INTERVAL)) await this.#keepSnapshot();
      const before = this.#position.step;
      const start = performance.now();
      await this.advance(this.#series);
      this.#series = seriesLength(this.#position.step - before, performance.now() - start);
      await progress?.();
      await breathe();
    }
    if (!(await this.#keepSnapshot())) await this.#diverged();
    return this.scores;
  }

  /** Closes a finished epoch: the schedule takes notice of its loss. */
  beginEpoch(loss: number): void {
    const { step, epoch, schedule } = this.#position;
    const next = this.#options.optimizer.observe?.(schedule, loss);
    this.#position = { step, epoch: epoch + 1, row: 0, sums: noSums(this.#objective), ...(next && { schedule: next }) };
    // No replay across this line: the schedule has taken notice of a loss. The copies are of this very moment.
    if (this.#snapshot) this.#snapshot.position = this.#position;
  }

  /** The scores so far in the current epoch. */
  get scores(): Scores {
    return scoresOf(this.#position.sums, Math.max(1, this.#position.row), this.#objective);
  }

  /** Copies the arrays, inside the engine, unless an element is NaN or infinite: 0 · x is 0 for all others. */
  async #keepSnapshot(): Promise<boolean> {
    if (!this.#copying) {
      const arrays = [...this.#network.parameters.map(({ node }) => node), ...this.#stateNodes];
      const updates = arrays.map((value) => ({ variable: variable(`copy of ${nameOf(value)}`, value.shape), value }));
      for (const { variable: copy, value } of updates) {
        this.#session.write(copy, new Float32Array(sizeOf(copy.shape)));
        this.#copies.set(value, copy);
      }
      const zero = arrays.map((node) => sum(mul(node, 0))).reduce((a, b) => add(a, b));
      this.#copying = this.#session.compile(makePlan({ inputs: [], outputs: [zero], updates, guard: zero }));
    }
    const { completed } = await this.#copying.run([]);
    if (completed > 0) this.#snapshot = { at: performance.now(), position: this.#position };
    return completed > 0;
  }

  /** Goes back to the last copy, or only to a position if there is none. */
  #restore(position: Position): void {
    this.#position = this.#snapshot?.position ?? position;
    if (this.#snapshot) for (const [node, copy] of this.#copies) this.#session.write(node, this.#session.read(copy));
  }

  /**
   * Goes back to the last good weights, repeats the steps one by one to the one that broke, and says what broke there.
   * Always throws; the model keeps the weights from before that step.
   */
  async #diverged(): Promise<never> {
    const broken = this.#position;
    this.#restore(broken);
    // There are no rows where there was no copy to go back to: broken from the beginning.
    while (this.#position.step <= broken.step && this.nextRows.length > 0) {
      const before = this.#position;
      if ((await this.#run(1)) && (await this.#keepSnapshot())) continue;
      this.#restore(before);
      const size = this.nextRows.length;
      const step = before.step + 1;
      const place = `step ${step} (epoch ${before.epoch + 1})`;
      const { graph } = this.#program(size);
      throw diagnose(graph, this.#inputs(size, 1), place, step, (node) => this.#session.read(node));
    }
    throw new DivergenceError("The loss or a weight became NaN or infinite.", broken.step);
  }

  /** Gives back the engine's memory. The parameters stay. */
  free(): void {
    for (const { executable } of this.#programs.values()) executable.free();
    this.#copying?.free();
    for (const node of [...this.#stateNodes, ...this.#copies.values()]) this.#session.free(node);
    freeExamples(this.#session, this.data);
  }
}
