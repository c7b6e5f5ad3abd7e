/**
 * Kernels of pooling: an invocation for each result. That of a gradient asks every window that a pixel may lie in for its
 * share, so that nothing is written twice.
 */
import type { Node } from "../../../graph/node.ts";
import { sizeOf } from "../../../graph/shape.ts";
import type { Pooling } from "../../../ops/pool.ts";
import type { Step } from "../../../plan/plan.ts";
import { emitFused, load, spotInRows } from "../fused.ts";
import { type Dispatch, flat, type KernelContext, Writer } from "../kernel.ts";
import { type Places, pixelUnder, placeOver } from "./window.ts";

function placesOf({ root }: Step, images: Node, results: Node): Places {
  const [, h, w] = images.shape;
  const [, oh, ow] = results.shape;
  return { ...(root!.attributes as unknown as Pooling), h, w, oh, ow };
}

/** Goes through the cells of the window at a place that lie inside the image; `body` has the element's number. */
function eachCell(
  writer: Writer,
  p: Places,
  place: string,
  channels: number,
  channel: string,
  body: (writer: Writer, at: string) => void,
  prefix = "c",
): void {
  writer.emit(`for (var ${prefix}ell = 0u; ${prefix}ell < ${p.window[0] * p.window[1]}u; ${prefix}ell++) {`);
  const inner = new Writer(prefix);
  const [row, column] = [inner.name(`${prefix}ell / ${p.window[1]}u`), inner.name(`${prefix}ell % ${p.window[1]}u`)];
  const { inside, number } = pixelUnder(inner, p, place, row, column);
  inner.emit(`if (${inside}) {`);
  body(inner, inner.name(`${number} * ${channels}u + ${channel}`));
  inner.emit("}");
  writer.emit(`${inner}}`);
}

/** The element that wins the window at a place: the first of the largest. Declares `best` and `largest`. */
function findWinner(
  writer: Writer,
  p: Places,
  x: Node,
  place: string,
  channels: number,
  channel: string,
  context: KernelContext,
): void {
  writer.emit("var best = 0xffffffffu;");
  writer.emit("var largest = 0f;");
  eachCell(
    writer,
    p,
    place,
    channels,
    channel,
    (inner, at) => {
      const value = inner.name(load(x, at, context));
      inner.emit(`if (best == 0xffffffffu || ${value} > largest) { largest = ${value}; best = ${at}; }`);
    },
    "k",
  );
}

/** One result for each window and channel. `body` gives its value. */
function forward(
  step: Step,
  context: KernelContext,
  body: (writer: Writer, p: Places, place: string, channels: number, channel: string) => string,
): Dispatch[] {
  const { root } = step;
  const p = placesOf(step, root!.inputs[0], root!);
  const channels = root!.shape[3];
  return [
    flat(sizeOf(root!.shape), (writer, i) => {
      const [row, column] = [writer.name(`${i} / ${channels}u`), writer.name(`${i} % ${channels}u`)];
      const value = body(writer, p, row, channels, column);
      emitFused(writer, step, context, spotInRows(step, { full: i, row, column }), value);
    }),
  ];
}

export const maxPool2d = (step: Step, context: KernelContext): Dispatch[] =>
  forward(step, context, (writer, p, place, channels, channel) => {
    writer.emit("var y = -bitcast<f32>(infinityBits);");
    eachCell(writer, p, place, channels, channel, (inner, at) =>
      inner.emit(`y = maximum(y, ${load(step.root!.inputs[0], at, context)});`),
    );
    return "y";
  });

export const maxPool2dPick = (step: Step, context: KernelContext): Dispatch[] =>
  forward(step, context, (writer, p, place, channels, channel) => {
    const [x, g] = step.root!.inputs;
    findWinner(writer, p, x, place, channels, channel, context);
    return load(g, "best", context);
  });

export const averagePool2d = (step: Step, context: KernelContext): Dispatch[] =>
  forward(step, context, (writer, p, place, channels, channel) => {
    writer.emit("var sum = 0f;");
    writer.emit("var count = 0f;");
    eachCell(writer, p, place, channels, channel, (inner, at) =>
      inner.emit(`sum += ${load(step.root!.inputs[0], at, context)}; count += 1f;`),
    );
    return "sum / count";
  });

/** One result for each pixel and channel: the sum of what `share` gives for each place whose window has the pixel. */
function backward(
  step: Step,
  context: KernelContext,
  share: (writer: Writer, p: Places, place: string, channels: number, channel: string, i: string) => string,
): Dispatch[] {
  const { root } = step;
  const p = placesOf(step, root!, root!.inputs.at(-1)!);
  const channels = root!.shape[3];
  return [
    flat(sizeOf(root!.shape), (writer, i) => {
      const [row, column] = [writer.name(`${i} / ${channels}u`), writer.name(`${i} % ${channels}u`)];
      writer.emit("var total = 0f;");
      writer.emit(`for (var over = 0u; over < ${p.window[0] * p.window[1]}u; over++) {`);
      const inner = new Writer("o");
      const [cellRow, cellColumn] = [inner.name(`over / ${p.window[1]}u`), inner.name(`over % ${p.window[1]}u`)];
      const { inside, number } = placeOver(inner, p, row, cellRow, cellColumn);
      inner.emit(`if (${inside}) {`);
      inner.emit(`total += ${share(inner, p, number, channels, column, i)};`);
      inner.emit("}");
      writer.emit(`${inner}}`);
      emitFused(writer, step, context, spotInRows(step, { full: i, row, column }), "total");
    }),
  ];
}

export const maxPool2dGradient = (step: Step, context: KernelContext): Dispatch[] =>
  backward(step, context, (writer, p, place, channels, channel, i) => {
    const [x, dy] = step.root!.inputs;
    findWinner(writer, p, x, place, channels, channel, context);
    return `select(0f, ${load(dy, `${place} * ${channels}u + ${channel}`, context)}, best == ${i})`;
  });

export const averagePool2dGradient = (step: Step, context: KernelContext): Dispatch[] =>
  backward(step, context, (writer, p, place, channels, channel) => {
    writer.emit("var count = 0f;");
    eachCell(writer, p, place, channels, channel, (inner) => inner.emit("count += 1f;"));
    return `${load(step.root!.inputs[0], `${place} * ${channels}u + ${channel}`, context)} / count`;
  });
