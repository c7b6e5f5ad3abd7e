/**
 * Reads PNG and JPEG files: one, or a folder of class folders as a data set. It finds and reads the files and brings
 * them to one size and number of channels; decoding them is in ../images.ts. Node only.
 */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { checkOptionNames } from "../../checks.ts";
import { type Message, message, option } from "../../wording.ts";
import type { Dataset } from "../dataset.ts";
import { dataError, list } from "../fail.ts";
import { type DecodeOptions, decodeImage, type Image, resize, toColour, toGrey } from "../images.ts";
import { fileError, readDirectory, readFile } from "./files.ts";

/** Options of `readImageFolder`. */
export interface ImageFolderOptions extends Omit<DecodeOptions, "file"> {
  /** Brings every image to this size; without it, all must have the same. */
  readonly size?: { readonly width: number; readonly height: number };
  /** 1 for grey, 3 for colour. By default grey when all images are. */
  readonly channels?: 1 | 3;
  /** The classes, 0 first, where they are known from before: then only these folders are read, those that are there. */
  readonly classes?: readonly string[];
}

const IMAGE = /\.(png|jpe?g)$/i;
/** Images of kinds that are not read. */
const OTHER_IMAGE = /\.(webp|bmp|gif|tiff?|avif|heic)$/i;
/** What systems leave beside people's files. */
const LITTER = /^(\..*|__MACOSX|Thumbs\.db|desktop\.ini)$/i;

/**
 * The image in a PNG or JPEG file; see `decodeImage`. Throws `FileError` and `DataError`.
 *
 * @example
 * import { readImage, writeFileAtomically } from "chainrule/data/node";
 * const dot = Uint8Array.from(
 *   atob("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsTj2FAAAAABJRU5ErkJggg=="),
 *   (c) => c.charCodeAt(0),
 * );
 * await writeFileAtomically("dot.png", dot);
 * console.log(await readImage("dot.png")); // { width: 1, height: 1, channels: 1, data: Uint8Array(1) [ 255 ] }
 */
export async function readImage(path: string, options: Omit<DecodeOptions, "file"> = {}): Promise<Image> {
  return decodeImage(await readFile(path), { ...options, file: path });
}

/**
 * The data set in a folder that has one folder of PNG or JPEG images for each class, in order of name; other files
 * are left aside, and `notes` says how many of them are images of other kinds.
 *
 * Throws `DataError` that names the file for an image that cannot be decoded or has another size, and for a folder
 * without class folders, a single class, or a class without images; `FileError` for what cannot be read.
 *
 * @example
 * import { mkdir } from "node:fs/promises";
 * import { readImageFolder, writeFileAtomically } from "chainrule/data/node";
 * const dot = Uint8Array.from(
 *   atob("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsTj2FAAAAABJRU5ErkJggg=="),
 *   (c) => c.charCodeAt(0),
 * );
 * for (const name of ["cat", "dog"]) {
 *   await mkdir(`pets/${name}`, { recursive: true });
 *   await writeFileAtomically(`pets/${name}/1.png`, dot);
 * }
 * console.log((await readImageFolder("pets")).classes); // [ 'cat', 'dog' ]
 */
export async function readImageFolder(
  directory: string,
  options: ImageFolderOptions = {},
): Promise<Dataset & { readonly notes: readonly Message[] }> {
  checkOptionNames("readImageFolder", options, ["background", "size", "channels", "classes"]);
  const { classes, images: files, notes } = await findImages(directory, options);
  const background = options.background === undefined ? {} : { background: options.background };
  const images: Image[] = [];
  for await (const [path, image] of readImages(
    files.map(({ path }) => path),
    background,
  )) {
    const sized = options.size ? resize(image, options.size.width, options.size.height) : image;
    const [first = sized] = images;
    if (sized.width !== first.width || sized.height !== first.height)
      throw wrongSize(sized, path, first, files[0].path);
    images.push(sized);
  }
  const channels = options.channels ?? (images.every((image) => image.channels === 1) ? 1 : 3);
  const { width, height } = images[0];
  const size = height * width * channels;
  const x = new Uint8Array(images.length * size);
  images.forEach((image, i) => {
    x.set((channels === 1 ? toGrey(image) : toColour(image)).data, i * size);
  });
  return {
    x,
    y: Int32Array.from(files, ({ label }) => label),
    count: images.length,
    inputShape: [height, width, channels],
    task: "classification",
    classes,
    notes,
  };
}

/** The error for an image that is not as large as the first one. */
export const wrongSize = (
  image: Pick<Image, "width" | "height">,
  file: string,
  first: Pick<Image, "width" | "height">,
  firstFile: string,
) =>
  dataError(
    message`the image has ${image.width} × ${image.height} pixels, but ${firstFile} has ${first.width} × ${first.height}; ${option("size", `${first.width}x${first.height}`)} brings all to one size.`,
    { file },
  );

/** The images of the class folders in a directory, in order of class and name. */
export async function findImages(
  directory: string,
  options: Pick<ImageFolderOptions, "classes">,
): Promise<{ classes: string[]; images: { path: string; label: number }[]; notes: Message[] }> {
  const at = { file: directory };
  const names = (await readDirectory(directory)).filter((name) => !LITTER.test(name));
  const classes = options.classes ? [...options.classes] : await onlyDirectories(directory, names);
  if (classes.length === 0)
    throw dataError(
      `there are no class folders${names.some((name) => IMAGE.test(name)) ? ", only images" : ""}; put the images of each class into a folder named after it.`,
      at,
    );
  if (classes.length === 1)
    throw dataError(`there is only the class folder ${list(classes)}; add one for each other class.`, at);

  /** How many images of kinds that are not read there are. */
  const passed = new Map<string, number>();
  const images: { path: string; label: number }[] = [];
  for (const [label, name] of classes.entries()) {
    // Of classes known from before, some may have no pictures here.
    if (options.classes && !names.includes(name)) continue;
    const all = (await readDirectory(join(directory, name))).filter((file) => !LITTER.test(file));
    const files = all.filter((file) => IMAGE.test(file));
    for (const file of all) {
      const [, kind] = OTHER_IMAGE.exec(file) ?? [];
      if (kind) passed.set(kind.toLowerCase(), (passed.get(kind.toLowerCase()) ?? 0) + 1);
    }
    if (files.length === 0)
      throw dataError(
        `the class folder holds no PNG or JPEG image${passed.size > 0 ? `, only ${passedOver(passed)}` : ""}; add some, convert them, or remove it.`,
        { file: join(directory, name) },
      );
    images.push(...files.map((file) => ({ path: join(directory, name, file), label })));
  }
  if (images.length === 0) throw dataError(`there is no folder of a class: ${list(classes)}.`, at);
  const notes =
    passed.size > 0
      ? [`Passed over: ${passedOver(passed)}; PNG and JPEG are read. Convert them to train on them.`]
      : [];
  return { classes, images, notes };
}

const passedOver = (kinds: ReadonlyMap<string, number>): string =>
  [...kinds].map(([kind, count]) => `${count} .${kind}`).join(", ");

/** The images in order, read some at a time: one after the other would mostly wait for the disk. */
async function* readImages(paths: string[], background: DecodeOptions): AsyncGenerator<[string, Image]> {
  for (let from = 0; from < paths.length; from += 32)
    yield* await Promise.all(
      paths
        .slice(from, from + 32)
        .map(async (path): Promise<[string, Image]> => [path, await readImage(path, background)]),
    );
}

async function onlyDirectories(directory: string, names: string[]): Promise<string[]> {
  const directories: string[] = [];
  for (const name of names) {
    try {
      if ((await stat(join(directory, name))).isDirectory()) directories.push(name);
    } catch (cause) {
      throw fileError("read", join(directory, name), cause);
    }
  }
  return directories;
}
