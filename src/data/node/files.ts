/**
 * Reads and writes whole files. A write is atomic and durable: whoever looks, at any moment and after any crash, finds
 * the old file or the new one, never a part. Every failure is a `FileError` that says what to do.
 * It knows nothing of what the bytes mean. Node only.
 */
import { DataError, FileError, PlatformError } from "../../errors.ts";

// Not imported, since models save themselves through this file: a page's bundler would look for Node's modules.
const builtin = globalThis.process?.getBuiltinModule;
if (!builtin) {
  throw new PlatformError(
    "Files can be read and written in Node only. Elsewhere there are toBytes() and fromBytes(bytes).",
  );
}
const { constants } = builtin("node:fs");
const {
  access,
  copyFile,
  link,
  lstat,
  open,
  readFile: readBytes,
  readdir,
  realpath,
  rename,
  rm,
  stat,
} = builtin("node:fs/promises");
const { hostname } = builtin("node:os");
const { basename, dirname, isAbsolute, join, relative } = builtin("node:path");

/** Options of `writeFileAtomically`. */
export interface WriteOptions {
  /** Where the file's former content is kept, in the same directory or at least on the same disk; the one before it goes. */
  readonly keepPrevious?: string;
}

/** Tells the temporary files of one process apart. */
let writes = 0;

/**
 * What write.ts offers, for options that are right. Here, since all that this file imports is apart from the code that a
 * page loads.
 */
export async function writeFile(path: string, bytes: Uint8Array, options: WriteOptions = {}): Promise<void> {
  try {
    const existing = await statOf(path);
    if (existing !== undefined) await access(path, constants.W_OK); // a rename would replace even a read-only file
    if (existing !== undefined && !existing.isFile()) return await writeInPlace(path, bytes); // such as /dev/stdout
    const target = existing === undefined ? path : await realpath(path); // a link stays a link
    const temporary = await temporaryName(target);
    try {
      const file = await open(temporary, "w", existing === undefined ? 0o666 : existing.mode & 0o777);
      try {
        await file.writeFile(bytes);
        await file.sync();
      } finally {
        await file.close();
      }
      if (existing !== undefined && options.keepPrevious !== undefined)
        await keep(target, options.keepPrevious, temporary);
      await rename(temporary, target);
    } catch (cause) {
      await rm(temporary, { force: true }).catch(() => {});
      throw cause;
    }
    await flushDirectory(dirname(target));
  } catch (cause) {
    throw fileError("write", path, cause);
  }
}

/**
 * Finds out whether `writeFileAtomically` could write to `path` now, without changing it: for long work to ask before
 * it begins. It makes the temporary file and removes it.
 *
 * Throws the `FileError` that writing would throw, but cannot foresee a disk that fills up later.
 *
 * @example
 * import { checkWritable } from "chainrule/data/node";
 * await checkWritable("weights.bin"); // passes
 */
export async function checkWritable(path: string): Promise<void> {
  try {
    const existing = await statOf(path);
    if (existing?.isDirectory()) throw Object.assign(new Error("it is a directory"), { code: "EISDIR" });
    if (existing !== undefined) await access(path, constants.W_OK);
    if (existing !== undefined && !existing.isFile()) return;
    const temporary = await temporaryName(existing === undefined ? path : await realpath(path));
    await (await open(temporary, "wx")).close();
    await rm(temporary);
  } catch (cause) {
    throw fileError("write", path, cause);
  }
}

/**
 * The bytes of a file. Throws `FileError` when it is not there or cannot be read.
 *
 * @example
 * import { readFile, writeFileAtomically } from "chainrule/data/node";
 * await writeFileAtomically("weights.bin", new Uint8Array([1, 2, 3]));
 * console.log((await readFile("weights.bin")).length); // 3
 */
export async function readFile(path: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    const buffer = await readBytes(path);
    return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length); // a Buffer's slice() would share memory
  } catch (cause) {
    throw fileError("read", path, cause);
  }
}

/**
 * The bytes of a file that another one names, such as a model its weights: only from that one's own folder, and through no
 * link. Throws `DataError` where the name leads elsewhere, `FileError` where nothing can be read.
 */
export async function readBeside(path: string, name: string): Promise<Uint8Array<ArrayBuffer>> {
  const folder = await realpath(dirname(path)).catch((cause) => {
    throw fileError("read", path, cause);
  });
  const file = join(folder, name);
  const leadsOut = (target: string): boolean => {
    const inside = relative(folder, target);
    return inside.startsWith("..") || isAbsolute(inside);
  };
  const isLink = await lstat(file).then(
    (entry) => entry.isSymbolicLink(),
    () => false,
  );
  const target = await realpath(file).catch(() => file);
  if (isAbsolute(name) || name.includes("\0") || isLink || leadsOut(file) || leadsOut(target))
    throw new DataError(
      `${path}: its weights should lie in ${JSON.stringify(name)}, outside the model's own folder; such a file is not opened.`,
      { file: path },
    );
  return readFile(file);
}

/** The names in a directory, in order. Throws `FileError` when it is not there or is no directory. */
export async function readDirectory(path: string): Promise<string[]> {
  try {
    return (await readdir(path)).sort();
  } catch (cause) {
    throw fileError("read", path, cause);
  }
}

/** The `FileError` for what the system said when `path` was to be read or written. */
export function fileError(verb: "read" | "write", path: string, cause: unknown): FileError {
  const code = (cause as NodeJS.ErrnoException)?.code ?? "";
  const known = ADVICE[code];
  const reason = known?.[verb] ?? known?.any ?? `${cause instanceof Error ? cause.message : cause}.`;
  const state = verb === "write" ? " Nothing was changed." : "";
  return new FileError(`Cannot ${verb} ${path}: ${reason}${state}`, path, { cause });
}

/** What each failure means and what to do about it. */
const ADVICE: Record<string, { read?: string; write?: string; any?: string }> = {
  ENOENT: {
    read: "there is no such file or directory. Check the spelling and the directory you run in.",
    write: "its directory does not exist. Make it first, or choose another path.",
  },
  ENOTDIR: { any: "a part of the path is a file where a directory was wanted. Check the spelling." },
  EISDIR: { any: "it is a directory. Name a file." },
  EACCES: { any: "permission is denied. Choose another place, or change the permissions." },
  EPERM: { any: "the system does not permit it. Choose another place, or change the permissions." },
  EROFS: { any: "its disk is read-only. Choose a place on another disk." },
  ENOSPC: { any: "the disk is full. Free some space, or choose a place on another disk." },
  EDQUOT: { any: "the disk quota is used up. Free some space, or choose a place on another disk." },
  EFBIG: { any: "it would be larger than the system allows. Choose a place on another disk." },
  ENAMETOOLONG: { any: "the name is too long. Choose a shorter one." },
  EXDEV: { any: "the place for the former content is on another disk. Choose one beside the file." },
  EMFILE: { any: "too many files are open. Close some, or raise the limit (ulimit -n)." },
  ERR_FS_FILE_TOO_LARGE: { read: "it is larger than the 2 GiB that can be read at once. Split it." },
};

/** What is at `path`, or `undefined` when nothing is. */
async function statOf(path: string) {
  try {
    return await stat(path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw cause;
  }
}

/** Devices and pipes cannot be replaced, only written to. */
async function writeInPlace(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, "w");
  try {
    await file.writeFile(bytes);
  } finally {
    await file.close();
  }
}

/**
 * A name for a temporary file beside `target`, after removing those that killed processes of this machine left there.
 * The name holds machine and process, so that no living writer's file is touched.
 */
async function temporaryName(target: string): Promise<string> {
  const prefix = `.${basename(target)}.${hostname().replace(/[^\w-]/g, "_")}-`;
  for (const name of await readdir(dirname(target))) {
    const owner = name.startsWith(prefix) ? /^(\d+)-\d+\.tmp(\.previous)?$/.exec(name.slice(prefix.length)) : null;
    if (owner !== null && !isAlive(Number(owner[1]))) await rm(join(dirname(target), name), { force: true });
  }
  return join(dirname(target), `${prefix}${process.pid}-${writes++}.tmp`);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0); // signal 0 only asks
    return true;
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code !== "ESRCH";
  }
}

/** Makes `previous` the present content of `target`, which stays in its place throughout. */
async function keep(target: string, previous: string, temporary: string): Promise<void> {
  const second = `${temporary}.previous`;
  try {
    await link(target, second).catch(() => copyFile(target, second)); // not every disk has links
    await rename(second, previous);
  } finally {
    await rm(second, { force: true }); // still there if the rename failed, or found both names to be one file
  }
}

/** Makes a rename last through a loss of power. Not every system can open a directory: then the rename must do. */
async function flushDirectory(path: string): Promise<void> {
  const directory = await open(path, "r").catch(() => undefined);
  if (directory === undefined) return;
  try {
    await directory.sync().catch(() => {});
  } finally {
    await directory.close();
  }
}
