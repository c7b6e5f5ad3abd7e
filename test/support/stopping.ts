/** Stopping a training run as Ctrl-C does. */
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { FitOptions, Model } from "chainrule";
import { expect } from "vitest";

/** Trains until so many steps are done and gives the path of the checkpoint that is left. */
export async function stopAfter(
  wanted: number,
  model: Model,
  data: Parameters<Model["fit"]>[0],
  options: FitOptions,
): Promise<string> {
  const path = join(await mkdtemp(join(tmpdir(), "chainrule-")), "run.checkpoint");
  const controller = new AbortController();
  const run = model.fit(data, {
    ...options,
    checkpoint: { path },
    signal: controller.signal,
    onProgress: ({ epoch, step, steps }) => {
      if ((epoch - 1) * steps + step >= wanted) controller.abort();
    },
  });
  await expect(run).rejects.toThrow(/abort/i);
  return path;
}
