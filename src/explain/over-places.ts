/**
 * A step seen along sequences: what the states and gates of recurrent layers were at each place and how long the gradient is that
 * comes back to it, and whom each head of attention looks at. All of it is among the step's named arrays; here it is put in order.
 */
import type { AttentionDescription, LayerOverPlaces, OverPlaces } from "./description.ts";
import { layersOf, type Stop } from "./named-arrays.ts";
import type { Opened } from "./opened-step.ts";

/** A gradient so much shorter than the longest has vanished. */
const VANISHED = 1e-4;

/** Recurrent layers, place by place. */
export function layersOverPlaces(opened: Opened): LayerOverPlaces[] {
  const found = new Map<string, Map<string, Stop[]>>();
  for (const stop of opened.stops) {
    const [, layer, key, place] = /^(.+)\.([A-Za-z]+)\.(\d+)$/.exec(stop.name) ?? [];
    if (place === undefined || stop.role !== "result") continue;
    const arrays = found.get(layer) ?? new Map<string, Stop[]>();
    found.set(layer, arrays);
    const places = arrays.get(key) ?? [];
    arrays.set(key, places);
    places[Number(place) - 1] = stop;
  }
  return Array.from(found, ([layer, arrays]) => {
    const described = Array.from(arrays, ([name, places]) => alongPlaces(opened, name, places));
    const state = described.find(({ name }) => name === "state");
    const vanished = state && vanishedAt(state.gradient);
    return { layer, arrays: described, ...(vanished && { vanished }) };
  });
}

/** What was stored of one state or gate at all places. */
function alongPlaces(opened: Opened, name: string, places: readonly Stop[]): OverPlaces {
  const means = places.map(({ node }) => {
    const values = opened.values.get(node);
    return sum(values, (v) => v) / values.length;
  });
  const gradient = places.map(({ node }) => Math.sqrt(sum(opened.values.get(opened.gradient(node)), (v) => v * v)));
  return { name, mean: means, gradient };
}

function sum(values: ArrayLike<number>, of: (value: number) => number): number {
  let total = 0;
  for (let i = 0; i < values.length; i++) total += of(values[i]);
  return total;
}

function vanishedAt(gradient: readonly number[]): LayerOverPlaces["vanished"] {
  const most = Math.max(...gradient);
  const from = gradient.indexOf(most);
  const [place] = gradient
    .map((_, i) => i)
    .filter((i) => gradient[i] < VANISHED * most)
    .sort((a, b) => Math.abs(a - from) - Math.abs(b - from));
  return place === undefined ? undefined : { place: place + 1, ratio: gradient[place] / most, longest: from + 1 };
}

/** The weights of all layers of attention for one sample. */
export function attentionOf(opened: Opened, sample: number): AttentionDescription[] {
  const layers = layersOf(opened.model.network).filter(({ kind }) => kind === "multiHeadAttention");
  return layers.flatMap(({ name: layer }) => {
    const stop = opened.stops.find(({ name }) => name === `${layer}.weights`);
    if (!stop) return [];
    const [, heads, places, seen] = stop.node.shape;
    const all = Array.from(opened.values.get(stop.node));
    const row = (head: number, place: number): number[] => {
      const from = ((sample * heads + head) * places + place) * seen;
      return all.slice(from, from + seen);
    };
    const range = (n: number) => Array.from({ length: n }, (_, i) => i);
    return [{ layer, heads: range(heads).map((head) => range(places).map((place) => row(head, place))) }];
  });
}
