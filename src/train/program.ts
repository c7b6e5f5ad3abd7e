/**
 * The plans of a model: one training step (forward, loss, backward and update at once), evaluation, prediction. All of
 * them use the same graph of the network.
 */
import { input, variable } from "../graph/leaf.ts";
import { inPhase, inScope, type Node } from "../graph/node.ts";
import type { Loss } from "../nn/losses.ts";
import type { Network, Parameter } from "../nn/network.ts";
import { add, gather, gradientsOf, mean, reshape, sum } from "../ops/index.ts";
import type { Optimizer } from "../optim/index.ts";
import { makePlan, type Plan } from "../plan/plan.ts";
import type { Metric } from "./metrics.ts";

/** The data set inside the engine: rows that batches are gathered from. */
export interface DataVariables {
  /** [N, …input shape] of float or byte */
  readonly x: Node;
  /** [N] of int, or [N, …] */
  readonly y: Node;
}

export interface Objective {
  readonly loss: Loss;
  readonly metrics: readonly Metric[];
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

/** A batch and what has to be given to have it. */
export interface Batch {
  readonly inputs: readonly Node[];
  /** [B, …input shape] */
  readonly x: Node;
  /** [B] of int, or [B, …] */
  readonly y: Node;
}

/** A batch by the numbers of its rows, gathered inside the engine. */
export function gatheredBatch(data: DataVariables, size: number): Batch {
  const indices = input("indices", [size], "int");
  return { inputs: [indices], x: gather(data.x, indices), y: gather(data.y, indices) };
}

/** A batch that is given as it is. */
export function givenBatch(network: Network, size: number, targets: "classes" | "values", pixels = false): Batch {
  const x = input("x", [size, ...network.inputShape], pixels ? "byte" : "float");
  const y = targets === "classes" ? input("y", [size], "int") : input("y", [size, ...network.outputShape]);
  return { inputs: [x, y], x, y };
}

/** Targets in the shape of the output, unless they are class numbers. */
const fitTarget = (y: Node, output: Node): Node => (y.dtype === "int" ? y : reshape(y, output.shape));

/** The loss and the metrics of a batch, as means over it. */
function score({ loss, metrics }: Objective, output: Node, y: Node) {
  const target = fitTarget(y, output);
  return inScope("loss", () => ({
    loss: mean(loss.perSample(output, target)),
    metrics: metrics.map((metric) => mean(metric.perSample(output, target, loss))),
  }));
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
  { inputs, x, y }: Batch,
): TrainingGraph {
  const step = input("step", [], "int");
  const applied = network.apply(x, { training: true, step });
  const scored = score(objective, applied.output, y);
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

/**
 * Inputs: the batch, the number of the step, the optimiser's scalars. Outputs: the loss, then each metric, then what
 * else is asked for.
 */
export function trainingPlan({ inputs, loss, metrics, updates }: TrainingGraph, also: readonly Node[] = []): Plan {
  return makePlan({
    inputs: [...inputs.batch, inputs.step, ...Object.values(inputs.scalars)],
    outputs: [loss, ...metrics, ...also],
    updates,
    guard: loss,
  });
}

/** Inputs: row numbers. Outputs: the sums over the batch of the loss and of each metric. */
export function evaluationPlan(
  network: Network,
  { loss, metrics }: Objective,
  data: DataVariables,
  batchSize: number,
): Plan {
  const { inputs, x, y } = gatheredBatch(data, batchSize);
  const { output } = network.apply(x, { training: false });
  const target = fitTarget(y, output);
  const sums = [loss.perSample(output, target), ...metrics.map((metric) => metric.perSample(output, target, loss))];
  return makePlan({ inputs, outputs: sums.map((values) => sum(values)) });
}

/** Input: a batch of rows. Output: what the network gives for it. */
export function predictionPlan(network: Network, batchSize: number, dtype: "float" | "byte"): Plan {
  const x = input("x", [batchSize, ...network.inputShape], dtype);
  return makePlan({ inputs: [x], outputs: [network.apply(x, { training: false }).output] });
}
