/** Which rows of the data are for training, for validation and for the final test. */
import { type DataStream, type Dataset, split } from "../../data/index.ts";
import { detailsOf, type Origin } from "../model/metadata.ts";
import { UsageError } from "../terminal/exit.ts";
import { percent } from "../terminal/text.ts";
import { type ForecastData, forecastParts, isForecast } from "./series.ts";
import { readDataFor, type TrainingData } from "./sources.ts";
import { sampleOf } from "./streams.ts";

export interface Parts {
  /** What is trained on; of a stream some rows, for decisions. */
  readonly train: Dataset;
  /** The stream that is trained on, where data are read as one. */
  readonly stream?: DataStream;
  readonly validation?: Dataset | DataStream;
  readonly test?: Dataset | DataStream;
  /** The part of the training data that was held out for the test. */
  readonly testShare: number;
  /** How the test data came about, for people. */
  readonly testNote: string;
}

export interface PartsOptions {
  /** A fraction of the training data. */
  readonly validation?: number;
  /** Data, or a fraction as text. */
  readonly test?: string;
  readonly seed?: number;
  readonly decimal?: "point" | "comma";
  readonly encoding?: string;
}

/** The part that is held out for the test where the data have none. */
const HELD_OUT = 0.2;
/** Fewer rows than this are not divided unless asked. */
const LEAST_ROWS = 10;

export async function divide(data: TrainingData, options: PartsOptions): Promise<Parts> {
  const { validation = 0, seed = 0 } = options;
  if (isForecast(data.train)) return divideSeries(data, data.train, options);
  if (data.stream) return divideStream(data, data.stream, options);
  const parts = await withTest(data, options, seed);
  if (validation === 0) return parts;
  const [train, held] = split(parts.train, [1 - validation, validation], { seed });
  return { ...parts, train, validation: held };
}

/** The parts of a stream, by a hash of each row. */
async function divideStream(data: TrainingData, stream: DataStream, options: PartsOptions): Promise<Parts> {
  const { validation = 0, seed = 0, test: asked, decimal, encoding } = options;
  const share = stream.count < LEAST_ROWS && asked === undefined ? 0 : testShareOf(asked);
  const [rest, held] = share > 0 ? stream.split([1 - share, share], { seed }) : [stream];
  const [train, set] = validation > 0 ? rest.split([1 - validation, validation], { seed }) : [rest];
  const given =
    asked === undefined || isNumber(asked)
      ? undefined
      : await readDataFor(asked, detailsOf(data, { decimal, encoding }), stream.inputShape);
  const test = given ?? held;
  return {
    train: await sampleOf(train),
    stream: train,
    ...(set && { validation: set }),
    ...(test && { test }),
    testShare: share,
    testNote: given ? `from ${asked}` : `held out by a hash of the row, ${percent(share, 0)}`,
  };
}

/** The parts of a series: the test is its end, unless it is another file. */
async function divideSeries(data: TrainingData, windows: ForecastData, options: PartsOptions): Promise<Parts> {
  const { validation = 0, test: asked } = options;
  const test = testShareOf(asked);
  const parts = forecastParts(windows, { test, validation });
  const note = `its last ${percent(test, 0)}`;
  if (asked === undefined || isNumber(asked)) return { ...parts, testShare: test, testNote: note };
  const found = await readDataFor(asked, detailsOf(data, options), windows.inputShape);
  return { ...parts, test: found, testShare: 0, testNote: `from ${asked}` };
}

/** The part of a series that is kept for the test: none where the test is another file. */
export function testShareOf(asked: string | undefined): number {
  const share = asked === undefined ? HELD_OUT : isNumber(asked) ? Number(asked) : 0;
  if (share >= 0 && share < 1) return share;
  throw new UsageError(`--test ${asked}: give a fraction from 0 up to 1, such as 0.2, or data.`);
}

async function withTest(data: TrainingData, { test, decimal, encoding }: PartsOptions, seed: number): Promise<Parts> {
  const { train } = data;
  if (test !== undefined && /^\d+ ?%$/.test(test)) {
    throw new UsageError(`--test ${test}: give it as a fraction, --test ${Number.parseInt(test, 10) / 100}.`);
  }
  if (test !== undefined && !isNumber(test)) {
    const found = await readDataFor(test, detailsOf(data, { decimal, encoding }), train.inputShape);
    return { train, test: found, testShare: 0, testNote: `from ${test}` };
  }
  if (test === undefined && data.test) return { train, test: data.test, testShare: 0, testNote: "the data's own" };
  const share = test === undefined ? (train.count < LEAST_ROWS ? 0 : HELD_OUT) : Number(test);
  if (!(share >= 0 && share < 1)) {
    throw new UsageError(`--test ${test}: give a fraction from 0 up to 1, such as 0.2, or data.`);
  }
  if (share === 0) return { train, testShare: 0, testNote: "" };
  const [rest, held] = split(train, [1 - share, share], { seed });
  return { train: rest, test: held, testShare: share, testNote: `held out, ${percent(share, 0)}` };
}

/** The same of a stream. */
export function heldOutOfStream(stream: DataStream, { test, validation, seed }: Origin): DataStream | undefined {
  const [train, held] = test > 0 ? stream.split([1 - test, test], { seed }) : [stream, undefined];
  return held ?? (validation > 0 ? train.split([1 - validation, validation], { seed })[1] : undefined);
}

/** The rows of a model's training data that it has not learnt from; none where it has learnt from all. */
export function heldOut(data: Dataset, { test, validation, seed }: Origin): Dataset | undefined {
  if (isForecast(data)) {
    const parts = forecastParts(data, { test, validation });
    return parts.test ?? parts.validation;
  }
  const [train, held] = test > 0 ? split(data, [1 - test, test], { seed }) : [data, undefined];
  return held ?? (validation > 0 ? split(train, [1 - validation, validation], { seed })[1] : undefined);
}

export const isNumber = (text: string): boolean => text.trim() !== "" && !Number.isNaN(Number(text));
