/** Reads an ONNX file: its graph as plain data, its arrays, and what goes in and comes out. */
import { DataError } from "../../errors.ts";
import type { Attribute, OnnxNode, OnnxSubgraph } from "./call.ts";
import {
  type AttributeProto,
  type ElementType,
  type FunctionProto,
  type GraphProto,
  type ModelProto,
  type NodeProto,
  readModelProto,
} from "./format.ts";
import { keyOf, type OnnxFunction, type OnnxGraph, unknownOperators } from "./graph.ts";
import { OPERATORS } from "./operators/index.ts";
import { type ExternalData, elementType, type OnnxTensor, type PlainArray, plainArray, readTensor } from "./tensors.ts";

/** An input or output of a graph. */
export interface OnnxPort {
  readonly name: string;
  readonly type: ElementType;
  /** Each a number, or the name of a size that is free; undefined if the file does not say how many axes there are. */
  readonly shape: readonly (number | string)[] | undefined;
}

/** What an ONNX file holds. */
export interface OnnxFile {
  readonly graph: OnnxGraph;
  /** What must be given: inputs without a value of their own. */
  readonly inputs: readonly OnnxPort[];
  readonly outputs: readonly OnnxPort[];
  /** Arrays by name: the weights among them. */
  readonly arrays: ReadonlyMap<string, OnnxTensor>;
  /** Who wrote it, such as `pytorch 2.1`. */
  readonly producer: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/** The newest version of the operators that is known. */
const NEWEST = 28;

/**
 * Reads a file.
 * @param external finds the bytes of arrays that lie beside the file
 * @throws DataError where it is none, is damaged, or has operators that are not known, all of which are named
 */
export function readOnnx(bytes: Uint8Array, external?: ExternalData): OnnxFile {
  const proto = readModelProto(bytes);
  const { graph: given, producerName = "", producerVersion = "" } = proto;
  if (!given?.node && !given?.output)
    throw new DataError(
      "This is no ONNX file: it holds no graph. Give what another library exported, such as net.onnx.",
    );
  const arrays = new Map(given.initializer?.map((tensor) => [tensor.name ?? "", readTensor(tensor, external)]));
  const graph: OnnxGraph = {
    version: versionOf(proto),
    nodes: (given.node ?? []).map(nodeOf),
    functions: (proto.functions ?? []).map(functionOf),
    outputs: (given.output ?? []).map(({ name }) => name),
  };
  checkOperators(graph);
  return {
    graph,
    arrays,
    inputs: portsOf(given.input).filter(({ name }) => !arrays.has(name)),
    outputs: portsOf(given.output),
    producer: `${producerName} ${producerVersion}`.trim(),
    metadata: Object.fromEntries((proto.metadataProps ?? []).map(({ key, value }) => [key, value])),
  };
}

function versionOf({ opsetImport = [] }: Partial<ModelProto>): number {
  const version = opsetImport.find(({ domain = "" }) => keyOf(domain, "x") === "x")?.version ?? 1;
  if (version <= NEWEST) return version;
  throw new DataError(
    `The file uses version ${version} of ONNX's operators; versions up to ${NEWEST} are known. Export it for an older one, such as opset_version=18.`,
    {},
    { code: "unknown-operator", facts: { version } },
  );
}

function checkOperators(graph: OnnxGraph): void {
  const unknown = unknownOperators(graph);
  if (unknown.size === 0) return;
  const list = [...unknown].map(([operator, node]) => `${operator} (${node})`);
  throw new DataError(
    `The file has operators that are not known here: ${list.join(", ")}, of version ${graph.version}. Known are ${Object.keys(OPERATORS).length}; docs/onnx.md lists them.`,
    {},
    { code: "unknown-operator", facts: { unknown: [...unknown.keys()], version: graph.version } },
  );
}

const utf8 = new TextDecoder();

/** Attributes that are whole numbers, in a list or alone, stand apart from floats in files; here they are numbers. */
function attributeOf({ f, i, s, t, g, floats, ints, strings, type }: AttributeProto): Attribute {
  if (t) return plainArray(readTensor(t));
  if (g) return subgraphOf(g);
  if (strings) return strings.map((text) => utf8.decode(text));
  if (floats || ints) return floats ?? ints!;
  if (s) return utf8.decode(s);
  // What is 0, or empty, is left out of a file.
  if (type === 3) return "";
  return type === 6 || type === 7 ? [] : (f ?? i ?? 0);
}

function nodeOf({ opType, domain, name = "", input = [], output = [], attribute = [] }: NodeProto): OnnxNode {
  const taken = attribute.flatMap(({ name: own, refAttrName }) => (refAttrName ? [[own, refAttrName]] : []));
  return {
    op: keyOf(domain, opType),
    name,
    inputs: input,
    outputs: output,
    attributes: Object.fromEntries(
      attribute.filter(({ refAttrName }) => !refAttrName).map((each) => [each.name, attributeOf(each)]),
    ),
    ...(taken.length > 0 && { taken: Object.fromEntries(taken) }),
  };
}

function subgraphOf({ node = [], input = [], output = [], initializer = [] }: GraphProto): OnnxSubgraph {
  const arrays = initializer.map((tensor): [string, PlainArray] => [tensor.name ?? "", plainArray(readTensor(tensor))]);
  return {
    nodes: node.map(nodeOf),
    inputs: input.map(({ name }) => name),
    outputs: output.map(({ name }) => name),
    arrays: Object.fromEntries(arrays),
  };
}

const functionOf = ({ name, domain, input = [], output = [], node = [] }: FunctionProto): OnnxFunction => ({
  name: keyOf(domain, name),
  inputs: input,
  outputs: output,
  nodes: node.map(nodeOf),
});

function portsOf(infos: GraphProto["input"] = []): OnnxPort[] {
  return infos.map(({ name, type }) => ({
    name,
    type: elementType(type?.tensorType?.elemType, `"${name}"`),
    shape:
      type?.tensorType?.shape &&
      (type.tensorType.shape.dim ?? []).map(({ dimValue, dimParam }) => dimValue ?? dimParam ?? "?"),
  }));
}
