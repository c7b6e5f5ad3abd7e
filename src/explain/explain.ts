/** The way in: explains one training step of a model on a batch. */

import type { Model } from "../train/model.ts";
import type { Data } from "../train/to-arrays.ts";
import { Explanation } from "./explanation.ts";
import { type ExplainOptions, open } from "./opened-step.ts";

/**
 * Opens one training step of `model` on the batch {x, y}: the forward pass, the loss, the backward pass and the update,
 * every number of them, read from the graph that trains. The model is not changed.
 *
 * @throws DataError, ShapeError if the data do not fit; ArgumentError if an option cannot be carried out
 *
 * @example
 * const step = await explain(model, { x, y }, { loss: "crossEntropy", optimizer: adam() });
 * console.log(step.loss.value, step.weight("dense_1.kernel", [0, 2]).chain.gradient);
 */
export const explain = async (model: Model<unknown>, data: Data, options: ExplainOptions = {}): Promise<Explanation> =>
  new Explanation(await open(model, data, options));
