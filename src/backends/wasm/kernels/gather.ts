/** Kernels of the ops that look things up by index: gather, scatterAdd, oneHot, argmax, toIndex. */
import { sizeOf } from "../../../graph/shape.ts";
import type { Step } from "../../../plan/fuse.ts";
import { type FunctionBuilder, f32, f32x4, type Int, i32, i32x4, v128 } from "../assembler.ts";
import { Fused, loadFloats, locateInRows, storeFloats } from "../fused.ts";
import type { KernelContext, Phase } from "../kernel.ts";

/** Calls `body` for every four of `count` columns and then for the rest; the offset counts bytes of 4-byte elements. */
function eachColumn(f: FunctionBuilder, count: number, body: (offset: Int, lanes: number) => void): void {
  const whole = count - (count % 4);
  if (whole > 0) {
    const at = f.local("i32");
    f.set(at, i32.const(0));
    f.forUp(at, whole * 4, 16, () => body(at, 4));
  }
  if (count % 4 > 0) body(whole * 4, count % 4);
}

/** The step's one node, whose own kernel this is. */
const rootOf = (step: Step) => {
  const [first, second] = step.root!.inputs;
  return { y: step.root!, first, second };
};

/** A unit is one index: one row of the result. */
export function gather(step: Step, context: KernelContext): Phase[] {
  const { y, first: table, second: index } = rootOf(step);
  const row = sizeOf(table.shape.slice(1));
  const rowBytes = row * (table.dtype === "byte" ? 1 : 4);
  const fused = new Fused(step, context);
  return [
    {
      units: sizeOf(index.shape),
      emit: (f, begin, end) => {
        const i = f.local("i32", begin);
        f.forUp(i, end, 1, () => {
          const rowAt = f.let(i32.mul(i, 4));
          const start = f.let(i32.mul(i, row * 4));
          const source = f.let(i32.mul(i32.load(rowAt, context.address(index)), rowBytes));
          eachColumn(f, row, (offset, lanes) => {
            const full = f.let(i32.add(start, offset));
            if (y.dtype === "int") {
              // Integers are moved as they are; the four bytes of each mean nothing to a move.
              storeFloats(
                f,
                context.target(y),
                full,
                v128.load(i32.add(source, offset), context.address(table)),
                lanes,
              );
              return;
            }
            // In a table of bytes, four elements stand in a quarter of the space.
            const place = {
              offset: table.dtype === "byte" ? i32.add(i32.mul(source, 4), offset) : i32.add(source, offset),
            };
            const root = loadFloats(table, context.address(table), { ...place, plus: 0, splat: false });
            const locate = locateInRows(step, { full, row: rowAt, column: offset }, { full: 0, row: 0, column: 0 });
            fused.emit(f, { locate, full, plus: 0, root, lanes });
          });
        });
      },
    },
  ];
}

const zero = (address: number, bytes: number): Phase => ({
  units: 1,
  emit: (f) => f.fillMemory(address, 0, bytes),
});

/** A unit is a block of 16 columns, which one thread adds up row after row: the same order whatever the threads. */
export function scatterAdd(step: Step, context: KernelContext): Phase[] {
  const { y, first: x, second: index } = rootOf(step);
  const row = sizeOf(y.shape.slice(1));
  const count = sizeOf(index.shape);
  const width = 16;
  const blocks = Math.ceil(row / width);
  return [
    zero(context.target(y), sizeOf(y.shape) * 4),
    {
      units: blocks,
      emit: (f, begin, end) => {
        const unit = f.local("i32", begin);
        const i = f.local("i32");
        f.forUp(unit, end, 1, () => {
          const column = f.let(i32.mul(unit, width * 4));
          const strip = (columns: number) => {
            f.set(i, i32.const(0));
            f.forUp(i, count, 1, () => {
              const source = f.let(i32.add(i32.mul(i, row * 4), column));
              const target = f.let(i32.add(i32.mul(i32.load(i32.mul(i, 4), context.address(index)), row * 4), column));
              for (let v = 0; v < columns; v += 4) {
                const sum = f32x4.add(
                  v128.load(target, context.target(y) + v * 4),
                  v128.load(source, context.address(x) + v * 4),
                );
                storeFloats(f, context.target(y) + v * 4, target, sum, Math.min(4, columns - v));
              }
            });
          };
          const rest = row % width;
          if (rest === 0) strip(width);
          else if (blocks === 1) strip(rest);
          else
            f.if(
              i32.eq(unit, blocks - 1),
              () => strip(rest),
              () => strip(width),
            );
        });
      },
    },
  ];
}

export function oneHot(step: Step, context: KernelContext): Phase[] {
  const { y, first: index } = rootOf(step);
  const classes = y.shape[y.shape.length - 1];
  return [
    zero(context.target(y), sizeOf(y.shape) * 4),
    {
      units: sizeOf(index.shape),
      emit: (f, begin, end) => {
        const i = f.local("i32", begin);
        f.forUp(i, end, 1, () => {
          const label = f.let(i32.load(i32.mul(i, 4), context.address(index)));
          f.if(i32.ltU(label, classes), () => {
            const at = i32.mul(i32.add(i32.mul(i, classes), label), 4);
            f.emit(f32.store(at, f32.const(1), context.target(y)));
          });
        });
      },
    },
  ];
}

/** One unit: indices are few. */
export function toIndex(step: Step, context: KernelContext): Phase[] {
  const { y, first: x } = rootOf(step);
  const { limit } = y.attributes as { limit: number };
  return [
    {
      units: 1,
      emit: (f) =>
        eachColumn(f, sizeOf(y.shape), (offset, lanes) => {
          const value = v128.load(offset, context.address(x));
          // The operands stand so that NaN becomes 0.
          const kept = f32x4.pmin(f32x4.pmax(v128.constF32(0), value), v128.constF32(limit - 1));
          storeFloats(f, context.target(y), offset, i32x4.truncSatF32x4(kept), lanes);
        }),
    },
  ];
}

/** A unit is a row. */
export function argmax(step: Step, context: KernelContext): Phase[] {
  const { y, first: x } = rootOf(step);
  const classes = x.shape[x.shape.length - 1];
  return [
    {
      units: sizeOf(y.shape),
      emit: (f, begin, end) => {
        const i = f.local("i32", begin);
        const j = f.local("i32");
        const best = f.local("i32");
        const largest = f.local("f32");
        f.forUp(i, end, 1, () => {
          const row = f.let(i32.mul(i, classes * 4));
          f.set(best, i32.const(0));
          f.set(largest, f32.load(row, context.address(x)));
          f.set(j, i32.const(1));
          f.forUp(j, classes, 1, () => {
            const value = f.let(f32.load(i32.add(row, i32.mul(j, 4)), context.address(x)));
            f.if(f32.gt(value, largest), () => {
              f.set(largest, value);
              f.set(best, j);
            });
          });
          f.emit(i32.store(i32.mul(i, 4), best, context.target(y)));
        });
      },
    },
  ];
}
