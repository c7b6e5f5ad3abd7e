/**
 * Loops: steps of elementwise ops, which may end in reductions. One pass over memory, whatever the number of ops.
 */
import type { Node } from "../../../graph/node.ts";
import { padShape, type Shape, sizeOf, stridesOf } from "../../../graph/shape.ts";
import type { Step } from "../../../plan/fuse.ts";
import { type FunctionBuilder, f32, f32x4, type I32, i32, type Local, type V128, v128 } from "../assembler.ts";
import { Fused, type Locate, locateInRows, type Spot, storeFloats } from "../fused.ts";
import type { KernelContext, Phase } from "../kernel.ts";
import { cutColumns, divideScratch } from "./tile.ts";

/** How a reduction puts two values together, and where it begins. */
interface Reduction {
  readonly start: number;
  combine(a: V128, b: V128): V128;
}

const REDUCTIONS: Readonly<Record<string, Reduction>> = {
  sum: { start: 0, combine: f32x4.add },
  max: { start: Number.NEGATIVE_INFINITY, combine: f32x4.max },
};

/** The elements that one unit of work takes when a loop goes straight through memory. */
const FLAT_UNIT = 256;

/** Writes the body for `count` columns, four at a time, the rest with fewer lanes; `at` counts bytes. */
function columns(
  f: FunctionBuilder,
  at: Local<"i32">,
  count: number,
  body: (lanes: number) => void,
  end: number = (count - (count % 4)) * 4,
): void {
  if (end > 0) f.forUp(at, end, 16, () => body(4));
  if (count % 4 > 0) body(count % 4);
}

export function loop(step: Step, context: KernelContext): Phase[] {
  if (step.reductions.length === 0) return [elementwiseLoop(step, context)];
  const { outer, reduced, inner } = reductionView(step);
  if (inner === 1) return [reduceColumns(step, context, outer, reduced)];
  return [reduceRows(step, context, outer, reduced, inner)];
}

function reductionView({ reductions: [first] }: Step) {
  const { meaning } = first.op;
  if (meaning.kind !== "structural" || !meaning.reduces) throw new Error(`${first.op.name} is not a reduction.`);
  return meaning.reduces(first.inputs, first.attributes as never);
}

/** The trailing axes over which every operand either varies throughout or not at all: the columns of the loop. */
function columnAxes(space: Shape, shapes: readonly Shape[]): number {
  let split = space.length;
  const fits = (from: number): boolean =>
    shapes.every((shape) => {
      const own = padShape(shape, space.length).slice(from);
      return own.every((n, i) => n === space[from + i]) || own.every((n) => n === 1);
    });
  while (split > 0 && fits(split - 1)) split--;
  return split;
}

function elementwiseLoop(step: Step, context: KernelContext): Phase {
  const fused = new Fused(step, context);
  const shapes = fused.operands().map((x) => x.shape);
  const split = columnAxes(step.space, shapes);
  const rowShape = step.space.slice(0, split);
  const rows = sizeOf(rowShape);
  const count = sizeOf(step.space.slice(split));
  const isScalar = (shape: Shape) => sizeOf(shape) === 1;
  const scalarPlace = { offset: 0, plus: 0, splat: true };

  if (rows === 1) {
    const units = Math.ceil(count / FLAT_UNIT);
    return {
      units,
      emit: (f, begin, end) => {
        const hoisted = fused.hoist(f, isScalar, () => scalarPlace);
        const at = f.local("i32", i32.mul(begin, FLAT_UNIT * 4));
        const whole = count - (count % 8);
        const last = f.let(i32.min(i32.mul(end, FLAT_UNIT * 4), i32.const(whole * 4)));
        const body = (n: number) => {
          const spots = [0, 4].flatMap((k): Spot[] => {
            const locate = () => ({ offset: at, plus: k * 4, splat: false });
            return k < n ? [{ locate, full: at, plus: k * 4, lanes: Math.min(4, n - k), hoisted }] : [];
          });
          fused.emit(f, ...spots);
        };
        f.forUp(at, last, 32, () => body(8));
        if (count > whole) {
          f.if(i32.eq(end, units), () => {
            f.set(at, i32.const(whole * 4));
            body(count - whole);
          });
        }
      },
    };
  }

  return {
    units: rows,
    emit: (f, begin, end) => {
      const hoisted = fused.hoist(f, isScalar, () => scalarPlace);
      const row = f.local("i32", begin);
      const at = f.local("i32");
      f.forUp(row, end, 1, () => {
        // The place of the row in each kind of operand, and in the whole space.
        const starts = new Map<string, Local<"i32">>();
        const start = (shape: Shape): I32 => {
          const padded = padShape(shape, step.space.length);
          const own = padded.slice(0, split);
          const inner = sizeOf(padded.slice(split));
          const key = `${own}:${inner}`;
          let found = starts.get(key);
          if (!found) {
            found = f.let(rowStart(row, rowShape, own, inner));
            starts.set(key, found);
          }
          return found;
        };
        const full = f.let(i32.mul(row, count * 4));
        const splat = (shape: Shape) => count > 1 && sizeOf(padShape(shape, step.space.length).slice(split)) === 1;
        const inRow = fused.hoist(
          f,
          (shape) => splat(shape) && !isScalar(shape),
          (shape) => ({ offset: start(shape), plus: 0, splat: true }),
        );
        const all = new Map<Node, V128>([...hoisted, ...inRow]);
        for (const shape of shapes) if (!splat(shape) && !isScalar(shape)) start(shape);
        f.set(at, i32.const(0));
        columns(f, at, count, (lanes) => {
          const locate: Locate = (shape) => ({ offset: i32.add(start(shape), at), plus: 0, splat: false });
          fused.emit(f, { locate, full: f.let(i32.add(full, at)), plus: 0, lanes, hoisted: all });
        });
      });
    },
  };
}

/** The byte offset at which row number `row` of a space begins in an operand that does not vary along its axes of length 1. */
function rowStart(row: I32, rowShape: Shape, own: Shape, inner: number): I32 {
  const strides = stridesOf(own).map((stride, axis) => (own[axis] === 1 ? 0 : stride * inner * 4));
  let result: I32 = i32.const(0);
  let after = sizeOf(rowShape);
  for (const [axis, length] of rowShape.entries()) {
    after /= length;
    if (strides[axis] === 0) continue;
    const outer = after === 1 ? row : i32.divU(row, after);
    const index = axis === 0 ? outer : i32.remU(outer, length);
    result = i32.add(result, i32.mul(index, strides[axis]));
  }
  return result;
}

/**
 * Reduces along each row: [rows, count] → [rows]. A unit is a row. Long rows have four sums under way at once, and sums
 * are taken block by block, so that a long one does not swamp its own terms.
 */
function reduceColumns(step: Step, context: KernelContext, rows: number, count: number): Phase {
  const fused = new Fused(step, context);
  const block = 16384;
  const side = count >= 64 ? 4 : 1;
  const rest = count % (side * 4);
  const whole = count - rest;
  return {
    units: rows,
    emit: (f, begin, end) => {
      const row = f.local("i32", begin);
      const [at, stop, place] = [f.local("i32"), f.local("i32"), f.local("i32")];
      const rules = step.reductions.map((node) => ({
        node,
        rule: REDUCTIONS[node.op.name],
        total: f.local("v128"),
        partials: Array.from({ length: side }, () => f.local("v128")),
      }));
      f.forUp(row, end, 1, () => {
        const full = f.let(i32.mul(row, count * 4));
        const rowAt = f.let(i32.mul(row, 4));
        /** The next `n` elements, each four to a sum of its own. */
        const add = (n: number) => {
          f.set(place, i32.add(full, at));
          for (let from = 0; from < n; from += 8) {
            const spots = [from, from + 4].flatMap((k): Spot[] => {
              const plus = { full: k * 4, row: 0, column: k * 4 };
              const locate = locateInRows(step, { full: place, row: rowAt, column: at }, plus);
              return k < n ? [{ locate, full: place, plus: k * 4, lanes: Math.min(4, n - k) }] : [];
            });
            for (const [i, value] of fused.emit(f, ...spots).entries()) {
              for (const { node, rule, partials } of rules) {
                const x = value(node.inputs[0]);
                const partial = partials[from / 4 + i];
                f.set(partial, rule.combine(partial, keepLanes(x, spots[i].lanes!, rule.start)));
              }
            }
          }
        };
        const sumOf = (body: () => void) => {
          for (const { rule, partials } of rules) for (const p of partials) f.set(p, v128.constF32(rule.start));
          body();
          for (const { rule, total, partials } of rules) {
            for (const p of partials) f.set(total, rule.combine(total, p));
          }
        };
        for (const { rule, total } of rules) f.set(total, v128.constF32(rule.start));
        f.set(at, i32.const(0));
        f.while(i32.ltU(at, whole * 4), () => {
          f.set(stop, i32.min(f.let(i32.add(at, block * 4)), i32.const(whole * 4)));
          sumOf(() => f.forUp(at, stop, side * 16, () => add(side * 4)));
        });
        if (rest > 0) sumOf(() => add(rest));
        for (const { node, rule, total } of rules) {
          f.set(total, rule.combine(total, v128.shuffle32(total, total, [2, 3, 0, 1])));
          f.set(total, rule.combine(total, v128.shuffle32(total, total, [1, 0, 3, 2])));
          f.emit(f32.store(rowAt, f32x4.extractLane(total, 0), context.target(node)));
        }
      });
    },
  };
}

/** The first `lanes` of x, and `other` in the rest. */
function keepLanes(x: V128, lanes: number, other: number): V128 {
  if (lanes === 4) return x;
  const mask = [0, 1, 2, 3].map((lane) => (lane < lanes ? -1 : 0)) as [number, number, number, number];
  return v128.bitselect(x, v128.constF32(other), v128.constI32(...mask));
}

/** Sums are taken over so many rows at a time, so that a long one does not swamp its own terms. */
const ROW_BLOCK = 256;

/**
 * Reduces down the columns: [outer, count, inner] → [outer, inner]. A unit is a block of up to 16 columns. Memory is
 * gone through in its order: a few rows of all of a thread's columns, then the next few.
 */
function reduceRows(step: Step, context: KernelContext, outer: number, count: number, inner: number): Phase {
  const fused = new Fused(step, context);
  const width = step.reductions.length > 2 ? 8 : 16;
  const strips = cutColumns(inner, width);
  const blocks = strips.count;
  /** Rows whose sum is taken in registers: as many as lie within a kilobyte of each other. */
  const few = blocks === 1 ? ROW_BLOCK : Math.max(1, Math.floor(256 / inner));
  const partialBytes = blocks * width * 4;
  const scratch = divideScratch(context, 0, step.reductions.length * partialBytes);
  const rules = step.reductions.map((node) => ({ node, rule: REDUCTIONS[node.op.name] }));

  return {
    units: outer * blocks,
    emit: (f, begin, end, thread) => {
      const partials = scratch.own(f, thread);
      const unit = f.local("i32", begin);
      const last = f.local("i32");
      const first = f.local("i32");
      const [block, blockEnd, row, rowEnd] = [f.local("i32"), f.local("i32"), f.local("i32"), f.local("i32")];
      const column = f.local("i32");
      const full = f.local("i32");

      /** Goes through the thread's columns in the present one of the outer arrays. */
      const eachStrip = (body: (columnCount: number) => void): void => {
        const here = f.local("i32", unit);
        f.forUp(here, last, 1, () => {
          const strip = f.let(i32.remU(here, blocks));
          f.set(column, i32.mul(strips.column(strip), 4));
          strips.each(f, strip, body);
        });
      };

      const addFewRows = (columnCount: number): void => {
        const vectors = Array.from({ length: Math.ceil(columnCount / 4) }, (_, v) => v);
        const sums = rules.map(({ rule }) => vectors.map(() => f.local("v128", v128.constF32(rule.start))));
        const r = f.local("i32", row);
        f.forUp(r, rowEnd, 1, () => {
          const rowIndex = f.let(i32.add(first, r));
          f.set(full, i32.add(i32.mul(rowIndex, inner * 4), column));
          const rowAt = f.let(i32.mul(rowIndex, 4));
          for (let v = 0; v < vectors.length; v += 2) {
            const spots = vectors.slice(v, v + 2).map((v): Spot => {
              const plus = { full: v * 16, row: 0, column: v * 16 };
              const locate = locateInRows(step, { full, row: rowAt, column }, plus);
              return { locate, full, plus: v * 16, lanes: Math.min(4, columnCount - v * 4) };
            });
            for (const [i, value] of fused.emit(f, ...spots).entries()) {
              for (const [k, { node, rule }] of rules.entries()) {
                f.set(sums[k][v + i], rule.combine(sums[k][v + i], value(node.inputs[0])));
              }
            }
          }
        });
        const at = f.let(i32.add(partials, column));
        const partial = (k: number, v: number): number => k * partialBytes + v * 16;
        f.if(i32.ne(row, block), () => {
          for (const [k, { rule }] of rules.entries()) {
            for (const v of vectors) f.set(sums[k][v], rule.combine(sums[k][v], v128.load(at, partial(k, v))));
          }
        });
        for (const k of rules.keys()) for (const v of vectors) f.emit(v128.store(at, sums[k][v], partial(k, v)));
      };

      const addToResult = (columnCount: number): void => {
        const at = f.let(i32.add(i32.mul(i32.divU(unit, blocks), inner * 4), column));
        for (const [k, { node, rule }] of rules.entries()) {
          for (let v = 0; v * 4 < columnCount; v++) {
            const target = context.target(node) + v * 16;
            const sum = f.local("v128", v128.load(i32.add(partials, column), k * partialBytes + v * 16));
            f.if(block, () => f.set(sum, rule.combine(v128.load(at, target), sum)));
            storeFloats(f, target, at, sum, Math.min(4, columnCount - v * 4));
          }
        }
      };

      f.while(i32.ltU(unit, end), () => {
        const outerIndex = f.let(i32.divU(unit, blocks));
        f.set(last, i32.min(f.let(i32.mul(i32.add(outerIndex, 1), blocks)), end));
        f.set(first, i32.mul(outerIndex, count));
        f.set(block, i32.const(0));
        f.forUp(block, count, ROW_BLOCK, () => {
          f.set(blockEnd, i32.min(f.let(i32.add(block, ROW_BLOCK)), i32.const(count)));
          f.set(row, block);
          f.forUp(row, blockEnd, few, () => {
            f.set(rowEnd, i32.min(f.let(i32.add(row, few)), blockEnd));
            eachStrip(addFewRows);
          });
          eachStrip(addToResult);
        });
        f.set(unit, last);
      });
    },
  };
}
