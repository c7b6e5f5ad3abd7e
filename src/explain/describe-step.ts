/** The parts of a step's description: forward, loss, backward, update, ops. Plain data, made from the opened step. */
import { isConstant } from "../graph/leaf.ts";
import { type Node, nameOf, topologicalOrder } from "../graph/node.ts";
import type { AnyArray } from "../graph/op.ts";
import { sameShape } from "../graph/shape.ts";
import { arrayName } from "../nn/network.ts";
import { explanationOf } from "../ops/about.ts";
import { describeArray, statisticsOf } from "./describe-array.ts";
import type {
  ArrayDescription,
  Computed,
  Derivative,
  LayerBackward,
  LayerForward,
  LossDescription,
  OpDescription,
  OutputLossDescription,
  UpdateDescription,
} from "./description.ts";
import { diagonalFormulas } from "./elementwise-derivative.ts";
import { equal, type Formula, partial, symbol } from "./formula/formula.ts";
import { formulaOf } from "./formula/from-graph.ts";
import { formulaText } from "./formula/text.ts";
import type { Jacobians } from "./jacobian.ts";
import { notesOn } from "./layer-warnings.ts";
import { isTrainable, layersOf, parametersOf, resultsOf, type Stop, stopAt, symbolOf } from "./named-arrays.ts";
import type { Opened } from "./opened-step.ts";
import { updateLines } from "./optimizer-update.ts";

/** Arrays of at most so many elements are listed in full. */
const LISTED = 256;
/** Those of the loss, where single samples are looked at. */
const LISTED_OF_LOSS = 4096;

const L = symbol("L");

const describe = ({ values }: Opened, name: string, own: Formula, node: Node, limit = LISTED): ArrayDescription =>
  describeArray(name, own, node.shape, values.get(node), limit);

/** The array with how it came about: where it is another one that has a name, that name. */
function computed(opened: Opened, name: string, own: Formula, node: Node, limit = LISTED): Computed {
  const bound = opened.bind(node);
  const isAnother = bound && JSON.stringify(bound) !== JSON.stringify(own);
  return { ...describe(opened, name, own, node, limit), formula: isAnother ? bound : formulaOf(node, opened.bind) };
}

export const describeForward = (opened: Opened, jacobians: Jacobians): LayerForward[] =>
  layersOf(opened.model.network).map(({ name, kind, description, inputShape, outputShape }): LayerForward => {
    const stops = resultsOf(opened, name);
    return {
      layer: name,
      kind,
      description,
      inputShape,
      outputShape,
      parameters: parametersOf(opened, name).map((stop) => describe(opened, stop.name, stop.symbol, stop.node)),
      results: stops.map((stop) => computed(opened, stop.name, stop.symbol, stop.node)),
      derivatives: stops.flatMap((stop) => derivativesOf(opened, jacobians, stop)),
      notes: notesOn(opened, jacobians, name, stops),
    };
  });

/** The derivatives that are one formula for all elements. */
const derivativesOf = (opened: Opened, jacobians: Jacobians, stop: Stop): Derivative[] =>
  [...jacobians.cut(stop).leaves.keys()].flatMap((from) => {
    if (from.role === "parameter") return [];
    const { formula } = diagonalFormulas(opened, jacobians, stop, from);
    return formula ? [{ of: stop.name, by: from.name, formula }] : [];
  });

export function describeLoss(opened: Opened): LossDescription {
  const { graph, lossName, losses, values, bind } = opened;
  const { outputs } = opened.model.network;
  const whole = {
    name: lossName,
    value: values.get(graph.loss)[0],
    formula: formulaOf(graph.loss, bind),
    perSample: Array.from(values.get(graph.perRow)),
  };
  if (outputs[0].name === undefined) return { ...whole, ...describeOutput(opened, 0) };
  return {
    ...whole,
    derivative: undefined,
    operands: [],
    outputs: outputs.map(({ name }, i): OutputLossDescription => {
      const own = graph.ownPerRow[i];
      const perSample = Array.from(values.get(own));
      const value = perSample.reduce((sum, each) => sum + each, 0) / perSample.length;
      const { name: lossName, weight } = losses[i];
      const formula = formulaOf(own, bind);
      return { of: name!, name: lossName, weight, value, formula, perSample, ...describeOutput(opened, i) };
    }),
  };
}

/** What goes into the loss of an output, and where the backward pass begins. */
function describeOutput(
  opened: Opened,
  i: number,
): Pick<LossDescription, "output" | "target" | "derivative" | "operands"> {
  const { graph, model } = opened;
  const port = model.network.outputs[i];
  const output = stopAt(opened, graph.outputs[i]);
  const listed = (name: string, own: Formula, node: Node) => describe(opened, name, own, node, LISTED_OF_LOSS);
  const target = arrayName("target", port);
  return {
    output: listed(output?.name ?? arrayName("output", port), output?.symbol ?? symbol("output"), graph.outputs[i]),
    target: listed(target, symbolOf(target), graph.y[i]),
    ...lossDerivative(opened, output),
  };
}

/** ∂L/∂output with the arrays that its formula mentions and that have no name: softmax(z), say. */
function lossDerivative(opened: Opened, output: Stop | undefined): Pick<LossDescription, "derivative" | "operands"> {
  if (output?.node.dtype !== "float" || output.role !== "result") return { derivative: undefined, operands: [] };
  const node = opened.gradient(output.node);
  const operands = new Map<string, ArrayDescription>();
  const visit = (x: Node): void => {
    if (opened.bind(x) && x !== node) return;
    if (x.op.meaning.kind === "elementwise") for (const operand of x.inputs) visit(operand);
    else if (!isConstant(x) && sameShape(x.shape, output.node.shape)) {
      const own = formulaOf(x, opened.bind);
      const name = formulaText(own);
      operands.set(name, describe(opened, name, own, x, LISTED_OF_LOSS));
    }
  };
  visit(node);
  const derivative = computed(opened, output.name, partial(L, output.symbol), node, LISTED_OF_LOSS);
  return { derivative, operands: [...operands.values()] };
}

/** The layers that have a gradient, the last one first. */
export function describeBackward(opened: Opened): LayerBackward[] {
  const gradient = ({ name, symbol: by, node }: Stop): Computed =>
    computed(opened, name, partial(L, by), opened.gradient(node));
  const layers = layersOf(opened.model.network).map(
    ({ name }): LayerBackward => ({
      layer: name,
      results: resultsOf(opened, name)
        .filter(({ node }) => opened.isTrained(node))
        .reverse()
        .map(gradient),
      parameters: parametersOf(opened, name)
        .filter((stop) => isTrainable(opened, stop))
        .map(gradient),
    }),
  );
  return layers.reverse().filter(({ results, parameters }) => results.length + parameters.length > 0);
}

export function describeUpdate(opened: Opened): UpdateDescription[] {
  const { graph, bind, updateValues } = opened;
  const next = new Map(graph.updates.map(({ variable, value }) => [variable, value]));
  const before = (node: Node): ArrayDescription =>
    describeArray(nameOf(node), bind(node) ?? symbol(nameOf(node)), node.shape, updateValues.get(node), LISTED);
  const after = (node: Node): ArrayDescription => ({ ...before(next.get(node)!), name: nameOf(node) });
  return opened.states.map(
    ({ parameter: { name, node }, state }, i): UpdateDescription => ({
      parameter: name,
      before: before(node),
      gradient: { ...before(graph.gradients[i]), name },
      after: after(node),
      state: Object.entries(state).map(([own, array]) => ({ name: own, before: before(array), after: after(array) })),
      formulas: updateLines(opened, node).map((line) => equal(line.symbol, formulaOf(line.node, bind))),
    }),
  );
}

/** The nodes of the step that trains, each after its operands. */
export const nodesOf = ({ graph }: Opened): readonly Node[] =>
  topologicalOrder([graph.loss, ...graph.gradients, ...graph.updates.map(({ value }) => value)]);

export const valuesOf = ({ values, updateValues }: Opened, node: Node): AnyArray =>
  (node.phase === "update" ? updateValues : values).get(node);

export function describeOps(opened: Opened): OpDescription[] {
  const { bind } = opened;
  const nodes = nodesOf(opened);
  const ids = new Map(nodes.map((node, i) => [node, i]));
  return nodes.map((node, id) => ({
    id,
    op: node.op.name,
    name: stopAt(opened, node)?.name ?? nameOf(node),
    layer: node.scope,
    phase: node.phase,
    shape: node.shape,
    inputs: node.inputs.map((x) => ids.get(x)!),
    formula: formulaOf(node, (x) => bind(x) ?? (isConstant(x) ? undefined : symbol(`#${ids.get(x)}`))),
    ...(explanationOf(node.op) && { words: explanationOf(node.op) }),
    statistics: statisticsOf(valuesOf(opened, node)),
  }));
}
