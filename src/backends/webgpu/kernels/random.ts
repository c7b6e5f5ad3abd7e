/** The kernel of randomUniform: Threefry-2x32, the function `threefry2x32` of src/random.ts, with the same bits. */
import { sizeOf } from "../../../graph/shape.ts";
import type { Step } from "../../../plan/plan.ts";
import { KEY_PARITY, ROTATIONS } from "../../../random.ts";
import { emitFused, spotInRows } from "../fused.ts";
import { type Dispatch, flat, type KernelContext } from "../kernel.ts";

export function randomUniform(step: Step, context: KernelContext): Dispatch[] {
  const { root } = step;
  const { key } = root!.attributes as { key: [number, number] };
  const words = [key[0], key[1], key[0] ^ key[1] ^ KEY_PARITY].map((word) => `${word >>> 0}u`);
  return [
    flat(sizeOf(root!.shape), (writer, i) => {
      // Eight elements come from four counters: first the four first words, then the four second ones.
      writer.emit(`var x = ${i} / 8u * 4u + (${i} & 3u) + ${words[0]};`);
      writer.emit(`var y = m[${context.base(root!.inputs[0])}] + ${words[1]};`);
      for (let group = 1; group <= 5; group++) {
        for (const r of ROTATIONS[(group - 1) % 2]) writer.emit(`x += y; y = ((y << ${r}u) | (y >> ${32 - r}u)) ^ x;`);
        writer.emit(`x += ${words[group % 3]}; y += ${words[(group + 1) % 3]} + ${group}u;`);
      }
      const value = `f32(select(x, y, (${i} & 4u) != 0u) >> 8u) * ${2 ** -24}f`;
      emitFused(writer, step, context, spotInRows(step, { full: i, row: "0u", column: i }), value);
    }),
  ];
}
