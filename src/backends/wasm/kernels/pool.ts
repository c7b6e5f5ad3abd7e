/**
 * The kernels of pooling. Four channels go through a window at a time, whatever the window's size. The gradients hand
 * their windows' shares out in a band of rows that no other unit's windows reach.
 */
import type { Pooling } from "../../../ops/pool.ts";
import type { Step } from "../../../plan/fuse.ts";
import {
  type FunctionBuilder,
  f32,
  f32x4,
  type I32,
  type Int,
  i32,
  type Local,
  type V128,
  v128,
} from "../assembler.ts";
import { Fused, locateInRows, storeFloats } from "../fused.ts";
import type { KernelContext, Phase } from "../kernel.ts";
import { divideScratch } from "./tile.ts";

/** Windows of more cells than this are gone through in loops; smaller ones are written out cell by cell. */
const UNROLLED = 16;

/** The sizes of a pooling: images of h × w pixels and c channels, windows at oh × ow places. */
interface Sizes extends Pooling {
  readonly b: number;
  readonly h: number;
  readonly w: number;
  readonly c: number;
  readonly oh: number;
  readonly ow: number;
}

function sizesOf(step: Step, images: readonly number[], results: readonly number[]): Sizes {
  const [b, h, w, c] = images;
  return { ...(step.root!.attributes as unknown as Pooling), b, h, w, c, oh: results[1], ow: results[2] };
}

/** The part of a window that lies inside the image: where it begins, and how many rows and columns it has. */
interface Inside {
  readonly y: Local<"i32">;
  readonly x: Local<"i32">;
  readonly rows: Int;
  readonly columns: Int;
}

/** Goes through the windows whose results lie in row `oy`. */
function eachWindow(f: FunctionBuilder, oy: I32, sizes: Sizes, body: (ox: Local<"i32">, inside: Inside) => void): void {
  const { window, stride, padding, h, w, oh, ow } = sizes;
  /** Along one axis: the first cell inside, and the number of cells inside. */
  const clip = (place: I32, axis: 0 | 1, size: number, places: number): [Local<"i32">, Int] => {
    const before = padding[axis][0];
    const first = f.let(i32.sub(i32.mul(place, stride[axis]), before));
    if (before === 0 && (places - 1) * stride[axis] + window[axis] <= size) return [first, window[axis]];
    const end = f.let(i32.add(first, window[axis]));
    const from = f.let(i32.select(i32.ltS(first, 0), 0, first));
    return [from, f.let(i32.sub(i32.min(end, i32.const(size)), from))];
  };
  const [y, rows] = clip(oy, 0, h, oh);
  const ox = f.local("i32", i32.const(0));
  f.forUp(ox, ow, 1, () => {
    const [x, columns] = clip(ox, 1, w, ow);
    body(ox, { y, x, rows, columns });
  });
}

/** Goes through a window's cells, row by row, from the byte offset of the first; gives each one's offset. */
function eachCell(
  f: FunctionBuilder,
  first: Local<"i32">,
  { rows, columns }: Inside,
  { w, c }: Sizes,
  body: (offset: Local<"i32">, plus: number) => void,
): void {
  if (typeof rows === "number" && typeof columns === "number" && rows * columns <= UNROLLED) {
    for (let ky = 0; ky < rows; ky++) for (let kx = 0; kx < columns; kx++) body(first, (ky * w + kx) * c * 4);
    return;
  }
  const cell = f.local("i32", first);
  const line = f.local("i32", first);
  const times = (count: Int, then: () => void): void => {
    const left = f.local("i32", i32.add(count, 0));
    f.while(left, () => {
      then();
      f.set(left, i32.sub(left, 1));
    });
  };
  times(rows, () => {
    f.set(cell, line);
    times(columns, () => {
      body(cell, 0);
      f.add(cell, c * 4);
    });
    f.add(line, w * c * 4);
  });
}

/** Goes through `count` channels, four at a time; `at` is their byte offset. */
function eachChannel(f: FunctionBuilder, count: number, body: (at: Int, lanes: number) => void): void {
  const whole = (count - (count % 4)) * 4;
  if (whole > 0) {
    const at = f.local("i32", i32.const(0));
    f.forUp(at, whole, 16, () => body(at, 4));
  }
  if (count % 4 > 0) body(whole, count % 4);
}

/** Goes through a window's cells with a mask: set where the cell is the first to hold the window's largest. */
function eachWinner(
  f: FunctionBuilder,
  x: number,
  first: Local<"i32">,
  inside: Inside,
  sizes: Sizes,
  body: (won: Local<"v128">, cell: Local<"i32">, plus: number) => void,
): void {
  const best = f.local("v128", v128.constF32(Number.NEGATIVE_INFINITY));
  eachCell(f, first, inside, sizes, (cell, plus) => f.set(best, f32x4.pmax(best, v128.load(cell, x + plus))));
  const open = f.local("v128", v128.constI32(-1));
  eachCell(f, first, inside, sizes, (cell, plus) => {
    const won = f.let(v128.and(f32x4.eq(v128.load(cell, x + plus), best), open));
    f.set(open, v128.andnot(open, won));
    body(won, cell, plus);
  });
}

/** The number of cells of a window that lie inside, on four lanes. */
const cellCount = ({ rows, columns }: Inside): V128 =>
  f32x4.splat(
    typeof rows === "number" && typeof columns === "number"
      ? f32.const(rows * columns)
      : f32.convertI32(i32.mul(rows, columns)),
  );

/** A kernel that computes a result for each window, from the byte offset of its first cell. A unit is a row of results. */
function pool(
  step: Step,
  context: KernelContext,
  result: (f: FunctionBuilder, first: Local<"i32">, inside: Inside, sizes: Sizes) => V128,
): Phase[] {
  const sizes = sizesOf(step, step.root!.inputs[0].shape, step.root!.shape);
  const { b, h, w, c, oh, ow } = sizes;
  const fused = new Fused(step, context);
  const emit: Phase["emit"] = (f, begin, end) => {
    const unit = f.local("i32", begin);
    f.forUp(unit, end, 1, () => {
      const image = f.let(i32.divU(unit, oh));
      eachWindow(f, i32.remU(unit, oh), sizes, (ox, inside) => {
        const pixel = i32.add(i32.mul(i32.add(i32.mul(image, h), inside.y), w), inside.x);
        const start = f.let(i32.mul(pixel, c * 4));
        const place = f.let(i32.add(i32.mul(unit, ow), ox));
        const row = f.let(i32.mul(place, 4));
        const rowFull = f.let(i32.mul(place, c * 4));
        eachChannel(f, c, (at, lanes) => {
          const root = result(f, f.let(i32.add(start, at)), inside, sizes);
          const full = f.let(i32.add(rowFull, at));
          const locate = locateInRows(step, { full, row, column: at }, { full: 0, row: 0, column: 0 });
          fused.emit(f, { locate, full, plus: 0, root, lanes });
        });
      });
    });
  };
  return [{ units: b * oh, emit }];
}

export const maxPool2d = (step: Step, context: KernelContext): Phase[] => {
  const x = context.address(step.root!.inputs[0]);
  return pool(step, context, (f, first, inside, sizes) => {
    // The one-instruction maximum loses a NaN, the careful one takes eight: so the NaN are noted beside it.
    const best = f.local("v128", v128.constF32(Number.NEGATIVE_INFINITY));
    const nan = f.local("v128", v128.constI32(0));
    eachCell(f, first, inside, sizes, (at, plus) => {
      const cell = f.let(v128.load(at, x + plus));
      f.set(best, f32x4.pmax(best, cell));
      f.set(nan, v128.or(nan, f32x4.ne(cell, cell)));
    });
    return v128.or(best, nan);
  });
};

export const maxPool2dPick = (step: Step, context: KernelContext): Phase[] => {
  const [x, g] = step.root!.inputs.map((node) => context.address(node));
  return pool(step, context, (f, first, inside, sizes) => {
    const picked = f.local("v128", v128.constF32(0));
    eachWinner(f, x, first, inside, sizes, (won, cell, plus) => {
      f.set(picked, v128.bitselect(v128.load(cell, g + plus), picked, won));
    });
    return picked;
  });
};

export const averagePool2d = (step: Step, context: KernelContext): Phase[] => {
  const x = context.address(step.root!.inputs[0]);
  return pool(step, context, (f, first, inside, sizes) => {
    const sum = f.local("v128", v128.constF32(0));
    eachCell(f, first, inside, sizes, (cell, plus) => f.set(sum, f32x4.add(sum, v128.load(cell, x + plus))));
    return f32x4.div(sum, cellCount(inside));
  });
};

/** Writes what each cell of a window gets of its dy: calls `give` for every cell, in order. */
type Share = (
  f: FunctionBuilder,
  dy: Local<"v128">,
  first: Local<"i32">,
  inside: Inside,
  sizes: Sizes,
  give: (share: V128, cell: Local<"i32">, plus: number) => void,
) => void;

/**
 * A kernel that hands the dy of each window out to its cells. Where windows lie side by side, a unit is the band of
 * pixels down to the next row of windows; else it is an image. If windows cover every pixel just once, shares go
 * straight through the epilogue; else they are added up beside the result first.
 */
function handOut(step: Step, context: KernelContext, dy: number, results: readonly number[], share: Share): Phase[] {
  const sizes = sizesOf(step, step.root!.shape, results);
  const { b, h, w, c, oh, ow, window, stride, padding } = sizes;
  const apart = window[0] <= stride[0] && window[1] <= stride[1];
  const exact = apart && padding.flat().every((n) => n === 0) && oh * window[0] === h && ow * window[1] === w;
  const bands = apart ? oh : 1;
  const rowBytes = w * c * 4;
  const highest = apart ? Math.max(stride[0], oh === 1 ? h : h - ((oh - 1) * stride[0] - padding[0][0])) : h;
  const scratch = divideScratch(context, 0, exact ? 0 : highest * rowBytes);
  const fused = new Fused(step, context);

  const emit: Phase["emit"] = (f, begin, end, thread) => {
    const own = exact ? undefined : scratch.own(f, thread);
    const unit = f.local("i32", begin);
    const oy = f.local("i32");
    const lastRow = f.local("i32");
    const [full, row] = [f.local("i32"), f.local("i32")];

    const finishAt = (column: Int, root: V128, lanes: number, plus = 0): void => {
      const locate = locateInRows(step, { full, row, column }, { full: plus, row: plus / c, column: 0 });
      fused.emit(f, { locate, full, plus, root, lanes });
    };

    f.forUp(unit, end, 1, () => {
      const image = f.let(i32.divU(unit, bands));
      const band = f.let(i32.remU(unit, bands));
      const imageStart = f.let(i32.mul(image, h * rowBytes));
      // The band's rows of pixels, from top up to, not including, bottom.
      const top = f.local("i32", i32.const(0));
      const bottom = f.local("i32", i32.const(h));
      if (apart) {
        f.set(top, i32.select(band, i32.sub(i32.mul(band, stride[0]), padding[0][0]), 0));
        f.if(i32.ltU(band, oh - 1), () => f.set(bottom, i32.sub(i32.mul(i32.add(band, 1), stride[0]), padding[0][0])));
      }
      const bandStart = f.let(i32.add(imageStart, i32.mul(top, rowBytes)));
      const bandBytes = f.let(i32.mul(i32.sub(bottom, top), rowBytes));
      if (own) f.fillMemory(own, 0, bandBytes);
      // Adding this to a pixel's offset gives its place in the scratch memory.
      const toScratch = own && f.let(i32.sub(own, bandStart));

      f.set(oy, apart ? band : i32.const(0));
      f.set(lastRow, apart ? i32.add(band, 1) : i32.const(oh));
      f.forUp(oy, lastRow, 1, () => {
        eachWindow(f, oy, sizes, (ox, inside) => {
          const pixel = f.let(i32.add(i32.mul(i32.add(i32.mul(image, h), inside.y), w), inside.x));
          const start = f.let(i32.mul(pixel, c * 4));
          const place = i32.add(i32.mul(i32.add(i32.mul(image, oh), oy), ow), ox);
          const dyStart = f.let(i32.mul(place, c * 4));
          f.set(row, i32.mul(pixel, 4));
          eachChannel(f, c, (at, lanes) => {
            const first = f.let(i32.add(start, at));
            const dyHere = f.let(v128.load(i32.add(dyStart, at), dy));
            share(f, dyHere, first, inside, sizes, (value, cell, plus) => {
              if (toScratch) {
                const place = f.let(i32.add(cell, toScratch));
                storeFloats(f, plus, place, f32x4.add(value, v128.load(place, plus)), lanes);
              } else {
                f.set(full, cell);
                finishAt(at, value, lanes, plus);
              }
            });
          });
        });
      });

      if (own) {
        const from = f.local("i32", own);
        const last = f.let(i32.add(own, bandBytes));
        const pixelStart = f.local("i32", bandStart);
        f.set(row, i32.divU(bandStart, c));
        f.forUp(from, last, c * 4, () => {
          eachChannel(f, c, (at, lanes) => {
            f.set(full, i32.add(pixelStart, at));
            finishAt(at, v128.load(i32.add(from, at)), lanes);
          });
          f.add(pixelStart, c * 4);
          f.add(row, 4);
        });
      }
    });
  };
  return [{ units: b * bands, emit }];
}

export function maxPool2dGradient(step: Step, context: KernelContext): Phase[] {
  const [x, dy] = step.root!.inputs;
  const address = context.address(x);
  return handOut(step, context, context.address(dy), dy.shape, (f, dy, first, inside, sizes, give) =>
    eachWinner(f, address, first, inside, sizes, (won, cell, plus) => give(v128.and(dy, won), cell, plus)),
  );
}

export function averagePool2dGradient(step: Step, context: KernelContext): Phase[] {
  const [dy] = step.root!.inputs;
  return handOut(step, context, context.address(dy), dy.shape, (f, dy, first, inside, sizes, give) => {
    const part = f.let(f32x4.div(dy, cellCount(inside)));
    eachCell(f, first, inside, sizes, (cell, plus) => give(part, cell, plus));
  });
}
