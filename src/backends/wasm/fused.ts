/**
 * The elementwise part of a step, emitted at one place of its space: loads the operands there, computes, stores what
 * others need. Kernels call it where their result is still in registers.
 */
import { fillValue } from "../../graph/leaf.ts";
import type { Node } from "../../graph/node.ts";
import { inputScalar } from "../../graph/scalar.ts";
import { type Shape, sizeOf } from "../../graph/shape.ts";
import { patternOf } from "../../plan/operands.ts";
import type { Step } from "../../plan/plan.ts";
import {
  type Address,
  beyond,
  type FunctionBuilder,
  f32x4,
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

const SCALAR: Place = { offset: 0, plus: 0, splat: true };

/**
 * A spot in a space of rows and columns: `at` are the byte offsets (of 4-byte elements) of an element in what varies over
 * the whole space, by row and by column; the others, known when the code is written, lead from there to the spot.
 */
export const spotInRows = (
  { space, split }: Step,
  at: { full: Int; row: Int; column: Int },
  full = 0,
  column = 0,
  row = 0,
): Spot => ({
  full: at.full,
  plus: full,
  locate: (shape) =>
    ({
      full: { offset: at.full, plus: full, splat: false },
      perColumn: { offset: at.column, plus: column, splat: false },
      perRow: { offset: at.row, plus: row, splat: true },
      scalar: SCALAR,
    })[patternOf(shape, space, split)!],
});

/** Four bytes, or one four times, as floats. */
export const loadBytes = (index: Int, address: Address, splat = false): V128 =>
  f32x4.convertI32x4(
    i32x4.extendLowU16(i16x8.extendLowU8((splat ? v128.load8Splat : v128.load32Zero)(index, address))),
  );

/** Loads four elements of any type as floats; bytes and integers are converted. Reading past a row's end is harmless. */
function loadFloats(node: Node, address: Address, meetings: Meetings, { offset, plus, splat }: Place): V128 {
  if (node.dtype === "byte")
    return loadBytes(typeof offset === "number" ? offset / 4 : i32.shrU(offset, 2), beyond(address, plus / 4), splat);
  const [at, from] = meetings.at(node, offset, plus);
  const bits = (splat ? v128.load32Splat : v128.load)(from, at);
  return node.dtype === "int" ? f32x4.convertI32x4(bits) : bits;
}

/**
 * Where arrays meet offsets while the code of one place is written. An array whose address is known only when the code runs is
 * added to an offset once, so that neighbouring accesses differ in nothing but a number that is known: V8 joins no others
 * to 256 bits.
 */
class Meetings {
  readonly #f: FunctionBuilder;
  readonly #sums = new Map<Address, Map<Int, Int>>();
  readonly #addresses = new Map<Node, Address>();
  readonly #address: (node: Node) => Address;

  constructor(f: FunctionBuilder, address: (node: Node) => Address) {
    this.#f = f;
    this.#address = address;
  }

  /** An address and an offset that together are the place of an array's element `offset` bytes, and `plus`, from its start. */
  at(node: Node, offset: Int, plus: number): [Address, Int] {
    let address = this.#addresses.get(node);
    if (address === undefined) {
      address = this.#address(node);
      this.#addresses.set(node, address);
    }
    if (typeof address === "number" || typeof offset === "number") return [beyond(address, plus), offset];
    const sums = this.#sums.get(address) ?? new Map<Int, Int>();
    this.#sums.set(address, sums);
    let sum = sums.get(offset);
    if (sum === undefined) {
      sum = this.#f.let(i32.add(offset, address.base));
      sums.set(offset, sum);
    }
    return [address.plus + plus, sum];
  }
}

/** Stores the first `lanes` of four floats. */
export function storeFloats(f: FunctionBuilder, address: Address, offset: Int, value: V128, lanes = 4): void {
  if (lanes === 4) {
    f.emit(v128.store(offset, value, address));
    return;
  }
  const vector = f.let(value);
  if (lanes >= 2) f.emit(v128.storeLane64(offset, vector, 0, address));
  if (lanes % 2 === 1) f.emit(v128.storeLane32(offset, vector, lanes - 1, beyond(address, (lanes - 1) * 4)));
}

export type Fused = ReturnType<typeof fusedPart>;

export function fusedPart({ root, nodes, elementwise, reductions, writes }: Step, { madd, address }: KernelContext) {
  const inputs = [...elementwise, ...reductions].flatMap((node) => node.inputs);
  /** The nodes from outside that the elementwise part reads. */
  const operands = [...new Set(inputs)].filter((x) => !nodes.includes(x) && fillValue(x) === undefined);

  /** Loads, once for many places, the operands for which `locate` gives a place. */
  const hoist = (f: FunctionBuilder, locate: (shape: Shape) => Place | undefined): Map<Node, V128> => {
    const loaded = new Map<Node, V128>();
    const meetings = new Meetings(f, address);
    for (const x of operands) {
      const place = locate(x.shape);
      if (place) loaded.set(x, f.let(loadFloats(x, address(x), meetings, place)));
    }
    return loaded;
  };

  return {
    operands,
    hoist,

    /** Loads the operands of one element. */
    hoistScalars: (f: FunctionBuilder) => hoist(f, (shape) => (sizeOf(shape) === 1 ? SCALAR : undefined)),

    /**
     * Computes the elementwise nodes at some places and stores those that are needed elsewhere. Neighbouring places are
     * loaded together and stored together, so that an engine that can widen vectors finds the pairs.
     * @returns for each place, the value of any node of the step, or operand of it, there
     */
    emit(f: FunctionBuilder, ...spots: readonly Spot[]): ((node: Node) => V128)[] {
      const meetings = new Meetings(f, address);
      const values = spots.map(({ hoisted }) => new Map<Node, V128>(hoisted));
      const valuesOf = spots.map(({ locate }, i) => (x: Node): V128 => {
        let value = values[i].get(x);
        if (!value) {
          const fill = fillValue(x);
          value =
            fill === undefined
              ? f.let(loadFloats(x, address(x), meetings, locate(x.shape)))
              : f.constant(v128.constF32(fill));
          values[i].set(x, value);
        }
        return value;
      });
      const finish = (node: Node, compute: (i: number) => V128): void => {
        for (const i of spots.keys()) values[i].set(node, f.let(compute(i)));
        if (!writes.includes(node)) return;
        for (const [i, { full, plus, lanes }] of spots.entries())
          storeFloats(f, ...meetings.at(node, full, plus), valuesOf[i](node), lanes);
      };
      if (root && spots[0].root) finish(root, (i) => spots[i].root!);
      for (const node of elementwise) {
        const { meaning } = node.op;
        if (meaning.kind !== "elementwise") continue;
        const scalar = meaning.scalar(node.attributes as never, ...node.inputs.map((_, i) => inputScalar(i)));
        for (const x of node.inputs) for (const at of valuesOf) at(x);
        finish(node, (i) => renderScalar(f, scalar, node.inputs.map(valuesOf[i]), madd));
      }
      return valuesOf;
    },
  };
}
