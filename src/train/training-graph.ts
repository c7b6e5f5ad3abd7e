/**
 * The plans of a model: one training step (forward, loss, backward and update at once), evaluation, prediction. All of
 * them use the same graph of the network.
 */
import type { Session } from "../backends/backend.ts";
import { check } from "../checks.ts";
import { input, variable } from "../graph/leaf.ts";
import { inPhase, inScope, type Node } from "../graph/node.ts";
import { sizeOf } from "../graph/shape.ts";
import { type Loss, type LossOption, lossAfter, lossPerSample } from "../nn/losses.ts";
import type { Network, Parameter } from "../nn/network.ts";
import { add, gather, gradientsOf, mean, mul, reshape, sum } from "../ops/index.ts";
import { type Optimizer, sgd } from "../optim/index.ts";
import { makePlan, type Plan } from "../plan/plan.ts";
import type { Examples } from "./examples.ts";
import { metricNamed, type SampleMetric, type WholeMetric } from "./metrics.ts";

/** Leaves for examples: the data set inside the engine, which batches are gathered from, or a batch that is given. */
export interface DataLeaves {
  /** [N, …input shape] of float or byte */
  readonly x: Node;
  /** Classes, [N] of int, or [N, …] with one for each place; or values, [N, …output shape]. */
  readonly y: Node;
  /** [N]: how much each row counts in the loss; absent if all count alike. */
  readonly weights?: Node;
}

export interface Objective {
  readonly loss: Loss;
  /** Those that the plan computes. */
  readonly metrics: readonly (SampleMetric & { readonly name: string })[];
  /** Those that need all predictions at once; only evaluation has them. */
  readonly whole: readonly (WholeMetric & { readonly name: string })[];
}

export function objectiveOf(network: Network, loss: LossOption, names: readonly string[]): Objective {
  check(Array.isArray(names), 'metrics are a list, such as ["accuracy"]', names);
  const metrics = names.map((name) => ({ ...metricNamed(name), name }));
  return {
    loss: lossAfter(network.outputOp, loss),
    metrics: metrics.filter((metric) => "perSample" in metric),
    whole: metrics.filter((metric) => "whole" in metric),
  };
}

/** Leaves in the form of these examples, made by `variable` or `input`; `arraysOf` gives their values in this order. */
export function leavesOf(
  make: typeof input,
  { inputShape, outputShape }: Network,
  { x: { values, count }, y, weights }: Examples,
): DataLeaves {
  return {
    x: make("x", [count, ...inputShape], values instanceof Uint8Array ? "byte" : "float"),
    y:
      y.kind === "classes"
        ? make("y", [count, ...outputShape.slice(0, -1)], "int")
        : make("y", [count, ...outputShape]),
    ...(weights && { weights: make("weights", [count]) }),
  };
}

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
export interface Batch {
  readonly inputs: readonly Node[];
  /** [B, …input shape] */
  readonly x: Node;
  /** [B] of int, or [B, …] */
  readonly y: Node;
  /** [B], if the rows do not all count alike in the loss */
  readonly weights?: Node;
}

/** A batch by the numbers of its rows, gathered inside the engine. */
export function gatheredBatch(data: DataLeaves, size: number): Batch {
  const indices = input("indices", [size], "int");
  const weights = data.weights && gather(data.weights, indices);
  return { inputs: [indices], x: gather(data.x, indices), y: gather(data.y, indices), weights };
}

/** The loss and the metrics of each row of a batch: [B] each. Rows' weights count in the loss alone. */
function score({ loss, metrics }: Objective, output: Node, { y, weights }: Batch) {
  const target = y.dtype === "int" ? y : reshape(y, output.shape);
  const each = lossPerSample(loss, output, target);
  return {
    loss: weights ? mul(each, weights) : each,
    metrics: metrics.map((metric) => metric.perSample(output, target, loss)),
  };
}

/** Everything about one training step, as a graph: what the plan is made from and what `explain` reads. */
export interface TrainingGraph {
  readonly inputs: {
    readonly batch: readonly Node[];
    readonly step: Node;
    readonly scalars: Readonly<Record<string, Node>>;
  };
  readonly x: Node;
  readonly y: Node;
  readonly output: Node;
  readonly named: ReadonlyMap<string, Node>;
  readonly loss: Node;
  readonly metrics: readonly Node[];
  /** ∂L/∂parameter, in the order of the optimiser's parameters. */
  readonly gradients: readonly Node[];
  readonly updates: readonly { variable: Node; value: Node }[];
}

export function trainingGraph(
  network: Network,
  objective: Objective,
  optimizer: Optimizer,
  states: readonly OptimizerState[],
  batch: Batch,
): TrainingGraph {
  const { inputs, x, y } = batch;
  const step = input("step", [], "int");
  const applied = network.apply(x, { training: true, step });
  const scored = inScope("loss", () => {
    const each = score(objective, applied.output, batch);
    return { loss: mean(each.loss), metrics: each.metrics.map((metric) => mean(metric)) };
  });
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
    output: applied.output,
    named: applied.named,
    loss,
    metrics: scored.metrics,
    gradients,
    updates: [...updates, ...applied.updates],
  };
}

/** One training step on examples that are given as they are. */
export function givenStep(
  network: Network,
  loss: LossOption,
  examples: Examples,
  optimizer: Optimizer = sgd(),
  states: readonly OptimizerState[] = optimizerStates(network, optimizer),
): TrainingGraph {
  const leaves = leavesOf(input, network, examples);
  const batch = { inputs: Object.values(leaves), ...leaves };
  return trainingGraph(network, objectiveOf(network, loss, []), optimizer, states, batch);
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
export function forwardBatch({ inputShape, layers }: Network): number {
  const each = layers.reduce((sum, { outputShape }) => sum + sizeOf(outputShape), sizeOf(inputShape));
  return Math.max(1, Math.min(256, 2 ** Math.floor(Math.log2(FORWARD_NUMBERS / each))));
}

/**
 * Inputs: row numbers. Outputs: the sums over the batch of the loss and of each metric, and then, if a metric needs all
 * predictions, the network's output.
 */
export function evaluationPlan(network: Network, objective: Objective, data: DataLeaves, batchSize: number): Plan {
  const batch = gatheredBatch(data, batchSize);
  const { output, penalty } = network.apply(batch.x, { training: false });
  const { loss, metrics } = score(objective, output, batch);
  const predicted = objective.whole.length > 0 ? [output] : [];
  const total = penalty ? add(sum(loss), mul(penalty, batchSize)) : sum(loss);
  return makePlan({ inputs: batch.inputs, outputs: [total, ...metrics.map((each) => sum(each)), ...predicted] });
}

/**
 * Input: a batch of rows. Outputs: what the network gives for it and, of floats, a number per row that is 0 unless one of
 * the row's is NaN or infinite: the engine sees that in passing, and a loop in JavaScript takes as long as the network.
 */
export function predictionPlan(network: Network, batchSize: number, dtype: "float" | "byte"): Plan {
  const x = input("x", [batchSize, ...network.inputShape], dtype);
  const flat = reshape(x, [batchSize, sizeOf(network.inputShape)]);
  const broken = dtype === "float" ? [sum(mul(flat, 0), 1)] : [];
  return makePlan({ inputs: [x], outputs: [network.apply(x, { training: false }).output, ...broken] });
}
