/**
 * What the command keeps in a checkpoint beside what the library keeps there: its own data and options, so that
 * `--resume FILE` needs no others. Options are kept as text and read again like those of the command line.
 */
import { readFile } from "../data/node.ts";
import { DataError, fromBytes, reference } from "../index.ts";

export interface Run {
  readonly data: string;
  readonly options: Readonly<Record<string, string>>;
}

/** Where the checkpoint of a model file lies. */
export const checkpointOf = (out: string): string => `${out.replace(/\.safetensors$/, "")}.checkpoint.safetensors`;

export async function readRun(path: string): Promise<Run> {
  const model = fromBytes(await readFile(path), { file: path, backend: reference() });
  const run = model.details.run as Partial<Run> | undefined;
  model.close();
  const isText = (x: unknown): x is string => typeof x === "string";
  const { data, options } = typeof run === "object" && run !== null ? run : {};
  if (!isText(data) || typeof options !== "object" || options === null || !Object.values(options).every(isText)) {
    throw new DataError(
      `${path} is no checkpoint of "chainrule train": it does not say which run to go on with. Checkpoints end in .checkpoint.safetensors.`,
      { file: path },
    );
  }
  return { data, options };
}
