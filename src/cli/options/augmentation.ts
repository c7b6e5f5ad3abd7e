/** Reads `--augment`, such as `shift 2, rotate 10, flip, noise 5`; what is done to an image is the library's. */
import { type AugmentOptions, augmentImage, type Dataset } from "../../data/index.ts";
import { type Augment, RandomStream } from "../../index.ts";
import { UsageError } from "../terminal/exit.ts";
import { anyNumber, asUsage, type Entry, entry, type Parameter, readItem } from "./language.ts";

const amount: Parameter<number> = {
  wanted: "a number above 0",
  read: (text) => {
    const value = anyNumber.read(text);
    return value !== undefined && value > 0 ? value : undefined;
  },
};
const DIRECTIONS = ["horizontal", "vertical", "both"] as const;
const direction: Parameter<(typeof DIRECTIONS)[number]> = {
  wanted: `one of ${DIRECTIONS.join(", ")}`,
  known: DIRECTIONS,
  read: (text) => DIRECTIONS.find((known) => known === text),
};

const KINDS: Readonly<Record<string, Entry<AugmentOptions>>> = {
  shift: entry("shift", { pixels: amount }, {}, ({ pixels }) => ({ shift: pixels })),
  rotate: entry("rotate", { degrees: amount }, {}, ({ degrees }) => ({ rotate: degrees })),
  flip: entry("flip", {}, { direction }, ({ direction = "horizontal" }) => ({ flip: direction })),
  noise: entry("noise", { deviation: amount }, {}, ({ deviation }) => ({ noise: deviation })),
  fill: entry("fill", { value: anyNumber }, {}, ({ value }) => ({ fill: value })),
};

/** Reads the list. Throws `UsageError`. */
export function readAugment(text: string): AugmentOptions {
  const all = text
    .split(",")
    .map((item) => asUsage(`--augment "${text}"`, () => readItem(item.trim(), KINDS, "change")));
  const keys = all.flatMap((one) => Object.keys(one));
  const twice = keys.find((key, i) => keys.indexOf(key) !== i);
  if (twice !== undefined) throw new UsageError(`--augment "${text}" says ${twice} twice; leave one out.`);
  return Object.assign({}, ...all) as AugmentOptions;
}

/** What `fit` does to each image of a data set, decided by seed, epoch and row. */
export function augmenter(text: string, { inputShape, x }: Dataset, seed: number): Augment {
  const options = readAugment(text);
  if (inputShape.length !== 3 || !(x instanceof Uint8Array || x instanceof Float32Array)) {
    throw new UsageError(
      `--augment is for images [H, W, C]; a row of these data has shape [${inputShape.join(", ")}]. Leave it out.`,
    );
  }
  return (row, epoch, index) =>
    augmentImage(row, inputShape, options, new RandomStream(seed, `augment ${epoch} ${index}`));
}
