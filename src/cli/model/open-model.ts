/** Reads a model file with what the command needs to know of it. */
import { readFile } from "../../data/node.ts";
import { DataError, fromBytes, type Model } from "../../index.ts";
import { type BackendOptions, chooseBackend } from "../options/backend.ts";
import { type Details, readDetails } from "./metadata.ts";

/** The bytes of a model file. Throws `DataError` for any other file; one that is empty or damaged is for its reader. */
export async function readModelBytes(path: string): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = await readFile(path);
  // Eight bytes say how long the header is, which is JSON.
  if (bytes.length > 0 && (bytes.length < 9 || bytes[8] !== "{".charCodeAt(0))) {
    throw new DataError(
      `${path} is no model file. Give what "chainrule train" saved, such as iris.safetensors; data come after it.`,
      { file: path },
    );
  }
  return bytes;
}

export async function openModel(path: string, options: BackendOptions): Promise<{ model: Model; details: Details }> {
  const model = fromBytes(await readModelBytes(path), { file: path, backend: chooseBackend(options) });
  return { model, details: readDetails(model, path) };
}
