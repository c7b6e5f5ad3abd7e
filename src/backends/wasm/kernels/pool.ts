/**
 * The kernels of pooling. Four channels go through a window at a time, whatever the window's size. The gradients hand
 * their windows' shares out in a band of rows that no other unit's windows reach.
 */
import type { Node } from "../../../graph/node.ts";
import type { Pooling } from "../../../ops/pool.ts";
import type { Step } from "../../../plan/plan.ts";
import {
  type Address,
  beyond,
  type FunctionBuilder,
  f32x4,
  type I32,
  type Int,
  i32,
  i32x4,
  type Local,
  type V128,
  v128,
} from "../assembler.ts";
import { fusedPart, spotInRows, storeFloats } from "../fused.ts";
import type { KernelContext, Phase } from "../kernel.ts";
import { divideScratch } from "./tile.ts";
import { eachColumn, eachUnit } from "./walk.ts";

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

function sizesOf({ root }: Step, images: Node, results: Node): Sizes {
  const [b, h, w, c] = images.shape;
  return { ...(root!.attributes as unknown as Pooling), b, h, w, c, oh: results.shape[1], ow: results.shape[2] };
}

/** A window of four channels. */
interface Window {
  /** The byte offset of its first cell inside the image; how many rows and columns lie inside. */
  readonly first: Local<"i32">;
  readonly rows: Int;
  readonly columns: Int;
  readonly sizes: Sizes;
}

/** The spot of a window's result: byte offsets, and the lanes that are meant. */
interface Spot {
  readonly full: Local<"i32">;
  readonly row: Local<"i32">;
  readonly column: Int;
  readonly lanes: number;
  /** The number of the window's first pixel. */
  readonly pixel: Local<"i32">;
}

/** Goes through the windows whose results lie in row `oy` of an image. */
function eachWindow(
  f: FunctionBuilder,
  image: I32,
  oy: I32,
  sizes: Sizes,
  body: (window: Window, spot: Spot) => void,
): void {
  const { window, stride, padding, h, w, c, oh, ow } = sizes;
  /** Along one axis: the first cell inside, and the number of cells inside. */
  const clip = (place: I32, axis: 0 | 1, size: number, places: number): [Local<"i32">, Int] => {
    const before = padding[axis][0];
    const first = f.let(i32.sub(i32.mul(place, stride[axis]), before));
    if (before === 0 && (places - 1) * stride[axis] + window[axis] <= size) return [first, window[axis]];
    const end = f.min(i32.add(first, window[axis]), size);
    const from = f.let(i32.select(i32.ltS(first, 0), 0, first));
    return [from, f.let(i32.sub(end, from))];
  };
  const [y, rows] = clip(oy, 0, h, oh);
  f.forUp(0, ow, 1, (ox) => {
    const [x, columns] = clip(ox, 1, w, ow);
    const pixel = f.let(i32.add(i32.mul(i32.add(i32.mul(image, h), y), w), x));
    const place = f.let(i32.add(i32.mul(i32.add(i32.mul(image, oh), oy), ow), ox));
    const start = f.let(i32.mul(pixel, c * 4));
    const rowFull = f.let(i32.mul(place, c * 4));
    const row = f.let(i32.mul(place, 4));
    eachColumn(f, c, (column, lanes) => {
      const first = f.let(i32.add(start, column));
      const full = f.let(i32.add(rowFull, column));
      body({ first, rows, columns, sizes }, { full, row, column, lanes, pixel });
    });
  });
}

/** Goes through a window's cells, row by row; gives each one's offset. */
function eachCell(
  f: FunctionBuilder,
  { first, rows, columns, sizes: { w, c } }: Window,
  body: (offset: Local<"i32">, plus: number) => void,
): void {
  if (typeof rows === "number" && typeof columns === "number" && rows * columns <= UNROLLED) {
    for (let ky = 0; ky < rows; ky++) for (let kx = 0; kx < columns; kx++) body(first, (ky * w + kx) * c * 4);
    return;
  }
  const line = f.local("i32", first);
  f.repeat(rows, () => {
    const cell = f.local("i32", line);
    f.repeat(columns, () => {
      body(cell, 0);
      f.add(cell, c * 4);
    });
    f.add(line, w * c * 4);
  });
}

/** Goes through a window's cells with a mask: set where the cell is the first to hold the window's largest. */
function eachWinner(
  f: FunctionBuilder,
  x: Address,
  window: Window,
  body: (won: Local<"v128">, cell: Local<"i32">, plus: number) => void,
): void {
  const best = f.local("v128", v128.constF32(Number.NEGATIVE_INFINITY));
  eachCell(f, window, (cell, plus) => f.set(best, f32x4.pmax(best, v128.load(cell, beyond(x, plus)))));
  const open = f.local("v128", v128.constI32(-1));
  eachCell(f, window, (cell, plus) => {
    const won = f.let(v128.and(f32x4.eq(v128.load(cell, beyond(x, plus)), best), open));
    f.set(open, v128.andnot(open, won));
    body(won, cell, plus);
  });
}

/** The number of cells of a window that lie inside, on four lanes. */
const cellCount = ({ rows, columns }: Window): V128 => f32x4.convertI32x4(i32x4.splat(i32.mul(rows, columns)));

/** A kernel that computes a result for each window from the operands at some addresses. A unit is a row of results. */
const pool =
  (result: (f: FunctionBuilder, window: Window, x: Address, g: Address) => V128) =>
  (step: Step, context: KernelContext): Phase[] => {
    const root = step.root!;
    const [x, g] = root.inputs.map(context.address);
    const sizes = sizesOf(step, root.inputs[0], root);
    const part = fusedPart(step, context);
    return [
      eachUnit(sizes.b * sizes.oh, (f, unit) =>
        eachWindow(f, f.let(i32.divU(unit, sizes.oh)), f.let(i32.remU(unit, sizes.oh)), sizes, (window, spot) =>
          part.emit(f, { ...spotInRows(step, spot), root: result(f, window, x, g), lanes: spot.lanes }),
        ),
      ),
    ];
  };

export const maxPool2d = pool((f, window, x) => {
  // The one-instruction maximum loses a NaN, the careful one takes eight: so the NaN are noted beside it.
  const best = f.local("v128", v128.constF32(Number.NEGATIVE_INFINITY));
  const nan = f.local("v128", v128.constI32(0));
  eachCell(f, window, (at, plus) => {
    const cell = f.let(v128.load(at, beyond(x, plus)));
    f.set(best, f32x4.pmax(best, cell));
    f.set(nan, v128.or(nan, f32x4.ne(cell, cell)));
  });
  return v128.or(best, nan);
});

export const maxPool2dPick = pool((f, window, x, g) => {
  const picked = f.local("v128", v128.constF32(0));
  eachWinner(f, x, window, (won, cell, plus) => {
    f.set(picked, v128.bitselect(v128.load(cell, beyond(g, plus)), picked, won));
  });
  return picked;
});

export const averagePool2d = pool((f, window, x) => {
  const sum = f.local("v128", v128.constF32(0));
  eachCell(f, window, (cell, plus) => f.set(sum, f32x4.add(sum, v128.load(cell, beyond(x, plus)))));
  return f32x4.div(sum, cellCount(window));
});

/**
 * A kernel that hands the dy of each window, its last operand, out to its cells; `share` writes what each gets, in order.
 * Where windows lie side by side, a unit is the band of pixels down to the next row of windows; else it is an image. If
 * windows cover every pixel just once, shares go straight through the epilogue; else they are added up beside the result
 * first.
 */
const handOut =
  (
    share: (
      f: FunctionBuilder,
      window: Window,
      dy: Local<"v128">,
      x: Address,
      give: (share: V128, cell: Local<"i32">, plus: number) => void,
    ) => void,
  ) =>
  (step: Step, context: KernelContext): Phase[] => {
    const root = step.root!;
    const dy = root.inputs.at(-1)!;
    const [x, dyAddress] = [root.inputs[0], dy].map(context.address);
    const sizes = sizesOf(step, root, dy);
    const { b, h, w, c, oh, ow, window, stride, padding } = sizes;
    const apart = window[0] <= stride[0] && window[1] <= stride[1];
    const exact = apart && padding.flat().every((n) => n === 0) && oh * window[0] === h && ow * window[1] === w;
    const bands = apart ? oh : 1;
    const rowBytes = w * c * 4;
    /** Where a band but the first begins. */
    const bandTop = (band: I32): I32 => i32.sub(i32.mul(band, stride[0]), padding[0][0]);
    const lastTop = bands > 1 ? (bands - 1) * stride[0] - padding[0][0] : 0;
    const scratch = divideScratch(context, 0, exact ? 0 : Math.max(stride[0], h - lastTop) * rowBytes);
    const part = fusedPart(step, context);

    const emit: Phase["emit"] = (f, begin, end, thread) => {
      const own = scratch.own(f, thread);
      const finishAt = (full: Int, row: Int, column: Int, root: V128, lanes: number, plus = 0) =>
        part.emit(f, { ...spotInRows(step, { full, row, column }, plus, 0, plus / c), root, lanes });

      f.forUp(begin, end, 1, (unit) => {
        const image = f.let(i32.divU(unit, bands));
        const band = f.let(i32.remU(unit, bands));
        // The band's rows of pixels, from top up to, not including, bottom.
        const top = f.let(i32.select(band, bandTop(band), 0));
        const bottom = i32.select(i32.ltU(band, bands - 1), bandTop(i32.add(band, 1)), h);
        const bandStart = f.let(i32.mul(i32.add(i32.mul(image, h), top), rowBytes));
        const bandBytes = f.let(i32.mul(i32.sub(bottom, top), rowBytes));
        // Adding this to a pixel's offset gives its place in the scratch memory.
        const toScratch = f.let(i32.sub(own, bandStart));
        if (!exact) f.fillMemory(own, 0, bandBytes);

        const firstRow = f.let(i32.mul(band, oh / bands));
        f.forUp(firstRow, f.let(i32.add(firstRow, oh / bands)), 1, (oy) =>
          eachWindow(f, image, oy, sizes, (window, { full, column, lanes, pixel }) => {
            const row = f.let(i32.mul(pixel, 4));
            share(f, window, f.let(v128.load(full, dyAddress)), x, (value, cell, plus) => {
              if (exact) finishAt(cell, row, column, value, lanes, plus);
              else {
                const place = f.let(i32.add(cell, toScratch));
                storeFloats(f, plus, place, f32x4.add(value, v128.load(place, plus)), lanes);
              }
            });
          }),
        );

        if (exact) return;
        const pixelStart = f.local("i32", bandStart);
        f.forUp(own, f.let(i32.add(own, bandBytes)), c * 4, (from) => {
          const row = f.let(i32.divU(pixelStart, c));
          eachColumn(f, c, (at, lanes) => {
            finishAt(f.let(i32.add(pixelStart, at)), row, at, v128.load(i32.add(from, at)), lanes);
          });
          f.add(pixelStart, c * 4);
        });
      });
    };
    return [{ units: b * bands, emit }];
  };

export const maxPool2dGradient = handOut((f, window, dy, x, give) =>
  eachWinner(f, x, window, (won, cell, plus) => give(v128.and(dy, won), cell, plus)),
);

export const averagePool2dGradient = handOut((f, window, dy, _, give) => {
  const part = f.let(f32x4.div(dy, cellCount(window)));
  eachCell(f, window, (cell, plus) => give(part, cell, plus));
});
