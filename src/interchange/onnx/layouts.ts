/**
 * Lays the weights of an ONNX graph out as our ops read them, once, so that an imported network has the same plan as one
 * of our own: kernels [KH, KW, I, O], matrices [I, O], and the rows of a matrix that follows flattened images in the order
 * in which their channels lie last.
 */

import { constant } from "../../graph/leaf.ts";
import { type Shape, sizeOf } from "../../graph/shape.ts";
import { reshape, transpose } from "../../ops/index.ts";
import { type OnnxNode, OURS } from "./call.ts";
import { type Simplified, type SourcedTensor, tensorOf } from "./simplify.ts";
import { folded, Value } from "./value.ts";

/** What a pass over the graph says of a node's first operand. */
export type Probe = (visit: (node: OnnxNode, inputs: readonly (Value | undefined)[]) => void, of: Simplified) => void;

/** The axes of an array in another order, of the array itself or under another view; maybe under another shape then. */
function moved(
  tensor: SourcedTensor,
  order: readonly number[],
  view: Shape = tensor.shape,
  shape?: Shape,
): SourcedTensor {
  const turned = transpose(reshape(constant(tensor.data, tensor.shape), view), order);
  const value = folded(new Value(reshape(turned, shape ?? turned.shape), tensor.type));
  return { ...tensor, ...tensorOf(tensor.name, value) };
}

export function inOurLayouts({ graph, arrays }: Simplified, probe: Probe): Simplified {
  const own = new Map(arrays);
  const uses = (name: string): number =>
    graph.nodes.reduce((sum, { inputs }) => sum + inputs.filter((input) => input === name).length, 0) +
    graph.outputs.filter((output) => output === name).length;
  const weight = (name = ""): SourcedTensor | undefined => (uses(name) === 1 ? own.get(name) : undefined);

  const nodes = graph.nodes.map((node): OnnxNode => {
    const w = weight(node.inputs[1]);
    if (!w) return node;
    if (node.op === "Conv" && (w.shape.length === 3 || w.shape.length === 4)) {
      const four = w.shape.length === 3 ? [w.shape[0], w.shape[1], 1, w.shape[2]] : w.shape;
      own.set(w.name, moved(w, [2, 3, 1, 0], four));
      return { ...node, attributes: { ...node.attributes, [OURS]: 1 } };
    }
    if (node.op === "Gemm" && node.attributes.transB) {
      own.set(w.name, moved(w, [1, 0]));
      return { ...node, attributes: { ...node.attributes, transB: 0 } };
    }
    return node;
  });

  // Flattened images keep their channels last where a matrix that follows can take its rows in that order.
  const flattened = new Map<string, Shape>();
  probe(
    (node, [x]) => {
      if (/^(Flatten|Reshape)$/.test(node.op) && x?.isChannelsLast && x.shape.length > 2)
        flattened.set(node.outputs[0], x.shape);
    },
    { graph: { ...graph, nodes }, arrays: own },
  );
  const turned = new Set<string>();
  const last = nodes.map((node): OnnxNode => {
    const shape = flattened.get(node.inputs[0]);
    const w = weight(node.inputs[1]);
    const isMatrix = node.op === "MatMul" || (node.op === "Gemm" && !node.attributes.transA);
    if (!shape || !w || !isMatrix || uses(node.inputs[0]) !== 1) return node;
    const [, channels, ...size] = shape;
    if (w.shape.length !== 2 || w.shape[0] !== channels * sizeOf(size)) return node;
    own.set(w.name, moved(w, [1, 0, 2], [channels, sizeOf(size), w.shape[1]], w.shape));
    turned.add(node.inputs[0]);
    return node;
  });
  return {
    graph: {
      ...graph,
      nodes: last.map((node) =>
        turned.has(node.outputs[0]) ? { ...node, attributes: { ...node.attributes, [OURS]: 1 } } : node,
      ),
    },
    arrays: own,
  };
}
