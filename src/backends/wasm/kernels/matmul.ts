/**
 * The matrix product. A tile of y, a few rows by a few vectors of columns, stays in registers while the sum over k runs;
 * its elementwise epilogue is done before it is stored. The columns of b that a tile needs are laid side by side in a
 * panel.
 *
 * There are two orders. Down the columns: for each panel all rows of y; the first tile that uses the panel makes it on
 * the way (or it is transposed beforehand), the others read it from the first-level cache. Along the rows: all panels
 * are made first, then for each few rows of y all panels. Weight gradients, large results of short sums, go along the
 * rows, so that what their epilogue reads and writes (weights and optimiser state) passes through the cache in order.
 * Of many products, a unit is a panel of one of them; they are small, and all go down the columns.
 */
import { matmulSizes } from "../../../ops/matmul.ts";
import type { Step } from "../../../plan/plan.ts";
import { type FunctionBuilder, type I32, type Int, i32, pointer, v128 } from "../assembler.ts";
import { fusedPart } from "../fused.ts";
import type { KernelContext, Phase } from "../kernel.ts";
import {
  cutColumns,
  divideScratch,
  finish,
  loadVectors,
  multiply,
  newTile,
  packRows,
  packTransposed,
  rowTiles,
  storeVectors,
  unrolled,
  vectorsFor,
} from "./tile.ts";
import { eachUnit } from "./walk.ts";

export function matmul(step: Step, context: KernelContext): Phase[] {
  const [a, b] = step.root!.inputs;
  const { transposeA = false, transposeB = false } = step.root!.attributes as {
    transposeA?: boolean;
    transposeB?: boolean;
  };
  const { groups, m, n, k } = matmulSizes(a.shape, b.shape, { transposeA, transposeB });
  const part = fusedPart(step, context);
  const tiles = rowTiles(m, context);
  const tileCount = tiles.reduce((sum, { count }) => sum + count, 0);
  const width = vectorsFor(m, context) * 4;
  const strips = cutColumns(n, width);
  const panelBytes = k * width * 4;
  /** Where a tile finds its part of a, and the byte steps to the next row of y and to the next k. */
  interface Rows {
    readonly address: I32;
    readonly aRow: number;
    readonly aK: number;
  }
  const [aRow, aK] = transposeA ? [4, m * 4] : [k * 4, 4];
  const rowsOf = (row: I32, group: Int): Rows => ({
    address: i32.add(i32.add(i32.mul(row, aRow), i32.mul(group, m * k * 4)), pointer(context.address(a))),
    aRow,
    aK,
  });

  /** A tile reads its columns of b in b itself, or in a panel that is ready; or it makes the panel while it reads b. */
  const tile = (
    f: FunctionBuilder,
    { rows, columnCount, row, column }: { rows: number; columnCount: number; row: I32; column: I32 },
    source: { b?: I32; panel?: I32 },
    { address, aRow, aK }: Rows,
    group: Int = 0,
  ): void => {
    const sums = newTile(f, rows, columnCount);
    const aAt = f.local("i32", address);
    const bAt = f.local("i32", source.b ?? source.panel);
    const made = source.b && source.panel && f.local("i32", source.panel);
    const bStride = (source.b ? n : width) * 4;
    const unroll = unrolled(k, context);
    f.repeat(k / unroll, () => {
      for (let u = 0; u < unroll; u++) {
        const bs = loadVectors(f, sums[0].length, bAt, u * bStride);
        if (made) storeVectors(f, bs, made, u * width * 4);
        multiply(f, context.madd, sums, (r) => v128.load32Splat(aAt, r * aRow + u * aK), bs);
      }
      f.add(aAt, unroll * aK);
      f.add(bAt, unroll * bStride);
      if (made) f.add(made, unroll * width * 4);
    });
    finish(f, step, part, sums, {
      row: group === 0 ? row : i32.add(row, i32.mul(group, m)),
      column,
      n,
      rowStep: 1,
      columnCount,
    });
  };

  const bColumn = (column: I32, group: Int = 0): I32 =>
    i32.add(i32.add(i32.mul(column, transposeB ? k * 4 : 4), i32.mul(group, k * n * 4)), pointer(context.address(b)));

  const pack = (f: FunctionBuilder, columnCount: number, column: I32, panel: I32, group: Int = 0): void => {
    const [source, target] = [f.local("i32", bColumn(column, group)), f.local("i32", panel)];
    if (transposeB) packTransposed(f, { k, rowBytes: k * 4, width, columnCount }, source, target);
    else packRows(f, { k, rowBytes: n * 4, width }, source, target);
  };

  if (transposeA && tileCount > 1 && groups === 1) {
    // Rows of a are brought together too: in a they stand so far apart that they would push each other out of the cache.
    const { shared, own } = divideScratch(context, strips.count * panelBytes, k * 6 * 4 + 16);
    const panelAt = (index: I32): I32 => i32.add(i32.mul(index, panelBytes), shared);
    return [
      eachUnit(strips.count, (f, index) =>
        strips.each(f, index, (column, columnCount) => pack(f, columnCount, column, panelAt(index))),
      ),
      {
        units: tileCount,
        emit: (f, begin, end, thread) => {
          const address = own(f, thread);
          let [unit, firstRow] = [0, 0];
          for (const { rows, count } of tiles) {
            const [first, done] = [unit, firstRow];
            const start = i32.select(i32.gtU(begin, first), begin, first);
            f.forUp(start, f.min(end, first + count), 1, (index) => {
              const row = f.let(i32.add(i32.mul(i32.sub(index, first), rows), done));
              packColumns(
                f,
                { k, rows, rowBytes: m * 4 },
                i32.add(i32.mul(row, 4), pointer(context.address(a))),
                address,
              );
              f.forUp(0, strips.count, 1, (index) =>
                strips.each(f, index, (column, columnCount) => {
                  const panel = panelAt(index);
                  tile(f, { rows, columnCount, row, column }, { panel }, { address, aRow: 4, aK: rows * 4 });
                }),
              );
            });
            unit += count;
            firstRow += rows * count;
          }
        },
      },
    ];
  }

  const usesPanel = transposeB || tileCount > 1;
  const { own } = divideScratch(context, 0, usesPanel ? panelBytes : 0);
  return [
    {
      units: groups * strips.count,
      emit: (f, begin, end, thread) => {
        const panel = own(f, thread);
        f.forUp(begin, end, 1, (unit) => {
          const group = groups === 1 ? 0 : f.let(i32.divU(unit, strips.count));
          const strip = groups === 1 ? unit : f.let(i32.remU(unit, strips.count));
          strips.each(f, strip, (column, columnCount) => {
            const row = f.local("i32", 0);
            const next = (rows: number, source: { b?: I32; panel?: I32 }): void => {
              tile(f, { rows, columnCount, row, column }, source, rowsOf(row, group), group);
              f.add(row, rows);
            };
            if (transposeB) pack(f, columnCount, column, panel, group);
            for (const [i, { rows, count }] of tiles.entries()) {
              const makes = i === 0 && !transposeB;
              if (makes) next(rows, { b: bColumn(column, group), panel: usesPanel ? panel : undefined });
              f.repeat(makes ? count - 1 : count, () => next(rows, { panel }));
            }
          });
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
