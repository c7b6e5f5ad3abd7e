/**
 * The kernels of convolution. conv2d and its input gradient are one kernel, `sweep`: a matrix product whose rows are
 * pixels of the result and whose inner dimension runs over the taps and channels of a window, read where it lies in the
 * image. The kernel gradient is a product with a small result and a long inner dimension, all pixels of the batch.
 */
import type { Convolution } from "../../../ops/conv.ts";
import { spanOf } from "../../../ops/window.ts";
import type { Step } from "../../../plan/fuse.ts";
import { type FunctionBuilder, f32x4, type I32, i32, type Local, v128 } from "../assembler.ts";
import { Fused, storeFloats } from "../fused.ts";
import type { KernelContext, Phase } from "../kernel.ts";
import {
  byWidth,
  divideScratch,
  finish,
  multiply,
  newTile,
  packRows,
  packTransposed,
  rowTiles,
  type Tile,
  vectorsFor,
} from "./tile.ts";

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

/** How many places before and after the source a sweep reads. */
function overhang({ first, move, count, taps, spacing }: Sweep, size: number): [before: number, after: number] {
  if (taps.length === 0) return [0, 0];
  const last = first + (count - 1) * move + (taps.length - 1) * spacing;
  return [Math.max(0, -first), Math.max(0, last - size + 1)];
}

/** Along one axis, the sweep of a convolution: result o reads places o · stride − before + tap · dilation. */
const forwardSweep = (results: number, taps: number, stride: number, before: number, dilation: number): Sweep => ({
  start: 0,
  step: 1,
  count: results,
  first: -before,
  move: stride,
  taps: Array.from({ length: taps }, (_, i) => i),
  spacing: dilation,
});

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

/** What `sweep` computes: everything that differs between conv2d and its input gradient. */
interface Task {
  /** The address and sizes of the images that are read. */
  readonly source: { readonly address: number; readonly h: number; readonly w: number; readonly c: number };
  /** The sizes of the result. */
  readonly result: { readonly b: number; readonly h: number; readonly w: number; readonly c: number };
  readonly kernel: { readonly address: number; readonly kw: number; readonly inputs: number; readonly outputs: number };
  readonly groups: number;
  /** Whether the kernel's output channels are the ones summed over. */
  readonly transposed: boolean;
  readonly vertical: readonly Sweep[];
  readonly horizontal: readonly Sweep[];
}

export function conv2d(step: Step, context: KernelContext): Phase[] {
  const [x, w] = step.root!.inputs;
  const { stride, padding, dilation, groups } = step.root!.attributes as unknown as Convolution;
  let [b, h, width, c] = x.shape;
  let [, oh, ow, outputs] = step.root!.shape;
  const [kh, kw, inputs] = w.shape;
  if (kh === 1 && kw === 1 && oh === h && ow === width) {
    // A 1 × 1 kernel knows no rows of pixels: an image is one long row.
    [h, width, oh, ow] = [1, h * width, 1, oh * ow];
  }
  return sweep(step, context, {
    source: { address: context.address(x), h, w: width, c },
    result: { b, h: oh, w: ow, c: outputs },
    kernel: { address: context.address(w), kw, inputs, outputs },
    groups,
    transposed: false,
    vertical: [forwardSweep(oh, kh, stride[0], padding[0][0], dilation[0])],
    horizontal: [forwardSweep(ow, kw, stride[1], padding[1][0], dilation[1])],
  });
}

export function conv2dInputGradient(step: Step, context: KernelContext): Phase[] {
  const [dy, w] = step.root!.inputs;
  const { stride, padding, dilation, groups } = step.root!.attributes as unknown as Convolution;
  let [b, oh, ow, outputs] = dy.shape;
  let [, h, width, c] = step.root!.shape;
  const [kh, kw, inputs] = w.shape;
  if (kh === 1 && kw === 1 && oh === h && ow === width) [h, width, oh, ow] = [1, h * width, 1, oh * ow];
  return sweep(step, context, {
    source: { address: context.address(dy), h: oh, w: ow, c: outputs },
    result: { b, h, w: width, c },
    kernel: { address: context.address(w), kw, inputs, outputs },
    groups,
    transposed: true,
    vertical: backwardSweeps(h, kh, stride[0], padding[0][0], dilation[0]),
    horizontal: backwardSweeps(width, kw, stride[1], padding[1][0], dilation[1]),
  });
}

/** Byte offset of the first row's or column's tap, and the step from tap to tap, of a regular list of numbers. */
const progression = (numbers: readonly number[]): [first: number, step: number] => [
  numbers[0] ?? 0,
  (numbers[1] ?? 0) - (numbers[0] ?? 0),
];

/**
 * Tiles of pixels by channels. A unit is a strip of `width` channels of one image; the kernel's values for it lie in a
 * panel, made beforehand. In a depthwise convolution each channel sees only itself, and all channels are one group.
 */
function sweep(step: Step, context: KernelContext, task: Task): Phase[] {
  const { source, result, kernel, transposed } = task;
  const depthwise = kernel.inputs === 1 && kernel.outputs === task.groups;
  const groups = depthwise ? 1 : task.groups;
  const columns = result.c / groups;
  /** The channels summed over, per tap. */
  const depth = depthwise ? 1 : source.c / groups;
  const fused = new Fused(step, context);
  const vectors = Math.min(Math.ceil(columns / 4), vectorsFor(task.horizontal[0].count, context.turbo));
  const width = vectors * 4;
  const perGroup = Math.ceil(columns / width);
  const strips = groups * perGroup;

  const pixelBytes = source.c * 4;
  const rowBytes = source.w * pixelBytes;
  const imageBytes = source.h * rowBytes;

  const panelBytes = (v: Sweep, h: Sweep): number => v.taps.length * h.taps.length * depth * width * 4;
  let packedBytes = 0;
  const sweeps = task.vertical.flatMap((v) =>
    task.horizontal.map((h) => {
      const offset = packedBytes;
      packedBytes += strips * panelBytes(v, h);
      return { v, h, offset };
    }),
  );
  const scratch = divideScratch(context, packedBytes, 0);

  const pack: Phase = {
    units: strips,
    emit: (f, begin, end) => {
      const strip = f.local("i32", begin);
      const from = f.local("i32");
      const to = f.local("i32");
      const tapBytes = kernel.inputs * kernel.outputs * 4;
      f.forUp(strip, end, 1, () => {
        const group = i32.divU(strip, perGroup);
        const column = i32.mul(i32.remU(strip, perGroup), width);
        // The kernel is [KH, KW, inputs, outputs]; outputs go over all groups.
        const start = f.let(
          transposed && !depthwise
            ? i32.mul(i32.add(i32.mul(column, kernel.outputs), i32.mul(group, kernel.outputs / groups)), 4)
            : i32.mul(i32.add(i32.mul(group, columns), column), 4),
        );
        byWidth(f, strip, { columns, width, perGroup }, (columnCount) => {
          for (const { v, h, offset } of sweeps) {
            const [vFirst, vStep] = progression(v.taps.map((tap) => tap * kernel.kw * tapBytes));
            const [hFirst, hStep] = progression(h.taps.map((tap) => tap * tapBytes));
            const tap = f.local("i32", i32.add(start, kernel.address + vFirst + hFirst));
            f.set(to, i32.add(i32.mul(strip, panelBytes(v, h)), scratch.shared + offset));
            f.repeat(v.taps.length, () => {
              f.repeat(h.taps.length, () => {
                f.set(from, tap);
                const rowBytes = kernel.outputs * 4;
                if (transposed && !depthwise) packTransposed(f, { k: depth, rowBytes, width, columnCount }, from, to);
                else packRows(f, { k: depth, rowBytes, width }, from, to);
                f.add(tap, hStep);
              });
              f.add(tap, vStep - h.taps.length * hStep);
            });
          }
        });
      });
    },
  };

  const compute: Phase = {
    units: result.b * strips,
    emit: (f, begin, end) => {
      const unit = f.local("i32", begin);
      const image = f.local("i32");
      const strip = f.local("i32");
      const start = f.local("i32");
      const column = f.local("i32");
      f.forUp(unit, end, 1, () => {
        f.set(image, i32.divU(unit, strips));
        f.set(strip, i32.remU(unit, strips));
        f.set(column, i32.mul(i32.remU(strip, perGroup), width));
        if (groups > 1) f.set(column, i32.add(column, i32.mul(i32.divU(strip, perGroup), columns)));
        f.set(start, i32.add(i32.mul(image, imageBytes), source.address));
        if (depthwise) f.set(start, i32.add(start, i32.mul(column, 4)));
        else if (groups > 1) f.set(start, i32.add(start, i32.mul(i32.divU(strip, perGroup), depth * 4)));
        byWidth(f, strip, { columns, width, perGroup }, (columnCount) => {
          for (const { v, h, offset } of sweeps) {
            const panel = f.let(i32.add(i32.mul(strip, panelBytes(v, h)), scratch.shared + offset));
            sweepImage(v, h, columnCount, { f, start, panel, image, column });
          }
        });
      });
    },
  };

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
    const t = f.local("i32");
    const pixel = f.local("i32");
    const rowStart = f.local("i32");
    const rowPanel = f.local("i32");
    const [x, b] = [f.local("i32"), f.local("i32")];
    const clipped = overhang(v, source.h).some((n) => n > 0);
    const rows = clipped ? f.local("i32") : v.taps.length;
    const tapRowBytes = h.taps.length * depth * width * 4;
    /** From one of the elements that are multiplied to the next. */
    const tapBytes = depthwise ? pixelBytes : 4;

    /** Adds what one run of `count` neighbouring elements of the source gives, from x; x and b move past it. */
    const run = (sums: Tile, count: number): void => {
      const unroll = count <= 9 ? count : ([4, 3, 2].find((n) => count % n === 0) ?? 1);
      f.repeat(count / unroll, () => {
        for (let u = 0; u < unroll; u++) {
          multiply(
            f,
            context.madd,
            sums,
            (r, vector) =>
              depthwise
                ? v128.load(x, r * h.move * pixelBytes + u * pixelBytes + vector * 16)
                : v128.load32Splat(x, r * h.move * pixelBytes + u * 4),
            (vector) => v128.load(b, u * width * 4 + vector * 16),
            !depthwise,
          );
        }
        f.add(x, unroll * tapBytes);
        f.add(b, unroll * width * 4);
      });
    };

    /** Adds what one row of taps gives, where all of them lie inside; x moves on to the next row. */
    const tapRow = (sums: Tile): void => {
      const taps = h.taps.length;
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
    const tapRowAtBorder = (sums: Tile, inside: readonly Range[]): void => {
      const line = f.let(i32.add(x, 0));
      for (const [tap, { from, to }] of inside.entries()) {
        if (from < to) {
          f.set(x, i32.add(line, (from * h.move + tap * h.spacing) * pixelBytes));
          run(sums.slice(from, to), depth);
        } else f.add(b, depth * width * 4);
      }
      f.set(x, i32.add(line, v.spacing * rowBytes));
    };

    const tile = (count: number, inside: readonly Range[]): void => {
      const sums = newTile(f, count, Math.ceil(columnCount / 4));
      const whole = inside.every(({ from, to }) => from === 0 && to === count);
      const body = () => (whole ? tapRow(sums) : tapRowAtBorder(sums, inside));
      f.set(x, rowStart);
      f.set(b, rowPanel);
      if (inside.length > 0) {
        if (typeof rows === "number") f.repeat(rows, body);
        else {
          const left = f.local("i32", rows);
          f.while(left, () => {
            body();
            f.set(left, i32.sub(left, 1));
          });
        }
      }
      finish(f, step, fused, sums, { row: pixel, column, n: result.c, rowStep: h.step, columnCount });
      f.add(rowStart, count * h.move * pixelBytes);
      f.add(pixel, count * h.step);
    };

    f.set(t, i32.const(0));
    f.forUp(t, v.count, 1, () => {
      const y = f.let(i32.add(i32.mul(t, v.move), v.first));
      f.set(rowPanel, panel);
      let firstRow: I32 = y;
      if (typeof rows !== "number") {
        const { from, to } = clip(f, y, v, source.h);
        f.set(rows, i32.sub(to, from));
        f.set(rowPanel, i32.add(rowPanel, i32.mul(from, tapRowBytes)));
        firstRow = i32.add(y, i32.mul(from, v.spacing));
      }
      f.set(rowStart, i32.add(i32.add(start, i32.mul(firstRow, rowBytes)), h.first * pixelBytes));
      f.set(
        pixel,
        i32.add(
          i32.mul(i32.add(i32.mul(image, result.h), i32.add(i32.mul(t, v.step), v.start)), result.w),
          i32.const(h.start),
        ),
      );
      for (const { rows: count, inside, times } of tilesAlong(h, source.w)) f.repeat(times, () => tile(count, inside));
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
function tilesAlong(sweep: Sweep, size: number): { rows: number; inside: readonly Range[]; times: number }[] {
  const { first, move, taps, spacing } = sweep;
  const tiles: { rows: number; inside: readonly Range[]; times: number }[] = [];
  let place = 0;
  for (const { rows, count } of rowTiles(sweep.count)) {
    for (let i = 0; i < count; i++, place += rows) {
      const inside = taps.map((_, tap): Range => {
        const at = first + place * move + tap * spacing;
        const from = Math.min(rows, Math.max(0, Math.ceil(-at / move)));
        return { from, to: Math.max(from, Math.min(rows, Math.ceil((size - at) / move))) };
      });
      const last = tiles[tiles.length - 1];
      if (last?.rows === rows && JSON.stringify(last.inside) === JSON.stringify(inside)) last.times++;
      else tiles.push({ rows, inside, times: 1 });
    }
  }
  return tiles;
}

/** The taps, from … up to, not including, to, that lie inside a source of `size` rows when the first lies at row y. */
function clip(f: FunctionBuilder, y: Local<"i32">, { taps, spacing }: Sweep, size: number): { from: I32; to: I32 } {
  const up = Math.max(1, spacing);
  const inside = (from: I32): I32 => i32.divU(i32.add(from, up - 1), up);
  const from = f.let(i32.select(i32.ltS(y, 0), inside(i32.sub(0, y)), 0));
  const below = f.let(i32.select(i32.ltS(y, size), inside(i32.sub(size, y)), 0));
  const to = f.let(i32.min(below, i32.const(taps.length)));
  return { from: f.let(i32.min(from, to)), to };
}

/** About as many pixels of a block as keep its rows of x and its panel of dy in the first-level cache. */
const BLOCK = 160;

/**
 * Tiles of the kernel by the block: for each block of pixels, each tile's products are summed in registers and added to
 * the result. A unit is a strip of `width` output channels and a run of rows: neighbouring elements of x under a tap, or
 * under a row of taps. Where runs would be too short for a tile, all taps make one run of rows with places of their own.
 */
export function conv2dKernelGradient(step: Step, context: KernelContext): Phase[] {
  const [x, dy] = step.root!.inputs;
  const { stride, padding, dilation, ...convolution } = step.root!.attributes as unknown as Convolution;
  const [b, h, w, c] = x.shape;
  const [, oh, ow, outputs] = dy.shape;
  const [kh, kw, inputs] = step.root!.shape;
  const depthwise = inputs === 1 && outputs === convolution.groups;
  const groups = depthwise ? 1 : convolution.groups;
  const columns = outputs / groups;
  const vectors = Math.min(2, Math.ceil(columns / 4));
  const width = vectors * 4;
  const perGroup = Math.ceil(columns / width);
  const strips = groups * perGroup;

  // A block: `high` rows of `wide` pixels of dy; where the window reaches beyond the image, x is copied with a border.
  const wide = ow <= 2 * BLOCK ? ow : BLOCK;
  const high = Math.max(1, Math.min(oh, Math.round(BLOCK / wide)));
  const [across, down] = [Math.ceil(ow / wide), Math.ceil(oh / high)];
  const pixelBytes = c * 4;
  const bordered =
    padding.flat().some((n) => n > 0) &&
    [0, 1].some((axis) =>
      overhang(
        forwardSweep([oh, ow][axis], [kh, kw][axis], stride[axis], padding[axis][0], dilation[axis]),
        [h, w][axis],
      ).some((n) => n > 0),
    );
  const rowBytes = bordered ? ((wide - 1) * stride[1] + spanOf(kw, dilation[1])) * pixelBytes : w * pixelBytes;
  const borderedRows = (high - 1) * stride[0] + spanOf(kh, dilation[0]);

  const tapPlace = (ky: number, kx: number): number => ky * dilation[0] * rowBytes + kx * dilation[1] * pixelBytes;
  const merged = groups === 1 && dilation[1] === 1 && !depthwise;
  const runLength = merged ? kw * inputs : inputs;
  const scattered = depthwise || (runLength < 4 && kh * kw * inputs <= 64);
  /** Where the rows of a scattered run read x. */
  const places = scattered
    ? Array.from({ length: kh * kw * inputs }, (_, row) => {
        const tap = Math.floor(row / inputs);
        return tapPlace(Math.floor(tap / kw), tap % kw) + (row % inputs) * 4;
      })
    : [];
  const runs = scattered ? 1 : merged ? kh : kh * kw;
  const rowsPerRun = scattered ? places.length : runLength;
  const tiles = rowTiles(rowsPerRun);

  // A strip of dy is laid out as a panel if many tiles read it.
  const usesPanel = columns > width && runs * tiles.reduce((sum, { count }) => sum + count, 0) > 3;
  const panelBytes = usesPanel ? high * wide * width * 4 : 0;
  const scratch = divideScratch(context, 0, panelBytes + (bordered ? borderedRows * rowBytes : 0));
  const [xAddress, dyAddress, dwAddress] = [context.address(x), context.address(dy), context.target(step.root!)];

  const clear: Phase = {
    units: 1,
    emit: (f) => f.fillMemory(dwAddress, 0, kh * kw * inputs * outputs * 4),
  };

  const compute: Phase = {
    units: strips * runs,
    emit: (f, begin, end, thread) => {
      const own = scratch.own(f, thread);
      const panel = own;
      const border = f.let(i32.add(own, panelBytes));
      const unit = f.local("i32");
      const strip = f.local("i32");
      const packed = f.local("i32");
      const column = f.local("i32");
      const block = f.local("i32");
      const [top, side] = [f.local("i32"), f.local("i32")];
      const [rowCount, columnCount] = [f.local("i32"), f.local("i32")];
      const [blockX, blockDy] = [f.local("i32"), f.local("i32")];
      const xStart = f.local("i32");
      const row = f.local("i32");

      f.set(block, i32.const(0));
      f.forUp(block, b * down * across, 1, () => {
        const image = f.let(i32.divU(block, down * across));
        f.set(top, i32.mul(i32.remU(i32.divU(block, across), down), high));
        f.set(side, i32.mul(i32.remU(block, across), wide));
        f.set(rowCount, i32.min(i32.sub(oh, top), i32.const(high)));
        f.set(columnCount, i32.min(i32.sub(ow, side), i32.const(wide)));
        const pixel = i32.add(i32.mul(i32.add(i32.mul(image, oh), top), ow), side);
        f.set(blockDy, i32.add(i32.mul(pixel, outputs * 4), dyAddress));
        const [y0, x0] = [
          i32.sub(i32.mul(top, stride[0]), padding[0][0]),
          i32.sub(i32.mul(side, stride[1]), padding[1][0]),
        ];
        if (bordered) {
          copyBordered(f, {
            from: f.let(i32.add(i32.mul(image, h * w * pixelBytes), xAddress)),
            to: border,
            y: f.let(y0),
            x: f.let(x0),
            size: { h, w },
            rows: borderedRows,
            rowBytes,
            pixelBytes,
          });
          f.set(blockX, border);
        } else
          f.set(
            blockX,
            i32.add(i32.mul(i32.add(i32.mul(i32.add(i32.mul(image, h), y0), w), x0), pixelBytes), xAddress),
          );

        f.set(packed, i32.const(-1));
        f.set(unit, begin);
        f.forUp(unit, end, 1, () => {
          f.set(strip, i32.divU(unit, runs));
          const run = f.let(i32.remU(unit, runs));
          const group = i32.divU(strip, perGroup);
          f.set(column, i32.mul(i32.remU(strip, perGroup), width));
          if (groups > 1) f.set(column, i32.add(column, i32.mul(group, columns)));
          if (usesPanel) {
            f.if(i32.ne(strip, packed), () => {
              f.set(packed, strip);
              packBlock(f);
            });
          }
          f.set(xStart, blockX);
          if (depthwise) f.set(xStart, i32.add(xStart, i32.mul(column, 4)));
          else if (groups > 1) f.set(xStart, i32.add(xStart, i32.mul(group, inputs * 4)));
          if (!scattered && runs > 1) {
            const place = merged
              ? i32.mul(run, dilation[0] * rowBytes)
              : i32.add(
                  i32.mul(i32.divU(run, kw), dilation[0] * rowBytes),
                  i32.mul(i32.remU(run, kw), dilation[1] * pixelBytes),
                );
            f.set(xStart, i32.add(xStart, place));
          }
          byWidth(f, strip, { columns, width, perGroup }, (lanes) => {
            f.set(row, i32.mul(run, rowsPerRun));
            let done = 0;
            for (const { rows, count } of tiles) {
              if (scattered) {
                for (let i = 0; i < count; i++) {
                  tile(f, places.slice(done, done + rows), lanes);
                  done += rows;
                }
              } else {
                const neighbours = Array.from({ length: rows }, (_, r) => r * 4);
                f.repeat(count, () => {
                  tile(f, neighbours, lanes);
                  f.add(xStart, rows * 4);
                });
              }
            }
          });
        });
      });

      /** Lays the strip's columns of the block's dy side by side. */
      function packBlock(f: FunctionBuilder): void {
        const [from, to, left] = [f.local("i32"), f.local("i32", panel), f.local("i32", rowCount)];
        const line = f.local("i32", i32.add(blockDy, i32.mul(column, 4)));
        f.while(left, () => {
          f.set(from, line);
          packRows(f, { k: columnCount, rowBytes: outputs * 4, width }, from, to);
          f.add(line, ow * outputs * 4);
          f.set(left, i32.sub(left, 1));
        });
      }

      /** Adds a block's products to one tile of the result: rows from `row`, which read x at `places` from xStart. */
      function tile(f: FunctionBuilder, places: readonly number[], lanes: number): void {
        const sums = newTile(f, places.length, Math.ceil(lanes / 4));
        const [at, from, left, pixels] = [f.local("i32"), f.local("i32"), f.local("i32", rowCount), f.local("i32")];
        const line = f.local("i32", xStart);
        const dyStep = usesPanel ? width * 4 : outputs * 4;
        const dyLine = usesPanel ? undefined : f.local("i32", i32.add(blockDy, i32.mul(column, 4)));
        if (usesPanel) f.set(from, panel);
        const pixelStep = stride[1] * pixelBytes;
        const some = (count: number): void => {
          for (let u = 0; u < count; u++) {
            multiply(
              f,
              context.madd,
              sums,
              (r, v) =>
                depthwise
                  ? v128.load(at, places[r] + u * pixelStep + v * 16)
                  : v128.load32Splat(at, places[r] + u * pixelStep),
              (v) => v128.load(from, u * dyStep + v * 16),
              !depthwise,
            );
          }
          f.add(at, count * pixelStep);
          f.add(from, count * dyStep);
        };
        f.while(left, () => {
          f.set(at, line);
          if (dyLine) f.set(from, dyLine);
          const unroll = wide % 4 === 0 ? 4 : wide % 2 === 0 ? 2 : 1;
          if (across === 1) f.repeat(wide / unroll, () => some(unroll));
          else {
            f.set(pixels, columnCount);
            f.while(pixels, () => {
              some(1);
              f.set(pixels, i32.sub(pixels, 1));
            });
          }
          f.add(line, stride[0] * rowBytes);
          if (dyLine) f.add(dyLine, ow * outputs * 4);
          f.set(left, i32.sub(left, 1));
        });
        const target = f.let(i32.mul(i32.add(i32.mul(row, outputs), column), 4));
        for (const [r, vectors] of sums.entries()) {
          const address = (v: number): number => dwAddress + r * outputs * 4 + v * 16;
          const totals = vectors.map((sum, v) => f.let(f32x4.add(sum, v128.load(target, address(v)))));
          for (const [v, total] of totals.entries())
            storeFloats(f, address(v), target, total, Math.min(4, lanes - v * 4));
        }
        f.add(row, places.length);
      }
    },
  };
  return [clear, compute];
}

/** Copies rows of an image into a block with zeros wherever it lies outside: the block begins at pixel (y, x). */
function copyBordered(
  f: FunctionBuilder,
  {
    from,
    to,
    y,
    x,
    size,
    rows,
    rowBytes,
    pixelBytes,
  }: {
    from: I32;
    to: I32;
    y: Local<"i32">;
    x: Local<"i32">;
    size: { h: number; w: number };
    rows: number;
    rowBytes: number;
    pixelBytes: number;
  },
): void {
  f.fillMemory(to, 0, rows * rowBytes);
  // The columns that lie inside, counted in the image.
  const begin = f.let(i32.select(i32.ltS(x, 0), 0, x));
  const beyond = f.let(i32.add(x, rowBytes / pixelBytes));
  const end = f.let(i32.select(i32.ltS(beyond, size.w), beyond, size.w));
  const r = f.local("i32", i32.const(0));
  f.if(i32.ltS(begin, end), () => {
    const bytes = f.let(i32.mul(i32.sub(end, begin), pixelBytes));
    f.forUp(r, rows, 1, () => {
      const line = f.let(i32.add(y, r));
      // Unsigned: a negative row is a very large one.
      f.if(i32.ltU(line, size.h), () => {
        f.copyMemory(
          i32.add(to, i32.add(i32.mul(r, rowBytes), i32.mul(i32.sub(begin, x), pixelBytes))),
          i32.add(from, i32.mul(i32.add(i32.mul(line, size.w), begin), pixelBytes)),
          bytes,
        );
      });
    });
  });
}
