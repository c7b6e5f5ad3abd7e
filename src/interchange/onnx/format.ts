/**
 * The messages of an ONNX file (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto), as far as they are read or
 * written here, and the numbers of their types.
 */
import { type Message, readMessage, type Schema, writeMessage } from "../protobuf.ts";

/** The types of elements that are computed with, or read as weights, by their numbers in files. */
export const TYPE_NAMES = {
  1: "float",
  2: "uint8",
  3: "int8",
  4: "uint16",
  5: "int16",
  6: "int32",
  7: "int64",
  9: "bool",
  10: "float16",
  11: "double",
  12: "uint32",
  13: "uint64",
  16: "bfloat16",
  17: "float8e4m3fn",
  18: "float8e4m3fnuz",
  19: "float8e5m2",
  20: "float8e5m2fnuz",
  21: "uint4",
  22: "int4",
  23: "float4e2m1",
  24: "float8e8m0",
  25: "uint2",
  26: "int2",
} as const;

export type ElementType = (typeof TYPE_NAMES)[keyof typeof TYPE_NAMES];

/** The number of a type in files. */
export const typeNumber = (type: ElementType): number =>
  Number(Object.entries(TYPE_NAMES).find(([, name]) => name === type)![0]);

export interface TensorProto {
  dims?: number[];
  dataType?: number;
  floatData?: number[];
  int32Data?: number[];
  stringData?: Uint8Array[];
  int64Data?: number[];
  name?: string;
  rawData?: Uint8Array;
  externalData?: { key: string; value: string }[];
  dataLocation?: number;
  doubleData?: number[];
  uint64Data?: number[];
}

export interface AttributeProto {
  name: string;
  /** What it is: 1 float, 2 int, 3 string, 4 tensor, 5 graph, 6 floats, 7 ints, 8 strings. */
  type?: number;
  f?: number;
  i?: number;
  s?: Uint8Array;
  t?: TensorProto;
  g?: GraphProto;
  floats?: number[];
  ints?: number[];
  strings?: Uint8Array[];
  refAttrName?: string;
}

export interface NodeProto {
  input?: string[];
  output?: string[];
  name?: string;
  opType: string;
  domain?: string;
  attribute?: AttributeProto[];
}

export interface ValueInfoProto {
  name: string;
  type?: { tensorType?: { elemType?: number; shape?: { dim?: { dimValue?: number; dimParam?: string }[] } } };
}

export interface GraphProto {
  node?: NodeProto[];
  name?: string;
  initializer?: TensorProto[];
  input?: ValueInfoProto[];
  output?: ValueInfoProto[];
  valueInfo?: ValueInfoProto[];
}

export interface FunctionProto {
  name: string;
  domain?: string;
  input?: string[];
  output?: string[];
  attribute?: string[];
  node?: NodeProto[];
}

export interface ModelProto {
  irVersion?: number;
  opsetImport?: { domain?: string; version: number }[];
  producerName?: string;
  producerVersion?: string;
  graph: GraphProto;
  metadataProps?: { key: string; value: string }[];
  functions?: FunctionProto[];
}

const PAIR: Schema = { 1: { name: "key", type: "string" }, 2: { name: "value", type: "string" } };

const TENSOR: Schema = {
  1: { name: "dims", type: "int", repeated: true },
  2: { name: "dataType", type: "int" },
  4: { name: "floatData", type: "float", repeated: true },
  5: { name: "int32Data", type: "int", repeated: true },
  6: { name: "stringData", type: "bytes", repeated: true },
  7: { name: "int64Data", type: "int", repeated: true },
  8: { name: "name", type: "string" },
  9: { name: "rawData", type: "bytes" },
  10: { name: "doubleData", type: "double", repeated: true },
  11: { name: "uint64Data", type: "int", repeated: true },
  13: { name: "externalData", type: PAIR, repeated: true },
  14: { name: "dataLocation", type: "int" },
};

const ATTRIBUTE: Schema = {
  1: { name: "name", type: "string" },
  2: { name: "f", type: "float" },
  3: { name: "i", type: "int" },
  4: { name: "s", type: "bytes" },
  5: { name: "t", type: TENSOR },
  6: { name: "g", type: () => GRAPH },
  7: { name: "floats", type: "float", repeated: true },
  8: { name: "ints", type: "int", repeated: true },
  9: { name: "strings", type: "bytes", repeated: true },
  20: { name: "type", type: "int" },
  21: { name: "refAttrName", type: "string" },
};

const NODE: Schema = {
  1: { name: "input", type: "string", repeated: true },
  2: { name: "output", type: "string", repeated: true },
  3: { name: "name", type: "string" },
  4: { name: "opType", type: "string" },
  5: { name: "attribute", type: ATTRIBUTE, repeated: true },
  7: { name: "domain", type: "string" },
};

const DIMENSION: Schema = { 1: { name: "dimValue", type: "int" }, 2: { name: "dimParam", type: "string" } };
const SHAPE: Schema = { 1: { name: "dim", type: DIMENSION, repeated: true } };
const TENSOR_TYPE: Schema = { 1: { name: "elemType", type: "int" }, 2: { name: "shape", type: SHAPE } };
const TYPE: Schema = { 1: { name: "tensorType", type: TENSOR_TYPE } };
const VALUE_INFO: Schema = { 1: { name: "name", type: "string" }, 2: { name: "type", type: TYPE } };

const GRAPH: Schema = {
  1: { name: "node", type: NODE, repeated: true },
  2: { name: "name", type: "string" },
  5: { name: "initializer", type: TENSOR, repeated: true },
  11: { name: "input", type: VALUE_INFO, repeated: true },
  12: { name: "output", type: VALUE_INFO, repeated: true },
  13: { name: "valueInfo", type: VALUE_INFO, repeated: true },
};

const FUNCTION: Schema = {
  1: { name: "name", type: "string" },
  4: { name: "input", type: "string", repeated: true },
  5: { name: "output", type: "string", repeated: true },
  6: { name: "attribute", type: "string", repeated: true },
  7: { name: "node", type: NODE, repeated: true },
  10: { name: "domain", type: "string" },
};

const MODEL: Schema = {
  1: { name: "irVersion", type: "int" },
  2: { name: "producerName", type: "string" },
  3: { name: "producerVersion", type: "string" },
  7: { name: "graph", type: GRAPH },
  8: {
    name: "opsetImport",
    type: { 1: { name: "domain", type: "string" }, 2: { name: "version", type: "int" } },
    repeated: true,
  },
  14: { name: "metadataProps", type: PAIR, repeated: true },
  25: { name: "functions", type: FUNCTION, repeated: true },
};

const read = <T>(bytes: Uint8Array, schema: Schema): T => readMessage(bytes, schema) as Message as T;

/** The messages of a file, unchecked. */
export const readModelProto = (bytes: Uint8Array): Partial<ModelProto> => read(bytes, MODEL);
/** A file that holds one array, as ONNX's test data are. */
export const readTensorProto = (bytes: Uint8Array): TensorProto => read(bytes, TENSOR);
export const writeModelProto = (model: ModelProto): Uint8Array<ArrayBuffer> => writeMessage(model, MODEL);
