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
import { GraphBuilder } from "./builder.ts";
import { type ModelProto, typeNumber, writeModelProto } from "./format.ts";
import { FORMS } from "./forms.ts";
import { Writer } from "./writer.ts";

/** Options of `toOnnx`. */
export interface ToOnnxOptions {
  /** The version of ONNX's operators, from 13 to 26; 18 unless said, which runtimes of 2023 and later read. */
  readonly opset?: number;
}

const OLDEST = 13;
const NEWEST = 26;
const USUAL = 18;
/** The version of the file's form that belongs to it: what ONNX Runtime reads from 1.14 on. */
const irVersion = (opset: number): number => (opset <= 18 ? 8 : opset <= 20 ? 9 : opset <= 23 ? 10 : 11);

/** A batch of a size that no layer has: a size that it divides grows with the batch. */
const BATCH = 7919;

/**
 * The bytes of an ONNX file of a model: all layers as at inference, weights inside, the size of the batch free. Input and
 * output are called `input` and `output`, unless they have names; images lie with their channels last, as here. What the model knows of its classes and
 * columns stands in the file's metadata.
 * @throws PlatformError for an op that ONNX has not, such as a user's own structural one
 *
 * @example
 * await writeFileAtomically("net.onnx", toOnnx(model));
 */
export function toOnnx(model: InferenceModel<unknown>, options: ToOnnxOptions = {}): Uint8Array<ArrayBuffer> {
  checkOptionNames("toOnnx", options, ["opset"]);
  const { opset = USUAL } = options;
  checkWhole("toOnnx: ", { opset }, OLDEST);
  if (opset > NEWEST)
    throw new ArgumentError(`toOnnx: versions ${OLDEST} to ${NEWEST} of ONNX's operators are written; ${opset} came.`);
  const { network } = model;
  const takes = network.inputs.map(({ name = "input", shape }) => ({ name, shape }));
  const gives = network.outputs.map(({ name = "output", shape }) => ({ name, shape }));
  const both = takes.find(({ name }) => gives.some((given) => given.name === name));
  if (both)
    throw new ArgumentError(
      `toOnnx: an input and an output are both called ${both.name}, which ONNX does not allow. Give one another name.`,
    );
  const x = takes.map(({ name, shape }) => input(name, [BATCH, ...shape]));
  const { outputs } = network.apply(x, { training: false, unrolled: true });
  const names = [...takes, ...gives].map(({ name }) => name);
  const graph = new GraphBuilder(opset, names, BATCH);
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

  const port = ({ name, shape }: { name: string; shape: Shape }) => ({
    name,
    type: {
      tensorType: {
        elemType: typeNumber("float"),
        shape: { dim: [{ dimParam: "batch" }, ...shape.map((dimValue) => ({ dimValue }))] },
      },
    },
  });
  const proto: ModelProto = {
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
  return writeModelProto(proto);
}
