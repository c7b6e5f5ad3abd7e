/**
 * The files that `torch.save` writes: a ZIP file with a pickle and a file for each storage (PyTorch 1.6 and later), or, before, pickles and
 * storages one after the other. Gives the pickle's value, with tensors described, and the bytes of storages when asked for.
 */
import { show } from "../../checks.ts";
import { MAX_UNPACKED } from "../../data/inflate.ts";
import { readDirectory, unpack, type ZipEntry } from "../../data/zip.ts";
import { DataError, type ErrorDetails } from "../../errors.ts";
import { readPickle } from "./pickle.ts";
import { type StorageRef, storageOf, torchGlobal } from "./tensors.ts";

/** A file whose pickle has been read. */
export interface TorchFile {
  readonly root: unknown;
  readonly bigEndian: boolean;
  /** The bytes of a storage. */
  storage(key: string): Promise<Uint8Array>;
  readonly fail: FileFail;
}

/** The error for a file; `cure` says what to do, if not to save it again. */
export type FileFail = (why: string, more?: ErrorDetails & { readonly cure?: string }) => DataError;

/** The longest pickle that is read; a network of ten thousand arrays has one of 3 MB. */
const LONGEST_PICKLE = 2 ** 25;

/** What to do where a file holds more than weights. */
export const SAVE_WEIGHTS = 'Save the weights alone, in Python: torch.save(model.state_dict(), "weights.pt")';

export const fileFail =
  (file?: string): FileFail =>
  (why, { cure = "It is damaged, or of another format; save or copy it again", ...details } = {}) =>
    new DataError(`${file ?? "The PyTorch file"}: ${why}. ${cure}.`, { file }, details);

/** Whether bytes begin as a ZIP file, which `torch.save` writes. */
const isZip = (bytes: Uint8Array): boolean => bytes[0] === 0x50 && bytes[1] === 0x4b;

/** The number that files of `torch.save` before version 1.6 begin with, as a pickle. */
const LEGACY = [0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
const isLegacy = (bytes: Uint8Array): boolean => LEGACY.every((byte, i) => bytes[i] === byte);

/** Whether these are the bytes of a file of PyTorch's. */
export const isTorch = (bytes: Uint8Array): boolean => isZip(bytes) || isLegacy(bytes);

export function readTorchFile(bytes: Uint8Array, file?: string): Promise<TorchFile> | TorchFile {
  const fail = fileFail(file);
  if (isZip(bytes)) return readZip(bytes, fail);
  if (isLegacy(bytes)) return readLegacy(bytes, fail);
  if (bytes.length > 262 && new TextDecoder().decode(bytes.subarray(257, 262)) === "ustar")
    throw fail("it is a tar file, as PyTorch wrote before version 0.4", { cure: `Load it in Python. ${SAVE_WEIGHTS}` });
  throw fail("it is neither what torch.save writes nor a safetensors file", { cure: SAVE_WEIGHTS });
}

/** Names of classes of networks, which a module saved as a whole holds. */
const MODULE = /^(__main__|torch\.nn|torchvision|transformers|timm|models?)\b/;

/** Reads a pickle of PyTorch's; what it names beyond tensors and plain data is refused. */
function read(bytes: Uint8Array, at: number, fail: FileFail, storages?: Map<string, StorageRef>) {
  const damaged = (why: string): DataError => fail(why);
  return readPickle(bytes, at, {
    fail: damaged,
    global: (name) => {
      const known = torchGlobal(name, damaged);
      if (known !== undefined) return known;
      const shown = name.slice(0, 200);
      const why = MODULE.test(name)
        ? `it holds a whole module as code: ${show(shown)} would have to be run to read it, which is never done`
        : `it names ${show(shown)}, which is neither a tensor nor plain data; nothing that a file names is run`;
      throw fail(why, { cure: SAVE_WEIGHTS, code: "holds-code", facts: { global: shown } });
    },
    persistent: (id) => {
      const storage = storageOf(id, damaged);
      storages?.set(storage.key, storage);
      return storage;
    },
  });
}

async function readZip(bytes: Uint8Array, fail: FileFail): Promise<TorchFile> {
  const zipFail = (why: string, cause?: unknown): DataError =>
    fail(`the ZIP file ${why.replace(/\.$/, "")}`, { cause });
  const entries = new Map<string, ZipEntry>(readDirectory(bytes, zipFail).map((entry) => [entry.name, entry]));
  const main = [...entries.keys()].find((name) => /(^|\/)data\.pkl$/.test(name));
  if (main === undefined) throw fail("it is a ZIP file without data.pkl", { cure: SAVE_WEIGHTS });
  const folder = main.slice(0, -"data.pkl".length);
  if (entries.has(`${folder}constants.pkl`))
    throw fail("it is a TorchScript archive, which holds code", {
      cure: 'Save the weights alone, in Python: torch.save(torch.jit.load("model.pt").state_dict(), "weights.pt")',
      code: "holds-code",
    });
  let room = MAX_UNPACKED;
  const content = (name: string, most: number): Promise<Uint8Array> => {
    const entry = entries.get(name);
    if (!entry) throw fail(`"${name.slice(0, 100)}" is not in it`);
    // What is not packed is a view of the file itself.
    const wanted = entry.method === 0 ? 0 : entry.size;
    if (wanted > room || entry.size > most)
      throw fail(
        `"${name.slice(0, 100)}" would unpack to ${entry.size} bytes, more than the ${Math.min(room, most)} allowed`,
        { cure: SAVE_WEIGHTS },
      );
    room -= wanted;
    return unpack(bytes, entry, (why, cause) => zipFail(`has ${show(name)}, which ${why}`, cause));
  };
  const pickle = await content(main, LONGEST_PICKLE);
  const order = entries.has(`${folder}byteorder`) ? await content(`${folder}byteorder`, 16) : undefined;
  return {
    root: read(pickle, 0, fail).value,
    bigEndian: order !== undefined && new TextDecoder().decode(order).trim() === "big",
    storage: (key) => content(`${folder}data/${key}`, Number.POSITIVE_INFINITY),
    fail,
  };
}

function readLegacy(bytes: Uint8Array, fail: FileFail): TorchFile {
  const storages = new Map<string, StorageRef>();
  let at = LEGACY.length + 1; // the number, and the end of its pickle
  const next = (): unknown => {
    const { value, end } = read(bytes.subarray(0, at + LONGEST_PICKLE), at, fail, storages);
    at = end;
    return value;
  };
  next(); // the protocol's version
  const system = next();
  const root = next();
  const keys = next();
  if (!Array.isArray(keys)) throw fail("the list of its storages is missing");
  const bigEndian = system instanceof Map && system.get("little_endian") === false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const places = new Map<string, Uint8Array>();
  for (const key of keys) {
    const storage = storages.get(key as string);
    if (!storage) throw fail(`nothing is known of its storage ${show(key)}`);
    if (at + 8 > bytes.length) throw fail("it ends too early");
    const length = Number(view.getBigUint64(at, !bigEndian)) * storage.type.type.size;
    if (length > bytes.length - at - 8) throw fail("it ends too early");
    places.set(storage.key, bytes.subarray(at + 8, at + 8 + length));
    at += 8 + length;
  }
  return {
    root,
    bigEndian,
    storage: async (key) => places.get(key) ?? Promise.reject(fail(`its storage ${show(key)} is missing`)),
    fail,
  };
}
