/**
 * Opens one training step: builds the very graph that trains for a batch, and gives the value of every node of it. The
 * rooms beside this one read from here; this file shows nothing.
 */
import { ArgumentError } from "../errors.ts";
import { isConstant } from "../graph/leaf.ts";
import { type Node, nameOf, topologicalOrder } from "../graph/node.ts";
import type { AnyArray } from "../graph/op.ts";
import { showShape, sizeOf } from "../graph/shape.ts";
import { type LossesOption, lossesOf } from "../nn/losses.ts";
import { gradientsOf } from "../ops/index.ts";
import { adam, type Optimizer } from "../optim/index.ts";
import type { ScheduleMemory } from "../optim/schedules.ts";
import { arraysOf } from "../train/examples.ts";
import type { Model } from "../train/model.ts";
import type { Data } from "../train/to-arrays.ts";
import { givenStep, type OptimizerState, optimizerStates, type TrainingGraph } from "../train/training-graph.ts";
import { type EngineValues, runEngine } from "./engine-step.ts";
import type { Formula } from "./formula/formula.ts";
import { type Stop, stopsOf } from "./named-arrays.ts";
import { bindings } from "./node-names.ts";
import { Values } from "./node-values.ts";

/** Options of `explain`. */
export interface ExplainOptions {
  /** A loss's name, or one of your own, or one for each output; the one the model was trained with unless said. */
  readonly loss?: LossesOption;
  /** Adam with its usual settings unless said. */
  readonly optimizer?: Optimizer;
  /** Which step of training this is, from 1: it decides bias corrections, schedules and dropout; 1 unless said. */
  readonly step?: number;
  /** The optimiser's arrays before the step, such as `{ "m.dense_1.kernel": [...] }`; zeros unless said. */
  readonly state?: Readonly<Record<string, ArrayLike<number>>>;
  /** The numbers of the rows in the data set that they were taken from; 0, 1, … unless said. */
  readonly rows?: ArrayLike<number>;
  /** What the learning rate's schedule remembers of earlier epochs, as checkpoints keep it. */
  readonly schedule?: ScheduleMemory;
}

export interface Opened {
  readonly model: Model<unknown>;
  readonly graph: TrainingGraph;
  readonly optimizer: Optimizer;
  readonly lossName: string;
  /** Of each output. */
  readonly losses: readonly { readonly name: string; readonly weight: number }[];
  readonly step: number;
  readonly batchSize: number;
  /** The number of each sample in its data set. */
  readonly rows: readonly number[];
  readonly states: readonly OptimizerState[];
  /** The numbers that the optimiser computes outside the graph for this step. */
  readonly scalars: Readonly<Record<string, number>>;
  /** In the order of the forward pass, the loss last. */
  readonly stops: readonly Stop[];
  readonly values: Values;
  /** The same for the update, which goes on from the gradients that the engine computed, as training does. */
  readonly updateValues: Values;
  /** Whether training computes ∂L/∂node: the loss depends on it, and it on a trained parameter. */
  isTrained(node: Node): boolean;
  /** ∂L/∂node for a node of the forward pass. */
  gradient(node: Node): Node;
  /** What a node is called, where it has a name of its own. */
  bind(node: Node): Formula | undefined;
  readonly engine: EngineValues;
}

export async function open(model: Model<unknown>, data: Data, options: ExplainOptions): Promise<Opened> {
  const { optimizer = adam(), step = 1, state = {}, schedule, rows } = options;
  const loss = options.loss ?? model.trainedLoss();
  if (!Number.isInteger(step) || step < 1) {
    throw new ArgumentError(`step must be a whole number ≥ 1, the number of the training step; ${step} came.`);
  }
  const examples = model.examples(data, loss);
  const batchSize = examples.count;
  const { network, session } = model;
  const states = optimizerStates(network, optimizer);
  // Loops over time are opened too: each place is told by itself.
  const built = givenStep(network, loss, examples, optimizer, states, true);
  // A loss that does the network's last activation itself takes what comes before it.
  const taken = new Set(topologicalOrder([built.loss]));
  const graph = { ...built, outputs: built.outputs.map((output) => (taken.has(output) ? output : output.inputs[0])) };
  const names = network.outputs.map(({ name }) => name);
  const losses = lossesOf(names, loss).map((each) => ({ name: each.loss.name ?? "own loss", weight: each.weight }));
  const scalars = optimizer.scalars(step, schedule);

  const given = new Map<Node, AnyArray>([
    ...arraysOf(examples).map((values, i) => [graph.inputs.batch[i], values] as const),
    [graph.inputs.step, Int32Array.of(step - 1)],
    ...Object.entries(graph.inputs.scalars).map(([name, node]) => [node, Float64Array.of(scalars[name])] as const),
    ...stateValues(states, state),
  ]);
  for (const { node } of network.parameters) given.set(node, await session.read(node));

  const stops = stopsOf(graph, network);
  const forward = topologicalOrder([graph.loss]).filter((node) => node.dtype === "float" && !isConstant(node));
  const gradientNodes = gradientsOf(graph.loss, forward);
  const gradients = new Map(forward.map((node, i) => [node, gradientNodes[i]]));
  const values = new Values((leaf) => given.get(leaf)!);

  const trained = new Set<Node>(states.map(({ parameter }) => parameter.node));
  for (const node of forward) if (node.inputs.some((x) => trained.has(x))) trained.add(node);
  const bound = bindings(graph, stops, states, gradients);
  const engine = await runEngine(model, graph, states, given);
  return {
    model,
    graph,
    optimizer,
    lossName: losses.map(({ name }, i) => (names[i] === undefined ? name : `${names[i]}: ${name}`)).join(", "),
    losses,
    step,
    batchSize,
    rows: Array.from({ length: batchSize }, (_, i) => rows?.[i] ?? i),
    states,
    scalars,
    stops,
    values,
    isTrained: (node) => trained.has(node) && gradients.has(node),
    gradient: (node) => gradients.get(node) ?? fail(node),
    bind: (node) => bound.get(node),
    updateValues: values.with(
      new Map(states.map(({ parameter }, i) => [graph.gradients[i], engine.gradients.get(parameter.name)!])),
    ),
    engine,
  };
}

const fail = (node: Node): never => {
  throw new ArgumentError(`${nameOf(node)} has no gradient: it is not a number that the loss depends on.`);
};

/** The optimiser's arrays as they were before the step. */
function stateValues(
  states: readonly OptimizerState[],
  given: NonNullable<ExplainOptions["state"]>,
): [Node, AnyArray][] {
  const known = new Map<string, Node>(
    states.flatMap(({ parameter, state }) =>
      Object.entries(state).map(([name, node]) => [`${name}.${parameter.name}`, node] as const),
    ),
  );
  for (const [name, values] of Object.entries(given)) {
    const node = known.get(name);
    if (!node) {
      const some = known.size > 0 ? `It has ${[...known.keys()].join(", ")}.` : "It keeps none.";
      throw new ArgumentError(`The optimiser keeps no array "${name}". ${some}`);
    }
    if (values.length !== sizeOf(node.shape)) {
      throw new ArgumentError(
        `The state "${name}" has shape ${showShape(node.shape)}, ${sizeOf(node.shape)} values; ${values.length} came.`,
      );
    }
  }
  return [...known].map(([name, node]) => [
    node,
    Object.hasOwn(given, name) ? Float64Array.from(given[name]) : new Float64Array(sizeOf(node.shape)),
  ]);
}
