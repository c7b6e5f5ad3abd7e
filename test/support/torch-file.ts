/** Files like those of PyTorch, put together byte by byte: for tests of what no PyTorch would write. */
import { deflateRawSync } from "node:zlib";
import { crc32 } from "../../src/data/crc32.ts";
import { readDirectory, unpack } from "../../src/data/zip.ts";

/** Each letter as one byte. */
export const pickled = (text: string): Uint8Array =>
  Uint8Array.from(`\u0080\u0002${text}`, (letter) => letter.charCodeAt(0));

/** A ZIP file; `size` is what its directory says that each packed file unpacks to, if not the truth. */
export function torchZip(files: Readonly<Record<string, Uint8Array>>, packed = false, size?: number): Uint8Array {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  for (const [name, content] of Object.entries(files)) {
    const isBig = packed && content.length > 1000;
    const stored = isBig ? deflateRawSync(content) : content;
    const header = Buffer.alloc(46);
    header.writeUInt32LE(0x02014b50, 0);
    header.writeUInt16LE(isBig ? 8 : 0, 10);
    header.writeUInt32LE(crc32(content), 16);
    header.writeUInt32LE(stored.length, 20);
    header.writeUInt32LE(isBig && size !== undefined ? size : content.length, 24);
    header.writeUInt16LE(name.length, 28);
    header.writeUInt32LE(at, 42);
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    header.copy(local, 4, 6, 30);
    const own = [local, Buffer.from(name), Buffer.from(stored)];
    parts.push(...own);
    directory.push(header, Buffer.from(name));
    at += own.reduce((sum, part) => sum + part.length, 0);
  }
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  const count = Object.keys(files).length;
  end.writeUInt16LE(count, 8);
  end.writeUInt16LE(count, 10);
  end.writeUInt32LE(
    directory.reduce((sum, part) => sum + part.length, 0),
    12,
  );
  end.writeUInt32LE(at, 16);
  return new Uint8Array(Buffer.concat([...parts, ...directory, end]));
}

/** What `torch.save` writes, with this pickle and these files beside it. */
export const savedPickle = (text: string, files: Readonly<Record<string, Uint8Array>> = {}): Uint8Array =>
  torchZip({
    "archive/data.pkl": pickled(text),
    ...Object.fromEntries(Object.entries(files).map(([name, content]) => [`archive/${name}`, content])),
  });

/** The files in a ZIP file, by name. */
export async function zipEntries(bytes: Uint8Array): Promise<Record<string, Uint8Array>> {
  const fail = (message: string): Error => new Error(message);
  const entries = readDirectory(bytes, fail).map(
    async (entry) => [entry.name, await unpack(bytes, entry, fail)] as const,
  );
  return Object.fromEntries(await Promise.all(entries));
}
