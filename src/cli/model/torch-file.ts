/** Weights of PyTorch for the command: the files that they lie in, and the network that they are meant for. */
import { readBeside, readFile } from "../../data/node.ts";
import { type Backend, DataError, Model, sequential } from "../../index.ts";
import { readLayers } from "../options/layers.ts";
import { UsageError } from "../terminal/exit.ts";
import { readModelFunction } from "./model-module.ts";
import { openFile } from "./open-model.ts";

/** How the names of files end that hold weights and no network, in words. */
export const WEIGHT_ENDS = ".pt, .pth, .ckpt, .bin or .safetensors (weights of PyTorch)";

/** Whether a file holds weights without a network, by its name; of safetensors only those that are not ours. */
export const holdsWeights = (path: string): boolean => /\.(pt|pth|ckpt|bin|safetensors|index\.json)$/i.test(path);

/** The bytes of a file of weights; where it lists several, as Hugging Face's `.index.json` does, those of each. */
export async function readWeightFiles(path: string): Promise<Uint8Array | Uint8Array[]> {
  const bytes = await readFile(path);
  if (!/\.json$/i.test(path)) return bytes;
  const fail = (cause?: unknown) =>
    new DataError(
      `${path} lists no files of weights, as { "weight_map": { "name": "file" } }.`,
      { file: path },
      { cause },
    );
  let index: unknown;
  try {
    index = JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw fail(cause);
  }
  const map = (index as { readonly weight_map?: unknown } | null)?.weight_map;
  const files = typeof map === "object" && map !== null ? [...new Set(Object.values(map))] : [];
  if (files.length === 0 || !files.every((file) => typeof file === "string")) throw fail();
  const parts: Uint8Array[] = [];
  for (const file of files) parts.push(await readBeside(path, file));
  return parts;
}

/** How the network for weights is given. */
export interface NetworkOptions {
  readonly model?: string;
  readonly layers?: string;
  readonly inputShape?: readonly number[];
  readonly classes?: readonly string[];
}

/** The network that weights are meant for: of a model file, of a module, or of a list of layers. */
export async function networkFor(file: string, options: NetworkOptions, backend: Backend): Promise<Model> {
  const { model, layers, inputShape, classes } = options;
  if (model !== undefined && layers !== undefined) throw new UsageError("Give --model or --layers, not both.");
  if (layers !== undefined) {
    if (!inputShape) throw new UsageError("--layers needs the shape of one sample, such as --input-shape 28,28,1.");
    return sequential({ input: inputShape, backend }, readLayers(layers));
  }
  if (model === undefined)
    throw new UsageError(
      `${file} holds weights and no network. Say which network they are for: --layers "dense 128 relu, dense 10" --input-shape 784, or --model FILE, a module or a model file.`,
    );
  if (/\.safetensors$/i.test(model)) return openFile(model, backend);
  const build = await readModelFunction(model);
  const shown = { ...(classes && { classes }), outputs: classes?.length ?? 0 };
  const built = await build({ inputShape: inputShape ?? [], ...shown, seed: 0, backend, enter: [], leave: [] });
  if (built instanceof Model) return built;
  throw new DataError(`${model}: its function must give a model, made by sequential or functional.`, { file: model });
}
