/**
 * Files that are read here and there for as long as a run lasts, and must stay what they were: who changes, cuts or removes one
 * meanwhile is told so, with its name, before a row of it is believed.
 */
import { close, open, read } from "node:fs";
import { stat } from "node:fs/promises";
import { promisify } from "node:util";
import { DataError } from "../../../errors.ts";
import { dataError } from "../../fail.ts";
import { fileError } from "../files.ts";

/** Milliseconds in which a file is looked at once. */
const CHECK_EVERY = 20;
/** Files that are open at once. */
const MOST_OPEN = 16;

/** What a file was when it was first looked at. */
export interface WatchedFile {
  readonly path: string;
  readonly size: number;
  readonly changed: number;
  readonly inode: number;
}

/** Looks at a file for the first time. */
export async function watch(path: string): Promise<WatchedFile> {
  const found = await stat(path).catch((cause: unknown) => {
    throw fileError("read", path, cause);
  });
  return { path, size: found.size, changed: found.mtimeMs, inode: found.ino };
}

/** Throws if a file is no longer what it was. */
export async function checkUnchanged(file: WatchedFile): Promise<void> {
  const now = await watch(file.path);
  if (now.size === file.size && now.changed === file.changed && now.inode === file.inode) return;
  throw dataError(
    `the file changed while it was in use: it had ${file.size} bytes and has ${now.size}. Leave it as it is while it is read, and begin anew.`,
    { file: file.path },
  );
}

/** An open file, and how many are reading it. */
interface Opened {
  readonly file: Promise<number>;
  users: number;
}

const openFile = promisify(open);
const readBytes = promisify(read);

const closeAll = (files: Map<string, Opened>): void => {
  for (const { file } of files.values()) file.then((descriptor) => close(descriptor)).catch(() => {});
  files.clear();
};
/** A reader that nobody has any more needs no files. */
const forgotten = new FinalizationRegistry(closeAll);

/** Reads ranges of files, of which it keeps some open. */
export class FileReader {
  readonly #open = new Map<string, Opened>();
  /** When a file was last looked at. */
  readonly #checked = new Map<string, number>();

  constructor() {
    forgotten.register(this, this.#open);
  }

  /** The bytes from `offset` on, all of them. */
  async read(file: WatchedFile, offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    await this.#check(file);
    const bytes = new Uint8Array(length);
    const opened = this.#opened(file.path);
    opened.users++;
    try {
      const descriptor = await opened.file;
      for (let done = 0; done < length; ) {
        const { bytesRead } = await readBytes(descriptor, bytes, done, length - done, offset + done);
        if (bytesRead === 0)
          throw dataError(`the file ends at byte ${offset + done}, where ${length - done} more were to be read.`, {
            file: file.path,
          });
        done += bytesRead;
      }
    } catch (cause) {
      throw cause instanceof DataError ? cause : fileError("read", file.path, cause);
    } finally {
      opened.users--;
    }
    return bytes;
  }

  /** Looks at a file again, unless that was a moment ago. */
  async #check(file: WatchedFile): Promise<void> {
    const now = performance.now();
    if (now - (this.#checked.get(file.path) ?? -Infinity) < CHECK_EVERY) return;
    this.#checked.set(file.path, now);
    await checkUnchanged(file);
  }

  #opened(path: string): Opened {
    const known = this.#open.get(path);
    if (known) return known;
    const opened = { file: openFile(path, "r"), users: 0 };
    opened.file.catch(() => this.#open.delete(path));
    this.#open.set(path, opened);
    for (const [old, { file, users }] of this.#open) {
      if (this.#open.size <= MOST_OPEN) break;
      if (users > 0 || old === path) continue;
      this.#open.delete(old);
      file.then((descriptor) => close(descriptor)).catch(() => {});
    }
    return opened;
  }

  async close(): Promise<void> {
    closeAll(this.#open);
  }
}
