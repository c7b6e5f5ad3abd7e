/**
 * Loops: steps of elementwise ops, which may end in reductions. One pass over memory, whatever the number of ops.
 */
import { padShape, type Shape, sizeOf, stridesOf } from "../../../graph/shape.ts";
import type { Step } from "../../../plan/plan.ts";
import {
  beyond,
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
import { fusedPart, type Locate, type Spot, spotInRows, storeFloats } from "../fused.ts";
import type { KernelContext, Phase } from "../kernel.ts";
import { cutColumns, divideScratch } from "./tile.ts";
import { eachColumn, eachUnit, rowStart } from "./walk.ts";

/** How a reduction puts two values together, and where it begins. */
interface Reduction {
  readonly start: number;
  combine(a: V128, b: V128): V128;
}

const REDUCTIONS: Readonly<Record<string, Reduction>> = {
  sum: { start: 0, combine: f32x4.add },
  max: { start: Number.NEGATIVE_INFINITY, combine: f32x4.max },
};

const rulesOf = ({ reductions }: Step) => reductions.map((node) => ({ node, ...REDUCTIONS[node.op.name] }));

export function loop(step: Step, context: KernelContext): Phase[] {
  const [first] = step.reductions;
  if (!first) return [elementwiseLoop(step, context)];
  const { meaning } = first.op;
  if (meaning.kind !== "structural" || !meaning.reduces) throw new Error(`${first.op.name} is not a reduction.`);
  const { outer, reduced, inner } = meaning.reduces(first.inputs, first.attributes as never);
  return [
    inner === 1 || reduced === 0
      ? reduceColumns(step, context, outer * inner, reduced)
      : reduceRows(step, context, outer, reduced, inner),
  ];
}

/** The elements that one unit of work takes when a loop goes straight through memory. */
const FLAT_UNIT = 256;

/**
 * Goes straight through a space of which every operand has all elements, or one, eight elements at a time. What `roots`
 * writes is done once, and what it gives for each eight: the values of the step's structural op there.
 */
export function flatLoop(
  step: Step,
  context: KernelContext,
  roots?: (f: FunctionBuilder) => (at: I32) => readonly V128[],
): Phase {
  const part = fusedPart(step, context);
  const count = sizeOf(step.space);
  const units = Math.ceil(count / FLAT_UNIT);
  const rest = count % 8;
  const whole = (count - rest) * 4;
  return {
    units,
    emit: (f, begin, end) => {
      const hoisted = part.hoistScalars(f);
      const rootsAt = roots?.(f);
      const eight = (at: I32, n: number) => {
        const root = rootsAt?.(at);
        const spots = [0, 4]
          .filter((k) => k < n)
          .map((k, i): Spot => {
            const spot = spotInRows(step, { full: at, row: 0, column: 0 }, k * 4);
            return { ...spot, root: root?.[i], lanes: Math.min(4, n - k), hoisted };
          });
        part.emit(f, ...spots);
      };
      const last = f.min(i32.mul(end, FLAT_UNIT * 4), whole);
      f.forUp(i32.mul(begin, FLAT_UNIT * 4), last, 32, (at) => eight(at, 8));
      if (rest > 0) f.if(i32.eq(end, units), () => eight(f.local("i32", whole), rest));
    },
  };
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
  const part = fusedPart(step, context);
  const { space } = step;
  const split = columnAxes(
    space,
    part.operands.map((x) => x.shape),
  );
  const rowShape = space.slice(0, split);
  const rows = sizeOf(rowShape);
  if (rows === 1) return flatLoop(step, context);
  const count = sizeOf(space.slice(split));
  return {
    units: rows,
    emit: (f, begin, end) => {
      const scalars = part.hoistScalars(f);
      f.forUp(begin, end, 1, (row) => {
        /** The place of the row in an operand, which does not vary along its axes of length 1. */
        const locate: Locate = (shape) => {
          const own = padShape(shape, space.length);
          const inner = sizeOf(own.slice(split));
          const steps = stridesOf(own).map((stride, axis) => (own[axis] === 1 ? 0 : stride * 4));
          return { offset: f.local("i32", rowStart(row, rowShape, steps)), plus: 0, splat: inner === 1 && count > 1 };
        };
        const places = new Map(
          part.operands.filter((x) => !scalars.has(x)).map(({ shape }) => [String(shape), locate(shape)]),
        );
        const placeOf = (shape: Shape) => places.get(String(shape));
        const full = f.let(i32.mul(row, count * 4));
        const hoisted = new Map([
          ...scalars,
          ...part.hoist(f, (shape) => (placeOf(shape)?.splat ? placeOf(shape) : undefined)),
        ]);
        eachColumn(f, count, (at, lanes) => {
          const locate: Locate = (shape) => {
            const place = placeOf(shape)!;
            return { ...place, offset: i32.add(place.offset, at) };
          };
          part.emit(f, { locate, full: f.let(i32.add(full, at)), plus: 0, lanes, hoisted });
        });
      });
    },
  };
}

/**
 * Reduces along each row: [rows, count] → [rows]. A unit is a row. Long rows have four sums under way at once, and sums
 * are taken block by block, so that a long one does not swamp its own terms.
 */
function reduceColumns(step: Step, context: KernelContext, rows: number, count: number): Phase {
  const part = fusedPart(step, context);
  const block = 16384;
  const side = count >= 64 ? 4 : 1;
  const rest = count % (side * 4);
  const whole = (count - rest) * 4;
  return eachUnit(rows, (f, unit) => {
    const rules = rulesOf(step).map((rule) => ({
      ...rule,
      total: f.local("v128", v128.constF32(rule.start)),
      partials: Array.from({ length: side }, () => f.local("v128")),
    }));
    const full = f.let(i32.mul(unit, count * 4));
    const row = f.let(i32.mul(unit, 4));
    /** The next `n` elements, each four to a sum of its own. */
    const add = (column: Int, n: number) => {
      const place = f.let(i32.add(full, column));
      for (let from = 0; from < n; from += 8) {
        const spots = [from, from + 4]
          .filter((k) => k < n)
          .map((k) => ({
            ...spotInRows(step, { full: place, row, column }, k * 4, k * 4),
            lanes: Math.min(4, n - k),
          }));
        for (const [i, value] of part.emit(f, ...spots).entries()) {
          for (const { node, start, combine, partials } of rules) {
            const sum = partials[from / 4 + i];
            f.set(sum, combine(sum, keepLanes(value(node.inputs[0]), spots[i].lanes, start)));
          }
        }
      }
    };
    const sumOf = (body: () => void) => {
      for (const { start, partials } of rules) for (const p of partials) f.set(p, v128.constF32(start));
      body();
      for (const { combine, total, partials } of rules) for (const p of partials) f.set(total, combine(total, p));
    };
    if (whole > 0)
      f.forUp(0, whole, block * 4, (from) => {
        const stop = f.min(i32.add(from, block * 4), whole);
        sumOf(() => f.forUp(from, stop, side * 16, (at) => add(at, side * 4)));
      });
    if (rest > 0) sumOf(() => add(whole, rest));
    for (const { node, combine, total } of rules) {
      for (const lanes of [
        [2, 3, 0, 1],
        [1, 0, 3, 2],
      ])
        f.set(total, combine(total, v128.shuffle32(total, total, lanes)));
      f.emit(f32.store(row, f32x4.extractLane(total, 0), context.address(node)));
    }
  });
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
  const part = fusedPart(step, context);
  const rules = rulesOf(step);
  const width = rules.length > 2 ? 8 : 16;
  const strips = cutColumns(inner, width);
  const blocks = strips.count;
  /** Rows whose sum is taken in registers: as many as lie within a kilobyte of each other. */
  const few = blocks === 1 ? ROW_BLOCK : Math.max(1, Math.floor(256 / inner));
  const partialBytes = blocks * width * 4;
  const scratch = divideScratch(context, 0, rules.length * partialBytes);

  return {
    units: outer * blocks,
    emit: (f, begin, end, thread) => {
      const partials = scratch.own(f, thread);
      const unit = f.local("i32", begin);

      f.while(i32.ltU(unit, end), () => {
        const outerIndex = f.let(i32.divU(unit, blocks));
        const first = f.let(i32.mul(outerIndex, count));
        const last = f.min(i32.mul(i32.add(outerIndex, 1), blocks), end);

        /** Goes through the thread's columns in the present one of the outer arrays; `column` is their byte offset. */
        const eachStrip = (body: (column: Local<"i32">, columnCount: number) => void) =>
          f.forUp(unit, last, 1, (here) => {
            const strip = f.let(i32.remU(here, blocks));
            strips.each(f, strip, (column, columnCount) => body(f.let(i32.mul(column, 4)), columnCount));
          });

        f.forUp(0, count, ROW_BLOCK, (block) => {
          const blockEnd = f.min(i32.add(block, ROW_BLOCK), count);
          f.forUp(block, blockEnd, few, (begin) => {
            const end = f.min(i32.add(begin, few), blockEnd);
            eachStrip((column, columnCount) => {
              const vectors = Array.from({ length: Math.ceil(columnCount / 4) }, (_, v) => v);
              const sums = rules.map(({ start }) => vectors.map(() => f.local("v128", v128.constF32(start))));
              f.forUp(begin, end, 1, (r) => {
                const rowIndex = f.let(i32.add(first, r));
                const full = f.let(i32.add(i32.mul(rowIndex, inner * 4), column));
                const row = f.let(i32.mul(rowIndex, 4));
                for (let v = 0; v < vectors.length; v += 2) {
                  const spots = vectors
                    .slice(v, v + 2)
                    .map((v) => spotInRows(step, { full, row, column }, v * 16, v * 16))
                    .map((spot, i) => ({ ...spot, lanes: Math.min(4, columnCount - (v + i) * 4) }));
                  for (const [i, value] of part.emit(f, ...spots).entries()) {
                    for (const [k, { node, combine }] of rules.entries()) {
                      f.set(sums[k][v + i], combine(sums[k][v + i], value(node.inputs[0])));
                    }
                  }
                }
              });
              const at = f.let(i32.add(partials, column));
              const each = (body: (sum: Local<"v128">, plus: number, rule: Reduction) => void): void => {
                for (const [k, rule] of rules.entries())
                  for (const v of vectors) body(sums[k][v], k * partialBytes + v * 16, rule);
              };
              f.if(i32.ne(begin, block), () =>
                each((sum, plus, { combine }) => f.set(sum, combine(sum, v128.load(at, plus)))),
              );
              each((sum, plus) => f.emit(v128.store(at, sum, plus)));
            });
          });
          eachStrip((column, columnCount) => {
            const at = f.let(i32.add(i32.mul(outerIndex, inner * 4), column));
            for (const [k, { node, combine }] of rules.entries()) {
              for (let v = 0; v * 4 < columnCount; v++) {
                const target = beyond(context.address(node), v * 16);
                const sum = f.local("v128", v128.load(i32.add(partials, column), k * partialBytes + v * 16));
                f.if(block, () => f.set(sum, combine(v128.load(at, target), sum)));
                storeFloats(f, target, at, sum, Math.min(4, columnCount - v * 4));
              }
            }
          });
        });
        f.set(unit, last);
      });
    },
  };
}
