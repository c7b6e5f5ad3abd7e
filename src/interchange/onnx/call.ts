/** One node of an ONNX graph as its operator sees it: operands, attributes, and the errors that name it. */
import { ArgumentError, DataError } from "../../errors.ts";
import type { Node } from "../../graph/node.ts";
import type { Shape } from "../../graph/shape.ts";
import { type ElementType, TYPE_NAMES } from "./format.ts";
import type { PlainArray } from "./tensors.ts";
import type { Value } from "./value.ts";

/** What an attribute holds. */
export type Attribute = number | string | readonly number[] | readonly string[] | PlainArray | OnnxSubgraph;
export type NodeAttributes = Readonly<Record<string, Attribute>>;

/** A node, as plain data. An input or output that is left out has an empty name. */
export interface OnnxNode {
  /** The operator; one of no standard has its domain before it, `com.example.Fold`. */
  readonly op: string;
  readonly name: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: NodeAttributes;
  /** In a function, the attributes that are those of the call, by their names here. */
  readonly taken?: Readonly<Record<string, string>>;
}

/** A graph that is an attribute. */
export interface OnnxSubgraph {
  readonly nodes: readonly OnnxNode[];
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly arrays: Readonly<Record<string, PlainArray>>;
}

/** The attribute of a node whose weights, or whose flattened images, lie as ours do; no file has it. */
export const OURS = "chainrule";

/** The name of a node for messages: its own, or that of its first result. */
export const nodeName = ({ name, outputs }: OnnxNode): string => name || (outputs.find(Boolean) ?? "");

/** What a network that trains has for the operators that then work otherwise. */
export interface TrainingStep {
  /** Uniform random numbers in [0, 1), new in every step. */
  uniform(shape: Shape): Node;
  /** Sets an array of the graph, such as a running mean, to a new value after the step. */
  update(array: string, value: Node): void;
}

/** Whether a graph trains: a step of training, or none; where neither is said, the file says it. */
export type Mode = TrainingStep | "inference" | undefined;

interface CallContext {
  /** The version of the operators. */
  readonly version: number;
  readonly mode: Mode;
  readonly batch?: { readonly written: number; readonly now: number } | undefined;
  /** Runs a graph that is an attribute, on these values. */
  readonly runGraph: (graph: OnnxSubgraph, inputs: readonly Value[]) => Value[];
}

export class Call {
  readonly node: OnnxNode;
  readonly inputs: readonly (Value | undefined)[];
  readonly version: number;
  readonly mode: Mode;
  readonly batch: CallContext["batch"];
  readonly runGraph: CallContext["runGraph"];

  constructor(node: OnnxNode, inputs: readonly (Value | undefined)[], context: CallContext) {
    this.node = node;
    this.inputs = inputs;
    this.version = context.version;
    this.mode = context.mode;
    this.batch = context.batch;
    this.runGraph = context.runGraph;
  }

  /** How many results are wanted, empty names left out at the end. */
  get outputs(): number {
    return this.node.outputs.reduce((last, name, i) => (name ? i + 1 : last), 0);
  }

  #attribute(name: string): Attribute | undefined {
    return this.has(name) ? this.node.attributes[name] : undefined;
  }

  has(attribute: string): boolean {
    return Object.hasOwn(this.node.attributes, attribute);
  }

  number(name: string, otherwise: number): number {
    const value = this.#attribute(name);
    return typeof value === "number" ? value : otherwise;
  }

  #list<T>(name: string): readonly T[] | undefined {
    const value = this.#attribute(name);
    return Array.isArray(value) ? value : undefined;
  }

  numbers = (name: string): readonly number[] | undefined => this.#list(name);
  texts = (name: string): readonly string[] | undefined => this.#list(name);

  text(name: string, otherwise: string): string {
    const value = this.#attribute(name);
    return typeof value === "string" ? value : otherwise;
  }

  array(name: string): PlainArray | undefined {
    const value = this.#attribute(name);
    return typeof value === "object" && "data" in value ? value : undefined;
  }

  graph(name: string): OnnxSubgraph {
    const value = this.#attribute(name);
    return typeof value === "object" && "nodes" in value ? value : this.fail(`its attribute "${name}" is missing`);
  }

  /** An operand that must be there. */
  value(i: number): Value {
    return this.inputs[i] ?? this.fail(`its operand number ${i + 1} is missing`);
  }

  /** The node of an operand that must be there, in ONNX's order of axes. */
  operand(i: number): Node {
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
    const operand = this.node.inputs[i] ?? "";
    throw new ArgumentError(
      `${this.title}: its operand "${operand}" decides what is computed, and must be known when the model is read. Give it as a constant: { constants: { ${JSON.stringify(operand)}: [...] } }.`,
      { code: "needs-constant", facts: { input: operand, node: nodeName(this.node) } },
    );
  }

  /** The numbers of an attribute, or of an operand that is known, as newer versions have it. */
  knownOr(attribute: string, i: number): readonly number[] | undefined {
    return this.numbers(attribute) ?? this.known(i);
  }

  /** The type of elements that a number of an attribute stands for. */
  type(number: number): ElementType {
    const type = (TYPE_NAMES as Readonly<Record<number, ElementType>>)[number];
    return type ?? this.fail(`elements of type number ${number}, which are not computed with`);
  }

  /** The number of an axis from the front. */
  axis(axis: number, { length }: Shape): number {
    const positive = axis < 0 ? axis + length : axis;
    if (positive >= 0 && positive < Math.max(1, length)) return positive;
    return this.fail(`axis ${axis} of an array of ${length} axes`);
  }

  /** The same call with other operands. */
  with(inputs: readonly (Value | undefined)[]): Call {
    return new Call(this.node, inputs, this);
  }

  get title(): string {
    return `${this.node.op} (${nodeName(this.node)})`;
  }

  /** Throws a `DataError` that names the node. */
  fail(what: string): never {
    const facts = { operator: this.node.op, node: nodeName(this.node) };
    throw new DataError(`${this.title}: ${what}.`, {}, { code: "unknown-operator", facts });
  }
}

/** What an operator makes of its operands: its results, as many as are wanted at most. */
export type Operator = (call: Call) => Value | readonly Value[];
export type Operators = Readonly<Record<string, Operator>>;
