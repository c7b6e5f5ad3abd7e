/** A network with its values, and what can be done with it without changing them: evaluate, predict, save. */

import type { Backend, Executable, Session } from "../backends/backend.ts";
import { atOnce } from "../backends/checks.ts";
import { wasm } from "../backends/wasm/session.ts";
import { check, checkOptionNames, isObject, unknownName } from "../checks.ts";
import { ArgumentError } from "../errors.ts";
import { input } from "../graph/leaf.ts";
import type { Node } from "../graph/node.ts";
import type { AnyArray, Tensor } from "../graph/op.ts";
import { type Shape, sizeOf } from "../graph/shape.ts";
import { hasLabels, type LossesOption, lossesOf, lossNamed, takesLogits } from "../nn/losses.ts";
import { arrayName, type InputShapes, Network, type Parameter } from "../nn/network.ts";
import type { Structure } from "../nn/wiring.ts";
import { makePlan } from "../plan/plan.ts";
import { RandomStream } from "../random.ts";
import { noBatches, streamRows } from "./batch-source.ts";
import { checkData, checkModel, checkPath } from "./check-arguments.ts";
import type { Examples } from "./examples.ts";
import { cached } from "./memoize.ts";
import { largest, softmaxOf } from "./metrics.ts";
import { encodeModelFile, type ModelFile, tensorOf } from "./model-file.ts";
import { files } from "./node-files.ts";
import type { MetricsOption } from "./objective.ts";
import { openPieces, type PieceSource } from "./pieces.ts";
import type { Scores } from "./scores.ts";
import { summaryTable } from "./summary.ts";
import {
  type Arrays,
  arraysFor,
  byPort,
  checkFinite,
  commonCount,
  type Data,
  type Inputs,
  inputsIn,
  isStream,
  type Numbers,
  type RowValues,
  type Stream,
  toArray,
  toRows,
  toTargets,
  toUncheckedRows,
  toWeights,
} from "./to-arrays.ts";
import { makeEvaluator } from "./trainer.ts";
import { forwardBatch, predictionPlan, rowLeaves } from "./training-graph.ts";

/** Options of `sequential` and `functional`. */
export interface ModelOptions {
  /** The shape of one sample, without the batch: [784], [28, 28, 1]; of several inputs, each by its name. */
  readonly input: InputShapes;
  /** Decides initial weights, shuffling and dropout; 0 unless said. */
  readonly seed?: number;
  /** What computes; the WebAssembly engine unless said. */
  readonly backend?: Backend;
}

/** The rows of a stream as they are stored, to measure or predict with. */
export const streamedPieces = (
  model: InferenceModel<unknown>,
  stream: Stream,
  loss: LossesOption,
): Promise<PieceSource> =>
  openPieces(
    streamRows(
      stream,
      () => ({}),
      (rows) => model.examples(rows, loss),
    ),
    forwardBatch(model.network),
    { none: noBatches(0), rows: stream.count },
  );

/** Programs that `intermediates` keeps at once. */
const MOST_INSPECTORS = 8;

/** What `model.classify` gives. */
export interface Classified {
  /** The most likely class of each row: N numbers. */
  readonly classes: Int32Array;
  /** The probability of each class, row by row: N · C numbers. */
  readonly probabilities: Float32Array;
  /** Where a row may have several labels at once, a 1 for each that it has, row by row: N · L numbers. */
  readonly labels?: Uint8Array;
}

/** Options of `model.evaluate`. */
export interface EvaluateOptions {
  /** The one the model was trained with unless said. */
  readonly loss?: LossesOption;
  /** Names such as `accuracy`; of a network whose outputs have names, lists of them by these. */
  readonly metrics?: MetricsOption;
  readonly signal?: AbortSignal;
}

/** What a model gives where its outputs have names: an array for each. */
export type Predicted = Readonly<Record<string, Float32Array>>;

/**
 * A network with its values in an engine: all that a model can do but train. Y is what `predict` gives: one array, or an object
 * of arrays by the outputs' names.
 */
export class InferenceModel<Y = Float32Array> {
  readonly network: Network;
  /** What computes; a second model for the same bits is opened on it. */
  readonly backend: Backend;
  /** For the library's own rooms: the values live here. */
  readonly session: Session;
  readonly #predictors = new Map<string, Executable>();
  /** What `intermediates` has compiled, by the type and the number of rows. */
  readonly #inspectors = new Map<string, { named: [string, Node][]; program: Executable }>();
  /** Plain JSON that is saved with the model: class names, columns, the loss it was trained with. */
  readonly details: Record<string, unknown> = {};

  /** @param initial a parameter's first values; drawn by its initialiser unless given */
  constructor(
    options: ModelOptions,
    { layers, ...connections }: Structure,
    initial: (parameter: Parameter) => AnyArray | readonly number[] = ({ name, node, init }) =>
      init(node.shape, new RandomStream(this.network.seed, name)),
  ) {
    checkModel(options, layers);
    const { input, seed = 0, backend = wasm() } = options;
    this.network = new Network(input, seed, layers, connections);
    this.backend = backend;
    this.session = backend.open();
    for (const parameter of this.network.parameters) this.session.write(parameter.node, initial(parameter));
  }

  /** What computes: `wasm, relaxed SIMD, 1 thread`. */
  get engine(): string {
    return this.session.description;
  }

  get inputShape(): Shape {
    return this.network.inputShape;
  }

  /**
   * A copy of a parameter's values, by its name such as `dense_1.kernel`.
   * @throws ArgumentError on a GPU, which answers only `weightAsync`
   */
  weight(name: string): Float32Array {
    return atOnce(this.session.read(this.#parameter(name).node)) as Float32Array;
  }

  /** A copy of a parameter's values, on any backend. */
  async weightAsync(name: string): Promise<Float32Array> {
    return (await this.session.read(this.#parameter(name).node)) as Float32Array;
  }

  /** Sets a parameter's values. */
  setWeight(name: string, values: Numbers): void {
    const { node } = this.#parameter(name);
    this.session.write(node, toArray(values, node.shape, name));
  }

  /**
   * Leaves layers as they are in later training, by name: `dense_1`, or `residual_1.dense_2`. A frozen layer works as at
   * inference: batch normalisation uses and keeps its running statistics.
   *
   * @example
   * model.freeze("dense_1");
   */
  freeze(...layers: string[]): void {
    for (const name of layers) this.network.freeze(name);
  }

  /** Trains layers again that were frozen. */
  unfreeze(...layers: string[]): void {
    for (const name of layers) this.network.freeze(name, false);
  }

  /**
   * Makes the states 0 that stateful layers carry from batch to batch: where other sequences begin.
   *
   * @example
   * model.resetStates();
   */
  resetStates(): void {
    for (const { carried, node, init, name } of this.network.parameters)
      if (carried) this.session.write(node, init(node.shape, new RandomStream(this.network.seed, name)));
  }

  #parameter(name: string): Parameter {
    const { parameters } = this.network;
    const found = parameters.find((parameter) => parameter.name === name);
    if (found) return found;
    const names = parameters.map((parameter) => parameter.name);
    throw unknownName("parameter", name, names);
  }

  /** Users' rows of each input, checked. */
  #rows(given: Arrays, read = toRows, what = "x"): { x: RowValues[]; count: number } {
    const { inputs } = this.network;
    const rows = arraysFor(inputs, given, what, "input").map((array, i) => {
      const name = arrayName(what, inputs[i]);
      const one = read(array, inputs[i].shape, name);
      this.network.check(i, one.values, name);
      return one;
    });
    return { x: rows.map(({ values }) => values), count: commonCount(rows, inputs, what) };
  }

  /** Users' arrays, checked and made ready for a loss. */
  examples(data: Data, loss: LossesOption, what = ""): Examples {
    const { outputs } = this.network;
    const { x, count } = this.#rows(data.x, toRows, `${what}x`);
    const losses = lossesOf(
      outputs.map(({ name }) => name),
      loss,
    );
    const y = arraysFor(outputs, data.y, `${what}y`, "output").map((array, i) =>
      toTargets(array, losses[i].loss, outputs[i].shape, count, arrayName(`${what}y`, outputs[i])),
    );
    return { count, x, y, ...(data.weights && { weights: toWeights(data.weights, count, `${what}weights`) }) };
  }

  /** The loss, and each metric under its name, over a data set. */
  async evaluate(data: Data | Stream, options: EvaluateOptions = {}): Promise<Scores> {
    if (!isStream(data)) checkData("evaluate", data);
    checkOptionNames("evaluate", options, ["loss", "metrics", "signal"]);
    const { loss = this.trainedLoss(), metrics = [], signal } = options;
    const rows = isStream(data) ? await streamedPieces(this, data, loss) : this.examples(data, loss);
    const evaluator = makeEvaluator(this, rows, loss, metrics);
    try {
      return await evaluator.run(signal);
    } finally {
      evaluator.free();
    }
  }

  /** The loss it was trained with; of outputs with names, that of each. */
  trainedLoss(): LossesOption {
    const { loss, lossOptions } = this.details;
    if (typeof loss === "string") return lossNamed(loss, lossOptions as Record<string, unknown> | undefined);
    if (isObject(loss)) {
      const each = Object.entries(loss as Record<string, { loss: string; options?: object; weight?: number }>);
      return Object.fromEntries(
        each.map(([name, { loss, options, weight = 1 }]) => [name, { loss: lossNamed(loss, { ...options }), weight }]),
      );
    }
    throw new ArgumentError(
      'A loss must be named, since this model has not been trained yet: { loss: "crossEntropy" }.',
    );
  }

  /**
   * What the network gives for each row: [N, …input shape] → N · output values, flat; where outputs have names, an object
   * of such arrays. For a classifier trained on logits these are logits; `classify` gives probabilities. A data set may
   * stand for its rows.
   */
  async predict(given: Inputs | Stream): Promise<Y> {
    if (isStream(given)) return this.#predictStream(given);
    const { x, count } = this.#rows(inputsIn(given, this.network.inputs), toUncheckedRows);
    const { network } = this;
    const { inputs, outputs } = network;
    const most = forwardBatch(network);
    const types = x.map((values) => (values instanceof Uint8Array ? "byte" : "float")).join(" ");
    const results = outputs.map(({ shape }) => new Float32Array(count * sizeOf(shape)));
    for (let row = 0; row < count; ) {
      // What is left goes in smaller powers of two.
      const size = Math.min(most, 2 ** Math.floor(Math.log2(count - row)));
      const batch = x.map((values) =>
        values.subarray((values.length / count) * row, (values.length / count) * (row + size)),
      );
      const predictor = cached(this.#predictors, `${types} ${size}`, () =>
        this.session.compile(predictionPlan(network, size, x)),
      );
      const run = (await predictor.run(batch)).outputs;
      if (run.slice(outputs.length).some((broken) => broken.some((zero) => zero !== 0)))
        for (const [i, values] of x.entries()) checkFinite(values, sizeOf(inputs[i].shape), arrayName("x", inputs[i]));
      for (const [i, result] of results.entries()) result.set(run[i], (result.length / count) * row);
      row += size;
    }
    return byPort(outputs, results) as Y;
  }

  async #predictStream(stream: Stream): Promise<Y> {
    const { outputs } = this.network;
    const results = outputs.map(({ shape }) => new Float32Array(stream.count * sizeOf(shape)));
    let row = 0;
    for await (const rows of stream.rows()) {
      const predicted = await this.predict(rows);
      const each = outputs.length > 1 ? Object.values(predicted as Predicted) : [predicted as Float32Array];
      for (const [i, values] of each.entries()) results[i].set(values, (values.length / rows.count) * row);
      row += rows.count;
    }
    return byPort(outputs, results) as Y;
  }

  /**
   * What the network computes on the way, by name: `dense_1.z`, `dense_1.a`, and each layer's result under the layer's
   * own name. For the given rows, as at inference; each array is [N, …].
   *
   * @example
   * const { "dense_1.a": hidden } = await model.intermediates(x);
   * console.log(hidden.shape); // [4, 3]
   */
  async intermediates(given: Inputs): Promise<Record<string, Tensor>> {
    const { x, count } = this.#rows(inputsIn(given, this.network.inputs));
    const key = `${x.map((values) => values.constructor.name).join(" ")} ${count}`;
    // A page asks for the same rows again and again; whoever asks for many different numbers of them shall not fill memory.
    if (!this.#inspectors.has(key) && this.#inspectors.size >= MOST_INSPECTORS) this.#freeInspectors();
    const { named, program } = cached(this.#inspectors, key, () => {
      const inputs = rowLeaves(input, this.network.inputs, count, x);
      const named = [...this.network.apply(inputs, { training: false, unrolled: true }).named];
      const outputs = named.map(([, result]) => result);
      return { named, program: this.session.compile(makePlan({ inputs, outputs })) };
    });
    const { outputs } = await program.run(x);
    return Object.fromEntries(named.map(([name, { shape }], i) => [name, { shape, data: outputs[i] }]));
  }

  #freeInspectors(): void {
    for (const { program } of this.#inspectors.values()) program.free();
    this.#inspectors.clear();
  }

  /**
   * The most likely class of each row and the probabilities of all classes: softmax of the outputs, or the sigmoid of a
   * single one, unless the network or the loss says that they are probabilities already.
   *
   * A model with several outputs that was trained with `binaryCrossEntropy` has several labels at once: `probabilities` is
   * then each label's own, [N · L], `labels` a 1 for each that is likelier than not, and `classes` the likeliest label.
   * @param output which output, where they have names
   */
  async classify(x: Inputs | Stream, output?: string): Promise<Classified> {
    const names = this.network.outputs.map(({ name }) => name);
    const place = names.indexOf(output);
    if (place < 0) {
      const known = names.filter((name) => name !== undefined);
      check(
        output !== undefined,
        `classify(x, output) needs the name of one of the outputs ${known.join(", ")}`,
        output,
      );
      throw unknownName("output", output, known);
    }
    const predicted = await this.predict(x);
    const outputs = output === undefined ? (predicted as Float32Array) : (predicted as Predicted)[output];
    const { shape, op } = this.network.outputs[place];
    const width = sizeOf(shape);
    const loss = this.details.loss === undefined ? undefined : lossesOf(names, this.trainedLoss())[place].loss;
    const isLogit = op !== "sigmoid" && (loss === undefined || takesLogits(loss));
    if (loss && hasLabels(loss, width)) {
      const probabilities = isLogit ? outputs.map((z) => 1 / (1 + Math.exp(-z))) : outputs;
      return {
        classes: Int32Array.from({ length: outputs.length / width }, (_, row) => largest(outputs, row * width, width)),
        probabilities,
        labels: Uint8Array.from(probabilities, (p) => Number(p > 0.5)),
      };
    }
    const rows = Array.from({ length: outputs.length / width }, (_, row) => {
      const own = outputs.subarray(row * width, (row + 1) * width);
      if (width > 1) return op === "softmax" ? [...own] : softmaxOf(own);
      const p = isLogit ? 1 / (1 + Math.exp(-own[0])) : Math.min(Math.max(own[0], 0), 1);
      return [1 - p, p];
    });
    return {
      classes: Int32Array.from(rows, (p) => largest(p)),
      probabilities: Float32Array.from(rows.flat()),
    };
  }

  /** A table of the layers, their shapes and parameters. */
  summary(): string {
    return summaryTable(this.network, this.engine);
  }

  /**
   * The model as the bytes of a safetensors file.
   * @throws ArgumentError on a GPU, which answers only `toBytesAsync`
   */
  toBytes(): Uint8Array {
    return this.#encode(this.network.parameters.map(({ node }) => atOnce(this.session.read(node))));
  }

  /** The model as the bytes of a safetensors file, on any backend. */
  async toBytesAsync(extra?: Pick<ModelFile, "tensors" | "details">): Promise<Uint8Array> {
    const values = await Promise.all(this.network.parameters.map(({ node }) => this.session.read(node)));
    return this.#encode(values, extra);
  }

  #encode(
    values: readonly AnyArray[],
    extra: Pick<ModelFile, "tensors" | "details"> = { tensors: new Map(), details: {} },
  ): Uint8Array {
    const parameters = this.network.parameters.map(
      ({ name, node }, i) => [name, { shape: node.shape, data: values[i] as Float32Array }] as const,
    );
    return encodeModelFile({
      architecture: {
        input: this.network.input,
        seed: this.network.seed,
        layers: this.network.toLayers(),
        ...this.network.connections,
      },
      tensors: new Map([...parameters, ...extra.tensors]),
      details: { ...this.details, ...extra.details },
    });
  }

  /** Writes the model to a safetensors file, all of it or nothing. */
  async save(path: string): Promise<void> {
    checkPath("save", path);
    const { writeFile } = await files();
    await writeFile(path, await this.toBytesAsync());
  }

  /** Takes the parameters' values from a file of the same architecture. */
  restore(file: ModelFile, name?: string): void {
    const values = this.network.parameters.map(
      (parameter) => [parameter.node, tensorOf(file, parameter.name, parameter.node.shape, name)] as const,
    );
    for (const [node, data] of values) this.session.write(node, data);
  }

  /** Gives back the engine's memory and threads at once instead of when the model is collected. */
  close(): void {
    this.session.close();
  }
}
