/** A ZIP file of files that are not packed, as the test needs it: with check sums that are right. */
import { crc32 } from "../../src/data/crc32.ts";

export function zipped(files: Readonly<Record<string, Uint8Array | string>>): Uint8Array {
  const parts: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let at = 0;
  for (const [name, content] of Object.entries(files)) {
    const [path, bytes] = [name, content].map((x) => (typeof x === "string" ? new TextEncoder().encode(x) : x));
    const common = new DataView(new ArrayBuffer(26));
    common.setUint32(10, crc32(bytes), true);
    common.setUint32(14, bytes.length, true);
    common.setUint32(18, bytes.length, true);
    common.setUint16(22, path.length, true);
    const head = new Uint8Array(common.buffer);
    const local = Buffer.concat([new Uint8Array([0x50, 0x4b, 3, 4]), head, path, bytes]);
    const entry = new Uint8Array(46 + path.length);
    entry.set([0x50, 0x4b, 1, 2, 20, 0, ...head]);
    new DataView(entry.buffer).setUint32(42, at, true);
    entry.set(path, 46);
    directory.push(entry);
    parts.push(local);
    at += local.length;
  }
  const end = new DataView(new ArrayBuffer(22));
  const length = directory.reduce((sum, entry) => sum + entry.length, 0);
  end.setUint32(0, 0x06054b50, true);
  end.setUint16(8, directory.length, true);
  end.setUint16(10, directory.length, true);
  end.setUint32(12, length, true);
  end.setUint32(16, at, true);
  return new Uint8Array(Buffer.concat([...parts, ...directory, new Uint8Array(end.buffer)]));
}
