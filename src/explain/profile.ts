/**
 * What each step of the plan that trains costs: its time on the engine beside its arithmetic and the memory it moves.
 * The plan is the one that `fit` runs, on the same data in the engine; the model comes out as it went in.
 */
import { ArgumentError } from "../errors.ts";
import { type Node, nameOf, type Phase } from "../graph/node.ts";
import type { AnyArray } from "../graph/op.ts";
import { type LossesOption, lossesOf } from "../nn/losses.ts";
import type { Optimizer } from "../optim/index.ts";
import { stepFlops } from "../plan/plan.ts";
import { bytesOf } from "../plan/target.ts";
import { type ClassWeights, classWeigher, countClasses } from "../train/class-weights.ts";
import type { Model } from "../train/model.ts";
import { type MetricsOption, objectiveOf } from "../train/objective.ts";
import type { Data } from "../train/to-arrays.ts";
import { freeExamples, uploadExamples } from "../train/trainer.ts";
import {
  gatheredBatch,
  leafList,
  openStates,
  optimizerStates,
  trainingGraph,
  trainingPlan,
} from "../train/training-graph.ts";

/** One step of the plan. */
export interface StepCost {
  readonly phase: Phase;
  /** What it stores last: `dense_1.a`, or the parameter that it updates. */
  readonly result: string;
  /** The one whose kernel runs first, if there is one, then the others in their order. */
  readonly ops: readonly string[];
  /** On one thread, from runs of this step alone. */
  readonly milliseconds: number;
  /** Floating-point operations, where the ops say; a multiply-add is two. */
  readonly flops: number;
  /** Read and written, each array once; of the data set the rows of the batch. */
  readonly bytes: number;
}

/** Options of `profileTraining`. */
export interface ProfileOptions {
  readonly loss: LossesOption;
  readonly optimizer: Optimizer;
  readonly batchSize: number;
  readonly metrics?: MetricsOption;
  readonly classWeights?: ClassWeights;
}

/**
 * Measures the steps of the plan with which `fit` trains on these data, each alone and often enough for the clock.
 *
 * @throws ArgumentError where the backend cannot be measured in this way; the wasm backend can
 *
 * @example
 * const steps = await profileTraining(model, { x, y }, { loss: "crossEntropy", optimizer: adam(), batchSize: 4 });
 * console.log(steps.map(({ result, milliseconds }) => `${result} ${milliseconds}`));
 */
export async function profileTraining(model: Model<unknown>, data: Data, options: ProfileOptions): Promise<StepCost[]> {
  const { loss, optimizer, batchSize, metrics = [], classWeights } = options;
  const { network, session } = model;
  const given = model.examples(data, loss);
  const counts =
    classWeights === undefined
      ? new Map()
      : countClasses(
          given,
          lossesOf(
            network.outputs.map(({ name }) => name),
            loss,
          )[0].loss,
        );
  const examples = classWeigher(counts, classWeights, data.classes)(given);
  const size = Math.min(batchSize, examples.count);
  const variables = uploadExamples(session, network, examples);
  const states = optimizerStates(network, optimizer);
  const arrays = openStates(session, states);
  const batch = gatheredBatch(variables, size);
  const graph = trainingGraph(network, objectiveOf(network, loss, metrics), optimizer, states, batch);
  const plan = trainingPlan(graph);
  const executable = session.compile(plan);
  const before: [Node, AnyArray][] = [];
  try {
    for (const { node } of network.parameters) before.push([node, await session.read(node)]);
    const scalars = Object.values(optimizer.scalars(1)).map((value) => Float64Array.of(value));
    // The values of a real step, since some take longer than others: denormal numbers, say.
    await executable.run([Int32Array.from({ length: size }, (_, i) => i), Int32Array.of(0), ...scalars]);
    const times = await executable.profile?.();
    if (!times) throw new ArgumentError(`${session.description} cannot be profiled; take the wasm backend.`);
    const dataNodes = new Set(leafList(variables));
    return plan.steps.map((step, i): StepCost => {
      const result = step.writes.at(-1) ?? step.nodes[step.nodes.length - 1];
      const read = step.reads.map((node) => bytesOf(node) * (dataNodes.has(node) ? size / examples.count : 1));
      return {
        phase: result.phase,
        result: nameOf(step.stores.get(result) ?? result),
        ops: [...new Set([...(step.root ? [step.root] : []), ...step.nodes])].map(({ op }) => op.name),
        milliseconds: times[i],
        flops: stepFlops(step),
        bytes: [...read, ...step.writes.map((node) => bytesOf(node))].reduce((sum, bytes) => sum + bytes, 0),
      };
    });
  } finally {
    for (const [node, values] of before) session.write(node, values);
    executable.free();
    for (const node of arrays) session.free(node);
    freeExamples(session, variables);
  }
}
