/**
 * The errors this library throws on purpose. Each message says what came, what was wanted and what to do; the class says
 * which kind of mistake it was, the code which one, and `facts` carries the particulars as data.
 */
import { inWords, type Message, type Term } from "./wording.ts";

/** Which mistake an error is about. Codes stay what they are; messages get better. */
export type ErrorCode =
  /** An option, a layer or a call that cannot be carried out as asked. `facts`: wanted, came. */
  | "wrong-argument"
  /** A name that does not exist. `facts`: what, came, known, and meant, where one is near. */
  | "unknown-name"
  /** An object without an entry that it needs, as for each input of a network. `facts`: what, missing, wanted, came. */
  | "missing-entry"
  /** Shapes that do not fit together. */
  | "wrong-shape"
  /** An array that is longer or shorter than its shape. `facts`: array, wanted, came. */
  | "wrong-length"
  /** Data that cannot be trained on. `facts`: file, row, column. */
  | "bad-data"
  /** A value that is missing. `facts`: file, row, column. */
  | "missing-value"
  /** A file whose bytes are not what was written. `facts`: file. */
  | "damaged-file"
  /** A file that asks for code to be run, which is never done. `facts`: file, global. */
  | "holds-code"
  /** A file that could not be read or written. `facts`: path. */
  | "no-file-access"
  /** A row number outside of its table. `facts`: row, rows. */
  | "no-such-row"
  /** Training produced NaN or infinity. `facts`: step, where. */
  | "diverged"
  /** A variable without a value. `facts`: variable. */
  | "no-value"
  /** A session, or a model, that was closed. */
  | "closed"
  /** A session of which a run broke off. */
  | "broken-session"
  /** Values in a GPU's memory, asked for where there is no time to wait. */
  | "not-at-once"
  /** More memory than there is. `facts`: megabytes. */
  | "out-of-memory"
  /** An operator of another library's file that is not known or not taken here. `facts`: operator, node, or unknown, a list. */
  | "unknown-operator"
  /** An input of another library's graph that decides shapes, and so must be given as a constant. `facts`: input, node. */
  | "needs-constant"
  /** No GPU that could be used. */
  | "no-gpu"
  /** A GPU that was lost while it was in use. */
  | "device-lost"
  /** Something that this platform lacks. */
  | "unsupported"
  | "other";

/** What an error carries beside its message. */
export interface ErrorDetails extends ErrorOptions {
  readonly code?: ErrorCode;
  readonly facts?: Readonly<Record<string, unknown>>;
}

/**
 * The base of every error that chainrule throws deliberately.
 *
 * @example
 * try {
 *   dense(3, { activation: "rellu" });
 * } catch (error) {
 *   if (error instanceof ChainruleError) console.log(error.code, error.facts.meant); // unknown-name relu
 * }
 */
export class ChainruleError extends Error {
  override name = "ChainruleError";
  readonly code: ErrorCode;
  /** What came, what was wanted, where: plain data, by the names that the codes list. */
  readonly facts: Readonly<Record<string, unknown>>;
  /** The message with its options as data; `inWords` writes them in other ways. */
  readonly said: Message;

  constructor(said: Message, { code = "other", facts = {}, ...options }: ErrorDetails = {}) {
    super(inWords(said), options);
    this.said = said;
    this.code = code;
    this.facts = facts;
  }

  /** The message with each option as `write` has it, such as `--missing mean` for `{ option: "missing", value: "mean" }`. */
  inWords(write: (term: Term) => string): string {
    return inWords(this.said, write);
  }
}

/** Shapes that do not fit together, or a shape that an operation cannot take. */
export class ShapeError extends ChainruleError {
  override name = "ShapeError";

  constructor(said: Message, details?: ErrorDetails) {
    super(said, { code: "wrong-shape", ...details });
  }
}

/** An option, a layer or a call that cannot be carried out as asked. */
export class ArgumentError extends ChainruleError {
  override name = "ArgumentError";

  constructor(said: Message, details?: ErrorDetails) {
    super(said, { code: "wrong-argument", ...details });
  }
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

  constructor(said: Message, at: DataLocation = {}, { facts, ...details }: ErrorDetails = {}) {
    super(said, { code: "bad-data", ...details, facts: { ...at, ...facts } });
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

  constructor(said: Message, step: number, where?: string) {
    super(said, { code: "diverged", facts: { step, where } });
    this.step = step;
    this.where = where;
  }
}

/** Something that only some platforms offer is missing here, such as WebAssembly SIMD. */
export class PlatformError extends ChainruleError {
  override name = "PlatformError";

  constructor(said: Message, details?: ErrorDetails) {
    super(said, { code: "unsupported", ...details });
  }
}

/** A file that could not be read or written. Nothing half-written is left behind. */
export class FileError extends ChainruleError {
  override name = "FileError";
  readonly path: string;

  constructor(said: Message, path: string, details?: ErrorDetails) {
    super(said, { code: "no-file-access", ...details, facts: { path } });
    this.path = path;
  }
}
