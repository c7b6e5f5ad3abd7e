/** Training by hand: one step at a time, with the user's own loop around it. */
import type { Executable } from "../backends/backend.ts";
import { checkNumbers, checkOptionNames } from "../checks.ts";
import { ArgumentError } from "../errors.ts";
import type { LossesOption } from "../nn/losses.ts";
import { adam, type Optimizer, type ScheduleMemory } from "../optim/index.ts";
import { checkOptimizer } from "./check-arguments.ts";
import { diagnose } from "./diagnose.ts";
import { arraysOf, formOf } from "./examples.ts";
import type { InferenceModel } from "./inference-model.ts";
import { cached } from "./memoize.ts";
import type { Data } from "./to-arrays.ts";
import { givenStep, openStates, optimizerStates, type TrainingGraph, trainingPlan } from "./training-graph.ts";

/** Options of `trainStep`. */
export interface TrainStepOptions {
  readonly loss: LossesOption;
  /** Adam with its usual settings unless said. */
  readonly optimizer?: Optimizer;
  /** Whether each step also gives ∂L/∂w of every parameter; costs a copy of each. */
  readonly gradients?: boolean;
}

/** What one step did. */
export interface StepResult {
  /** Over the batch, at the weights from before the step. */
  readonly loss: number;
  /** Of each output, where they have names. */
  readonly losses: Readonly<Record<string, number>>;
  /** ∂L/∂w by parameter name, if asked for. */
  readonly gradients: Readonly<Record<string, Float32Array>>;
}

/** A function that does one step of training with each call. */
export interface TrainStep {
  (batch: Data): Promise<StepResult>;
  /**
   * Tells the learning rate's schedule that an epoch ended with this loss: what `fit` does by itself. Only schedules that
   * go by the loss need it, such as `reduceOnPlateau`, whose rate stays as it is without.
   */
  endEpoch(loss: number): void;
  /** Gives back the memory of the optimiser's state. */
  free(): void;
}

/**
 * Makes a function that trains a model on one batch per call: forward, loss, backward and update as one plan. The
 * optimiser's state lives as long as the function. Batches may differ in size.
 *
 * @example
 * const step = trainStep(model, { loss: "crossEntropy", optimizer: adam() });
 * for (const batch of batches) console.log((await step(batch)).loss);
 */
export function trainStep(model: InferenceModel<unknown>, options: TrainStepOptions): TrainStep {
  checkOptionNames("trainStep", options, ["loss", "optimizer", "gradients"]);
  const { loss, optimizer = adam(), gradients = false } = options;
  checkOptimizer(optimizer);
  const { network, session } = model;
  const states = optimizerStates(network, optimizer);
  const arrays = openStates(session, states);
  const programs = new Map<string, { graph: TrainingGraph; executable: Executable }>();
  let steps = 0;
  let schedule: ScheduleMemory | undefined;
  let freed = false;

  const step = async (batch: Data): Promise<StepResult> => {
    if (freed) throw new ArgumentError("This train step has been freed; make another one with trainStep.");
    const examples = model.examples(batch, loss);
    const { graph, executable } = cached(programs, `${examples.count} ${formOf(examples)}`, () => {
      const graph = givenStep(network, loss, examples, optimizer, states);
      return { graph, executable: session.compile(trainingPlan(graph, gradients ? graph.gradients : [])) };
    });
    const scalars = Object.values(optimizer.scalars(steps + 1, schedule)).map((value) => Float64Array.of(value));
    const inputs = [...arraysOf(examples), Int32Array.of(steps), ...scalars];
    const { outputs, completed } = await executable.run(inputs);
    if (completed === 0)
      throw await diagnose(graph, inputs, `step ${steps + 1}`, steps + 1, (node) => session.read(node));
    steps++;
    // Beside the whole loss, those of outputs with names are measured.
    const own = graph.metrics.map((_, i) => [network.outputs[i].name!, outputs[1 + i][0]] as const);
    const named = outputs
      .slice(1 + own.length)
      .map((values, i) => [states[i].parameter.name, values as Float32Array] as const);
    return { loss: outputs[0][0], losses: Object.fromEntries(own), gradients: Object.fromEntries(named) };
  };
  return Object.assign(step, {
    endEpoch: (loss: number) => {
      checkNumbers("endEpoch: the ", { loss }, [Number.isFinite, "a number"]);
      schedule = optimizer.observe?.(schedule, loss);
    },
    free: () => {
      if (freed) return;
      freed = true;
      for (const { executable } of programs.values()) executable.free();
      for (const node of arrays) session.free(node);
    },
  });
}
