/** The kernel of randomUniform: Threefry-2x32 on four counters at a time. */
import type { Step } from "../../../plan/plan.ts";
import { KEY_PARITY, ROTATIONS } from "../../../random.ts";
import { type FunctionBuilder, f32x4, type I32, i32, i32x4, type V128, v128 } from "../assembler.ts";
import type { KernelContext, Phase } from "../kernel.ts";
import { flatLoop } from "./loop.ts";

/** Encrypts four counters (c0, c1) under one key: the function `threefry2x32` of src/random.ts, lane by lane. */
function threefry(f: FunctionBuilder, [k0, k1]: readonly [number, number], c0: V128, c1: V128): [V128, V128] {
  const key = [k0, k1, k0 ^ k1 ^ KEY_PARITY];
  const x = f.local("v128", i32x4.add(c0, v128.constI32(key[0])));
  const y = f.local("v128", i32x4.add(c1, v128.constI32(key[1])));
  for (let group = 1; group <= 5; group++) {
    for (const r of ROTATIONS[(group - 1) % 2]) {
      f.set(x, i32x4.add(x, y));
      f.set(y, v128.xor(v128.or(i32x4.shl(y, r), i32x4.shrU(y, 32 - r)), x));
    }
    f.set(x, i32x4.add(x, v128.constI32(key[group % 3])));
    f.set(y, i32x4.add(y, v128.constI32(key[(group + 1) % 3] + group)));
  }
  return [x, y];
}

export function randomUniform(step: Step, context: KernelContext): Phase[] {
  const { inputs, attributes } = step.root!;
  const { key } = attributes as { key: [number, number] };
  const roots = (f: FunctionBuilder) => {
    const number = f.let(i32x4.splat(i32.load(0, context.address(inputs[0]))));
    return (at: I32) => {
      // Byte offset / 32 is the number of the group of eight, which has the counters from four times that.
      const counter = i32x4.add(i32x4.splat(i32.mul(i32.shrU(at, 5), 4)), v128.constI32(0, 1, 2, 3));
      return threefry(f, key, counter, number).map((word) =>
        f32x4.mul(f32x4.convertI32x4(i32x4.shrU(word, 8)), v128.constF32(2 ** -24)),
      );
    };
  };
  return [flatLoop(step, context, roots)];
}
