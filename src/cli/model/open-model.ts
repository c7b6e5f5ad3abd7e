/** Reads a model file, of ours or of others, with what the command needs to know of it. */
import type { Task } from "../../data/index.ts";
import { readFile } from "../../data/node.ts";
import { type Backend, ChainruleError, DataError, fromBytes, type Model } from "../../index.ts";
import { type BackendOptions, chooseBackend } from "../options/backend.ts";
import { UsageError } from "../terminal/exit.ts";
import { commandName, quote } from "../terminal/text.ts";
import { FOREIGN_ENDS, foreignFile, openForeign } from "./foreign.ts";
import { type Details, portsText, readDetails } from "./metadata.ts";

/** The bytes of a model file. Throws `DataError` for any other file; one that is empty or damaged is for its reader. */
export async function readModelBytes(path: string): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = await readFile(path);
  if (/\.(pt|pth|ckpt)$/i.test(path))
    throw new DataError(
      `${path} holds weights of PyTorch and no network. Bring both together first: ${commandName()} import ${quote(path)} MODEL --layers "…" --input-shape …`,
      { file: path },
    );
  // Eight bytes say how long the header is, which is JSON.
  if (bytes.length > 0 && (bytes.length < 9 || bytes[8] !== "{".charCodeAt(0))) {
    throw new DataError(
      `${path} is no model file. Give what "chainrule train" saved, such as iris.safetensors, or a file of others: ${FOREIGN_ENDS}. Data come after it.`,
      { file: path },
    );
  }
  return bytes;
}

/** A model of our own form; a layer that another room defines, or weights of 16 or 8 bits, are read by that room. */
async function openOwn(path: string, backend: Backend): Promise<Model> {
  const bytes = await readModelBytes(path);
  try {
    return fromBytes(bytes, { file: path, backend });
  } catch (error) {
    if (!(error instanceof ChainruleError)) throw error;
    const { fromSafetensors } = await import("../../interchange/index.ts");
    return fromSafetensors(bytes, { file: path, backend });
  }
}

/** A model of a file, of ours or of others. */
export const openFile = (path: string, backend: Backend): Promise<Model> => {
  const foreign = foreignFile(path);
  return foreign ? openForeign(path, foreign, { backend }) : openOwn(path, backend);
};

export async function openModel(path: string, options: BackendOptions): Promise<{ model: Model; details: Details }> {
  const model = await openFile(path, chooseBackend(options));
  return { model, details: readDetails(model, path) };
}

/** A model that takes data; one that writes text takes none. */
export async function openDataModel(
  path: string,
  options: BackendOptions,
): Promise<{ model: Model; details: Details & { readonly task: Task } }> {
  const { model, details } = await openModel(path, options);
  const { task } = details;
  if (task !== "text" && task !== "several") return { model, details: { ...details, task } };
  model.close();
  if (task === "several")
    throw new UsageError(
      `${path} has named inputs or outputs (${portsText(model.network.inputs)} → ${portsText(model.network.outputs)}), and the command reads data for one of each. Use it from a program: load("${path}").`,
    );
  throw new UsageError(
    `${path} was trained on a text, and writes: ${commandName()} generate ${quote(path)} --prompt "The "`,
  );
}
