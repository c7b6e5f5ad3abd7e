/** A place in a recorded run that moves, forward and back: by ops, samples, batches or epochs. */
import { ArgumentError } from "../errors.ts";
import type { OpDescription } from "./description.ts";
import type { Explanation } from "./explanation.ts";
import type { Recorder } from "./recorder.ts";

/** What one move goes over. A batch is one step of training. */
export type Stride = "op" | "sample" | "batch" | "epoch";

/** Where the cursor stands. */
export interface Moment {
  /** Of the run, from 1. */
  readonly step: number;
  /** From 1. */
  readonly epoch: number;
  /** The row of the batch, from 0. */
  readonly sample: number;
  /** The op that has just been computed. */
  readonly op: OpDescription;
  /** What the op gave for this sample, or altogether where it is not one row per sample. */
  readonly values: readonly number[];
}

/**
 * Walks through a recorded run.
 *
 * @example
 * const recorder = new Recorder();
 * await model.fit(data, { loss: "crossEntropy", epochs: 3, observer: recorder });
 * const cursor = await Cursor.at(recorder, 2);
 * await cursor.forward("op"); // the next op of step 2
 * await cursor.back("batch"); // step 1
 */
export class Cursor {
  readonly #recorder: Recorder;
  #explanation: Explanation;
  #ops: readonly OpDescription[];
  #step: number;
  #sample = 0;
  #op = 0;

  private constructor(recorder: Recorder, step: number, explanation: Explanation) {
    this.#recorder = recorder;
    this.#step = step;
    this.#explanation = explanation;
    this.#ops = explanation.walk();
  }

  /** A cursor at the first op of a step, counted from 1. */
  static async at(recorder: Recorder, step: number): Promise<Cursor> {
    return new Cursor(recorder, step, await recorder.explain(step));
  }

  /** The step the cursor is in, explained. */
  get explanation(): Explanation {
    return this.#explanation;
  }

  get moment(): Moment {
    const op = this.#ops[this.#op];
    const step = this.#step;
    const { epoch } = this.#recorder.epochs.filter(({ firstStep }) => firstStep <= step).at(-1)!;
    return { step, epoch, sample: this.#sample, op, values: this.#explanation.opValues(op.id, this.#sample) };
  }

  /** Moves forward by one; at the end of the run it throws an ArgumentError and stays. */
  forward(stride: Stride): Promise<Moment> {
    return this.#move(stride, 1);
  }

  /** Moves back by one; at the beginning of the run it throws an ArgumentError and stays. */
  back(stride: Stride): Promise<Moment> {
    return this.#move(stride, -1);
  }

  async #move(stride: Stride, by: 1 | -1): Promise<Moment> {
    if (stride === "op") {
      const op = this.#op + by;
      if (op >= 0 && op < this.#ops.length) this.#op = op;
      else {
        await this.#goTo(this.#step + by);
        this.#op = by > 0 ? 0 : this.#ops.length - 1;
      }
    } else if (stride === "sample") {
      const sample = this.#sample + by;
      if (sample >= 0 && sample < this.#explanation.opened.batchSize) this.#sample = sample;
      else {
        await this.#goTo(this.#step + by);
        this.#sample = by > 0 ? 0 : this.#explanation.opened.batchSize - 1;
      }
    } else if (stride === "batch") await this.#goTo(this.#step + by);
    else await this.#goTo(this.#epochBeside(by));
    return this.moment;
  }

  /** The first step of the epoch after this one, or before it. */
  #epochBeside(by: 1 | -1): number {
    const { epochs } = this.#recorder;
    const current = epochs.filter(({ firstStep }) => firstStep <= this.#step).length - 1;
    const beside = epochs[current + by];
    if (!beside) {
      const [first, last] = [epochs[0], epochs[epochs.length - 1]];
      throw new ArgumentError(`The run has no epoch there: its epochs are ${first.epoch} to ${last.epoch}.`);
    }
    return beside.firstStep;
  }

  async #goTo(step: number): Promise<void> {
    this.#explanation = await this.#recorder.explain(step);
    this.#step = step;
    this.#ops = this.#explanation.walk();
    this.#op = Math.min(this.#op, this.#ops.length - 1);
    this.#sample = Math.min(this.#sample, this.#explanation.opened.batchSize - 1);
  }
}
