/** A network with its values, and what can be done with it without changing them: evaluate, predict, save. */

import type { Backend, Executable, Session } from "../backends/backend.ts";
import { atOnce } from "../backends/checks.ts";
import { wasm } from "../backends/wasm/session.ts";
import { checkOptionNames, unknownName } from "../checks.ts";
import { ArgumentError } from "../errors.ts";
import { input } from "../graph/leaf.ts";
import type { Node } from "../graph/node.ts";
import type { AnyArray, Tensor } from "../graph/op.ts";
import { type Shape, sizeOf } from "../graph/shape.ts";
import type { Layer } from "../nn/layer.ts";
import { hasLabels, type Loss, type LossOption, lossNamed, lossOf, takesLogits } from "../nn/losses.ts";
import { Network, type Parameter } from "../nn/network.ts";
import type { Wiring } from "../nn/wiring.ts";
import { makePlan } from "../plan/plan.ts";
import { RandomStream } from "../random.ts";
import { checkData, checkModel, checkPath } from "./check-arguments.ts";
import type { Examples } from "./examples.ts";
import { cached } from "./memoize.ts";
import { largest, softmaxOf } from "./metrics.ts";
import { encodeModelFile, type ModelFile, tensorOf } from "./model-file.ts";
import { files } from "./node-files.ts";
import type { Scores } from "./scores.ts";
import { summaryTable } from "./summary.ts";
import {
  checkFinite,
  type Data,
  type Inputs,
  type Numbers,
  type Rows,
  toArray,
  toRows,
  toTargets,
  toUncheckedRows,
  toWeights,
} from "./to-arrays.ts";
import { makeEvaluator } from "./trainer.ts";
import { forwardBatch, predictionPlan } from "./training-graph.ts";

/** Options of `sequential` and `functional`. */
export interface ModelOptions {
  /** The shape of one sample, without the batch: [784], [28, 28, 1]. */
  readonly input: Shape;
  /** Decides initial weights, shuffling and dropout; 0 unless said. */
  readonly seed?: number;
  /** What computes; the WebAssembly engine unless said. */
  readonly backend?: Backend;
}

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
  readonly loss?: LossOption;
  readonly metrics?: readonly string[];
  readonly signal?: AbortSignal;
}

/** A network with its values in an engine: all that a model can do but train. */
export class InferenceModel {
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
    layers: readonly Layer[],
    wiring?: Wiring,
    initial: (parameter: Parameter) => AnyArray | readonly number[] = ({ name, node, init }) =>
      init(node.shape, new RandomStream(this.network.seed, name)),
  ) {
    checkModel(options, layers);
    const { input, seed = 0, backend = wasm() } = options;
    this.network = new Network(input, seed, layers, wiring);
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
      y: toTargets(y as Numbers, lossOf(loss), this.network.outputShape, rows.count, `${what}y`),
      ...(weights && { weights: toWeights(weights, rows.count, `${what}weights`) }),
    };
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
    const dtype = values instanceof Uint8Array ? "byte" : "float";
    const key = `${dtype} ${count}`;
    // A page asks for the same rows again and again; whoever asks for many different numbers of them shall not fill memory.
    if (!this.#inspectors.has(key) && this.#inspectors.size >= MOST_INSPECTORS) this.#freeInspectors();
    const { named, program } = cached(this.#inspectors, key, () => {
      const node = input("x", [count, ...this.inputShape], dtype);
      const named = [...this.network.apply(node, { training: false }).named];
      const outputs = named.map(([, result]) => result);
      return { named, program: this.session.compile(makePlan({ inputs: [node], outputs })) };
    });
    const { outputs } = await program.run([values]);
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
   */
  async classify(x: Inputs): Promise<Classified> {
    const outputs = await this.predict(x);
    const width = sizeOf(this.network.outputShape);
    const { outputOp } = this.network;
    const loss = typeof this.details.loss === "string" ? this.trainedLoss() : undefined;
    const isLogit = outputOp !== "sigmoid" && (loss === undefined || takesLogits(lossOf(loss)));
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
