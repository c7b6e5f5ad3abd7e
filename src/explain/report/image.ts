/** Inputs that are images: their grey values, and how a terminal shows them, two rows of pixels to a line of text. */
import type { AnyArray } from "../../graph/op.ts";
import { type Shape, sizeOf } from "../../graph/shape.ts";

export interface Grey {
  readonly width: number;
  readonly height: number;
  /** From 0 to 1, row by row. */
  readonly pixels: readonly number[];
}

/** The sample as an image, if its shape is one: [H, W], [H, W, C], or a square number of features such as 784. */
export function imageOf(shape: Shape, x: AnyArray, sample: number): Grey | undefined {
  const size = sizeOf(shape);
  const side = Math.sqrt(size);
  const square = shape.length === 1 && Number.isInteger(side) && side >= 8;
  const [height, width, channels] = square ? [side, side, 1] : shape.length === 2 ? [...shape, 1] : shape;
  if ((!square && shape.length < 2) || shape.length > 3 || width > 76 || height > 76 || channels > 4) return undefined;
  const values = Array.from(x.slice(sample * size, (sample + 1) * size));
  const grey = Array.from({ length: height * width }, (_, i) => {
    const own = values.slice(i * channels, (i + 1) * channels);
    return own.reduce((sum, v) => sum + v, 0) / channels;
  });
  const [low, high] = [Math.min(...grey), Math.max(...grey)];
  return { width, height, pixels: grey.map((v) => (high > low ? (v - low) / (high - low) : 0)) };
}

const blank = (pixels: readonly number[], width: number, row: number): boolean =>
  pixels.slice(row * width, (row + 1) * width).every((v) => v < 0.02);

/** The image in half-blocks; with `color`, in 24 shades of grey. Empty rows above and below are left out. */
export function imageLines({ width, height, pixels }: Grey, color: boolean): string[] {
  let [top, bottom] = [0, height];
  while (top < bottom && blank(pixels, width, top)) top++;
  while (bottom > top && blank(pixels, width, bottom - 1)) bottom--;
  const lines: string[] = [];
  for (let row = top; row < bottom; row += 2) {
    let text = "";
    for (let column = 0; column < width; column++) {
      const upper = pixels[row * width + column];
      const lower = row + 1 < bottom ? pixels[(row + 1) * width + column] : 0;
      text += color ? shaded(upper, lower) : " ▀▄█"[(upper > 0.4 ? 1 : 0) + (lower > 0.4 ? 2 : 0)];
    }
    lines.push(color ? `${text}\u001b[0m` : text.trimEnd());
  }
  return lines;
}

/** Two pixels in one character cell: the upper half in the foreground's shade, the lower in the background's. */
const shaded = (upper: number, lower: number): string =>
  `\u001b[38;5;${232 + Math.round(upper * 23)}m\u001b[48;5;${232 + Math.round(lower * 23)}m▀`;
