/**
 * Makes varied copies of images: shifted, turned, mirrored, with noise. Every draw is decided by seed, epoch and row,
 * so a run that is repeated or resumed sees the same images. The originals stay as they are.
 */
import { checkOptionNames } from "../checks.ts";
import { ArgumentError, ShapeError } from "../errors.ts";
import { RandomStream } from "../random.ts";
import { type Dataset, rowSize } from "./dataset.ts";
import { show } from "./fail.ts";

/** What is done to each image; each amount is drawn evenly from −amount to +amount. */
export interface AugmentOptions {
  /** The farthest shift, in pixels, along each axis. */
  readonly shift?: number;
  /** The largest turn about the centre, in degrees. */
  readonly rotate?: number;
  /** Mirrors half of the images, left to right or top to bottom; "both" draws for each. */
  readonly flip?: "horizontal" | "vertical" | "both";
  /** Standard deviation of the noise added to every sample, in units of the image (0 to 255 for bytes). */
  readonly noise?: number;
  /** The value of what comes in from outside the image. Default 0. */
  readonly fill?: number;
}

/**
 * The images of a data set, each varied anew: the same rows and labels, other pixels, of the same type.
 *
 * The same `seed` and `epoch` give the same images; what becomes of a row does not depend on the other rows.
 * Throws `ShapeError` when rows are not images [H, W, C], `ArgumentError` for amounts that make no sense.
 *
 * @example
 * import { augment, toDataset } from "chainrule/data";
 * const data = toDataset({ x: new Uint8Array([1, 2, 3, 4]), y: [0], inputShape: [2, 2, 1] });
 * console.log(augment(data, { shift: 1, seed: 7, epoch: 1 }).count); // 1
 */
export function augment(
  dataset: Dataset,
  options: AugmentOptions & { readonly seed?: number; readonly epoch?: number },
): Dataset {
  const { seed = 0, epoch = 0, ...amounts } = options;
  const { x, count, inputShape } = dataset;
  if (!(x instanceof Uint8Array || x instanceof Float32Array))
    throw new ArgumentError("Images are augmented as Uint8Array or Float32Array; convert x to one of them.");
  const size = rowSize(inputShape);
  const out = x.slice();
  for (let row = 0; row < count; row++) {
    const random = new RandomStream(seed, `augment ${epoch} ${row}`);
    out.set(augmentImage(x.subarray(row * size, (row + 1) * size), inputShape, amounts, random), row * size);
  }
  return { ...dataset, x: out };
}

/**
 * One image [H, W, C], flat, varied by the next numbers of `random`; bytes stay bytes.
 *
 * Throws as `augment` does.
 *
 * @example
 * import { augmentImage } from "chainrule/data";
 * import { RandomStream } from "chainrule";
 * const turned = augmentImage(new Float32Array(28 * 28), [28, 28, 1], { rotate: 10 }, new RandomStream(7, "mine"));
 */
export function augmentImage<A extends Uint8Array | Float32Array>(
  image: A,
  inputShape: readonly number[],
  options: AugmentOptions,
  random: RandomStream,
): A {
  checkOptionNames("augmentImage", options, ["shift", "rotate", "flip", "noise", "fill"]);
  const { shift = 0, rotate = 0, flip, noise = 0, fill = 0 } = options;
  for (const [name, value] of Object.entries({ shift, rotate, noise }))
    if (!(value >= 0 && Number.isFinite(value)))
      throw new ArgumentError(`${name} is ${show(value)}; give a number from 0.`);
  if (inputShape.length !== 3 || rowSize(inputShape) !== image.length)
    throw new ShapeError(
      `An image of ${image.length} numbers has shape ${show([...inputShape])}; wanted is [H, W, C] with as many.`,
    );
  const [height, width, channels] = inputShape;
  const within = (amount: number) => (2 * random.uniform() - 1) * amount;
  const [right, down, degrees] = [within(shift), within(shift), within(rotate)];
  const mirrorX = random.uniform() < 0.5 && (flip === "horizontal" || flip === "both") ? -1 : 1;
  const mirrorY = random.uniform() < 0.5 && (flip === "vertical" || flip === "both") ? -1 : 1;

  // Each new pixel looks back to where it came from: shifted back, turned back, mirrored back, about the centre.
  const angle = (-degrees * Math.PI) / 180;
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const [centreX, centreY] = [(width - 1) / 2, (height - 1) / 2];
  const at = (x: number, y: number, c: number) =>
    x < 0 || x >= width || y < 0 || y >= height ? fill : image[(y * width + x) * channels + c];
  const out = image.slice() as A;
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const [u, v] = [x - right - centreX, y - down - centreY];
      const fromX = mirrorX * (cos * u - sin * v) + centreX;
      const fromY = mirrorY * (sin * u + cos * v) + centreY;
      const [x0, y0] = [Math.floor(fromX), Math.floor(fromY)];
      const [fx, fy] = [fromX - x0, fromY - y0];
      for (let c = 0; c < channels; c++) {
        const top = at(x0, y0, c) * (1 - fx) + (fx && at(x0 + 1, y0, c) * fx);
        const bottom = fy && at(x0, y0 + 1, c) * (1 - fx) + (fx && at(x0 + 1, y0 + 1, c) * fx);
        const value = top * (1 - fy) + bottom * fy + (noise && noise * random.normal());
        out[(y * width + x) * channels + c] =
          image instanceof Uint8Array ? Math.min(255, Math.max(0, Math.round(value))) : value;
      }
    }
  return out;
}
