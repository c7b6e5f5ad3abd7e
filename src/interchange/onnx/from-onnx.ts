/** ONNX files as models. */
import type { Backend } from "../../backends/backend.ts";
import { checkOptionNames, isObject } from "../../checks.ts";
import { ArgumentError } from "../../errors.ts";
import { input } from "../../graph/leaf.ts";
import type { Shape } from "../../graph/shape.ts";
import type { InputShapes } from "../../nn/network.ts";
import { Model } from "../../train/model.ts";
import type { Tensor } from "../../train/transformations.ts";
import type { OnnxNode } from "./call.ts";
import { applyGraph } from "./graph.ts";
import { type GraphInput, givenShape, onnxLayer, outputResult } from "./layer.ts";
import { inOurLayouts } from "./layouts.ts";
import { type OnnxFile, type OnnxPort, readOnnx } from "./read.ts";
import { type SourcedTensor, simplify } from "./simplify.ts";
import { type ExternalData, type OnnxTensor, plainArray } from "./tensors.ts";
import { isFloat, Value, valueOfTensor } from "./value.ts";

/** Options of `fromOnnx`. */
export interface FromOnnxOptions {
  readonly backend?: Backend;
  /** Which input the model takes, where the file has several: the others must then be constants. All by their names unless said. */
  readonly input?: string;
  /** Which output the model gives, or which by their names, where the file has several; the first unless said, of a file of ours all. */
  readonly output?: string | readonly string[];
  /** Values for inputs that are no data, such as a shape, by name: `tensor([1, 0])`. */
  readonly constants?: Readonly<Record<string, Tensor>>;
  /** The shape of one sample in the file's order of axes, where the file leaves sizes beside the batch free; of several inputs by name. */
  readonly inputShape?: InputShapes;
  /** Whether samples are given with channels last, [H, W, C], as all images here; unless said, where the file has images. */
  readonly channelsLast?: boolean;
  /** Which arrays training changes, by their names in the file; all weights unless said. */
  readonly trainable?: (name: string) => boolean;
  /** Finds the bytes of arrays that lie in a file beside the model, by its name. */
  readonly external?: ExternalData;
}

const OPTIONS = ["backend", "input", "output", "constants", "inputShape", "channelsLast", "trainable", "external"];

/** Inputs of operators that are no weights, though they are arrays: statistics, bounds, sizes. */
const NO_WEIGHTS: Readonly<Record<string, readonly number[]>> = {
  BatchNormalization: [3, 4],
  Clip: [1, 2],
  Dropout: [1, 2],
  OneHot: [1, 2],
  Pad: [2],
  Resize: [1, 2, 3],
  Upsample: [1],
};

/** Inputs that a step of training sets anew: running statistics. */
const STATES: Readonly<Record<string, readonly number[]>> = { BatchNormalization: [3, 4] };

/** Arrays with so many elements, or fewer, may stand in the configuration. */
const SMALL = 64;

/** Operators that move a window over images, whose channels ONNX has first. */
const OF_IMAGES =
  /^(Conv|ConvTranspose|MaxPool|AveragePool|LpPool|Global.*Pool|Resize|Upsample|DepthToSpace|SpaceToDepth|LRN)$/;

/** Operators that leave images what they are. */
const ARITHMETIC = /^(Add|Sub|Mul|Div|Pad|Clip|Cast|Identity|BatchNormalization)$/;

/**
 * A model from the bytes of an ONNX file. Its weights are parameters under the names that the file has: it predicts,
 * is explained, trained further, saved and loaded as any other (to load it, `chainrule/interchange` must be imported).
 * The first axis of each input counts the samples; several inputs and outputs have the names of the file. Images are given with
 * channels last.
 * Operators of versions 1 to 28 are read (docs/onnx.md lists them). In training, batch normalisation takes the batch's statistics
 * and dropout drops, as in our own layers, unless the layer is frozen.
 * @throws DataError for a damaged file, or one with operators that are not known: all of them are named
 * @throws ArgumentError where the file does not say which input, or what shape, is meant
 *
 * @example
 * const model = fromOnnx(await readFile("net.onnx"));
 * await model.fit({ x, y }, { loss: "crossEntropy", optimizer: adam({ learningRate: 1e-4 }), epochs: 3 });
 */
export function fromOnnx<Y = Float32Array>(bytes: Uint8Array, options: FromOnnxOptions = {}): Model<Y> {
  checkOptionNames("fromOnnx", options, OPTIONS);
  const whole = readOnnx(bytes, options.external);
  const constants = constantsOf(whole, options.constants ?? {});
  const file = { ...whole, arrays: new Map([...whole.arrays, ...constants]) };
  const ports = inputsOf(file, constants, options.input);
  const outputs = outputsOf(file, options.output);
  const simple = simplify({ ...file, graph: { ...file.graph, outputs: outputs.map(({ name }) => name) } });
  const batch = batchOf(ports[0]);
  const inputs = ports.map((port): GraphInput => {
    const { name, type } = port;
    const shape = sampleShape(port, options.inputShape);
    const hasImages = shape.length === 3 && takesImages(simple.graph.nodes, name);
    return { name, type, shape, channelsLast: shape.length === 3 && (options.channelsLast ?? hasImages) };
  });
  const channelsLast = options.channelsLast ?? inputs.some((input) => input.channelsLast);
  const { graph, arrays } = inOurLayouts(simple, (visit, probed) => {
    const given = new Map([...probed.arrays].map(([name, tensor]) => [name, valueOfTensor(tensor)]));
    for (const one of inputs) {
      const layout = one.channelsLast ? "last" : "second";
      given.set(one.name, new Value(input(one.name, [1, ...givenShape(one)]), one.type, layout));
    }
    applyGraph(probed.graph, given, { visit, mode: "inference", batch: { written: batch, now: 1 } });
  });

  const weights = parametersOf(graph.nodes, arrays, options.trainable ?? (() => true));
  const values = new Map(weights.map(({ name, array }) => [name, arrays.get(array)!.data]));
  const parameters = weights.map((weight) => ({ ...weight, shape: arrays.get(weight.array)!.shape }));
  const own = new Set(weights.map(({ array }) => array));
  const small = [...arrays]
    .filter(([name]) => !own.has(name))
    .map(([name, array]) => [name, plainArray(array)] as const);
  const layer = onnxLayer({
    graph,
    inputs,
    parameters,
    constants: Object.fromEntries(small),
    channelsLast,
    batch,
  });
  const ours = isOurs(file);
  const areNamed = inputs.length > 1 || (ours && inputs[0].name !== "input");
  const names = portNames(inputs.map(({ name }) => name));
  const given = portNames(outputs.map(({ name }) => name));
  const isList = Array.isArray(options.output) || (!options.output && ours && outputs[0].name !== "output");
  const model = new Model<Y>(
    {
      input: areNamed ? Object.fromEntries(inputs.map((one, i) => [names[i], givenShape(one)])) : givenShape(inputs[0]),
      backend: options.backend,
    },
    {
      layers: [layer],
      ...(areNamed && { wiring: [[0, ...inputs.keys()]] }),
      ...(isList && {
        outputs: Object.fromEntries(
          given.map((name, i) => [name, i === 0 ? inputs.length : `onnx_1.${outputResult(i)}`]),
        ),
      }),
    },
    ({ name }) => values.get(name.slice(name.indexOf(".") + 1))!,
  );
  if (ours) Object.assign(model.details, detailsOf(file));
  model.details.source = { format: "ONNX", producer: file.producer, version: file.graph.version };
  return model;
}

const isOurs = ({ producer }: OnnxFile): boolean => producer.startsWith("chainrule");

/** What our own files keep of a model beside its network, such as the names of its classes. */
function detailsOf({ metadata }: OnnxFile): Record<string, unknown> {
  const parsed = (text: string): unknown => {
    try {
      return JSON.parse(text);
    } catch {
      return text; // texts are written as they are
    }
  };
  return Object.fromEntries(
    Object.entries(metadata).flatMap(([key, text]) => (key === "__proto__" ? [] : [[key, parsed(text)]])),
  );
}

/** Arrays for the inputs that were given as constants. */
function constantsOf({ inputs }: OnnxFile, given: Readonly<Record<string, Tensor>>): Map<string, OnnxTensor> {
  return new Map(
    Object.entries(given).map(([name, values]) => {
      const port = inputs.find((input) => input.name === name);
      if (!port)
        throw new ArgumentError(
          `fromOnnx: the file has no input "${name}"; it has ${inputs.map((input) => `"${input.name}"`).join(", ")}.`,
        );
      const { shape, data } = values;
      return [name, { name, type: port.type, shape, data: Float64Array.from(data) }];
    }),
  );
}

/** Names of inputs or outputs as words without dots, no two alike. */
function portNames(names: readonly string[]): string[] {
  const taken = new Set<string>(["validation"]);
  return names.map((name) => freshName(name.replaceAll(".", "_"), taken));
}

/** The inputs that are data: the one that is wanted, or all that are not constants. */
function inputsOf(
  { inputs }: OnnxFile,
  constants: ReadonlyMap<string, unknown>,
  wanted: string | undefined,
): readonly OnnxPort[] {
  const free = inputs.filter(({ name }) => !constants.has(name));
  const port = wanted === undefined ? free[0] : free.find(({ name }) => name === wanted);
  const shown = free.map(({ name, shape }) => `"${name}" [${shape ?? "?"}]`).join(", ");
  if (!port)
    throw new ArgumentError(
      `fromOnnx: ${wanted === undefined ? "the file has no input that data could be given to" : `the file has no input "${wanted}"`}; it has ${shown || "none"}.`,
    );
  // What is of another batch than the first is no data, as a rule.
  const other = free.find((each) => each !== port && (wanted !== undefined || batchOf(each) !== batchOf(port)));
  if (other)
    throw new ArgumentError(
      `fromOnnx: the first axis of each input must count the samples, but the file has ${free.length}: ${shown}. Give those that are no data values: { constants: { ${JSON.stringify(other.name)}: … } }.`,
    );
  return free;
}

/** The size of the batch that the file was written for; 0 if that is free. */
const batchOf = ({ shape }: OnnxPort): number => (typeof shape?.[0] === "number" ? shape[0] : 0);

function outputsOf(file: OnnxFile, wanted: string | readonly string[] | undefined): readonly { name: string }[] {
  const { outputs } = file;
  if (wanted === undefined) return isOurs(file) ? outputs : outputs.slice(0, 1);
  return [wanted].flat().map((name) => {
    const port = outputs.find((output) => output.name === name);
    if (port) return port;
    throw new ArgumentError(
      `fromOnnx: the file has no output "${name}"; it has ${outputs.map((output) => `"${output.name}"`).join(", ")}.`,
    );
  });
}

/** The shape of one sample. */
function sampleShape({ name, shape }: OnnxPort, given: InputShapes | undefined): Shape {
  const own = isObject(given) ? given[name] : given;
  const [, ...rest] = shape ?? [];
  if (own) return own as Shape;
  if (shape && rest.every((n) => typeof n === "number" && n > 0)) return rest as number[];
  throw new ArgumentError(
    `fromOnnx: the file leaves the shape of its input "${name}" open: [${shape ?? "?"}]. Say the shape of one sample: { inputShape: [3, 224, 224] }.`,
    { code: "wrong-shape", facts: { input: name } },
  );
}

/** Whether an input goes into an operator for images as it is, or after arithmetic such as a normalisation. */
function takesImages(nodes: readonly OnnxNode[], input: string): boolean {
  const images = new Set([input]);
  return nodes.some(({ op, inputs, outputs }) => {
    if (!images.has(inputs[0])) return false;
    if (ARITHMETIC.test(op)) images.add(outputs[0]);
    return OF_IMAGES.test(op);
  });
}

/** Which arrays are parameters of the layer, and which of those training changes. */
function parametersOf(
  nodes: readonly OnnxNode[],
  arrays: ReadonlyMap<string, SourcedTensor>,
  isTrainable: (name: string) => boolean,
) {
  const taken = new Set<string>();
  return [...arrays].flatMap(([array, { type, data, isWeight, source }]) => {
    const uses = nodes.filter(({ inputs }) => inputs.includes(array));
    const isRole = uses.every(({ op, inputs }) => !NO_WEIGHTS[op]?.includes(inputs.indexOf(array)));
    const learns = isWeight && isFloat(type) && data.length > 1 && isRole;
    const isState = uses.some(({ op, inputs }) => STATES[op]?.includes(inputs.indexOf(array)));
    if (!learns && !isState && data.length <= SMALL) return [];
    const name = freshName(source, taken);
    return [{ name, array, type, trainable: learns && isTrainable(source) }];
  });
}

/** The file's own name for an array without what would make it hard to write: `fc1.weight`. */
function freshName(array: string, taken: Set<string>): string {
  const plain = array.replaceAll(/[\s/:]+/g, "_").replaceAll(/^_+|_+$/g, "") || "array";
  let name = plain;
  for (let i = 2; taken.has(name); i++) name = `${plain}_${i}`;
  taken.add(name);
  return name;
}
