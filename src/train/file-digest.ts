/**
 * A check sum of a whole model file, which stands in its own metadata: what is written is found to be whole when it is
 * read. It is a CRC-32, which notices every flip of up to 32 neighbouring bits; it is no protection against intent.
 */
import { crc32 } from "../data/crc32.ts";

/** What the metadata hold until the check sum is known. */
export const UNSEALED = "crc32:00000000";

/** How the check sum begins in the header. Inside of texts quotes are escaped, so that it stands nowhere else. */
const MARK = new TextEncoder().encode('"digest":"crc32:');
const DIGITS = 8;

/** Where the digits of the check sum stand; −1 where there is none. */
function findDigits(bytes: Uint8Array): number {
  const header = Math.min(
    bytes.length,
    8 + Number(new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true)),
  );
  for (
    let at = bytes.indexOf(MARK[0]);
    at >= 0 && at + MARK.length + DIGITS <= header;
    at = bytes.indexOf(MARK[0], at + 1)
  )
    if (MARK.every((byte, i) => bytes[at + i] === byte)) return at + MARK.length;
  return -1;
}

/** The check sum of a file, its own digits taken for zeros. */
function digestOf(bytes: Uint8Array, at: number): string {
  const before = crc32(bytes.subarray(0, at));
  const zeros = crc32(new Uint8Array(DIGITS).fill(0x30), before);
  return crc32(bytes.subarray(at + DIGITS), zeros)
    .toString(16)
    .padStart(DIGITS, "0");
}

/** Writes the check sum into a file that has room for it. */
export function seal(bytes: Uint8Array): void {
  const at = findDigits(bytes);
  bytes.set(new TextEncoder().encode(digestOf(bytes, at)), at);
}

/** Whether a file is what was written; undefined where it has no check sum. */
export function isWhole(bytes: Uint8Array): boolean | undefined {
  const at = bytes.length < 8 ? -1 : findDigits(bytes);
  return at < 0 ? undefined : new TextDecoder().decode(bytes.subarray(at, at + DIGITS)) === digestOf(bytes, at);
}
