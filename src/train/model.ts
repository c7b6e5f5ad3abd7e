/**
 * The model that users hold: a network with its values, and what can be done with it: fit, evaluate, predict, save.
 */

import type { Backend, Executable, Session } from "../backends/backend.ts";
import { wasm } from "../backends/wasm/session.ts";
import { checkOptionNames, unknownName } from "../checks.ts";
import type { NumberArray } from "../data/arrays.ts";
import { ArgumentError, ChainruleError } from "../errors.ts";
import { input } from "../graph/leaf.ts";
import type { Tensor } from "../graph/op.ts";
import { type Shape, sizeOf } from "../graph/shape.ts";
import type { Layer } from "../nn/layer.ts";
import { type Loss, type LossOption, lossNamed, lossOf, takesLogits } from "../nn/losses.ts";
import { Network, type Parameter } from "../nn/network.ts";
import { type Flow, traceFlow, type Wiring } from "../nn/wiring.ts";
import { makePlan } from "../plan/plan.ts";
import { RandomStream } from "../random.ts";
import { cached } from "./cached.ts";
import { checkData, checkModel, checkPath } from "./door.ts";
import { files } from "./files.ts";
import { Fit, type FitOptions } from "./fit.ts";
import {
  checkFinite,
  type Numbers,
  type Rows,
  toArray,
  toRows,
  toTargets,
  toUncheckedRows,
  toWeights,
} from "./inputs.ts";
import { largest, softmaxOf } from "./metrics.ts";
import { decodeModelFile, encodeModelFile, type ModelFile, modelError, tensorOf } from "./model-file.ts";
import { forwardBatch, predictionPlan } from "./program.ts";
import type { BatchSource } from "./source.ts";
import { summaryTable } from "./summary.ts";
import { type Examples, makeEvaluator, type Scores } from "./trainer.ts";

/** Inputs and what the network should make of them. */
export interface Data {
  /** Rows of the input shape: nested arrays, or one flat array. */
  readonly x: Numbers | NumberArray;
  /** One class number per row, or one-hot rows, or target values. */
  readonly y: Numbers | NumberArray;
  /** How much each row counts in the loss, one number ≥ 0 per row; the mean still divides by the number of rows. */
  readonly weights?: ArrayLike<number>;
  /** The names of the classes, as data sets have them; `classWeights` may use them. */
  readonly classes?: readonly string[];
}

/** Rows alone: arrays, or a data set, whose y is not looked at. */
export type Inputs = Numbers | NumberArray | Pick<Data, "x">;

/** Options of `sequential` and `functional`. */
export interface ModelOptions {
  /** The shape of one sample, without the batch: [784], [28, 28, 1]. */
  readonly input: Shape;
  /** Decides initial weights, shuffling and dropout; 0 unless said. */
  readonly seed?: number;
  /** What computes; the WebAssembly engine unless said. */
  readonly backend?: Backend;
}

/** Options of `model.evaluate`. */
export interface EvaluateOptions {
  /** The one the model was trained with unless said. */
  readonly loss?: LossOption;
  readonly metrics?: readonly string[];
  readonly signal?: AbortSignal;
}

/**
 * A network with its weights and an engine: trains, predicts, is saved. Made by `sequential`, `functional` and `load`.
 *
 * @example
 * console.log(model.summary());
 * const history = await model.fit(data, { loss: "crossEntropy", epochs: 5 });
 * const { loss } = await model.evaluate(data);
 */
export class Model {
  readonly network: Network;
  /** What computes; a second model for the same bits is opened on it. */
  readonly backend: Backend;
  /** For the library's own rooms: the values live here. */
  readonly session: Session;
  readonly #predictors = new Map<string, Executable>();
  /** Plain JSON that is saved with the model: class names, columns, the loss it was trained with. */
  readonly details: Record<string, unknown> = {};

  constructor(options: ModelOptions, layers: readonly Layer[], wiring?: Wiring) {
    checkModel(options, layers);
    const { input, seed = 0, backend = wasm() } = options;
    this.network = new Network(input, seed, layers, wiring);
    this.backend = backend;
    this.session = backend.open();
    for (const { name, node, init } of this.network.parameters)
      this.session.write(node, init(node.shape, new RandomStream(seed, name)));
  }

  /** What computes: `wasm, relaxed SIMD, 1 thread`. */
  get engine(): string {
    return this.session.description;
  }

  get inputShape(): Shape {
    return this.network.inputShape;
  }

  /** A copy of a parameter's values, by its name such as `dense_1.kernel`. */
  weight(name: string): Float32Array {
    return this.session.read(this.#parameter(name).node) as Float32Array;
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

  #parameter(name: string): Parameter {
    const { parameters } = this.network;
    const found = parameters.find((parameter) => parameter.name === name);
    if (found) return found;
    const names = parameters.map((parameter) => parameter.name);
    throw unknownName("parameter", name, names);
  }

  /** Users' rows, checked. */
  #rows(rows: Inputs, read = toRows, what = "x"): Rows {
    const given = typeof rows === "object" && rows !== null && "x" in rows ? rows.x : rows;
    const x = read(given as Numbers, this.inputShape, what);
    this.network.check(x.values, what);
    return x;
  }

  /** Users' arrays, checked and made ready for a loss. */
  examples({ x, y, weights }: Data, loss: LossOption, what = ""): Examples {
    const rows = this.#rows(x, toRows, `${what}x`);
    return {
      x: rows,
      y: toTargets(y as Numbers, lossOf(loss).target, this.network.outputShape, rows.count, `${what}y`),
      ...(weights && { weights: toWeights(weights, rows.count, `${what}weights`) }),
    };
  }

  /**
   * Trains the model. The result can be awaited, for the history, or iterated, for the epochs as they come.
   * **Training begins only when the result is awaited or iterated.**
   *
   * The data may also be a function, such as an async generator, that gives the batches of an epoch: one epoch at a time
   * is in memory, its rows stay in their order, and a step takes as many as the first batch has unless `batchSize` says
   * otherwise. An endless one needs `stepsPerEpoch`. Every epoch must have as many rows; to resume with the same bits,
   * the same epoch must give the same rows.
   *
   * @example
   * for await (const epoch of model.fit({ x, y }, { loss: "crossEntropy", optimizer: adam(), epochs: 5 })) console.log(epoch.loss);
   *
   * async function* points(epoch) {
   *   const random = new RandomStream(7, `epoch ${epoch}`);
   *   for (;;) {
   *     const [a, b] = [random.uniform(), random.uniform()];
   *     yield { x: [[a, b]], y: [a > b ? 1 : 0] };
   *   }
   * }
   * await model.fit(points, { loss: "crossEntropy", epochs: 2, stepsPerEpoch: 10 });
   */
  fit(data: Data | BatchSource, options: FitOptions): Fit {
    return new Fit(this, data, options);
  }

  /** The loss, and each metric under its name, over a data set. */
  async evaluate(data: Data, options: EvaluateOptions = {}): Promise<Scores> {
    checkData("evaluate", data);
    checkOptionNames("evaluate", options, ["loss", "metrics", "signal"]);
    const { loss = this.trainedLoss(), metrics = [], signal } = options;
    const evaluator = makeEvaluator(this, this.examples(data, loss), loss, metrics);
    try {
      return await evaluator.run(signal);
    } finally {
      evaluator.free();
    }
  }

  /** The loss it was trained with. */
  trainedLoss(): Loss {
    const { loss, lossOptions } = this.details;
    if (typeof loss === "string") return lossNamed(loss, lossOptions as Record<string, unknown> | undefined);
    throw new ArgumentError(
      'A loss must be named, since this model has not been trained yet: { loss: "crossEntropy" }.',
    );
  }

  /**
   * What the network gives for each row: [N, …input shape] → N · output values, flat. For a classifier trained on logits
   * these are logits; `classify` gives probabilities. A data set may stand for its rows.
   */
  async predict(x: Inputs): Promise<Float32Array> {
    const { values, count } = this.#rows(x, toUncheckedRows);
    const [rowSize, width] = [sizeOf(this.inputShape), sizeOf(this.network.outputShape)];
    const most = forwardBatch(this.network);
    const dtype = values instanceof Uint8Array ? "byte" : "float";
    const result = new Float32Array(count * width);
    for (let row = 0; row < count; ) {
      // What is left goes in smaller powers of two.
      const size = Math.min(most, 2 ** Math.floor(Math.log2(count - row)));
      const batch = values.subarray(row * rowSize, (row + size) * rowSize);
      const predictor = cached(this.#predictors, `${dtype} ${size}`, () =>
        this.session.compile(predictionPlan(this.network, size, dtype)),
      );
      const [output, broken] = (await predictor.run([batch])).outputs;
      if (broken?.some((zero) => zero !== 0)) checkFinite(values, rowSize, "x");
      result.set(output, row * width);
      row += size;
    }
    return result;
  }

  /**
   * What the network computes on the way, by name: `dense_1.z`, `dense_1.a`, and each layer's result under the layer's
   * own name. For the given rows, as at inference; each array is [N, …].
   *
   * @example
   * const { "dense_1.a": hidden } = await model.intermediates(x);
   * console.log(hidden.shape); // [4, 3]
   */
  async intermediates(x: Inputs): Promise<Record<string, Tensor>> {
    const { values, count } = this.#rows(x);
    const node = input("x", [count, ...this.inputShape], values instanceof Uint8Array ? "byte" : "float");
    const named = [...this.network.apply(node, { training: false }).named];
    const program = this.session.compile(makePlan({ inputs: [node], outputs: named.map(([, result]) => result) }));
    try {
      const { outputs } = await program.run([values]);
      return Object.fromEntries(named.map(([name, { shape }], i) => [name, { shape, data: outputs[i] }]));
    } finally {
      program.free();
    }
  }

  /**
   * The most likely class of each row and the probabilities of all classes: softmax of the outputs, or the sigmoid of a
   * single one, unless the network or the loss says that they are probabilities already.
   */
  async classify(x: Inputs): Promise<{ classes: Int32Array; probabilities: Float32Array }> {
    const outputs = await this.predict(x);
    const width = sizeOf(this.network.outputShape);
    const { outputOp } = this.network;
    const loss = typeof this.details.loss === "string" ? this.trainedLoss() : undefined;
    const isLogit = outputOp !== "sigmoid" && (loss === undefined || takesLogits(lossOf(loss)));
    const rows = Array.from({ length: outputs.length / width }, (_, row) => {
      const own = outputs.subarray(row * width, (row + 1) * width);
      if (width > 1) return outputOp === "softmax" ? [...own] : softmaxOf(own);
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

  /** The model as the bytes of a safetensors file. */
  toBytes(extra: Pick<ModelFile, "tensors" | "details"> = { tensors: new Map(), details: {} }): Uint8Array {
    const parameters = this.network.parameters.map(
      ({ name, node }) => [name, { shape: node.shape, data: this.session.read(node) as Float32Array }] as const,
    );
    return encodeModelFile({
      architecture: {
        input: this.inputShape,
        seed: this.network.seed,
        layers: this.network.toLayers(),
        wiring: this.network.wiring,
      },
      tensors: new Map([...parameters, ...extra.tensors]),
      details: { ...this.details, ...extra.details },
    });
  }

  /** Writes the model to a safetensors file, all of it or nothing. */
  async save(path: string): Promise<void> {
    checkPath("save", path);
    const { writeFile } = await files();
    await writeFile(path, this.toBytes());
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

/**
 * A network of layers one after the other.
 *
 * @example
 * const model = sequential({ input: [784], seed: 7 }, [dense(128, { activation: "relu" }), dropout(0.2), dense(10)]);
 */
export const sequential = (options: ModelOptions, layers: readonly Layer[]): Model => new Model(options, layers);

/**
 * A network in the functional form: any wiring of layers, from one input to one output. A layer object that is applied
 * several times has one set of parameters.
 *
 * @example
 * const model = functional({ input: [8] }, (x) => {
 *   const h = x.to(dense(16, { activation: "relu" }));
 *   return merge("add", h, h.to(dense(16))).to(dense(2));
 * });
 */
export function functional(options: ModelOptions, build: (x: Flow) => Flow): Model {
  const { layers, wiring } = traceFlow(build);
  return new Model(options, layers, wiring);
}

/**
 * A model from the bytes of a file that `save` wrote.
 *
 * @example
 * const again = fromBytes(model.toBytes()); // in a browser: new Uint8Array(await response.arrayBuffer())
 */
export function fromBytes(bytes: Uint8Array, options: { backend?: Backend; file?: string } = {}): Model {
  const file = decodeModelFile(bytes, options.file);
  const { input, seed, layers, wiring } = file.architecture;
  let model: Model;
  try {
    model = new Model({ input, seed, backend: options.backend }, layers, wiring);
  } catch (error) {
    if (error instanceof ChainruleError) throw error;
    throw modelError(`a layer's configuration makes no sense (${error}); the file is damaged.`, options.file, error);
  }
  model.restore(file, options.file);
  Object.assign(model.details, file.details);
  return model;
}

/**
 * Reads a model file.
 * @throws FileError if it cannot be read; DataError if it is no model
 *
 * @example
 * await model.save("model.safetensors");
 * const again = await load("model.safetensors");
 * const { classes } = await again.classify([[0, 1]]);
 */
export async function load(path: string, options: { backend?: Backend } = {}): Promise<Model> {
  checkPath("load", path);
  const { readFile } = await files();
  return fromBytes(await readFile(path), { ...options, file: path });
}
