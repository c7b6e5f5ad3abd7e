/** ONNX files as models. */
import type { Backend } from "../../backends/backend.ts";
import { checkOptionNames } from "../../checks.ts";
import { ArgumentError } from "../../errors.ts";
import { input } from "../../graph/leaf.ts";
import type { Shape } from "../../graph/shape.ts";
import { Model } from "../../train/model.ts";
import type { Tensor } from "../../train/transformations.ts";
import type { OnnxNode } from "./call.ts";
import { applyGraph } from "./graph.ts";
import { onnxLayer } from "./layer.ts";
import { inOurLayouts } from "./layouts.ts";
import { type OnnxFile, type OnnxPort, readOnnx } from "./read.ts";
import { type SourcedTensor, simplify } from "./simplify.ts";
import { type ExternalData, type OnnxTensor, plainArray } from "./tensors.ts";
import { isFloat, Value, valueOfTensor } from "./value.ts";

/** Options of `fromOnnx`. */
export interface FromOnnxOptions {
  readonly backend?: Backend;
  /** Which input the model takes, where the file has several. The others must be constants. */
  readonly input?: string;
  /** Which output the model gives, where the file has several; the first unless said. */
  readonly output?: string;
  /** Values for inputs that are no data, such as a shape, by name: `tensor([1, 0])`. */
  readonly constants?: Readonly<Record<string, Tensor>>;
  /** The shape of one sample in the file's order of axes, where the file leaves sizes beside the batch free. */
  readonly inputShape?: Shape;
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
 * It takes one input, whose first axis counts the samples, and gives one output. Images are given with channels last.
 * Operators of versions 1 to 28 are read (docs/onnx.md lists them). In training, batch normalisation takes the batch's statistics
 * and dropout drops, as in our own layers, unless the layer is frozen.
 * @throws DataError for a damaged file, or one with operators that are not known: all of them are named
 * @throws ArgumentError where the file does not say which input, or what shape, is meant
 *
 * @example
 * const model = fromOnnx(await readFile("net.onnx"));
 * await model.fit({ x, y }, { loss: "crossEntropy", optimizer: adam({ learningRate: 1e-4 }), epochs: 3 });
 */
export function fromOnnx(bytes: Uint8Array, options: FromOnnxOptions = {}): Model {
  checkOptionNames("fromOnnx", options, OPTIONS);
  const whole = readOnnx(bytes, options.external);
  const constants = constantsOf(whole, options.constants ?? {});
  const file = { ...whole, arrays: new Map([...whole.arrays, ...constants]) };
  const port = inputOf(file, constants, options.input);
  const output = outputOf(file, options.output);
  const simple = simplify({ ...file, graph: { ...file.graph, outputs: [output] } });
  const { shape, batch } = sampleShape(port, options.inputShape);
  const hasImages = shape.length === 3 && takesImages(simple.graph.nodes, port.name);
  const { channelsLast = hasImages } = options;
  const sample = channelsLast ? [...shape.slice(1), shape[0]] : shape;
  const { graph, arrays } = inOurLayouts(simple, (visit, probed) => {
    const given = new Map([...probed.arrays].map(([name, tensor]) => [name, valueOfTensor(tensor)]));
    given.set(port.name, new Value(input(port.name, [1, ...sample]), port.type, channelsLast ? "last" : "second"));
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
    input: { name: port.name, type: port.type, shape },
    parameters,
    constants: Object.fromEntries(small),
    channelsLast,
    batch,
  });
  const model = new Model(
    { input: sample, backend: options.backend },
    { layers: [layer] },
    ({ name }) => values.get(name.slice(name.indexOf(".") + 1))!,
  );
  if (isOurs(file)) Object.assign(model.details, detailsOf(file));
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

function inputOf({ inputs }: OnnxFile, constants: ReadonlyMap<string, unknown>, wanted: string | undefined): OnnxPort {
  const free = inputs.filter(({ name }) => !constants.has(name));
  const port = wanted === undefined ? free[0] : free.find(({ name }) => name === wanted);
  const shown = free.map(({ name, shape }) => `"${name}" [${shape ?? "?"}]`).join(", ");
  if (!port)
    throw new ArgumentError(
      `fromOnnx: ${wanted === undefined ? "the file has no input that data could be given to" : `the file has no input "${wanted}"`}; it has ${shown || "none"}.`,
    );
  if (free.length > 1)
    throw new ArgumentError(
      `fromOnnx: a model takes one input, but the file has ${free.length}: ${shown}. Give the others values: { constants: { ${JSON.stringify(free.find((each) => each !== port)!.name)}: … } }.`,
    );
  return port;
}

function outputOf({ outputs }: OnnxFile, wanted: string | undefined): string {
  const port = wanted === undefined ? outputs[0] : outputs.find(({ name }) => name === wanted);
  if (port) return port.name;
  throw new ArgumentError(
    `fromOnnx: the file has no output "${wanted}"; it has ${outputs.map(({ name }) => `"${name}"`).join(", ")}.`,
  );
}

/** The shape of one sample, and the size of the batch that the file was written for; 0 if that is free. */
function sampleShape({ name, shape }: OnnxPort, given: Shape | undefined): { shape: Shape; batch: number } {
  const [first, ...rest] = shape ?? [];
  const batch = typeof first === "number" ? first : 0;
  if (given) return { shape: given, batch };
  if (shape && rest.every((n) => typeof n === "number" && n > 0)) return { shape: rest as number[], batch };
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
