/**
 * Learning rates that change while training. A schedule is a function of the number of optimiser steps done (an epoch has
 * ⌈rows / batchSize⌉ of them); one that learns from the losses keeps what it knows in a plain record, which a checkpoint
 * holds. Rates are double precision; the plan gets them as numbers from outside.
 */
import {
  ABOVE_0,
  BETWEEN_0_AND_1,
  checkNumbers,
  FROM_0,
  isObject,
  type Rule,
  readOptions,
  unknownName,
  whole,
} from "../checks.ts";

/** What a schedule remembers of earlier epochs: plain numbers. */
export type ScheduleMemory = Readonly<Record<string, number>>;

/** A learning rate that moves: what `cosineDecay` and its like give. */
export interface Schedule {
  /** Its options as plain JSON, its kind among them. */
  readonly config: Readonly<Record<string, unknown>>;
  /** The rate of the step that comes after `step` others: 0, 1, …. */
  at(step: number, memory?: ScheduleMemory): number;
  /** What to remember after an epoch with this loss (on the validation data, if there are any). */
  observe?(memory: ScheduleMemory | undefined, loss: number): ScheduleMemory;
}

/** What a schedule has as `config`: its kind and its options, plain JSON. */
export interface ScheduleConfig extends Readonly<Record<string, unknown>> {
  readonly kind: string;
}

/** A number, a schedule or what it has as `config`, or any function of the number of steps done. */
export type LearningRate = number | Schedule | ScheduleConfig | ((step: number) => number);

const STEPS: Rule = [whole(1)[0], "a whole number of steps ≥ 1"];

/** A learning rate in any form, as a schedule. */
export function scheduleOf(user: string, rate: LearningRate): Schedule {
  if (typeof rate === "function") return { config: { kind: "a function" }, at: (step) => rate(step) };
  if (isObject(rate) && typeof rate.at === "function") return rate as unknown as Schedule;
  if (isObject(rate) && typeof rate.kind === "string") return scheduleNamed(user, rate.kind, rate);
  checkNumbers(`${user}: `, { learningRate: rate }, ABOVE_0);
  return { config: { kind: "constant", learningRate: rate }, at: () => rate as number };
}

function scheduleNamed(
  user: string,
  name: string,
  { kind: _, ...options }: Readonly<Record<string, unknown>>,
): Schedule {
  if (name === "constant") return scheduleOf(user, options.learningRate as number);
  if (Object.hasOwn(SCHEDULES, name)) return SCHEDULES[name](options as never);
  throw unknownName("schedule", name, ["constant", ...Object.keys(SCHEDULES)]);
}

/**
 * Multiplies the rate by `factor` after every so many steps: η · factor^⌊step / every⌋.
 *
 * @example
 * const optimizer = sgd({ learningRate: stepDecay({ learningRate: 0.1, every: 1000, factor: 0.5 }) });
 */
export function stepDecay(options: { learningRate: number; every: number; factor: number }): Schedule {
  const rules = { learningRate: ABOVE_0, every: STEPS, factor: ABOVE_0 };
  const { learningRate, every, factor } = readOptions("stepDecay", options, {}, rules);
  return { config: { kind: "stepDecay", ...options }, at: (step) => learningRate * factor ** Math.floor(step / every) };
}

/** Multiplies the rate by `factor` after every step: η · factor^step. */
export function exponentialDecay(options: { learningRate: number; factor: number }): Schedule {
  const rules = { learningRate: ABOVE_0, factor: ABOVE_0 };
  const { learningRate, factor } = readOptions("exponentialDecay", options, {}, rules);
  return { config: { kind: "exponentialDecay", ...options }, at: (step) => learningRate * factor ** step };
}

/** Half a cosine from the first rate to the second, `fraction` of the way. */
const cosine = (from: number, to: number, fraction: number): number =>
  to + ((from - to) * (1 + Math.cos(Math.PI * fraction))) / 2;

/**
 * From the rate down to `minimum` (0 unless said) over so many steps, along half a cosine; stays there
 * (Loshchilov & Hutter, 2017, without restarts).
 *
 * @example
 * const optimizer = adam({ learningRate: cosineDecay({ learningRate: 0.01, steps: 10 * 32 }) }); // 10 epochs of 32 steps
 */
export function cosineDecay(options: { learningRate: number; steps: number; minimum?: number }): Schedule {
  const rules = { learningRate: ABOVE_0, steps: STEPS, minimum: FROM_0 };
  const { learningRate, steps, minimum } = readOptions("cosineDecay", options, { minimum: 0 }, rules);
  return {
    config: { kind: "cosineDecay", ...options },
    at: (step) => cosine(learningRate, minimum, Math.min(step / steps, 1)),
  };
}

/**
 * Begins small: grows linearly over `steps` steps to the first rate of `next`, and goes on with it
 * (Goyal et al., 2017).
 *
 * @example
 * const optimizer = adamw({ learningRate: warmup({ steps: 100, next: cosineDecay({ learningRate: 1e-3, steps: 900 }) }) });
 */
export function warmup(options: { steps: number; next: LearningRate }): Schedule {
  const { steps, next } = readOptions("warmup", options, {}, { steps: STEPS, next: undefined });
  const then = scheduleOf("warmup", next);
  return {
    config: { kind: "warmup", steps, next: then.config },
    at: (step, memory) => (step < steps ? (then.at(0, memory) * (step + 1)) / steps : then.at(step - steps, memory)),
    observe: then.observe?.bind(then),
  };
}

/**
 * One cycle (Smith & Topin, 2018): from the peak rate / `startDivisor` (25 unless said) up to the peak during the first
 * `warmupFraction` (0.3) of the steps, then down to the start / `finalDivisor` (10 000).
 *
 * @example
 * const optimizer = sgd({ learningRate: oneCycle({ learningRate: 0.1, steps: 320 }), momentum: 0.9 });
 */
export function oneCycle(options: {
  /** The peak. */
  learningRate: number;
  /** Of the whole run. */
  steps: number;
  warmupFraction?: number;
  startDivisor?: number;
  finalDivisor?: number;
  /** The form of both ways; `cosine` unless said. */
  anneal?: "cosine" | "linear";
}): Schedule {
  const { learningRate, steps, warmupFraction, startDivisor, finalDivisor, anneal } = readOptions(
    "oneCycle",
    options,
    { warmupFraction: 0.3, startDivisor: 25, finalDivisor: 1e4 },
    {
      ...{ learningRate: ABOVE_0, steps: STEPS, warmupFraction: ABOVE_0 },
      ...{ startDivisor: ABOVE_0, finalDivisor: ABOVE_0, anneal: undefined },
    },
  );
  const between = anneal === "linear" ? (from: number, to: number, f: number) => from + (to - from) * f : cosine;
  const start = learningRate / startDivisor;
  const [top, last] = [warmupFraction * steps - 1, steps - 1];
  const part = (done: number, whole: number): number => (whole > 0 ? Math.min(done / whole, 1) : 1);
  return {
    config: { kind: "oneCycle", ...options },
    at: (step) =>
      step <= top
        ? between(start, learningRate, part(step, top))
        : between(learningRate, start / finalDivisor, part(step - top, last - top)),
  };
}

/**
 * Multiplies the rate by `factor` (0.1 unless said) when the loss has not got better for more than `patience` (10)
 * epochs. Better means below best · (1 − `threshold`) (1e-4); after a cut it waits `cooldown` (0) epochs. The loss is
 * the validation data's, if there are any; `fit` tells it, and beside `trainStep` you do, with `step.endEpoch(loss)`.
 * PyTorch's ReduceLROnPlateau.
 *
 * @example
 * const optimizer = adam({ learningRate: reduceOnPlateau({ learningRate: 0.01, patience: 3 }) });
 */
export function reduceOnPlateau(options: {
  learningRate: LearningRate;
  factor?: number;
  patience?: number;
  cooldown?: number;
  threshold?: number;
  /** The rate never goes below; 0 unless said. */
  minimum?: number;
}): Schedule {
  const { learningRate, ...rest } = readOptions(
    "reduceOnPlateau",
    options,
    { factor: 0.1, patience: 10, cooldown: 0, threshold: 1e-4, minimum: 0 },
    {
      ...{ learningRate: undefined, factor: BETWEEN_0_AND_1, patience: whole(0), cooldown: whole(0) },
      ...{ threshold: FROM_0, minimum: FROM_0 },
    },
  );
  const { factor, patience, cooldown, threshold, minimum } = rest;
  const base = scheduleOf("reduceOnPlateau", learningRate);
  return {
    config: { kind: "reduceOnPlateau", learningRate: base.config, ...rest },
    at: (step, memory) => Math.max(base.at(step) * (memory?.scale ?? 1), minimum),
    observe: (memory, loss) => {
      let { scale = 1, best = Number.MAX_VALUE, bad = 0, waiting = 0 } = memory ?? {};
      if (loss < best * (1 - threshold)) [best, bad] = [loss, 0];
      else bad++;
      if (waiting > 0) [waiting, bad] = [waiting - 1, 0];
      if (bad > patience) [scale, waiting, bad] = [scale * factor, cooldown, 0];
      return { scale, best, bad, waiting };
    },
  };
}

/** By the kind in their `config`. */
const SCHEDULES: Readonly<Record<string, (options: never) => Schedule>> = {
  stepDecay,
  exponentialDecay,
  cosineDecay,
  warmup,
  oneCycle,
  reduceOnPlateau,
};
