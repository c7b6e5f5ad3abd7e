/** Takes out of an ONNX graph what can be computed once: what becomes of weights before they meet an input, and numbers. */
import { constantArray, fillValue } from "../../graph/leaf.ts";
import { sizeOf } from "../../graph/shape.ts";
import type { OnnxNode } from "./call.ts";
import { applyGraph, nodeNames, type OnnxGraph } from "./graph.ts";
import type { OnnxFile } from "./read.ts";
import type { OnnxTensor } from "./tensors.ts";
import { isFloat, type Value, valueOfTensor } from "./value.ts";

/** An array of a simplified graph: whether it comes from the file's own arrays, or from numbers written in its nodes. */
export interface SourcedTensor extends OnnxTensor {
  readonly isWeight: boolean;
  /** The array of the file that it was made of, if it was one alone. */
  readonly source: string;
}

export interface Simplified {
  readonly graph: OnnxGraph;
  /** The arrays that its nodes use. */
  readonly arrays: ReadonlyMap<string, SourcedTensor>;
}

/** How large an array may become by being computed once, beside the largest that it comes from. */
const GROWTH = 4;

export function simplify(file: OnnxFile): Simplified {
  // Of a weight that would come to several arrays, nothing is computed before: they would be trained apart from each other.
  const whole = new Set<string>();
  for (;;) {
    const simple = simplified(file, whole);
    const sources = [...simple.arrays.values()].flatMap(({ type, data, isWeight, source }) =>
      isWeight && isFloat(type) && data.length > 1 ? [source] : [],
    );
    const several = sources.filter((source, i) => sources.indexOf(source) < i);
    if (several.length === 0) return simple;
    for (const source of several) whole.add(source);
  }
}

function simplified({ graph, arrays }: OnnxFile, whole: ReadonlySet<string>): Simplified {
  const known = new Map<string, SourcedTensor>();
  for (const [name, tensor] of arrays) known.set(name, { ...tensor, isWeight: true, source: name });
  const nodes: OnnxNode[] = [];
  for (const node of graph.nodes) {
    const inputs = node.inputs.filter(Boolean);
    const given = inputs.map((name) => known.get(name));
    const isKnown = given.every((x) => x !== undefined && !whole.has(x.source));
    const results = isKnown ? computed(graph, node, given as SourcedTensor[]) : undefined;
    if (results) for (const tensor of results) known.set(tensor.name, tensor);
    else nodes.push(node);
  }
  const used = new Set([...nodes.flatMap(nodeNames), ...graph.outputs]);
  const rest = { ...graph, nodes };
  return { graph: rest, arrays: new Map([...known].filter(([name]) => used.has(name))) };
}

/** What a node makes of arrays alone; undefined where that would only make them larger. */
function computed(graph: OnnxGraph, node: OnnxNode, inputs: readonly SourcedTensor[]): SourcedTensor[] | undefined {
  const outputs = node.outputs.filter(Boolean);
  const values = new Map<string, Value>(inputs.map((tensor) => [tensor.name, valueOfTensor(tensor)]));
  // A name that several arrays share, as where one is used twice, is one array.
  for (const [i, name] of node.inputs.filter(Boolean).entries()) values.set(name, valueOfTensor(inputs[i]));
  const results = applyGraph({ ...graph, nodes: [node], outputs }, values);
  const largest = Math.max(64, ...inputs.map(({ data }) => data.length));
  if (results.some(({ shape }) => sizeOf(shape) > GROWTH * largest)) return undefined;
  const isWeight = inputs.some((input) => input.isWeight);
  const sources = new Set(
    inputs.filter((input) => input.isWeight && input.data.length > 1).map(({ source }) => source),
  );
  return results.map((value, i) => {
    const [source] = sources.size === 1 && outputs.length === 1 && node.op !== "Identity" ? sources : [outputs[i]];
    return { ...tensorOf(outputs[i], value), isWeight, source };
  });
}

/** The array of a value that is a constant. */
export function tensorOf(name: string, { node, type }: Value): OnnxTensor {
  const fill = fillValue(node);
  const size = sizeOf(node.shape);
  const data = fill === undefined ? Float64Array.from(constantArray(node)!) : new Float64Array(size).fill(fill);
  return { name, type, shape: node.shape, data: type === "float" ? Float32Array.from(data) : data };
}
