/**
 * Chooses how strongly the weights of a network for a table are held back (weight decay), by trying: rows without noise
 * are learnt best with hardly any, noisy ones with much, and only rows that were held out can tell which they are.
 */
import { type DataStream, type Dataset, sliceSeries, split } from "../../data/index.ts";
import { DivergenceError, type Model, recommend } from "../../index.ts";
import { type ForecastData, forecastParts, isForecast } from "../data/series.ts";
import { examplesFor } from "../options/losses.ts";
import type { Display } from "../report/progress.ts";
import { measure } from "../terminal/text.ts";
import { chooseRecipe, type Recipe } from "./defaults.ts";
import { makeModel } from "./network.ts";
import type { TrainOptions } from "./run.ts";

/** What is tried, times what is usual for so many rows. */
const STRENGTHS = [0.2, 1, 4];
/** Of fewer rows too few could be held out; of more the decay matters little, and trying takes long. */
const [LEAST_ROWS, MOST_ROWS] = [20, 5000];
/** Up to so many rows a trial is repeated with other rows held out, since one draw of them says little. */
const FEW_ROWS = 1000;
const REPEATS = 3;
const HELD_OUT = 0.2;

const rounded = (decay: number): number => Number(decay.toPrecision(2));

/** What to try for so many rows; nothing where they are too few or too many. */
const decaysToTry = (rows: number, usual: number): readonly number[] =>
  rows < LEAST_ROWS || rows > MOST_ROWS ? [] : STRENGTHS.map((strength) => rounded(strength * usual));

/** The loss on held-out rows that a recipe's network comes to, over some draws of them. */
async function heldOutLoss(
  train: Dataset,
  recipe: Recipe,
  seed: number,
  makeModel: () => Promise<Model>,
): Promise<number> {
  // A series has one end only.
  const repeats = train.count <= FEW_ROWS && !isForecast(train) ? REPEATS : 1;
  let total = 0;
  for (let i = 0; i < repeats; i++) {
    const [rest, held] = heldOut(train, seed + i);
    total += await trial(await makeModel(), recipe, rest, held);
  }
  return total / repeats;
}

/** Whether a part of the rows can be held out: of a series it takes room for a window in each. */
const canHoldOut = (train: Dataset): boolean =>
  !isForecast(train) || rowsOf(train) >= 2 * (train.plan.length + train.plan.horizon);

/** How many times windows reach over. */
const rowsOf = ({ begins, plan }: ForecastData): number =>
  begins[begins.length - 1] - begins[0] + plan.length + plan.horizon;

/** Rows at random; of a series its end, as neighbouring windows know of each other. */
function heldOut(train: Dataset, seed: number): [Dataset, Dataset] {
  if (!isForecast(train)) return split(train, [1 - HELD_OUT, HELD_OUT], { seed });
  const [from] = train.begins;
  const series = sliceSeries(train.series, from, from + rowsOf(train));
  const parts = forecastParts({ ...train, series }, { test: HELD_OUT, validation: 0 });
  return [parts.train, parts.test ?? parts.train];
}

async function trial(model: Model, recipe: Recipe, rest: Dataset, held: Dataset): Promise<number> {
  try {
    const { loss, optimizer, batchSize } = recipe;
    // As many steps as with all rows, since decay does its work step by step.
    const epochs = Math.round(recipe.epochs / (1 - HELD_OUT));
    await model.fit(examplesFor(rest, loss, model), { loss, optimizer, epochs, batchSize, onWarning: false });
    return (await model.evaluate(examplesFor(held, loss, model), { loss })).loss;
  } catch (error) {
    // The run itself will say so, better than this could.
    if (error instanceof DivergenceError) return Number.POSITIVE_INFINITY;
    throw error;
  } finally {
    model.close();
  }
}

/**
 * The options with an optimiser: for tables, where none was given, one with the weight decay that did best in a trial. As
 * an option it is kept by checkpoints, so that a resumed run need not try again.
 */
export async function withOptimizer(
  train: Dataset,
  said: TrainOptions,
  display: Display,
  stream?: DataStream,
): Promise<{ options: TrainOptions; notes: readonly string[] }> {
  const { optimizer, model, from, resume, seed = 0, epochs = Number.POSITIVE_INFINITY } = said;
  const advice = recommend(train, stream);
  if ((optimizer ?? from ?? resume) !== undefined || advice.weightDecay === 0) return { options: said, notes: [] };
  const withDecay = (decay: number): TrainOptions => ({ ...said, optimizer: `adamw weightDecay=${decay}` });
  const decays =
    model === undefined && canHoldOut(train) ? decaysToTry((stream ?? train).count, advice.weightDecay) : [];
  if (decays.length === 0) return { options: withDecay(rounded(advice.weightDecay)), notes: [] };
  display.note(`Trying weight decays of ${decays.join(", ")} on held-out training rows.`);
  const short = Math.min(epochs, advice.epochs);
  const losses: number[] = [];
  for (const decay of decays) {
    const options = { ...withDecay(decay), epochs: short, threads: 1 };
    const recipe = chooseRecipe(train, options);
    losses.push(await heldOutLoss(train, recipe, seed, () => makeModel(train, recipe, options)));
  }
  const best = decays[losses.indexOf(Math.min(...losses))];
  const scores = losses.map((loss, i) => `${measure(loss)} with ${decays[i]}`).join(", ");
  return {
    options: withDecay(best),
    notes: [`weight decay ${best}, since the loss on held-out training rows was ${scores}`],
  };
}
