/**
 * Folders of class folders of PNG and JPEG images, each image decoded when its turn comes.
 */
import type { Blocks, Description } from "../../data-stream.ts";
import { rowSize } from "../../dataset.ts";
import { dataError } from "../../fail.ts";
import { type Image, resize, toColour, toGrey } from "../../images.ts";
import type { StreamedRows } from "../../tally.ts";
import { findImages, type ImageFolderOptions, readImage, wrongSize } from "../images.ts";
import { checkUnchanged, type WatchedFile, watch } from "./watched-file.ts";

/** Bytes of a block, unless an image is larger. */
const BLOCK = 2 ** 16;

interface FoundImage {
  readonly path: string;
  readonly label: number;
}

export class ImageBlocks implements Blocks {
  readonly rowBytes: number;
  readonly description: Description;
  readonly #images: readonly FoundImage[];
  readonly #options: ImageFolderOptions;
  readonly #isGrey: boolean;
  readonly #first: string;
  readonly #perBlock: number;
  /** What each file was when it was first read. */
  readonly #files = new Map<string, WatchedFile>();

  /** @param isGrey whether images are to be grey, whatever they are */
  private constructor(
    images: readonly FoundImage[],
    options: ImageFolderOptions,
    isGrey: boolean,
    description: Description,
  ) {
    this.#images = images;
    this.#options = options;
    this.#isGrey = isGrey;
    this.#first = images[0].path;
    this.description = description;
    this.rowBytes = rowSize(description.inputShape);
    this.#perBlock = Math.max(1, Math.floor(BLOCK / this.rowBytes));
  }

  static async open(directory: string, options: ImageFolderOptions): Promise<ImageBlocks> {
    const { classes, images, notes } = await findImages(directory, options);
    const [{ path }] = images;
    const { background } = options;
    const first = await readImage(path, background === undefined ? {} : { background });
    const { width, height } = options.size ?? first;
    // Whether all are grey is not known before all are read: the first of each class must do.
    let channels = options.channels ?? 1;
    if (options.channels === undefined)
      for (const label of classes.keys()) {
        const image = images.find((each) => each.label === label);
        if (image && (await readImage(image.path)).channels > 1) channels = 3;
      }
    return new ImageBlocks(images, { ...options, channels }, options.channels === 1, {
      inputShape: [height, width, channels],
      task: "classification",
      classes,
      notes,
    });
  }

  get length(): number {
    return Math.ceil(this.#images.length / this.#perBlock);
  }

  async read(block: number): Promise<StreamedRows> {
    const own = this.#images.slice(block * this.#perBlock, (block + 1) * this.#perBlock);
    const [height, width, channels] = this.description.inputShape;
    const size = height * width * channels;
    const x = new Uint8Array(own.length * size);
    const images = await Promise.all(own.map(({ path }) => this.#read(path)));
    for (const [i, image] of images.entries()) x.set(image.data, i * size);
    return { x, y: Int32Array.from(own, ({ label }) => label), count: own.length };
  }

  async #read(path: string): Promise<Image> {
    const { background, size, channels } = this.#options;
    const known = this.#files.get(path);
    if (known) await checkUnchanged(known);
    else this.#files.set(path, await watch(path));
    const image = await readImage(path, background === undefined ? {} : { background });
    const sized = size ? resize(image, size.width, size.height) : image;
    const [height, width] = this.description.inputShape;
    if (sized.width !== width || sized.height !== height) throw wrongSize(sized, path, { width, height }, this.#first);
    if (!this.#isGrey && channels === 1 && image.channels > 1)
      throw dataError("the image has colours, but the first ones have none. Say channels: 3, or 1 for grey.", {
        file: path,
      });
    return channels === 1 ? toGrey(sized) : toColour(sized);
  }
}
