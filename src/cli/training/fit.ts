/**
 * The run itself: `fit`, with its progress shown, its checkpoint kept, and its ways to end early. A run that stops early
 * says how to go on.
 */
import type { DataStream, Dataset } from "../../data/index.ts";
import {
  type Callback,
  DivergenceError,
  type EpochReport,
  earlyStopping,
  FileError,
  History,
  type Warning,
} from "../../index.ts";
import { examplesFor } from "../options/losses.ts";
import { announceEnd, showWarnings } from "../report/run-report.ts";
import { Interrupted } from "../terminal/exit.ts";
import { commandName, quote } from "../terminal/text.ts";
import { storedRun } from "./resume.ts";
import type { Training } from "./run.ts";
import { checkpointPath, exists, keptWeights, savedElsewhere } from "./saving.ts";
import { onSignals } from "./signals.ts";

export async function runTraining(run: Training): Promise<EpochReport[]> {
  const { options, out, display, model, recipe, parts, augment } = run;
  const { loss, optimizer, epochs, batchSize, metrics } = recipe;
  const checkpoint = await checkpointPath(out);
  if (options.resume === undefined && (await exists(checkpoint))) {
    display.note(`note: ${checkpoint}, left by a run that was interrupted, will be replaced.`);
  }
  const stop = new AbortController();
  const release = onSignals(() => {
    display.note("Stopping after this step. Once more, and it quits at once.");
    stop.abort();
  });
  const examples = (data: Dataset | DataStream) => examplesFor(data, loss, model);
  model.details.run = storedRun(run);
  const history: EpochReport[] = [];
  const whole = new History();
  const warnings: Warning[] = [];
  const { earlyStopping: patience, classWeights } = options;
  const callbacks = [
    ...(patience === undefined ? [] : [earlyStopping({ patience: patience - 1 })]),
    ...(options.history === undefined ? [] : [recorder(whole)]),
  ];
  try {
    const fitting = model.fit(examples(parts.stream ?? parts.train), {
      loss,
      optimizer,
      epochs,
      batchSize,
      metrics,
      signal: stop.signal,
      checkpoint: { path: checkpoint },
      callbacks,
      onProgress: (progress) => display.progress(progress),
      onWarning: !(options.quiet && !options.json) && ((warning) => warnings.push(warning)),
      ...(classWeights && { classWeights }),
      ...(augment && { augment }),
      ...(parts.validation && { validation: examples(parts.validation) }),
      ...(options.resume !== undefined && { resume: options.resume }),
    });
    for await (const epoch of fitting) {
      history.push(epoch);
      display.epoch(epoch, epochs);
    }
    display.end();
    if (patience !== undefined) announceEnd(run, history);
    return history;
  } catch (error) {
    display.end();
    if (stop.signal.aborted && !(error instanceof FileError)) {
      display.event({ event: "interrupted", checkpoint });
      throw new Interrupted(
        `Interrupted. To go on where it stopped:\n  ${commandName()} train --resume ${quote(checkpoint)}\nIt is a model too, which evaluate and predict take.`,
      );
    }
    delete model.details.run;
    if (error instanceof DivergenceError) throw await keptWeights(run, error);
    if (error instanceof FileError && error.path === checkpoint) throw await savedElsewhere(run, error);
    throw error;
  } finally {
    delete model.details.run;
    display.end();
    release();
    showWarnings(run, warnings);
    if (options.history !== undefined && whole.length > 0) {
      await whole.save(options.history);
      if (whole[0].epoch > 1)
        display.note(
          `note: ${options.history} begins with epoch ${whole[0].epoch}, since the run began without --history.`,
        );
    }
  }
}

/** Keeps all epochs of a run, over every time that it is resumed. */
const recorder = (history: History): Callback => ({
  name: "history",
  onEpoch: (epoch) => void history.push(epoch),
  save: () => ({ values: { epochs: [...history] } }),
  restore: ({ values }) => {
    if (Array.isArray(values.epochs)) history.push(...(values.epochs as EpochReport[]));
  },
});
