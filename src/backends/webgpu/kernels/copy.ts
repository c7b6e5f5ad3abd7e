/** Kernels of the ops that move elements: transpose, slice, pad, concat. An invocation moves one word. */
import { PlatformError } from "../../../errors.ts";
import type { Node } from "../../../graph/node.ts";
import { type Shape, sizeOf, stridesOf } from "../../../graph/shape.ts";
import type { Step } from "../../../plan/plan.ts";
import { storeWord } from "../fused.ts";
import { type Dispatch, flat, type KernelContext, type Writer } from "../kernel.ts";

/** Where element i of an array stands along each axis. */
const coordinates = (writer: Writer, shape: Shape, i: string): string[] =>
  shape.map((n, axis) => {
    const inner = sizeOf(shape.slice(axis + 1));
    const over = inner === 1 ? i : `${i} / ${inner}u`;
    return n === 1 ? "0u" : writer.name(axis === 0 ? over : `${over} % ${n}u`);
  });

/** The number of an element, from its place along each axis. */
const numberOf = (places: readonly string[], strides: readonly number[]): string =>
  places.flatMap((place, axis) => (place === "0u" ? [] : [`${place} * ${strides[axis]}u`])).join(" + ") || "0u";

const shifted = (places: readonly string[], by: readonly number[]): string[] =>
  places.map((place, axis) => (by[axis] === 0 ? place : `(${place} + ${by[axis]}u)`));

function source(node: Node, context: KernelContext): string {
  if (node.dtype === "byte")
    throw new PlatformError(
      "The WebGPU backend moves arrays of bytes only through gather; convert them to floats first.",
    );
  return context.base(node);
}

export function transpose({ root }: Step, context: KernelContext): Dispatch[] {
  const [x] = root!.inputs;
  const { order } = root!.attributes as { order: number[] };
  const strides = stridesOf(x.shape);
  return [
    flat(sizeOf(root!.shape), (writer, i) => {
      const places = coordinates(writer, root!.shape, i);
      const from = numberOf(
        places,
        order.map((axis) => strides[axis]),
      );
      storeWord(writer, root!, i, `m[${source(x, context)} + ${from}]`, context);
    }),
  ];
}

export function slice({ root }: Step, context: KernelContext): Dispatch[] {
  const [x] = root!.inputs;
  const { start } = root!.attributes as { start: number[] };
  return [
    flat(sizeOf(root!.shape), (writer, i) => {
      const places = shifted(coordinates(writer, root!.shape, i), start);
      storeWord(writer, root!, i, `m[${source(x, context)} + ${numberOf(places, stridesOf(x.shape))}]`, context);
    }),
  ];
}

export function pad({ root }: Step, context: KernelContext): Dispatch[] {
  const [x] = root!.inputs;
  const { before } = root!.attributes as { before: number[] };
  return [
    flat(sizeOf(root!.shape), (writer, i) => {
      // What lies before the box is, less its beginning, a very large number.
      const places = coordinates(writer, root!.shape, i).map((place, axis) =>
        writer.name(`${place} - ${before[axis]}u`),
      );
      const within = places.map((place, axis) => `${place} < ${x.shape[axis]}u`).join(" && ") || "true";
      writer.emit("var word = 0u;");
      writer.emit(`if (${within}) { word = m[${source(x, context)} + ${numberOf(places, stridesOf(x.shape))}]; }`);
      storeWord(writer, root!, i, "word", context);
    }),
  ];
}

export function concat({ root }: Step, context: KernelContext): Dispatch[] {
  const { axis } = root!.attributes as { axis: number };
  const strides = stridesOf(root!.shape);
  let done = 0;
  return root!.inputs.map((x) => {
    const from = source(x, context);
    const first = done * strides[axis];
    done += x.shape[axis];
    return flat(sizeOf(x.shape), (writer, i) => {
      const to = `${numberOf(coordinates(writer, x.shape, i), strides)} + ${first}u`;
      storeWord(writer, root!, to, `m[${from} + ${i}]`, context);
    });
  });
}
