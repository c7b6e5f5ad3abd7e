/** The same step on the engine that trains, in single precision, without changing the model. */
import type { Executable } from "../backends/backend.ts";
import { type Node, nameOf } from "../graph/node.ts";
import type { AnyArray } from "../graph/op.ts";
import { makePlan } from "../plan/plan.ts";
import type { Model } from "../train/model.ts";
import { inputsOf, type OptimizerState, type TrainingGraph } from "../train/training-graph.ts";

/** What the engine that trains says of the same step, in single precision. */
export interface EngineValues {
  readonly description: string;
  readonly loss: number;
  /** By the name of the parameter. */
  readonly gradients: ReadonlyMap<string, AnyArray>;
  readonly updated: ReadonlyMap<string, AnyArray>;
}

/** @param given the values of inputs and variables */
export async function runEngine(
  { session, network }: Model<unknown>,
  graph: TrainingGraph,
  states: readonly OptimizerState[],
  given: ReadonlyMap<Node, AnyArray>,
): Promise<EngineValues> {
  const isParameter = new Set(network.parameters.map(({ node }) => node));
  const own = states.flatMap(({ state }) => Object.values(state));
  const inputs = inputsOf(graph);
  const next = graph.updates.filter(({ variable }) => isParameter.has(variable));
  for (const node of own) session.write(node, given.get(node)!);
  const outputs = [graph.loss, ...graph.gradients, ...next.map(({ value }) => value)];
  let executable: Executable | undefined;
  try {
    executable = session.compile(makePlan({ inputs, outputs }));
    const run = await executable.run(inputs.map((node) => given.get(node)!));
    const [loss, ...arrays] = run.outputs;
    return {
      description: session.description,
      loss: loss[0],
      gradients: new Map(states.map(({ parameter }, i) => [parameter.name, arrays[i]])),
      updated: new Map(next.map(({ variable }, i) => [nameOf(variable), arrays[states.length + i]])),
    };
  } finally {
    executable?.free();
    for (const node of own) session.free(node);
  }
}
