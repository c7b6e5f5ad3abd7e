/**
 * The matrix product. A tile of y, a few rows by a few vectors of columns, stays in registers while the sum over k runs;
 * its elementwise epilogue is done before it is stored. The columns of b that a tile needs are laid side by side in a
 * panel: the first tile that uses a panel makes it on the way (or it is transposed beforehand), the others read it from
 * the first-level cache.
 */
import { matmulSizes } from "../../../ops/matmul.ts";
import type { Step } from "../../../plan/fuse.ts";
import { type FunctionBuilder, type I32, i32, type Local, type V128, v128 } from "../assembler.ts";
import { Fused, locateInRows } from "../fused.ts";
import type { KernelContext, Phase } from "../kernel.ts";

/**
 * The rows of y in runs of equal tiles. Six rows by two vectors need 15 registers of the 15 that V8 gives; a rest of one,
 * two or three rows would leave the multipliers waiting, so it is shared with a neighbour: 8 = 4 + 4.
 */
export function rowTiles(m: number): { rows: number; count: number }[] {
  const whole = Math.floor(m / 6);
  const rest = m % 6;
  const runs = (...pairs: [rows: number, count: number][]) =>
    pairs.filter(([, count]) => count > 0).map(([rows, count]) => ({ rows, count }));
  if (rest === 0) return runs([6, whole]);
  if (rest >= 4 || whole === 0) return runs([6, whole], [rest, 1]);
  if (rest === 3) return runs([6, whole - 1], [5, 1], [4, 1]);
  if (rest === 2) return runs([6, whole - 1], [4, 2]);
  return whole >= 2 ? runs([6, whole - 2], [5, 1], [4, 2]) : runs([4, 1], [3, 1]);
}

export function matmul(step: Step, context: KernelContext): Phase[] {
  const [a, b] = step.root!.inputs;
  const { transposeA = false, transposeB = false } = step.root!.attributes as {
    transposeA?: boolean;
    transposeB?: boolean;
  };
  const { m, n, k } = matmulSizes(a.shape, b.shape, { transposeA, transposeB });
  const fused = new Fused(step, context);
  const tiles = rowTiles(m);
  // Few rows: more columns at once, so that enough sums are under way to hide the latency of one.
  const vectors = m === 1 ? 8 : m <= 3 ? 4 : 2;
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
      finish(sums, columnCount);
    };

    const finish = (sums: V128[][], columnCount: number): void => {
      const at = {
        full: f.let(i32.mul(i32.add(i32.mul(row, n), column), 4)),
        row: f.let(i32.mul(row, 4)),
        column: f.let(i32.mul(column, 4)),
      };
      const scalarOrColumn = (plus: number) => locateInRows(step, at, { full: 0, row: 0, column: plus });
      for (let v = 0; v < sums[0].length; v++) {
        const hoisted = fused.hoist(
          f,
          (shape) => {
            const place = scalarOrColumn(0)(shape);
            return place.offset !== at.full && place.offset !== at.row;
          },
          scalarOrColumn(v * 16),
        );
        for (let r = 0; r < sums.length; r++) {
          const plus = { full: r * n * 4 + v * 16, row: r * 4, column: v * 16 };
          const lanes = Math.min(4, columnCount - v * 4);
          fused.emit(
            f,
            locateInRows(step, at, plus),
            { full: at.full, plus: plus.full },
            { root: sums[r][v], lanes, hoisted },
          );
        }
      }
    };

    /** All rows of one panel's columns. */
    const strip = (columnCount: number): void => {
      if (transposeB) packTransposed(f, { k, width, columnCount, bAddress, column, panel: panel! });
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

/** Fills the panel from a b that is stored as [n, k]: reads along its rows and transposes four by four. */
function packTransposed(
  f: FunctionBuilder,
  at: { k: number; width: number; columnCount: number; bAddress: number; column: I32; panel: I32 },
): void {
  const { k, width, columnCount } = at;
  const rowBytes = k * 4;
  const source = f.local("i32", i32.add(i32.mul(at.column, rowBytes), at.bAddress));
  const target = f.local("i32", at.panel);
  const groups = Math.ceil(columnCount / 4);
  const fourK = (rowsOfK: number): void => {
    for (let g = 0; g < groups; g++) {
      // Rows past the last column repeat the last one; what they give is never stored.
      const [p, q, r, s] = [0, 1, 2, 3].map((i) =>
        f.let(v128.load(source, Math.min(g * 4 + i, columnCount - 1) * rowBytes)),
      );
      const low = (x: V128, y: V128) => f.let(v128.shuffle32(x, y, [0, 4, 1, 5]));
      const high = (x: V128, y: V128) => f.let(v128.shuffle32(x, y, [2, 6, 3, 7]));
      const [pr, qs, PR, QS] = [low(p, r), low(q, s), high(p, r), high(q, s)];
      const columns = [low(pr, qs), high(pr, qs), low(PR, QS), high(PR, QS)];
      for (let i = 0; i < rowsOfK; i++) f.emit(v128.store(target, columns[i], i * width * 4 + g * 16));
    }
  };
  f.repeat(Math.floor(k / 4), () => {
    fourK(4);
    f.add(source, 16);
    f.add(target, width * 16);
  });
  if (k % 4 > 0) fourK(k % 4);
}
