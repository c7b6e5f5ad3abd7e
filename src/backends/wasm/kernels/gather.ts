/** Kernels of the ops that look things up by index: gather, scatterAdd, oneHot, argmax, topK, toIndex. */
import { sizeOf } from "../../../graph/shape.ts";
import type { Step } from "../../../plan/plan.ts";
import { beyond, f32, f32x4, i32, i32x4, v128 } from "../assembler.ts";
import { fusedPart, loadBytes, spotInRows, storeFloats } from "../fused.ts";
import type { KernelContext, Phase } from "../kernel.ts";
import { cutColumns } from "./tile.ts";
import { eachColumn, eachUnit, zeros } from "./walk.ts";

/** A unit is one index: one row of the result. */
export function gather(step: Step, context: KernelContext): Phase[] {
  const [table, index] = step.root!.inputs;
  const count = sizeOf(table.shape.slice(1));
  const address = context.address(table);
  const part = fusedPart(step, context);
  return [
    eachUnit(sizeOf(index.shape), (f, i) => {
      const row = f.let(i32.mul(i, 4));
      const start = f.let(i32.mul(i, count * 4));
      const bytes = table.dtype === "byte" ? 1 : 4;
      const number = f.let(i32.load(row, context.address(index)));
      context.checkRow(f, number, table.shape[0]);
      const source = f.let(i32.mul(number, count * bytes));
      eachColumn(f, count, (column, lanes) => {
        const full = f.let(i32.add(start, column));
        // Integers are moved as they are; what their bytes mean is nothing to a move.
        const root =
          bytes === 1
            ? loadBytes(i32.add(source, i32.shrU(column, 2)), address)
            : v128.load(i32.add(source, column), address);
        part.emit(f, { ...spotInRows(step, { full, row, column }), root, lanes });
      });
    }),
  ];
}

/** A unit is a block of 16 columns, which one thread adds up row after row: the same order whatever the threads. */
export function scatterAdd({ root }: Step, context: KernelContext): Phase[] {
  const [x, index] = root!.inputs;
  const row = sizeOf(root!.shape.slice(1));
  const strips = cutColumns(row, 16);
  const [from, to] = [context.address(x), context.address(root!)];
  return [
    zeros(to, sizeOf(root!.shape) * 4),
    eachUnit(strips.count, (f, unit) =>
      strips.each(f, unit, (first, columns) => {
        const column = f.let(i32.mul(first, 4));
        f.forUp(0, sizeOf(index.shape), 1, (i) => {
          const source = f.let(i32.add(i32.mul(i, row * 4), column));
          const number = f.let(i32.load(i32.mul(i, 4), context.address(index)));
          context.checkRow(f, number, root!.shape[0]);
          const target = f.let(i32.add(i32.mul(number, row * 4), column));
          for (let v = 0; v < columns; v += 4) {
            const sum = f32x4.add(v128.load(target, beyond(to, v * 4)), v128.load(source, beyond(from, v * 4)));
            storeFloats(f, beyond(to, v * 4), target, sum, Math.min(4, columns - v));
          }
        });
      }),
    ),
  ];
}

export function oneHot({ root }: Step, context: KernelContext): Phase[] {
  const [index] = root!.inputs;
  const classes = root!.shape.at(-1)!;
  const target = context.address(root!);
  return [
    zeros(target, sizeOf(root!.shape) * 4),
    eachUnit(sizeOf(index.shape), (f, i) => {
      const label = f.let(i32.load(i32.mul(i, 4), context.address(index)));
      f.if(i32.ltU(label, classes), () => {
        f.emit(f32.store(i32.mul(i32.add(i32.mul(i, classes), label), 4), f32.const(1), target));
      });
    }),
  ];
}

/** One unit: indices are few. */
export function toIndex({ root }: Step, context: KernelContext): Phase[] {
  const { limit } = root!.attributes as { limit: number };
  return [
    {
      units: 1,
      emit: (f) =>
        eachColumn(f, sizeOf(root!.shape), (offset, lanes) => {
          const value = v128.load(offset, context.address(root!.inputs[0]));
          // The operands stand so that NaN becomes 0; floats beyond 2²⁴ are not exact, so the end is kept among integers.
          const number = i32x4.truncSatF32x4(f32x4.pmax(v128.constF32(0), value));
          storeFloats(f, context.address(root!), offset, i32x4.minS(number, v128.constI32(limit - 1)), lanes);
        }),
    },
  ];
}

/** A unit is a row. */
export function argmax({ root }: Step, context: KernelContext): Phase[] {
  const [x] = root!.inputs;
  const classes = x.shape.at(-1)!;
  const from = context.address(x);
  return [
    eachUnit(sizeOf(root!.shape), (f, i) => {
      const row = f.let(i32.mul(i, classes * 4));
      const best = f.local("i32", 0);
      const largest = f.local("f32", f32.load(row, from));
      f.forUp(1, classes, 1, (j) => {
        const value = f.let(f32.load(i32.add(row, i32.mul(j, 4)), from));
        f.if(f32.gt(value, largest), () => {
          f.set(largest, value);
          f.set(best, j);
        });
      });
      f.emit(i32.store(i32.mul(i, 4), best, context.address(root!)));
    }),
  ];
}

/** A unit is a row. Each place after the first is that of the largest element which comes after the one before. */
export function topK({ root }: Step, context: KernelContext): Phase[] {
  const [x] = root!.inputs;
  const [n, k] = [x.shape.at(-1)!, root!.shape.at(-1)!];
  const from = context.address(x);
  return [
    eachUnit(sizeOf(root!.shape) / k, (f, i) => {
      const row = f.let(i32.mul(i, n * 4));
      const before = f.local("i32", -1);
      const limit = f.local("f32", f32.const(Number.POSITIVE_INFINITY));
      const target = f.local("i32", i32.mul(i, k * 4));
      f.repeat(k, () => {
        const best = f.local("i32", -1);
        const largest = f.local("f32", f32.const(Number.NEGATIVE_INFINITY));
        f.forUp(0, n, 1, (j) => {
          const value = f.let(f32.load(i32.add(row, i32.mul(j, 4)), from));
          // After the one before: smaller, or as large and further on. Then the first of the largest of those.
          const isNext = i32.or(f32.lt(value, limit), i32.and(f32.eq(value, limit), i32.gtS(j, before)));
          const isBest = i32.or(f32.gt(value, largest), i32.ltS(best, 0));
          f.if(i32.and(isNext, isBest), () => {
            f.set(largest, value);
            f.set(best, j);
          });
        });
        f.set(limit, largest);
        f.set(before, best);
        f.emit(i32.store(target, best, context.address(root!)));
        f.add(target, 4);
      });
    }),
  ];
}
