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

/** An input of the graph that is data. */
export interface GraphInput {
  readonly name: string;
  readonly type: ElementType;
  /** Of one sample, in the graph's order of axes. */
  readonly shape: Shape;
  /** Whether samples have their channels last, [H, W, C], where the graph has them first. */
  readonly channelsLast: boolean;
}

/** The shape of a sample as it is given. */
export const givenShape = ({ shape, channelsLast }: GraphInput): Shape =>
  channelsLast ? [...shape.slice(1), shape[0]] : shape;

/** Under which name an output can be asked for, beside the first, which is what the layer gives. */
export const outputResult = (number: number): string => `output${number + 1}`;

/** What the layer is made of, as plain data. */
export interface GraphConfig extends LayerOptions {
  readonly graph: OnnxGraph;
  readonly inputs: readonly GraphInput[];
  readonly parameters: readonly GraphParameter[];
  /** Small arrays, such as the axes of a sum, and inputs that were given as constants. */
  readonly constants: Readonly<Record<string, PlainArray>>;
  /** Whether images among the outputs are given with their channels last. */
  readonly channelsLast: boolean;
  /** The size of the batch that the graph was written for, where it was for one. */
  readonly batch: number;
}

export const onnxLayer = defineLayer<GraphConfig>("onnx", {
  options: ["graph", "inputs", "parameters", "constants", "channelsLast", "batch"],
  several: true,
  parameters: ({ parameters, inputs }, _, shapes) => {
    if (shapes.length !== inputs.length)
      throw new ShapeError(`the graph takes ${inputs.length} inputs; ${shapes.length} came.`);
    for (const [i, shape] of shapes.entries()) {
      const wanted = givenShape(inputs[i]);
      if (shape.length !== wanted.length || wanted.some((n, axis) => n > 0 && n !== shape[axis]))
        throw new ShapeError(`the graph takes samples of shape ${showShape(wanted)}; ${showShape(shape)} came.`);
    }
    return parameters.map(({ name, shape: own, trainable }) => ({ name, shape: own, trainable, init: initializer(0) }));
  },
  apply: ({ graph, inputs, parameters, constants, channelsLast, batch }, context) => {
    const { x, parameter, name } = context;
    const given = new Map<string, Value>();
    for (const [key, array] of Object.entries(constants)) given.set(key, valueOfArray(array));
    for (const { name: own, array, type } of parameters) given.set(array, new Value(parameter(own), type));
    for (const [i, input] of inputs.entries())
      given.set(input.name, new Value(context.inputs[i], input.type, input.channelsLast ? "last" : "second"));
    const [now] = x.shape;
    const own = new Map(parameters.map((each) => [each.array, each.name]));
    const step: TrainingStep = {
      uniform: (shape) => context.uniform(shape),
      update: (array, value) => {
        const state = own.get(array);
        if (state !== undefined) context.update(state, value);
      },
    };
    const outputs = applyGraph(graph, given, {
      mode: context.training ? step : "inference",
      batch: { written: batch, now },
      visit: (node, _, [first]) => {
        if (first && !first.isConstant) first.map((result) => name(result, scopeName(node)));
      },
    });
    const results = outputs.map((output) => {
      const result = channelsLast && output.shape.length === 4 ? output.channelsLast : output.node;
      if (result.shape[0] === now) return result;
      throw new ShapeError(
        `for ${now} samples the graph gives an array of shape ${showShape(result.shape)}, whose first axis should count them.`,
      );
    });
    for (const [i, result] of results.entries()) if (i > 0) name(result, outputResult(i));
    return results[0];
  },
  describe: ({ graph }) => `${graph.nodes.length} nodes`,
});
