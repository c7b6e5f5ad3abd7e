/**
 * Decodes PNG images (ISO/IEC 15948): every colour type, bit depth and interlacing, to 8 bits per sample with alpha.
 * Colour profiles and gamma are left aside. What is done with the picture is for images.ts.
 */
import { crc32 } from "./crc32.ts";
import { dataError } from "./fail.ts";
import { type InflateError, inflate } from "./inflate.ts";

/** Pixels as red, green, blue, alpha, one byte each; row by row from the top. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly rgba: Uint8Array;
}

/** The most pixels an image may have: 64 Mi, a quarter of a gigabyte. */
export const MAX_PIXELS = 2 ** 26;

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];

/** Colour types: samples per pixel, and the depths that go with them. */
const COLOUR_TYPES = new Map<number, { samples: number; depths: number[] }>([
  [0, { samples: 1, depths: [1, 2, 4, 8, 16] }], // grey
  [2, { samples: 3, depths: [8, 16] }], // red, green, blue
  [3, { samples: 1, depths: [1, 2, 4, 8] }], // index into a palette
  [4, { samples: 2, depths: [8, 16] }], // grey, alpha
  [6, { samples: 4, depths: [8, 16] }], // red, green, blue, alpha
]);

/** The seven passes of an interlaced image: first column and row, and the steps to the next. */
const ADAM7 = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
];

interface Header {
  readonly width: number;
  readonly height: number;
  readonly depth: number;
  readonly colourType: number;
  readonly samples: number;
  readonly interlaced: boolean;
}

type Fail = (message: string, cause?: unknown) => Error;

/** Whether these bytes begin as a PNG file does. */
export function isPng(bytes: Uint8Array): boolean {
  return SIGNATURE.every((byte, i) => bytes[i] === byte);
}

/** The pixels of a PNG file. Throws `DataError`; nothing of the image's claimed size is allocated before its data is there. */
export async function decodePng(bytes: Uint8Array, file?: string): Promise<Pixels> {
  const fail: Fail = (message, cause) =>
    dataError(`the PNG image ${message} Save or copy it again.`, file === undefined ? {} : { file }, { cause });
  const chunks = readChunks(bytes, fail);
  const header = readHeader(chunks, fail);
  const passes = (header.interlaced ? ADAM7 : [[0, 0, 1, 1]])
    .map(([x, y, dx, dy]) => ({
      x,
      y,
      dx,
      dy,
      columns: Math.ceil((header.width - x) / dx),
      rows: Math.ceil((header.height - y) / dy),
    }))
    .filter(({ columns, rows }) => columns > 0 && rows > 0);
  const bits = header.samples * header.depth;
  const lineBytes = (columns: number) => Math.ceil((columns * bits) / 8);
  const total = passes.reduce((sum, { columns, rows }) => sum + rows * (1 + lineBytes(columns)), 0);

  const raw = await unpack(chunks, total, fail);
  const palette = readPalette(chunks, header, fail);
  const rgba = new Uint8Array(header.width * header.height * 4);
  let from = 0;
  for (const { x, y, dx, dy, columns, rows } of passes) {
    const length = lineBytes(columns);
    let above = new Uint8Array(length);
    for (let row = 0; row < rows; row++) {
      const line = raw.subarray(from + 1, from + 1 + length) as Uint8Array<ArrayBuffer>;
      unfilter(raw[from], line, above, Math.max(1, bits >> 3), fail);
      putLine(line, header, palette, rgba, (y + row * dy) * header.width + x, dx, columns, fail);
      above = line;
      from += 1 + length;
    }
  }
  return { width: header.width, height: header.height, rgba };
}

type Chunks = Map<string, Uint8Array[]>;

/** The chunks by type, each checked by its sum; those after the end are left aside. */
function readChunks(bytes: Uint8Array, fail: Fail): Chunks {
  if (!isPng(bytes)) throw fail("does not begin as one: it is damaged, or of another format.");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const chunks: Chunks = new Map();
  let at = SIGNATURE.length;
  while (!chunks.has("IEND")) {
    const length = at + 12 <= bytes.length ? view.getUint32(at) : Number.POSITIVE_INFINITY;
    if (at + 12 + length > bytes.length) throw fail(`is cut short after ${bytes.length} bytes.`);
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (crc32(bytes.subarray(at + 4, at + 8 + length)) !== view.getUint32(at + 8 + length))
      throw fail(`is damaged: the check sum of its part ${JSON.stringify(type)} is wrong.`);
    if (!chunks.has(type)) chunks.set(type, []);
    chunks.get(type)!.push(bytes.subarray(at + 8, at + 8 + length));
    at += 12 + length;
  }
  return chunks;
}

function readHeader(chunks: Chunks, fail: Fail): Header {
  const data = chunks.get("IHDR")?.[0];
  if (data === undefined || data.length !== 13) throw fail("is damaged: it has no header.");
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  const [width, height] = [view.getUint32(0), view.getUint32(4)];
  const [depth, colourType, compression, filter, interlace] = data.subarray(8);
  const colours = COLOUR_TYPES.get(colourType);
  if (!colours?.depths.includes(depth) || compression !== 0 || filter !== 0 || interlace > 1)
    throw fail(
      `is damaged: its header says colour type ${colourType}, depth ${depth}, methods ${compression}, ${filter}, ${interlace}.`,
    );
  if (width === 0 || height === 0 || width * height > MAX_PIXELS)
    throw fail(`has ${width} × ${height} pixels; wanted are 1 to ${MAX_PIXELS}. Make it smaller, or it is damaged.`);
  return { width, height, depth, colourType, samples: colours.samples, interlaced: interlace === 1 };
}

async function unpack(chunks: Chunks, total: number, fail: Fail): Promise<Uint8Array> {
  const parts = chunks.get("IDAT") ?? [];
  const packed = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    packed.set(part, at);
    at += part.length;
  }
  let raw: Uint8Array;
  try {
    raw = await inflate(packed, "deflate", total);
  } catch (cause) {
    throw fail(`is damaged: ${(cause as InflateError).message}.`, cause);
  }
  if (raw.length < total) throw fail(`is damaged: it has ${raw.length} bytes of pixels where its size takes ${total}.`);
  return raw;
}

/** Undoes the filter of one line in place; `above` is the line before it, `step` the bytes of one pixel. */
function unfilter(filter: number, line: Uint8Array, above: Uint8Array, step: number, fail: Fail): void {
  if (filter > 4) throw fail(`is damaged: a line has the filter ${filter}.`);
  for (let i = 0; i < line.length && filter !== 0; i++) {
    const left = i >= step ? line[i - step] : 0;
    const up = above[i];
    if (filter === 1) line[i] += left;
    else if (filter === 2) line[i] += up;
    else if (filter === 3) line[i] += (left + up) >> 1;
    else line[i] += paeth(left, up, i >= step ? above[i - step] : 0);
  }
}

/** Whichever neighbour is nearest to left + up − corner. */
function paeth(left: number, up: number, corner: number): number {
  const toLeft = Math.abs(up - corner);
  const toUp = Math.abs(left - corner);
  const toCorner = Math.abs(left + up - 2 * corner);
  if (toLeft <= toUp && toLeft <= toCorner) return left;
  return toUp <= toCorner ? up : corner;
}

interface Palette {
  /** Red, green, blue of each index. */
  readonly colours: Uint8Array;
  /** Alpha of each index; or the samples of the one colour that is transparent, two bytes each. */
  readonly alpha: Uint8Array;
}

function readPalette(chunks: Chunks, header: Header, fail: Fail): Palette {
  const colours = chunks.get("PLTE")?.[0] ?? new Uint8Array();
  if (header.colourType === 3 && (colours.length === 0 || colours.length % 3 !== 0))
    throw fail("is damaged: it has no palette.");
  return { colours, alpha: chunks.get("tRNS")?.[0] ?? new Uint8Array() };
}

/** The sample `index` of a line, as the file has it: up to 16 bits. */
function sampleAt(line: Uint8Array, index: number, depth: number): number {
  if (depth === 8) return line[index];
  if (depth === 16) return (line[2 * index] << 8) | line[2 * index + 1];
  const bit = index * depth;
  return (line[bit >> 3] >> (8 - depth - (bit & 7))) & ((1 << depth) - 1);
}

/** Writes the pixels of a line to `rgba`, the first at pixel `start`, each `step` pixels after the one before. */
function putLine(
  line: Uint8Array,
  header: Header,
  palette: Palette,
  rgba: Uint8Array,
  start: number,
  step: number,
  columns: number,
  fail: Fail,
): void {
  const { depth, colourType, samples } = header;
  const { colours, alpha } = palette;
  const hasColour = colourType === 2 || colourType === 6;
  const channels = hasColour ? 3 : 1;
  const scale = 255 / (2 ** depth - 1);
  const oneTransparent = samples === channels && alpha.length >= 2 * channels;
  for (let column = 0; column < columns; column++) {
    const to = 4 * (start + column * step);
    const first = column * samples;
    const sample = sampleAt(line, first, depth);
    if (colourType === 3) {
      if (3 * sample >= colours.length)
        throw fail(`is damaged: a pixel has colour ${sample} of ${colours.length / 3}.`);
      for (let c = 0; c < 3; c++) rgba[to + c] = colours[3 * sample + c];
      rgba[to + 3] = sample < alpha.length ? alpha[sample] : 255;
      continue;
    }
    const green = hasColour ? sampleAt(line, first + 1, depth) : sample;
    const blue = hasColour ? sampleAt(line, first + 2, depth) : sample;
    rgba[to] = Math.round(sample * scale);
    rgba[to + 1] = Math.round(green * scale);
    rgba[to + 2] = Math.round(blue * scale);
    if (samples > channels) rgba[to + 3] = Math.round(sampleAt(line, first + channels, depth) * scale);
    else rgba[to + 3] = oneTransparent && isColour(alpha, channels, sample, green, blue) ? 0 : 255;
  }
}

/** Whether these samples are those in `wanted`, two bytes each. */
function isColour(wanted: Uint8Array, channels: number, red: number, green: number, blue: number): boolean {
  const at = (c: number) => (wanted[2 * c] << 8) | wanted[2 * c + 1];
  return red === at(0) && (channels === 1 || (green === at(1) && blue === at(2)));
}
