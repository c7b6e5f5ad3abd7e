/**
 * Data that are read while the network trains: when that is asked for or needed, how they are opened, and what stands for them
 * where a decision wants rows in memory.
 */
import { stat } from "node:fs/promises";
import { freemem } from "node:os";
import type { DataStream, Dataset } from "../../data/index.ts";
import { openStream, type StreamOptions } from "../../data/node.ts";
import { type Details, writtenOf } from "../model/metadata.ts";
import { UsageError } from "../terminal/exit.ts";
import { fileSize } from "../terminal/text.ts";
import { columnKinds } from "./columns.ts";
import type { ReadOptions } from "./read-options.ts";

/** How the command line asks for a stream. */
export interface StreamingOptions {
  /** Whether data are read while they are used; where they would not fit unless said. */
  readonly stream?: boolean;
  /** A directory for decoded rows. */
  readonly cache?: string;
}

/** Rows that stand for all where a decision wants some in memory. */
const SAMPLE = 20_000;
/** What a table takes in memory for each byte of its file, and the part of the free memory that it may take. */
const [PER_BYTE, SHARE] = [2, 0.6];
/** Bytes of numbers that the engine holds beside a network. */
const MOST = 3.5e9;

/** Whether a file of so many bytes is too large to be read as a whole, and why. */
export function tooLarge(bytes: number, free: number): string | undefined {
  const wanted = bytes * PER_BYTE;
  if (wanted <= free * SHARE && bytes <= MOST) return undefined;
  const limit = wanted > free * SHARE ? `${fileSize(free)} of memory are free` : "the engine holds 4 GB";
  return `${fileSize(bytes)} would take some ${fileSize(wanted)}, and ${limit}`;
}

/** Why data are read as a stream: because it is said, or they would not fit; undefined where they are not. */
export async function reasonToStream(source: string, { stream, cache }: StreamingOptions): Promise<string | undefined> {
  if (stream || cache !== undefined || /[*?]/.test(source)) return "";
  if (stream === false) return undefined;
  const found = await stat(source).catch(() => undefined);
  return found?.isFile() && /\.(csv|tsv|txt|data|jsonl|ndjson)$/i.test(source)
    ? tooLarge(found.size, freemem())
    : undefined;
}

/** Opens data to train on. */
export function openTrainingStream(
  source: string,
  { target, columns, missing, decimal, imageSize, ...reading }: ReadOptions,
  { cache }: StreamingOptions,
): Promise<DataStream> {
  if (missing === "previous")
    throw new UsageError("--missing previous is for forecasts (--horizon); tables take error, mean or drop.");
  if (decimal === "comma")
    throw new UsageError(
      "--decimal comma is for tables that are read as a whole (--no-stream). A column whose numbers all have commas is read as such by itself.",
    );
  if (target === undefined && isTable(source))
    throw new UsageError("No target was given. Name the column to predict, such as --target price.");
  return openStream(source, {
    ...reading,
    ...(target !== undefined && { target }),
    ...(missing && { missing }),
    ...(columns && { columns: columnKinds(columns) }),
    ...(imageSize && { size: imageSize }),
    ...(cache !== undefined && { cache }),
  } as StreamOptions);
}

/** Opens data as a trained model takes them. */
export function openStreamFor(
  source: string,
  details: Details,
  inputShape: readonly number[],
  { cache }: StreamingOptions,
  isLabelled = true,
): Promise<DataStream> {
  const [height, width, channels] = inputShape;
  const { schema, classes, encoding } = { ...details, ...writtenOf(details) };
  if (isTable(source) && schema === undefined)
    throw new UsageError(`${source} is a table, but the model was not trained on one, so its columns are not known.`);
  return openStream(source, {
    ...(isTable(source) ? { schema, ...(isLabelled ? {} : { labelled: false }), ...(encoding && { encoding }) } : {}),
    ...(!isTable(source) && classes && { classes }),
    ...(!isTable(source) &&
      inputShape.length === 3 && { size: { width, height }, channels: channels as 1 | 3, part: "test" }),
    ...(cache !== undefined && { cache }),
  } as StreamOptions);
}

const isTable = (source: string): boolean => /\.(csv|tsv|txt|data|jsonl|ndjson|parquet)(\.gz)?$/i.test(source);

/** Some rows of a stream in memory, mixed: what a recipe is chosen by, and warnings. */
export async function sampleOf(stream: DataStream): Promise<Dataset> {
  const { inputShape, task, classes, features, schema } = stream;
  const wanted = Math.min(SAMPLE, stream.count);
  let [x, y]: [Dataset["x"] | undefined, Dataset["y"] | undefined] = [undefined, undefined];
  let row = 0;
  for await (const rows of stream.rows({ shuffle: true })) {
    const taken = Math.min(rows.count, wanted - row);
    const [width, targets] = [rows.x.length / rows.count, rows.y.length / rows.count];
    x ??= new (rows.x.constructor as Float32ArrayConstructor)(wanted * width);
    y ??= new (rows.y.constructor as Float32ArrayConstructor)(wanted * targets);
    x.set(rows.x.subarray(0, taken * width), row * width);
    y.set(rows.y.subarray(0, taken * targets), row * targets);
    row += taken;
    if (row === wanted) break;
  }
  return {
    ...{ x: x!, y: y!, count: wanted, inputShape, task },
    ...(classes && { classes }),
    ...(features && { features }),
    ...(schema && { schema }),
  };
}

/** What is said of data that are streamed. */
export const streamNote = (reason: string, cache: string | undefined): string =>
  `${reason ? `read as a stream, since ${reason}` : "read as a stream"}${cache === undefined ? "" : `; rows are kept as numbers in ${cache}`}`;

export const isStreamed = (fingerprint: string | undefined): boolean => / rows of stream /.test(fingerprint ?? "");
