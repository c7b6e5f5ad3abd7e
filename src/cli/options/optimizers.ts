/**
 * Reads `--optimizer`, such as `adam` or `sgd momentum=0.9 nesterov=true`, and `--schedule`, which moves the learning
 * rate. The learning rate itself is an option of its own.
 */
import {
  cosineDecay,
  type LearningRate,
  type Optimizer,
  oneCycle,
  optimizerNamed,
  optimizerNames,
  reduceOnPlateau,
} from "../../index.ts";
import { anyNumber, asUsage, type Entry, entry, type Parameter, readItem, yesOrNo } from "./language.ts";

/** Makes the optimiser for a learning rate; for its own usual one when none is given. */
export type MakeOptimizer = (learningRate?: LearningRate) => Optimizer;

/** What each takes of its own, and then what all take. */
const OWN: Readonly<Record<string, readonly string[]>> = {
  sgd: ["momentum", "nesterov"],
  adagrad: ["epsilon"],
  adadelta: ["rho", "epsilon"],
  rmsprop: ["rho", "epsilon", "momentum", "centered"],
  adam: ["beta1", "beta2", "epsilon", "amsgrad"],
  adamw: ["beta1", "beta2", "epsilon", "amsgrad"],
  nadam: ["beta1", "beta2", "epsilon", "momentumDecay"],
  lion: ["beta1", "beta2"],
};
const COMMON = ["weightDecay", "clipValue", "clipNorm", "globalClipNorm"];
const FLAGS = ["nesterov", "centered", "amsgrad"];

const optimizers = (): Record<string, Entry<MakeOptimizer>> =>
  Object.fromEntries(
    optimizerNames().map((title) => {
      const keys = [...(OWN[title] ?? []), ...COMMON];
      const parameters: Record<string, Parameter<unknown>> = Object.fromEntries(
        keys.map((key) => [key, FLAGS.includes(key) ? yesOrNo : anyNumber]),
      );
      const make = (options: Record<string, unknown>) => (learningRate?: LearningRate) =>
        optimizerNamed(title, { ...options, ...(learningRate !== undefined && { learningRate }) });
      return [title, entry(title, {}, parameters, make)];
    }),
  );

/** Reads an optimiser. Throws `UsageError`. */
export function readOptimizer(text: string): MakeOptimizer {
  const make = readItem(text.trim(), optimizers(), "optimizer");
  return (learningRate) => asUsage(`--optimizer "${text}"`, () => make(learningRate));
}

type Schedule = (learningRate: number, steps: number) => LearningRate;

const SCHEDULES: Readonly<Record<string, Schedule>> = {
  cosine: (learningRate, steps) => cosineDecay({ learningRate, steps }),
  oneCycle: (learningRate, steps) => oneCycle({ learningRate, steps }),
  plateau: (learningRate) => reduceOnPlateau({ learningRate }),
  constant: (learningRate) => learningRate,
};

/** Reads a schedule. Throws `UsageError`. */
export function readSchedule(text: string): Schedule {
  const entries = Object.entries(SCHEDULES).map(([title, make]) => [title, entry(title, {}, {}, () => make)] as const);
  return readItem(text.trim(), Object.fromEntries(entries), "schedule");
}
