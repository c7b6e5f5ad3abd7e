/**
 * What the page shows and what it asks the lab for: the one place where both meet. Components read its state and call its
 * methods; none talks to the lab itself.
 */
import type { Block } from "chainrule/explain";
import { connect, type Endpoint } from "chainrule/worker";
import type { TableLook } from "../lab/files.ts";
import type { Lab } from "../lab/lab.ts";
import type { DistributionLook, Frame, Results, RowLook, Setup } from "../lab/looks.ts";
import type { Speed } from "../lab/run.ts";
import { type DataSpec, FIRST, FOR_PICTURES, PRESETS, type Spec, TOYS, type ToyName } from "../lab/spec.ts";
import type { Change, Stride, UnitLook, WeightLook } from "../lab/subjects.ts";
import { keepFile, keepSpec, keptFile, keptSpec, specOfLink } from "./link.ts";
import { type Subject, sameSubject } from "./subject.ts";

export interface Fault {
  readonly message: string;
  /** The card of the network that it is about. */
  readonly card?: number;
}

/** A data set by the name that the command has for it. */
function specOfData(name: string): Spec | undefined {
  if (name === "mnist") return { ...FIRST, ...PRESETS.find(({ spec }) => spec.data.kind === "digits")?.spec };
  return Object.hasOwn(TOYS, name) ? { ...FIRST, data: TOYS[name as ToyName].data } : undefined;
}

/** A file that the command gives to the page. */
async function given(path: string): Promise<{ name: string; bytes: Uint8Array }> {
  const response = await fetch(path);
  return { name: decodeURIComponent(path.slice("/open/".length)), bytes: new Uint8Array(await response.arrayBuffer()) };
}

const isModelFile = ({ name }: { readonly name: string }): boolean => /\.safetensors$/i.test(name);

/** Explanations follow a run that plays this often: milliseconds. */
const EXPLAIN_EVERY = 300;

/** Distributions follow a run this often: milliseconds. */
const WATCH_EVERY = 1000;

export class Session {
  spec: Spec = $state.raw(FIRST);
  setup: Setup | undefined = $state.raw();
  frame: Frame | undefined = $state.raw();
  subject: Subject | undefined = $state.raw();
  weight: WeightLook | undefined = $state.raw();
  unit: UnitLook | undefined = $state.raw();
  lossBlocks: readonly Block[] | undefined = $state.raw();
  results: Results | undefined = $state.raw();
  rows: readonly RowLook[] = $state.raw([]);
  table: TableLook | undefined = $state.raw();
  distributions: readonly DistributionLook[] = $state.raw([]);
  /** What one step forward or back goes over. */
  stride: Stride = $state("batch");
  /** What is wrong with what was asked for last; what was there before is still there. */
  fault: Fault | undefined = $state.raw();
  /** Said aloud by screen readers. */
  announcement: string = $state("");
  speed: Speed = $state(8);
  gradients: boolean = $state(false);
  isOpening: boolean = $state(true);

  readonly #lab: Endpoint<Lab>;
  #explainedAt = 0;
  #isExplaining = false;
  /** What was asked for last: edits that come faster than runs are opened add up. */
  #asked: Spec | undefined;
  #looked = { row: 0, heldOut: false };
  #isWatching = false;
  #watchedAt = 0;

  constructor() {
    const worker = new Worker(new URL("../lab/worker.ts", import.meta.url), { type: "module" });
    this.#lab = connect<Lab>(worker);
    void this.#begin();
    void this.#follow();
    addEventListener("popstate", ({ state }) => {
      this.subject = (state as { subject?: Subject } | null)?.subject;
      void this.#explain();
    });
  }

  /** Opens with what the address names: a run, a data set, a file of the command; else with what was there last. */
  async #begin(): Promise<void> {
    const query = new URLSearchParams(location.search);
    const data = query.get("data");
    const link = specOfLink();
    // What is edited from now on is what a reload brings back.
    if (link) history.replaceState(null, "", location.pathname + location.search);
    const spec = link ?? (data !== null ? specOfData(data) : undefined) ?? keptSpec() ?? FIRST;
    const paths = query.getAll("open").filter((path) => path.startsWith("/open/"));
    if (paths.length > 0) {
      await this.open(spec);
      return this.take(await Promise.all(paths.map(given)));
    }
    if (spec.start !== undefined) {
      const bytes = await keptFile(spec.start).catch(() => undefined);
      if (bytes) await this.#lab.call("readModel", spec.start, bytes).catch(() => undefined);
    }
    if (spec.data.kind === "file") {
      const bytes = await keptFile(spec.data.name).catch(() => undefined);
      if (bytes) await this.#read([{ name: spec.data.name, bytes }]).catch(() => undefined);
    }
    if (!(await this.open(spec)) && spec !== FIRST) {
      const { fault } = this;
      await this.open(FIRST);
      this.fault = fault;
    }
  }

  async #follow(): Promise<void> {
    for await (const frame of await this.#lab.call("frames")) {
      this.frame = frame;
      if (frame.sample) this.#looked = { row: frame.sample.row, heldOut: frame.sample.heldOut };
      if (this.#isWatching && performance.now() - this.#watchedAt > WATCH_EVERY) void this.#watch();
      if (frame.state !== "running" || performance.now() - this.#explainedAt > EXPLAIN_EVERY) void this.#explain();
      await new Promise(requestAnimationFrame);
    }
  }

  // What is trained -------------------------------------------------------------------------------------------------

  /** Begins a run anew; says whether that could be done. */
  async open(spec: Spec): Promise<boolean> {
    this.isOpening = true;
    this.#asked = spec;
    try {
      const setup = await this.#lab.call("open", spec);
      const isOtherNet = JSON.stringify(setup.layers) !== JSON.stringify(this.setup?.layers);
      this.spec = spec;
      this.setup = setup;
      this.fault = undefined;
      this.results = undefined;
      this.distributions = [];
      this.#look(0, false);
      if (isOtherNet) this.#forget();
      keepSpec(spec);
      this.rows = await this.#lab.call("rows", false, 0, 40);
      this.announcement = `Ready: ${setup.weightCount} weights, ${setup.data.train} rows.`;
      return true;
    } catch (error) {
      if ((error as Error).name === "AbortError") return false;
      this.#asked = undefined;
      const { message, card } = error as Error & { card?: number };
      this.fault = { message, ...(card !== undefined && { card }) };
      return false;
    } finally {
      this.isOpening = false;
    }
  }

  /** Changes the run. With other layers, or other data, it no longer begins with a model's weights. */
  edit(change: Partial<Spec>): Promise<boolean> {
    const isOther = change.layers !== undefined || change.data !== undefined;
    return this.open({ ...(this.#asked ?? this.spec), ...change, ...(isOther && { start: undefined }) });
  }

  /** Begins a run anew and plays it: what a button offers is seen at once. */
  async tryOut(spec: Spec): Promise<void> {
    if (await this.open(spec)) this.play();
  }

  restart(): Promise<boolean> {
    return this.open(this.spec);
  }

  async #read(files: readonly { readonly name: string; readonly bytes: Uint8Array }[]): Promise<string> {
    const { name, table } = await this.#lab.call("readFiles", files);
    this.table = table;
    return name;
  }

  /** Takes files that were dropped or chosen, and trains on them at once. */
  async take(files: readonly { readonly name: string; readonly bytes: Uint8Array }[]): Promise<void> {
    this.isOpening = true;
    const before = this.table;
    const model = files.find(isModelFile);
    const rows = files.filter((file) => file !== model);
    if (model) return this.#takeModel(model, rows);
    try {
      const name = await this.#read(files);
      // Before the run is kept that needs it: a reload may come at any moment.
      await keepFile(name, files.length === 1 ? files[0].bytes : new Uint8Array(0)).catch(() => undefined);
      const arePictures = this.table === undefined && !/\.npz$/i.test(name);
      const isOpen = await this.open({
        ...this.spec,
        ...(arePictures && !this.spec.layers.some(({ kind }) => kind === "conv2d") && FOR_PICTURES),
        data: { kind: "file", name },
        start: undefined,
        loss: undefined,
        heldOut: this.spec.heldOut || 0.2,
      });
      if (isOpen) this.play();
    } catch (error) {
      this.table = before;
      this.fault = { message: (error as Error).message };
    } finally {
      this.isOpening = false;
    }
  }

  /** Takes a model, with the rows that come with it or those that are there. */
  async #takeModel(
    { name, bytes }: { readonly name: string; readonly bytes: Uint8Array },
    rows: readonly { readonly name: string; readonly bytes: Uint8Array }[],
  ): Promise<void> {
    try {
      const found = await this.#lab.call("readModel", name, bytes);
      const data: DataSpec = rows.length > 0 ? { kind: "file", name: await this.#read(rows) } : this.spec.data;
      await keepFile(name, bytes).catch(() => undefined);
      if (rows.length === 1) await keepFile(rows[0].name, rows[0].bytes).catch(() => undefined);
      await this.open({ ...this.spec, loss: undefined, ...found, data });
    } catch (error) {
      this.fault = { message: (error as Error).message };
    } finally {
      this.isOpening = false;
    }
  }

  // Moving ----------------------------------------------------------------------------------------------------------

  play(): void {
    void this.#lab.call("play", this.speed);
    this.announcement = "Training.";
  }

  pause(): void {
    void this.#lab.call("pause");
    this.announcement = "Paused.";
  }

  toggle(): void {
    if (this.frame?.state === "running") this.pause();
    else this.play();
  }

  setSpeed(speed: Speed): void {
    this.speed = speed;
    if (this.frame?.state === "running") this.play();
  }

  step(stride: Stride, by: 1 | -1): void {
    void this.#lab.call("step", stride, by);
  }

  goTo(moment: number): void {
    void this.#lab.call("goTo", moment);
  }

  /** Goes to a moment, trains up to it where it is still to come, and waits until it is shown. */
  async goToAndWait(moment: number): Promise<void> {
    await this.#lab.call("goTo", moment);
    while (this.frame?.moment !== moment && this.frame?.state !== "failed") await new Promise(requestAnimationFrame);
  }

  /** Numbers of the run by their names; see the lab's quantities. */
  measure(quantities: readonly string[]): Promise<number[]> {
    return this.#lab.call("measure", quantities);
  }

  setLearningRate(rate: number): void {
    void this.#lab.call("setLearningRate", rate);
  }

  // Looking ---------------------------------------------------------------------------------------------------------

  look(row: number, heldOut: boolean): void {
    this.#look(row, heldOut);
    void this.#explain();
  }

  #look(row: number, heldOut: boolean): void {
    this.#looked = { row, heldOut };
    void this.#lab.call("look", { row, heldOut, gradients: this.gradients });
  }

  showGradients(gradients: boolean): void {
    this.gradients = gradients;
    this.#look(this.#looked.row, this.#looked.heldOut);
  }

  choose(subject: Subject): void {
    if (sameSubject(subject, this.subject)) return;
    this.subject = subject;
    history.pushState({ subject }, "");
    void this.#explain();
  }

  #forget(): void {
    this.subject = this.weight = this.unit = this.lossBlocks = undefined;
  }

  change(change: Change): void {
    void this.#lab.call("change", change).then(() => this.#explain());
  }

  putBack(): void {
    void this.#lab.call("putBack").then(() => this.#explain());
  }

  /** Asks for the numbers of the subject, one question at a time; the last moment always gets its answer. */
  async #explain(): Promise<void> {
    const { subject } = this;
    if (!subject || this.#isExplaining) return;
    this.#isExplaining = true;
    this.#explainedAt = performance.now();
    const moment = this.frame?.moment;
    try {
      if (subject.kind === "weight") this.weight = await this.#lab.call("weight", subject.name, subject.index);
      else if (subject.kind === "unit") this.unit = await this.#lab.call("unit", subject.layer, subject.unit);
      else this.lossBlocks = await this.#lab.call("loss");
    } catch (error) {
      if (this.frame?.state !== "failed") this.fault = { message: (error as Error).message };
    } finally {
      this.#isExplaining = false;
    }
    const isStale =
      !sameSubject(subject, this.subject) || (this.frame?.moment !== moment && this.frame?.state !== "running");
    if (isStale) void this.#explain();
  }

  async showResults(heldOut: boolean): Promise<void> {
    this.results = await this.#lab.call("results", heldOut);
  }

  /** Keeps distributions up to date while they are looked at. */
  watchDistributions(isWatching: boolean): void {
    this.#isWatching = isWatching;
    if (isWatching) void this.#watch();
  }

  async #watch(): Promise<void> {
    this.#watchedAt = performance.now();
    this.distributions = await this.#lab.call("distributions");
  }

  async moreRows(heldOut: boolean, from: number): Promise<void> {
    this.rows = await this.#lab.call("rows", heldOut, from, 40);
  }

  // Taking along ----------------------------------------------------------------------------------------------------

  bytes(): Promise<Uint8Array> {
    return this.#lab.call("bytes");
  }

  report(): Promise<string> {
    return this.#lab.call("report");
  }
}
