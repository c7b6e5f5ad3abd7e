/** Learning rates over fifty steps equal PyTorch's. */
import {
  adam,
  cosineDecay,
  exponentialDecay,
  oneCycle,
  reduceOnPlateau,
  type Schedule,
  sgd,
  stepDecay,
  warmup,
} from "chainrule";
import { expect, test } from "vitest";
import { fixture, relativeError } from "../support/fixtures.ts";

interface Stored {
  readonly name: string;
  readonly learningRate: number;
  readonly options: Record<string, never>;
  readonly rates: number[];
  readonly losses?: number[];
}

const { schedules } = fixture<{ schedules: Stored[] }>("optimizers");

const MAKERS: Record<string, (learningRate: number, options: Record<string, never>) => Schedule> = {
  step: (learningRate, options) => stepDecay({ learningRate, ...options } as never),
  exponential: (learningRate, options) => exponentialDecay({ learningRate, ...options } as never),
  cosine: (learningRate, options) => cosineDecay({ learningRate, ...options } as never),
  warmupCosine: (learningRate, { warmup: steps, steps: all }) =>
    warmup({ steps, next: cosineDecay({ learningRate, steps: all - steps }) }),
  oneCycle: (learningRate, options) => oneCycle({ learningRate, ...options } as never),
  reduceOnPlateau: (learningRate, options) => reduceOnPlateau({ learningRate, ...options } as never),
};

test.each(schedules)("$name $options", ({ name, learningRate, options, rates, losses }) => {
  const schedule = MAKERS[name](learningRate, options);
  let memory: ReturnType<NonNullable<Schedule["observe"]>> | undefined;
  const actual = rates.map((_, step) => {
    const rate = schedule.at(step, memory);
    if (losses) memory = schedule.observe!(memory, losses[step]);
    // A checkpoint keeps the memory as JSON.
    if (memory) memory = JSON.parse(JSON.stringify(memory));
    return rate;
  });
  expect(relativeError(actual, rates)).toBeLessThan(1e-11);
});

test("after its last step a schedule stays where it is", () => {
  expect(cosineDecay({ learningRate: 1, steps: 5, minimum: 0.1 }).at(9)).toBeCloseTo(0.1, 15);
  const cycle = oneCycle({ learningRate: 1, steps: 10 });
  expect(cycle.at(500)).toBe(cycle.at(9));
});

test("any function of the step is a schedule, and what it gives is checked", () => {
  expect(sgd({ learningRate: (step) => 1 / (1 + step) }).scalars(4).learningRate).toBe(0.25);
  expect(() => adam({ learningRate: () => Number.NaN }).scalars(3)).toThrow(/gave NaN after 2 steps/);
});

test("schedules nest, and a warm-up passes the losses on", () => {
  const schedule = warmup({ steps: 2, next: reduceOnPlateau({ learningRate: 1, factor: 0.5, patience: 0 }) });
  expect([0, 1, 2].map((step) => schedule.at(step))).toEqual([0.5, 1, 1]);
  const memory = schedule.observe!(schedule.observe!(undefined, 1), 1);
  expect(schedule.at(5, memory)).toBe(0.5);
});

test("wrong options are named", () => {
  expect(() => stepDecay({ learningRate: 1, every: 0, factor: 1 })).toThrow(
    /every must be a whole number of steps ≥ 1; 0/,
  );
  expect(() => reduceOnPlateau({ learningRate: 1, factor: 2 })).toThrow(
    /factor must be a number between 0 and 1; 2 came/,
  );
});
