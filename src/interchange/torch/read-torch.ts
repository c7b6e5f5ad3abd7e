/** Weights of PyTorch by their names: from what `torch.save` wrote, from safetensors, from one file or several. */
import { checkOptionNames, show } from "../../checks.ts";
import { decodeSafetensors } from "../../data/safetensors.ts";
import type { StoredTensor } from "../../data/tensor-file.ts";
import { DataError } from "../../errors.ts";
import { isTorch, readTorchFile } from "./file.ts";
import { findStateDict } from "./state-dict.ts";

/** Options of `readTorch`. */
export interface ReadTorchOptions {
  /** The file's name, for messages. */
  readonly file?: string;
  /** Which state dict is meant where the file has several, such as `"model"` or `"state_dict"`. */
  readonly at?: string;
}

/** Weights of PyTorch. */
export interface TorchWeights {
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  readonly format: "PyTorch" | "safetensors";
  /** The keys that led to the state dict in the file; empty where it is the file itself. */
  readonly at: string;
  /** What else the file holds, in words: `epoch: 3`, `optimizer`. */
  readonly others: readonly string[];
}

/** How many elements the tensors of a file may have together, for each that its storages have. */
const MOST_VIEWS = 4;

/**
 * The weights in a file of PyTorch's, by their names: a state dict or a checkpoint that `torch.save` wrote (`.pt`, `.pth`, `.bin`), or
 * safetensors; of a model in several files, those of all of them. The pickle in it is read as data: tensors, dictionaries, lists,
 * numbers and texts. Whatever else it names is refused and never run.
 * @throws DataError for a file that is damaged or of another format; with the code `holds-code` for one that holds a module or other code
 * @throws ArgumentError where the file has several state dicts and none has a usual name
 *
 * @example
 * const { tensors, at, others } = await readTorch(await readFile("checkpoint.pt"));
 * for (const [name, { shape, dtype }] of tensors) console.log(name, dtype, shape);
 */
export async function readTorch(
  files: Uint8Array | readonly Uint8Array[],
  options: ReadTorchOptions = {},
): Promise<TorchWeights> {
  checkOptionNames("readTorch", options, ["file", "at"]);
  if (files instanceof Uint8Array) return readOne(files, options);
  const parts: TorchWeights[] = [];
  for (const bytes of files) parts.push(await readOne(bytes, options));
  const tensors = new Map<string, StoredTensor>();
  for (const part of parts)
    for (const [name, tensor] of part.tensors) {
      if (tensors.has(name))
        throw new DataError(
          `${options.file ?? "The files"}: ${show(name)} stands in two of them; give each part once.`,
        );
      tensors.set(name, tensor);
    }
  const [{ format, at } = { format: "safetensors", at: "" } as const] = parts;
  return { tensors, format, at, others: [...new Set(parts.flatMap(({ others }) => others))] };
}

async function readOne(bytes: Uint8Array, { file, at: wanted }: ReadTorchOptions): Promise<TorchWeights> {
  const isSafetensors = !isTorch(bytes) && bytes.length > 8 && bytes[8] === "{".charCodeAt(0);
  if (isSafetensors) {
    const { tensors, metadata } = decodeSafetensors(bytes, file);
    return {
      tensors,
      format: "safetensors",
      at: "",
      others: Object.entries(metadata).map(([key, text]) => `${key}: ${show(text)}`),
    };
  }
  const torch = await readTorchFile(bytes, file);
  const { tensors, at, others } = findStateDict(torch.root, wanted, torch.fail);
  const storages = new Map<string, Uint8Array>();
  const views = new Map<string, StoredTensor>();
  let [room, asked] = [0, 0];
  for (const { storage } of tensors.values()) {
    const { key, start, length, type } = storage;
    if (!storages.has(key)) {
      storages.set(key, await torch.storage(key));
      room += storages.get(key)!.length;
    }
    const bytes = storages.get(key)!;
    if ((start + length) * type.type.size > bytes.length)
      throw torch.fail(`its storage ${show(key)} has ${bytes.length} bytes, too few for ${length} elements`);
  }
  const named = [...tensors].map(([name, ref]) => {
    const known = views.get(ref.key);
    if (known) return [name, known] as const;
    asked += ref.count * ref.type.type.size;
    if (asked > MOST_VIEWS * room)
      throw torch.fail(`its tensors show the same ${room} bytes again and again, more than ${MOST_VIEWS} times`);
    const data = ref.read(storages.get(ref.storage.key)!, torch.bigEndian);
    const tensor: StoredTensor = { shape: ref.shape, dtype: ref.type.dtype, data };
    views.set(ref.key, tensor);
    return [name, tensor] as const;
  });
  return { tensors: new Map(named), format: "PyTorch", at, others };
}
