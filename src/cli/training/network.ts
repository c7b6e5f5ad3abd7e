/** The network that a run trains: made of the layers chosen, by a model file, or taken from a checkpoint. */
import { basename } from "node:path";
import type { Dataset } from "../../data/index.ts";
import { lossNamed, type Model, sequential } from "../../index.ts";
import { chooseBackend } from "../options/backend.ts";
import { UsageError } from "../terminal/exit.ts";
import { plural } from "../terminal/text.ts";
import type { Recipe } from "./defaults.ts";
import type { TrainOptions } from "./run.ts";

/** The network: of the layers chosen, of the model file, or of the checkpoint, when the model file has made it before. */
export async function makeModel(train: Dataset, recipe: Recipe, options: TrainOptions): Promise<Model> {
  const { model: file, resume, seed = 0 } = options;
  const backend = await chooseBackend(options);
  if (file === undefined) return sequential({ input: train.inputShape, seed, backend }, recipe.layers);
  const { buildModel, modelOfCheckpoint, readModelFunction } = await import("../model/model-module.ts");
  if (resume !== undefined) return modelOfCheckpoint(resume, backend);
  return buildModel(file, await readModelFunction(file), { train, recipe, seed, backend });
}

/** The recipe, brought into accord with a network that comes from a file. */
export function fitted(recipe: Recipe, model: Model, { model: builder, from, seed = 0 }: TrainOptions): Recipe {
  const file = builder ?? from;
  if (file === undefined) return recipe;
  const notes = [...recipe.notes];
  if (model.network.seed !== seed) {
    const why = from === undefined ? `${basename(file)} does not pass seed on` : "it decides order and dropout";
    notes.push(`the model has the seed ${model.network.seed}, not ${seed}; ${why}`);
  }
  const [outputs] = model.network.outputShape;
  if (from !== undefined && outputs !== recipe.outputs)
    throw new UsageError(
      `--loss ${recipe.loss.name} needs ${plural(recipe.outputs, "output")}, but the model of ${from} has ${outputs}. Leave --loss out.`,
    );
  // Two outputs for two classes are as good as one; they only take another loss.
  const loss = outputs === recipe.outputs ? recipe.loss : lossNamed("crossEntropy");
  return { ...recipe, loss, outputs, notes };
}
