/** One node of an ONNX graph as its operator sees it: operands, attributes, and the errors that name it. */
import { ArgumentError, DataError } from "../../errors.ts";
import type { Node } from "../../graph/node.ts";
import type { Shape } from "../../graph/shape.ts";
import type { AttributeProto, GraphProto, NodeProto } from "./format.ts";
import { type OnnxTensor, readTensor } from "./tensors.ts";
import type { Value } from "./value.ts";

const utf8 = new TextDecoder();

/** The name of a node for messages: its own, or that of its first result. */
export const nodeName = ({ name, output }: NodeProto): string => name || (output?.find(Boolean) ?? "");

export class Call {
  readonly proto: NodeProto;
  /** The version of the operator set. */
  readonly version: number;
  readonly inputs: readonly (Value | undefined)[];
  /** Whether batch statistics are taken, and dropout drops, where the node leaves it to the caller. */
  readonly training: boolean;
  /** Runs a graph that is an attribute, on these values. */
  readonly runGraph: (graph: GraphProto, inputs: readonly Value[]) => Value[];
  readonly #attributes: ReadonlyMap<string, AttributeProto>;

  constructor(
    proto: NodeProto,
    inputs: readonly (Value | undefined)[],
    context: { version: number; training: boolean; runGraph: Call["runGraph"] },
  ) {
    this.proto = proto;
    this.inputs = inputs;
    this.version = context.version;
    this.training = context.training;
    this.runGraph = context.runGraph;
    this.#attributes = new Map(proto.attribute?.map((attribute) => [attribute.name, attribute]));
  }

  /** How many results are wanted, empty names left out at the end. */
  get outputs(): number {
    return (this.proto.output ?? []).reduce((last, name, i) => (name ? i + 1 : last), 0);
  }

  has(attribute: string): boolean {
    return this.#attributes.has(attribute);
  }

  number(name: string, otherwise: number): number {
    const { i, f } = this.#attributes.get(name) ?? {};
    return i ?? f ?? (this.has(name) ? 0 : otherwise);
  }

  numbers(name: string): readonly number[] | undefined {
    const attribute = this.#attributes.get(name);
    return attribute && (attribute.ints ?? attribute.floats ?? []);
  }

  text(name: string, otherwise: string): string {
    const s = this.#attributes.get(name)?.s;
    return s ? utf8.decode(s) : otherwise;
  }

  texts(name: string): readonly string[] | undefined {
    return this.#attributes.get(name)?.strings?.map((s) => utf8.decode(s));
  }

  tensor(name: string): OnnxTensor | undefined {
    const t = this.#attributes.get(name)?.t;
    return t && readTensor(t);
  }

  graph(name: string): GraphProto {
    return this.#attributes.get(name)?.g ?? this.fail(`its attribute "${name}" is missing`);
  }

  /** An operand that must be there. */
  value(i: number): Value {
    return this.inputs[i] ?? this.fail(`its operand number ${i + 1} is missing`);
  }

  /** The node of an operand that must be there, in ONNX's order of axes. */
  node(i: number): Node {
    return this.value(i).node;
  }

  optional(i: number): Value | undefined {
    return this.inputs[i];
  }

  /** The elements of an operand that decides shapes, and so must not depend on inputs; undefined if it is absent. */
  known(i: number): readonly number[] | undefined {
    const value = this.inputs[i];
    if (!value) return undefined;
    const { known } = value;
    if (known) return known;
    const operand = this.proto.input?.[i] ?? "";
    throw new ArgumentError(
      `${this.title}: its operand "${operand}" decides what is computed, and must be known when the model is read. Give it as a constant: { constants: { ${JSON.stringify(operand)}: [...] } }.`,
      { code: "needs-constant", facts: { input: operand, node: nodeName(this.proto) } },
    );
  }

  /** The numbers of an attribute, or of an operand that is known, as newer versions have it. */
  knownOr(attribute: string, i: number): readonly number[] | undefined {
    return this.numbers(attribute) ?? this.known(i);
  }

  /** The number of an axis from the front. */
  axis(axis: number, { length }: Shape): number {
    const positive = axis < 0 ? axis + length : axis;
    if (positive >= 0 && positive < Math.max(1, length)) return positive;
    return this.fail(`axis ${axis} of an array of ${length} axes`);
  }

  get title(): string {
    return `${this.proto.opType} (${nodeName(this.proto)})`;
  }

  /** Throws a `DataError` that names the node. */
  fail(what: string): never {
    const facts = { operator: this.proto.opType, node: nodeName(this.proto) };
    throw new DataError(`${this.title}: ${what}.`, {}, { code: "unknown-operator", facts });
  }
}

/** What an operator makes of its operands: its results, as many as are wanted at most. */
export type Operator = (call: Call) => Value | readonly Value[];
export type Operators = Readonly<Record<string, Operator>>;
