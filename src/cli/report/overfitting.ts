/** Says so when a model knows the rows it was trained on much better than others: it has learnt their noise. */
import { split } from "../../data/index.ts";
import { percent } from "../terminal/text.ts";
import type { Training } from "../training/run.ts";
import { measureModel, type TestScores } from "./scores.ts";

/** So many training rows are looked at. */
const ROWS = 10_000;
/** From these differences on it is worth a word; of fewer rows than that, chance makes as large ones. */
const [LEAST_ROWS, ACCURACY, R2] = [20, 0.1, 0.3];

/** @param scores of the test data */
export async function overfitting({ model, parts, recipe, options }: Training, scores: TestScores) {
  const { train, test } = parts; // of a stream some rows are enough
  if (!test || test.count < LEAST_ROWS) return [];
  const some = train.count > ROWS ? split(train, [ROWS / train.count], { seed: options.seed ?? 0 })[0] : train;
  const seen = await measureModel(model, some);
  const said = compare(seen, scores);
  if (said === undefined) return [];
  const { weightDecay = 0 } = recipe.optimizer.config as { weightDecay?: number };
  const more = Number((weightDecay > 0 ? 4 * weightDecay : 0.1).toPrecision(2));
  return [
    {
      kind: "overfitting",
      where: "test",
      said: `The network has learnt the training rows by heart: ${said}. Try more rows, fewer units (--layers), more weight decay (--optimizer "adamw weightDecay=${more}"), dropout, or --validation 0.2 --early-stopping 10.`,
    },
  ];
}

function compare(seen: TestScores, unseen: TestScores): string | undefined {
  if (seen.task === "regression" && unseen.task === "regression") {
    if (!(seen.r2 - unseen.r2 > R2)) return undefined;
    return `R² is ${seen.r2.toFixed(2)} on them and ${unseen.r2.toFixed(2)} on the test rows`;
  }
  if (seen.task === "regression" || unseen.task === "regression") return undefined;
  const chance = 2 * Math.sqrt((unseen.accuracy * (1 - unseen.accuracy)) / unseen.count);
  if (seen.accuracy - unseen.accuracy < ACCURACY + chance) return undefined;
  return `${percent(seen.accuracy, 0)} of them are right, and ${percent(unseen.accuracy, 0)} of the test rows`;
}
