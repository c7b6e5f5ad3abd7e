/**
 * Records a training run so that it can be rewound to any step. What is kept are copies of the weights and of the
 * optimiser's state now and then, thinned out so that memory stays within a limit; every step in between is trained
 * again, with the same bits, from the copy before it.
 */
import type { Session } from "../backends/backend.ts";
import { ArgumentError } from "../errors.ts";
import type { Node } from "../graph/node.ts";
import type { AnyArray } from "../graph/op.ts";
import type { ScheduleMemory } from "../optim/index.ts";
import { dataOf, type Examples, takeExamples } from "../train/examples.ts";
import type { FitObserver, RunningFit } from "../train/fit.ts";
import type { InferenceModel } from "../train/inference-model.ts";
import { fromBytes, type Model } from "../train/model.ts";
import type { RowValues, Targets } from "../train/to-arrays.ts";
import { makeTrainer, type Position, type Trainer } from "../train/trainer.ts";
import { explain } from "./explain.ts";
import type { Explanation } from "./explanation.ts";

/** Options of a `Recorder`. */
export interface RecorderOptions {
  /** Milliseconds of training between two copies, at least; 250 unless said. What lies between is trained again. */
  readonly everyMilliseconds?: number;
  /**
   * Bytes that all copies together may take; 256 MB unless said. When they are full, or there are 500, every other one is
   * dropped.
   */
  readonly memory?: number;
}

/** What recording has cost so far. */
export interface RecorderCost {
  readonly copies: number;
  readonly bytes: number;
  /** Spent on copying, of the run's own time. */
  readonly milliseconds: number;
}

/** Of a small network, so many copies take little, but what holds them adds up: a long run keeps no more. */
const MOST_COPIES = 500;

/** A moment of the run that can be gone back to at once. */
interface Copy {
  readonly position: Position;
  /** Parameters, then the optimiser's arrays, in the network's order. */
  readonly arrays: readonly Float32Array[];
}

/** A second model and trainer, on which the past is trained again. */
interface Replay {
  readonly model: Model<unknown>;
  readonly trainer: Trainer;
}

const nodesOf = ({ model, trainer }: { model: InferenceModel<unknown>; trainer: Trainer }): Node[] => [
  ...model.network.parameters.map(({ node }) => node),
  ...trainer.states.flatMap(({ state }) => Object.values(state)),
];

/** The rows that the next step learns from, as it gets them. */
async function nextExamples(session: Session, trainer: Trainer): Promise<Examples> {
  const { x, y, weights } = trainer.data;
  const all = {
    count: x[0].shape[0],
    x: await Promise.all(x.map(async (node) => (await session.read(node)) as RowValues)),
    y: await Promise.all(
      y.map(
        async (node) =>
          ({ kind: node.dtype === "int" ? "classes" : "values", values: await session.read(node) }) as Targets,
      ),
    ),
    ...(weights && { weights: (await session.read(weights)) as Float32Array }),
  };
  return takeExamples(all, trainer.nextRows);
}

/**
 * Records the run it is given to as `observer`.
 *
 * @example
 * const recorder = new Recorder();
 * await model.fit(data, { loss: "crossEntropy", epochs: 3, observer: recorder });
 * const step = await recorder.explain(2); // exactly as it was trained
 * console.log(step.loss.value);
 * recorder.close();
 */
export class Recorder implements FitObserver {
  readonly #interval: number;
  readonly #memory: number;
  #run: RunningFit | undefined;
  #copies: Copy[] = [];
  /** Where the recording began. */
  #first: Position | undefined;
  /** What the schedule remembered when an epoch began, by the steps done then; empty where it takes no notice. */
  #schedules = new Map<number, ScheduleMemory>();
  #end: Position | undefined;
  #last = Number.NEGATIVE_INFINITY;
  #spacing = 1;
  #skipped = 0;
  #milliseconds = 0;
  #bytes: Uint8Array | undefined;
  #replay: Replay | undefined;

  constructor({ everyMilliseconds = 250, memory = 256 * 2 ** 20 }: RecorderOptions = {}) {
    if (!(everyMilliseconds >= 0 && memory > 0)) {
      throw new ArgumentError(
        `A recorder needs a time between copies ≥ 0 ms and memory above 0 bytes; ${everyMilliseconds} and ${memory} came.`,
      );
    }
    this.#interval = everyMilliseconds;
    this.#memory = memory;
  }

  /** How many steps the run has done. */
  get steps(): number {
    return this.#end?.step ?? 0;
  }

  /** The recorded epochs: each one's number and its first step, both from 1. */
  get epochs(): readonly { readonly epoch: number; readonly firstStep: number }[] {
    if (!this.#first) return [];
    const { epoch, step } = this.#first;
    const epochs = step < this.steps ? [{ epoch: epoch + 1, firstStep: step + 1 }] : [];
    for (let begun = this.#secondEpoch; begun < this.steps; begun += this.#run!.trainer.stepsPerEpoch)
      epochs.push({ epoch: epoch + 1 + epochs.length, firstStep: begun + 1 });
    return epochs;
  }

  get cost(): RecorderCost {
    return {
      copies: this.#copies.length,
      bytes: this.#copies.reduce((sum, { arrays }) => sum + arrays.reduce((s, { byteLength }) => s + byteLength, 0), 0),
      milliseconds: this.#milliseconds,
    };
  }

  /** Called by `fit`, which has the recorder as its observer. */
  async observe(run: RunningFit): Promise<void> {
    const start = performance.now();
    if (this.#run?.trainer !== run.trainer) await this.#begin(run);
    const { position } = run.trainer;
    this.#end = position;
    this.#first ??= position;
    if (position.row === 0 && position.schedule) this.#schedules.set(position.step, position.schedule);
    if (start - this.#last < this.#interval) return;
    this.#last = start;
    if (this.#skipped++ % this.#spacing !== 0) return;
    const arrays = (await Promise.all(nodesOf(run).map((node) => run.model.session.read(node)))) as Float32Array[];
    this.#copies.push({ position, arrays });
    const isFull = this.cost.bytes > this.#memory || this.#copies.length > MOST_COPIES;
    if (isFull && this.#copies.length > 2) {
      this.#copies = this.#copies.filter((_, i) => i % 2 === 0);
      this.#spacing *= 2;
    }
    this.#milliseconds += performance.now() - start;
  }

  async #begin(run: RunningFit): Promise<void> {
    this.close();
    this.#run = run;
    this.#copies = [];
    this.#first = undefined;
    this.#schedules = new Map();
    this.#spacing = 1;
    this.#skipped = 0;
    this.#milliseconds = 0;
    this.#last = Number.NEGATIVE_INFINITY;
    this.#bytes = await run.model.toBytesAsync();
  }

  /**
   * The model as it was after so many steps; 0 for the beginning. It is the recorder's own and moves on with the next call:
   * look at it, copy it (`fromBytes(model.toBytes())`), do not train it.
   * @throws ArgumentError if the run has not come so far; it says how far it has
   *
   * @example
   * const then = await recorder.modelAt(1);
   * console.log(then.weight("dense_1.kernel"));
   */
  async modelAt<Y = Float32Array>(steps: number): Promise<Model<Y>> {
    return (await this.#rewind(steps, `moment after ${steps} steps: it has those after 0 to ${this.steps}`))
      .model as Model<Y>;
  }

  /**
   * Explains a step of the run: at the weights from before it, on its own batch, with the optimiser's state it had. The
   * step that comes next can be explained before it is done.
   * @param step from 1
   * @throws ArgumentError if the run has no such step; it says which it has
   */
  async explain(step: number): Promise<Explanation> {
    const { model, trainer } = await this.#rewind(step - 1, `step ${step}: its steps are 1 to ${this.steps}`);
    await trainer.bringRows();
    if (trainer.isDone) throw new ArgumentError(`The run has no step ${step}: its steps are 1 to ${this.steps}.`);
    const { loss, optimizer } = this.#run!.record;
    const examples = await nextExamples(model.session, trainer);
    const state: Record<string, AnyArray> = {};
    for (const { parameter, state: nodes } of trainer.states)
      for (const [name, node] of Object.entries(nodes))
        state[`${name}.${parameter.name}`] = await model.session.read(node);
    return explain(model, dataOf(model.network, examples), {
      loss,
      optimizer,
      step,
      rows: trainer.nextRows.map((row) => trainer.firstRow + row),
      state,
      ...(trainer.position.schedule && { schedule: trainer.position.schedule }),
    });
  }

  /** Brings the replay to the moment after `done` steps; where there is none, the error says `missing`. */
  async #rewind(done: number, missing: string): Promise<Replay> {
    if (!this.#run || !this.#end)
      throw new ArgumentError("Nothing is recorded yet: give the recorder to fit as observer.");
    if (!Number.isInteger(done) || done < 0 || done > this.steps) throw new ArgumentError(`The run has no ${missing}.`);
    this.#replay ??= this.#openReplay(this.#run);
    const { model, trainer } = this.#replay;
    const before = this.#copies.filter(({ position }) => position.step <= done).at(-1)!;
    const here = trainer.position.step;
    if (here > done || here < before.position.step) {
      for (const [i, node] of nodesOf(this.#replay).entries()) model.session.write(node, before.arrays[i]);
      trainer.seek(before.position);
    }
    await this.#enterEpoch(trainer);
    while (trainer.position.step < done) {
      await trainer.advance(done - trainer.position.step);
      await this.#enterEpoch(trainer);
    }
    return this.#replay;
  }

  /** The steps done when the second recorded epoch began; a run that was resumed may begin within one. */
  get #secondEpoch(): number {
    const { trainer, record } = this.#run!;
    const { step, row } = this.#first!;
    return step + trainer.stepsPerEpoch - Math.ceil(row / record.batchSize);
  }

  /** At the end of an epoch, on to the next one as the run began it. */
  async #enterEpoch(trainer: Trainer): Promise<void> {
    await trainer.bringRows();
    if (!trainer.isDone) return;
    const { step, epoch, sums } = trainer.position;
    const schedule = this.#schedules.get(step);
    // A schedule that takes notice of losses has begun the epoch only when it knows the last one's.
    if (this.#run!.record.optimizer.observe && !schedule) return;
    trainer.seek({ step, epoch: epoch + 1, row: 0, sums: sums.map(() => 0), ...(schedule && { schedule }) });
  }

  #openReplay({ model: original, record }: RunningFit): Replay {
    const model = fromBytes(this.#bytes!, { backend: original.backend });
    const trainer = makeTrainer(model, record.examples, record);
    const first = this.#copies[0];
    for (const [i, node] of nodesOf({ model, trainer }).entries()) model.session.write(node, first.arrays[i]);
    trainer.seek(first.position);
    return { model, trainer };
  }

  /** Gives back the engine's memory that rewinding has taken. */
  close(): void {
    this.#replay?.trainer.free();
    this.#replay?.model.close();
    this.#replay = undefined;
  }
}
