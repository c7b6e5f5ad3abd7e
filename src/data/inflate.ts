/**
 * Unpacks gzip, zlib and raw deflate data with what the platform has, and never into more memory than it was given.
 * Node's own zlib is used where there is one (a stream costs 0.2 ms to set up, more than a small image takes), the
 * standard `DecompressionStream` elsewhere. It knows no file format beyond these three wrappings.
 */

/** How the data is wrapped: `deflate` is the zlib format, as in PNG; `deflate-raw` has no wrapping, as in ZIP. */
export type Wrapping = "gzip" | "deflate" | "deflate-raw";

/** Most bytes that one packed file may unpack to, unless its reader knows better: 1 GiB. */
export const MAX_UNPACKED = 2 ** 30;

/** What went wrong in unpacking; the reader of the file turns it into a `DataError` that names the file. */
export class InflateError extends Error {}

/** Whether these bytes begin as a gzip file does. */
export function isGzip(bytes: Uint8Array): boolean {
  return bytes.length >= 2 && bytes[0] === 0x1f && bytes[1] === 0x8b;
}

/** Unpacks `bytes`; throws `InflateError` when they are damaged, cut short, or give more than `limit` bytes. */
export function inflate(bytes: Uint8Array, wrapping: Wrapping, limit = MAX_UNPACKED): Promise<Uint8Array> {
  return nodeZlib === undefined ? inflateByStream(bytes, wrapping, limit) : inflateInNode(bytes, wrapping, limit);
}

const nodeZlib = typeof process === "undefined" ? undefined : process.getBuiltinModule?.("node:zlib");

async function inflateInNode(bytes: Uint8Array, wrapping: Wrapping, limit: number): Promise<Uint8Array> {
  const zlib = nodeZlib!;
  const unpack = { gzip: zlib.gunzipSync, deflate: zlib.inflateSync, "deflate-raw": zlib.inflateRawSync }[wrapping];
  try {
    const buffer = unpack(bytes, { maxOutputLength: Math.max(limit, 1) });
    if (buffer.length > limit) throw tooLong(limit);
    return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
  } catch (cause) {
    throw (cause as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE" ? tooLong(limit) : damaged(cause);
  }
}

/** The same through the standard stream, as browsers have it. */
export async function inflateByStream(bytes: Uint8Array, wrapping: Wrapping, limit: number): Promise<Uint8Array> {
  const stream = new DecompressionStream(wrapping);
  const writer = stream.writable.getWriter();
  const ignore = () => {}; // a failure to write shows on the reading side too
  writer.write(new Uint8Array(bytes)).catch(ignore);
  writer.close().catch(ignore);
  const reader = stream.readable.getReader();
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      chunks.push(next.value);
      length += next.value.length;
      if (length > limit) throw tooLong(limit);
    }
  } catch (cause) {
    await reader.cancel().catch(ignore);
    throw damaged(cause);
  }
  const out = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    out.set(chunk, offset);
    offset += chunk.length;
  }
  return out;
}

function tooLong(limit: number): InflateError {
  return new InflateError(`it unpacks to more than ${limit} bytes`);
}

function damaged(cause: unknown): InflateError {
  if (cause instanceof InflateError) return cause;
  return new InflateError(`it cannot be unpacked (${cause instanceof Error ? cause.message : cause})`, { cause });
}
