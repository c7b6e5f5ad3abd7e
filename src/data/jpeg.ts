/**
 * Decodes JPEG images, baseline and progressive, through `jpeg-js`, which is loaded when the first one comes. What is
 * checked here is what it must not be trusted with: sizes that the file cannot hold, and files that are cut short.
 * The orientation in a photograph's EXIF data is left aside.
 */
import { dataError } from "./fail.ts";
import { MAX_PIXELS, type Pixels } from "./png.ts";

/** Whether these bytes begin as a JPEG file does. */
export function isJpeg(bytes: Uint8Array): boolean {
  return bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[2] === 0xff;
}

/** The pixels of a JPEG file. Throws `DataError`. */
export async function decodeJpeg(bytes: Uint8Array, file?: string): Promise<Pixels> {
  const fail = (message: string, cause?: unknown) =>
    dataError(`the JPEG image ${message} Save or copy it again.`, file === undefined ? {} : { file }, { cause });
  const size = frameSize(bytes);
  if (size === undefined) throw fail("is damaged: it has no header, or is cut short within it.");
  const pixels = size.width * size.height;
  if (pixels === 0 || pixels > MAX_PIXELS)
    throw fail(
      `has ${size.width} × ${size.height} pixels; wanted are 1 to ${MAX_PIXELS}. Make it smaller, or it is damaged.`,
    );
  // Every block of 8 × 8 pixels takes at least one bit.
  if (pixels > bytes.length * 8 * 64)
    throw fail(`is cut short: ${bytes.length} bytes cannot hold ${size.width} × ${size.height} pixels.`);
  const { default: jpeg } = await import("jpeg-js");
  try {
    const { width, height, data } = jpeg.decode(bytes, {
      useTArray: true,
      tolerantDecoding: false,
      maxResolutionInMP: MAX_PIXELS / 1e6,
      maxMemoryUsageInMB: 64 + (pixels * 32) / 2 ** 20,
    });
    return { width, height, rgba: data };
  } catch (cause) {
    throw fail(`is damaged: ${cause instanceof Error ? cause.message : cause}.`, cause);
  }
}

/** Width and height from the header of the frame, the first segment from 0xC0 to 0xCF that is not another table. */
function frameSize(bytes: Uint8Array): { width: number; height: number } | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = 2;
  while (at + 9 <= bytes.length && bytes[at] === 0xff) {
    const marker = bytes[at + 1];
    if (marker === 0xff) {
      at++; // filling
      continue;
    }
    const frame = marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
    if (frame) return { height: view.getUint16(at + 5), width: view.getUint16(at + 7) };
    at += 2 + view.getUint16(at + 2);
  }
  return undefined;
}
