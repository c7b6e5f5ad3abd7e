/**
 * Chooses how strongly the weights of a network for a table are held back (weight decay), by trying: rows without noise
 * are learnt best with hardly any, noisy ones with much, and only rows that were held out can tell which they are.
 */
import { type Dataset, split } from "../data/index.ts";
import { DivergenceError, type Model } from "../index.ts";
import { examplesFor } from "./losses.ts";
import type { Recipe } from "./recipe.ts";

/** What is tried, times 1/√rows: the fewer the rows, the more their noise counts. */
const STRENGTHS = [1, 5, 20];
/** Of fewer rows too few could be held out; of more the decay matters little, and trying takes long. */
const [LEAST_ROWS, MOST_ROWS] = [20, 5000];
/** Up to so many rows a trial is repeated with other rows held out, since one draw of them says little. */
const FEW_ROWS = 1000;
const REPEATS = 3;
const HELD_OUT = 0.2;

/** The decay where none is tried: the middle one. */
export const usualDecay = (rows: number, strength = STRENGTHS[1]): number =>
  Number((strength / Math.sqrt(rows)).toPrecision(2));

/** What to try for so many rows; nothing where they are too few or too many. */
export const decaysToTry = (rows: number): readonly number[] =>
  rows < LEAST_ROWS || rows > MOST_ROWS ? [] : STRENGTHS.map((strength) => usualDecay(rows, strength));

/** The loss on held-out rows that a recipe's network comes to, over some draws of them. */
export async function heldOutLoss(
  train: Dataset,
  recipe: Recipe,
  seed: number,
  makeModel: () => Promise<Model>,
): Promise<number> {
  const repeats = train.count <= FEW_ROWS ? REPEATS : 1;
  let total = 0;
  for (let i = 0; i < repeats; i++) {
    const [rest, held] = split(train, [1 - HELD_OUT, HELD_OUT], { seed: seed + i });
    total += await trial(await makeModel(), recipe, rest, held);
  }
  return total / repeats;
}

async function trial(model: Model, recipe: Recipe, rest: Dataset, held: Dataset): Promise<number> {
  try {
    const { loss, optimizer, batchSize } = recipe;
    // As many steps as with all rows, since decay does its work step by step.
    const epochs = Math.round(recipe.epochs / (1 - HELD_OUT));
    await model.fit(examplesFor(rest, loss, model), { loss, optimizer, epochs, batchSize });
    return (await model.evaluate(examplesFor(held, loss, model), { loss })).loss;
  } catch (error) {
    // The run itself will say so, better than this could.
    if (error instanceof DivergenceError) return Number.POSITIVE_INFINITY;
    throw error;
  } finally {
    model.close();
  }
}
