/** Where a run's model and checkpoint go, and what becomes of the work where they cannot go there. */
import { rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { DivergenceError, FileError } from "../../index.ts";
import { joined } from "../../wording.ts";
import { UsageError } from "../terminal/exit.ts";
import type { Training } from "./run.ts";

/** What of a run is saved, and where. */
type Saved = Pick<Training, "out" | "model">;

/** The model must not replace the data that it learns from. */
export async function refuseInput(out: string, inputs: readonly (string | undefined)[]): Promise<void> {
  const identity = (path: string) =>
    stat(path).then(
      ({ dev, ino }) => `${dev}:${ino}`,
      () => undefined,
    );
  const target = await identity(out);
  if (target === undefined) return;
  for (const input of inputs) {
    if (input !== undefined && (await identity(input)) === target)
      throw new UsageError(`--out ${out} would replace the data it is trained on; choose another name.`);
  }
}

export const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

export const isFile = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isFile(),
    () => false,
  );

/** Beside the model; where that is a device, which has no beside, in the working directory. */
/** Where the checkpoint of a model file lies. */
const checkpointOf = (out: string): string => `${out.replace(/\.safetensors$/, "")}.checkpoint.safetensors`;

export async function checkpointPath(out: string): Promise<string> {
  const found = await stat(out).catch(() => undefined);
  return found === undefined || found.isFile() ? checkpointOf(out) : checkpointOf(basename(out));
}

/** Saves the last good weights beside the model that was to be. */
export async function keptWeights({ out, model }: Saved, error: DivergenceError): Promise<DivergenceError> {
  const path = `${out.replace(/\.safetensors$/, "")}.last-good.safetensors`;
  const kept = await model.save(path).then(
    () => ` They are in ${path}.`,
    () => "",
  );
  return new DivergenceError(joined(error.said, kept), error.step, error.where);
}

export async function save(run: Saved): Promise<void> {
  const { out, model } = run;
  try {
    await model.save(out);
  } catch (error) {
    throw error instanceof FileError ? await savedElsewhere(run, error) : error;
  }
  const checkpoint = await checkpointPath(out);
  for (const path of [checkpoint, `${checkpoint}.previous`]) await rm(path, { force: true });
}

/** What a full disk refuses goes to the directory for temporary files, so that no work is lost. */
export async function savedElsewhere({ out, model }: Saved, error: FileError): Promise<FileError> {
  const refuge = join(tmpdir(), `chainrule-${process.pid}-${basename(out)}`);
  const saved = await model.save(refuge).then(
    () => ` The model as it is now is in ${refuge}.`,
    () => "",
  );
  return new FileError(joined(error.said, saved), error.path, { cause: error });
}
