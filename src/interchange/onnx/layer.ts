/** The layer that holds an ONNX graph: its nodes are its configuration, its arrays its parameters. */
import { ShapeError } from "../../errors.ts";
import { type Shape, showShape } from "../../graph/shape.ts";
import { initializer } from "../../nn/initializers.ts";
import { defineLayer, type LayerOptions } from "../../nn/layer.ts";
import type { TrainingStep } from "./call.ts";
import type { ElementType } from "./format.ts";
import { applyGraph, type OnnxGraph, scopeName } from "./graph.ts";
import type { PlainArray } from "./tensors.ts";
import { Value, valueOfArray } from "./value.ts";

/** An array of the graph that is a parameter of the layer. */
interface GraphParameter {
  /** As the layer calls it. */
  readonly name: string;
  /** As the graph calls it. */
  readonly array: string;
  readonly shape: Shape;
  readonly type: ElementType;
  readonly trainable: boolean;
}

/** What the layer is made of, as plain data. */
export interface GraphConfig extends LayerOptions {
  readonly graph: OnnxGraph;
  readonly input: { readonly name: string; readonly type: ElementType; readonly shape: Shape };
  readonly parameters: readonly GraphParameter[];
  /** Small arrays, such as the axes of a sum, and inputs that were given as constants. */
  readonly constants: Readonly<Record<string, PlainArray>>;
  /** Whether samples have their channels last, [H, W, C], where the graph has them first. */
  readonly channelsLast: boolean;
  /** The size of the batch that the graph was written for, where it was for one. */
  readonly batch: number;
}

export const onnxLayer = defineLayer<GraphConfig>("onnx", {
  options: ["graph", "input", "parameters", "constants", "channelsLast", "batch"],
  parameters: ({ parameters, input, channelsLast }, shape) => {
    const { length } = input.shape;
    const wanted = channelsLast ? [...input.shape.slice(1), input.shape[0]] : input.shape;
    if (shape.length !== length || wanted.some((n, axis) => n > 0 && n !== shape[axis]))
      throw new ShapeError(`the graph takes samples of shape ${showShape(wanted)}; ${showShape(shape)} came.`);
    return parameters.map(({ name, shape: own, trainable }) => ({ name, shape: own, trainable, init: initializer(0) }));
  },
  apply: ({ graph, input, parameters, constants, channelsLast, batch }, context) => {
    const { x, parameter, name } = context;
    const given = new Map<string, Value>();
    for (const [key, array] of Object.entries(constants)) given.set(key, valueOfArray(array));
    for (const { name: own, array, type } of parameters) given.set(array, new Value(parameter(own), type));
    given.set(input.name, new Value(x, input.type, channelsLast ? "last" : "second"));
    const [now] = x.shape;
    const own = new Map(parameters.map((each) => [each.array, each.name]));
    const step: TrainingStep = {
      uniform: (shape) => context.uniform(shape),
      update: (array, value) => {
        const state = own.get(array);
        if (state !== undefined) context.update(state, value);
      },
    };
    const [output] = applyGraph(graph, given, {
      mode: context.training ? step : "inference",
      batch: { written: batch, now },
      visit: (node, _, [first]) => {
        if (first && !first.isConstant) first.map((result) => name(result, scopeName(node)));
      },
    });
    const result = channelsLast && output.shape.length === 4 ? output.channelsLast : output.node;
    if (result.shape[0] !== now)
      throw new ShapeError(
        `for ${now} samples the graph gives an array of shape ${showShape(result.shape)}, whose first axis should count them.`,
      );
    return result;
  },
  describe: ({ graph }) => `${graph.nodes.length} nodes`,
});
