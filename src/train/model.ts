/** The model that users hold, which trains, and the ways to make one: of layers, of a wiring, from a file. */
import type { Backend } from "../backends/backend.ts";
import { isObject, unknownName } from "../checks.ts";
import { ArgumentError, ChainruleError } from "../errors.ts";
import type { Shape } from "../graph/shape.ts";
import type { Layer } from "../nn/layer.ts";
import { type InputShapes, Network } from "../nn/network.ts";
import { type Flow, type Outflow, traceFlow } from "../nn/wiring.ts";
import type { BatchSource } from "./batch-source.ts";
import { checkModel, checkPath } from "./check-arguments.ts";
import { Fit, type FitOptions } from "./fit.ts";
import { InferenceModel, type ModelOptions } from "./inference-model.ts";
import { decodeModelFile, type ModelFile, modelError, tensorOf } from "./model-file.ts";
import { files } from "./node-files.ts";
import type { Data, Stream } from "./to-arrays.ts";

/**
 * A network with its weights and an engine: trains, predicts, is saved. Made by `sequential`, `functional` and `load`.
 *
 * @example
 * console.log(model.summary());
 * const history = await model.fit(data, { loss: "crossEntropy", epochs: 5 });
 * const { loss } = await model.evaluate(data);
 */
export class Model<Y = Float32Array> extends InferenceModel<Y> {
  /**
   * Trains the model. The result can be awaited, for the history, or iterated, for the epochs as they come.
   * **Training begins only when the result is awaited or iterated.**
   *
   * The data may also be a function, such as an async generator, that gives the batches of an epoch: they are trained on
   * in their order and forgotten, the next ones (8 MB) are read meanwhile, and a step takes as many rows as the first batch
   * has unless `batchSize` says otherwise. An endless one needs `stepsPerEpoch`. Every epoch must have as many rows; to
   * resume with the same bits, the same epoch must give the same rows. Streams, as `openStream` of chainrule/data/node gives
   * them, are read in the same way, and mixed anew in each epoch.
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
  fit(data: Data | Stream | BatchSource, options: FitOptions): Fit {
    return new Fit(this, data, options);
  }
}

/**
 * A network of layers one after the other.
 *
 * @example
 * const model = sequential({ input: [784], seed: 7 }, [dense(128, { activation: "relu" }), dropout(0.2), dense(10)]);
 */
export const sequential = (options: ModelOptions, layers: readonly Layer[]): Model => new Model(options, { layers });

/** What a function of the functional form is given: x, or one value for each input by its name. */
export type InputFlows<I> = I extends Shape ? Flow : { readonly [K in keyof I]: Flow };

/** What its model predicts: one array, or one for each output by its name. */
export type PredictedBy<O> = O extends Flow ? Float32Array : { readonly [K in keyof O]: Float32Array };

/**
 * A network in the functional form: any wiring of layers. A layer object that is applied several times has one set of
 * parameters. Several inputs have names, and so have several outputs; data then are objects of arrays by these names.
 *
 * @example
 * const model = functional({ input: [8] }, (x) => {
 *   const h = x.to(dense(16, { activation: "relu" }));
 *   return merge("add", h, h.to(dense(16))).to(dense(2));
 * });
 *
 * const two = functional({ input: { image: [28, 28, 1], tags: [10] } }, ({ image, tags }) => {
 *   const h = merge("concat", image.to(flatten()), tags).to(dense(16, { activation: "relu" }));
 *   return { label: h.to(dense(10)), age: h.to(dense(1)) };
 * });
 */
export function functional<const I extends InputShapes, O extends Outflow>(
  options: Omit<ModelOptions, "input"> & { readonly input: I },
  build: (given: InputFlows<I>) => O,
): Model<PredictedBy<O>>;
export function functional(options: ModelOptions, build: (x: Flow) => Flow): Model;
export function functional(options: ModelOptions, build: (given: never) => Outflow): Model<unknown> {
  checkModel(options, []);
  const { input } = options;
  const names = isObject(input) ? Object.keys(input) : [undefined];
  const structure = traceFlow(names.length, (flows) =>
    build((names[0] === undefined ? flows[0] : namedFlows(names as string[], flows)) as never),
  );
  const unused = names.filter((_, i) => !structure.wiring!.some(([, ...from]) => from.includes(i)));
  if (unused.length > 0 && names[0] !== undefined)
    throw new ArgumentError(`No layer takes the input ${unused.join(", ")}. Use it, or leave it out.`, {
      facts: { unused },
    });
  return new Model<unknown>(options, structure);
}

/** The values of the inputs by their names; a name that is not there is an error, and not undefined. */
const namedFlows = (names: readonly string[], flows: readonly Flow[]): Readonly<Record<string, Flow>> =>
  new Proxy(Object.fromEntries(names.map((name, i) => [name, flows[i]])), {
    get: (all, name) => {
      if (typeof name === "string" && !Object.hasOwn(all, name)) throw unknownName("input", name, names);
      return Reflect.get(all, name) as Flow;
    },
  });

/**
 * A model from the bytes of a file that `save` wrote.
 *
 * @example
 * const again = fromBytes(model.toBytes()); // in a browser: new Uint8Array(await response.arrayBuffer())
 */
export const fromBytes = <Y = Float32Array>(
  bytes: Uint8Array,
  options: { backend?: Backend; file?: string } = {},
): Model<Y> => fromModelFile<Y>(decodeModelFile(bytes, options.file), options);

/** A model from what a file holds. */
export function fromModelFile<Y>(file: ModelFile, options: { backend?: Backend; file?: string }): Model<Y> {
  const { input, seed, ...structure } = file.architecture;
  let model: Model<Y>;
  try {
    // A network of another size than the file's arrays is refused before there is memory for it.
    for (const { name, node } of new Network(input, seed, structure.layers, structure).parameters)
      tensorOf(file, name, node.shape, options.file);
    model = new Model<Y>({ input, seed, backend: options.backend }, structure, ({ name, node }) =>
      tensorOf(file, name, node.shape, options.file),
    );
  } catch (error) {
    if (error instanceof ChainruleError) throw error;
    throw modelError(`a layer's configuration makes no sense (${error}); the file is damaged.`, options.file, {
      cause: error,
    });
  }
  // Of JSON, a key of this name would be the object's prototype.
  const { __proto__: _, ...details } = file.details;
  Object.assign(model.details, details);
  return model;
}

/**
 * Reads a model file. Y is what it predicts: one array unless said, `Predicted` where its outputs have names.
 * @throws FileError if it cannot be read; DataError if it is no model
 *
 * @example
 * await model.save("model.safetensors");
 * const again = await load("model.safetensors");
 * const { classes } = await again.classify([[0, 1]]);
 */
export async function load<Y = Float32Array>(path: string, options: { backend?: Backend } = {}): Promise<Model<Y>> {
  checkPath("load", path);
  const { readFile } = await files();
  return fromBytes(await readFile(path), { ...options, file: path });
}
