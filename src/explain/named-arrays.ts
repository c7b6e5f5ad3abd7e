/** The arrays of a step that have names: where the chain rule stops to be told. Here too: which layer they belong to. */
import { isVariable } from "../graph/leaf.ts";
import { hasName, type Node, nameOf, topologicalOrder } from "../graph/node.ts";
import { arrayName, type NamedLayer, type Network } from "../nn/network.ts";
import type { OptimizerState, TrainingGraph } from "../train/training-graph.ts";
import { type SymbolFormula, symbol } from "./formula/formula.ts";

/** A place where the chain rule stops to be told: an array of the step that has a name. */
export interface Stop {
  /** `dense_1.z`, `dense_1.kernel`, `x`, `target`, `loss`; `x.image` and `target.label` where inputs and outputs have names. */
  readonly name: string;
  readonly symbol: SymbolFormula;
  readonly node: Node;
  readonly role: "input" | "target" | "parameter" | "result" | "loss";
}

/** A step of which the named arrays are known. */
interface Named {
  readonly graph: TrainingGraph;
  readonly stops: readonly Stop[];
  readonly states: readonly OptimizerState[];
}

/** The layer and the own part of a name: `dense_1.z` → `dense_1`, `z`. */
export function splitName(name: string): [layer: string, own: string] {
  const dot = name.lastIndexOf(".");
  return dot < 0 ? ["", name] : [name.slice(0, dot), name.slice(dot + 1)];
}

export const symbolOf = (name: string): SymbolFormula => {
  const [layer, own] = splitName(name);
  return symbol(own, layer);
};

/** The arrays that have names: the input, the target, parameters, layers' results, the loss. */
export function stopsOf(graph: TrainingGraph, { inputs, outputs, parameters }: Network): Stop[] {
  const used = new Set(topologicalOrder([graph.loss]));
  const stops = new Map<Node, Stop>();
  const stop = (node: Node, name: string, role: Stop["role"], shown = symbolOf(name)): void => {
    if (!stops.has(node) && (used.has(node) || role === "result")) stops.set(node, { name, symbol: shown, node, role });
  };
  for (const [i, port] of inputs.entries()) stop(graph.x[i], arrayName("x", port), "input");
  for (const [i, port] of outputs.entries()) stop(graph.y[i], arrayName("target", port), "target");
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

/** The layers, each followed by those inside it. */
export function layersOf({ layers }: Pick<Network, "layers">): NamedLayer[] {
  return layers.flatMap((layer) => [layer, ...layersOf(layer)]);
}

/** What a layer computes, in its order. */
export function resultsOf({ stops, graph }: Named, layer: string): readonly Stop[] {
  const results = stops.filter(({ role }) => role === "result");
  const own = results.filter(({ name }) => name === layer || splitName(name)[0] === layer);
  // What a layer made of layers gives may be what the last one inside gives.
  return own.length > 0 ? own : results.filter(({ node }) => node === graph.named.get(layer));
}

export const parametersOf = ({ stops }: Named, layer: string): readonly Stop[] =>
  stops.filter(({ role, name }) => role === "parameter" && splitName(name)[0] === layer);

/** Whether the optimiser changes a parameter. */
export const isTrainable = ({ states }: Named, { node }: Stop): boolean =>
  states.some(({ parameter }) => parameter.node === node);

export const stopAt = ({ stops }: Named, node: Node): Stop | undefined => stops.find((stop) => stop.node === node);
