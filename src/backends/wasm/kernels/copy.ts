/** Kernels of the ops that move elements: transpose, slice, pad, concat. Each copies boxes between strided arrays. */
import { PlatformError } from "../../../errors.ts";
import type { Node } from "../../../graph/node.ts";
import { type Shape, sizeOf, stridesOf } from "../../../graph/shape.ts";
import type { Step } from "../../../plan/plan.ts";
import { type Address, beyond, i32, v128 } from "../assembler.ts";
import { storeFloats } from "../fused.ts";
import type { KernelContext, Phase } from "../kernel.ts";
import { eachColumn, eachUnit, rowStart, zeros } from "./walk.ts";

interface Strided {
  /** The address of the box's first element. */
  readonly address: Address;
  /** Steps along each axis of the box, in bytes. */
  readonly steps: readonly number[];
}

/** Copies a box of 4-byte elements. A unit is one row along the last axis. */
function copyBox(shape: Shape, from: Strided, to: Strided): Phase {
  const outer = shape.slice(0, -1);
  const [count = 1, fromStep = 4, toStep = 4] = [shape, from.steps, to.steps].map((list) => list.at(-1));
  return eachUnit(sizeOf(outer), (f, unit) => {
    const source = f.local("i32", rowStart(unit, outer, from.steps));
    const target = f.local("i32", rowStart(unit, outer, to.steps));
    if (fromStep === 4 && toStep === 4)
      eachColumn(f, count, (at, lanes) =>
        storeFloats(f, to.address, i32.add(target, at), v128.load(i32.add(source, at), from.address), lanes),
      );
    else
      f.repeat(count, () => {
        f.emit(i32.store(target, i32.load(source, from.address), to.address));
        f.add(source, fromStep);
        f.add(target, toStep);
      });
  });
}

/** An array, or the part of it from some position on. */
function strided(context: KernelContext, node: Node, position: readonly number[] = []): Strided {
  if (node.dtype === "byte")
    throw new PlatformError(
      "The WebAssembly backend moves arrays of bytes only through gather; convert them to floats first.",
    );
  const steps = stridesOf(node.shape).map((stride) => stride * 4);
  const before = position.reduce((sum, p, axis) => sum + p * steps[axis], 0);
  return { address: beyond(context.address(node), before), steps };
}

export function transpose({ root }: Step, context: KernelContext): Phase[] {
  const { order } = root!.attributes as { order: number[] };
  const from = strided(context, root!.inputs[0]);
  return [copyBox(root!.shape, { ...from, steps: order.map((axis) => from.steps[axis]) }, strided(context, root!))];
}

export function slice({ root }: Step, context: KernelContext): Phase[] {
  const { start } = root!.attributes as { start: number[] };
  return [copyBox(root!.shape, strided(context, root!.inputs[0], start), strided(context, root!))];
}

export function pad({ root }: Step, context: KernelContext): Phase[] {
  const [x] = root!.inputs;
  const { before } = root!.attributes as { before: number[] };
  return [
    zeros(context.address(root!), sizeOf(root!.shape) * 4),
    copyBox(x.shape, strided(context, x), strided(context, root!, before)),
  ];
}

export function concat({ root }: Step, context: KernelContext): Phase[] {
  const { axis } = root!.attributes as { axis: number };
  const position = root!.shape.map(() => 0);
  return root!.inputs.map((x) => {
    const to = strided(context, root!, position);
    position[axis] += x.shape[axis];
    return copyBox(x.shape, strided(context, x), to);
  });
}
