/** Kernels of the ops that move elements: transpose, slice, pad, concat. Each copies boxes between strided arrays. */
import { PlatformError } from "../../../errors.ts";
import type { Node } from "../../../graph/node.ts";
import { type Shape, sizeOf, stridesOf } from "../../../graph/shape.ts";
import type { Step } from "../../../plan/fuse.ts";
import { type I32, i32, v128 } from "../assembler.ts";
import { storeFloats } from "../fused.ts";
import type { KernelContext, Phase } from "../kernel.ts";

interface Strided {
  /** The address of the box's first element. */
  readonly address: number;
  /** Steps along each axis of the box, in elements. */
  readonly strides: readonly number[];
}

/** Copies a box of 4-byte elements. A unit is one row along the last axis. */
function copyBox(shape: Shape, from: Strided, to: Strided): Phase {
  const outer = shape.slice(0, -1);
  const count = shape.length === 0 ? 1 : shape[shape.length - 1];
  const last = shape.length - 1;
  const [fromStep, toStep] = [from.strides[last] ?? 1, to.strides[last] ?? 1];
  const start = (unit: I32, { strides }: Strided): I32 => {
    let result: I32 = i32.const(0);
    let after = sizeOf(outer);
    for (const [axis, length] of outer.entries()) {
      after /= length;
      const index = i32.remU(after === 1 ? unit : i32.divU(unit, after), length);
      result = i32.add(result, i32.mul(index, strides[axis] * 4));
    }
    return result;
  };
  return {
    units: sizeOf(outer),
    emit: (f, begin, end) => {
      const unit = f.local("i32", begin);
      const [source, target, at] = [f.local("i32"), f.local("i32"), f.local("i32")];
      f.forUp(unit, end, 1, () => {
        f.set(source, start(unit, from));
        f.set(target, start(unit, to));
        if (fromStep === 1 && toStep === 1) {
          f.set(at, i32.const(0));
          const move = (lanes: number) =>
            storeFloats(f, to.address, i32.add(target, at), v128.load(i32.add(source, at), from.address), lanes);
          if (count >= 4) f.forUp(at, (count - (count % 4)) * 4, 16, () => move(4));
          if (count % 4 > 0) move(count % 4);
        } else {
          f.repeat(count, () => {
            f.emit(i32.store(target, i32.load(source, from.address), to.address));
            f.add(source, fromStep * 4);
            f.add(target, toStep * 4);
          });
        }
      });
    },
  };
}

const dense = (node: Node, address: number, offset = 0): Strided => {
  if (node.dtype === "byte")
    throw new PlatformError(
      "The WebAssembly backend moves arrays of bytes only through gather; convert them to floats first.",
    );
  return { address: address + offset * 4, strides: stridesOf(node.shape) };
};

const offsetIn = (shape: Shape, position: readonly number[]): number => {
  const strides = stridesOf(shape);
  return position.reduce((sum, p, axis) => sum + p * strides[axis], 0);
};

export function transpose({ root }: Step, context: KernelContext): Phase[] {
  const [x] = root!.inputs;
  const { order } = root!.attributes as { order: number[] };
  const from = dense(x, context.address(x));
  const to = dense(root!, context.target(root!));
  return [copyBox(root!.shape, { ...from, strides: order.map((axis) => from.strides[axis]) }, to)];
}

export function slice({ root }: Step, context: KernelContext): Phase[] {
  const [x] = root!.inputs;
  const { start } = root!.attributes as { start: number[] };
  return [
    copyBox(root!.shape, dense(x, context.address(x), offsetIn(x.shape, start)), dense(root!, context.target(root!))),
  ];
}

export function pad({ root }: Step, context: KernelContext): Phase[] {
  const [x] = root!.inputs;
  const { before } = root!.attributes as { before: number[] };
  const target = context.target(root!);
  return [
    { units: 1, emit: (f) => f.fillMemory(target, 0, sizeOf(root!.shape) * 4) },
    copyBox(x.shape, dense(x, context.address(x)), dense(root!, target, offsetIn(root!.shape, before))),
  ];
}

export function concat({ root }: Step, context: KernelContext): Phase[] {
  const { axis } = root!.attributes as { axis: number };
  const step = stridesOf(root!.shape)[axis];
  let position = 0;
  return root!.inputs.map((x) => {
    const to = dense(root!, context.target(root!), position * step);
    position += x.shape[axis];
    return copyBox(x.shape, dense(x, context.address(x)), to);
  });
}
