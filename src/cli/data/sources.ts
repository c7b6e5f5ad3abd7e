/**
 * From what stands on the command line to a data set: `mnist` and other sets by name, tables, directories of IDX files,
 * folders of class folders, NPZ files; for training, or in the form that a trained model takes.
 */
import { readdir, stat } from "node:fs/promises";
import { basename, resolve } from "node:path";
import { didYouMean } from "../../checks.ts";
import { circles, curve, type DataStream, type Dataset, iris, moons, spirals, xor } from "../../data/index.ts";
import {
  encodeCsv,
  mnist,
  readCsv,
  readFile,
  readIdxDirectory,
  readImageFolder,
  readNpz,
  type TrainAndTest,
} from "../../data/node.ts";
import { DataError } from "../../index.ts";
import type { Message } from "../../wording.ts";
import type { ForecastPlan } from "../model/forecast-plan.ts";
import { type Details, writtenOf } from "../model/metadata.ts";
import { UsageError } from "../terminal/exit.ts";
import { columnKinds, readHeader, refuseWithoutTarget } from "./columns.ts";
import type { ReadOptions } from "./read-options.ts";
import {
  forecastPart,
  isMadeSeries,
  readSeriesFor,
  readTrainingSeries,
  type SeriesReading,
  type Shares,
} from "./series.ts";
import { openStreamFor, openTrainingStream, type StreamingOptions, sampleOf, streamNote } from "./streams.ts";

/** Data sets that need no file. */
const TOYS: Readonly<Record<string, () => Dataset>> = { iris, xor, moons, circles, spirals, curve };
const NAMED = ["mnist", ...Object.keys(TOYS), "demand"];

type FileForm = "mnist" | "toy" | "idx" | "folders" | "npz" | "table";
export type Form = FileForm | "series";

/** What kind of data a word of the command line names. Throws `FileError` when there is nothing. */
async function formOf(source: string): Promise<FileForm> {
  if (isMadeSeries(source))
    throw new UsageError(`${source} is a series: say how far to look ahead, such as --horizon 24.`);
  if (source === "mnist") return "mnist";
  if (Object.hasOwn(TOYS, source)) return "toy";
  const found = await stat(source).catch(() => undefined);
  if (found === undefined) {
    const named = didYouMean(source, NAMED);
    if (named) throw new UsageError(`There is no file or directory "${source}", and no data set of that name.${named}`);
    await readFile(source); // which throws the error that says why
  }
  if (found?.isDirectory()) return (await readdir(source)).some((entry) => isIdx(entry)) ? "idx" : "folders";
  if (isIdx(basename(source))) throw new UsageError(`${source} is an IDX file; name the directory that it lies in.`);
  if (/\.(png|jpe?g|safetensors|npy)$/i.test(source)) {
    throw new UsageError(
      `${source} is no data set. Give a CSV or JSON file, an NPZ file, a directory of IDX files, a folder of class folders, or one of ${NAMED.join(", ")}.`,
    );
  }
  if (/\.(xlsx?|ods)$/i.test(source)) {
    throw new UsageError(`${source} is a spreadsheet's own file. Save it as CSV (UTF-8) there, and train on that.`);
  }
  return /\.npz$/i.test(source) ? "npz" : "table";
}

const isIdx = (file: string): boolean => /[-.]idx\d-ubyte(\.gz)?$/.test(file);

export interface TrainingData extends TrainAndTest {
  /** The training data, with what was taken for granted in reading them. */
  readonly train: Dataset & { readonly notes?: readonly Message[] };
  /** A short name for it: `mnist`, `iris`. */
  readonly title: string;
  readonly form: Form;
  /** Pictures of digits in the form of MNIST's. */
  readonly digits: boolean;
  /** How a series is read and forecast. */
  readonly series?: ForecastPlan;
  /** All rows, where they are read while the network trains; `train` has some of them. */
  readonly stream?: DataStream;
  /** Why they are. */
  readonly streamNote?: string;
}

/** Opens data for training that are read while the network trains; for a model that is there already, as it takes them. */
export async function openTrainingData(
  source: string,
  options: ReadOptions,
  streaming: StreamingOptions,
  reason: string,
  taker?: Taker,
): Promise<TrainingData> {
  const stream = taker
    ? await openStreamFor(source, taker.details, taker.inputShape, streaming)
    : await openTrainingStream(source, options, streaming);
  if (stream.task === "multilabel")
    throw new DataError(`${source}: rows have several labels at once. The command trains one class per row.`, {
      file: source,
    });
  const { inputShape, classes, schema, notes } = stream;
  return {
    train: { ...(await sampleOf(stream)), notes },
    stream,
    streamNote: streamNote(reason, streaming.cache),
    title: titleOf(source).replace(/[*?]+/g, "") || "model",
    form: schema ? "table" : "idx",
    digits: inputShape.join() === "28,28,1" && classes?.length === 10,
  };
}

/** A trained model's details and the shape of the rows that it takes. */
export interface Taker {
  readonly details: Details;
  readonly inputShape: readonly number[];
}

/** A short name for data, after which their model is called. */
const titleOf = (source: string): string =>
  basename(resolve(source))
    .replace(/(\.gz)?$/i, "")
    .replace(/\.[^.]+$/, "") || "model";

/** Reads a series for training. */
export async function readForecastData(
  source: string,
  asked: SeriesReading & { readonly horizon: number },
  shares: Shares,
): Promise<TrainingData> {
  const form = isMadeSeries(source) ? "table" : await formOf(source);
  if (form !== "table") throw new UsageError(`--horizon is for series in tables; ${source} is none. Leave it out.`);
  const windows = await readTrainingSeries(source, asked, shares);
  const { notes = [] } = windows.series;
  return { train: { ...windows, notes }, title: titleOf(source), form: "series", digits: false, series: windows.plan };
}

/** Reads data for training; for a model that is there already, in the form that it takes. */
export async function readTrainingData(source: string, options: ReadOptions, taker?: Taker): Promise<TrainingData> {
  const form = isMadeSeries(source) && taker?.details.series ? "table" : await formOf(source);
  const [given] = Object.keys(options);
  if (taker && given)
    throw new UsageError(`--${given}: with --from, data are read as the model takes them. Leave it out.`);
  const stray = Object.keys(options).find((key) => form !== "table" && key !== "imageSize");
  if (stray)
    throw new UsageError(
      `--${stray === "header" ? "no-header" : stray} is for tables; ${source} is none. Leave it out.`,
    );
  const sets = taker ? await readSetsFor(source, taker) : await readSets(source, form, options);
  const { inputShape, classes, task } = sets.train;
  if (task === "multilabel")
    throw new DataError(
      `${source}: rows have several labels at once. The command trains one class per row; a program can train on such data: toDataset, and binaryCrossEntropy as the loss.`,
      { file: source },
    );
  const likeDigits = (form === "mnist" || form === "idx") && inputShape.join() === "28,28,1" && classes?.length === 10;
  const title = titleOf(source);
  const series = taker?.details.series;
  return { ...sets, title, form: series ? "series" : form, digits: likeDigits, ...(series && { series }) };
}

/** A data set whose features have names, as if it had been read from a table: so a model of it takes tables too. */
function asTable(data: Dataset): Dataset {
  const { features, classes } = data;
  if (!features) return data;
  const columns = features.map((name) => ({ name, kind: "numeric" as const }));
  const target = {
    name: "target",
    kind: classes ? ("categorical" as const) : ("numeric" as const),
    ...(classes && { classes }),
  };
  return { ...data, schema: { columns, target, missing: "error" } };
}

async function readSets(source: string, form: FileForm, options: ReadOptions): Promise<TrainAndTest> {
  switch (form) {
    case "mnist":
      return mnist();
    case "toy":
      return { train: asTable(TOYS[source]()) };
    case "idx":
      return readIdxDirectory(source);
    case "npz":
      return readNpz(source);
    case "folders":
      return readImageFolder(source, options.imageSize && { size: options.imageSize }).then((train) => ({ train }));
    case "table": {
      const { target, imageSize: _, columns, missing, ...rest } = options;
      if (missing === "previous")
        throw new UsageError("--missing previous is for forecasts (--horizon); tables take error, mean or drop.");
      const others = { ...rest, ...(missing && { missing }) };
      if (target === undefined) return refuseWithoutTarget(source, others);
      await readHeader(source, others); // says where it is none
      return { train: await readCsv(source, { target, ...others, ...(columns && { columns: columnKinds(columns) }) }) };
    }
  }
}

/** Reads data that a model with these details is to be tested on: the test part where there are two. */
export async function readDataFor(source: string, details: Details, inputShape: readonly number[]): Promise<Dataset> {
  const { train, test } = await readSetsFor(source, { details, inputShape });
  return test ?? train;
}

/** Reads data as a model takes them, and checks that it can. */
async function readSetsFor(source: string, taker: Taker): Promise<TrainAndTest> {
  const { train, test } = await readLike(source, taker);
  return { train: fitting(train, source, taker), ...(test && { test: fitting(test, source, taker) }) };
}

/** The data with the model's classes, if they fit the model. */
function fitting(data: Dataset, source: string, { details, inputShape }: Taker): Dataset {
  if (data.inputShape.join() !== inputShape.join()) {
    throw new DataError(
      `${source}: a row has shape ${shapeText(data.inputShape)}, but the model takes ${shapeText(inputShape)}. Give data like those it was trained on.`,
      { file: source },
    );
  }
  if (data.task !== details.task) {
    throw new DataError(`${source}: the data are for ${data.task}, but the model does ${details.task}.`, {
      file: source,
    });
  }
  const { classes } = details;
  const beyond = classes ? data.y.findIndex((label) => label >= classes.length) : -1;
  if (classes && beyond >= 0) {
    throw new DataError(
      `${source}, row ${beyond + 1}: the label is ${data.y[beyond]}, but the model knows the classes 0 to ${classes.length - 1}.`,
      { file: source, row: beyond + 1 },
    );
  }
  return classes ? { ...data, classes: [...classes] } : data;
}

const shapeText = (shape: readonly number[]): string => `[${shape.join(", ")}]`;

async function readLike(source: string, { details, inputShape }: Taker): Promise<TrainAndTest> {
  const { series } = details;
  if (series) return { train: forecastPart(await readSeriesFor(source, series, writtenOf(details)), series) };
  const form = await formOf(source);
  if (form === "table") {
    if (details.schema === undefined) {
      throw new DataError(`${source} is a table, but the model was not trained on one, so its columns are not known.`, {
        file: source,
      });
    }
    const table = await encodeCsv(details.schema, source, { target: true, ...writtenOf(details) });
    return { train: { ...table, y: table.y! } };
  }
  if (form === "folders") {
    const [height, width, channels] = inputShape;
    if (inputShape.length !== 3 || (channels !== 1 && channels !== 3)) {
      throw new DataError(`${source} holds pictures, but the model takes ${shapeText(inputShape)}.`, { file: source });
    }
    const { classes } = details;
    return { train: await readImageFolder(source, { size: { width, height }, channels, ...(classes && { classes }) }) };
  }
  return readSets(source, form, {});
}
