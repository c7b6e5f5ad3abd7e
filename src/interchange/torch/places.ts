/**
 * Where the layers of a network stand, as PyTorch would hold their values: images and what convolutions make of sequences have their
 * channels first there. That matters for weights where such values are flattened: PyTorch puts the numbers of [C, H, W] in a row, ours
 * those of [H, W, C]. Nothing is computed; the way through the network is that of its wiring.
 */
import { ArgumentError } from "../../errors.ts";
import { type Shape, sizeOf } from "../../graph/shape.ts";
import type { NamedLayer, Network } from "../../nn/network.ts";
import { chained, type Wiring } from "../../nn/wiring.ts";

/** Features in a row: so many, or those of an array [H, W, C] or [L, C] that PyTorch flattens with its channels first. */
export type Segment = { readonly size: number; readonly shape?: Shape };

/** A layer with parameters of its own, in its place. */
export interface Place {
  readonly layer: NamedLayer;
  /** Its own parameters by their names within it, with their shapes. */
  readonly parameters: ReadonlyMap<string, Shape>;
  /** Our number of an input feature → PyTorch's, where a flattened array stands before it. */
  inputs?: readonly number[];
  /** Our number of an output feature → PyTorch's, where its output becomes an image. */
  outputs?: readonly number[];
}

/** How PyTorch would hold a value. */
export interface Layout {
  /** Ours, of one sample. */
  readonly shape: Shape;
  /** Whether PyTorch has its channels first. */
  readonly first: boolean;
  /** Of features in a row: what they were. */
  readonly row?: readonly Segment[];
  /** The layers whose output features these are. */
  readonly makers: readonly Place[];
}

/** Goes through layers as they are wired, and gives all values; `leaf` says what a layer that holds no others makes of its inputs. */
export function walk<V>(
  layers: readonly NamedLayer[],
  wiring: Wiring = chained(layers.length),
  inputs: readonly V[],
  leaf: (layer: NamedLayer, inputs: readonly V[]) => V,
): V[] {
  const values = [...inputs];
  for (const [index, ...from] of wiring) {
    const layer = layers[index];
    const taken = from.map((i) => values[i]);
    const inner = (layer.config as { readonly wiring?: Wiring }).wiring;
    values.push(layer.layers.length > 0 ? walk(layer.layers, inner, taken, leaf).at(-1)! : leaf(layer, taken));
  }
  return values;
}

/** PyTorch's number of each feature of rows; undefined where they are the same. */
export function numbersOf(row: readonly Segment[] | undefined): readonly number[] | undefined {
  if (!row?.some(({ shape }) => shape)) return undefined;
  const numbers: number[] = [];
  for (const { size, shape } of row) {
    const begin = numbers.length;
    const channels = shape?.[shape.length - 1] ?? 1;
    const places = size / channels;
    for (let i = 0; i < size; i++) numbers.push(begin + (i % channels) * places + Math.floor(i / channels));
  }
  return numbers;
}

/** An array in a row: as it is where PyTorch puts its numbers in the same order. */
function segmentOf(shape: Shape, first: boolean): Segment {
  const [size, channels] = [sizeOf(shape), shape[shape.length - 1]];
  return first && channels > 1 && channels < size ? { size, shape } : { size };
}

/** Layers that leave each number where it is. */
const ELEMENTWISE = ["activation", "dropout", "spatialDropout", "rescale", "masking"];
/** Layers with parameters for each feature. */
const BY_FEATURE = ["batchNorm", "layerNorm", "rmsNorm", "normalize"];
/** Layers that PyTorch gives sequences with their channels first. */
const FIRST_OF_SEQUENCES = ["conv1d", "maxPool1d", "averagePool1d"];

/** All layers of a network that have parameters, in the order of the layers, with what flattening means for them. */
export function placesOf(network: Network): Place[] {
  const places = new Map<string, Place>();
  for (const layer of network.allLayers) {
    const inner = new Set(layer.layers.flatMap(({ parameters }) => parameters));
    // States that go on from batch to batch are no weights.
    const own = layer.parameters.filter((parameter) => !inner.has(parameter) && !parameter.carried);
    if (own.length === 0) continue;
    const parameters = new Map(own.map(({ name, node }) => [name.slice(layer.name.length + 1), node.shape]));
    places.set(layer.name, { layer, parameters });
  }
  const { inputs, layers, connections } = network;
  walk(layers, connections.wiring, inputs.map(layoutOfInput), (layer, taken) =>
    layoutAfter(layer, taken, places.get(layer.name)),
  );
  return [...places.values()];
}

/** Data: images have their channels first. */
export const layoutOfInput = ({ shape }: { readonly shape: Shape }): Layout => ({
  shape,
  first: shape.length === 3,
  makers: [],
});

/** What a layer that holds no others makes of its inputs. */
export function layoutAfter(layer: NamedLayer, inputs: readonly Layout[], place: Place | undefined): Layout {
  const { kind, outputShape: shape } = layer;
  const [x] = inputs;
  const isRow = x.shape.length === 1;
  const plain: Layout = { shape, first: false, makers: [] };
  if (kind === "merge") return merged(layer, inputs);
  if (ELEMENTWISE.includes(kind)) return x;
  if (BY_FEATURE.includes(kind)) {
    if (!isRow) return kind === "batchNorm" || shape.length === 3 ? x : plain;
    if (place) settle(place, "inputs", numbersOf(x.row));
    return place ? { ...x, makers: [...x.makers, place] } : x;
  }
  if (kind === "dense") {
    if (place && isRow) settle(place, "inputs", numbersOf(x.row));
    return place && isRow ? { ...plain, makers: [place] } : plain;
  }
  if (kind === "flatten" || (kind === "reshape" && shape.length === 1))
    return isRow ? x : { ...plain, row: [segmentOf(x.shape, x.first)] };
  if (kind === "reshape" && isRow && shape.length === 3) makeAs([segmentOf(shape, true)], x);
  return { ...plain, first: shape.length === 3 || FIRST_OF_SEQUENCES.includes(kind) };
}

/** Several values as one: features in a row take the order of that which was an image. */
function merged({ config, outputShape: shape }: NamedLayer, inputs: readonly Layout[]): Layout {
  const plain: Layout = { shape, first: inputs.some((x) => x.first), makers: [] };
  if (shape.length !== 1) return plain;
  if ((config as { readonly how?: string }).how === "concat")
    return { ...plain, row: inputs.flatMap((x) => x.row ?? [{ size: sizeOf(x.shape) }]) };
  const row = inputs.map((x) => x.row).find(numbersOf);
  if (row) for (const x of inputs) makeAs(row, x);
  return { ...plain, ...(row && { row }), makers: inputs.flatMap(({ makers }) => makers) };
}

/** Gives the layers that made features an order of them, unless they have one. */
function makeAs(row: readonly Segment[], x: Layout): void {
  if (numbersOf(x.row)) return;
  for (const maker of x.makers) settle(maker, maker.layer.kind === "dense" ? "outputs" : "inputs", numbersOf(row));
}

function settle(place: Place, side: "inputs" | "outputs", numbers: readonly number[] | undefined): void {
  if (!numbers) return;
  const known = place[side];
  if (known && known.join() !== numbers.join())
    throw new ArgumentError(
      `Layer ${place.layer.name} is used on features that PyTorch would have in different orders; give it one use, or flatten in one way.`,
    );
  place[side] = numbers;
}
