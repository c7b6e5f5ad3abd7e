/** Writes the nodes of our graphs as nodes of ONNX: elementwise ops here, others as their forms say. */
import { PlatformError } from "../../errors.ts";
import { constantArray, fillValue, isVariable } from "../../graph/leaf.ts";
import { type Node, nameOf, topologicalOrder } from "../../graph/node.ts";
import { inputScalar, type Scalar, type ScalarFunction } from "../../graph/scalar.ts";
import { sizeOf, stridesOf } from "../../graph/shape.ts";
import { cached } from "../../train/memoize.ts";
import type { GraphBuilder } from "./builder.ts";

/** Ops that ONNX has under another name, with the same operands. */
const SAME: Readonly<Record<string, string>> = {
  abs: "Abs",
  acos: "Acos",
  acosh: "Acosh",
  add: "Add",
  asin: "Asin",
  asinh: "Asinh",
  atan: "Atan",
  atanh: "Atanh",
  ceil: "Ceil",
  cos: "Cos",
  cosh: "Cosh",
  div: "Div",
  erf: "Erf",
  exp: "Exp",
  floor: "Floor",
  log: "Log",
  maximum: "Max",
  minimum: "Min",
  mul: "Mul",
  neg: "Neg",
  pow: "Pow",
  relu: "Relu",
  round: "Round",
  sigmoid: "Sigmoid",
  sign: "Sign",
  sin: "Sin",
  sinh: "Sinh",
  softplus: "Softplus",
  softsign: "Softsign",
  sqrt: "Sqrt",
  sub: "Sub",
  tan: "Tan",
  tanh: "Tanh",
};

/** Ops that ONNX has from a version on; before it they are written out. */
const SINCE: Readonly<Record<string, readonly [name: string, version: number]>> = {
  gelu: ["Gelu", 20],
  mish: ["Mish", 18],
};

/** Where a value lies in the ONNX graph. */
export interface Written {
  /** By its name with our order of axes, and with channels second: [B, C, H, W]. */
  last?: string;
  second?: string;
}

/** How an op is written; a convolution with its bias too. */
export type Form = (node: Node, writer: Writer, bias?: Node) => Written;

/** The values of a parameter, and its name. */
interface Weight {
  readonly name: string;
  readonly data: Float32Array;
}

const TO_SECOND = [0, 3, 1, 2];
const TO_LAST = [0, 2, 3, 1];

/** The operands of an op of this name; none where it is another. */
const operandsOf = (node: Node | undefined, op: string): readonly (Node | undefined)[] =>
  node?.op.name === op ? node.inputs : [];

/** x, γ, β, μ, σ² and ε of γ (x − μ) · 1/√(σ² + ε) + β, where these four are parameters, of images or of features. */
function batchNormOf(node: Node): { x: Node; operands: readonly Node[]; epsilon: number } | undefined {
  const [scaled, beta] = operandsOf(node, "add");
  const [standard, gamma] = operandsOf(scaled, "mul");
  const [centred, factor] = operandsOf(standard, "mul");
  const [x, average] = operandsOf(centred, "sub");
  const [one, root] = operandsOf(factor, "div");
  const [sum] = operandsOf(root, "sqrt");
  const [variance, added] = operandsOf(sum, "add");
  const operands = [gamma, beta, average, variance].filter((operand) => operand !== undefined && isVariable(operand));
  const epsilon = added && fillValue(added);
  const isOne = one !== undefined && fillValue(one) === 1;
  if (!x || !isOne || operands.length < 4 || epsilon === undefined || x.shape.length % 2 === 1) return undefined;
  return { x, operands: operands as Node[], epsilon };
}

export class Writer {
  readonly graph: GraphBuilder;
  readonly #values = new Map<Node, Written>();
  readonly #turned = new Map<Node, Map<string, string>>();
  readonly #weight: (variable: Node) => Weight;
  readonly #forms: Readonly<Record<string, Form>>;

  /**
   * @param weight the values of a variable, and its name
   * @param forms how structural and composite ops are written, by their names
   */
  constructor(graph: GraphBuilder, weight: (variable: Node) => Weight, forms: Readonly<Record<string, Form>>) {
    this.graph = graph;
    this.#weight = weight;
    this.#forms = forms;
  }

  set(node: Node, name: string): void {
    this.#values.set(node, { last: name });
  }

  /** The name of a value as we have it. */
  first(node: Node): string {
    const written = this.#values.get(node) ?? this.#leaf(node);
    written.last ??= this.graph.add("Transpose", [written.second!], { perm: TO_LAST });
    return written.last;
  }

  /** The name of images [B, H, W, C] with channels second. */
  images(node: Node): string {
    const written = this.#values.get(node) ?? this.#leaf(node);
    written.second ??= this.graph.add("Transpose", [this.first(node)], { perm: TO_SECOND });
    return written.second;
  }

  #leaf(node: Node): Written {
    const graph = this.graph;
    const fill = fillValue(node);
    const array = constantArray(node);
    const written: Written = {};
    if (fill !== undefined && node.shape.length === 0) written.last = graph.constant(fill);
    else if (fill !== undefined)
      written.last = graph.add("Expand", [graph.constant(fill), graph.wholeShape(node.shape)], {}, "filled");
    else if (array) written.last = this.#repeated(node, array);
    else if (isVariable(node)) {
      const { name, data } = this.#weight(node);
      written.last = graph.weight(name, data, node.shape, node.shape.length - 1);
    } else throw new PlatformError(`toOnnx: "${nameOf(node)}" is no value of the model.`);
    this.#values.set(node, written);
    return written;
  }

  /** A constant array; what only repeats along the batch is written once, and repeated as often as there are samples. */
  #repeated({ shape }: Node, array: ArrayLike<number>): string {
    const { graph } = this;
    const axis = shape.findIndex((n) => graph.grows(n));
    if (axis < 0) return graph.array("constant", Float32Array.from(array), shape);
    const inner = sizeOf(shape.slice(axis + 1));
    const block = inner * shape[axis];
    const isSame = (i: number): boolean => Object.is(array[i], array[i - (i % block) + (i % inner)]);
    for (let i = 0; i < array.length; i++)
      if (!isSame(i))
        throw new PlatformError(
          "toOnnx: a constant differs from sample to sample; a file for batches of any size cannot have it.",
        );
    const once = Float32Array.from(
      { length: array.length / shape[axis] },
      (_, i) => array[Math.floor(i / inner) * block + (i % inner)],
    );
    return graph.add("Expand", [graph.array("constant", once, shape.with(axis, 1)), graph.wholeShape(shape)]);
  }

  /** A weight with its axes in another order: turned at once, and once, where it is a parameter. */
  turned(node: Node, order: readonly number[]): string {
    if (!isVariable(node)) return this.graph.add("Transpose", [this.first(node)], { perm: order });
    const known = cached(this.#turned, node, () => new Map<string, string>());
    return cached(known, `${order}`, () => {
      const { name, data } = this.#weight(node);
      const shape = order.map((axis) => node.shape[axis]);
      const [from, to] = [stridesOf(node.shape), stridesOf(shape)];
      const turned = Float32Array.from(data, (_, i) => {
        const place = order.reduce((at, axis, k) => at + (Math.floor(i / to[k]) % shape[k]) * from[axis], 0);
        return data[place];
      });
      return this.graph.weight(name, turned, shape, order.indexOf(shape.length - 1));
    });
  }

  write(node: Node): void {
    const { op, inputs } = node;
    if (op.meaning.kind === "leaf" || this.#values.has(node)) return;
    if (op.meaning.kind === "elementwise") {
      this.#values.set(node, this.#whole(node) ?? this.#elementwise(node));
      return;
    }
    const form = this.#forms[op.name];
    if (form) {
      this.#values.set(node, form(node, this));
      return;
    }
    if (op.meaning.kind !== "composite")
      throw new PlatformError(
        `toOnnx: the op "${op.name}" (${nameOf(node)}) has no form in ONNX. Leave its layer out, or make it of other ops.`,
      );
    const made = op.meaning.lower(inputs, node.attributes as never);
    for (const part of topologicalOrder([made], (x) => this.#values.has(x))) this.write(part);
    this.#values.set(node, this.#values.get(made) ?? this.#leaf(made));
  }

  /** Whether images lie with channels second already. */
  isImages(node: Node): boolean {
    return this.#values.get(node)?.second !== undefined;
  }

  /** What ends here and is one operator in ONNX: a convolution with its bias, a batch normalisation. Its parts need not be written. */
  #whole(node: Node): Written | undefined {
    const [x, bias] = node.inputs;
    if (node.op.name !== "add") return undefined;
    if (x.op.name === "conv2d" && isVariable(bias) && bias.shape.length === 1) return this.#forms.conv2d(x, this, bias);
    const norm = batchNormOf(node);
    if (!norm) return undefined;
    const { x: given, operands, epsilon } = norm;
    const rest = operands.map((operand) => this.first(operand));
    if (node.shape.length === 2)
      return { last: this.graph.add("BatchNormalization", [this.first(given), ...rest], { epsilon }) };
    return { second: this.graph.add("BatchNormalization", [this.images(given), ...rest], { epsilon }) };
  }

  /** An elementwise op, on images as they lie; operands of other shapes must be one number, or one for each channel. */
  #elementwise(node: Node): Written {
    const { inputs, shape } = node;
    const areImages = shape.length === 4 && inputs.some((x) => x.shape.length === 4 && this.isImages(x));
    const perChannel = (x: Node): boolean => sizeOf(x.shape) === 1 || (x.shape.length === 1 && x.shape[0] === shape[3]);
    const stays = areImages && inputs.every((x) => x.shape.length === 4 || perChannel(x));
    if (!stays)
      return {
        last: this.#scalar(
          node,
          inputs.map((x) => this.first(x)),
        ),
      };
    const operands = inputs.map((x) => {
      if (x.shape.length === 4) return this.images(x);
      const own = this.first(x);
      return sizeOf(x.shape) === 1 ? own : this.graph.add("Reshape", [own, this.graph.constant([shape[3], 1, 1])]);
    });
    return { second: this.#scalar(node, operands) };
  }

  #scalar({ op, inputs, attributes, shape }: Node, operands: readonly string[]): string {
    const graph = this.graph;
    const name = op.name;
    const same = SAME[name];
    if (same) return graph.add(same, operands, {}, name);
    const [own, since] = SINCE[name] ?? [];
    if (own !== undefined && graph.version >= since!) return graph.add(own, operands, {}, name);
    if (name === "toFloat")
      return inputs[0].dtype === "float"
        ? graph.add("Identity", operands, {}, name)
        : graph.add("Cast", operands, { to: 1 }, name);
    if (name === "broadcastTo") return graph.add("Expand", [...operands, graph.wholeShape(shape)], {}, name);
    if (op.meaning.kind !== "elementwise") throw new Error("Not elementwise.");
    const scalar = op.meaning.scalar(attributes as never, ...inputs.map((_, i) => inputScalar(i)));
    return scalarNodes(graph, scalar, operands);
  }
}

/** The functions of scalar expressions that ONNX has. */
const FUNCTIONS: Readonly<Partial<Record<ScalarFunction, string>>> = {
  add: "Add",
  sub: "Sub",
  mul: "Mul",
  div: "Div",
  min: "Min",
  max: "Max",
  neg: "Neg",
  abs: "Abs",
  sqrt: "Sqrt",
  floor: "Floor",
  exp: "Exp",
  log: "Log",
  tanh: "Tanh",
  sigmoid: "Sigmoid",
  erf: "Erf",
  sin: "Sin",
  cos: "Cos",
  atan: "Atan",
  lt: "Less",
  le: "LessOrEqual",
  eq: "Equal",
  select: "Where",
};

/** A scalar expression as nodes; parts that occur twice are written once. */
function scalarNodes(graph: GraphBuilder, whole: Scalar, operands: readonly string[]): string {
  const done = new Map<Scalar, string>();
  const write = (e: Scalar): string => {
    if (e.kind === "input") return operands[e.index];
    if (e.kind === "constant") return graph.constant(e.value);
    const known = done.get(e);
    if (known) return known;
    const parts = e.operands.map(write);
    let name: string;
    if (e.name === "expm1") name = graph.add("Sub", [graph.add("Exp", parts), graph.constant(1)]);
    else if (e.name === "log1p") name = graph.add("Log", [graph.add("Add", [...parts, graph.constant(1)])]);
    else name = graph.add(FUNCTIONS[e.name]!, parts);
    done.set(e, name);
    return name;
  };
  return write(whole);
}
