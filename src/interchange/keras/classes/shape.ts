/** Keras's layers that move values and compute nothing, and those that merge several. */
import { show } from "../../../checks.ts";
import { flatten, reshape, upsampling2d, zeroPadding2d } from "../../../nn/layers/index.ts";
import { kerasLayer } from "../layer.ts";
import type { LayerPlace, Part, Translate } from "./place.ts";

/** [0, 2, 3, 1]: channels first to channels last, for so many axes of places; and the way back. */
export const toLast = (places: number): number[] => [0, ...Array.from({ length: places }, (_, i) => i + 2), 1];
export const toFirst = (places: number): number[] => [
  0,
  places + 1,
  ...Array.from({ length: places }, (_, i) => i + 1),
];

/** Whether a layer has its channels before its places. */
export function isChannelsFirst({ settings }: LayerPlace): boolean {
  settings.only("data_format", "channels_last", "channels_first");
  return settings.value("data_format") === "channels_first";
}

const turned = (order: readonly number[]): Part => ({ layer: kerasLayer({ op: "permute", order }) });

/** Layers on images or sequences; where those have their channels first, between two turns, since ours have them last. */
export function onPlaces(
  place: LayerPlace,
  places: number,
  make: (place: LayerPlace) => readonly Part[],
  { keepsPlaces = true } = {},
): readonly Part[] {
  if (!isChannelsFirst(place)) return make(place);
  const [channels, ...rest] = place.inputs[0];
  const parts = make({ ...place, inputs: [[...rest, channels]] });
  return [turned(toLast(places)), ...parts, ...(keepsPlaces ? [turned(toFirst(places))] : [])];
}

const flat: Translate = (place) => {
  const places = place.inputs[0].length - 1;
  // Keras puts the channels last before it flattens.
  return [...(places > 0 && isChannelsFirst(place) ? [turned(toLast(places))] : []), { layer: flatten() }];
};

const permute: Translate = ({ settings, inputs: [input] }) => {
  const dims = settings.sizes("dims", input.length);
  if (dims.toSorted((a, b) => a - b).some((n, i) => n !== i + 1))
    throw settings.unsupported(`has dims ${show(dims)}, which name not each of ${input.length} axes once`);
  return [turned([0, ...dims])];
};

/** Zeros around, or cut off: of one axis of places or two. */
const around =
  (op: "pad" | "crop", key: string, axes: number): Translate =>
  (place) =>
    onPlaces(place, axes, ({ settings }) => {
      const pairs = settings.pairs(key, axes, op === "pad" ? 1 : 0);
      if (pairs.flat().some((n) => n < 0)) throw settings.unsupported(`has ${key} below 0`);
      if (op === "pad" && axes === 2) return [{ layer: zeroPadding2d(pairs as [[number, number], [number, number]]) }];
      const [before, after] = [0, 1].map((end) => [...pairs.map((pair) => pair[end]), 0]);
      return [{ layer: kerasLayer({ op, before, after }) }];
    });

export const SHAPE_CLASSES: Readonly<Record<string, Translate>> = {
  Flatten: flat,
  Reshape: ({ settings }) => [{ layer: reshape([...settings.list("target_shape")]) }],
  Permute: permute,
  RepeatVector: ({ settings }) => [{ layer: kerasLayer({ op: "repeat", times: settings.whole("n") }) }],
  ZeroPadding1D: around("pad", "padding", 1),
  ZeroPadding2D: around("pad", "padding", 2),
  Cropping1D: around("crop", "cropping", 1),
  Cropping2D: around("crop", "cropping", 2),
  UpSampling1D: ({ settings }) => [{ layer: kerasLayer({ op: "upsample", size: settings.whole("size", 2) }) }],
  UpSampling2D: (place) =>
    onPlaces(place, 2, ({ settings }) => {
      settings.only("interpolation", "nearest");
      return [{ layer: upsampling2d(settings.sizes("size", 2, 2) as [number, number]) }];
    }),
};
