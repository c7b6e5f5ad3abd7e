/**
 * Pictures as numbers: PNG and JPEG decoded, made grey, resized, and a drawn digit brought into the form of MNIST's.
 * Images are channels last, one byte per sample. Reading folders of them is in node/images.ts.
 */
import { checkOptionNames } from "../checks.ts";
import { DataError } from "../errors.ts";
import { checkInteger, dataError } from "./fail.ts";
import { decodeJpeg, isJpeg } from "./jpeg.ts";
import { decodePng, isPng, type Pixels } from "./png.ts";

/** An image [H, W, C], row by row from the top: grey (C = 1) or red, green, blue (C = 3). */
export interface Image {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
  readonly data: Uint8Array;
}

/** Options of `decodeImage`. */
export interface DecodeOptions {
  /** Name of the file, for messages. */
  readonly file?: string;
  /**
   * What shows through where the image is transparent: a grey level from 0 to 255, or "contrast" for black behind
   * a light drawing and white behind a dark one. Default 255, white.
   */
  readonly background?: number | "contrast";
}

/**
 * Decodes a PNG or JPEG file. An image whose pixels are all grey gets one channel, any other three.
 *
 * Throws `DataError` for a file that is damaged, cut short, too large or of another format.
 *
 * @example
 * import { decodeImage } from "chainrule/data";
 * const dot = Uint8Array.from(atob(
 *   "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsTj2FAAAAABJRU5ErkJggg==",
 * ), (c) => c.charCodeAt(0));
 * console.log((await decodeImage(dot)).data); // Uint8Array(1) [ 255 ]
 */
export async function decodeImage(bytes: Uint8Array, options: DecodeOptions = {}): Promise<Image> {
  checkOptionNames("decodeImage", options, ["file", "background"]);
  const { file, background = 255 } = options;
  const at = file === undefined ? {} : { file };
  if (background !== "contrast") checkInteger("background", background, 0, 255);
  if (isPng(bytes)) return flatten(await decodePng(bytes, file), background);
  if (isJpeg(bytes)) return flatten(await decodeJpeg(bytes, file), background);
  throw dataError(
    bytes.length === 0
      ? "the file is empty; copy it again."
      : "the file is neither PNG nor JPEG; convert it to one of them.",
    at,
  );
}

/** Lays the pixels on a background, and leaves out what grey images say three times. */
function flatten({ width, height, rgba }: Pixels, background: number | "contrast"): Image {
  const behind = background === "contrast" ? contrast(rgba) : background;
  let grey = true;
  for (let i = 0; i < rgba.length; i += 4) {
    const alpha = rgba[i + 3];
    if (alpha < 255)
      for (let c = i; c < i + 3; c++) rgba[c] = Math.round((rgba[c] * alpha + behind * (255 - alpha)) / 255);
    if (rgba[i] !== rgba[i + 1] || rgba[i] !== rgba[i + 2]) grey = false;
  }
  const channels = grey ? 1 : 3;
  const data = new Uint8Array(width * height * channels);
  for (let pixel = 0; pixel < width * height; pixel++)
    for (let c = 0; c < channels; c++) data[pixel * channels + c] = rgba[pixel * 4 + c];
  return { width, height, channels, data };
}

/** Black when what can be seen is light on average, white otherwise. */
function contrast(rgba: Uint8Array): number {
  let [light, all] = [0, 0];
  for (let i = 0; i < rgba.length; i += 4) {
    light += luma(rgba[i], rgba[i + 1], rgba[i + 2]) * rgba[i + 3];
    all += rgba[i + 3];
  }
  return light > 127.5 * all ? 0 : 255;
}

/** Brightness as television weighs it (ITU-R BT.601). */
function luma(red: number, green: number, blue: number): number {
  return 0.299 * red + 0.587 * green + 0.114 * blue;
}

/**
 * The image in one channel, its brightness (0.299 red + 0.587 green + 0.114 blue).
 *
 * @example
 * import { toGrey } from "chainrule/data";
 * const red = { width: 1, height: 1, channels: 3 as const, data: new Uint8Array([255, 0, 0]) };
 * console.log(toGrey(red).data); // Uint8Array(1) [ 76 ]
 */
export function toGrey(image: Image): Image {
  const { width, height, channels, data } = image;
  if (channels === 1) return image;
  const grey = Uint8Array.from({ length: width * height }, (_, i) =>
    Math.round(luma(data[3 * i], data[3 * i + 1], data[3 * i + 2])),
  );
  return { width, height, channels: 1, data: grey };
}

/**
 * The image in three channels, all equal where it was grey.
 *
 * @example
 * import { toColour } from "chainrule/data";
 * console.log(toColour({ width: 1, height: 1, channels: 1, data: new Uint8Array([7]) }).data); // Uint8Array(3) [ 7, 7, 7 ]
 */
export function toColour(image: Image): Image {
  if (image.channels === 3) return image;
  return {
    ...image,
    channels: 3,
    data: Uint8Array.from({ length: image.data.length * 3 }, (_, i) => image.data[Math.floor(i / 3)]),
  };
}

/**
 * The image in another size: each new pixel is the mean of the old ones around it, weighted by a triangle as wide as
 * needed (linear interpolation when enlarging, free of aliasing when reducing).
 *
 * Throws `ArgumentError` for a size that is not a whole number from 1.
 *
 * @example
 * import { resize } from "chainrule/data";
 * const image = { width: 2, height: 1, channels: 1 as const, data: new Uint8Array([0, 100]) };
 * console.log(resize(image, 4, 1).data); // Uint8Array(4) [ 0, 25, 75, 100 ]
 */
export function resize(image: Image, width: number, height: number): Image {
  checkInteger("width", width, 1, 65535);
  checkInteger("height", height, 1, 65535);
  const { channels } = image;
  if (width === image.width && height === image.height) return image;
  const scaled = resample(new Float32Array(image.data), image.width, image.height, channels, width, height);
  return { width, height, channels, data: new Uint8Array(scaled.map(Math.round)) };
}

/** Resizes rows, then columns; [H, W, C] in and out. */
function resample(
  data: Float32Array,
  width: number,
  height: number,
  channels: number,
  toWidth: number,
  toHeight: number,
): Float32Array {
  const narrow = new Float32Array(height * toWidth * channels);
  triangles(width, toWidth).forEach(({ first, weights }, x) => {
    for (let y = 0; y < height; y++)
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        for (let k = 0; k < weights.length; k++) sum += weights[k] * data[(y * width + first + k) * channels + c];
        narrow[(y * toWidth + x) * channels + c] = sum;
      }
  });
  const row = toWidth * channels;
  const out = new Float32Array(toHeight * row);
  triangles(height, toHeight).forEach(({ first, weights }, y) => {
    for (let i = 0; i < row; i++) {
      let sum = 0;
      for (let k = 0; k < weights.length; k++) sum += weights[k] * narrow[(first + k) * row + i];
      out[y * row + i] = sum;
    }
  });
  return out;
}

/** For each of `to` pixels of a line, the old pixels that it is made of and their weights, which sum to 1. */
function triangles(from: number, to: number): { first: number; weights: number[] }[] {
  const scale = from / to;
  const reach = Math.max(scale, 1);
  return Array.from({ length: to }, (_, i) => {
    const centre = (i + 0.5) * scale;
    const first = Math.max(0, Math.floor(centre - reach + 0.5));
    const last = Math.min(from, Math.floor(centre + reach + 0.5));
    const weights = Array.from({ length: last - first }, (_, k) =>
      Math.max(0, 1 - Math.abs(first + k + 0.5 - centre) / reach),
    );
    const sum = weights.reduce((total, weight) => total + weight, 0);
    return { first, weights: weights.map((weight) => weight / sum) };
  });
}

const FIELD = 28;
const BOX = 20;

/**
 * A drawn or photographed digit in the form of MNIST's: 28 × 28, light on black, `Uint8Array` of 784.
 *
 * The background is what most of the border is, so dark on light and light on dark both do. The digit is cut out,
 * fitted in 20 × 20 with its proportions, and laid so that its centre of mass is that of the field
 * (LeCun, Bottou, Bengio, Haffner: "Gradient-based learning applied to document recognition", 1998).
 *
 * Throws `DataError` when nothing stands out from the background; `file` is the name for the message.
 *
 * @example
 * import { normalizeDigit } from "chainrule/data";
 * const page = new Uint8Array(50 * 50).fill(255);
 * for (let y = 10; y < 40; y++) page.fill(0, y * 50 + 24, y * 50 + 27); // a black stroke on white
 * const digit = normalizeDigit({ width: 50, height: 50, channels: 1, data: page });
 * console.log(digit.length, digit[14 * 28 + 14]); // 784 255
 */
export function normalizeDigit(image: Image, file?: string): Uint8Array {
  const { width, height, data } = toGrey(image);
  const ink = inkOf(data, width, height);
  const box = ink && boundingBox(ink, width, height);
  if (ink === undefined || box === undefined)
    throw file === undefined ? new DataError(BLANK) : dataError(BLANK, { file });

  const scale = BOX / Math.max(box.width, box.height);
  const [w, h] = [box.width, box.height].map((length) => Math.max(1, Math.round(length * scale)));
  const cut = new Float32Array(box.width * box.height);
  for (let y = 0; y < box.height; y++)
    cut.set(ink.subarray((box.y + y) * width + box.x, (box.y + y) * width + box.x + box.width), y * box.width);
  const fitted = resample(cut, box.width, box.height, 1, w, h);

  let [mass, massX, massY, peak] = [0, 0, 0, 0];
  fitted.forEach((value, i) => {
    mass += value;
    massX += value * (i % w);
    massY += value * Math.floor(i / w);
    peak = Math.max(peak, value);
  });
  // As in MNIST, the centre of mass comes to within half a pixel of pixel (14, 14).
  const left = clamp(Math.round(FIELD / 2 - massX / mass), 0, FIELD - w);
  const top = clamp(Math.round(FIELD / 2 - massY / mass), 0, FIELD - h);
  const digit = new Uint8Array(FIELD * FIELD);
  fitted.forEach((value, i) => {
    digit[(top + Math.floor(i / w)) * FIELD + left + (i % w)] = Math.round((value * 255) / peak);
  });
  return digit;
}

const BLANK =
  "the image is blank: nothing stands out from its background. Draw the digit darker or lighter than the background.";

/** How far each pixel differs from the background, towards the side of the drawing; `undefined` when nothing does. */
function inkOf(data: Uint8Array, width: number, height: number): Float32Array | undefined {
  const border: number[] = [];
  for (let x = 0; x < width; x++) border.push(data[x], data[(height - 1) * width + x]);
  for (let y = 1; y < height - 1; y++) border.push(data[y * width], data[y * width + width - 1]);
  const background = median(border);
  const noise = median(border.map((value) => Math.abs(value - background)));
  let [darkest, lightest] = [255, 0];
  for (const value of data) {
    if (value < darkest) darkest = value;
    if (value > lightest) lightest = value;
  }
  const dark = background - darkest > lightest - background;
  const peak = dark ? background - darkest : lightest - background;
  const floor = Math.max(0.05 * peak, 6 * noise); // 6 median deviations: 4 standard deviations of ordinary noise
  if (peak < 16 || peak <= floor) return undefined;
  return new Float32Array(data).map((value) => {
    const ink = dark ? background - value : value - background;
    return ink > floor ? ink : 0;
  });
}

function boundingBox(ink: Float32Array, width: number, height: number) {
  let [left, right, top, bottom] = [width, -1, height, -1];
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      if (ink[y * width + x] === 0) continue;
      left = Math.min(left, x);
      right = Math.max(right, x);
      top = Math.min(top, y);
      bottom = y;
    }
  return right < 0 ? undefined : { x: left, y: top, width: right - left + 1, height: bottom - top + 1 };
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1];
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), most);
}
