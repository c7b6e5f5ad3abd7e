/**
 * What kernels that multiply matrices have in common: the cut of the result into tiles that fit in registers, one
 * multiplication step of a tile, its epilogue, and the panels from which its right-hand operand is read.
 */

import type { Step } from "../../../plan/plan.ts";
import { aligned } from "../../../plan/target.ts";
import { type FunctionBuilder, type I32, type Int, i32, type Local, type V128, v128 } from "../assembler.ts";
import { type Fused, type Spot, spotInRows } from "../fused.ts";
import type { KernelContext } from "../kernel.ts";
import type { Madd } from "../math.ts";

/** The sums of a tile: rows of vectors. */
export type Tile = readonly (readonly Local<"v128">[])[];

/**
 * The most rows of a tile. Six rows by two vectors need 15 registers of the 15 that V8 gives. Where a multiply-add is two
 * instructions, the product in between needs one too, and four rows are the most.
 */
const tallest = ({ fusedMadd }: KernelContext): number => (fusedMadd ? 6 : 4);

/** `m` rows in as few tiles as possible, all of one height or the next. */
export function rowTiles(m: number, context: KernelContext): { rows: number; count: number }[] {
  const count = Math.ceil(m / tallest(context));
  const rows = Math.floor(m / count);
  const taller = m % count;
  return [
    { rows: rows + 1, count: taller },
    { rows, count: count - taller },
  ].filter(({ count }) => count > 0);
}

/**
 * How many of `count` multiplications a loop's code spells out. Where a multiply-add is two instructions, V8 (to version
 * 12) loads all that a turn needs before it computes anything, and has the registers for one.
 */
export const unrolled = (count: number, { fusedMadd }: KernelContext): number =>
  fusedMadd ? ([4, 3, 2].find((n) => count % n === 0) ?? 1) : 1;

/**
 * How many vectors wide tiles are: the fewer rows there are, the wider, so that enough sums are under way at once. Where
 * V8 makes one 256-bit vector of two, the registers hold twice as many.
 */
export function vectorsFor(rows: number, context: KernelContext): number {
  if (rows === 1) return 8;
  return context.turbo || rows <= tallest(context) / 2 ? 4 : 2;
}

/** A tile of zeros. */
export const newTile = (f: FunctionBuilder, rows: number, columns: number): Tile =>
  Array.from({ length: rows }, () =>
    Array.from({ length: Math.ceil(columns / 4) }, () => f.local("v128", v128.constF32(0))),
  );

/** Neighbouring vectors from some address on. */
export const loadVectors = (f: FunctionBuilder, count: number, address: I32, plus = 0): Local<"v128">[] =>
  Array.from({ length: count }, (_, v) => f.let(v128.load(address, plus + v * 16)));

export function storeVectors(f: FunctionBuilder, vectors: readonly V128[], address: I32, plus = 0): void {
  for (const [v, value] of vectors.entries()) f.emit(v128.store(address, value, plus + v * 16));
}

/** Adds x · b to each sum of a tile: x differs from row to row (and, if it is not splat, from vector to vector). */
export function multiply(
  f: FunctionBuilder,
  madd: Madd,
  sums: Tile,
  x: (row: number, vector: number) => V128,
  b: readonly V128[],
  splat = true,
): void {
  for (const [r, row] of sums.entries()) {
    const first = splat ? f.let(x(r, 0)) : undefined;
    for (const [v, sum] of row.entries()) f.set(sum, madd(first ?? x(r, v), b[v], sum));
  }
}

/**
 * Does the step's elementwise ops on a finished tile and stores what is needed. `row` and `column` say where the tile
 * begins in a result of `n` columns; its rows are `rowStep` apart.
 */
export function finish(
  f: FunctionBuilder,
  step: Step,
  part: Fused,
  sums: Tile,
  { row, column, n, rowStep, columnCount }: { row: I32; column: I32; n: number; rowStep: number; columnCount: number },
): void {
  const at = {
    full: f.let(i32.mul(i32.add(i32.mul(row, n), column), 4)),
    row: f.let(i32.mul(row, 4)),
    column: f.let(i32.mul(column, 4)),
  };
  const hoisted = sums[0].map((_, v) =>
    part.hoist(f, (shape) => {
      const place = spotInRows(step, at, 0, v * 16).locate(shape);
      return place.offset === at.full || place.offset === at.row ? undefined : place;
    }),
  );
  for (const [r, vectors] of sums.entries()) {
    const spots = vectors.map((root, v): Spot => {
      const spot = spotInRows(step, at, r * rowStep * n * 4 + v * 16, v * 16, r * rowStep * 4);
      return { ...spot, root, lanes: Math.min(4, columnCount - v * 4), hoisted: hoisted[v] };
    });
    part.emit(f, ...spots);
  }
}

/** Columns cut into strips, the last of each group maybe narrower. */
export interface Strips {
  readonly count: number;
  /** The group that a strip belongs to. */
  group(strip: I32): Int;
  /** Writes code for a strip, from its first column, counted over all groups: twice, if the last ones are narrower. */
  each(f: FunctionBuilder, strip: I32, body: (column: Local<"i32">, columnCount: number) => void): void;
}

/** Cuts `groups` times `columns` columns into strips of `width`. */
export function cutColumns(columns: number, width: number, groups = 1): Strips {
  const perGroup = Math.ceil(columns / width);
  const rest = columns % width;
  const group = (strip: I32): Int => (groups === 1 ? 0 : i32.divU(strip, perGroup));
  return {
    count: groups * perGroup,
    group,
    each: (f, strip, body) => {
      const inGroup = groups === 1 ? strip : f.let(i32.remU(strip, perGroup));
      const column = f.let(i32.add(i32.mul(group(strip), columns), i32.mul(inGroup, width)));
      if (rest === 0 || perGroup === 1) body(column, rest || width);
      else
        f.if(
          i32.eq(inGroup, perGroup - 1),
          () => body(column, rest),
          () => body(column, width),
        );
    },
  };
}

/**
 * Fills a panel (k rows of `width` floats) from an array in which the columns lie in rows of `rowBytes`, transposing four
 * by four; `source` and `target` move on, past k elements and past the panel.
 */
export function packTransposed(
  f: FunctionBuilder,
  { k, rowBytes, width, columnCount }: { k: number; rowBytes: number; width: number; columnCount: number },
  source: Local<"i32">,
  target: Local<"i32">,
): void {
  const low = (x: V128, y: V128) => f.let(v128.shuffle32(x, y, [0, 4, 1, 5]));
  const high = (x: V128, y: V128) => f.let(v128.shuffle32(x, y, [2, 6, 3, 7]));
  const rows = (count: number): void => {
    for (let column = 0; column < columnCount; column += 4) {
      // Columns past the last repeat it; what they give is never stored.
      const [p, q, r, s] = [0, 1, 2, 3].map((i) =>
        f.let(v128.load(source, Math.min(column + i, columnCount - 1) * rowBytes)),
      );
      const [pr, qs, PR, QS] = [low(p, r), low(q, s), high(p, r), high(q, s)];
      const transposed = [low(pr, qs), high(pr, qs), low(PR, QS), high(PR, QS)];
      for (let i = 0; i < count; i++) f.emit(v128.store(target, transposed[i], (i * width + column) * 4));
    }
    f.add(source, count * 4);
    f.add(target, count * width * 4);
  };
  f.repeat(Math.floor(k / 4), () => rows(4));
  if (k % 4 > 0) rows(k % 4);
}

/** Copies k rows of `width` floats that lie `rowBytes` apart into a panel; `source` and `target` move on past them. */
export function packRows(
  f: FunctionBuilder,
  { k, rowBytes, width }: { k: Int; rowBytes: number; width: number },
  source: Local<"i32">,
  target: Local<"i32">,
): void {
  f.repeat(k, () => {
    storeVectors(f, loadVectors(f, width / 4, source), target);
    f.add(source, rowBytes);
    f.add(target, width * 4);
  });
}

/** Scratch memory in two parts: one that all threads see, and one for each thread alone. */
export function divideScratch(
  context: KernelContext,
  sharedBytes: number,
  ownBytes: number,
): { shared: number; own: (f: FunctionBuilder, thread: I32) => Local<"i32"> } {
  const each = aligned(ownBytes);
  const shared = context.scratch(aligned(sharedBytes / context.threads) + each);
  return { shared, own: (f, thread) => f.let(i32.add(i32.mul(thread, each), shared + aligned(sharedBytes))) };
}
