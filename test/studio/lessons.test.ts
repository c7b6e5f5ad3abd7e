/** Every lesson from start to end in the lab: its runs open, its numbers are there, and what it claims is so. */
import { readdirSync, readFileSync } from "node:fs";
import { afterEach, beforeAll, expect, test } from "vitest";
import { Lab } from "../../studio/src/lab/lab.ts";
import { type Lesson, readLesson } from "../../studio/src/lessons/lesson.ts";
import { walkLesson } from "../../studio/src/lessons/walk.ts";

const FOLDER = new URL("../../studio/lessons/", import.meta.url);
const names = readdirSync(FOLDER).sort();
const lessons = new Map<string, Lesson>();
let digits: Uint8Array;

beforeAll(async () => {
  for (const name of names) lessons.set(name, readLesson(readFileSync(new URL(name, FOLDER), "utf8")));
  const { digitsFile } = await import("../../studio/digits.ts");
  digits = digitsFile();
  // The page's own host has the digits; here they come from the same package.
  globalThis.self ??= globalThis as never;
  Object.assign(globalThis, {
    location: { href: "http://127.0.0.1/assets/worker.js" },
    fetch: async () => new Response(digits as Uint8Array<ArrayBuffer>),
  });
});

let lab: Lab | undefined;
afterEach(() => lab?.close());

/** What each lesson asks, with the engine's answers, in order. */
async function answersOf(lesson: Lesson): Promise<number[]> {
  lab = new Lab();
  const answers: number[] = [];
  for await (const { step, numbers } of walkLesson(lab, lesson))
    if (step.question) answers.push(numbers.get(step.question.quantity)!);
  return answers;
}

test("there are twelve and more, each with a title, a length and questions", () => {
  expect(names.length).toBeGreaterThanOrEqual(12);
  for (const [name, { title, summary, minutes, steps }] of lessons) {
    expect(title, name).toBeTruthy();
    expect(summary, name).toBeTruthy();
    expect(minutes, name).toBeGreaterThanOrEqual(3);
    expect(minutes, name).toBeLessThanOrEqual(8);
    expect(steps.filter(({ question }) => question).length, name).toBeGreaterThanOrEqual(2);
    expect(steps[0].actions[0].kind, name).toBe("spec");
  }
});

/** What a lesson says happens, of its answers in order. */
const CLAIMS: Readonly<Record<string, (answers: readonly number[]) => void>> = {
  "01-forward-pass.md": ([scaled, z, a]) => {
    expect(scaled).toBeCloseTo(1, 6);
    expect(a).toBeCloseTo(Math.tanh(z), 6);
    expect(Math.abs(a)).toBeLessThan(Math.abs(z));
  },
  "02-why-an-activation.md": ([, linear, tanh]) => {
    expect(linear).toBeLessThanOrEqual(75);
    expect(tanh).toBe(100);
  },
  "03-the-loss.md": ([row, all, trained]) => {
    expect(row).toBeGreaterThan(0);
    expect(all).toBeGreaterThan(0.5);
    expect(trained).toBeLessThan(all);
  },
  "04-chain-rule.md": ([a, dz, dw, da, slope, first]) => {
    expect(dw).toBeCloseTo(a * dz, 8);
    expect(dz).toBeLessThan(0);
    expect(first).toBeCloseTo(da * slope * 1, 6);
  },
  "05-backward-pass.md": ([, , sum]) => expect(sum).not.toBe(0),
  "06-update.md": ([next, now, small, large]) => {
    expect(now).toBeCloseTo(next, 6);
    expect(large).toBeLessThan(small / 2);
  },
  "07-batches-and-epochs.md": ([steps, , few, many]) => {
    expect(steps).toBe(15);
    expect(many).toBeLessThan(few / 2);
  },
  "08-first-weights.md": ([zero, distinct, right]) => {
    expect(zero).toBe(0);
    expect(distinct).toBe(6);
    expect(right).toBeGreaterThan(85);
  },
  "09-vanishing-gradients.md": ([slope, vanished, relu]) => {
    expect(slope).toBeLessThanOrEqual(0.25);
    expect(vanished).toBeLessThan(1e-4);
    expect(relu).toBeGreaterThan(vanished * 100);
  },
  "10-dead-relus.md": ([before, after, leaky]) => {
    expect(after).toBeGreaterThan(before + 2);
    expect(leaky).toBe(0);
  },
  "11-batch-normalisation.md": ([deviation, mean]) => {
    expect(deviation).toBeGreaterThan(0.5);
    expect(Math.abs(mean)).toBeLessThan(0.5);
  },
  "12-overfitting.md": ([, train, held, dropped]) => {
    expect(train).toBeGreaterThan(95);
    expect(held).toBeLessThan(train - 8);
    expect(dropped).toBeGreaterThan(0);
  },
  "13-optimisers.md": ([sgd, moved, adam]) => {
    expect(moved).toBeCloseTo(0.02, 4);
    expect(adam).toBeGreaterThan(sgd);
  },
  "14-digits.md": ([weights, guessing, two, ten, unit]) => {
    expect(weights).toBe(784 * 64 + 64 + 64 * 10 + 10);
    expect(guessing).toBeLessThan(30);
    expect(two).toBeGreaterThan(80);
    expect(ten).toBeGreaterThan(90);
    expect(unit).toBeGreaterThanOrEqual(0);
  },
};

test.each(names)("%s", async (name) => {
  const answers = await answersOf(lessons.get(name)!);
  CLAIMS[name](answers);
});
