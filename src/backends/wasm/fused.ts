/**
 * The elementwise part of a step, emitted at one place of its space: loads the operands there, computes, stores what
 * others need. Kernels call it where their result is still in registers.
 */
import { fillValue } from "../../graph/leaf.ts";
import type { Node } from "../../graph/node.ts";
import { inputScalar } from "../../graph/scalar.ts";
import type { Shape } from "../../graph/shape.ts";
import { patternOf, type Step } from "../../plan/fuse.ts";
import {
  type FunctionBuilder,
  f32,
  f32x4,
  type I32,
  type Int,
  i16x8,
  i32,
  i32x4,
  type V128,
  v128,
} from "./assembler.ts";
import type { KernelContext } from "./kernel.ts";
import { renderScalar } from "./scalar.ts";

/**
 * Where an operand's element stands: so many 4-byte elements' bytes from the operand's beginning. `splat` operands
 * have one element for all four lanes.
 */
export interface Place {
  readonly offset: Int;
  /** Added to the offset; known when the code is written. */
  readonly plus: number;
  readonly splat: boolean;
}

/** Tells the place of an operand from its shape. */
export type Locate = (shape: Shape) => Place;

/** Where, and with what, the elementwise part is computed for four elements. */
export interface Spot {
  readonly locate: Locate;
  /** The byte offset of the spot in arrays of the step's whole space: a part known when the code runs, and one now. */
  readonly full: Int;
  readonly plus: number;
  /** The value of the step's structural op there. */
  readonly root?: V128;
  /** How many of the four elements are meant; default all. */
  readonly lanes?: number;
  /** Values that are known already. */
  readonly hoisted?: ReadonlyMap<Node, V128>;
}

/** The places in a space of rows and columns, from byte offsets (of 4-byte elements) of the current element. */
export function locateInRows(
  { space, split }: Step,
  at: { full: Int; row: Int; column: Int },
  plus: { full: number; row: number; column: number },
): Locate {
  return (shape) => {
    const pattern = patternOf(shape, space, split)!;
    if (pattern === "full") return { offset: at.full, plus: plus.full, splat: false };
    if (pattern === "perColumn") return { offset: at.column, plus: plus.column, splat: false };
    if (pattern === "perRow") return { offset: at.row, plus: plus.row, splat: true };
    return { offset: 0, plus: 0, splat: true };
  };
}

/** Loads four elements of any type as floats; bytes and integers are converted. Reading past a row's end is harmless. */
export function loadFloats(node: Node, address: number, { offset, plus, splat }: Place): V128 {
  if (node.dtype === "byte") {
    const at = address + plus / 4;
    const index: Int = typeof offset === "number" ? offset / 4 : i32.shrU(offset, 2);
    if (splat) return f32x4.splat(f32.convertI32(i32.load8u(index, at)));
    return f32x4.convertI32x4(i32x4.extendLowU16(i16x8.extendLowU8(v128.load32Zero(index, at))));
  }
  const bits = splat ? v128.load32Splat(offset, address + plus) : v128.load(offset, address + plus);
  return node.dtype === "int" ? f32x4.convertI32x4(bits) : bits;
}

/** Stores the first `lanes` of four floats. */
export function storeFloats(f: FunctionBuilder, address: number, offset: Int, value: V128, lanes: number): void {
  if (lanes === 4) {
    f.emit(v128.store(offset, value, address));
    return;
  }
  const vector = f.let(value);
  if (lanes >= 2) f.emit(v128.storeLane64(offset, vector, 0, address));
  if (lanes % 2 === 1) f.emit(v128.storeLane32(offset, vector, lanes - 1, address + (lanes - 1) * 4));
}

export class Fused {
  readonly #step: Step;
  readonly #context: KernelContext;
  readonly #own: ReadonlySet<Node>;
  readonly #stored: ReadonlySet<Node>;

  constructor(step: Step, context: KernelContext) {
    this.#step = step;
    this.#context = context;
    this.#own = new Set(step.nodes);
    this.#stored = new Set(step.writes);
  }

  /** The nodes from outside that the elementwise part reads. */
  operands(): Node[] {
    const { elementwise, reductions } = this.#step;
    const all = [...elementwise, ...reductions].flatMap((node) => node.inputs);
    return [...new Set(all.filter((x) => !this.#own.has(x) && fillValue(x) === undefined))];
  }

  /** Loads, once for many places, the operands that `locate` finds at the same place whatever the element. */
  hoist(f: FunctionBuilder, shapes: (shape: Shape) => boolean, locate: Locate): Map<Node, V128> {
    const loaded = new Map<Node, V128>();
    for (const x of this.operands()) {
      if (shapes(x.shape)) loaded.set(x, f.let(loadFloats(x, this.#context.address(x), locate(x.shape))));
    }
    return loaded;
  }

  /**
   * Computes the elementwise nodes at some places and stores those that are needed elsewhere. Neighbouring places are
   * loaded together and stored together, so that an engine that can widen vectors finds the pairs.
   * @returns for each place, the value of any node of the step, or operand of it, there
   */
  emit(f: FunctionBuilder, ...spots: readonly Spot[]): ((node: Node) => V128)[] {
    const values = spots.map(({ hoisted }) => new Map<Node, V128>(hoisted));
    const valueAt = (i: number, x: Node): V128 => {
      const known = values[i].get(x);
      if (known) return known;
      const fill = fillValue(x);
      const value =
        fill === undefined
          ? f.let(loadFloats(x, this.#context.address(x), spots[i].locate(x.shape)))
          : f.constant(v128.constF32(fill));
      values[i].set(x, value);
      return value;
    };
    const finish = (node: Node, compute: (i: number) => V128): void => {
      for (const i of spots.keys()) values[i].set(node, f.let(compute(i)));
      if (!this.#stored.has(node)) return;
      for (const [i, { full, plus, lanes = 4 }] of spots.entries()) {
        storeFloats(f, this.#context.target(node) + plus, full, values[i].get(node)!, lanes);
      }
    };
    const { root, elementwise } = this.#step;
    if (root && spots[0].root) finish(root, (i) => spots[i].root!);
    for (const node of elementwise) {
      const { meaning } = node.op;
      if (meaning.kind !== "elementwise") continue;
      const scalar = meaning.scalar(node.attributes as never, ...node.inputs.map((_, i) => inputScalar(i)));
      for (const x of node.inputs) for (const i of spots.keys()) valueAt(i, x);
      finish(node, (i) =>
        renderScalar(
          f,
          scalar,
          node.inputs.map((x) => valueAt(i, x)),
          this.#context.madd,
        ),
      );
    }
    return spots.map((_, i) => (node: Node) => valueAt(i, node));
  }
}

/** A byte offset that is known only when the code runs, or a number. */
export const offsetOf = (index: I32, bytes: number): I32 => (bytes === 1 ? index : i32.mul(index, bytes));
