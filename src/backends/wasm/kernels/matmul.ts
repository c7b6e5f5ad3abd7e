/**
 * The matrix product. A tile of y, a few rows by a few vectors of columns, stays in registers while the sum over k runs;
 * its elementwise epilogue is done before it is stored. The columns of b that a tile needs are laid side by side in a
 * panel: the first tile that uses a panel makes it on the way (or it is transposed beforehand), the others read it from
 * the first-level cache.
 */
import { matmulSizes } from "../../../ops/matmul.ts";
import type { Step } from "../../../plan/fuse.ts";
import { type FunctionBuilder, i32, type Local, v128 } from "../assembler.ts";
import { Fused } from "../fused.ts";
import type { KernelContext, Phase } from "../kernel.ts";
import { finish, packTransposed, rowTiles, vectorsFor } from "./tile.ts";

export function matmul(step: Step, context: KernelContext): Phase[] {
  const [a, b] = step.root!.inputs;
  const { transposeA = false, transposeB = false } = step.root!.attributes as {
    transposeA?: boolean;
    transposeB?: boolean;
  };
  const { m, n, k } = matmulSizes(a.shape, b.shape, { transposeA, transposeB });
  const fused = new Fused(step, context);
  const tiles = rowTiles(m);
  const vectors = vectorsFor(m);
  const width = vectors * 4;
  const panels = Math.ceil(n / width);
  const usesPanel = transposeB || tiles.reduce((sum, { count }) => sum + count, 0) > 1;
  const panelBytes = k * width * 4;
  const panelBase = usesPanel ? context.scratch(panelBytes) : 0;
  const aAddress = context.address(a);
  const bAddress = context.address(b);
  // Byte steps in a: to the next row of y, and to the next k.
  const [aRow, aK] = transposeA ? [4, m * 4] : [k * 4, 4];

  const emit = (f: FunctionBuilder, begin: Local<"i32">, end: Local<"i32">, thread: Local<"i32">): void => {
    const panel = usesPanel ? f.let(i32.add(i32.mul(thread, panelBytes), panelBase)) : undefined;
    const unit = f.local("i32", begin);
    const column = f.local("i32");
    const row = f.local("i32");
    const pointers = { a: f.local("i32"), b: f.local("i32"), panel: f.local("i32") };

    /** One tile: rows `row` …, columns from `column`; `source` tells where its part of b is read. */
    const tile = (rows: number, columnCount: number, source: "b" | "b, filling the panel" | "panel"): void => {
      const used = Math.ceil(columnCount / 4);
      const sums = Array.from({ length: rows }, () =>
        Array.from({ length: used }, () => f.local("v128", v128.constF32(0))),
      );
      f.set(pointers.a, i32.add(i32.mul(row, aRow), aAddress));
      if (source !== "panel") f.set(pointers.b, i32.add(i32.mul(column, 4), bAddress));
      if (source !== "b") f.set(pointers.panel, panel!);
      const bStride = source === "panel" ? width * 4 : n * 4;
      const bPointer = source === "panel" ? pointers.panel : pointers.b;
      const unroll = k % 4 === 0 ? 4 : k % 2 === 0 ? 2 : 1;
      f.repeat(k / unroll, () => {
        for (let u = 0; u < unroll; u++) {
          const bs = Array.from({ length: used }, (_, v) => f.let(v128.load(bPointer, u * bStride + v * 16)));
          if (source === "b, filling the panel") {
            for (const [v, value] of bs.entries()) f.emit(v128.store(pointers.panel, value, u * width * 4 + v * 16));
          }
          for (let r = 0; r < rows; r++) {
            const x = f.let(v128.load32Splat(pointers.a, r * aRow + u * aK));
            for (let v = 0; v < used; v++) f.set(sums[r][v], context.madd(x, bs[v], sums[r][v]));
          }
        }
        f.add(pointers.a, unroll * aK);
        f.add(bPointer, unroll * bStride);
        if (source === "b, filling the panel") f.add(pointers.panel, unroll * width * 4);
      });
      finish(f, step, fused, sums, { row, column, n, rowStep: 1, columnCount });
    };

    /** All rows of one panel's columns. */
    const strip = (columnCount: number): void => {
      if (transposeB) {
        f.set(pointers.b, i32.add(i32.mul(column, k * 4), bAddress));
        f.set(pointers.panel, panel!);
        packTransposed(f, { k, rowBytes: k * 4, width, columnCount }, pointers.b, pointers.panel);
      }
      f.set(row, i32.const(0));
      for (const [i, { rows, count }] of tiles.entries()) {
        const first = i === 0 && !transposeB;
        if (first) {
          tile(rows, columnCount, usesPanel ? "b, filling the panel" : "b");
          f.add(row, rows);
        }
        f.repeat(first ? count - 1 : count, () => {
          tile(rows, columnCount, "panel");
          f.add(row, rows);
        });
      }
    };

    f.forUp(unit, end, 1, () => {
      f.set(column, i32.mul(unit, width));
      const rest = n % width;
      if (rest === 0) strip(width);
      else if (panels === 1) strip(rest);
      else
        f.if(
          i32.eq(unit, panels - 1),
          () => strip(rest),
          () => strip(width),
        );
    });
  };
  return [{ units: panels, emit }];
}
