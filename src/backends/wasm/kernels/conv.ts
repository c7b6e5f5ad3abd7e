/**
 * The kernels of conv2d and of its input gradient, which are one, `sweep`: a matrix product whose rows are pixels of the
 * result and whose inner dimension runs over the taps and channels of a window, read where it lies in the image. Strides
 * of the gradient, and borders, cost no multiplications by zero. The gradient for the kernel is in kernel-gradient.ts.
 */
import type { Convolution } from "../../../ops/conv.ts";
import type { Step } from "../../../plan/fuse.ts";
import { type FunctionBuilder, type I32, i32, type Local, v128 } from "../assembler.ts";
import { Fused } from "../fused.ts";
import type { KernelContext, Phase } from "../kernel.ts";
import {
  cutColumns,
  divideScratch,
  finish,
  multiply,
  newTile,
  packRows,
  packTransposed,
  rowTiles,
  type Tile,
  unrolled,
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

/** Whether a sweep reads places outside a source of `size`. */
function leaves({ first, move, count, taps, spacing }: Sweep, size: number): boolean {
  const last = first + (count - 1) * move + (taps.length - 1) * spacing;
  return taps.length > 0 && (first < 0 || last >= size);
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

type Images = readonly [b: number, h: number, w: number, c: number];

/** What `sweep` computes: everything that differs between conv2d and its input gradient. */
interface Task {
  readonly source: Images;
  readonly result: Images;
  readonly vertical: readonly Sweep[];
  readonly horizontal: readonly Sweep[];
  /** Whether the kernel's output channels are the ones summed over. */
  readonly transposed: boolean;
}

/** Images for a kernel that goes pixel by pixel and knows no rows: each is one long row. */
const flat = ([b, h, w, c]: Images): Images => [b, 1, h * w, c];

function taskOf({ root }: Step, transposed: boolean): Task {
  const { stride, padding, dilation } = root!.attributes as unknown as Convolution;
  const [kh, kw] = root!.inputs[1].shape;
  let source = root!.inputs[0].shape as Images;
  let result = root!.shape as Images;
  const pixelwise = [kh, kw, ...stride].every((n) => n === 1) && padding.flat().every((n) => n === 0);
  if (pixelwise) [source, result] = [flat(source), flat(result)];
  const along = (axis: 0 | 1): Sweep[] => {
    const how = [[kh, kw][axis], stride[axis], padding[axis][0], dilation[axis]] as const;
    return transposed ? backwardSweeps(result[axis + 1], ...how) : [forwardSweep(result[axis + 1], ...how)];
  };
  return { source, result, vertical: along(0), horizontal: along(1), transposed };
}

export const conv2d = (step: Step, context: KernelContext): Phase[] => sweep(step, context, taskOf(step, false));

export const conv2dInputGradient = (step: Step, context: KernelContext): Phase[] =>
  sweep(step, context, taskOf(step, true));

/** The first of some numbers that lie regularly, and the step from one to the next. */
const progression = (numbers: readonly number[]): [first: number, step: number] => [
  numbers[0] ?? 0,
  (numbers[1] ?? 0) - (numbers[0] ?? 0),
];

/**
 * Tiles of pixels by channels. A unit is a strip of `width` channels of one image; the kernel's values for it lie in a
 * panel, made beforehand. In a depthwise convolution each channel sees only itself, and all channels are one group.
 */
function sweep(step: Step, context: KernelContext, task: Task): Phase[] {
  const [images, w] = step.root!.inputs;
  const [, kw, inputs, outputs] = w.shape;
  const [b, sourceH, sourceW, sourceC] = task.source;
  const [, resultH, resultW, resultC] = task.result;
  const { groups: allGroups } = step.root!.attributes as unknown as Convolution;
  const depthwise = inputs === 1 && outputs === allGroups;
  const transposed = task.transposed && !depthwise;
  const groups = depthwise ? 1 : allGroups;
  /** The channels summed over, per tap. */
  const depth = depthwise ? 1 : sourceC / groups;
  const columns = resultC / groups;
  const vectors = Math.min(Math.ceil(columns / 4), vectorsFor(task.horizontal[0].count, context));
  const width = vectors * 4;
  const strips = cutColumns(columns, width, groups);
  const fused = new Fused(step, context);

  const pixelBytes = sourceC * 4;
  const rowBytes = sourceW * pixelBytes;

  // The panels of one pair of sweeps after the other's, strip by strip.
  let packedBytes = 0;
  const sweeps = task.vertical.flatMap((v) =>
    task.horizontal.map((h) => {
      const panelBytes = v.taps.length * h.taps.length * depth * width * 4;
      const offset = packedBytes;
      packedBytes += strips.count * panelBytes;
      return { v, h, panelAt: (strip: I32): I32 => i32.add(i32.mul(strip, panelBytes), panels + offset) };
    }),
  );
  const panels = divideScratch(context, packedBytes, 0).shared;

  const pack: Phase = {
    units: strips.count,
    emit: (f, begin, end) => {
      const strip = f.local("i32", begin);
      const [tap, from, to] = [f.local("i32"), f.local("i32"), f.local("i32")];
      const rowBytes = outputs * 4;
      const tapBytes = inputs * rowBytes;
      f.forUp(strip, end, 1, () => {
        // The kernel is [KH, KW, inputs, outputs], where outputs go over all groups and inputs over one.
        const start = transposed
          ? i32.add(
              i32.mul(i32.sub(strips.column(strip), i32.mul(strips.group(strip), columns)), rowBytes),
              i32.mul(strips.group(strip), depth * 4),
            )
          : i32.mul(strips.column(strip), 4);
        strips.each(f, strip, (columnCount) => {
          for (const { v, h, panelAt } of sweeps) {
            const [vFirst, vStep] = progression(v.taps.map((tap) => tap * kw * tapBytes));
            const [hFirst, hStep] = progression(h.taps.map((tap) => tap * tapBytes));
            f.set(tap, i32.add(start, context.address(w) + vFirst + hFirst));
            f.set(to, panelAt(strip));
            f.repeat(v.taps.length, () => {
              f.repeat(h.taps.length, () => {
                f.set(from, tap);
                if (transposed) packTransposed(f, { k: depth, rowBytes, width, columnCount }, from, to);
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
    units: b * strips.count,
    emit: (f, begin, end) => {
      const unit = f.local("i32", begin);
      const [image, strip, start, column] = [f.local("i32"), f.local("i32"), f.local("i32"), f.local("i32")];
      f.forUp(unit, end, 1, () => {
        f.set(image, i32.divU(unit, strips.count));
        f.set(strip, i32.remU(unit, strips.count));
        f.set(column, strips.column(strip));
        f.set(start, i32.add(i32.mul(image, sourceH * rowBytes), context.address(images)));
        if (depthwise) f.set(start, i32.add(start, i32.mul(column, 4)));
        else if (groups > 1) f.set(start, i32.add(start, i32.mul(strips.group(strip), depth * 4)));
        strips.each(f, strip, (columnCount) => {
          for (const { v, h, panelAt } of sweeps) {
            sweepImage(v, h, columnCount, { f, start, panel: f.let(panelAt(strip)), image, column });
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
    const clipped = leaves(v, sourceH);
    const rows = clipped ? f.local("i32") : v.taps.length;
    const tapRowBytes = h.taps.length * depth * width * 4;
    /** From one of the elements that are multiplied to the next. */
    const tapBytes = depthwise ? pixelBytes : 4;

    /** Adds what one run of `count` neighbouring elements of the source gives, from x; x and b move past it. */
    const run = (sums: Tile, count: number): void => {
      const unroll = count <= 9 && context.fusedMadd ? count : unrolled(count, context);
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
      finish(f, step, fused, sums, { row: pixel, column, n: resultC, rowStep: h.step, columnCount });
      f.add(rowStart, count * h.move * pixelBytes);
      f.add(pixel, count * h.step);
    };

    f.set(t, i32.const(0));
    f.forUp(t, v.count, 1, () => {
      const y = f.let(i32.add(i32.mul(t, v.move), v.first));
      f.set(rowPanel, panel);
      let firstRow: I32 = y;
      if (typeof rows !== "number") {
        const { from, to } = clip(f, y, v, sourceH);
        f.set(rows, i32.sub(to, from));
        f.set(rowPanel, i32.add(rowPanel, i32.mul(from, tapRowBytes)));
        firstRow = i32.add(y, i32.mul(from, v.spacing));
      }
      f.set(rowStart, i32.add(i32.add(start, i32.mul(firstRow, rowBytes)), h.first * pixelBytes));
      f.set(
        pixel,
        i32.add(
          i32.mul(i32.add(i32.mul(image, resultH), i32.add(i32.mul(t, v.step), v.start)), resultW),
          i32.const(h.start),
        ),
      );
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
  sweep: Sweep,
  size: number,
  context: KernelContext,
): { rows: number; inside: readonly Range[]; times: number }[] {
  const { first, move, taps, spacing } = sweep;
  const tiles: { rows: number; inside: readonly Range[]; times: number }[] = [];
  let place = 0;
  for (const { rows, count } of rowTiles(sweep.count, context)) {
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
