/** The page's side of a model that lives in a worker: the methods of a model, each of which asks the one there. */
import {
  type BatchSource,
  type Classified,
  type Data,
  type EpochReport,
  Epochs,
  type EvaluateOptions,
  fromBytes,
  type Inputs,
  Model,
  type NamedShape,
  type NetworkOutput,
  type Numbers,
  onlyShape,
  type Scores,
  type Shape,
  type Tensor,
  type WasmOptions,
} from "../index.ts";
import { connect, type Endpoint, type Port } from "./endpoint.ts";
import type { Host, Opened } from "./host.ts";
import { type WorkerFitOptions, wireLoss, wireOptions } from "./wire.ts";

/** Options of `inWorker`. */
export interface InWorkerOptions {
  /** A worker of your own that calls `serve`; the library's own unless said. */
  readonly worker?: Port;
  /** How the engine there is made, as `wasm` takes it. */
  readonly engine?: WasmOptions;
}

/**
 * Moves a copy of a model into a Worker, where it trains and predicts while the page stays free, with threads where there is
 * shared memory. The model given is not changed; `close` ends the worker.
 * @throws PlatformError if the worker cannot be started
 *
 * @example
 * import { inWorker } from "chainrule/worker";
 * const there = await inWorker(sequential({ input: [2] }, [dense(8, { activation: "tanh" }), dense(2)]));
 * for await (const epoch of there.fit(data, { loss: "crossEntropy", epochs: 5 })) console.log(epoch.loss);
 * const { classes } = await there.classify([[0, 1]]);
 * const model = await there.toModel(); // a copy of it here again
 * there.close();
 */
export async function inWorker<Y = Float32Array>(
  model: Model<Y> | Uint8Array,
  { worker = startWorker(), engine }: InWorkerOptions = {},
): Promise<WorkerModel<Y>> {
  const there = connect<Host>(worker);
  try {
    const opened = await there.call("open", model instanceof Model ? await model.toBytesAsync() : model, engine);
    return new WorkerModel<Y>(there, opened);
  } catch (error) {
    there.close();
    throw error;
  }
}

/** The form in which bundlers know that a worker begins here. */
function startWorker(): Port {
  const node = globalThis.process?.getBuiltinModule?.("node:worker_threads");
  // Written so that no bundler takes it for a file of a page.
  const here = import.meta.url;
  if (node) return new node.Worker(new URL("./main.js", here));
  return new Worker(new URL("./main.js", import.meta.url), { type: "module" });
}

/** A model in a worker, from `inWorker`: what a `Model` can do, each answer as a promise. */
export class WorkerModel<Y = Float32Array> {
  readonly #there: Endpoint<Host>;
  /** What computes there: `wasm, relaxed SIMD, 2 threads`. */
  readonly engine: string;
  readonly inputs: readonly NamedShape[];
  readonly outputs: readonly NetworkOutput[];

  constructor(there: Endpoint<Host>, { engine, inputs, outputs }: Opened) {
    this.#there = there;
    this.engine = engine;
    this.inputs = inputs;
    this.outputs = outputs;
  }

  /** Of a network whose only input has no name; throws an ArgumentError for another. */
  get inputShape(): Shape {
    return onlyShape(this.inputs, "input");
  }

  /** Of a network whose only output has no name; throws an ArgumentError for another. */
  get outputShape(): Shape {
    return onlyShape(this.outputs, "output");
  }

  /**
   * Trains the model, as `model.fit` does. Callbacks that are functions, `onProgress`, `onWarning` and `pace` are called
   * here; a function that gives batches is asked for them from there. A callback's `run.stop()` ends the run.
   */
  fit(data: Data | BatchSource, options: WorkerFitOptions): WorkerFit {
    return new WorkerFit(this.#there, data, options);
  }

  /** The loss, and each metric under its name, over a data set. */
  evaluate(data: Data, { loss, ...options }: EvaluateOptions = {}): Promise<Scores> {
    return this.#there.call("evaluate", data, { ...options, ...(loss !== undefined && { loss: wireLoss(loss) }) });
  }

  /** What the network gives for each row: [N, …input shape] → N · output values, flat; by the outputs' names where they have some. */
  predict(x: Inputs): Promise<Y> {
    return this.#there.call("predict", x) as Promise<Y>;
  }

  /** The most likely class of each row and the probabilities of all classes; of one output where they have names. */
  classify(x: Inputs, output?: string): Promise<Classified> {
    return this.#there.call("classify", x, output);
  }

  /** What the network computes on the way, by name. */
  intermediates(x: Inputs): Promise<Record<string, Tensor>> {
    return this.#there.call("intermediates", x);
  }

  /** A copy of a parameter's values, by its name such as `dense_1.kernel`. */
  weight(name: string): Promise<Float32Array> {
    return this.#there.call("weight", name);
  }

  /** Sets a parameter's values. */
  setWeight(name: string, values: Numbers): Promise<void> {
    return this.#there.call("setWeight", name, values);
  }

  /** Leaves layers as they are in later training. */
  freeze(...layers: string[]): Promise<void> {
    return this.#there.call("freeze", ...layers);
  }

  /** Trains layers again that were frozen. */
  unfreeze(...layers: string[]): Promise<void> {
    return this.#there.call("unfreeze", ...layers);
  }

  /** A table of the layers, their shapes and parameters. */
  summary(): Promise<string> {
    return this.#there.call("summary");
  }

  /** The model as the bytes of a safetensors file. */
  toBytes(): Promise<Uint8Array> {
    return this.#there.call("toBytes");
  }

  /** A copy of the model on this side. */
  async toModel(): Promise<Model<Y>> {
    return fromBytes<Y>(await this.toBytes());
  }

  /** Writes the model to a safetensors file, all of it or nothing; where there are files, as in Node. */
  async save(path: string): Promise<void> {
    const model = await this.toModel();
    try {
      await model.save(path);
    } finally {
      model.close();
    }
  }

  /** Ends the worker. Calls that are under way reject. */
  close(): void {
    this.#there.close();
  }
}

/** A training run in a worker: awaited, it gives the history; iterated, its epochs as they come. Once only. */
export class WorkerFit extends Epochs {
  readonly #there: Endpoint<Host>;
  readonly #data: Data | BatchSource;
  readonly #options: WorkerFitOptions;

  constructor(there: Endpoint<Host>, data: Data | BatchSource, options: WorkerFitOptions) {
    super();
    this.#there = there;
    this.#data = data;
    this.#options = options;
  }

  /** The epochs as they come. */
  override async *[Symbol.asyncIterator](): AsyncGenerator<EpochReport> {
    const { signal } = this.#options;
    try {
      yield* await this.#there.call("fit", this.#data, wireOptions(this.#options));
    } catch (error) {
      // The very reason, and not a copy of it that went there and back.
      if (signal?.aborted) throw signal.reason;
      throw error;
    }
  }
}
