/** Builds the network of a spec: its layers between what the data need before and after them. */
import {
  ChainruleError,
  DataError,
  dense,
  flatten,
  type Layer,
  type Model,
  Network,
  type Recommendation,
} from "chainrule";
import { cardOf } from "./layer-kinds.ts";
import { makeLayer } from "./make-layer.ts";
import type { LayerSpec, Spec } from "./spec.ts";

/** A layer, and the card it comes from; none where the data ask for it. */
export interface PlacedLayer {
  readonly layer: Layer;
  readonly card?: number;
}

/** A mistake in the network, at the card that it is about. */
export class CardError extends Error {
  override name = "CardError";
  readonly card: number;

  constructor(message: string, card: number) {
    super(message);
    this.card = card;
  }
}

/** How many numbers the network gives for each row: for two classes some losses take one, others two. */
export function outputsFor(loss: string, advice: Recommendation, classes: number | undefined): number {
  if (classes === undefined) return advice.outputs;
  return loss === "crossEntropy" || classes > 2 ? classes : 1;
}

/**
 * The layers in a row, each with its card; with advice, between what the data need before and after them. Throws a
 * `CardError` at the first that does not fit.
 */
export function placeLayers(
  spec: Spec,
  inputShape: readonly number[],
  advice: Recommendation | undefined,
): PlacedLayer[] {
  const placed: PlacedLayer[] = (advice?.enter ?? []).map((layer) => ({ layer }));
  const shapeAfter = (layers: readonly PlacedLayer[]): readonly number[] =>
    layers.length === 0
      ? inputShape
      : new Network(
          inputShape,
          spec.seed,
          layers.map(({ layer }) => layer),
        ).outputShape;
  const flattened = (): void => {
    if (shapeAfter(placed).length > 1) placed.push({ layer: flatten() });
  };
  spec.layers.forEach((own, card) => {
    try {
      if (own.kind === "dense") flattened();
      placed.push({ layer: makeLayer(own), card });
      shapeAfter(placed);
    } catch (error) {
      if (error instanceof ChainruleError) throw new CardError(error.message, card);
      throw error;
    }
  });
  if (!advice) return placed;
  flattened();
  placed.push({ layer: dense(advice.outputs) });
  return [...placed, ...advice.leave.map((layer) => ({ layer }))];
}

/** The cards of a model: its layers without those that the data ask for. */
export function cardsOf({ network }: Model, name: string): LayerSpec[] {
  const layers = network.toLayers();
  const scales = (layer: Layer | undefined): boolean => layer?.kind === "normalize" || layer?.kind === "rescale";
  const own = layers.filter(({ kind }) => kind !== "flatten");
  if (scales(own[0])) own.shift();
  if (scales(own.at(-1))) own.pop();
  if (network.connections.wiring || own.pop()?.kind !== "dense")
    throw new DataError(
      `${name} is no row of layers that ends in a dense one; the studio has no cards for it. The command explains it.`,
    );
  return own.map((layer) => {
    const card = cardOf(layer);
    if (card) return card;
    throw new DataError(
      `${name} has a layer ${layer.kind} with settings that no card of the studio has. The command explains it: chainrule explain.`,
    );
  });
}
