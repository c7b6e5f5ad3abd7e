/**
 * What flows through an ONNX graph while it becomes one of ours: nodes with ONNX's type of elements. All numbers are
 * floats in our graphs; whole numbers stay whole in them (exact up to 2²⁴ in single precision), truth is 1.
 */

import { evaluate } from "../../backends/reference/reference.ts";
import { DataError } from "../../errors.ts";
import { constant, constantArray, fillValue, isConstant, isInput, isVariable } from "../../graph/leaf.ts";
import { type Node, topologicalOrder } from "../../graph/node.ts";
import { type Shape, showShape, sizeOf } from "../../graph/shape.ts";
import { add, ceil, floor, less, mul, select, sub, transpose } from "../../ops/index.ts";
import type { ElementType } from "./format.ts";
import type { OnnxTensor, PlainArray } from "./tensors.ts";

/** The order of axes that brings channels from the second place to the last, and the one that brings them back. */
const toLast = (rank: number): number[] => [0, ...Array.from({ length: rank - 2 }, (_, i) => i + 2), 1];
const toSecond = (rank: number): number[] => [0, rank - 1, ...Array.from({ length: rank - 2 }, (_, i) => i + 1)];

/** A value of the graph. Images of a convolution's result lie with their channels last until an op needs ONNX's order. */
export class Value {
  readonly type: ElementType;
  /** [B, C, …], as ONNX has it. */
  readonly #first: Node | undefined;
  /** [B, …, C]. */
  readonly #last: Node | undefined;

  constructor(node: Node, type: ElementType, channels: "second" | "last" = "second") {
    this.type = type;
    this.#first = channels === "second" ? node : undefined;
    this.#last = channels === "last" ? node : undefined;
  }

  /** The value in ONNX's order of axes. */
  get node(): Node {
    return this.#first ?? transpose(this.#last!, toSecond(this.#last!.shape.length));
  }

  /** The value with channels last: [B, …, C]. */
  get channelsLast(): Node {
    return this.#last ?? transpose(this.#first!, toLast(this.#first!.shape.length));
  }

  /** Whether it lies with channels last. */
  get isChannelsLast(): boolean {
    return !this.#first;
  }

  /** In ONNX's order of axes. */
  get shape(): Shape {
    if (this.#first) return this.#first.shape;
    const { shape } = this.#last!;
    return toSecond(shape.length).map((axis) => shape[axis]);
  }

  /** What an op that works element by element makes of it, however it lies. */
  map(change: (node: Node) => Node, type = this.type): Value {
    return this.#first ? new Value(change(this.#first), type) : new Value(change(this.#last!), type, "last");
  }

  /** Whether it depends on no input and no parameter. */
  get isConstant(): boolean {
    return isConstant(this.#first ?? this.#last!);
  }

  /** Its elements, where they do not depend on any input or parameter. */
  get known(): readonly number[] | undefined {
    const { node } = this;
    if (!isConstant(node)) return undefined;
    const fill = fillValue(node);
    return fill === undefined
      ? Array.from(constantArray(node)!)
      : Array.from({ length: sizeOf(node.shape) }, () => fill);
  }
}

/** A list of values, as operators for sequences pass it on. It is no array, and whoever takes it for one is told so. */
export class List extends Value {
  readonly items: readonly Value[];

  constructor(items: readonly Value[]) {
    super(constant(0), items[0]?.type ?? "float");
    this.items = items;
  }

  #noArray(): never {
    const facts = { length: this.items.length };
    throw new DataError(
      `A list of ${this.items.length} arrays stands where an operator takes an array.`,
      {},
      { code: "damaged-file", facts },
    );
  }

  override get node(): Node {
    return this.#noArray();
  }

  override get channelsLast(): Node {
    return this.#noArray();
  }

  override get shape(): Shape {
    return this.#noArray();
  }

  override map(): Value {
    return this.#noArray();
  }

  override get isConstant(): boolean {
    return this.items.every((item) => item.isConstant);
  }
}

export const isFloat = (type: ElementType): boolean => /float|double/.test(type);

/** The value of an array of the file. */
export const valueOfTensor = ({ shape, data, type }: Pick<OnnxTensor, "shape" | "data" | "type">): Value =>
  new Value(constant(data, shape), type);

export const valueOfArray = ({ shape, data, type }: PlainArray): Value =>
  new Value(constant(Float64Array.from(data, Number), shape), type);

/** Whole numbers as a value. */
export const integers = (values: readonly number[], shape: Shape = [values.length]): Value =>
  new Value(constant(Float64Array.from(values), shape), "int64");

/** The most elements of an array that is computed while a file is read: 2²⁶ doubles are half a gigabyte. */
const MOST_ELEMENTS = 2 ** 26;

/** What is computed from constants alone is computed at once. */
export function folded(value: Value): Value {
  if (value instanceof List) return new List(value.items.map(folded));
  const { node, type } = value;
  if (isConstant(node)) return value;
  const order = topologicalOrder([node]);
  // A graph inside an operator may look at values outside of it.
  if (order.some((each) => isInput(each) || isVariable(each))) return value;
  if (sizeOf(node.shape) > MOST_ELEMENTS)
    throw new DataError(
      `The file makes an array of shape ${showShape(node.shape)} out of constants; ${MOST_ELEMENTS} elements are the most. Is it damaged?`,
      {},
      { code: "out-of-memory", facts: { megabytes: Math.ceil((sizeOf(node.shape) * 8) / 2 ** 20) } },
    );
  const data = evaluate(order, "float64", noLeaf)(node);
  // One number everywhere is known as such, whatever the size of the batch.
  const isOne = data.length > 0 && data.every((value) => Object.is(value, data[0]));
  return new Value(constant(isOne ? data[0] : data, node.shape, node.dtype), type);
}

const noLeaf = (): never => {
  throw new Error("A constant depends on no input.");
};

/** The least and the largest number of a type. */
export function limitsOf(type: ElementType): readonly [number, number] {
  if (type === "bool") return [0, 1];
  const [, unsigned, bits] = /^(u?)int(\d+)$/.exec(type) ?? [];
  if (!bits) return [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
  return unsigned ? [0, 2 ** Number(bits) - 1] : [-(2 ** (Number(bits) - 1)), 2 ** (Number(bits) - 1) - 1];
}

/** Bytes begin again at 0 where they overflow. */
export function wrapped(node: Node, type: ElementType): Node {
  if (type !== "uint8" && type !== "int8") return node;
  const below = type === "int8" ? 128 : 0;
  return sub(node, mul(256, floor(mul(add(node, below), 1 / 256))));
}

/** x without its fraction, towards 0. */
export const truncated = (x: Node): Node => select(less(x, 0), ceil(x), floor(x));
