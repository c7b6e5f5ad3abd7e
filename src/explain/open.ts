/**
 * Opens one training step: builds the very graph that trains for a batch, and gives the value of every node of it. The
 * rooms beside this one read from here; this file shows nothing.
 */
import { ArgumentError } from "../errors.ts";
import { isConstant, isVariable } from "../graph/leaf.ts";
import { hasName, type Node, nameOf, topologicalOrder } from "../graph/node.ts";
import type { AnyArray } from "../graph/op.ts";
import { showShape, sizeOf } from "../graph/shape.ts";
import { type LossOption, lossNamed, lossOf } from "../nn/losses.ts";
import type { Parameter } from "../nn/network.ts";
import { gradientsOf } from "../ops/index.ts";
import { adam, type Optimizer } from "../optim/index.ts";
import type { ScheduleMemory } from "../optim/schedules.ts";
import { makePlan } from "../plan/plan.ts";
import type { Data, Model } from "../train/model.ts";
import {
  givenBatch,
  type OptimizerState,
  optimizerStates,
  type TrainingGraph,
  trainingGraph,
} from "../train/program.ts";
import { objectiveOf } from "../train/trainer.ts";
import { type Formula, partial, type SymbolFormula, symbol } from "./formula/formula.ts";
import { Values } from "./values.ts";

export interface ExplainOptions {
  /** A loss's name, or one of your own; the one the model was trained with unless said. */
  readonly loss?: LossOption;
  /** Adam with its usual settings unless said. */
  readonly optimizer?: Optimizer;
  /** Which step of training this is, from 1: it decides bias corrections, schedules and dropout; 1 unless said. */
  readonly step?: number;
  /** The optimiser's arrays before the step, such as `{ "m.dense_1.kernel": [...] }`; zeros unless said. */
  readonly state?: Readonly<Record<string, ArrayLike<number>>>;
  /** What the learning rate's schedule remembers of earlier epochs, as checkpoints keep it. */
  readonly schedule?: ScheduleMemory;
}

/** A place where the chain rule stops to be told: an array of the step that has a name. */
export interface Stop {
  /** `dense_1.z`, `dense_1.kernel`, `x`, `target`, `loss`. */
  readonly name: string;
  readonly symbol: SymbolFormula;
  readonly node: Node;
  readonly role: "input" | "target" | "parameter" | "result" | "loss";
}

/** What the engine that trains says of the same step, in single precision. */
export interface EngineValues {
  readonly description: string;
  readonly loss: number;
  /** By the name of the parameter. */
  readonly gradients: ReadonlyMap<string, AnyArray>;
  readonly updated: ReadonlyMap<string, AnyArray>;
}

export interface Opened {
  readonly model: Model;
  readonly graph: TrainingGraph;
  readonly optimizer: Optimizer;
  readonly lossName: string;
  readonly step: number;
  readonly batchSize: number;
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

/** The layer and the own part of a name: `dense_1.z` → `dense_1`, `z`. */
export function splitName(name: string): [layer: string, own: string] {
  const dot = name.lastIndexOf(".");
  return dot < 0 ? ["", name] : [name.slice(0, dot), name.slice(dot + 1)];
}

const symbolOf = (name: string): SymbolFormula => {
  const [layer, own] = splitName(name);
  return symbol(own, layer);
};

export async function open(model: Model, data: Data, options: ExplainOptions): Promise<Opened> {
  const { optimizer = adam(), step = 1, state = {}, schedule } = options;
  const loss = options.loss ?? trainedLoss(model);
  if (!Number.isInteger(step) || step < 1) {
    throw new ArgumentError(`step must be a whole number ≥ 1, the number of the training step; ${step} came.`);
  }
  const examples = model.examples(data, loss);
  const batchSize = examples.x.count;
  const { network, session } = model;
  const batch = givenBatch(network, batchSize, {
    targets: examples.y.kind,
    pixels: examples.x.values instanceof Uint8Array,
    weighted: examples.weights !== undefined,
  });
  const states = optimizerStates(network, optimizer);
  const graph = trainingGraph(network, objectiveOf(loss, []), optimizer, states, batch);
  const scalars = optimizer.scalars(step, schedule);

  const given = new Map<Node, AnyArray>([
    [graph.x, examples.x.values],
    [graph.y, examples.y.values],
    ...(batch.weights && examples.weights ? [[batch.weights, examples.weights] as const] : []),
    [graph.inputs.step, Int32Array.of(step - 1)],
    ...Object.entries(graph.inputs.scalars).map(([name, node]) => [node, Float64Array.of(scalars[name])] as const),
    ...stateValues(states, state),
    ...network.parameters.map(({ node }) => [node, session.read(node)] as const),
  ]);

  const stops = stopsOf(graph, network.parameters);
  const forward = topologicalOrder([graph.loss]).filter((node) => node.dtype === "float" && !isConstant(node));
  const gradientNodes = gradientsOf(graph.loss, forward);
  const gradients = new Map(forward.map((node, i) => [node, gradientNodes[i]]));
  const roots = [graph.loss, ...gradientNodes, ...graph.gradients, ...graph.updates.map(({ value }) => value)];
  const values = Values.of(roots, (leaf) => given.get(leaf)!);

  const trained = new Set<Node>(states.map(({ parameter }) => parameter.node));
  for (const node of forward) if (node.inputs.some((x) => trained.has(x))) trained.add(node);
  const names = bindings(graph, stops, states, gradients);
  const engine = await runEngine(model, graph, states, given);
  return {
    model,
    graph,
    optimizer,
    lossName: lossOf(loss).name ?? "own loss",
    step,
    batchSize,
    states,
    scalars,
    stops,
    values,
    isTrained: (node) => trained.has(node) && gradients.has(node),
    gradient: (node) => gradients.get(node) ?? fail(node),
    bind: (node) => names.get(node),
    updateValues: values.with(
      new Map(states.map(({ parameter }, i) => [graph.gradients[i], engine.gradients.get(parameter.name)!])),
    ),
    engine,
  };
}

const fail = (node: Node): never => {
  throw new ArgumentError(`${nameOf(node)} has no gradient: it is not a number that the loss depends on.`);
};

function trainedLoss({ details: { loss, lossOptions } }: Model): LossOption {
  if (typeof loss === "string") return lossNamed(loss, lossOptions as Record<string, unknown> | undefined);
  throw new ArgumentError('explain needs a loss, since this model has not been trained yet: { loss: "crossEntropy" }.');
}

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

/** The arrays that have names: the input, the target, parameters, layers' results, the loss. */
function stopsOf(graph: TrainingGraph, parameters: readonly Parameter[]): Stop[] {
  const used = new Set(topologicalOrder([graph.loss]));
  const stops = new Map<Node, Stop>();
  const stop = (node: Node, name: string, role: Stop["role"], shown = symbolOf(name)): void => {
    if (!stops.has(node) && (used.has(node) || role === "result")) stops.set(node, { name, symbol: shown, node, role });
  };
  stop(graph.x, "x", "input");
  stop(graph.y, "target", "target");
  for (const { name, node } of parameters) stop(node, name, "parameter");
  for (const [name, node] of graph.named) {
    if (isVariable(node)) continue;
    // A layer whose result has no name of its own is known by the layer's name; its letter is y.
    if (hasName(node)) stop(node, nameOf(node), "result");
    else stop(node, name, "result", symbol("y", name));
  }
  stop(graph.loss, "loss", "loss", symbol("L"));
  return [...stops.values()];
}

/** What every node that has a name is called: stops, their gradients, the optimiser's arrays before and after. */
function bindings(
  graph: TrainingGraph,
  stops: readonly Stop[],
  states: readonly OptimizerState[],
  gradients: ReadonlyMap<Node, Node>,
): Map<Node, Formula> {
  const names = new Map<Node, Formula>();
  const name = (node: Node | undefined, formula: Formula): void => {
    if (node && !names.has(node) && !isConstant(node)) names.set(node, formula);
  };
  for (const { node, symbol } of stops) name(node, symbol);
  // From the loss backwards: where two gradients are one node, the one nearer to the loss gives it its name.
  for (const { node, symbol: by } of [...stops].reverse()) name(gradients.get(node), partial(symbol("L"), by));
  for (const [i, { parameter }] of states.entries())
    name(graph.gradients[i], partial(symbol("L"), symbolOf(parameter.name)));
  for (const { parameter, state } of states)
    for (const [own, node] of Object.entries(state)) name(node, symbol(own, parameter.name));
  for (const { variable, value } of graph.updates) {
    const before = names.get(variable);
    if (before?.kind === "symbol") name(value, { ...before, prime: true });
  }
  for (const [own, node] of Object.entries(graph.inputs.scalars)) name(node, symbol(own));
  let count = 0;
  for (const node of sharedNumbers(graph)) if (!names.has(node)) name(node, symbol(`s${++count}`));
  return names;
}

/** What whole arrays go into on the way to an update, such as the norm that clipping measures: s1, s2, … */
function sharedNumbers({ updates }: TrainingGraph): Node[] {
  const nodes = topologicalOrder(updates.map(({ value }) => value)).filter(({ phase }) => phase === "update");
  const measured = new Set<Node>();
  for (const node of nodes) {
    const { kind } = node.op.meaning;
    if (
      kind === "structural" ||
      kind === "composite" ||
      node.inputs.some((x) => measured.has(x) && x.shape.length === 0)
    )
      measured.add(node);
  }
  const isUsedByLarger = (node: Node): boolean =>
    nodes.some(({ inputs, shape }) => inputs.includes(node) && shape.length > node.shape.length);
  return nodes.filter((node) => {
    if (!measured.has(node) || isConstant(node)) return false;
    return node.op.meaning.kind !== "elementwise" || (node.shape.length === 0 && isUsedByLarger(node));
  });
}

/** The same step on the engine that trains, without changing the model. */
async function runEngine(
  { session, network }: Model,
  graph: TrainingGraph,
  states: readonly OptimizerState[],
  given: ReadonlyMap<Node, AnyArray>,
): Promise<EngineValues> {
  const isParameter = new Set(network.parameters.map(({ node }) => node));
  const own = states.flatMap(({ state }) => Object.values(state));
  const inputs = [...graph.inputs.batch, graph.inputs.step, ...Object.values(graph.inputs.scalars)];
  const next = graph.updates.filter(({ variable }) => isParameter.has(variable));
  for (const node of own) session.write(node, given.get(node)!);
  const outputs = [graph.loss, ...graph.gradients, ...next.map(({ value }) => value)];
  const executable = session.compile(makePlan({ inputs, outputs }));
  try {
    const run = await executable.run(inputs.map((node) => given.get(node)!));
    const [loss, ...arrays] = run.outputs;
    return {
      description: session.description,
      loss: loss[0],
      gradients: new Map(states.map(({ parameter }, i) => [parameter.name, arrays[i]])),
      updated: new Map(next.map(({ variable }, i) => [nameOf(variable), arrays[states.length + i]])),
    };
  } finally {
    executable.free();
    for (const node of own) session.free(node);
  }
}
