/**
 * The errors this library throws on purpose. Each message says what came, what was wanted and what to do;
 * the class says which kind of mistake it was, and its fields carry the particulars as data.
 */

/** The base of every error that chainrule throws deliberately. */
export class ChainruleError extends Error {
  override name = "ChainruleError";
}

/** Shapes that do not fit together, or a shape that an operation cannot take. */
export class ShapeError extends ChainruleError {
  override name = "ShapeError";
}

/** An option, a layer or a call that cannot be carried out as asked. */
export class ArgumentError extends ChainruleError {
  override name = "ArgumentError";
}

/** Where in a data set or file the offending value stands. Rows count from 1, as an editor shows them. */
export interface DataLocation {
  readonly file?: string;
  readonly row?: number;
  readonly column?: string | number;
}

/** Data that cannot be trained on: a damaged file, text in a numeric column, a label out of range, NaN. */
export class DataError extends ChainruleError {
  override name = "DataError";
  readonly at: DataLocation;

  constructor(message: string, at: DataLocation = {}, options?: ErrorOptions) {
    super(message, options);
    this.at = at;
  }
}

/** Training produced NaN or infinity. The model keeps the last weights that were good. */
export class DivergenceError extends ChainruleError {
  override name = "DivergenceError";
  /** The training step, counted from 1. */
  readonly step: number;
  /** The first operation with a value that is not finite, such as `dense_2.matmul`, where known. */
  readonly where: string | undefined;

  constructor(message: string, step: number, where?: string) {
    super(message);
    this.step = step;
    this.where = where;
  }
}

/** Something that only some platforms offer is missing here, such as WebAssembly SIMD. */
export class PlatformError extends ChainruleError {
  override name = "PlatformError";
}

/** A file that could not be read or written. Nothing half-written is left behind. */
export class FileError extends ChainruleError {
  override name = "FileError";
  readonly path: string;

  constructor(message: string, path: string, options?: ErrorOptions) {
    super(message, options);
    this.path = path;
  }
}
