/**
 * What `chainrule train` says before and after the work: what was chosen from the data, how good the model is, what to
 * try next; for people on stderr and stdout, for programs as events.
 */
import { stat } from "node:fs/promises";
import type { Dataset, TableSchema } from "../../data/index.ts";
import type { EpochReport, Model, Warning } from "../../index.ts";
import { columnLines, columnWarnings } from "../data/columns.ts";
import { isForecast } from "../data/series.ts";
import type { TrainingData } from "../data/sources.ts";
import { isNumber } from "../data/split.ts";
import { isOldNode, NEWER_NODE } from "../options/turbo.ts";
import {
  commandName,
  count,
  duration,
  fileSize,
  fromHere,
  measure,
  name,
  type Paint,
  painter,
  plural,
  quote,
  sparkline,
  titled,
  widthOf,
} from "../terminal/text.ts";
import { inCommandWords } from "../terminal/wording.ts";
import type { Training } from "../training/run.ts";
import { forecastLines, jsonForecast, measureForecast, seriesLines } from "./forecast.ts";
import { overfitting } from "./overfitting.ts";
import { rareClasses } from "./rare-classes.ts";
import { jsonScores, measureModel, type TestScores } from "./scores.ts";
import { scoreLines } from "./test-report.ts";

// What was chosen ----------------------------------------------------------------------------------------------------

/** A data set's rows in words: `60,000 pictures of 28 × 28 pixels`. */
function rowsText({ x, inputShape, count: rows }: Dataset): string {
  if (inputShape.length === 2)
    return `${plural(rows, "window")} of ${inputShape[0]} places, ${inputShape[1]} numbers each`;
  const isPicture = inputShape.length === 3 && x instanceof Uint8Array;
  if (!isPicture)
    return `${plural(rows, "row")} of ${plural(
      inputShape.reduce((a, b) => a * b, 1),
      "feature",
    )}`;
  const [height, width, channels] = inputShape;
  return `${plural(rows, `${channels === 1 ? "grey" : "colour"} picture`)} of ${width} × ${height} pixels`;
}

/** The layers in words: `rescale 1/255, flatten, dense 128 relu`. */
const layerText = (model: Model): string =>
  model.network.layers.map(({ kind, description }) => `${kind} ${description.replaceAll(",", "")}`.trim()).join(", ");

/** @param replaces whether the model's file is there already */
export function announce({ source, options, data, parts, recipe, model, out, display }: Training, replaces: boolean) {
  const { train, validation, test, testNote } = parts;
  const { classes, task, schema } = train;
  const { loss, optimizer, learningRate, schedule, epochs, batchSize, notes } = recipe;
  const { seed = 0, resume } = options;
  const { weightDecay: decay = 0 } = optimizer.config as { weightDecay?: number };
  const paint = painter(process.stderr);
  const lines: [string, string][] = [
    ["data", `${name(source, 60)}: ${rowsText(train)}`],
    ...(isForecast(train) ? seriesLines(train).map((text): [string, string] => ["", text]) : []),
    [
      "test",
      test
        ? `${plural(test.count, data.series ? "window" : "row")}, ${testNote}`
        : "no rows: the report is on the training data itself",
    ],
  ];
  if (validation)
    lines.push(["validation", `${plural(validation.count, "row")} of the training data, after each epoch`]);
  for (const [i, text] of (schema ? columnLines(schema, options.ignore) : []).entries())
    if (data.form === "table") lines.push([i === 0 ? "columns" : "", text]);
  for (const note of data.train.notes ?? []) lines.push(["", inCommandWords(note)]);
  const target = schema ? ` of ${name(schema.target.name)}` : "";
  lines.push(["task", classes ? `${classes.length} classes${target}: ${listText(classes)}` : `${task}${target || ""}`]);
  if (classes && schema?.target.kind === "numeric" && options.task === undefined && data.form === "table")
    lines.push(["", "few whole numbers, so each is a class; --task regression predicts a number"]);
  lines.push(["network", `${layerText(model)} (${plural(model.network.parameterCount, "parameter")})`]);
  lines.push([
    "training",
    `${loss.name}, ${optimizer.name} at ${measureRate(learningRate)}${decay > 0 ? ` with weight decay ${decay}` : ""}, ${schedule}, batches of ${batchSize}, ${plural(epochs, "epoch")}, seed ${seed}`,
  ]);
  const { earlyStopping, classWeights, augment } = options;
  const more = [
    ...(augment === undefined ? [] : [`images varied by ${augment}`]),
    ...(classWeights === undefined ? [] : ["classes balanced"]),
    ...(earlyStopping === undefined
      ? []
      : [
          `stops after ${plural(earlyStopping, "epoch")} without a better ${validation ? "validation" : "training"} loss`,
        ]),
  ];
  if (more.length > 0) lines.push(["with", more.join(", ")]);
  lines.push(["engine", model.engine]);
  if ((options.backend ?? "wasm") === "wasm" && options.turbo === undefined && isOldNode())
    lines.push(["", NEWER_NODE]);
  if (resume !== undefined) lines.push(["resumes", resume]);
  for (const note of notes) lines.push(["note", note]);
  if (replaces) lines.push(["note", `${out} is there already; the new model will replace it`]);
  const warnings = data.form === "table" ? columnWarnings(data.train) : [];
  for (const [title, text] of lines) display.note(titled(title, text, paint, "dim", /(?<=,) |(?<=;) /));
  for (const warning of warnings) display.note(titled("warning", warning, paint, "yellow"));
  display.note("");
  display.event({
    event: "start",
    data: source,
    task,
    ...(classes && { classes }),
    rows: train.count,
    ...(validation && { validationRows: validation.count }),
    ...(test && { testRows: test.count }),
    inputShape: train.inputShape,
    layers: layerText(model),
    parameters: model.network.parameterCount,
    loss: loss.name,
    optimizer: { name: optimizer.name, ...optimizer.config },
    epochs,
    batchSize,
    seed,
    engine: model.engine,
    ...(schema && data.form === "table" && { columns: columnsEvent(schema), ignored: options.ignore ?? [] }),
  });
  for (const message of warnings) display.event({ event: "warning", kind: "column", message });
}

const columnsEvent = ({ columns, target }: TableSchema) => [
  ...columns.map((column) => ({
    name: column.name,
    kind: column.kind,
    ...(column.kind === "categorical" && { categories: column.categories.length }),
  })),
  { name: target.name, kind: target.kind, target: true },
];

const measureRate = (x: number): string => String(Number(x.toPrecision(3)));

function listText(names: readonly string[]): string {
  const shown = names.slice(0, 10).map((title) => name(title, 20));
  return names.length > 10 ? `${shown.join(", ")}, …` : shown.join(", ");
}

// What was noticed -----------------------------------------------------------------------------------------------------

/** What kept the network from learning as it could, with what to try. */
export function showWarnings(
  { display, data, recipe }: Training,
  warnings: readonly (Pick<Warning, "where" | "said"> & { readonly kind: string })[],
): void {
  const paint = painter(process.stderr);
  for (const { kind, where, said } of warnings) {
    // Of a table's columns more is known, and said before; a loss in the square of the target's unit has large
    // gradients, which say nothing.
    if (kind === "constantFeature" && data.form === "table") continue;
    if (kind === "explodingGradient" && recipe.leave.length > 0) continue;
    const text = inCommandWords(said);
    display.note(titled("warning", text, paint, "yellow"));
    display.event({ event: "warning", kind, where, message: text });
  }
}

/** Where a run with early stopping came to its end. */
export function announceEnd({ display, recipe, parts }: Training, history: readonly EpochReport[]): void {
  const last = history.at(-1)?.epoch;
  if (last === undefined || last >= recipe.epochs) return;
  const which = parts.validation ? "validation" : "training";
  display.note(`Stopped after epoch ${last}: the ${which} loss got no better. The model is that of its best epoch.`);
}

// Report -------------------------------------------------------------------------------------------------------------

/** Measures the model on the test data, and says all that there is to say. */
export async function reportResults(run: Training, history: readonly EpochReport[]): Promise<void> {
  const { options, out, display, model, recipe, parts, data } = run;
  const tested = parts.test ?? parts.train;
  const scores = await measureModel(model, tested);
  const forecast = isForecast(tested) ? await measureForecast(model, tested) : undefined;
  showWarnings(run, [...(await overfitting(run, scores)), ...rareClasses(run, scores)]);
  const seconds = history.reduce((sum, epoch) => sum + epoch.seconds, 0);
  const rows = history.reduce((sum, epoch) => sum + epoch.samplesPerSecond * epoch.seconds, 0);
  display.event({
    event: "done",
    [parts.test ? "test" : "training"]: { ...jsonScores(scores), ...(forecast && jsonForecast(forecast)) },
    model: out,
    epochs: options.earlyStopping === undefined ? recipe.epochs : (history.at(-1)?.epoch ?? recipe.epochs),
    seconds,
    ...(history.length > 0 && { samplesPerSecond: rows / seconds }),
  });
  if (options.json || options.quiet) return;

  const paint = painter(process.stdout);
  const sheet = { paint, width: widthOf(process.stdout) };
  const lines: string[] = [];
  if (history.length > 0) {
    const speed = `${duration(seconds)}, ${count(Math.round(rows / seconds))} rows per second`;
    lines.push(`${paint("bold", "Trained")}  ${paint("dim", `${plural(history.length, "epoch")} in ${speed}`)}`);
    lines.push(
      curve(
        "loss",
        history.map(({ loss }) => loss),
        paint,
      ),
    );
    const held = history.flatMap(({ validation }) => (validation ? [validation.loss] : []));
    if (held.length > 0) lines.push(curve("validation loss", held, paint));
    lines.push("");
  }
  const title = parts.test ? "Test" : "On the training data";
  lines.push(
    ...(forecast ? forecastLines(title, forecast, sheet) : scoreLines(title, scores, classNames(data, scores), sheet)),
    "",
  );
  const { size } = await stat(out);
  lines.push(`${paint("bold", "Saved")}  ${fromHere(out)}${size > 0 ? paint("dim", `  ${fileSize(size)}`) : ""}`, "");
  lines.push(paint("bold", "Try next"));
  for (const proposal of proposals(run)) lines.push(...continued(`${commandName()} ${proposal}`));
  process.stdout.write(`${lines.join("\n")}\n`);
}

/** How a loss went, from first to last. */
function curve(title: string, values: readonly number[], paint: Paint): string {
  const [first, last] = [values[0], values[values.length - 1]].map(measure);
  return `  ${title}  ${values.length > 1 ? `${first} ${paint("cyan", sparkline(values, 40))} ${last}` : last}`;
}

const classNames = (data: TrainingData, scores: TestScores): readonly string[] =>
  data.train.classes ?? (scores.task === "classification" ? scores.confusion.map((_, i) => String(i)) : []);

/** A command on as many lines as it takes, as a shell joins them; broken before options. */
function continued(command: string): string[] {
  const lines: string[] = [];
  for (const part of command.split(/ (?=--\w)/)) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + part.length < 74) lines[lines.length - 1] = `${last} ${part}`;
    else lines.push(`${last === undefined ? "  " : "      "}${part}`);
  }
  return lines.map((text, i) => (i < lines.length - 1 ? `${text} \\` : text));
}

/** Commands that work as they stand. */
function proposals({ source, out, data, options }: Training): string[] {
  const [model, from] = [quote(fromHere(out)), quote(fromHere(source))];
  const { task, missing, ignore, columns, decimal, encoding, header, imageSize, time, horizon, window, season } =
    options;
  const target = data.form === "table" ? data.train.schema?.target.name : data.series?.targets.join(",");
  const size = imageSize && `${imageSize.width}x${imageSize.height}`;
  const named = {
    target,
    time,
    horizon,
    window,
    season,
    task,
    missing,
    ignore,
    columns,
    decimal,
    encoding,
    "image-size": size,
  };
  const read = Object.entries(named).flatMap(([key, value]) =>
    value === undefined ? [] : [`--${key} ${quote(String(value))}`],
  );
  if (header === false) read.push("--no-header");
  const units = ["dense 64 tanh", "gru 32"][data.train.inputShape.length - 1] ?? "dense 256 relu, dropout 0.2";
  const tested = options.test !== undefined && !isNumber(options.test) ? quote(fromHere(options.test)) : from;
  return [
    `evaluate ${model} ${tested}`,
    `predict ${model} ${tested}${data.form === "table" || data.form === "series" ? "" : " --sample 1"}`,
    ...(data.digits ? [`predict ${model} my-digit.png`] : []),
    `explain ${model} ${from} --sample 1`,
    `gradcheck ${model} ${from}`,
    `summary ${model}`,
    `train ${[from, ...read, `--layers "${units}"`].join(" ")}`,
  ];
}
