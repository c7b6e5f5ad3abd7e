/** Writes an ONNX graph node by node: names, arrays that are written once, sizes that hang on the batch. */
import type { Shape } from "../../graph/shape.ts";
import { isQuantized, quantize, type WeightType } from "../weights.ts";
import type { AttributeProto, ElementType, NodeProto, TensorProto } from "./format.ts";
import { writeTensor } from "./tensors.ts";

export type AttributeValue = number | string | readonly number[];

export class GraphBuilder {
  readonly nodes: NodeProto[] = [];
  readonly arrays: TensorProto[] = [];
  readonly version: number;
  /** The batch that the graph was built for: sizes that are multiples of it grow with the batch. */
  readonly #batch: number;
  readonly #input: string;
  readonly #names = new Map<string, number>();
  readonly #constants = new Map<string, string>();
  #size: string | undefined;

  readonly #weights: WeightType;

  /** @param names those of the graph's inputs and outputs, an input first */
  constructor(version: number, names: readonly string[], batch: number, weights: WeightType) {
    this.version = version;
    this.#weights = weights;
    this.#input = names[0];
    this.#batch = batch;
    for (const name of names) this.fresh(name);
  }

  /** A name that nothing else has. */
  fresh(wanted: string): string {
    const name = wanted || "value";
    const number = this.#names.get(name) ?? 0;
    this.#names.set(name, number + 1);
    return number === 0 ? name : this.fresh(`${name}_${number}`);
  }

  /** Adds a node of one result, and gives its name. */
  add(
    op: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, AttributeValue | undefined>> = {},
    name = op.toLowerCase(),
  ): string {
    const output = this.fresh(name);
    const attribute = Object.entries(attributes).flatMap(([key, value]) =>
      value === undefined ? [] : [attributeOf(key, value)],
    );
    this.nodes.push({ opType: op, name: output, input: [...inputs], output: [output], attribute });
    return output;
  }

  /** An array of floats. */
  array(name: string, data: Float32Array | Float64Array, shape: Shape): string {
    return this.#stored(name, "float", data, shape);
  }

  #stored(name: string, type: ElementType, data: ArrayLike<number>, shape: Shape): string {
    const own = this.fresh(name);
    this.arrays.push(writeTensor({ name: own, type, shape, data }));
    return own;
  }

  /**
   * A weight, which lies in the file as the graph's weights do and is made floats again where it is read.
   * @param axis the axis of its columns, each of which has a scale of its own in 8 bits
   */
  weight(name: string, data: Float32Array, shape: Shape, axis: number): string {
    const type = this.#weights;
    if (type === "float32" || (type === "int8" && !isQuantized(shape))) return this.array(name, data, shape);
    if (type !== "int8") return this.add("Cast", [this.#stored(name, type, data, shape)], { to: 1 }, `${name}.float`);
    const { values, scales } = quantize(data, shape, axis);
    const operands = [this.#stored(name, "int8", values, shape), this.array(`${name}.scale`, scales, [scales.length])];
    return this.add("DequantizeLinear", operands, { axis }, `${name}.float`);
  }

  /** A number, or several whole ones; each array is written once. */
  constant(
    values: number | readonly number[],
    type: "float" | "int64" = Array.isArray(values) ? "int64" : "float",
  ): string {
    const list = typeof values === "number" ? [values] : values;
    const shape = typeof values === "number" ? [] : [list.length];
    const key = `${type}:${shape}:${list.map((value) => (Object.is(value, -0) ? "-0" : value))}`;
    let name = this.#constants.get(key);
    if (!name) {
      name = this.fresh(type === "float" ? "number" : "numbers");
      this.arrays.push(writeTensor({ name, type, shape, data: Float64Array.from(list) }));
      this.#constants.set(key, name);
    }
    return name;
  }

  /** Leaves out what none of the results needs. */
  prune(results: readonly string[]): void {
    const needed = new Set(results);
    for (const { input = [], output = [] } of this.nodes.toReversed())
      if (output.some((name) => needed.has(name))) for (const name of input) needed.add(name);
    const kept = this.nodes.filter(({ output = [] }) => output.some((name) => needed.has(name)));
    this.nodes.splice(0, this.nodes.length, ...kept);
    const arrays = this.arrays.filter(({ name = "" }) => needed.has(name));
    this.arrays.splice(0, this.arrays.length, ...arrays);
  }

  /** Whether a size grows with the batch. */
  grows(size: number): boolean {
    return size > 0 && size % this.#batch === 0;
  }

  /** A shape as an operand, for `Reshape`: at most one size that grows may stand as −1. */
  shape(shape: Shape): string {
    const growing = shape.filter((n) => this.grows(n)).length;
    if (growing === 1) return this.constant(shape.map((n) => (this.grows(n) ? -1 : n)));
    return this.wholeShape(shape);
  }

  /** A shape as an operand, every size written out. */
  wholeShape(shape: Shape): string {
    if (!shape.some((n) => this.grows(n))) return this.constant(shape);
    const size = this.#batchSize();
    const parts = shape.map((n) => {
      if (!this.grows(n)) return this.constant([n]);
      return n === this.#batch ? size : this.add("Mul", [size, this.constant([n / this.#batch])]);
    });
    return parts.length === 1 ? parts[0] : this.add("Concat", parts, { axis: 0 }, "shape");
  }

  /** The size of the batch as an array of one number. Before version 15 the operator gives the whole shape alone. */
  #batchSize(): string {
    this.#size ??=
      this.version >= 15
        ? this.add("Shape", [this.#input], { start: 0, end: 1 }, "batch_size")
        : this.add(
            "Slice",
            [this.add("Shape", [this.#input]), this.constant([0]), this.constant([1])],
            {},
            "batch_size",
          );
    return this.#size;
  }
}

const INT = 2;
const FLOAT = 1;
const STRING = 3;
const INTS = 7;

/** Attributes that are floats even where their value is whole. */
const FLOATS = new Set(["alpha", "beta", "epsilon", "value_float"]);

function attributeOf(name: string, value: AttributeValue): AttributeProto {
  if (typeof value === "string") return { name, type: STRING, s: new TextEncoder().encode(value) };
  if (typeof value !== "number") return { name, type: INTS, ints: [...value] };
  return FLOATS.has(name) ? { name, type: FLOAT, f: value } : { name, type: INT, i: value };
}
