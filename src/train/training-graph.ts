/**
 * The plans of a model: one training step (forward, loss, backward and update at once), evaluation, prediction. All of
 * them use the same graph of the network.
 */
import type { Session } from "../backends/backend.ts";
import { input, variable } from "../graph/leaf.ts";
import { inPhase, inScope, type Node } from "../graph/node.ts";
import { sizeOf } from "../graph/shape.ts";
import type { LossesOption } from "../nn/losses.ts";
import { arrayName, type NamedShape, type Network, type Parameter } from "../nn/network.ts";
import { add, gather, gradientsOf, mean, mul, reshape, sum } from "../ops/index.ts";
import { type Optimizer, sgd } from "../optim/index.ts";
import { makePlan, type Plan } from "../plan/plan.ts";
import type { Examples } from "./examples.ts";
import { type Objective, objectiveOf, scorePerRow, wholeOutputs } from "./objective.ts";
import type { RowValues } from "./to-arrays.ts";

/** Leaves for examples: the data set inside the engine, which batches are gathered from, or a batch that is given. */
export interface DataLeaves {
  /** Of each input: [N, …its shape] of float or byte */
  readonly x: readonly Node[];
  /** Of each output: classes, [N] of int, or [N, …] with one for each place; or values, [N, …its shape]. */
  readonly y: readonly Node[];
  /** [N]: how much each row counts in the loss; absent if all count alike. */
  readonly weights?: Node;
}

/** Leaves for rows of each input, floats or bytes as they are. */
export const rowLeaves = (
  make: typeof input,
  inputs: readonly NamedShape[],
  count: number,
  x: readonly RowValues[],
): Node[] =>
  x.map((values, i) =>
    make(arrayName("x", inputs[i]), [count, ...inputs[i].shape], values instanceof Uint8Array ? "byte" : "float"),
  );

/** Leaves in the form of these examples, made by `variable` or `input`. */
export function leavesOf(
  make: typeof input,
  { inputs, outputs }: Network,
  { count, x, y, weights }: Examples,
): DataLeaves {
  return {
    x: rowLeaves(make, inputs, count, x),
    y: y.map(({ kind }, i) => {
      const { shape } = outputs[i];
      const name = arrayName("y", outputs[i]);
      return kind === "classes" ? make(name, [count, ...shape.slice(0, -1)], "int") : make(name, [count, ...shape]);
    }),
    ...(weights && { weights: make("weights", [count]) }),
  };
}

/** All leaves, in the order in which `arraysOf` gives their values. */
export const leafList = ({ x, y, weights }: DataLeaves): Node[] => [...x, ...y, ...(weights ? [weights] : [])];

/** The arrays that an optimiser keeps for one parameter. */
export interface OptimizerState {
  readonly parameter: Parameter;
  readonly state: Readonly<Record<string, Node>>;
}

/** Variables for what an optimiser keeps of each trainable parameter. */
export function optimizerStates(network: Network, optimizer: Optimizer): OptimizerState[] {
  const trainable = network.parameters.filter((parameter) => parameter.trainable);
  return trainable.map((parameter) => ({
    parameter,
    state: Object.fromEntries(
      optimizer.state.map((name) => [
        name,
        variable(`${optimizer.name}.${name}.${parameter.name}`, parameter.node.shape),
      ]),
    ),
  }));
}

/** The arrays of an optimiser's state, in the engine and 0. */
export function openStates(session: Session, states: readonly OptimizerState[]): Node[] {
  const arrays = states.flatMap(({ state }) => Object.values(state));
  for (const node of arrays) session.write(node, new Float32Array(sizeOf(node.shape)));
  return arrays;
}

/** A batch and what has to be given to have it. */
export interface Batch extends DataLeaves {
  readonly inputs: readonly Node[];
}

/** A batch by the numbers of its rows, gathered inside the engine. */
export function gatheredBatch({ x, y, weights }: DataLeaves, size: number): Batch {
  const indices = input("indices", [size], "int");
  const rows = (leaf: Node): Node => gather(leaf, indices);
  return { inputs: [indices], x: x.map(rows), y: y.map(rows), ...(weights && { weights: rows(weights) }) };
}

/** Everything about one training step, as a graph: what the plan is made from and what `explain` reads. */
export interface TrainingGraph {
  readonly inputs: {
    readonly batch: readonly Node[];
    readonly step: Node;
    readonly scalars: Readonly<Record<string, Node>>;
  };
  /** Of each input, in the network's order. */
  readonly x: readonly Node[];
  /** Of each output. */
  readonly y: readonly Node[];
  readonly outputs: readonly Node[];
  readonly named: ReadonlyMap<string, Node>;
  /** What layers that go through time take up at each place, by the layers' names: [T, B, …]. */
  readonly watched: ReadonlyMap<string, Node>;
  /** Which places of each output count, where it is a sequence with padding. */
  readonly masks: readonly (Node | undefined)[];
  readonly loss: Node;
  /** The loss of each row, [B], before it is averaged. */
  readonly perRow: Node;
  /** The same of each output. */
  readonly ownPerRow: readonly Node[];
  /** What is measured beside the loss, as the objective has it. */
  readonly metrics: readonly Node[];
  /** ∂L/∂parameter, in the order of the optimiser's parameters. */
  readonly gradients: readonly Node[];
  readonly updates: readonly { variable: Node; value: Node }[];
}

/** @param unrolled whether places of sequences shall be nodes of their own, to be looked at */
export function trainingGraph(
  network: Network,
  objective: Objective,
  optimizer: Optimizer,
  states: readonly OptimizerState[],
  batch: Batch,
  unrolled = false,
): TrainingGraph {
  const { inputs, x, y } = batch;
  const step = input("step", [], "int");
  const applied = network.apply(x, { training: true, step, unrolled });
  const each = scorePerRow(objective, applied.outputs, y, batch.weights, applied.masks);
  const scored = inScope("loss", () => ({ loss: mean(each.loss), metrics: each.others.map((other) => mean(other)) }));
  const loss = applied.penalty ? add(scored.loss, applied.penalty) : scored.loss;
  const gradients = gradientsOf(
    loss,
    states.map(({ parameter }) => parameter.node),
  );
  const scalars = Object.fromEntries(Object.keys(optimizer.scalars(1)).map((name) => [name, input(name, [])]));
  const contexts = states.map(({ parameter, state }, i) => {
    const scope = parameter.name.slice(0, parameter.name.lastIndexOf("."));
    return { scope, w: parameter.node, dw: gradients[i], state, scalars };
  });
  const updates = inPhase("update", () => optimizer.update(contexts)).flatMap((next, i) => {
    const { parameter, state } = states[i];
    const kept = Object.entries(next.state ?? {}).map(([name, value]) => ({ variable: state[name], value }));
    return [{ variable: parameter.node, value: next.w }, ...kept];
  });
  return {
    inputs: { batch: inputs, step, scalars },
    x,
    y,
    outputs: applied.outputs,
    named: applied.named,
    watched: applied.watched,
    masks: applied.masks,
    loss,
    perRow: each.loss,
    ownPerRow: each.own,
    metrics: scored.metrics,
    gradients,
    updates: [...updates, ...applied.updates],
  };
}

/** One training step on examples that are given as they are; `unrolled` as where a network is applied. */
export function givenStep(
  network: Network,
  loss: LossesOption,
  examples: Examples,
  optimizer: Optimizer = sgd(),
  states: readonly OptimizerState[] = optimizerStates(network, optimizer),
  unrolled = false,
): TrainingGraph {
  const leaves = leavesOf(input, network, examples);
  const batch = { inputs: leafList(leaves), ...leaves };
  return trainingGraph(network, objectiveOf(network, loss, []), optimizer, states, batch, unrolled);
}

/** All that has to be given to a step: the batch, its number, the optimiser's scalars. */
export const inputsOf = ({ inputs: { batch, step, scalars } }: TrainingGraph): Node[] => [
  ...batch,
  step,
  ...Object.values(scalars),
];

/**
 * Inputs: the batch, the number of the step, the optimiser's scalars. Outputs: the loss, then each metric, then what
 * else is asked for.
 */
export function trainingPlan(graph: TrainingGraph, also: readonly Node[] = []): Plan {
  const { loss, metrics, updates } = graph;
  return makePlan({ inputs: inputsOf(graph), outputs: [loss, ...metrics, ...also], updates, guard: loss });
}

/** Numbers that layers' results may take together: 32 MB of them. */
const FORWARD_NUMBERS = 2 ** 23;

/** How many rows are looked at at once where no step is trained: a power of two up to 256, fewer for large images. */
export function forwardBatch({ inputs, layers }: Network): number {
  const shapes = [...inputs.map(({ shape }) => shape), ...layers.map(({ outputShape }) => outputShape)];
  const each = shapes.reduce((sum, shape) => sum + sizeOf(shape), 0);
  return Math.max(1, Math.min(256, 2 ** Math.floor(Math.log2(FORWARD_NUMBERS / each))));
}

/**
 * Inputs: row numbers. Outputs: the sums over the batch of the loss and of what else is measured, and then those of the
 * network's outputs of which a metric needs all predictions.
 */
export function evaluationPlan(network: Network, objective: Objective, data: DataLeaves, batchSize: number): Plan {
  const batch = gatheredBatch(data, batchSize);
  const { outputs, penalty, masks } = network.apply(batch.x, { training: false });
  const { loss, others } = scorePerRow(objective, outputs, batch.y, batch.weights, masks);
  const total = penalty ? add(sum(loss), mul(penalty, batchSize)) : sum(loss);
  const predicted = wholeOutputs(objective).map((i) => outputs[i]);
  return makePlan({ inputs: batch.inputs, outputs: [total, ...others.map((each) => sum(each)), ...predicted] });
}

/**
 * Inputs: a batch of rows for each input. Outputs: what the network gives for it and, of each input of floats, a number per
 * row that is 0 unless one of the row's is NaN or infinite: the engine sees that in passing, and a loop in JavaScript takes
 * as long as the network.
 */
export function predictionPlan(network: Network, batchSize: number, x: readonly RowValues[]): Plan {
  const inputs = rowLeaves(input, network.inputs, batchSize, x);
  const broken = inputs
    .filter(({ dtype }) => dtype === "float")
    .map((rows) => sum(mul(reshape(rows, [batchSize, sizeOf(rows.shape.slice(1))]), 0), 1));
  return makePlan({ inputs, outputs: [...network.apply(inputs, { training: false }).outputs, ...broken] });
}
