/**
 * What the data part of chainrule does with files and directories: exported as `chainrule/data/node`. What runs
 * anywhere is in index.ts. No logic.
 */
export { checkWritable, readBeside, readFile, type WriteOptions } from "./node/files.ts";
export { mnist, readIdx, readIdxDirectory, type TrainAndTest } from "./node/idx.ts";
export { type ImageFolderOptions, readImage, readImageFolder } from "./node/images.ts";
export { readNpy, readNpz } from "./node/npy.ts";
export { cacheSize, clearCache } from "./node/stream/cache.ts";
export { openStream, type StreamOptions } from "./node/stream/open-stream.ts";
export {
  type DecimalOptions,
  decimalPoints,
  encodeCsv,
  holdsObjects,
  readCsv,
  readPieces,
  readSeriesFile,
} from "./node/table.ts";
export { writeFileAtomically } from "./node/write.ts";
