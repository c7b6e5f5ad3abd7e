/**
 * An ONNX graph as plain data, and how it becomes nodes of ours: its nodes in order, each operator adding to our graph.
 * What does not depend on inputs is computed on the way, so that shapes that a file computes are known.
 */
import { DataError } from "../../errors.ts";
import { inScope } from "../../graph/node.ts";
import { Call, type Mode, type NodeAttributes, nodeName, type OnnxNode, type OnnxSubgraph } from "./call.ts";
import { OPERATORS } from "./operators/index.ts";
import { folded, Value, valueOfArray } from "./value.ts";

/** A function of the file: nodes under a name, with which others call them. */
export interface OnnxFunction {
  readonly name: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly nodes: readonly OnnxNode[];
}

/** A graph without its arrays. */
export interface OnnxGraph {
  /** The version of the operators. */
  readonly version: number;
  readonly nodes: readonly OnnxNode[];
  readonly functions: readonly OnnxFunction[];
  readonly outputs: readonly string[];
}

export interface ApplyOptions {
  readonly mode?: Mode;
  /** Called after each node, with its operands and results. */
  readonly visit?: (node: OnnxNode, inputs: readonly (Value | undefined)[], results: readonly Value[]) => void;
  /** The number of samples that the file was written for, and the number that there are now. */
  readonly batch?: { readonly written: number; readonly now: number };
}

type Scope = Map<string, Value>;

const isStandard = (domain = ""): boolean => domain === "" || domain === "ai.onnx";
export const keyOf = (domain = "", name = ""): string => (isStandard(domain) ? name : `${domain}.${name}`);

/** The operators and functions that are known neither here nor in the file, each with a node that uses it. */
export function unknownOperators({ nodes, functions }: Pick<OnnxGraph, "nodes" | "functions">): Map<string, string> {
  const own = new Set(functions.map(({ name }) => name));
  const unknown = new Map<string, string>();
  const visit = (list: readonly OnnxNode[]): void => {
    for (const node of list) {
      if (!own.has(node.op) && !Object.hasOwn(OPERATORS, node.op)) unknown.set(node.op, nodeName(node));
      for (const attribute of Object.values(node.attributes))
        if (typeof attribute === "object" && "nodes" in attribute) visit(attribute.nodes);
    }
  };
  visit(nodes);
  for (const { nodes: inner } of functions) visit(inner);
  return unknown;
}

/**
 * Adds a graph to ours.
 * @param given the values of its inputs and arrays, by name
 * @returns the values of its outputs, in order
 */
export function applyGraph(graph: OnnxGraph, given: ReadonlyMap<string, Value>, options: ApplyOptions = {}): Value[] {
  const functions = new Map(graph.functions.map((f) => [f.name, f]));

  const run = (nodes: readonly OnnxNode[], scope: Scope, own: NodeAttributes): void => {
    for (const node of nodes) {
      const inputs = node.inputs.map((name) =>
        name === "" ? undefined : found(scope, name, `the node "${nodeName(node)}"`),
      );
      const results = resultsOf(withAttributes(node, own), inputs, scope, own);
      options.visit?.(node, inputs, results);
      for (const [i, name] of node.outputs.entries()) {
        if (name === "") continue;
        if (!results[i]) throw new DataError(`${node.op} (${nodeName(node)}) gives no result number ${i + 1}.`);
        scope.set(name, results[i]);
      }
    }
  };

  const resultsOf = (
    node: OnnxNode,
    inputs: readonly (Value | undefined)[],
    scope: Scope,
    own: NodeAttributes,
  ): readonly Value[] => {
    const f = functions.get(node.op);
    if (f) {
      const inner: Scope = new Map();
      for (const [i, name] of f.inputs.entries()) if (inputs[i]) inner.set(name, inputs[i]);
      run(f.nodes, inner, node.attributes);
      return f.outputs.map((name) => found(inner, name, `an output of ${node.op}`));
    }
    const runGraph = (subgraph: OnnxSubgraph, values: readonly Value[]): Value[] => {
      const inner: Scope = new Map(scope);
      for (const [name, array] of Object.entries(subgraph.arrays)) inner.set(name, valueOfArray(array));
      for (const [i, name] of subgraph.inputs.entries()) if (values[i]) inner.set(name, values[i]);
      run(subgraph.nodes, inner, own);
      return subgraph.outputs.map((name) => found(inner, name, "an output of a graph inside"));
    };
    const { version } = graph;
    const call = new Call(node, inputs, {
      version,
      runGraph,
      mode: options.mode,
      batch: options.batch,
    });
    const made = inScope(scopeName(node), () => OPERATORS[node.op](call));
    const results = made instanceof Value ? [made] : made;
    return inputs.every((x) => !x || x.isConstant) ? results.map(folded) : results;
  };

  const scope: Scope = new Map(given);
  run(graph.nodes, scope, {});
  return graph.outputs.map((name) => found(scope, name, "an output"));
}

/** Names of layers are words without dots. */
export const scopeName = (node: OnnxNode): string => nodeName(node).replaceAll(/[.\s]+/g, "_");

function found(scope: Scope, name: string, user: string): Value {
  const value = scope.get(name);
  if (value) return value;
  throw new DataError(
    `The file is damaged: ${user} uses "${name}", which is not there before it.`,
    {},
    { code: "damaged-file" },
  );
}

/** A node of a function with the attributes that stand for those of the call. */
function withAttributes(node: OnnxNode, given: NodeAttributes): OnnxNode {
  if (!node.taken) return node;
  const attributes: Record<string, NodeAttributes[string]> = { ...node.attributes };
  for (const [name, of] of Object.entries(node.taken)) if (Object.hasOwn(given, of)) attributes[name] = given[of];
  return { ...node, attributes };
}

/** All names that a node reads, those within its graphs too. */
export const nodeNames = (node: OnnxNode): string[] => [
  ...node.inputs,
  ...Object.values(node.attributes).flatMap((attribute) =>
    typeof attribute === "object" && "nodes" in attribute ? attribute.nodes.flatMap(nodeNames) : [],
  ),
];
