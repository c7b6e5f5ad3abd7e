/**
 * An ONNX graph as nodes of ours: goes through its nodes in order, and lets each operator add to our graph. What does
 * not depend on inputs is computed on the way, so that shapes that a file computes are known.
 */
import { DataError } from "../../errors.ts";
import { isConstant } from "../../graph/leaf.ts";
import { inScope } from "../../graph/node.ts";
import { Call, nodeName } from "./call.ts";
import {
  type AttributeProto,
  type ElementType,
  type FunctionProto,
  type GraphProto,
  type ModelProto,
  type NodeProto,
  readModelProto,
} from "./format.ts";
import { OPERATORS } from "./operators/index.ts";
import { type ExternalData, elementType, type OnnxTensor, readTensor } from "./tensors.ts";
import { folded, Value, valueOf } from "./value.ts";

/** An input or output of a graph. */
export interface OnnxPort {
  readonly name: string;
  readonly type: ElementType;
  /** A number, or the name of a size that is free; undefined if the file does not say how many axes there are. */
  readonly shape: readonly (number | string)[] | undefined;
}

/** The newest version of the operators that is known. */
const NEWEST = 28;

type Scope = Map<string, Value>;

/** Where a run stands: the function it is in, if any, whose attributes its nodes may take. */
interface Frame {
  readonly version: number;
  readonly attributes: ReadonlyMap<string, AttributeProto>;
}

export class OnnxGraph {
  /** What must be given: inputs without a value of their own. */
  readonly inputs: readonly OnnxPort[];
  readonly outputs: readonly OnnxPort[];
  /** Arrays of the file, by name: the weights among them. */
  readonly arrays: ReadonlyMap<string, OnnxTensor>;
  readonly nodes: readonly NodeProto[];
  /** The version of the operators. */
  readonly version: number;
  readonly proto: ModelProto;
  readonly #functions: ReadonlyMap<string, FunctionProto>;

  /**
   * Reads a file.
   * @param external finds the bytes of arrays that lie beside the file
   * @throws DataError where it is none, is damaged, or has operators that are not known, all of which are named
   */
  constructor(bytes: Uint8Array, external?: ExternalData) {
    const model = readModelProto(bytes);
    const { graph, opsetImport = [] } = model;
    if (!graph?.node && !graph?.output)
      throw new DataError(
        "This is no ONNX file: it holds no graph. Give what another library exported, such as net.onnx.",
      );
    this.proto = { ...model, graph };
    this.version = opsetImport.find(({ domain = "" }) => isStandard(domain))?.version ?? 1;
    if (this.version > NEWEST)
      throw new DataError(
        `The file uses version ${this.version} of ONNX's operators; versions up to ${NEWEST} are known. Export it for an older one, such as opset_version=18.`,
      );
    this.nodes = graph.node ?? [];
    this.arrays = new Map(graph.initializer?.map((proto) => [proto.name ?? "", readTensor(proto, external)]));
    this.#functions = new Map(model.functions?.map((f) => [keyOf(f.domain, f.name), f]));
    this.inputs = portsOf(graph.input).filter(({ name }) => !this.arrays.has(name));
    this.outputs = portsOf(graph.output);
    this.#checkOperators();
  }

  #checkOperators(): void {
    const unknown = new Map<string, string>();
    const visit = (nodes: readonly NodeProto[] = []): void => {
      for (const node of nodes) {
        const { opType, domain, attribute } = node;
        const known =
          this.#functions.has(keyOf(domain, opType)) || (isStandard(domain) && Object.hasOwn(OPERATORS, opType));
        if (!known) unknown.set(domain ? `${domain}.${opType}` : opType, nodeName(node));
        for (const { g } of attribute ?? []) visit(g?.node);
      }
    };
    visit(this.nodes);
    for (const { node } of this.#functions.values()) visit(node);
    if (unknown.size === 0) return;
    const list = [...unknown].map(([operator, node]) => `${operator} (${node})`);
    throw new DataError(
      `The file has operators that are not known here: ${list.join(", ")}, of version ${this.version}. Known are ${Object.keys(OPERATORS).length}; docs/onnx.md lists them.`,
      {},
      { code: "unknown-operator", facts: { unknown: [...unknown.keys()], version: this.version } },
    );
  }

  /**
   * Adds the graph to ours.
   * @param given the values of its inputs; an array of the file may be replaced, as by a parameter
   * @returns the values of its outputs, by name
   */
  apply(given: ReadonlyMap<string, Value>, training = false): Map<string, Value> {
    const scope: Scope = new Map();
    for (const [name, tensor] of this.arrays) if (!given.has(name)) scope.set(name, valueOf(tensor));
    for (const [name, value] of given) scope.set(name, value);
    this.#run(this.nodes, scope, { version: this.version, attributes: new Map() }, training);
    return new Map(this.outputs.map(({ name }) => [name, found(scope, name, "an output")]));
  }

  #run(nodes: readonly NodeProto[], scope: Scope, frame: Frame, training: boolean): void {
    for (const node of nodes) {
      const inputs = (node.input ?? []).map((name) =>
        name === "" ? undefined : found(scope, name, `the node "${nodeName(node)}"`),
      );
      const results = this.#results(withAttributes(node, frame.attributes), inputs, scope, frame, training);
      for (const [i, name] of (node.output ?? []).entries()) {
        if (name === "") continue;
        const value = results[i];
        if (!value) throw new DataError(`${node.opType} (${nodeName(node)}) gives no result number ${i + 1}.`);
        scope.set(name, value);
      }
    }
  }

  #results(
    node: NodeProto,
    inputs: readonly (Value | undefined)[],
    scope: Scope,
    frame: Frame,
    training: boolean,
  ): readonly Value[] {
    const own = this.#functions.get(keyOf(node.domain, node.opType));
    if (own) return this.#callFunction(own, node, inputs, training);
    const runGraph = (graph: GraphProto, values: readonly Value[]): Value[] => {
      const inner: Scope = new Map(scope);
      for (const proto of graph.initializer ?? []) inner.set(proto.name ?? "", valueOf(readTensor(proto)));
      for (const [i, { name }] of (graph.input ?? []).entries()) if (values[i]) inner.set(name, values[i]);
      this.#run(graph.node ?? [], inner, frame, training);
      return (graph.output ?? []).map(({ name }) => found(inner, name, "an output of a graph inside"));
    };
    const call = new Call(node, inputs, { version: frame.version, training, runGraph });
    const made = inScope(scopeName(node), () => OPERATORS[node.opType](call));
    const results = made instanceof Value ? [made] : made;
    const isKnown = inputs.every((x) => !x || (!x.isChannelsLast && isConstant(x.node)));
    return isKnown ? results.map(folded) : results;
  }

  #callFunction(
    { input = [], output = [], node: nodes = [] }: FunctionProto,
    node: NodeProto,
    inputs: readonly (Value | undefined)[],
    training: boolean,
  ): Value[] {
    const scope: Scope = new Map();
    for (const [i, name] of input.entries()) if (inputs[i]) scope.set(name, inputs[i]);
    const attributes = new Map(node.attribute?.map((attribute) => [attribute.name, attribute]));
    this.#run(nodes, scope, { version: this.version, attributes }, training);
    return output.map((name) => found(scope, name, `an output of ${node.opType}`));
  }
}

const isStandard = (domain = ""): boolean => domain === "" || domain === "ai.onnx";
const keyOf = (domain = "", name = ""): string => `${domain}.${name}`;

/** Names of layers are words without dots. */
const scopeName = (node: NodeProto): string => nodeName(node).replaceAll(/[.\s]+/g, "_");

function found(scope: Scope, name: string, user: string): Value {
  const value = scope.get(name);
  if (value) return value;
  throw new DataError(
    `The file is damaged: ${user} uses "${name}", which is not there before it.`,
    {},
    { code: "damaged-file" },
  );
}

/** A node of a function with the attributes that stand for those of the call. */
function withAttributes(node: NodeProto, given: ReadonlyMap<string, AttributeProto>): NodeProto {
  if (given.size === 0 || !node.attribute?.some(({ refAttrName }) => refAttrName)) return node;
  const attribute = node.attribute.flatMap((own) => {
    if (!own.refAttrName) return [own];
    const taken = given.get(own.refAttrName);
    return taken ? [{ ...taken, name: own.name }] : [];
  });
  return { ...node, attribute };
}

function portsOf(infos: GraphProto["input"] = []): OnnxPort[] {
  return infos.map(({ name, type }) => ({
    name,
    type: elementType(type?.tensorType?.elemType, `"${name}"`),
    shape:
      type?.tensorType?.shape &&
      (type.tensorType.shape.dim ?? []).map(({ dimValue, dimParam }) => dimValue ?? dimParam ?? "?"),
  }));
}
