/**
 * The lab lives in a Worker and holds the run; the page calls these methods. Whatever looks at the run or changes it waits
 * until the run stands between two steps.
 */
import { DataError, fromBytes, type Model } from "chainrule";
import type { Dataset, TableSchema } from "chainrule/data";
import {
  type Block,
  type Explanation,
  explain,
  htmlPage,
  stepReport,
  unitReport,
  weightReport,
} from "chainrule/explain";
import { readData } from "./data-sets.ts";
import { type OpenFile, openFiles, type TableLook } from "./files.ts";
import { lookAtData, lookAtMap, lookAtResults, lookAtRow } from "./looking.ts";
import type { DistributionLook, Frame, Look, OpLook, Results, SampleLook, Setup } from "./looks.ts";
import { cardsOf } from "./network.ts";
import { measure } from "./quantities.ts";
import { Run, type Speed } from "./run.ts";
import type { Spec } from "./spec.ts";
import type { Change, Stride, UnitLook, WeightLook } from "./subjects.ts";

/**
 * Milliseconds between two frames, at least. At full speed there are fewer: drawing takes the processor that training wants
 * (784-128-10 on two cores: 0.7 of its speed with 30 frames a second, all of it with 5).
 */
const FRAME = 1000 / 30;
const FULL_SPEED_FRAME = 1000 / 10;
/** Gradients of the row are computed this often while the run plays: milliseconds. */
const GRADIENTS_EVERY = 250;
/** Parameters up to so many numbers are shown one by one. */
const SHOWN_WEIGHTS = 8192;

/** Of what an op gives, so many numbers are shown. */
const SHOWN_OF_OP = 40;

const now = (): number => performance.now();

export class Lab {
  readonly #files = new Map<string, OpenFile>();
  readonly #models = new Map<string, Model>();
  #run: Run | undefined;
  #speed: Speed = 1;
  #playing = false;
  /** The moment that is shown, where it is not the present one. */
  #past: number | undefined;
  #look: Look = { row: 0, heldOut: false, gradients: false };
  #changes: Change[] = [];
  /** What waits for the run to stand still. */
  readonly #work: (() => Promise<void>)[] = [];
  /** The page that waits for a frame. */
  #wanted: ((frame: Frame) => void) | undefined;
  #shown = { done: -1, state: "", at: 0 };
  #dirty = true;
  #opened = 0;
  #batch: { moment: number; explanation: Explanation } | undefined;
  #own: { key: string; explanation: Explanation; sample: number } | undefined;
  /** Where a step is gone through op by op: the place among its ops; without end it is the last. */
  #op: number | undefined;
  /** A batch is gone into row by row: from its first row, or from its last, once its moment has come. */
  #end: { readonly by: 1 | -1; readonly moment: number } | undefined;
  #gradients: { at: number; values: Record<string, Float32Array> } | undefined;

  /** Reads a file, or the pictures of a folder. Gives its name and, of a table, what is in it. */
  async readFiles(
    files: readonly { readonly name: string; readonly bytes: Uint8Array }[],
  ): Promise<{ name: string; table?: TableLook }> {
    const file = await openFiles(files);
    this.#files.set(file.name, file);
    return { name: file.name, ...(file.table && { table: file.table }) };
  }

  /** Reads a model file: what of a spec is in it. Its weights are a run's first ones where the spec names it as `start`. */
  readModel(name: string, bytes: Uint8Array): Partial<Spec> {
    const model = fromBytes(bytes, { file: name });
    const layers = cardsOf(model, name);
    this.#models.get(name)?.close();
    this.#models.set(name, model);
    const { loss } = model.details;
    return { start: name, layers, seed: model.network.seed, ...(typeof loss === "string" && { loss }) };
  }

  /** Begins a run anew. What was open stays open if the new one cannot be. */
  async open(spec: Spec): Promise<Setup> {
    const turn = ++this.#opened;
    const start = spec.start === undefined ? undefined : this.#models.get(spec.start);
    if (spec.start !== undefined && !start)
      throw new DataError(`The model ${spec.start} is not here any more. Drop its file onto the page again.`);
    const data = await readData(spec.data, this.#files, start?.details.schema as TableSchema | undefined);
    if (turn !== this.#opened) throw new DOMException("Another run was opened meanwhile.", "AbortError");
    const run = new Run(spec, data, () => this.#stand(), start);
    const before = this.#run;
    this.#run = run;
    this.#past = undefined;
    this.#changes = [];
    this.#batch = this.#own = this.#gradients = this.#op = this.#end = undefined;
    this.#playing = false;
    this.#look = { ...this.#look, row: Math.min(this.#look.row, run.train.count - 1), heldOut: false };
    this.#dirty = true;
    await before?.close();
    return { data: lookAtData(spec, run, data), ...run.setup() };
  }

  /** Ends the run. */
  async close(): Promise<void> {
    await this.#run?.close();
    this.#run = undefined;
  }

  // Moving ------------------------------------------------------------------------------------------------------------

  play(speed: Speed): void {
    this.#speed = speed;
    this.#playing = true;
    this.#past = undefined;
    this.#changes = [];
    this.#op = undefined;
    this.#go();
  }

  pause(): void {
    this.#playing = false;
    this.#run?.goOn(this.#run.done);
    this.#changed();
  }

  /** Goes over one op, row, batch or epoch, forward or back; forward from the present it trains. */
  async step(stride: Stride, by: 1 | -1): Promise<void> {
    const run = this.#open;
    if (stride === "op" || stride === "row") {
      if (this.#playing) this.pause();
      // Presses that come faster than steps are done wait for theirs.
      while (run.goal > run.done && !run.failure) await new Promise((resolve) => setTimeout(resolve, 5));
      return this.#still(() => (stride === "op" ? this.#stepOp(by) : this.#stepRow(by)));
    }
    // Presses that come faster than steps are done add up.
    const here = this.#past ?? (this.#playing ? run.done : run.goal);
    this.pause();
    const size = run.stepsPerEpoch;
    const epochs = by > 0 ? Math.floor(here / size) + 1 : Math.ceil(here / size) - 1;
    this.#goTo(Math.max(0, stride === "batch" ? here + by : epochs * size));
  }

  async #stepOp(by: 1 | -1): Promise<void> {
    const { length } = (await this.#ofBatch()).walk();
    const at = this.#op === undefined ? (by > 0 ? 0 : -1) : Math.min(this.#op, length - 1) + by;
    if (at >= 0 && at < length) this.#op = at;
    else if (at >= length || this.#moment > 0) {
      this.#goTo(this.#moment + by);
      this.#op = by > 0 ? 0 : Number.POSITIVE_INFINITY;
    }
    this.#changed();
  }

  async #stepRow(by: 1 | -1): Promise<void> {
    const { rows } = await this.#ofBatch();
    const here = this.#look.heldOut ? -1 : rows.indexOf(this.#look.row);
    const at = here < 0 ? 0 : here + by;
    if (at >= 0 && at < rows.length) this.#look = { ...this.#look, row: rows[at], heldOut: false };
    else if (by > 0 || this.#moment > 0) {
      const moment = this.#moment + by;
      this.#goTo(moment);
      this.#end = { by, moment };
    }
    this.#changes = [];
    this.#changed();
  }

  /** Shows the moment after so many steps; of those that are still to come, trains up to it. */
  goTo(moment: number): void {
    this.pause();
    this.#goTo(moment);
  }

  #goTo(moment: number): void {
    const run = this.#open;
    this.#changes = [];
    this.#op = undefined;
    this.#past = moment >= run.done ? undefined : moment;
    if (moment > run.done && !run.failure) run.goOn(moment);
    this.#changed();
  }

  /** From the next step on. */
  setLearningRate(rate: number): void {
    this.#open.setLearningRate(rate);
    this.#changed();
  }

  look(look: Look): void {
    this.#look = look;
    this.#changed();
  }

  /** Changes a number by hand, at the moment shown; the run itself goes on without it. */
  change(change: Change): void {
    /** Whether nothing is left of another change after this one. */
    const isSame = (other: Change): boolean => {
      if (change.kind === "row") return other.kind !== "weight";
      if (change.kind === "input") return other.kind === "input" && other.index === change.index;
      return other.kind === "weight" && other.name === change.name && other.index.join() === change.index.join();
    };
    this.#changes = [...this.#changes.filter((other) => !isSame(other)), change];
    this.#changed();
  }

  putBack(): void {
    this.#changes = [];
    this.#changed();
  }

  // Looking -----------------------------------------------------------------------------------------------------------

  /** The moments as they come, for as long as the page asks for them: each is made when the one before was taken. */
  async *frames(): AsyncGenerator<Frame> {
    for (;;) {
      yield await new Promise<Frame>((resolve) => {
        this.#wanted = resolve;
        this.#run?.wake();
      });
    }
  }

  /** One weight: its chain rule for the row and for the batch, and its update. */
  weight(name: string, index: readonly number[]): Promise<WeightLook> {
    return this.#still(async () => {
      const batch = await this.#ofBatch();
      const own = await this.#ofRow();
      const ofBatch = batch.weight(name, index, { terms: 12 });
      const ofRow = own.explanation.weight(name, index, { terms: 64, follow: 1 });
      return {
        moment: this.#moment,
        ofRow,
        ofBatch,
        shares: (ofBatch.chain.shares ?? []).map((share, sample) => ({ row: batch.rows[sample], share })),
        // Training never steps by one row alone, so there is no update of it to tell.
        rowBlocks: weightReport({ ...ofRow, update: undefined }),
        batchBlocks: weightReport(ofBatch),
      };
    });
  }

  /** One unit of a layer for the row that is looked at. */
  unit(layer: string, unit: readonly number[]): Promise<UnitLook> {
    return this.#still(async () => {
      const { explanation, sample } = await this.#ofRow();
      const found = explanation.unit(layer, unit, { sample, terms: 64, follow: 1 });
      return { moment: this.#moment, unit: found, blocks: unitReport(found, `row ${this.#look.row + 1}`) };
    });
  }

  /** The loss of the row, and the step as a report. */
  loss(): Promise<readonly Block[]> {
    return this.#still(async () => stepReport((await this.#ofRow()).explanation));
  }

  /** The step that comes next, as a page to keep. */
  report(): Promise<string> {
    return this.#still(async () => htmlPage(stepReport(await this.#ofBatch()), { title: `Step ${this.#moment + 1}` }));
  }

  /** How well it does on the held-out rows, or on those it learns from where none are held out. */
  results(heldOut: boolean): Promise<Results> {
    return this.#still(async () => lookAtResults(this.#open, await this.#model(), heldOut));
  }

  /** How the numbers of the run were spread so far. */
  distributions(): readonly DistributionLook[] {
    return this.#open.distributions.look();
  }

  /** Some rows to look at, from a place on. */
  rows(heldOut: boolean, from: number, count: number) {
    const { train, heldOut: held } = this.#open;
    const part = heldOut && held ? held : train;
    return Array.from({ length: Math.max(0, Math.min(count, part.count - from)) }, (_, i) =>
      lookAtRow(part, from + i, heldOut),
    );
  }

  /** Numbers by their names, for lessons; see quantities.ts. */
  measure(quantities: readonly string[]): Promise<number[]> {
    return this.#still(async () => {
      const source = {
        run: this.#open,
        model: await this.#model(),
        ofRow: () => this.#ofRow(),
        ofBatch: () => this.#ofBatch(),
      };
      const numbers: number[] = [];
      for (const quantity of quantities) numbers.push(await measure(quantity, source));
      return numbers;
    });
  }

  /** The model at the moment shown, as a file. */
  bytes(): Promise<Uint8Array> {
    return this.#still(async () => (await this.#model()).toBytes());
  }

  // Inside ------------------------------------------------------------------------------------------------------------

  get #open(): Run {
    if (!this.#run) throw new TypeError("No run is open.");
    return this.#run;
  }

  get #moment(): number {
    return this.#past ?? this.#open.done;
  }

  /** The model at the moment shown, as it was trained. */
  async #model(): Promise<Model> {
    return this.#open.modelAt(this.#moment);
  }

  #changed(): void {
    this.#dirty = true;
    this.#own = this.#gradients = undefined;
    this.#run?.wake();
  }

  #go(): void {
    const run = this.#run;
    if (!run || !this.#playing || run.failure) return;
    run.goOn(this.#speed === "full" ? Number.POSITIVE_INFINITY : run.done + this.#speed);
  }

  /** Does something while the run stands between two steps. */
  #still<T>(work: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#work.push(() => work().then(resolve, reject));
      this.#open.wake();
    });
  }

  /** What is done between two steps: what was asked for, then a frame when one is due. */
  async #stand(): Promise<void> {
    for (let next = this.#work.shift(); next; next = this.#work.shift()) await next();
    const run = this.#run;
    const wanted = this.#wanted;
    if (!run || !wanted) return;
    const state = this.#state(run);
    const isNew = this.#dirty || this.#shown.done !== run.done || this.#shown.state !== state;
    const frame = this.#speed === "full" ? FULL_SPEED_FRAME : FRAME;
    if (!isNew || (this.#playing && now() - this.#shown.at < frame)) {
      // A run that goes by frames waits for the next one.
      if (isNew && run.isWaiting) setTimeout(() => run.wake(), frame);
      return;
    }
    this.#wanted = undefined;
    this.#dirty = false;
    this.#shown = { done: run.done, state, at: now() };
    try {
      const made = await this.#frame(run);
      if (run !== this.#run) throw new DOMException("Another run was opened meanwhile.", "AbortError");
      wanted(made);
    } catch (error) {
      // The page still waits for a frame: of this run once it has said what is wrong, or of the one that took its place.
      this.#wanted = wanted;
      this.#dirty = true;
      this.#run?.wake();
      throw error;
    }
    if (this.#playing && this.#speed !== "full") this.#go();
  }

  #state(run: Run): Frame["state"] {
    if (run.failure) return "failed";
    if (this.#playing) return "running";
    return run.done === 0 ? "ready" : "paused";
  }

  async #frame(run: Run): Promise<Frame> {
    await run.lookAtHealth();
    await run.lookAtDistributions();
    if (this.#end?.moment === this.#moment) {
      const { rows } = await this.#ofBatch();
      this.#look = { ...this.#look, row: rows[this.#end.by > 0 ? 0 : rows.length - 1], heldOut: false };
      this.#end = undefined;
    }
    const moment = this.#moment;
    const model = await this.#model();
    const { parameters } = model.network;
    const small = parameters.filter(({ node }) => node.shape.reduce((a, b) => a * b, 1) <= SHOWN_WEIGHTS);
    const map = await lookAtMap(run, model);
    const sample = await this.#sample(run, model);
    const where = run.failure && "where" in run.failure ? String(run.failure.where ?? "") : "";
    return {
      moment,
      done: run.done,
      epoch: Math.floor(moment / run.stepsPerEpoch) + 1,
      state: this.#state(run),
      ...(run.failure && { failure: { message: run.failure.message, ...(where && { where }) } }),
      samplesPerSecond: run.samplesPerSecond,
      learningRate: run.rateAt(moment),
      history: run.history.look(),
      ...(map && { map }),
      weights: Object.fromEntries(small.map(({ name }) => [name, model.weight(name)])),
      ...(this.#gradients?.values && this.#look.gradients && { weightGradients: this.#gradients.values }),
      sample,
      warnings: run.warnings,
      ...(this.#op !== undefined && !run.failure && { op: await this.#opLook(this.#op) }),
    };
  }

  /** An op of the coming step, and what it gives for the row that is looked at where that is in the batch. */
  async #opLook(at: number): Promise<OpLook> {
    const explanation = await this.#ofBatch();
    const ops = explanation.walk();
    const index = Math.min(at, ops.length - 1);
    const own = this.#look.heldOut ? -1 : explanation.rows.indexOf(this.#look.row);
    const values = explanation.opValues(ops[index].id, Math.max(0, own));
    return { index, count: ops.length, op: ops[index], values: values.slice(0, SHOWN_OF_OP), size: values.length };
  }

  /** The row that is looked at: forward always, backward where asked for. */
  async #sample(run: Run, model: Model): Promise<SampleLook> {
    const { row, heldOut, gradients } = this.#look;
    const part = heldOut && run.heldOut ? run.heldOut : run.train;
    const look = lookAtRow(part, row, heldOut);
    const x = this.#changedRow(look.x);
    const isChanged = this.#changes.length > 0;
    const shown = isChanged ? await this.#copyWithChanges(model) : model;
    try {
      const all = await shown.intermediates(Float32Array.from(x));
      const values: Record<string, Float32Array> = { input: Float32Array.from(x) };
      for (const { name } of model.network.layers) values[name] = Float32Array.from(all[name].data);
      const said = await saidOf(run, shown, x);
      const base = { ...look, x, values, said, changed: isChanged };
      if (!gradients || run.failure) return base;
      const due = !this.#playing || !this.#gradients || now() - this.#gradients.at > GRADIENTS_EVERY;
      if (!due) return base;
      const { explanation, sample } = await this.#ofRow();
      const back: Record<string, Float32Array> = {};
      for (const { layer, results } of explanation.forward) {
        const name = results.at(-1)?.name;
        if (name !== undefined) back[layer] = gradientOf(explanation, name, sample);
      }
      const weights = Object.fromEntries(
        model.network.parameters.map(({ name }) => [name, gradientOf(explanation, name)] as const),
      );
      this.#gradients = { at: now(), values: weights };
      return { ...base, gradients: back, loss: explanation.loss.perSample[sample] };
    } finally {
      if (shown !== model) shown.close();
    }
  }

  #changedRow(x: readonly number[]): readonly number[] {
    const own = [
      ...((this.#changes.find(({ kind }) => kind === "row") as { x: readonly number[] } | undefined)?.x ?? x),
    ];
    for (const change of this.#changes) if (change.kind === "input") own[change.index] = change.value;
    return own;
  }

  async #copyWithChanges(model: Model): Promise<Model> {
    const copy = fromBytes(model.toBytes(), { backend: model.backend });
    for (const change of this.#changes) {
      if (change.kind !== "weight") continue;
      const { name, index, value } = change;
      const { shape } = copy.network.parameters.find((parameter) => parameter.name === name)!.node;
      const values = copy.weight(name);
      values[index.reduce((flat, i, axis) => flat * shape[axis] + i, 0)] = value;
      copy.setWeight(name, values);
    }
    return copy;
  }

  /** The step that comes after the moment shown, on its batch. */
  async #ofBatch(): Promise<Explanation> {
    const moment = this.#moment;
    if (this.#batch?.moment !== moment) this.#batch = { moment, explanation: await this.#open.explain(moment) };
    return this.#batch.explanation;
  }

  /**
   * A step on the row that is looked at alone, with what was changed by hand. Where a layer looks at the whole batch, one
   * row alone is none: then it is the batch that comes next, and the row's place in it.
   */
  async #ofRow(): Promise<{ explanation: Explanation; sample: number }> {
    const run = this.#open;
    const key = JSON.stringify([this.#moment, this.#look.row, this.#look.heldOut, this.#changes]);
    if (this.#own?.key === key) return this.#own;
    const needsBatch = run.model.network.layers.some(({ kind }) => kind === "batchNorm");
    if (needsBatch) {
      const explanation = await this.#ofBatch();
      const sample = Math.max(0, explanation.rows.indexOf(this.#look.row));
      this.#own = { key, explanation, sample };
      return this.#own;
    }
    const { row, heldOut } = this.#look;
    const part: Dataset = heldOut && run.heldOut ? run.heldOut : run.train;
    const size = part.x.length / part.count;
    const width = part.y.length / part.count;
    const x = Float32Array.from(this.#changedRow([...part.x.subarray(row * size, (row + 1) * size)]));
    const y = part.y.slice(row * width, (row + 1) * width);
    const model = await this.#model();
    const shown = this.#changes.length > 0 ? await this.#copyWithChanges(model) : model;
    const explanation = await explain(
      shown,
      { x, y },
      { loss: run.loss, optimizer: run.optimizer, step: this.#moment + 1 },
    );
    if (shown !== model) shown.close();
    this.#own = { key, explanation, sample: 0 };
    return this.#own;
  }
}

/** ∂L/∂ an array, or zeros where training does not need it. */
function gradientOf(explanation: Explanation, name: string, sample?: number): Float32Array {
  try {
    return Float32Array.from(explanation.gradient(name, sample));
  } catch {
    // The input, what comes before every weight, and running averages have none.
    return new Float32Array(explanation.values(name, sample).length);
  }
}

/** What the network says to a row: the classes' probabilities, or the numbers. */
async function saidOf(run: Run, model: Model, x: readonly number[]): Promise<number[]> {
  const row = Float32Array.from(x);
  return run.train.task === "classification"
    ? [...(await model.classify(row)).probabilities]
    : [...(await model.predict(row))];
}
