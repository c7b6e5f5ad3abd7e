/** The worker's side of a model that lives in a worker: a model, and its methods for the other side. */
import {
  type BatchSource,
  type Data,
  type EpochReport,
  type EvaluateOptions,
  fromBytes,
  type Inputs,
  type Model,
  type NamedShape,
  type NetworkOutput,
  type Numbers,
  type WasmOptions,
  wasm,
} from "../index.ts";
import { readLoss, readOptions, type WireLoss, type WireOptions } from "./wire.ts";

/** What is known of a model without asking it. */
export interface Opened {
  readonly engine: string;
  readonly inputs: readonly NamedShape[];
  readonly outputs: readonly NetworkOutput[];
}

/** Options of `evaluate` as they come here. */
type WireEvaluate = Omit<EvaluateOptions, "loss"> & { readonly loss?: WireLoss };

/** The methods that the other side calls. */
export class Host {
  #model: Model | undefined;

  open(bytes: Uint8Array, engine: WasmOptions | undefined): Opened {
    this.#model?.close();
    this.#model = fromBytes(bytes, { backend: wasm(engine) });
    const { inputs, outputs } = this.#model.network;
    return { engine: this.#model.engine, inputs, outputs };
  }

  get #open(): Model {
    if (!this.#model) throw new TypeError("No model was opened.");
    return this.#model;
  }

  fit(data: Data | BatchSource, options: WireOptions): AsyncIterable<EpochReport> {
    return this.#open.fit(typeof data === "function" ? batchesOf(data) : data, readOptions(options));
  }

  evaluate(data: Data, { loss, ...options }: WireEvaluate) {
    return this.#open.evaluate(data, { ...options, ...(loss !== undefined && { loss: readLoss(loss) }) });
  }

  predict = (x: Inputs) => this.#open.predict(x);
  classify = (x: Inputs, output?: string) => this.#open.classify(x, output);
  intermediates = (x: Inputs) => this.#open.intermediates(x);
  weight = (name: string) => this.#open.weightAsync(name);
  setWeight = (name: string, values: Numbers) => this.#open.setWeight(name, values);
  freeze = (...layers: string[]) => this.#open.freeze(...layers);
  unfreeze = (...layers: string[]) => this.#open.unfreeze(...layers);
  summary = () => this.#open.summary();
  toBytes = () => this.#open.toBytesAsync();
}

/** The batches of a function of the other side, which are asked for one after the other. */
const batchesOf = (source: (epoch: number) => unknown): BatchSource =>
  async function* (epoch) {
    yield* (await source(epoch)) as AsyncIterable<Data>;
  };
