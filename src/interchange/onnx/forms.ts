/** How our structural and composite ops are written in ONNX. */
import type { Node } from "../../graph/node.ts";
import { type Pair, type Sliding, spanOf } from "../../ops/window.ts";
import type { Form, Writer, Written } from "./writer.ts";

/** An attribute of a node, of the type that its op gives it. */
const attribute = <T>({ attributes }: Node, name: string): T => attributes[name] as T;

/** A form that does nothing with images: takes operands as we have them, and gives one result so. */
const plain =
  (write: (node: Node, writer: Writer, operands: readonly string[]) => string): Form =>
  (node, writer): Written => ({
    last: write(
      node,
      writer,
      node.inputs.map((x) => writer.first(x)),
    ),
  });

const padsOf = ({ padding: [[top, bottom], [left, right]] }: Pick<Sliding, "padding">): number[] => [
  top,
  left,
  bottom,
  right,
];

/** Along one of the reduced axes after the other, for versions in which the axes are an attribute or an operand. */
const reduction = (op: string, operandFrom: number): Form =>
  plain((node, { graph }, [x]) => {
    const [from, to] = [attribute<number>(node, "from"), attribute<number>(node, "to")];
    const axes = Array.from({ length: to - from }, (_, i) => from + i);
    return graph.version >= operandFrom
      ? graph.add(op, [x, graph.constant(axes)], { keepdims: 0 })
      : graph.add(op, [x], { axes, keepdims: 0 });
  });

/** The last two axes of an operand the other way round. */
const turned = (writer: Writer, node: Node): string => {
  const rank = node.shape.length;
  return rank === 2
    ? writer.turned(node, [1, 0])
    : writer.graph.add("Transpose", [writer.first(node)], { perm: [0, 2, 1].slice(0, rank) });
};

const matmul: Form = (node, writer) => {
  const [a, b] = node.inputs;
  const left = node.attributes.transposeA ? turned(writer, a) : writer.first(a);
  const right = node.attributes.transposeB ? turned(writer, b) : writer.first(b);
  return { last: writer.graph.add("MatMul", [left, right]) };
};

const conv2d: Form = (node, writer, bias) => {
  const [x, w] = node.inputs;
  const sliding = node.attributes as unknown as Sliding & { readonly groups: number };
  return {
    second: writer.graph.add(
      "Conv",
      [writer.images(x), writer.turned(w, [3, 2, 0, 1]), ...(bias ? [writer.first(bias)] : [])],
      {
        kernel_shape: w.shape.slice(0, 2),
        strides: sliding.stride,
        pads: padsOf(sliding),
        dilations: sliding.dilation,
        group: sliding.groups,
      },
    ),
  };
};

/** What a convolution's backward pass does to a gradient, which is how transposed convolutions are computed. */
const transposedConv: Form = (node, writer) => {
  const [x, w] = node.inputs;
  const { stride, dilation, groups, padding, size } = node.attributes as unknown as Sliding & {
    readonly groups: number;
    readonly size: Pair;
  };
  const extra = ([0, 1] as const).map((axis) => {
    const reach = (x.shape[axis + 1] - 1) * stride[axis] + spanOf(w.shape[axis], dilation[axis]);
    return size[axis] - (reach - padding[axis][0] - padding[axis][1]);
  });
  return {
    second: writer.graph.add("ConvTranspose", [writer.images(x), writer.turned(w, [3, 2, 0, 1])], {
      kernel_shape: w.shape.slice(0, 2),
      strides: stride,
      pads: padsOf({ padding }),
      dilations: dilation,
      group: groups,
      output_padding: extra,
    }),
  };
};

const pool =
  (op: string, more: Readonly<Record<string, number>> = {}): Form =>
  (node, writer) => {
    const sliding = node.attributes as unknown as Sliding & { readonly window: Pair };
    return {
      second: writer.graph.add(op, [writer.images(node.inputs[0])], {
        kernel_shape: sliding.window,
        strides: sliding.stride,
        pads: padsOf(sliding),
        ...more,
      }),
    };
  };

/** Joined along the channels, images stay as they lie. */
const concat: Form = (node, writer) => {
  const axis = attribute<number>(node, "axis");
  if (axis === 3 && node.shape.length === 4 && node.inputs.every((x) => writer.isImages(x)))
    return {
      second: writer.graph.add(
        "Concat",
        node.inputs.map((x) => writer.images(x)),
        { axis: 1 },
      ),
    };
  return {
    last: writer.graph.add(
      "Concat",
      node.inputs.map((x) => writer.first(x)),
      { axis },
    ),
  };
};

/** A whole number for `Gather` and its kin. */
const asIndex = ({ graph }: Writer, x: string): string => graph.add("Cast", [x], { to: 7 });

export const FORMS: Readonly<Record<string, Form>> = {
  argmax: plain(({ inputs }, { graph }, [x]) =>
    graph.add("ArgMax", [x], { axis: inputs[0].shape.length - 1, keepdims: 0 }),
  ),
  averagePool2d: pool("AveragePool", { count_include_pad: 0 }),
  concat,
  conv2d,
  conv2dInputGradient: transposedConv,
  gather: plain((_, writer, [x, index]) => writer.graph.add("Gather", [x, asIndex(writer, index)], { axis: 0 })),
  logSoftmax: plain((_, { graph }, [x]) => graph.add("LogSoftmax", [x], { axis: -1 })),
  matmul,
  max: reduction("ReduceMax", 18),
  maxPool2d: pool("MaxPool"),
  oneHot: plain((node, writer, [index]) => {
    const { graph } = writer;
    const values = graph.array("off_on", Float32Array.of(0, 1), [2]);
    return graph.add("OneHot", [asIndex(writer, index), graph.constant([attribute<number>(node, "classes")]), values]);
  }),
  pad: plain((node, { graph }, [x]) =>
    graph.add("Pad", [
      x,
      graph.constant([...attribute<number[]>(node, "before"), ...attribute<number[]>(node, "after")]),
    ]),
  ),
  reshape: plain((node, { graph }, [x]) => graph.add("Reshape", [x, graph.shape(node.shape)])),
  rows: plain((node, { graph }, [x]) => {
    const start = attribute<number>(node, "start");
    const end = start + attribute<number>(node, "count");
    return graph.add("Slice", [x, graph.constant([start]), graph.constant([end]), graph.constant([0])]);
  }),
  slice: plain((node, { graph }, [x]) => {
    const start = attribute<number[]>(node, "start");
    const size = attribute<number[]>(node, "size");
    const { shape } = node.inputs[0];
    const axes = [...size.keys()].filter((axis) => size[axis] !== shape[axis]);
    const of = (list: readonly number[]): string => graph.constant(axes.map((axis) => list[axis]));
    return graph.add("Slice", [x, of(start), of(start.map((n, axis) => n + size[axis])), graph.constant(axes)]);
  }),
  softmax: plain((_, { graph }, [x]) => graph.add("Softmax", [x], { axis: -1 })),
  sum: reduction("ReduceSum", 13),
  toIndex: plain((node, { graph }, [x]) => {
    const kept = graph.add("Clip", [x, graph.constant(0), graph.constant(attribute<number>(node, "limit") - 1)]);
    return graph.add("Cast", [kept], { to: 7 });
  }),
  topK: plain((node, { graph }, [x]) => {
    const values = graph.fresh("largest");
    const places = graph.fresh("places");
    const k = graph.constant([attribute<number>(node, "k")]);
    graph.nodes.push({ opType: "TopK", name: places, input: [x, k], output: [values, places] });
    return places;
  }),
  transpose: plain((node, { graph }, [x]) => graph.add("Transpose", [x], { perm: attribute<number[]>(node, "order") })),
};
