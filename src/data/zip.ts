/**
 * Reads ZIP files (PKWARE's APPNOTE), plain or packed by deflate: what NPZ and PyTorch's files are. Sizes come from the directory and
 * are kept to; encryption, several disks and the form for more than 4 GiB are not read.
 */
import { crc32 } from "./crc32.ts";
import { type InflateError, inflate } from "./inflate.ts";

/** Makes the error for a file that is not as it should be. */
export type Fail = (message: string, cause?: unknown) => Error;

/** A file in a ZIP file, as the directory has it. */
export interface ZipEntry {
  readonly name: string;
  readonly method: number;
  readonly crc: number;
  readonly packed: number;
  readonly size: number;
  readonly offset: number;
}

/** The files in a ZIP file, from its directory, which stands at its end. */
export function readDirectory(bytes: Uint8Array, fail: Fail): ZipEntry[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let end = bytes.length - 22;
  while (end >= Math.max(0, bytes.length - 22 - 65535) && view.getUint32(end, true) !== 0x06054b50) end--;
  if (end < 0 || view.getUint32(end, true) !== 0x06054b50)
    throw fail("has no directory at its end: it is cut short, or of another format.");
  const count = view.getUint16(end + 10, true);
  let at = view.getUint32(end + 16, true);
  if (count === 0xffff || at === 0xffffffff)
    throw fail("is of the form for more than 4 GiB, which is not read; save its parts one by one.");
  const entries: ZipEntry[] = [];
  for (let i = 0; i < count; i++) {
    if (at + 46 > end || view.getUint32(at, true) !== 0x02014b50)
      throw fail("has a damaged directory; save or copy it again.");
    const nameLength = view.getUint16(at + 28, true);
    if (at + 46 + nameLength > end) throw fail("has a damaged directory; save or copy it again.");
    entries.push({
      name: new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + nameLength)),
      method: view.getUint16(at + 10, true),
      crc: view.getUint32(at + 16, true),
      packed: view.getUint32(at + 20, true),
      size: view.getUint32(at + 24, true),
      offset: view.getUint32(at + 42, true),
    });
    at += 46 + nameLength + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
  return entries;
}

/** The content of one file: a view where it is not packed. Never more than the directory says. */
export async function unpack(
  bytes: Uint8Array,
  { method, crc, packed, size, offset }: ZipEntry,
  fail: Fail,
): Promise<Uint8Array> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (offset + 30 > bytes.length || view.getUint32(offset, true) !== 0x04034b50)
    throw fail("is not where the directory says: the file is damaged.");
  const begin = offset + 30 + view.getUint16(offset + 26, true) + view.getUint16(offset + 28, true);
  if (begin + packed > bytes.length) throw fail("is cut short; save or copy the file again.");
  const content = bytes.subarray(begin, begin + packed);
  if (method !== 0 && method !== 8)
    throw fail(`is packed by method ${method}; only deflate and files that are not packed are read.`);
  let out = content;
  if (method === 8)
    try {
      out = await inflate(content, "deflate-raw", size);
    } catch (cause) {
      throw fail(`is damaged: ${(cause as InflateError).message}.`, cause);
    }
  if (out.length !== size || crc32(out) !== crc)
    throw fail("is damaged: its check sum or length is wrong. Save or copy the file again.");
  return out;
}
