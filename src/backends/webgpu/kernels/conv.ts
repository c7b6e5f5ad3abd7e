/**
 * Convolution and its gradients. Each is a product of matrices that are nowhere laid out: their elements are found in the
 * images on the way to workgroup memory (product.ts). Where the channels of a group are too few for tiles, as in depthwise
 * convolutions, an invocation adds up one result by itself.
 */
import type { Node } from "../../../graph/node.ts";
import { sizeOf } from "../../../graph/shape.ts";
import type { Convolution } from "../../../ops/conv.ts";
import type { Step } from "../../../plan/plan.ts";
import { emitFused, load, loadFour, spotInRows, storeFloat } from "../fused.ts";
import { type Dispatch, flat, type KernelContext, Writer } from "../kernel.ts";
import { type Element, type Operand, product } from "./product.ts";
import { type Places, pixelUnder, placeOver } from "./window.ts";

interface Sizes extends Places {
  /** Of all images together. */
  readonly pixels: number;
  readonly places: number;
  readonly groups: number;
  /** Channels of one group. */
  readonly inputs: number;
  readonly outputs: number;
}

function sizesOf({ root }: Step, x: Node, w: Node, y: Node): Sizes {
  const convolution = root!.attributes as unknown as Convolution;
  const [b, h, width] = x.shape;
  const [, oh, ow] = y.shape;
  const { groups } = convolution;
  return {
    ...convolution,
    h,
    w: width,
    oh,
    ow,
    window: [w.shape[0], w.shape[1]],
    pixels: b * h * width,
    places: b * oh * ow,
    inputs: w.shape[2],
    outputs: w.shape[3] / groups,
  };
}

/** Fewer channels than this, in or out, leave a tile empty. */
const FEW = 4;

const isNarrow = ({ groups, inputs, outputs }: Sizes): boolean => groups > 1 && Math.min(inputs, outputs) < FEW;

/** The cell of the window, and the channel, that an inner number stands for: they lie cell by cell. */
function split(writer: Writer, s: Sizes, inner: string, channels: number) {
  const cell = writer.name(`${inner} / ${channels}u`);
  return {
    cell,
    cellRow: writer.name(`${cell} / ${s.window[1]}u`),
    cellColumn: writer.name(`${cell} % ${s.window[1]}u`),
    channel: writer.name(`${inner} % ${channels}u`),
  };
}

/** A channel of one group among those of all. */
const among = (s: Sizes, group: string, channel: string, each: number): string =>
  s.groups === 1 ? channel : `${group} * ${each}u + ${channel}`;

/** The place of a result in images of so many channels, each group's side by side. */
const placeInImages = (s: Sizes, each: number) => (writer: Writer, group: string, row: string, column: string) => {
  const channel = writer.name(among(s, group, column, each));
  return { row, column: channel, full: writer.name(`${row} * ${s.groups * each}u + ${channel}`) };
};

/** The number of w[cell, channel, output]. */
const weightAt = (s: Sizes, cell: string, input: string, group: string, output: string): string =>
  `(${cell} * ${s.inputs}u + ${input}) * ${s.groups * s.outputs}u + ${among(s, group, output, s.outputs)}`;

/** Elements that are there only under a condition, and 0 elsewhere. */
function when(writer: Writer, condition: string, value: string, isFour: boolean): string {
  writer.emit(`var found = ${isFour ? "vec4<f32>(0f)" : "0f"};`);
  writer.emit(`if (${condition}) { found = ${value}; }`);
  return "found";
}

/** An operand of the product, told once for one element and for four. */
function operand(
  node: Node,
  context: KernelContext,
  channels: number,
  across: boolean,
  element: (
    writer: Writer,
    group: string,
    x: string,
    k: string,
    read: (index: string) => string,
    isFour: boolean,
  ) => string,
): Operand {
  const told =
    (read: typeof load, isFour: boolean): Element =>
    (writer, group, x, k, context) =>
      element(writer, group, x, k, (index) => read(node, writer.name(index), context), isFour);
  const isWell = channels % 4 === 0 && context.isAligned(node);
  return { one: told(load, false), four: isWell ? told(loadFour, true) : undefined, across };
}

/** The weights w[cell, i, o], where k goes over cells and the channels of one kind, and the columns over the other. */
const weights = (w: Node, context: KernelContext, s: Sizes, over: "inputs" | "outputs"): Operand =>
  operand(w, context, s.outputs, over === "inputs", (writer, group, x, k, read) => {
    const { cell, channel } = split(writer, s, k, s[over]);
    const [input, output] = over === "inputs" ? [channel, x] : [x, channel];
    return read(weightAt(s, cell, input, group, output));
  });

/** The pixel under a cell of the window at a place, and a channel of it. */
function pixelOf(
  writer: Writer,
  s: Sizes,
  group: string,
  place: string,
  cells: string,
  read: (index: string) => string,
  isFour: boolean,
): string {
  const { cellRow, cellColumn, channel } = split(writer, s, cells, s.inputs);
  const { inside, number } = pixelUnder(writer, s, place, cellRow, cellColumn);
  const at = `${number} * ${s.groups * s.inputs}u + ${among(s, group, channel, s.inputs)}`;
  return when(writer, inside, read(at), isFour);
}

/** y[place, o] = Σ over cells and channels i: x[pixel under the cell, i] · w[cell, i, o]. */
export function conv2d(step: Step, context: KernelContext): Dispatch[] {
  const [x, w] = step.root!.inputs;
  const s = sizesOf(step, x, w, step.root!);
  if (isNarrow(s)) return narrow(step, context, s, "y");
  return product(step, context, {
    groups: s.groups,
    m: s.places,
    n: s.outputs,
    k: s.window[0] * s.window[1] * s.inputs,
    a: operand(x, context, s.inputs, false, (writer, group, row, k, read, isFour) =>
      pixelOf(writer, s, group, row, k, read, isFour),
    ),
    b: weights(w, context, s, "inputs"),
    place: placeInImages(s, s.outputs),
  });
}

/** dx[pixel, i] = Σ over cells and channels o: dy[place that has the cell over the pixel, o] · w[cell, i, o]. */
export function conv2dInputGradient(step: Step, context: KernelContext): Dispatch[] {
  const [dy, w] = step.root!.inputs;
  const s = sizesOf(step, step.root!, w, dy);
  if (isNarrow(s)) return narrow(step, context, s, "x");
  return product(step, context, {
    groups: s.groups,
    m: s.pixels,
    n: s.inputs,
    k: s.window[0] * s.window[1] * s.outputs,
    a: operand(dy, context, s.outputs, false, (writer, group, row, k, read, isFour) => {
      const { cellRow, cellColumn, channel } = split(writer, s, k, s.outputs);
      const { inside, number } = placeOver(writer, s, row, cellRow, cellColumn);
      const at = `${number} * ${s.groups * s.outputs}u + ${among(s, group, channel, s.outputs)}`;
      return when(writer, inside, read(at), isFour);
    }),
    b: weights(w, context, s, "outputs"),
    place: placeInImages(s, s.inputs),
  });
}

/** dw[cell, i, o] = Σ over places: x[pixel under the cell, i] · dy[place, o]. */
export function conv2dKernelGradient(step: Step, context: KernelContext): Dispatch[] {
  const [x, dy] = step.root!.inputs;
  const s = sizesOf(step, x, step.root!, dy);
  if (isNarrow(s)) return narrow(step, context, s, "w");
  const outputs = s.groups * s.outputs;
  return product(step, context, {
    groups: s.groups,
    m: s.window[0] * s.window[1] * s.inputs,
    n: s.outputs,
    k: s.places,
    a: operand(x, context, s.inputs, true, (writer, group, row, k, read, isFour) =>
      pixelOf(writer, s, group, k, row, read, isFour),
    ),
    b: operand(dy, context, s.outputs, true, (_, group, column, k, read) =>
      read(`${k} * ${outputs}u + ${among(s, group, column, s.outputs)}`),
    ),
    place: (writer, group, row, column) => {
      const output = writer.name(among(s, group, column, s.outputs));
      return { row, column: output, full: writer.name(`${row} * ${outputs}u + ${output}`) };
    },
  });
}

/** Images, places or weights of few channels: an invocation for each result, which adds up what belongs to it. */
function narrow(step: Step, context: KernelContext, s: Sizes, result: "x" | "w" | "y"): Dispatch[] {
  const { root } = step;
  const [first, second] = root!.inputs;
  const outputs = s.groups * s.outputs;
  const inputs = s.groups * s.inputs;
  if (result === "w")
    return [
      flat(sizeOf(root!.shape), (writer, i) => {
        const output = writer.name(`${i} % ${outputs}u`);
        const { cellRow, cellColumn, channel } = split(writer, s, writer.name(`${i} / ${outputs}u`), s.inputs);
        const group = writer.name(`${output} / ${s.outputs}u`);
        writer.emit("var sum = 0f;");
        writer.emit(`for (var place = 0u; place < ${s.places}u; place++) {`);
        const body = new Writer("b");
        const { inside, number } = pixelUnder(body, s, "place", cellRow, cellColumn);
        const x = load(first, `${number} * ${inputs}u + ${group} * ${s.inputs}u + ${channel}`, context);
        body.emit(
          `if (${inside}) { sum = fma(${x}, ${load(second, `place * ${outputs}u + ${output}`, context)}, sum); }`,
        );
        writer.emit(`${body}}`);
        storeFloat(writer, root!, i, "sum", context);
      }),
    ];
  const isForward = result === "y";
  const [channels, own, others] = isForward ? [outputs, s.outputs, s.inputs] : [inputs, s.inputs, s.outputs];
  return [
    flat(sizeOf(root!.shape), (writer, i) => {
      const [row, column] = [writer.name(`${i} / ${channels}u`), writer.name(`${i} % ${channels}u`)];
      const [group, channel] = [writer.name(`${column} / ${own}u`), writer.name(`${column} % ${own}u`)];
      writer.emit("var sum = 0f;");
      writer.emit(`for (var cell = 0u; cell < ${s.window[0] * s.window[1]}u; cell++) {`);
      const body = new Writer("b");
      const [cellRow, cellColumn] = [body.name(`cell / ${s.window[1]}u`), body.name(`cell % ${s.window[1]}u`)];
      const { inside, number } = (isForward ? pixelUnder : placeOver)(body, s, row, cellRow, cellColumn);
      body.emit(`if (${inside}) {`);
      body.emit(`for (var c = 0u; c < ${others}u; c++) {`);
      const value = load(first, `${number} * ${s.groups * others}u + ${group} * ${others}u + c`, context);
      const [input, output] = isForward ? ["c", channel] : [channel, "c"];
      const weight = load(
        second,
        `(cell * ${s.inputs}u + ${input}) * ${outputs}u + ${group} * ${s.outputs}u + ${output}`,
        context,
      );
      body.emit(`sum = fma(${value}, ${weight}, sum);`);
      body.emit("} }");
      writer.emit(`${body}}`);
      emitFused(writer, step, context, spotInRows(step, { full: i, row, column }), "sum");
    }),
  ];
}
