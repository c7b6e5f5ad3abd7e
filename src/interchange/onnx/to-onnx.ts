/**
 * Models as ONNX files. The graph of the network at inference is written op by op; what is built in our own terms
 * (channels last, matrices [I, O]) is turned where ONNX wants it, once for weights, and for images only where a
 * convolution meets what is none.
 */
import { checkOptionNames, checkWhole } from "../../checks.ts";
import { ArgumentError, PlatformError } from "../../errors.ts";
import { input } from "../../graph/leaf.ts";
import { nameOf, topologicalOrder } from "../../graph/node.ts";
import type { Shape } from "../../graph/shape.ts";
import type { InferenceModel } from "../../train/inference-model.ts";
import { checkWeightType, type WeightType } from "../weights.ts";
import { GraphBuilder } from "./builder.ts";
import { type ModelProto, type TensorProto, typeNumber, writeModelProto } from "./format.ts";
import { FORMS } from "./forms.ts";
import { Writer } from "./writer.ts";

/** Options of `toOnnx`. */
export interface ToOnnxOptions {
  /** The version of ONNX's operators, from 13 to 26; 18 unless said, which runtimes of 2023 and later read. */
  readonly opset?: number;
  /**
   * How weights lie in it: `"float16"` and `"bfloat16"` halve them, `"int8"` makes a quarter of them, whole numbers with a scale
   * for each column. They become floats of 32 bits again before the network computes. `"float32"` unless said.
   */
  readonly weights?: WeightType;
}

const OLDEST = 13;
const NEWEST = 26;
const USUAL = 18;
/** The version of the file's form that belongs to it: what ONNX Runtime reads from 1.14 on. */
const irVersion = (opset: number): number => (opset <= 18 ? 8 : opset <= 20 ? 9 : opset <= 23 ? 10 : 11);

/** A batch of a size that no layer has: a size that it divides grows with the batch. */
const BATCH = 7919;

/** The longest message that readers of protocol buffers take: 2 GiB less a byte. */
const LONGEST = 2 ** 31 - 1;

/**
 * The bytes of an ONNX file of a model: all layers as at inference, weights inside, the size of the batch free. Input and
 * output are called `input` and `output`, unless they have names; images lie with their channels last, as here. What the model knows of its classes and
 * columns stands in the file's metadata.
 * @throws PlatformError for an op that ONNX has not, such as a user's own structural one
 * @throws ArgumentError where the file would have 2 GiB or more, which `toOnnxFiles` divides
 *
 * @example
 * await writeFileAtomically("net.onnx", toOnnx(model));
 */
export function toOnnx(model: InferenceModel<unknown>, options: ToOnnxOptions = {}): Uint8Array<ArrayBuffer> {
  const proto = protoOf(model, options, "toOnnx");
  const size = weightBytes(proto);
  if (size > LONGEST)
    throw new ArgumentError(
      `toOnnx: the weights take ${size} bytes, and an ONNX file at most ${LONGEST}. Write them beside it: toOnnxFiles(model, "net.onnx.data").`,
      { code: "unsupported", facts: { bytes: size, most: LONGEST } },
    );
  return writeModelProto(proto);
}

/** What `toOnnxFiles` gives: the bytes of both files. */
export interface OnnxFiles {
  readonly graph: Uint8Array<ArrayBuffer>;
  readonly weights: Uint8Array<ArrayBuffer>;
}

/**
 * A model as two files that belong together in one folder: the graph, and its weights, as models of more than 2 GiB must be
 * written. Small arrays stay with the graph.
 * @param name what the file of the weights will be called, without a folder
 * @throws ArgumentError for a name that is a path
 *
 * @example
 * const { graph, weights } = toOnnxFiles(model, "net.onnx.data");
 * await writeFileAtomically("net.onnx.data", weights);
 * await writeFileAtomically("net.onnx", graph);
 */
export function toOnnxFiles(model: InferenceModel<unknown>, name: string, options: ToOnnxOptions = {}): OnnxFiles {
  if (typeof name !== "string" || !/^[^/\\:]*[^/\\:.][^/\\:]*$/.test(name))
    throw new ArgumentError(
      `toOnnxFiles: the weights' file must have a plain name such as "net.onnx.data", since it lies beside the model; ${JSON.stringify(name)} came.`,
    );
  const proto = protoOf(model, options, "toOnnxFiles");
  const moved = proto.graph.initializer!.filter(({ rawData }) => rawData!.length >= SMALL);
  const places = new Map<TensorProto, number>();
  let size = 0;
  for (const tensor of moved) {
    places.set(tensor, size);
    size = Math.ceil((size + tensor.rawData!.length) / ALIGNMENT) * ALIGNMENT;
  }
  const weights = new Uint8Array(size);
  for (const [{ rawData }, place] of places) weights.set(rawData!, place);
  const initializer = proto.graph.initializer!.map((tensor): TensorProto => {
    const place = places.get(tensor);
    if (place === undefined) return tensor;
    const { rawData, ...rest } = tensor;
    const externalData = Object.entries({ location: name, offset: `${place}`, length: `${rawData!.length}` }).map(
      ([key, value]) => ({ key, value }),
    );
    return { ...rest, externalData, dataLocation: 1 };
  });
  return { graph: writeModelProto({ ...proto, graph: { ...proto.graph, initializer } }), weights };
}

/** Arrays of fewer bytes stay with the graph; the others begin at multiples of a number of bytes. */
const SMALL = 1024;
const ALIGNMENT = 64;

const weightBytes = ({ graph }: ModelProto): number =>
  graph.initializer!.reduce((sum, { rawData }) => sum + rawData!.length, 0);

function protoOf(model: InferenceModel<unknown>, options: ToOnnxOptions, user: string): ModelProto {
  checkOptionNames(user, options, ["opset", "weights"]);
  const { opset = USUAL, weights = "float32" } = options;
  checkWeightType(weights);
  checkWhole(`${user}: `, { opset }, OLDEST);
  if (opset > NEWEST)
    throw new ArgumentError(`${user}: versions ${OLDEST} to ${NEWEST} of ONNX's operators are written; ${opset} came.`);
  const { network } = model;
  const takes = network.inputs.map(({ name = "input", shape }) => ({ name, shape }));
  const gives = network.outputs.map(({ name = "output", shape }) => ({ name, shape }));
  const both = takes.find(({ name }) => gives.some((given) => given.name === name));
  if (both)
    throw new ArgumentError(
      `${user}: an input and an output are both called ${both.name}, which ONNX does not allow. Give one another name.`,
    );
  const x = takes.map(({ name, shape }) => input(name, [BATCH, ...shape]));
  const { outputs } = network.apply(x, { training: false, unrolled: true });
  const names = [...takes, ...gives].map(({ name }) => name);
  const graph = new GraphBuilder(opset, names, BATCH, weights);
  const parameters = new Map(network.parameters.map(({ name, node }) => [node, name]));
  const writer = new Writer(
    graph,
    (node) => {
      const name = parameters.get(node);
      if (name === undefined)
        throw new PlatformError(`toOnnx: the variable "${nameOf(node)}" is no parameter of the model.`);
      return { name, data: model.weight(name) };
    },
    FORMS,
  );
  for (const [i, { name }] of takes.entries()) writer.set(x[i], name);
  for (const node of topologicalOrder(outputs)) writer.write(node);
  for (const [i, { name }] of gives.entries())
    graph.nodes.push({
      opType: "Identity",
      name: graph.fresh("result"),
      input: [writer.first(outputs[i])],
      output: [name],
    });
  graph.prune(gives.map(({ name }) => name));

  const port = ({ name, shape }: { name: string; shape: Shape }) => ({
    name,
    type: {
      tensorType: {
        elemType: typeNumber("float"),
        shape: { dim: [{ dimParam: "batch" }, ...shape.map((dimValue) => ({ dimValue }))] },
      },
    },
  });
  return {
    irVersion: irVersion(opset),
    producerName: "chainrule",
    opsetImport: [{ domain: "", version: opset }],
    graph: {
      name: "network",
      node: graph.nodes,
      initializer: graph.arrays,
      input: takes.map(port),
      output: gives.map(port),
    },
    metadataProps: Object.entries(model.details).map(([key, value]) => ({
      key,
      value: typeof value === "string" ? value : JSON.stringify(value),
    })),
  };
}
