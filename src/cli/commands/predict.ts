/**
 * `chainrule predict MODEL INPUT…`: what a model makes of new data. Rows of a table come out as CSV; pictures and
 * samples of a data set are drawn with the probabilities beside them.
 */
import { once } from "node:events";
import type { Command } from "commander";
import {
  encodeTable,
  featureCount,
  normalizeDigit,
  resize,
  rowSize,
  type TableSchema,
  toColour,
  toGrey,
} from "../../data/index.ts";
import { decimalPoints, encodeCsv, readImage } from "../../data/node.ts";
import { DataError, type Model } from "../../index.ts";
import { readSeriesFor } from "../data/series.ts";
import { readDataFor } from "../data/sources.ts";
import { openStreamFor, reasonToStream, type StreamingOptions, streamNote } from "../data/streams.ts";
import type { ForecastPlan } from "../model/forecast-plan.ts";
import { type Details, writtenOf } from "../model/metadata.ts";
import { openDataModel } from "../model/open-model.ts";
import type { BackendOptions } from "../options/backend.ts";
import { positiveWhole, rows } from "../options/values.ts";
import { type NextValue, nextValues } from "../report/next-values.ts";
import { UsageError } from "../terminal/exit.ts";
import { beside, drawPicture } from "../terminal/picture.ts";
import { bar, measure, name, painter, percent, warn } from "../terminal/text.ts";
import { inCommandWords } from "../terminal/wording.ts";

interface PredictOptions extends BackendOptions, StreamingOptions {
  readonly sample?: number[];
  readonly asIs?: boolean;
  readonly json?: boolean;
}

const HELP = `
INPUT is one or more of
  FILE.csv          rows with the columns of the training data ("-" reads them
                    from stdin); the predictions are written as CSV
  FILE.png, .jpg    a picture; for a model of handwritten digits of any size,
                    dark on light or light on dark
  SERIES            for a model that forecasts: a table as that of the training;
                    the values after its last row are foretold
  DATA --sample N   rows of a data set, counted from 1: mnist --sample 7,8,9

Examples
  chainrule predict mnist.safetensors my-digit.png
  chainrule predict iris.safetensors new-flowers.csv > predictions.csv`;

export function register(program: Command): void {
  program
    .command("predict")
    .summary("use a trained model on new data")
    .description("Says what a trained model makes of new data.")
    .argument("<model>", "a file that train wrote")
    .argument("<input...>", "tables or pictures, see below")
    .option("--sample <numbers>", "take these rows of a data set, from 1", rows)
    .option("--stream", "read a table while it is predicted; where it would not fit into memory unless given")
    .option("--no-stream", "read tables first, and write nothing before all is well")
    .option("--as-is", "only resize pictures; do not cut out and centre the digit")
    .option("--threads <n>", "threads", positiveWhole)
    .option("--json", "write one JSON object per row")
    .addHelpText("after", HELP)
    .action(async (path: string, inputs: string[], options: PredictOptions) => {
      await predict(path, inputs, options);
    });
}

/** Inputs in the model's form, and where each row came from. */
interface Batch {
  readonly source: string;
  readonly form: "table" | "picture" | "sample";
  readonly x: Float32Array | Uint8Array;
  readonly count: number;
  /** The row of the source, from 1. */
  readonly rowNumbers: readonly number[];
  /** What is right, where it is known. */
  readonly truth?: readonly number[];
}

async function predict(path: string, sources: readonly string[], options: PredictOptions): Promise<void> {
  const { model, details } = await openDataModel(path, options);
  try {
    if (details.series) {
      await foretell(model, details.series, sources, details, options);
      return;
    }
    const [source] = sources;
    const canStream =
      details.schema !== undefined && !options.sample && source !== "-" && !/\.(png|jpe?g)$/i.test(source);
    const reason = canStream && sources.length === 1 ? await reasonToStream(source, options) : undefined;
    if (reason !== undefined) {
      if (reason) warn(`The table is ${streamNote(reason, undefined)}.`);
      await predictStream(source, model, details, options);
      return;
    }
    // All inputs are read before anything is written, so that a mistake in the last leaves no half of an answer.
    const batches: Batch[] = [];
    for (const source of sources) batches.push(await readBatch(source, model, details, options));
    for (const batch of batches) noteFarOff(batch, model, details);
    const answers: Answer[] = [];
    for (const batch of batches) answers.push(...(await answer(model, details, batch)));
    const isTable = batches.every(({ form }) => form === "table");
    const lines = options.json
      ? answers.map((each) => JSON.stringify(jsonAnswer(each, details)))
      : isTable
        ? csvLines(answers, details, sources.length > 1)
        : answers.flatMap((each) => drawnAnswer(each, model, details));
    process.stdout.write(`${lines.join("\n")}\n`);
  } finally {
    model.close();
  }
}

/** Predicts the rows of a table part by part, and writes each part's answers before the next one is read. */
async function predictStream(source: string, model: Model, details: Details, options: PredictOptions): Promise<void> {
  const stream = await openStreamFor(source, details, model.inputShape, options, false);
  let done = 0;
  for await (const { x, count } of stream.rows()) {
    const rowNumbers = Array.from({ length: count }, (_, i) => done + i + 1);
    const answers = await answer(model, details, { source, form: "table", x: x as Float32Array, count, rowNumbers });
    const lines = options.json
      ? answers.map((each) => JSON.stringify(jsonAnswer(each, details)))
      : csvLines(answers, details, false).slice(done === 0 ? 0 : 1);
    if (!process.stdout.write(`${lines.join("\n")}\n`)) await once(process.stdout, "drain");
    done += count;
  }
  await stream.close();
}

/** The values that come after the last row of each series. */
async function foretell(
  model: Model,
  plan: ForecastPlan,
  sources: readonly string[],
  details: Details,
  { sample, json }: PredictOptions,
): Promise<void> {
  if (sample) throw new UsageError("--sample is for rows; of a series the values after its last row are foretold.");
  const answers: { readonly source: string; readonly next: readonly NextValue[] }[] = [];
  for (const source of sources) {
    const series = await readSeriesFor(source, plan, writtenOf(details));
    for (const note of series.notes ?? []) warn(`${source}: ${inCommandWords(note)}`);
    answers.push({ source, next: await nextValues(model, plan, series, source) });
  }
  const time = plan.time ?? "ahead";
  const rows = answers.flatMap(({ source, next }) => next.map((value) => ({ source, ...value })));
  const withSource = sources.length > 1;
  const lines = json
    ? rows.map(({ source, time: at, values }) =>
        JSON.stringify({
          input: source,
          [time]: at,
          prediction: Object.fromEntries(plan.targets.map((target, k) => [target, short(values[k])])),
        }),
      )
    : [
        [...(withSource ? ["file"] : []), time, ...plan.targets],
        ...rows.map(({ source, time: at, values }) => [
          ...(withSource ? [source] : []),
          String(at),
          ...values.map((value) => String(short(value))),
        ]),
      ].map((row) => row.map(csvField).join(","));
  process.stdout.write(`${lines.join("\n")}\n`);
}

// Reading ------------------------------------------------------------------------------------------------------------

async function readBatch(source: string, model: Model, details: Details, options: PredictOptions): Promise<Batch> {
  if (options.sample) return readSamples(source, model, details, options.sample);
  if (/\.(png|jpe?g)$/i.test(source)) return readPicture(source, model, details, options.asIs ?? false);
  if (details.schema) {
    const { x, count } =
      source === "-"
        ? await encodeStdin(details.schema, details.decimal === "comma")
        : await encodeCsv(details.schema, source, { target: false, ...writtenOf(details) });
    const rowNumbers = Array.from({ length: count }, (_, i) => i + 1);
    return { source, form: "table", x: Float32Array.from(x), count, rowNumbers };
  }
  throw new UsageError(
    `${source} is no picture (.png, .jpg). For rows of a data set say which: --sample 1. A table needs a model that was trained on one.`,
  );
}

function encodeStdin(schema: TableSchema, hasCommas: boolean) {
  const options = { file: "stdin", target: false };
  if (!hasCommas) return encodeTable(schema, process.stdin, options);
  return encodeTable(schema, decimalPoints(process.stdin, { file: "stdin" }), { ...options, delimiter: "," });
}

async function readSamples(source: string, model: Model, details: Details, wanted: number[]): Promise<Batch> {
  const data = await readDataFor(source, details, model.inputShape);
  const size = rowSize(model.inputShape);
  const beyond = wanted.find((row) => row > data.count);
  if (beyond !== undefined) {
    throw new UsageError(`--sample ${beyond}: ${source} has the rows 1 to ${data.count}.`);
  }
  const length = wanted.length * size;
  const x = data.x instanceof Uint8Array ? new Uint8Array(length) : new Float32Array(length);
  wanted.forEach((row, i) => {
    x.set(data.x.subarray((row - 1) * size, row * size), i * size);
  });
  const truth = wanted.map((row) => data.y[row - 1]);
  return { source, form: "sample", x, count: wanted.length, rowNumbers: wanted, truth };
}

async function readPicture(source: string, model: Model, details: Details, asIs: boolean): Promise<Batch> {
  const [height, width, channels] = model.inputShape;
  if (model.inputShape.length !== 3 || (channels !== 1 && channels !== 3)) {
    throw new DataError(
      `${source} is a picture, but the model takes rows of ${rowSize(model.inputShape)} features. Give a table.`,
      { file: source },
    );
  }
  const isDigit = details.digits === true && !asIs;
  const image = await readImage(source, isDigit ? { background: "contrast" } : {});
  const sized = (): Uint8Array => resize(channels === 1 ? toGrey(image) : toColour(image), width, height).data;
  const x = isDigit ? normalizeDigit(image, source) : sized();
  return { source, form: "picture", x, count: 1, rowNumbers: [1] };
}

/** Standard deviations of the training rows beyond which an input is likely to be in another unit. */
const FAR_OFF = 100;

/** Says on stderr where a number is far from all that the model has learnt from. */
function noteFarOff({ source, x, count, rowNumbers }: Batch, { network }: Model, { features, schema }: Details): void {
  const { kind, config } = network.layers[0];
  if (kind !== "normalize" || network.inputShape.length !== 1) return;
  const { mean, deviation } = config as { mean: number[]; deviation: number[] };
  const width = x.length / count;
  // A rare category is far from its mean by nature.
  const isNumber = schema?.columns.flatMap((column) =>
    Array.from({ length: featureCount(column) }, (_, i) => column.kind !== "categorical" && i === 0),
  );
  let [worst, at] = [FAR_OFF, -1];
  for (let i = 0; i < x.length; i++) {
    const far = Math.abs(x[i] - mean[i % width]) / deviation[i % width];
    if (far > worst && isNumber?.[i % width] !== false) [worst, at] = [far, i];
  }
  if (at < 0) return;
  const feature = at % width;
  const title = features ? `"${name(features[feature], 30)}"` : `feature ${feature + 1}`;
  warn(
    `${name(source, 40)}, row ${rowNumbers[Math.floor(at / width)]}: ${title} is ${measure(x[at])}, ${measure(worst)} standard deviations from the training rows' mean of ${measure(mean[feature])}. So far outside, a prediction means little; is it in the same unit?`,
  );
}

// Answering ----------------------------------------------------------------------------------------------------------

interface Answer {
  readonly source: string;
  readonly row: number;
  readonly form: Batch["form"];
  readonly input: Float32Array | Uint8Array;
  /** The class, or the first target's value. */
  readonly value: number;
  readonly values: readonly number[];
  readonly truth?: number;
}

/** For classes `values` are probabilities, for regression the targets. */
async function answer(model: Model, { classes }: Details, batch: Batch): Promise<Answer[]> {
  const { x, count, source, form, rowNumbers, truth } = batch;
  const said = classes ? await model.classify(x) : undefined;
  const all = said ? said.probabilities : await model.predict(x);
  const [width, size] = [all.length / count, x.length / count];
  return rowNumbers.map((row, i) => {
    const values = [...all.subarray(i * width, (i + 1) * width)];
    const input = x.subarray(i * size, (i + 1) * size);
    const value = said ? said.classes[i] : values[0];
    return { source, row, form, input, value, values, ...(truth && { truth: truth[i] }) };
  });
}

/** Six digits are more than a prediction is good for, and short. */
const short = (x: number): number => Number(x.toPrecision(6));

function jsonAnswer({ source, row, form, value, values, truth }: Answer, { classes }: Details) {
  const place = form === "picture" ? { input: source } : { input: source, row };
  if (!classes) return { ...place, prediction: short(value), ...(truth !== undefined && { truth }) };
  const probabilities = Object.fromEntries(classes.map((title, i) => [title, short(values[i])]));
  return {
    ...place,
    prediction: classes[value],
    probabilities,
    ...(truth !== undefined && { truth: classes[truth] }),
  };
}

const csvField = (text: string): string => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

function csvLines(answers: readonly Answer[], { classes, schema }: Details, withSource: boolean): string[] {
  const target = schema?.target.name ?? "prediction";
  const header = [...(withSource ? ["file"] : []), target, ...(classes ?? []).map((title) => `p(${title})`)];
  const rows = answers.map(({ source, value, values }) => [
    ...(withSource ? [source] : []),
    ...(classes ? [classes[value], ...values.map((p) => String(short(p)))] : [String(short(value))]),
  ]);
  return [header, ...rows].map((row) => row.map(csvField).join(","));
}

/** The most classes whose probabilities are shown. */
const MOST_BARS = 12;

function drawnAnswer({ source, row, form, input, value, values, truth }: Answer, model: Model, details: Details) {
  const paint = painter(process.stdout);
  const place = form === "picture" ? name(source, 60) : `${name(source, 50)}, row ${row}`;
  const { classes } = details;
  if (!classes) {
    const known = truth === undefined ? "" : paint("dim", `   in the data: ${short(truth)}`);
    return [`${place}: ${paint("bold", String(short(value)))}${known}`];
  }
  const isRight = truth === undefined ? undefined : truth === value;
  const mark =
    isRight === undefined
      ? ""
      : isRight
        ? paint("green", "  right")
        : paint("red", `  wrong: it is ${name(classes[truth!])}`);
  const title = `${place}: ${paint("bold", name(classes[value]))}  ${percent(values[value], 1)}${mark}`;
  const order = classes.map((_, i) => i);
  const shown = classes.length <= MOST_BARS ? order : order.sort((a, b) => values[b] - values[a]).slice(0, MOST_BARS);
  const label = Math.max(...shown.map((i) => name(classes[i], 16).length));
  const bars = shown.map((i) => {
    const { full, rest } = bar(values[i], 24);
    const text = `${name(classes[i], 16).padStart(label)}  ${full}${paint("dim", rest)}  ${percent(values[i], 1).padStart(7)}`;
    return i === value ? paint("bold", text) : text;
  });
  const [height, width, channels] = model.inputShape;
  const isDrawable = model.inputShape.length === 3 && channels === 1 && width <= 32 && input instanceof Uint8Array;
  if (!isDrawable) return [title, ...bars.map((line) => `  ${line}`), ""];
  const colours = process.stdout.isTTY && process.stdout.hasColors(256);
  return [title, ...beside(drawPicture(input, width, height, colours), bars, width, 3), ""];
}
