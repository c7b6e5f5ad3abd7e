/**
 * The matrix product. A tile of y, a few rows by a few vectors of columns, stays in registers while the sum over k runs;
 * its elementwise epilogue is done before it is stored. The columns of b that a tile needs are laid side by side in a
 * panel.
 *
 * There are two orders. Down the columns: for each panel all rows of y; the first tile that uses the panel makes it on
 * the way (or it is transposed beforehand), the others read it from the first-level cache. Along the rows: all panels
 * are made first, then for each few rows of y all panels. Weight gradients, large results of short sums, go along the
 * rows, so that what their epilogue reads and writes (weights and optimiser state) passes through the cache in order.
 */
import { matmulSizes } from "../../../ops/matmul.ts";
import type { Step } from "../../../plan/fuse.ts";
import { type FunctionBuilder, type I32, i32, type Local, v128 } from "../assembler.ts";
import { Fused } from "../fused.ts";
import type { KernelContext, Phase } from "../kernel.ts";
import { cutColumns, divideScratch, finish, packRows, packTransposed, rowTiles, unrolled, vectorsFor } from "./tile.ts";

export function matmul(step: Step, context: KernelContext): Phase[] {
  const [a, b] = step.root!.inputs;
  const { transposeA = false, transposeB = false } = step.root!.attributes as {
    transposeA?: boolean;
    transposeB?: boolean;
  };
  const { m, n, k } = matmulSizes(a.shape, b.shape, { transposeA, transposeB });
  const fused = new Fused(step, context);
  const tiles = rowTiles(m, context);
  const tileCount = tiles.reduce((sum, { count }) => sum + count, 0);
  const width = vectorsFor(m, context) * 4;
  const strips = cutColumns(n, width);
  const panels = strips.count;
  const panelBytes = k * width * 4;
  const [aAddress, bAddress] = [context.address(a), context.address(b)];
  /** Where a tile finds its part of a, and the byte steps to the next row of y and to the next k. */
  interface Rows {
    readonly address: I32;
    readonly aRow: number;
    readonly aK: number;
  }
  const [aRow, aK] = transposeA ? [4, m * 4] : [k * 4, 4];
  const rowsOf = (row: I32): Rows => ({ address: i32.add(i32.mul(row, aRow), aAddress), aRow, aK });

  /** Where a tile reads b: in b itself, in a panel that is ready, or in b while it makes the panel. */
  type Source = { b: I32 } | { panel: I32 } | { b: I32; panel: I32 };

  const tile = (
    f: FunctionBuilder,
    { rows, columnCount, row, column }: { rows: number; columnCount: number; row: I32; column: I32 },
    source: Source,
    { address, aRow, aK }: Rows = rowsOf(row),
  ): void => {
    const used = Math.ceil(columnCount / 4);
    const sums = Array.from({ length: rows }, () =>
      Array.from({ length: used }, () => f.local("v128", v128.constF32(0))),
    );
    const aAt = f.local("i32", address);
    const inB = "b" in source;
    const bAt = f.local("i32", inB ? source.b : source.panel);
    const made = inB && "panel" in source ? f.local("i32", source.panel) : undefined;
    const bStride = inB ? n * 4 : width * 4;
    const unroll = unrolled(k, context);
    f.repeat(k / unroll, () => {
      for (let u = 0; u < unroll; u++) {
        const bs = Array.from({ length: used }, (_, v) => f.let(v128.load(bAt, u * bStride + v * 16)));
        if (made) for (const [v, value] of bs.entries()) f.emit(v128.store(made, value, u * width * 4 + v * 16));
        for (let r = 0; r < rows; r++) {
          const x = f.let(v128.load32Splat(aAt, r * aRow + u * aK));
          for (let v = 0; v < used; v++) f.set(sums[r][v], context.madd(x, bs[v], sums[r][v]));
        }
      }
      f.add(aAt, unroll * aK);
      f.add(bAt, unroll * bStride);
      if (made) f.add(made, unroll * width * 4);
    });
    finish(f, step, fused, sums, { row, column, n, rowStep: 1, columnCount });
  };

  const bColumn = (column: I32): I32 => i32.add(i32.mul(column, transposeB ? k * 4 : 4), bAddress);

  const pack = (f: FunctionBuilder, columnCount: number, column: I32, panel: I32): void => {
    const [source, target] = [f.local("i32", bColumn(column)), f.local("i32", panel)];
    if (transposeB) packTransposed(f, { k, rowBytes: k * 4, width, columnCount }, source, target);
    else packRows(f, { k, rowBytes: n * 4, width }, source, target);
  };

  const eachPanel = (
    f: FunctionBuilder,
    begin: I32 | number,
    end: I32 | number,
    body: (columnCount: number, column: Local<"i32">, index: Local<"i32">) => void,
  ): void => {
    const index = f.local("i32", typeof begin === "number" ? i32.const(begin) : begin);
    f.forUp(index, end, 1, () => {
      const column = f.let(strips.column(index));
      strips.each(f, index, (columnCount) => body(columnCount, column, index));
    });
  };

  if (transposeA && tileCount > 1) {
    // Rows of a are brought together too: in a they stand so far apart that they would push each other out of the cache.
    const { shared, own } = divideScratch(context, panels * panelBytes, k * 6 * 4 + 16);
    const panelAt = (index: I32): I32 => i32.add(i32.mul(index, panelBytes), shared);
    return [
      {
        units: panels,
        emit: (f, begin, end) =>
          eachPanel(f, begin, end, (columnCount, column, index) => pack(f, columnCount, column, panelAt(index))),
      },
      {
        units: tileCount,
        emit: (f, begin, end, thread) => {
          const address = own(f, thread);
          let [unit, row] = [0, 0];
          for (const { rows, count } of tiles) {
            const [firstUnit, firstRow] = [unit, row];
            const index = f.local("i32", i32.select(i32.gtU(begin, firstUnit), begin, firstUnit));
            const stop = f.let(i32.min(end, i32.const(firstUnit + count)));
            f.forUp(index, stop, 1, () => {
              const at = f.let(i32.add(i32.mul(i32.sub(index, firstUnit), rows), firstRow));
              packColumns(f, { k, rows, rowBytes: m * 4 }, i32.add(i32.mul(at, 4), aAddress), address);
              eachPanel(f, 0, panels, (columnCount, column, panel) =>
                tile(
                  f,
                  { rows, columnCount, row: at, column },
                  { panel: panelAt(panel) },
                  { address, aRow: 4, aK: rows * 4 },
                ),
              );
            });
            unit += count;
            row += rows * count;
          }
        },
      },
    ];
  }

  const usesPanel = transposeB || tileCount > 1;
  const { own } = divideScratch(context, 0, usesPanel ? panelBytes : 0);
  return [
    {
      units: panels,
      emit: (f, begin, end, thread) => {
        const panel = own(f, thread);
        const row = f.local("i32");
        eachPanel(f, begin, end, (columnCount, column) => {
          if (transposeB) pack(f, columnCount, column, panel);
          f.set(row, i32.const(0));
          for (const [i, { rows, count }] of tiles.entries()) {
            const makes = i === 0 && !transposeB;
            if (makes) {
              tile(f, { rows, columnCount, row, column }, { b: bColumn(column), ...(usesPanel && { panel }) });
              f.add(row, rows);
            }
            f.repeat(makes ? count - 1 : count, () => {
              tile(f, { rows, columnCount, row, column }, { panel });
              f.add(row, rows);
            });
          }
        });
      },
    },
  ];
}

/**
 * Copies, for each k, `rows` neighbouring floats; the sources stand `rowBytes` apart, the copies one after the other.
 * Whole vectors are written, whose rest the next k overwrites.
 */
function packColumns(
  f: FunctionBuilder,
  { k, rows, rowBytes }: { k: number; rows: number; rowBytes: number },
  from: I32,
  to: I32,
): void {
  const [source, target] = [f.local("i32", from), f.local("i32", to)];
  f.repeat(k, () => {
    for (let i = 0; i < rows; i += 4) f.emit(v128.store(target, v128.load(source, i * 4), i * 4));
    f.add(source, rowBytes);
    f.add(target, rows * 4);
  });
}
