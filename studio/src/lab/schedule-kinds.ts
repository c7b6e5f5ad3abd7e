/** The ways in which a learning rate can move: their settings, and how TypeScript writes them. make-layer.ts makes them. */
import type { Field } from "./layer-kinds.ts";
import type { ScheduleSpec } from "./spec.ts";

interface ScheduleKind {
  readonly title: string;
  readonly fields: readonly Field[];
  /** What a program gives, where it is not the rate and the settings. */
  code?(learningRate: number, settings: Readonly<Record<string, number>>): string;
}

const steps = (label: string, usual: number): Field => ({
  ...{ name: "steps", label, kind: "whole", usual, least: 1, most: 1e7 },
});
const factor = (usual: number): Field => ({
  ...{ name: "factor", label: "times", kind: "fraction", usual, least: 1e-6, most: 1 },
});

export const SCHEDULES: Readonly<Record<string, ScheduleKind>> = {
  stepDecay: {
    title: "in steps",
    fields: [
      { name: "every", label: "every so many steps", kind: "whole", usual: 500, least: 1, most: 1e7 },
      factor(0.5),
    ],
  },
  exponentialDecay: {
    title: "exponential",
    fields: [factor(0.999)],
  },
  cosineDecay: {
    title: "cosine",
    fields: [steps("over steps", 2000)],
  },
  oneCycle: {
    title: "one cycle",
    fields: [steps("over steps", 2000)],
  },
  warmup: {
    title: "warm-up",
    fields: [steps("during steps", 100)],
    code: (learningRate, settings) => `{ steps: ${settings.steps}, next: ${learningRate} }`,
  },
};

export const newSchedule = (kind: string): ScheduleSpec => ({
  kind,
  settings: Object.fromEntries(SCHEDULES[kind].fields.map(({ name, usual }) => [name, Number(usual)])),
});

/** Whether it is one of these, each setting within its limits. */
export const isSchedule = ({ kind, settings }: ScheduleSpec): boolean =>
  Object.hasOwn(SCHEDULES, kind) &&
  Object.keys(settings).length === SCHEDULES[kind].fields.length &&
  SCHEDULES[kind].fields.every(
    (field) =>
      field.kind !== "choice" &&
      field.kind !== "flag" &&
      typeof settings[field.name] === "number" &&
      settings[field.name] >= field.least &&
      settings[field.name] <= field.most,
  );

/** `cosineDecay({ learningRate: 0.01, steps: 2000 })`. */
export function scheduleCode({ kind, settings }: ScheduleSpec, learningRate: number): string {
  const named = Object.entries({ learningRate, ...settings }).map(([name, value]) => `${name}: ${value}`);
  return `${kind}(${SCHEDULES[kind].code?.(learningRate, settings) ?? `{ ${named.join(", ")} }`})`;
}
