/** Reads a model file with what the command needs to know of it. */
import { load, type Model } from "../index.ts";
import { type BackendOptions, chooseBackend } from "./backend.ts";
import { type Details, readDetails } from "./details.ts";

export async function openModel(path: string, options: BackendOptions): Promise<{ model: Model; details: Details }> {
  const model = await load(path, { backend: chooseBackend(options) });
  return { model, details: readDetails(model, path) };
}
