/** Model files of other libraries: which there are, by the ends of their names, and how each is read. */
import { readBeside, readFile } from "../../data/node.ts";
import { type Backend, DataError, type Model, type Shape } from "../../index.ts";
import type { FromOnnxOptions } from "../../interchange/index.ts";

/** What a person may say of how a file is read. */
export type ForeignOptions = Pick<FromOnnxOptions, "backend" | "input" | "output" | "channelsLast"> & {
  readonly inputShape?: Shape;
};

/** A kind of model file. */
export interface ForeignFile {
  /** `ONNX` */
  readonly name: string;
  /** How its files end, for people. */
  readonly ends: string;
  readonly pattern: RegExp;
  /** Which options it takes beside the backend. */
  readonly takes: readonly (keyof ForeignOptions)[];
  open(path: string, options: ForeignOptions): Promise<Model>;
}

const FOREIGN: readonly ForeignFile[] = [
  {
    name: "ONNX",
    ends: ".onnx",
    pattern: /\.onnx$/i,
    takes: ["inputShape", "input", "output", "channelsLast"],
    open: openOnnx,
  },
  {
    name: "Keras",
    ends: ".keras or .h5",
    pattern: /\.(keras|h5|hdf5)$/i,
    takes: ["inputShape"],
    open: async (path, options) => (await import("../../interchange/index.ts")).fromKeras(path, options),
  },
  {
    name: "TensorFlow.js",
    ends: "model.json",
    pattern: /\.json$/i,
    takes: ["inputShape"],
    open: async (path, options) => (await import("../../interchange/index.ts")).fromTensorflowJs(path, options),
  },
];

/** How files of others end, in words. */
export const FOREIGN_ENDS = FOREIGN.map(({ name, ends }) => `${ends} (${name})`).join(", ");

/** The kind of a file, by its name; undefined for our own. */
export const foreignFile = (path: string): ForeignFile | undefined => FOREIGN.find(({ pattern }) => pattern.test(path));

/** A model of another library's file. What ends in a softmax gives the probabilities of classes, unless the file knows better. */
export async function openForeign(
  path: string,
  kind: ForeignFile,
  options: ForeignOptions & { readonly backend?: Backend },
): Promise<Model> {
  try {
    const model = await kind.open(path, options);
    const { outputs } = model.network;
    if (outputs.length === 1 && outputs[0].op === "softmax") model.details.loss ??= "crossEntropy";
    return model;
  } catch (error) {
    if (!(error instanceof DataError) || error.at.file) throw error;
    throw new DataError(
      `${path}: ${error.message}`,
      { file: path },
      { code: error.code, facts: error.facts, cause: error },
    );
  }
}

/** A model of an ONNX file, and of the weights that lie beside it. */
async function openOnnx(path: string, options: FromOnnxOptions): Promise<Model> {
  const { fromOnnx } = await import("../../interchange/index.ts");
  const bytes = await readFile(path);
  let beside = new Map<string, Uint8Array>();
  // The reader asks for files by name; each that it lacks is read, and the reading begun again.
  for (;;) {
    let missing: string | undefined;
    const external = (name: string): Uint8Array => {
      const known = beside.get(name);
      if (!known) missing = name;
      return known ?? new Uint8Array();
    };
    try {
      return fromOnnx(bytes, { ...options, external });
    } catch (error) {
      if (missing === undefined) throw error;
      beside = new Map([...beside, [missing, await readBeside(path, missing)]]);
    }
  }
}
