/** What the command line says of how data are read. Types alone. */
import type { MissingPolicy, Task } from "../../data/index.ts";

export interface ReadOptions {
  /** The column of a table to predict. */
  readonly target?: string;
  readonly task?: Task;
  readonly missing?: MissingPolicy | "previous";
  /** Columns of a table to leave out. */
  readonly ignore?: readonly string[];
  /** What columns of a table hold: `zip numeric, when date`. */
  readonly columns?: string;
  /** What stands before the decimals in a table. */
  readonly decimal?: "point" | "comma";
  /** What the bytes of a table mean, by a name of the Encoding Standard. */
  readonly encoding?: string;
  /** False where a table has no line of names. */
  readonly header?: boolean;
  /** Brings the pictures of a folder to this size. */
  readonly imageSize?: { readonly width: number; readonly height: number };
}
