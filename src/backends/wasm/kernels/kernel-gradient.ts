/**
 * The kernel of conv2d's gradient for its kernel: a matrix product with a small result, taps and channels of the window
 * by output channels, and a long inner dimension, all pixels of the batch.
 */
import type { ConvolutionGradient } from "../../../ops/conv.ts";
import { spanOf } from "../../../ops/window.ts";
import type { Step } from "../../../plan/plan.ts";
import {
  type Address,
  beyond,
  type FunctionBuilder,
  f32x4,
  type I32,
  i32,
  type Local,
  pointer,
  v128,
} from "../assembler.ts";
import { storeFloats } from "../fused.ts";
import type { KernelContext, Phase } from "../kernel.ts";
import { cutColumns, divideScratch, loadVectors, multiply, newTile, packRows, rowTiles, unrolled } from "./tile.ts";
import { zeros } from "./walk.ts";

/** About as many pixels of a block as keep its rows of x and its panel of dy in the first-level cache. */
const BLOCK = 160;

/** A run shorter than this is too short for a tile. */
const SHORT_RUN = 4;

/**
 * For each block of pixels, each tile's products are summed in registers and added to the result. A unit is a strip of
 * output channels and a run of rows: neighbouring elements of x under a tap, or under a row of taps. Where such runs
 * are short, all taps together make one run, whose rows read x at places of their own. In a depthwise convolution each
 * channel of x meets only its own of dy; rows are taps.
 */
export function conv2dKernelGradient(step: Step, context: KernelContext): Phase[] {
  const [x, dy] = step.root!.inputs;
  const { stride, padding, dilation, ...attributes } = step.root!.attributes as unknown as ConvolutionGradient;
  const [b, h, w, c] = x.shape;
  const [, oh, ow, outputs] = dy.shape;
  const [kh, kw, inputs] = step.root!.shape;
  const depthwise = inputs === 1 && outputs === attributes.groups;
  const groups = depthwise ? 1 : attributes.groups;
  const columns = outputs / groups;
  // Where V8 makes one 256-bit vector of two, twice as many sums fit in the registers.
  const width = columns <= 4 ? 4 : context.turbo && columns > 8 ? 16 : 8;
  const strips = cutColumns(columns, width, groups);

  // A block is `high` rows of `wide` pixels of dy. Where windows reach beyond the image, x is copied with a border.
  const wide = ow <= 2 * BLOCK ? ow : BLOCK;
  const high = Math.max(1, Math.min(oh, Math.round(BLOCK / wide)));
  const [down, across] = [Math.ceil(oh / high), Math.ceil(ow / wide)];
  const [spanH, spanW] = [spanOf(kh, dilation[0]), spanOf(kw, dilation[1])];
  const [[top], [left]] = padding;
  const bordered = top > 0 || left > 0 || (oh - 1) * stride[0] + spanH > h || (ow - 1) * stride[1] + spanW > w;
  const pixelBytes = c * 4;
  const rowBytes = (bordered ? (wide - 1) * stride[1] + spanW : w) * pixelBytes;
  const borderedRows = (high - 1) * stride[0] + spanH;

  const [tapDown, tapAcross] = [dilation[0] * rowBytes, dilation[1] * pixelBytes];
  const tapsMeet = groups === 1 && dilation[1] === 1;
  const scattered = depthwise || ((tapsMeet ? kw : 1) * inputs < SHORT_RUN && kh * kw * inputs <= 64);
  const runs = scattered ? 1 : tapsMeet ? kh : kh * kw;
  const runLength = (kh * kw * inputs) / runs;
  const tiles = rowTiles(runLength, context);
  /** Where row number r of a tile reads x, from where the tile's first row does; `done` rows are before the tile. */
  const rowPlace = (r: number, done: number): number => {
    if (!scattered) return r * 4;
    const tap = Math.floor((done + r) / inputs);
    return Math.floor(tap / kw) * tapDown + (tap % kw) * tapAcross + ((done + r) % inputs) * 4;
  };

  // A strip of dy is laid out as a panel if more than a few tiles read it.
  const usesPanel = columns > width && runs * tiles.reduce((sum, { count }) => sum + count, 0) > 3;
  const panelBytes = usesPanel ? high * wide * width * 4 : 0;
  const [pixelStep, dyPixelStep] = [stride[1] * pixelBytes, usesPanel ? width * 4 : outputs * 4];
  const scratch = divideScratch(context, 0, panelBytes + (bordered ? borderedRows * rowBytes : 0));
  const [xAddress, dyAddress, dwAddress] = [context.address(x), context.address(dy), context.address(step.root!)];

  const emit: Phase["emit"] = (f, begin, end, thread) => {
    const panel = scratch.own(f, thread);
    const border = f.let(i32.add(panel, panelBytes));

    f.forUp(0, b * down * across, 1, (block) => {
      // The block: how many rows and columns of dy, where it begins in dy, and where its windows begin in x.
      const image = f.let(i32.divU(block, down * across));
      const oy = f.let(i32.mul(i32.remU(i32.divU(block, across), down), high));
      const ox = f.let(i32.mul(i32.remU(block, across), wide));
      const rows = f.min(i32.sub(oh, oy), high);
      const cols = f.min(i32.sub(ow, ox), wide);
      const dyRow = i32.add(i32.mul(image, oh), oy);
      const blockDy = f.let(i32.add(i32.mul(i32.add(i32.mul(dyRow, ow), ox), outputs * 4), pointer(dyAddress)));
      const y = f.let(i32.sub(i32.mul(oy, stride[0]), top));
      const x = f.let(i32.sub(i32.mul(ox, stride[1]), left));
      const imageX = i32.add(i32.mul(image, h * w * pixelBytes), pointer(xAddress));
      if (bordered)
        copyBordered(f, { from: f.let(imageX), h, w, pixelBytes }, { to: border, y, x, rows: borderedRows, rowBytes });
      const blockX = bordered ? border : f.let(i32.add(imageX, i32.mul(i32.add(i32.mul(y, w), x), pixelBytes)));

      const packed = f.local("i32", -1);
      f.forUp(begin, end, 1, (unit) => {
        const strip = f.let(i32.divU(unit, runs));
        const run = f.let(i32.remU(unit, runs));
        strips.each(f, strip, (column, columnCount) => {
          const stripDy = f.let(i32.add(blockDy, i32.mul(column, 4)));
          if (usesPanel)
            f.if(i32.ne(strip, packed), () => {
              // Lays the strip's columns of the block's dy side by side.
              f.set(packed, strip);
              const [line, to] = [f.local("i32", stripDy), f.local("i32", panel)];
              f.repeat(rows, () => {
                packRows(f, { k: cols, rowBytes: outputs * 4, width }, f.local("i32", line), to);
                f.add(line, ow * outputs * 4);
              });
            });
          // The tile: its first row in the result, and where that reads x.
          const row = f.local("i32", i32.mul(run, runLength));
          const tapX = tapsMeet
            ? i32.mul(run, tapDown)
            : i32.add(i32.mul(i32.divU(run, kw), tapDown), i32.mul(i32.remU(run, kw), tapAcross));
          const channel = depthwise ? column : i32.mul(strips.group(strip), inputs);
          const rowX = f.local("i32", i32.add(i32.add(blockX, i32.mul(channel, 4)), tapX));

          /** Adds the block's products to one tile of the result. */
          const tile = (places: readonly number[]): void => {
            const sums = newTile(f, places.length, columnCount);
            const [lineX, lineDy] = [f.local("i32", rowX), f.local("i32", usesPanel ? panel : stripDy)];
            f.repeat(rows, () => {
              const atX = f.local("i32", lineX);
              const atDy = usesPanel ? lineDy : f.local("i32", lineDy);
              // Known when the code is written, unless the last block of a row is narrower.
              const unroll = across === 1 ? unrolled(wide, context) : 1;
              f.repeat(across === 1 ? wide / unroll : cols, () => {
                for (let u = 0; u < unroll; u++) {
                  const xAt = (r: number) => places[r] + u * pixelStep;
                  multiply(
                    f,
                    context.madd,
                    sums,
                    (r, v) => (depthwise ? v128.load(atX, xAt(r) + v * 16) : v128.load32Splat(atX, xAt(r))),
                    loadVectors(f, sums[0].length, atDy, u * dyPixelStep),
                    !depthwise,
                  );
                }
                f.add(atX, unroll * pixelStep);
                f.add(atDy, unroll * dyPixelStep);
              });
              f.add(lineX, stride[0] * rowBytes);
              if (!usesPanel) f.add(lineDy, ow * outputs * 4);
            });
            const target = f.let(i32.mul(i32.add(i32.mul(row, outputs), column), 4));
            for (const [r, vectors] of sums.entries()) {
              const address = (v: number): Address => beyond(dwAddress, r * outputs * 4 + v * 16);
              const totals = vectors.map((sum, v) => f.let(f32x4.add(sum, v128.load(target, address(v)))));
              for (const [v, total] of totals.entries())
                storeFloats(f, address(v), target, total, Math.min(4, columnCount - v * 4));
            }
            f.add(row, places.length);
            if (!scattered) f.add(rowX, places.length * 4);
          };

          let done = 0;
          for (const { rows, count } of tiles) {
            const places = (): number[] => Array.from({ length: rows }, (_, r) => rowPlace(r, done));
            if (scattered) for (let i = 0; i < count; i++, done += rows) tile(places());
            else f.repeat(count, () => tile(places()));
          }
        });
      });
    });
  };
  return [zeros(dwAddress, kh * kw * inputs * outputs * 4), { units: strips.count * runs, emit }];
}

/**
 * Copies part of an image, from pixel (y, x) on: as many rows as asked for, and columns as fill `rowBytes`, with zeros
 * wherever it lies outside.
 */
function copyBordered(
  f: FunctionBuilder,
  { from, h, w, pixelBytes }: { from: I32; h: number; w: number; pixelBytes: number },
  { to, y, x, rows, rowBytes }: { to: I32; y: Local<"i32">; x: Local<"i32">; rows: number; rowBytes: number },
): void {
  f.fillMemory(to, 0, rows * rowBytes);
  // The columns that lie inside, counted in the image.
  const begin = f.let(i32.select(i32.ltS(x, 0), 0, x));
  const beyond = f.let(i32.add(x, rowBytes / pixelBytes));
  const end = f.let(i32.select(i32.ltS(beyond, w), beyond, w));
  f.if(i32.ltS(begin, end), () => {
    const bytes = f.let(i32.mul(i32.sub(end, begin), pixelBytes));
    f.forUp(0, rows, 1, (r) => {
      const line = f.let(i32.add(y, r));
      // Unsigned: a negative row is a very large one.
      f.if(i32.ltU(line, h), () => {
        const target = i32.add(i32.mul(r, rowBytes), i32.mul(i32.sub(begin, x), pixelBytes));
        const source = i32.mul(i32.add(i32.mul(line, w), begin), pixelBytes);
        f.copyMemory(i32.add(to, target), i32.add(from, source), bytes);
      });
    });
  });
}
