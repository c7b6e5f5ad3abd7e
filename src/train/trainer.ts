/**
 * The training loop: shuffles, runs steps in series, sums up epochs, evaluates, and can be stopped and resumed at any
 * step with the same bits. It owns the data set and the optimiser's state inside the engine while it lives.
 */
import type { Executable, Run, Session } from "../backends/backend.ts";
import { checkNumbers, whole } from "../checks.ts";
import { ArgumentError, DataError, DivergenceError } from "../errors.ts";
import { variable } from "../graph/leaf.ts";
import { type Node, nameOf } from "../graph/node.ts";
import { sizeOf } from "../graph/shape.ts";
import { type LossOption, lossAfter } from "../nn/losses.ts";
import type { Network } from "../nn/network.ts";
import { add, mul, sum } from "../ops/index.ts";
import type { Optimizer, ScheduleMemory } from "../optim/index.ts";
import { makePlan } from "../plan/plan.ts";
import { RandomStream } from "../random.ts";
import { diagnose } from "./diagnose.ts";
import type { Rows, Targets } from "./inputs.ts";
import { metricNamed } from "./metrics.ts";
import {
  type DataVariables,
  evaluationPlan,
  forwardBatch,
  gatheredBatch,
  type Objective,
  type OptimizerState,
  optimizerStates,
  type TrainingGraph,
  trainingGraph,
  trainingPlan,
} from "./program.ts";
import { takeExamples } from "./rows.ts";

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

/** Puts examples into the engine in the place of others of the same form. */
function writeExamples(session: Session, data: DataVariables, { x, y, weights }: Examples): void {
  session.write(data.x, x.values);
  session.write(data.y, y.values);
  if (data.weights && weights) session.write(data.weights, weights);
}

/** Puts examples into the engine. */
export function uploadExamples(session: Session, network: Network, examples: Examples): DataVariables {
  const { x, y, weights } = examples;
  const dtype = x.values instanceof Uint8Array ? "byte" : "float";
  const data = {
    x: variable("data.x", [x.count, ...network.inputShape], dtype),
    y:
      y.kind === "classes"
        ? variable("data.y", [x.count], "int")
        : variable("data.y", [x.count, ...network.outputShape]),
    ...(weights && { weights: variable("data.weights", [x.count]) }),
  };
  writeExamples(session, data, examples);
  return data;
}

export function freeExamples(session: Session, data: DataVariables): void {
  for (const node of Object.values(data)) session.free(node);
}

export const objectiveOf = (network: Network, loss: LossOption, metrics: readonly string[]): Objective => ({
  loss: lossAfter(network.outputOp, loss),
  ...splitMetrics(metrics),
});

/** Metrics by where they are computed. */
function splitMetrics(names: readonly string[]): Pick<Objective, "metrics" | "whole"> {
  const metrics: Objective["metrics"][number][] = [];
  const whole: Objective["whole"][number][] = [];
  for (const name of names) {
    const metric = metricNamed(name);
    if ("whole" in metric) whole.push({ ...metric, name });
    else metrics.push({ ...metric, name });
  }
  return { metrics, whole };
}

/** The scores of sums over `count` rows. */
const scoresOf = (sums: readonly number[], count: number, { metrics }: Objective): Scores => ({
  ...Object.fromEntries(metrics.map(({ name, finish = (x) => x }, i) => [name, finish(sums[i + 1] / count)])),
  loss: sums[0] / count,
});

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

/** Loss and metrics of a network over a whole data set. */
export class Evaluator {
  readonly #session: Session;
  readonly #network: Network;
  readonly #objective: Objective;
  readonly #data: DataVariables;
  readonly #examples: Examples;
  readonly #count: number;
  readonly #executables = new Map<number, Executable>();

  constructor(session: Session, network: Network, examples: Examples, loss: LossOption, metrics: readonly string[]) {
    this.#session = session;
    this.#network = network;
    this.#objective = objectiveOf(network, loss, metrics);
    this.#data = uploadExamples(session, network, examples);
    this.#examples = examples;
    this.#count = examples.x.count;
  }

  async run(signal?: AbortSignal): Promise<Scores> {
    const batchSize = Math.min(forwardBatch(this.#network), this.#count);
    const { metrics, whole: wholeMetrics } = this.#objective;
    const sums = new Array<number>(1 + metrics.length).fill(0);
    const width = sizeOf(this.#network.outputShape);
    const predicted = new Float32Array(wholeMetrics.length > 0 ? this.#count * width : 0);
    let length = 1;
    for (let row = 0; row < this.#count; ) {
      signal?.throwIfAborted();
      const whole = Math.floor((this.#count - row) / batchSize);
      const [size, count] = whole > 0 ? [batchSize, Math.min(whole, length)] : [this.#count - row, 1];
      const start = performance.now();
      const from = row;
      const { outputs } = await this.#executable(size).run(
        [Int32Array.from({ length: size * count }, (_, i) => from + i)],
        count,
      );
      for (const i of sums.keys()) for (const value of outputs[i]) sums[i] += value;
      if (wholeMetrics.length > 0) predicted.set(outputs[sums.length], row * width);
      length = seriesLength(count, performance.now() - start);
      row += size * count;
      await breathe();
    }
    const predictions = { outputs: predicted, width, targets: this.#examples.y, loss: this.#objective.loss };
    const whole = wholeMetrics.map((metric) => [metric.name, metric.whole(predictions)] as const);
    return { ...scoresOf(sums, this.#count, this.#objective), ...Object.fromEntries(whole) };
  }

  #executable(size: number): Executable {
    let found = this.#executables.get(size);
    if (!found) {
      found = this.#session.compile(evaluationPlan(this.#network, this.#objective, this.#data, size));
      this.#executables.set(size, found);
    }
    return found;
  }

  free(): void {
    for (const executable of this.#executables.values()) executable.free();
    freeExamples(this.#session, this.#data);
  }
}

/** Copies of a run's arrays. */
type Values = ReadonlyMap<Node, Float32Array>;

/** Whether no element is NaN or infinite: 0 · x is 0 for all others. */
function areFinite(values: Values): boolean {
  let sum = 0;
  for (const array of values.values()) for (let i = 0; i < array.length; i++) sum += 0 * array[i];
  return sum === 0;
}

export class Trainer {
  readonly #session: Session;
  readonly #network: Network;
  readonly #options: TrainerOptions;
  readonly #objective: Objective;
  readonly #data: DataVariables;
  readonly #count: number;
  #x: Rows;
  /** The epoch whose rows these are, where they are read anew for each. */
  #read = 0;
  /** The epoch whose rows are in the engine, where they differ. */
  #present: number | undefined;
  readonly #programs = new Map<number, { graph: TrainingGraph; executable: Executable }>();
  readonly states: readonly OptimizerState[];
  #position: Position = { step: 0, epoch: 0, row: 0, sums: [] };
  #order: { epoch: number; rows: Uint32Array } | undefined;
  /** Where the run stood when its arrays were last copied. */
  #snapshot: { at: number; position: Position } | undefined;
  readonly #copies = new Map<Node, Node>();
  #copying: Executable | undefined;
  #series = 1;

  constructor(session: Session, network: Network, examples: Examples, options: TrainerOptions) {
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
    this.#data = uploadExamples(session, network, examples);
    for (const node of this.#stateNodes()) session.write(node, new Float32Array(sizeOf(node.shape)));
    this.#position = { step: 0, epoch: 0, row: 0, sums: this.#noSums() };
  }

  #noSums(): number[] {
    return new Array<number>(1 + this.#objective.metrics.length).fill(0);
  }

  #stateNodes(): Node[] {
    return this.states.flatMap(({ state }) => Object.values(state));
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

  /** The rows in the order of an epoch: the same for the same seed, whatever was done before. */
  #rows(epoch: number): Uint32Array {
    if (this.#order?.epoch !== epoch) {
      const stream = new RandomStream(this.#network.seed, `shuffle ${epoch}`);
      const rows = this.#options.read ? new Uint32Array(this.#count).map((_, i) => i) : stream.permutation(this.#count);
      this.#order = { epoch, rows };
    }
    return this.#order.rows;
  }

  /** The rows of the data that the next step learns from; none at the end of an epoch. */
  get nextRows(): Uint32Array {
    const { epoch, row } = this.#position;
    return this.#rows(epoch).subarray(row, row + this.#options.batchSize);
  }

  #program(batchSize: number) {
    let found = this.#programs.get(batchSize);
    if (!found) {
      const graph = trainingGraph(
        this.#network,
        this.#objective,
        this.#options.optimizer,
        this.states,
        gatheredBatch(this.#data, batchSize),
      );
      found = { graph, executable: this.#session.compile(trainingPlan(graph)) };
      this.#programs.set(batchSize, found);
    }
    return found;
  }

  /** The inputs of `count` steps that begin at `row` of the epoch. */
  #inputs(graph: TrainingGraph, row: number, batchSize: number, count: number) {
    const { epoch, step, schedule } = this.#position;
    const indices = new Int32Array(this.#rows(epoch).subarray(row, row + batchSize * count));
    const numbers = new Int32Array(count);
    const names = Object.keys(graph.inputs.scalars);
    const scalars = names.map(() => new Float64Array(count));
    for (let i = 0; i < count; i++) {
      numbers[i] = step + i;
      const values = this.#options.optimizer.scalars(step + i + 1, schedule);
      for (const [k, name] of names.entries()) scalars[k][i] = values[name];
    }
    return [indices, numbers, ...scalars];
  }

  /** Brings the rows of the current epoch into the engine, where they differ from epoch to epoch. */
  async #bringRows(signal?: AbortSignal): Promise<void> {
    const { augment, read } = this.#options;
    const { epoch } = this.#position;
    if (!(augment || read) || this.#present === epoch) return;
    if (read && this.#read !== epoch) {
      const examples = await read(epoch, signal);
      if (examples.x.count !== this.#count)
        throw new DataError(
          `Epoch ${epoch + 1} was given ${examples.x.count} rows, the first ${this.#count}; all must have as many. stepsPerEpoch ends an epoch after so many batches.`,
        );
      writeExamples(this.#session, this.#data, examples);
      if (augment) this.#x = examples.x;
      this.#read = epoch;
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
    this.#session.write(this.#data.x, varied);
  }

  /** The rows that the next step learns from, as it gets them. */
  async nextExamples(): Promise<Examples> {
    await this.#bringRows();
    const { x, y, weights } = this.#data;
    const values = this.#session.read(y);
    const all = {
      x: { values: this.#session.read(x) as Float32Array, count: this.#count },
      y: { kind: y.dtype === "int" ? "classes" : "values", values } as Targets,
      ...(weights && { weights: this.#session.read(weights) as Float32Array }),
    };
    return takeExamples(all, this.nextRows);
  }

  /** Runs up to `limit` steps of the current epoch, all with batches of one size. */
  async advance(limit: number): Promise<void> {
    await this.#bringRows();
    const { batchSize } = this.#options;
    const { row } = this.#position;
    const whole = Math.floor((this.#count - row) / batchSize);
    const [size, count] = whole > 0 ? [batchSize, Math.min(whole, limit)] : [this.#count - row, 1];
    const { graph, executable } = this.#program(size);
    const inputs = this.#inputs(graph, row, size, count);
    const run = await executable.run(inputs, count);
    this.#account(run, size);
    if (run.completed < count) await this.#diverged();
  }

  #account({ outputs, completed }: Run, size: number): void {
    const { step, row, sums } = this.#position;
    const added = sums.map((sum, i) => {
      let total = sum;
      for (let k = 0; k < completed; k++) total += outputs[i][k] * size;
      return total;
    });
    this.#position = { ...this.#position, step: step + completed, row: row + completed * size, sums: added };
  }

  /**
   * Runs to the end of the current epoch and gives its scores. `beginEpoch` goes on to the next one.
   * @param progress called after each series of steps
   */
  async finishEpoch(signal: AbortSignal | undefined, progress?: () => void | Promise<void>): Promise<Scores> {
    await this.#bringRows(signal);
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
    return scoresOf(this.#position.sums, this.#count, this.#objective);
  }

  /** Closes a finished epoch: the schedule takes notice of its loss. */
  beginEpoch(loss: number): void {
    const { step, epoch, schedule } = this.#position;
    const next = this.#options.optimizer.observe?.(schedule, loss);
    this.#position = { step, epoch: epoch + 1, row: 0, sums: this.#noSums(), ...(next && { schedule: next }) };
    // No replay across this line: the schedule has taken notice of a loss. The copies are of this very moment.
    if (this.#snapshot) this.#snapshot.position = this.#position;
  }

  /** The loss so far in the current epoch. */
  get runningScores(): Scores {
    return scoresOf(this.#position.sums, Math.max(1, this.#position.row), this.#objective);
  }

  #arrays(): Node[] {
    return [...this.#network.parameters.map(({ node }) => node), ...this.#stateNodes()];
  }

  /** Copies the arrays, inside the engine, unless an element is NaN or infinite: 0 · x is 0 for all others. */
  async #keepSnapshot(): Promise<boolean> {
    if (!this.#copying) {
      const arrays = this.#arrays();
      for (const node of arrays) {
        const copy = variable(`copy of ${nameOf(node)}`, node.shape);
        this.#session.write(copy, new Float32Array(sizeOf(node.shape)));
        this.#copies.set(node, copy);
      }
      const zero = arrays.map((node) => sum(mul(node, 0))).reduce((a, b) => add(a, b));
      const updates = arrays.map((value) => ({ variable: this.#copies.get(value)!, value }));
      this.#copying = this.#session.compile(makePlan({ inputs: [], outputs: [zero], updates, guard: zero }));
    }
    const { completed } = await this.#copying.run([]);
    if (completed > 0) this.#snapshot = { at: performance.now(), position: this.#position };
    return completed > 0;
  }

  #readArrays(): Values {
    return new Map(this.#arrays().map((node) => [node, this.#session.read(node) as Float32Array]));
  }

  /**
   * Goes back to the last good weights, repeats the steps one by one to the one that broke, and says what broke there.
   * Always throws; the model keeps the weights from before that step.
   */
  async #diverged(): Promise<never> {
    const snapshot = this.#snapshot;
    const broken = this.#position;
    if (snapshot) {
      for (const [node, copy] of this.#copies) this.#session.write(node, this.#session.read(copy));
      this.#position = snapshot.position;
      this.#order = undefined;
    }
    let good = this.#readArrays();
    while (this.#position.step <= broken.step) {
      const { batchSize } = this.#options;
      const size = Math.min(batchSize, this.#count - this.#position.row);
      if (size === 0) break; // no copy to go back to: broken from the beginning
      const before = this.#position;
      const { graph, executable } = this.#program(size);
      const run = await executable.run(this.#inputs(graph, before.row, size, 1), 1);
      const after = this.#readArrays();
      if (run.completed === 0 || !areFinite(after)) {
        for (const [node, values] of good) this.#session.write(node, values);
        const inputs = this.#inputs(graph, before.row, size, 1);
        throw diagnose(graph, inputs, before.step + 1, before.epoch + 1, (node) => this.#session.read(node));
      }
      this.#account(run, size);
      good = after;
    }
    throw new DivergenceError("The loss or a weight became NaN or infinite.", broken.step);
  }

  /** Gives back the engine's memory. The parameters stay. */
  free(): void {
    for (const { executable } of this.#programs.values()) executable.free();
    this.#copying?.free();
    for (const node of [...this.#stateNodes(), ...this.#copies.values()]) this.#session.free(node);
    freeExamples(this.#session, this.#data);
  }
}
