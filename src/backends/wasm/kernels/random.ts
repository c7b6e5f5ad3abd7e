/** The kernel of randomUniform: Threefry-2x32 on four counters at a time. */
import { sizeOf } from "../../../graph/shape.ts";
import type { Step } from "../../../plan/fuse.ts";
import { KEY_PARITY, ROTATIONS } from "../../../random.ts";
import { type FunctionBuilder, f32x4, i32, i32x4, type V128, v128 } from "../assembler.ts";
import { Fused } from "../fused.ts";
import type { KernelContext, Phase } from "../kernel.ts";

/** Encrypts four counters (c0, c1) under one key: the function `threefry2x32` of src/random.ts, lane by lane. */
function threefry(f: FunctionBuilder, [k0, k1]: readonly [number, number], c0: V128, c1: V128): [V128, V128] {
  const key = [k0 | 0, k1 | 0, k0 ^ k1 ^ KEY_PARITY];
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

/** A unit is 256 elements. */
export function randomUniform(step: Step, context: KernelContext): Phase[] {
  const root = step.root!;
  const { key } = root.attributes as { key: [number, number] };
  const size = sizeOf(root.shape);
  const unit = 256;
  const units = Math.ceil(size / unit);
  const fused = new Fused(step, context);
  const uniform = (word: V128) => f32x4.mul(f32x4.convertI32x4(i32x4.shrU(word, 8)), v128.constF32(2 ** -24));
  return [
    {
      units,
      emit: (f, begin, end) => {
        const scalar = { offset: 0, plus: 0, splat: true };
        const hoisted = fused.hoist(
          f,
          (shape) => sizeOf(shape) === 1 && size > 1,
          () => scalar,
        );
        const number = f.let(i32x4.splat(i32.load(0, context.address(root.inputs[0]))));
        const at = f.local("i32", i32.mul(begin, unit * 4));
        const eight = (count: number) => {
          // Byte offset / 32 is the number of the group of eight, which has the counters from four times that.
          const counter = i32x4.add(i32x4.splat(i32.mul(i32.shrU(at, 5), 4)), v128.constI32(0, 1, 2, 3));
          for (const [half, word] of threefry(f, key, counter, number).entries()) {
            const lanes = Math.min(4, count - half * 4);
            if (lanes <= 0) continue;
            const locate = () => ({ offset: at, plus: half * 16, splat: false });
            fused.emit(f, { locate, full: at, plus: half * 16, root: uniform(word), lanes, hoisted });
          }
        };
        const whole = (size - (size % 8)) * 4;
        const last = f.let(i32.min(i32.mul(end, unit * 4), i32.const(whole)));
        f.forUp(at, last, 32, () => eight(8));
        if (size % 8 > 0) {
          f.if(i32.eq(end, units), () => {
            f.set(at, i32.const(whole));
            eight(size % 8);
          });
        }
      },
    },
  ];
}
