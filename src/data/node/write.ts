/** Writing a file, as users call it: the options are checked here, the work is done in files.ts. */
import { checkOptionNames } from "../../checks.ts";
import { type WriteOptions, writeFile } from "./files.ts";

/**
 * Writes `bytes` to `path` so that it holds either its former content or all of the new, whatever happens:
 * into a temporary file beside it, flushed to the disk, then renamed over it, then the directory flushed.
 *
 * Throws `FileError` when the disk is full, or the path cannot be written; then the file is as it was.
 *
 * @example
 * import { writeFileAtomically } from "chainrule/data/node";
 * await writeFileAtomically("weights.bin", new Uint8Array([1, 2, 3]), { keepPrevious: "weights.previous.bin" });
 */
export async function writeFileAtomically(path: string, bytes: Uint8Array, options: WriteOptions = {}): Promise<void> {
  checkOptionNames("writeFileAtomically", options, ["keepPrevious"]);
  await writeFile(path, bytes, options);
}
