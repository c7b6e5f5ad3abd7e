/**
 * What the command keeps in a checkpoint beside what the library keeps there: its own data and options, so that
 * `--resume FILE` needs no others. Options are kept as text and read again like those of the command line.
 */
import { DataError, fromBytes, type Model, reference } from "../index.ts";
import { readModelBytes } from "./open-model.ts";

export interface Run {
  readonly data: string;
  readonly options: Readonly<Record<string, string>>;
  readonly epochsDone: number;
}

/** Where the checkpoint of a model file lies. */
export const checkpointOf = (out: string): string => `${out.replace(/\.safetensors$/, "")}.checkpoint.safetensors`;

function open(bytes: Uint8Array, path: string): Model {
  try {
    return fromBytes(bytes, { file: path, backend: reference() });
  } catch (error) {
    if (!(error instanceof Error && error.message.includes("defineLayer"))) throw error;
    const hint = "If a model file defines it, give --model FILE beside --resume.";
    throw new DataError(`${error.message} ${hint}`, { file: path }, { cause: error });
  }
}

export async function readRun(path: string): Promise<Run> {
  const model = open(await readModelBytes(path), path);
  const run = model.details.run as Partial<Run> | undefined;
  const training = model.details.training as { position?: { epoch?: unknown } } | undefined;
  model.close();
  const isText = (x: unknown): x is string => typeof x === "string";
  const { data, options } = typeof run === "object" && run !== null ? run : {};
  if (!isText(data) || typeof options !== "object" || options === null || !Object.values(options).every(isText)) {
    throw new DataError(
      `${path} is no checkpoint of "chainrule train": it does not say which run to go on with. Checkpoints end in .checkpoint.safetensors.`,
      { file: path },
    );
  }
  const epoch = training?.position?.epoch;
  return { data, options, epochsDone: typeof epoch === "number" ? epoch : 0 };
}
