/** Says so when a rare class is mostly missed, which accuracy hides, since guessing the frequent one is nearly always right. */
import { name, percent } from "../terminal/text.ts";
import type { Training } from "../training/run.ts";
import { classCounts, isUneven, type TestScores } from "./scores.ts";

/** @param scores of the test data */
export function rareClasses({ options, data }: Training, scores: TestScores) {
  if (scores.task !== "classification" || options.classWeights !== undefined || !isUneven(scores)) return [];
  const counts = classCounts(scores);
  const missed = counts
    .map((all, i) => ({ all, right: scores.confusion[i][i], title: data.train.classes?.[i] ?? String(i) }))
    .filter(({ all, right }) => all > 0 && right / all < 0.5)
    .sort((a, b) => a.all - b.all);
  if (missed.length === 0) return [];
  const [{ all, right, title }] = missed;
  return [
    {
      kind: "rareClass",
      where: title,
      said: `${all - right} of the ${all} test rows of class ${name(title, 20)} are wrong, though the accuracy is ${percent(scores.accuracy)}: the class is rare, so it hardly counts. To let it count as much as the others: --class-weights balanced.`,
    },
  ];
}
