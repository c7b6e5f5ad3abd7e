/** Builds the network of a spec: its layers between what the data need before and after them. */
import { ChainruleError, dense, flatten, type Layer, Network, type Recommendation } from "chainrule";
import { makeLayer } from "./layer-kinds.ts";
import type { Spec } from "./spec.ts";

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

/** The layers in a row, each with its card. Throws a `CardError` at the first that does not fit. */
export function placeLayers(
  spec: Spec,
  inputShape: readonly number[],
  advice: Recommendation,
  outputs: number,
): PlacedLayer[] {
  const placed: PlacedLayer[] = advice.enter.map((layer) => ({ layer }));
  const shapeAfter = (layers: readonly PlacedLayer[]): readonly number[] =>
    new Network(
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
  flattened();
  placed.push({ layer: dense(outputs) });
  return [...placed, ...advice.leave.map((layer) => ({ layer }))];
}
