/**
 * The kernels of conv2d and of its input gradient, which are one, `sweep`: a matrix product whose rows are pixels of the
 * result and whose inner dimension runs over the taps and channels of a window, read where it lies in the image. Strides
 * of the gradient, and borders, cost no multiplications by zero. The gradient for the kernel is in kernel-gradient.ts.
 */
import type { Convolution } from "../../../ops/conv.ts";
import type { Step } from "../../../plan/plan.ts";
import { beyond, type FunctionBuilder, type I32, i32, pointer, v128 } from "../assembler.ts";
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
  type Tile,
  unrolled,
  vectorsFor,
} from "./tile.ts";
import { eachUnit } from "./walk.ts";

/**
 * A sweep along one axis: results `start`, `start + step`, … of which there are `count`; the first reads the source from
 * place `first`, each next one `move` further; the taps, named by their place in the kernel, read places `spacing` apart.
 */
interface Sweep {
  readonly start: number;
  readonly step: number;
  readonly count: number;
  readonly first: number;
  readonly move: number;
  readonly taps: readonly number[];
  readonly spacing: number;
}

/** Along one axis, the one sweep of a convolution: result o reads places o · stride − before + tap · dilation. */
function forwardSweeps(count: number, taps: number, move: number, before: number, spacing: number): Sweep[] {
  return [{ start: 0, step: 1, count, first: -before, move, taps: Array.from({ length: taps }, (_, i) => i), spacing }];
}

/**
 * Along one axis, the sweeps of the input gradient: pixel i takes from result (i + before − tap · dilation) / stride
 * where that is whole, so pixels with equal remainders of i by stride have equal taps, and make one sweep.
 */
function backwardSweeps(pixels: number, taps: number, stride: number, before: number, dilation: number): Sweep[] {
  return Array.from({ length: Math.min(stride, pixels) }, (_, start): Sweep => {
    const used = Array.from({ length: taps }, (_, i) => taps - 1 - i).filter(
      (tap) => (start + before - tap * dilation) % stride === 0,
    );
    const [first = 0, second = first] = used.map((tap) => (start + before - tap * dilation) / stride);
    const count = Math.ceil((pixels - start) / stride);
    return { start, step: stride, count, first, move: 1, taps: used, spacing: second - first };
  });
}

export const conv2d = (step: Step, context: KernelContext): Phase[] => sweep(step, context, false);

export const conv2dInputGradient = (step: Step, context: KernelContext): Phase[] => sweep(step, context, true);

/**
 * Tiles of pixels by channels. A unit is a strip of `width` channels of one image; the kernel's values for it lie in a
 * panel, made beforehand. In a depthwise convolution each channel sees only itself, and all channels are one group.
 */
function sweep(step: Step, context: KernelContext, backward: boolean): Phase[] {
  const root = step.root!;
  const [images, w] = root.inputs;
  const { stride, padding, dilation, groups: allGroups } = root.attributes as unknown as Convolution;
  const [kh, kw, inputs, outputs] = w.shape;
  const pixelwise = [kh, kw, ...stride].every((n) => n === 1) && padding.flat().every((n) => n === 0);
  // A kernel that goes pixel by pixel knows no rows: each image is one long row.
  const [source, result] = [images.shape, root.shape].map(([b, h, w, c]) =>
    pixelwise ? [b, 1, h * w, c] : [b, h, w, c],
  );
  const [b, sourceH, sourceW, sourceC] = source;
  const [, resultH, resultW, resultC] = result;
  const [vertical, horizontal] = ([0, 1] as const).map((axis) =>
    (backward ? backwardSweeps : forwardSweeps)(
      result[axis + 1],
      w.shape[axis],
      stride[axis],
      padding[axis][0],
      dilation[axis],
    ),
  );
  const depthwise = inputs === 1 && outputs === allGroups;
  const transposed = backward && !depthwise;
  const groups = depthwise ? 1 : allGroups;
  /** The channels summed over, per tap. */
  const depth = depthwise ? 1 : sourceC / groups;
  const columns = resultC / groups;
  const width = Math.min(Math.ceil(columns / 4), vectorsFor(horizontal[0].count, context)) * 4;
  const strips = cutColumns(columns, width, groups);
  const part = fusedPart(step, context);

  const pixelBytes = sourceC * 4;
  const rowBytes = sourceW * pixelBytes;

  // The panels of one pair of sweeps after the other's, strip by strip.
  let packedBytes = 0;
  const sweeps = vertical.flatMap((v) =>
    horizontal.map((h) => {
      const panelBytes = v.taps.length * h.taps.length * depth * width * 4;
      const offset = packedBytes;
      packedBytes += strips.count * panelBytes;
      return { v, h, panelAt: (strip: I32): I32 => i32.add(i32.mul(strip, panelBytes), panels + offset) };
    }),
  );
  const panels = divideScratch(context, packedBytes, 0).shared;

  const pack = eachUnit(strips.count, (f, strip) =>
    strips.each(f, strip, (column, columnCount) => {
      // The kernel is [KH, KW, inputs, outputs], where outputs go over all groups and inputs over one.
      const rowBytes = outputs * 4;
      const tapBytes = inputs * rowBytes;
      const group = strips.group(strip);
      const start = transposed
        ? i32.add(i32.mul(i32.sub(column, i32.mul(group, columns)), rowBytes), i32.mul(group, depth * 4))
        : i32.mul(column, 4);
      for (const { v, h, panelAt } of sweeps) {
        const [vFirst = 0, vSecond = vFirst] = v.taps;
        const [hFirst = 0, hSecond = hFirst] = h.taps;
        const tap = f.local(
          "i32",
          i32.add(start, pointer(beyond(context.address(w), (vFirst * kw + hFirst) * tapBytes))),
        );
        const to = f.local("i32", panelAt(strip));
        const across = (hSecond - hFirst) * tapBytes;
        f.repeat(v.taps.length, () => {
          f.repeat(h.taps.length, () => {
            const from = f.local("i32", tap);
            if (transposed) packTransposed(f, { k: depth, rowBytes, width, columnCount }, from, to);
            else packRows(f, { k: depth, rowBytes, width }, from, to);
            f.add(tap, across);
          });
          f.add(tap, (vSecond - vFirst) * kw * tapBytes - h.taps.length * across);
        });
      }
    }),
  );

  const compute = eachUnit(b * strips.count, (f, unit) => {
    const image = f.let(i32.divU(unit, strips.count));
    const strip = f.let(i32.remU(unit, strips.count));
    strips.each(f, strip, (column, columnCount) => {
      const channel = depthwise ? column : i32.mul(strips.group(strip), depth);
      const imageStart = i32.add(i32.mul(image, sourceH * rowBytes), pointer(context.address(images)));
      const start = f.let(i32.add(imageStart, i32.mul(channel, 4)));
      for (const { v, h, panelAt } of sweeps) {
        sweepImage(v, h, columnCount, { f, start, panel: f.let(panelAt(strip)), image, column });
      }
    });
  });

  interface Place {
    readonly f: FunctionBuilder;
    /** Where the image's (and the group's) first element lies. */
    readonly start: I32;
    readonly panel: I32;
    readonly image: I32;
    readonly column: I32;
  }

  /** All results of one sweep over one image. */
  function sweepImage(v: Sweep, h: Sweep, columnCount: number, { f, start, panel, image, column }: Place): void {
    const taps = h.taps.length;
    const tapRows = taps > 0 ? v.taps.length : 0;
    const lastRow = v.first + (v.count - 1) * v.move + (tapRows - 1) * v.spacing;
    const clipped = tapRows > 0 && (v.first < 0 || lastRow >= sourceH);
    /** From one of the elements that are multiplied to the next. */
    const tapBytes = depthwise ? pixelBytes : 4;

    f.forUp(0, v.count, 1, (t) => {
      const y = f.let(i32.add(i32.mul(t, v.move), v.first));
      const [from, rows] = clipped ? clip(f, y, v, sourceH) : [0, tapRows];
      const rowPanel = f.let(i32.add(panel, i32.mul(from, taps * depth * width * 4)));
      const firstRow = i32.add(y, i32.mul(from, v.spacing));
      const rowStart = f.local("i32", i32.add(i32.add(start, i32.mul(firstRow, rowBytes)), h.first * pixelBytes));
      const resultRow = i32.add(i32.mul(image, resultH), i32.add(i32.mul(t, v.step), v.start));
      const pixel = f.local("i32", i32.add(i32.mul(resultRow, resultW), h.start));

      const tile = (count: number, inside: readonly Range[]): void => {
        const sums = newTile(f, count, columnCount);
        const [x, b] = [f.local("i32", rowStart), f.local("i32", rowPanel)];

        /** Adds what one run of `count` neighbouring elements of the source gives, from x; x and b move past it. */
        const run = (sums: Tile, count: number): void => {
          const unroll = count <= 9 && context.fusedMadd ? count : unrolled(count, context);
          f.repeat(count / unroll, () => {
            for (let u = 0; u < unroll; u++) {
              const bs = loadVectors(f, sums[0].length, b, u * width * 4);
              const xAt = (r: number) => r * h.move * pixelBytes + u * tapBytes;
              multiply(
                f,
                context.madd,
                sums,
                (r, v) => (depthwise ? v128.load(x, xAt(r) + v * 16) : v128.load32Splat(x, xAt(r))),
                bs,
                !depthwise,
              );
            }
            f.add(x, unroll * tapBytes);
            f.add(b, unroll * width * 4);
          });
        };

        /** Adds what one row of taps gives, where all of them lie inside; x moves on to the next row. */
        const tapRow = (): void => {
          const together = (depthwise || groups === 1) && (h.spacing === 1 || taps === 1);
          if (together) run(sums, taps * depth);
          else
            f.repeat(taps, () => {
              run(sums, depth);
              f.add(x, h.spacing * pixelBytes - depth * tapBytes);
            });
          f.add(x, v.spacing * rowBytes - (together ? taps * depth * tapBytes : taps * h.spacing * pixelBytes));
        };

        /** The same at the border: each tap takes part only in the pixels for which it lies inside. */
        const tapRowAtBorder = (): void => {
          const line = f.local("i32", x);
          for (const [tap, { from, to }] of inside.entries()) {
            if (from < to) {
              f.set(x, i32.add(line, (from * h.move + tap * h.spacing) * pixelBytes));
              run(sums.slice(from, to), depth);
            } else f.add(b, depth * width * 4);
          }
          f.set(x, i32.add(line, v.spacing * rowBytes));
        };

        f.repeat(rows, inside.every(({ from, to }) => from === 0 && to === count) ? tapRow : tapRowAtBorder);
        finish(f, step, part, sums, { row: pixel, column, n: resultC, rowStep: h.step, columnCount });
        f.add(rowStart, count * h.move * pixelBytes);
        f.add(pixel, count * h.step);
      };

      for (const { rows: count, inside, times } of tilesAlong(h, sourceW, context))
        f.repeat(times, () => tile(count, inside));
    });
  }

  return [pack, compute];
}

/** From `from` up to, not including, `to`. */
interface Range {
  readonly from: number;
  readonly to: number;
}

/**
 * The tiles of a row of results, equal neighbours together: their sizes, and for each tap the results of the tile for
 * which it lies inside a source of `size` places.
 */
function tilesAlong(
  { first, move, count, taps, spacing }: Sweep,
  size: number,
  context: KernelContext,
): { rows: number; inside: readonly Range[]; times: number }[] {
  const tiles: { rows: number; inside: readonly Range[]; times: number }[] = [];
  let place = first;
  for (const { rows, count: tileCount } of rowTiles(count, context)) {
    for (let i = 0; i < tileCount; i++, place += rows * move) {
      const inside = taps.map((_, tap): Range => {
        const at = place + tap * spacing;
        const from = Math.min(rows, Math.max(0, Math.ceil(-at / move)));
        return { from, to: Math.max(from, Math.min(rows, Math.ceil((size - at) / move))) };
      });
      const last = tiles.at(-1);
      if (last?.rows === rows && JSON.stringify(last.inside) === JSON.stringify(inside)) last.times++;
      else tiles.push({ rows, inside, times: 1 });
    }
  }
  return tiles;
}

/** The first tap, and the number of taps, that lie inside a source of `size` rows when tap 0 lies at row y. */
function clip(f: FunctionBuilder, y: I32, { taps, spacing }: Sweep, size: number): [first: I32, count: I32] {
  /** How many taps there are before row `y + distance`. */
  const before = (distance: I32): I32 => {
    const rows = f.let(distance);
    const apart = Math.max(1, spacing);
    return i32.select(i32.ltS(rows, 0), 0, i32.divU(i32.add(rows, apart - 1), apart));
  };
  const end = f.min(before(i32.sub(size, y)), taps.length);
  const first = f.min(before(i32.sub(0, y)), end);
  return [first, f.let(i32.sub(end, first))];
}
