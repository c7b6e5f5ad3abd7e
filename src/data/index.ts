/**
 * The data part of chainrule that runs anywhere, browsers included: exported as `chainrule/data`. What deals with the
 * file system is in node.ts. No logic.
 */
export type { NumberArray, ShapedArray, TypedArray } from "./arrays.ts";
export { type AugmentOptions, augment, augmentImage } from "./augment.ts";
export { type Bucket, type BucketOptions, buckets, type Packed, type PackOptions, pack } from "./buckets.ts";
export { type BytePairOptions, bytePairTokenizer } from "./byte-pair-training.ts";
export type { DatePart, NumberForm } from "./cells.ts";
export { collect, type Row } from "./collect.ts";
export { type CsvOptions, type CsvRecord, type CsvSource, parseCsv } from "./csv.ts";
export { type Blocks, DataStream, type Description, type RowsOptions } from "./data-stream.ts";
export {
  checkDataset,
  type Dataset,
  rowSize,
  type SplitOptions,
  type Statistics,
  split,
  statistics,
  type Task,
  take,
} from "./dataset.ts";
export { type DemandOptions, demand } from "./demand.ts";
export type { TableDataset } from "./encoder.ts";
export {
  type ForecastOptions,
  type ForecastWindows,
  filled,
  forecastWindows,
  meanChange,
  naiveForecast,
  type SeriesMissing,
  seasonOf,
} from "./forecast.ts";
export {
  arraysToDataset,
  type NamedArray,
  type PlainData,
  type TargetOptions,
  toDataset,
} from "./from-arrays.ts";
export { decodeIdx } from "./idx.ts";
export {
  type DecodeOptions,
  decodeImage,
  type Image,
  normalizeDigit,
  resize,
  toColour,
  toGrey,
} from "./images.ts";
export type { Nested } from "./nested.ts";
export { decodeNpy, decodeNpz, encodeNpy, npzToDatasets } from "./npy.ts";
export { decodeSafetensors, encodeSafetensors, type SafetensorsFile } from "./safetensors.ts";
export {
  type ColumnKind,
  type ColumnSchema,
  featureCount,
  type MissingPolicy,
  parseSchema,
  type TableSchema,
} from "./schema.ts";
export {
  calendarOf,
  readSeries,
  type Series,
  type SeriesOptions,
  sliceSeries,
  splitSeries,
  variableOf,
  withCalendar,
} from "./series.ts";
export {
  type EncodedTable,
  type EncodeOptions,
  encodeRows,
  encodeTable,
  type PlainRow,
  readTable,
  type TableOptions,
} from "./table.ts";
export type { StreamedRows, TallyArrays } from "./tally.ts";
export type { StoredTensor } from "./tensor-file.ts";
export { formatTime, stepText, type TimeGrid, type TimeStep, timeAt } from "./times.ts";
export {
  byteTokenizer,
  characterTokenizer,
  type Tokenizer,
  type WindowOptions,
  type Windows,
  windows,
} from "./tokenizer.ts";
export { tokenizerFrom } from "./tokenizer-file.ts";
export { circles, curve, iris, moons, spirals, type ToyOptions, xor } from "./toy.ts";
