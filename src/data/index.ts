/**
 * The data part of chainrule that runs anywhere, browsers included: exported as `chainrule/data`. What deals with the
 * file system is in node.ts. No logic.
 */
export type { NumberArray, ShapedArray, TypedArray } from "./arrays.ts";
export { type CsvOptions, type CsvRecord, type CsvSource, parseCsv } from "./csv.ts";
export {
  checkDataset,
  type Dataset,
  type PlainData,
  type SplitOptions,
  type Statistics,
  split,
  statistics,
  type Task,
  take,
  toDataset,
} from "./dataset.ts";
export { decodeIdx, labelledArrays } from "./idx.ts";
export {
  type DecodeOptions,
  decodeImage,
  type Image,
  normalizeDigit,
  resize,
  toColour,
  toGrey,
} from "./images.ts";
export { decodeSafetensors, encodeSafetensors, type SafetensorsFile, type StoredTensor } from "./safetensors.ts";
export { type ColumnKind, type ColumnSchema, type MissingPolicy, parseSchema, type TableSchema } from "./schema.ts";
export {
  type EncodedTable,
  type EncodeOptions,
  encodeRows,
  encodeTable,
  type PlainRow,
  readTable,
  type TableDataset,
  type TableOptions,
} from "./table.ts";
