/**
 * Loops: steps of elementwise ops, which may end in reductions. One pass over memory, whatever the number of ops.
 */
import type { Node } from "../../../graph/node.ts";
import { padShape, type Shape, sizeOf, stridesOf } from "../../../graph/shape.ts";
import type { Step } from "../../../plan/fuse.ts";
import { type FunctionBuilder, f32, f32x4, type I32, i32, type Local, type V128, v128 } from "../assembler.ts";
import { Fused, type Locate, locateInRows, offsetOf, storeFloats } from "../fused.ts";
import type { KernelContext, Phase } from "../kernel.ts";

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
        const whole = (count - (count % 4)) * 4;
        const last = f.let(i32.min(i32.mul(end, FLAT_UNIT * 4), i32.const(whole)));
        const body = (lanes: number) =>
          fused.emit(f, { locate: () => ({ offset: at, plus: 0, splat: false }), full: at, plus: 0, lanes, hoisted });
        f.forUp(at, last, 16, () => body(4));
        if (count % 4 > 0) {
          f.if(i32.eq(end, units), () => {
            f.set(at, i32.const(whole));
            body(count % 4);
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

/** Reduces along each row: [rows, count] → [rows]. A unit is a row. */
function reduceColumns(step: Step, context: KernelContext, rows: number, count: number): Phase {
  const fused = new Fused(step, context);
  const block = 4096;
  return {
    units: rows,
    emit: (f, begin, end) => {
      const row = f.local("i32", begin);
      const at = f.local("i32");
      const stop = f.local("i32");
      const rules = step.reductions.map((node) => ({
        node,
        rule: REDUCTIONS[node.op.name],
        total: f.local("v128"),
        partial: f.local("v128"),
      }));
      f.forUp(row, end, 1, () => {
        const full = f.let(i32.mul(row, count * 4));
        const rowAt = f.let(i32.mul(row, 4));
        const place = f.local("i32");
        const body = (lanes: number) => {
          f.set(place, i32.add(full, at));
          const locate = locateInRows(step, { full: place, row: rowAt, column: at }, { full: 0, row: 0, column: 0 });
          const [value] = fused.emit(f, { locate, full: place, plus: 0, lanes });
          for (const { node, rule, partial } of rules) {
            const x = value(node.inputs[0]);
            f.set(partial, rule.combine(partial, lanes === 4 ? x : keepLanes(x, lanes, rule.start)));
          }
        };
        for (const { rule, total } of rules) f.set(total, v128.constF32(rule.start));
        f.set(at, i32.const(0));
        const whole = (count - (count % 4)) * 4;
        // Sums are taken block by block, so that a long one does not swamp its own terms.
        f.while(i32.ltU(at, whole), () => {
          for (const { rule, partial } of rules) f.set(partial, v128.constF32(rule.start));
          f.set(stop, i32.min(f.let(i32.add(at, block * 4)), i32.const(whole)));
          f.forUp(at, stop, 16, () => body(4));
          for (const { rule, total, partial } of rules) f.set(total, rule.combine(total, partial));
        });
        if (count % 4 > 0) {
          for (const { rule, partial } of rules) f.set(partial, v128.constF32(rule.start));
          body(count % 4);
          for (const { rule, total, partial } of rules) f.set(total, rule.combine(total, partial));
        }
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
  const mask = [0, 1, 2, 3].map((lane) => (lane < lanes ? -1 : 0)) as [number, number, number, number];
  return v128.bitselect(x, v128.constF32(other), v128.constI32(...mask));
}

/** Reduces down the columns: [outer, count, inner] → [outer, inner]. A unit is a block of up to 16 columns. */
function reduceRows(step: Step, context: KernelContext, outer: number, count: number, inner: number): Phase {
  const fused = new Fused(step, context);
  const width = step.reductions.length > 2 ? 8 : 16;
  const blocks = Math.ceil(inner / width);
  const rowBlock = 256;
  return {
    units: outer * blocks,
    emit: (f, begin, end) => {
      const unit = f.local("i32", begin);
      const row = f.local("i32");
      const stop = f.local("i32");
      const full = f.local("i32");
      f.forUp(unit, end, 1, () => {
        const first = f.let(i32.mul(i32.divU(unit, blocks), count));
        const column = f.let(offsetOf(i32.remU(unit, blocks), width * 4));
        const strip = (columnCount: number) => {
          const vectors = Math.ceil(columnCount / 4);
          const lanesOf = (v: number) => Math.min(4, columnCount - v * 4);
          const rules = step.reductions.map((node) => ({
            node,
            rule: REDUCTIONS[node.op.name],
            totals: Array.from({ length: vectors }, () => f.local("v128")),
            partials: Array.from({ length: vectors }, () => f.local("v128")),
          }));
          for (const { rule, totals } of rules) for (const t of totals) f.set(t, v128.constF32(rule.start));
          f.set(row, i32.const(0));
          f.while(i32.ltU(row, count), () => {
            for (const { rule, partials } of rules) for (const p of partials) f.set(p, v128.constF32(rule.start));
            f.set(stop, i32.min(f.let(i32.add(row, rowBlock)), i32.const(count)));
            f.forUp(row, stop, 1, () => {
              const rowIndex = f.let(i32.add(first, row));
              f.set(full, i32.add(i32.mul(rowIndex, inner * 4), column));
              const rowAt = f.let(i32.mul(rowIndex, 4));
              for (let v = 0; v < vectors; v++) {
                const plus = { full: v * 16, row: 0, column: v * 16 };
                const locate = locateInRows(step, { full, row: rowAt, column }, plus);
                const [value] = fused.emit(f, { locate, full, plus: v * 16, lanes: lanesOf(v) });
                for (const { node, rule, partials } of rules) {
                  f.set(partials[v], rule.combine(partials[v], value(node.inputs[0])));
                }
              }
            });
            for (const { rule, totals, partials } of rules) {
              for (let v = 0; v < vectors; v++) f.set(totals[v], rule.combine(totals[v], partials[v]));
            }
          });
          const at = f.let(i32.add(i32.mul(i32.divU(unit, blocks), inner * 4), column));
          for (const { node, totals } of rules) {
            for (let v = 0; v < vectors; v++) storeFloats(f, context.target(node) + v * 16, at, totals[v], lanesOf(v));
          }
        };
        const rest = inner % width;
        if (rest === 0) strip(width);
        else if (blocks === 1) strip(rest);
        else
          f.if(
            i32.eq(i32.remU(unit, blocks), blocks - 1),
            () => strip(rest),
            () => strip(width),
          );
      });
    },
  };
}
