/**
 * The training loop: shuffles, runs steps in series, sums up epochs, evaluates, and can be stopped and resumed at any
 * step with the same bits. It owns the data set and the optimiser's state inside the engine while it lives.
 */
import type { Executable, Session } from "../backends/backend.ts";
import { checkNumbers, type Rule, whole } from "../checks.ts";
import { ArgumentError, DivergenceError } from "../errors.ts";
import { input, variable } from "../graph/leaf.ts";
import { type Node, nameOf } from "../graph/node.ts";
import type { AnyArray } from "../graph/op.ts";
import { sizeOf } from "../graph/shape.ts";
import type { LossesOption } from "../nn/losses.ts";
import type { Network } from "../nn/network.ts";
import { add, mul, sum } from "../ops/index.ts";
import type { Optimizer, ScheduleMemory } from "../optim/index.ts";
import { makePlan } from "../plan/plan.ts";
import { RandomStream } from "../random.ts";
import { breathe } from "./breathe.ts";
import { diagnose } from "./diagnose.ts";
import { arraysOf, blank, type Examples } from "./examples.ts";
import { cached } from "./memoize.ts";
import type { Predictions } from "./metrics.ts";
import { checkObjective, type MetricsOption, noSums, objectiveOf, scoresOf, wholeOutputs } from "./objective.ts";
import type { Piece, PieceSource } from "./pieces.ts";
import type { Scores } from "./scores.ts";
import type { Targets } from "./to-arrays.ts";
import {
  type DataLeaves,
  evaluationPlan,
  forwardBatch,
  gatheredBatch,
  leafList,
  leavesOf,
  openStates,
  optimizerStates,
  rowLeaves,
  type TrainingGraph,
  trainingGraph,
  trainingPlan,
} from "./training-graph.ts";

/** A network whose values lie in a session. */
interface Opened {
  readonly network: Network;
  readonly session: Session;
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

/** How many steps may be done before it is asked again, at least 1. */
export type Pace = () => number | Promise<number>;

/** What a run does between its series of steps. */
interface Between {
  readonly signal?: AbortSignal;
  /** Called after each series of steps. */
  readonly progress?: () => void | Promise<void>;
  readonly pace?: Pace;
}

export interface TrainerOptions {
  readonly augment?: Augment;
  /** Where the rows come from piece by piece, in the order in which they are trained on. */
  readonly pieces?: PieceSource;
  readonly loss: LossesOption;
  readonly optimizer: Optimizer;
  readonly batchSize: number;
  readonly metrics: MetricsOption;
}

/** Milliseconds that an engine's run should last, unless its session says so, for the event loop to stay responsive. */
const SERIES_TIME = 15;
/** Weights are copied this often within an epoch, for the case that the run diverges: milliseconds. */
const SNAPSHOT_INTERVAL = 2000;

const PACE: Rule = [(steps) => steps >= 1, "a number of steps ≥ 1"];

/** Puts examples into the engine, in the place of others of the same form. */
function writeExamples(session: Session, data: DataLeaves, examples: Examples): void {
  const arrays = arraysOf(examples);
  for (const [i, node] of leafList(data).entries()) session.write(node, arrays[i]);
}

/** Puts examples into the engine. */
export function uploadExamples(session: Session, network: Network, examples: Examples): DataLeaves {
  const data = leavesOf(variable, network, examples);
  writeExamples(session, data, examples);
  return data;
}

export function freeExamples(session: Session, data: DataLeaves): void {
  for (const node of leafList(data)) session.free(node);
}

/** How many steps fit into one series, judged by the last one. */
const seriesLength = (length: number, milliseconds: number, { seriesTime = SERIES_TIME }: Session): number =>
  Math.max(1, Math.min(length * 4, Math.floor((length * seriesTime) / Math.max(milliseconds, 0.01))));

/** The size of the next batch of so many rows, and how many of that size come in a row, up to a limit. */
const nextBatches = (rows: number, batchSize: number, limit: number): readonly [number, number] =>
  rows < batchSize ? [rows, 1] : [batchSize, Math.min(Math.floor(rows / batchSize), limit)];

/** Loss and metrics of a network over a whole data set, in memory or piece by piece, as often as asked. */
export function makeEvaluator(
  { session, network }: Opened,
  rows: Examples | PieceSource,
  loss: LossesOption,
  metrics: MetricsOption,
) {
  const objective = objectiveOf(network, loss, metrics);
  const [examples, reader] = "sample" in rows ? [rows.sample, rows.open()] : [rows];
  checkObjective(objective, examples);
  const data = uploadExamples(session, network, examples);
  let present: Piece = reader?.first ?? { epoch: 0, from: 0, count: examples.count, isLast: true, examples };
  const collected = wholeOutputs(objective);
  const executables = new Map<number, Executable>();

  /** Room for what an output gives for all rows and, of rows that come in pieces, for their targets. */
  const openPredictions = (output: number, total: number): Predictions => {
    const { shape } = network.outputs[output];
    const { kind, values } = examples.y[output];
    // Of classes for each place, every place is a row of its own.
    const width = kind === "classes" ? shape[shape.length - 1] : sizeOf(shape);
    const targets = {
      kind,
      values: reader ? blank(values, (values.length / examples.count) * total) : values,
    } as Targets;
    return { outputs: new Float32Array(total * sizeOf(shape)), width, targets, loss: objective.losses[output].loss };
  };

  /** Brings the piece in which a row stands into the engine. */
  const bring = async (row: number, signal: AbortSignal | undefined): Promise<void> => {
    if (!reader) return;
    const piece = await reader.at(0, row, signal);
    if (piece.from !== present.from) writeExamples(session, data, piece.examples);
    present = piece;
  };

  const run = async (signal?: AbortSignal): Promise<Scores> => {
    const batchSize = forwardBatch(network);
    const sums = noSums(objective);
    const total = reader?.epochRows ?? examples.count;
    const predictions = new Map(collected.map((output) => [output, openPredictions(output, total)]));
    let length = 1;
    let row = 0;
    for (await bring(0, signal); row < total; await bring(row, signal)) {
      signal?.throwIfAborted();
      const from = row - present.from;
      const [rows, count] = nextBatches(present.count - from, batchSize, length);
      const executable = cached(executables, rows, () =>
        session.compile(evaluationPlan(network, objective, data, rows)),
      );
      const start = performance.now();
      const run = await executable.run([Int32Array.from({ length: rows * count }, (_, i) => from + i)], count);
      for (const i of sums.keys()) for (const value of run.outputs[i]) sums[i] += value;
      for (const [i, output] of collected.entries()) {
        const { outputs, targets } = predictions.get(output)!;
        outputs.set(run.outputs[sums.length + i], (row * outputs.length) / total);
        if (!reader) continue;
        const width = targets.values.length / total;
        const own = present.examples.y[output].values.subarray(from * width, (from + rows * count) * width);
        targets.values.set(own, row * width);
      }
      length = seriesLength(count, performance.now() - start, session);
      row += rows * count;
      await breathe();
    }
    const whole = objective.whole.map(
      (metric) => [metric.name, metric.whole(predictions.get(metric.output)!)] as const,
    );
    return { ...scoresOf(sums, total, objective), ...Object.fromEntries(whole) };
  };

  const free = (): void => {
    for (const executable of executables.values()) executable.free();
    freeExamples(session, data);
    reader?.close();
  };
  return { run, free };
}

/** A training run inside the engine. */
export interface Trainer extends ReturnType<typeof makeTrainer> {}

export function makeTrainer({ session, network }: Opened, examples: Examples, options: TrainerOptions) {
  const { augment, pieces, batchSize, loss, metrics, optimizer } = options;
  checkNumbers("fit: ", { batchSize }, whole(1));
  const objective = objectiveOf(network, loss, metrics);
  checkObjective(objective, examples);
  if (augment && network.inputs[0].name !== undefined)
    throw new ArgumentError(
      "augment is for networks with one input without a name. Vary the rows before, or in a generator.",
    );
  const reader = pieces?.open();
  /** The rows of an epoch, as far as they are known. */
  const epochRows = (): number | undefined => (reader ? reader.epochRows : examples.count);
  // A layer that cannot learn from a single row says so now, and not when the rest of the first epoch comes.
  if ((epochRows() ?? 0) % batchSize === 1)
    network.apply(rowLeaves(input, network.inputs, 1, examples.x), {
      training: true,
      step: input("step", [], "int"),
    });
  const states = optimizerStates(network, optimizer);
  if (states.length === 0) {
    throw new ArgumentError(
      "The network has nothing to train: give it a layer with parameters, such as dense, or unfreeze one.",
    );
  }
  const carried = network.parameters.find((parameter) => parameter.carried);
  if (carried && !pieces)
    throw new ArgumentError(
      `fit shuffles the rows of arrays, and ${carried.name} goes on from batch to batch. Give the batches in their order, by a function or a generator, or train with trainStep.`,
    );
  const data = uploadExamples(session, network, examples);
  const stateNodes = openStates(session, states);
  /** The rows that are in the engine: of which epoch, and from which of its rows on. */
  let present = { epoch: 0, from: 0, count: examples.count, isLast: reader?.first.isLast ?? true, examples };
  /** Whether they are there as `augment` varies them for this epoch. */
  let varied: number | undefined;
  /** Milliseconds in which the engine waited for rows, and whether reading them failed. */
  let waited = 0;
  let isCutOff = false;
  let position: Position = { step: 0, epoch: 0, row: 0, sums: noSums(objective) };
  let order: { epoch: number; rows: Uint32Array } | undefined;
  /** Where the run stood when its arrays were last copied. */
  let snapshot: { at: number; position: Position } | undefined;
  const copies = new Map<Node, Node>();
  let copying: Executable | undefined;
  let series = 1;
  const programs = new Map<number, { graph: TrainingGraph; executable: Executable }>();

  /** Where the rows end that are in the engine. */
  const pieceEnd = (): number => present.from + present.count;
  /** Whether all rows of the epoch are done. */
  const isDone = (): boolean =>
    (!reader || present.epoch === position.epoch) && present.isLast && position.row === pieceEnd();

  /** The next rows of those in the engine, `most` of them where there are so many. */
  const nextRows = (most = batchSize): Uint32Array => {
    const { epoch, row } = position;
    // In an order that is the same for the same seed, whatever was done before.
    if (order?.epoch !== epoch) {
      const stream = new RandomStream(network.seed, `shuffle ${epoch}`);
      const { count } = examples;
      order = { epoch, rows: reader ? new Uint32Array(count).map((_, i) => i) : stream.permutation(count) };
    }
    const at = row - present.from;
    return order.rows.subarray(at, Math.min(at + most, present.count));
  };

  const program = (size: number) =>
    cached(programs, size, () => {
      const graph = trainingGraph(network, objective, optimizer, states, gatheredBatch(data, size));
      return { graph, executable: session.compile(trainingPlan(graph)) };
    });

  /** The inputs of the next steps. */
  const inputsOfSteps = (size: number, steps: number): AnyArray[] => {
    const numbers = new Int32Array(steps);
    const names = Object.keys(optimizer.scalars(1));
    const scalars = names.map(() => new Float64Array(steps));
    for (let i = 0; i < steps; i++) {
      numbers[i] = position.step + i;
      const values = optimizer.scalars(numbers[i] + 1, position.schedule);
      for (let k = 0; k < names.length; k++) scalars[k][i] = values[names[k]];
    }
    return [new Int32Array(nextRows(size * steps)), numbers, ...scalars];
  };

  /** Writes the rows of x as `augment` varies them. */
  const vary = async (augment: Augment, signal?: AbortSignal): Promise<void> => {
    const [values] = present.examples.x;
    const width = values.length / present.examples.count;
    const all = values.slice();
    let since = performance.now();
    for (let i = 0; i < present.count; i++) {
      const index = present.from + i;
      const row = augment(values.subarray(i * width, (i + 1) * width), position.epoch, index);
      if (row.length !== width)
        throw new ArgumentError(`augment gave ${row.length} numbers for row ${index + 1}; ${width} were wanted.`);
      all.set(row, i * width);
      if (performance.now() - since < SERIES_TIME) continue;
      await breathe();
      signal?.throwIfAborted();
      since = performance.now();
    }
    session.write(data.x[0], all);
    varied = position.epoch;
  };

  /** Brings the next rows of the current epoch into the engine, where they are not there. */
  const bringRows = async (signal?: AbortSignal): Promise<void> => {
    const { epoch, row } = position;
    const start = performance.now();
    if (reader) {
      const piece = await reader.at(epoch, row, signal).catch((error) => {
        isCutOff = true;
        throw error;
      });
      if (piece.epoch !== present.epoch || piece.from !== present.from) {
        if (piece.count > 0) writeExamples(session, data, piece.examples);
        varied = undefined;
      }
      present = piece;
    }
    if (augment && varied !== epoch && present.count > 0) await vary(augment, signal);
    waited += performance.now() - start;
  };

  /** Runs up to `limit` steps of the current epoch, all with batches of one size; says whether all were good. */
  const run = async (limit: number): Promise<boolean> => {
    const { step, row, sums } = position;
    const [size, steps] = nextBatches(pieceEnd() - row, batchSize, limit);
    const { outputs, completed } = await program(size).executable.run(inputsOfSteps(size, steps), steps);
    position = {
      ...position,
      step: step + completed,
      row: row + completed * size,
      sums: sums.map((sum, i) => {
        for (let k = 0; k < completed; k++) sum += outputs[i][k] * size;
        return sum;
      }),
    };
    return completed === steps;
  };

  /** Runs up to `limit` steps of the current epoch, all with batches of one size. */
  const advance = async (limit: number): Promise<void> => {
    await bringRows();
    if (!(await run(limit))) await diverged();
  };

  /** The scores so far in the current epoch. */
  const scores = (): Scores => scoresOf(position.sums, Math.max(1, position.row), objective);

  /** Runs to the end of the current epoch and gives its scores. `beginEpoch` goes on to the next one. */
  const finishEpoch = async ({ signal, progress, pace }: Between = {}): Promise<Scores> => {
    for (await bringRows(signal); !isDone(); await bringRows(signal)) {
      signal?.throwIfAborted();
      if (!(snapshot && performance.now() - snapshot.at < SNAPSHOT_INTERVAL)) await keepSnapshot();
      const most = pace ? await pace() : series;
      checkNumbers("fit: what ", { pace: most }, PACE);
      signal?.throwIfAborted();
      const before = position.step;
      const start = performance.now();
      await advance(Math.min(series, most));
      series = seriesLength(position.step - before, performance.now() - start, session);
      await progress?.();
      const paused = performance.now();
      await breathe();
      // What runs there reads rows, as a rule.
      if (reader) waited += performance.now() - paused;
      // A step that breaks is looked for among the rows that are still here.
      if (position.row === pieceEnd() && !(await keepSnapshot())) await diverged();
    }
    return scores();
  };

  /** Closes a finished epoch: the schedule takes notice of its loss. */
  const beginEpoch = (loss: number): void => {
    const { step, epoch } = position;
    const schedule = optimizer.observe?.(position.schedule, loss);
    position = { step, epoch: epoch + 1, row: 0, sums: noSums(objective), ...(schedule && { schedule }) };
    // No replay across this line: the schedule has taken notice of a loss. The copies are of this very moment.
    if (snapshot) snapshot.position = position;
  };

  /** Copies the arrays, inside the engine, unless an element is NaN or infinite: 0 · x is 0 for all others. */
  const keepSnapshot = async (): Promise<boolean> => {
    if (!copying) {
      const arrays = [...network.parameters.map(({ node }) => node), ...stateNodes];
      const updates = arrays.map((value) => ({ variable: variable(`copy of ${nameOf(value)}`, value.shape), value }));
      for (const { variable: copy, value } of updates) {
        session.write(copy, new Float32Array(sizeOf(copy.shape)));
        copies.set(value, copy);
      }
      const zero = arrays.map((node) => sum(mul(node, 0))).reduce((a, b) => add(a, b));
      copying = session.compile(makePlan({ inputs: [], outputs: [zero], updates, guard: zero }));
    }
    const { completed } = await copying.run([]);
    if (completed > 0) snapshot = { at: performance.now(), position };
    return completed > 0;
  };

  /** Goes back to the last copy, or only to a position if there is none. */
  const restore = async (before: Position): Promise<void> => {
    position = snapshot?.position ?? before;
    if (snapshot) for (const [node, copy] of copies) session.write(node, await session.read(copy));
  };

  /**
   * Goes back to the last good weights, repeats the steps one by one to the one that broke, and says what broke there.
   * Always throws; the model keeps the weights from before that step.
   */
  const diverged = async (): Promise<never> => {
    const broken = position;
    await restore(broken);
    // There are no rows where there was no copy to go back to: broken from the beginning.
    while (position.step <= broken.step && nextRows().length > 0) {
      const before = position;
      if ((await run(1)) && (await keepSnapshot())) continue;
      await restore(before);
      const size = nextRows().length;
      const step = before.step + 1;
      const place = `step ${step} (epoch ${before.epoch + 1})`;
      throw await diagnose(program(size).graph, inputsOfSteps(size, 1), place, step, (node) => session.read(node));
    }
    throw new DivergenceError("The loss or a weight became NaN or infinite.", broken.step);
  };

  return {
    states,
    /** The examples in the engine. */
    data,
    /** Steps per epoch; the last one may have a smaller batch. Infinity until it is known where an epoch ends. */
    get stepsPerEpoch(): number {
      return Math.ceil((epochRows() ?? Infinity) / batchSize);
    },
    /** Seconds in which the engine waited for rows so far. */
    get inputSeconds(): number {
      return waited / 1000;
    },
    /** Whether reading rows failed: what was trained is whole all the same. */
    get isCutOff(): boolean {
      return isCutOff;
    },
    /** Whether the current epoch's rows are all done; those of its next step must have been brought. */
    get isDone(): boolean {
      return isDone();
    },
    get position(): Position {
      return position;
    },
    /** The rows of the data in the engine that the next step learns from; none at the end of what is there. */
    get nextRows(): Uint32Array {
      return nextRows();
    },
    /** The number in its epoch of the first row in the engine. */
    get firstRow(): number {
      return present.from;
    },
    get runningScores(): Scores {
      return scores();
    },
    /** Goes on from a position; the arrays must have been put back before. */
    seek(next: Position): void {
      position = next;
      snapshot = undefined;
    },
    bringRows,
    advance,
    finishEpoch,
    beginEpoch,
    /** Gives back the engine's memory. The parameters stay. */
    free(): void {
      for (const { executable } of programs.values()) executable.free();
      copying?.free();
      for (const node of [...stateNodes, ...copies.values()]) session.free(node);
      freeExamples(session, data);
      reader?.close();
    },
  };
}
