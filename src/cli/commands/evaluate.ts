/** `chainrule evaluate MODEL DATA`: how good a saved model is on a data set. */
import { basename } from "node:path";
import type { Command } from "commander";
import { DataStream } from "../../data/index.ts";
import { isForecast } from "../data/series.ts";
import { readDataFor } from "../data/sources.ts";
import { heldOut, heldOutOfStream } from "../data/split.ts";
import { isStreamed, openStreamFor, reasonToStream, type StreamingOptions, streamNote } from "../data/streams.ts";
import { fingerprintOf } from "../model/metadata.ts";
import { openDataModel } from "../model/open-model.ts";
import type { BackendOptions } from "../options/backend.ts";
import { positiveWhole } from "../options/values.ts";
import { forecastLines, jsonForecast, measureForecast } from "../report/forecast.ts";
import { jsonScores, measureModel } from "../report/scores.ts";
import { scoreLines } from "../report/test-report.ts";
import { count, painter, warn, widthOf } from "../terminal/text.ts";

interface EvaluateOptions extends BackendOptions, StreamingOptions {
  readonly all?: boolean;
  readonly json?: boolean;
}

const HELP = `
Rows that the model has learnt from say nothing of how well it does on others.
Where DATA are those it was trained on, the rows that were held out are
measured, and where none were, a warning says so.`;

export function register(program: Command): void {
  program
    .command("evaluate")
    .summary("test a trained model on a data set")
    .description("Tests a trained model on a data set, which takes the forms that train takes.")
    .argument("<model>", "a file that train wrote")
    .argument("<data>", "mnist, a table with the target's column, a directory; of two parts the test part")
    .option("--all", "all rows, those that it was trained on too")
    .option(
      "--stream",
      "read the data while they are measured; where they would not fit, or the model was trained so, unless given",
    )
    .option("--no-stream", "read all data first")
    .option("--cache <directory>", "keep the rows of a stream as numbers there")
    .option("--threads <n>", "threads", positiveWhole)
    .option("--json", "write the result as one JSON object")
    .addHelpText("after", HELP)
    .action(evaluate);
}

async function evaluate(path: string, source: string, options: EvaluateOptions): Promise<void> {
  const { model, details } = await openDataModel(path, options);
  try {
    const { origin } = details;
    const wasStreamed = isStreamed(origin?.fingerprint) && origin?.file === basename(source);
    const reason = details.series
      ? undefined
      : await reasonToStream(
          source,
          wasStreamed && options.stream === undefined ? { ...options, stream: true } : options,
        );
    const stream = reason === undefined ? undefined : await openStreamFor(source, details, model.inputShape, options);
    if (reason) warn(`The data are ${streamNote(reason, options.cache)}.`);
    const data = stream ?? (await readDataFor(source, details, model.inputShape));
    const isTrained =
      origin !== undefined &&
      origin.fingerprint === (data instanceof DataStream ? data.fingerprint : fingerprintOf(data));
    const held = !isTrained
      ? undefined
      : data instanceof DataStream
        ? heldOutOfStream(data, origin)
        : heldOut(data, origin);
    const [measured, rows] =
      held && !options.all ? ([held, "held out"] as const) : ([data, isTrained ? "trained on" : "given"] as const);
    const scores = await measureModel(model, measured);
    const forecast = isForecast(measured) ? await measureForecast(model, measured) : undefined;
    if (rows === "trained on") {
      const which = held ? "" : " None were held out, so test it on other data.";
      warn(
        `The model was trained on rows of ${source}: these scores say how well it remembers them, not how well it does on new ones.${which}`,
      );
    } else if (!isTrained && origin?.file === basename(source)) {
      warn(
        `The model was trained on a ${origin.file} with other rows. If some of them are in this one too, the scores are too good.`,
      );
    }
    if (options.json) {
      const test = { ...jsonScores(scores), ...(forecast && jsonForecast(forecast)) };
      const result = { event: "done", test, rows, model: path, data: source };
      process.stdout.write(`${JSON.stringify(result)}\n`);
      return;
    }
    const sheet = { paint: painter(process.stdout), width: widthOf(process.stdout) };
    const title = rows === "held out" ? `${source}, the rows held out from training` : source;
    const lines = forecast
      ? forecastLines(title, forecast, sheet)
      : scoreLines(title, scores, details.classes ?? [], sheet);
    if (rows === "held out")
      lines.push(
        "",
        sheet.paint(
          "dim",
          `All ${count(data.count)} ${forecast ? "windows" : "rows"}, those of the training too: --all`,
        ),
      );
    process.stdout.write(`${lines.join("\n")}\n`);
  } finally {
    model.close();
  }
}
