/**
 * The report of a test as lines of text, at most 80 columns: accuracy by class, the confusion matrix or, for many
 * classes, the worst confusions; for regression the usual errors. Pure functions of the scores.
 */

import { bar, count, measure, name, type Paint, percent, plural } from "../terminal/text.ts";
import type { ClassScores, TestScores, ValueScores } from "./scores.ts";

/** What the report is drawn on. */
export interface Sheet {
  readonly paint: Paint;
  readonly width: number;
}

export function scoreLines(title: string, scores: TestScores, classes: readonly string[], sheet: Sheet): string[] {
  const { paint } = sheet;
  const head = `${paint("bold", title)}  ${paint("dim", plural(scores.count, "row"))}`;
  return scores.task === "classification"
    ? [head, ...classLines(scores, classes, sheet)]
    : [head, ...valueLines(scores, sheet)];
}

function valueLines(scores: ValueScores, { paint }: Sheet): string[] {
  const { meanAbsoluteError, rootMeanSquaredError, r2, loss, lossName } = scores;
  return [
    `  mean absolute error      ${measure(meanAbsoluteError)}`,
    `  root mean squared error  ${measure(rootMeanSquaredError)}`,
    `  R²                       ${paint("bold", r2.toFixed(4))}   ${paint("dim", "1 is perfect; the mean alone gives 0")}`,
    `  loss                     ${measure(loss)}${/square/i.test(lossName) ? `   ${paint("dim", "in the square of the target's unit; the errors are in the unit itself")}` : ""}`,
  ];
}

function classLines(scores: ClassScores, classes: readonly string[], sheet: Sheet): string[] {
  const { paint } = sheet;
  const wrong = Math.round(scores.count * (1 - scores.accuracy));
  const lines = [
    `  accuracy  ${paint("bold", percent(scores.accuracy))}   ${paint("dim", `${count(wrong)} of ${count(scores.count)} wrong`)}`,
    ...(scores.balancedAccuracy === undefined
      ? []
      : [
          `  balanced  ${paint("bold", percent(scores.balancedAccuracy))}   ${paint("dim", "the mean of the classes' accuracies")}`,
        ]),
    `  loss      ${measure(scores.loss)}`,
    ...binaryLines(scores, classes, sheet),
    "",
    ...perClass(scores, classes, sheet),
    "",
  ];
  return [...lines, ...(matrix(scores, classes, sheet) ?? worst(scores, classes, sheet))];
}

/** Of two classes, how well the second is told from the first. */
function binaryLines(
  { precision, recall, f1, auc }: ClassScores,
  classes: readonly string[],
  { paint }: Sheet,
): string[] {
  if (precision === undefined || recall === undefined || f1 === undefined || auc === undefined) return [];
  const title = name(classes[1] ?? "1", 20);
  return [
    `  for ${title}: precision ${percent(precision)}, recall ${percent(recall)}, F1 ${f1.toFixed(4)}`,
    `  area under the ROC curve ${auc.toFixed(4)}   ${paint("dim", "1 is perfect; chance gives 0.5")}`,
  ];
}

/** The most classes that are shown one by one. */
const MOST_CLASSES = 30;

function perClass({ confusion }: ClassScores, classes: readonly string[], { paint, width }: Sheet): string[] {
  const rows = classes
    .map((title, i) => ({ title, all: confusion[i].reduce((a, b) => a + b, 0), right: confusion[i][i] }))
    .filter(({ all }) => all > 0);
  const isCut = rows.length > MOST_CLASSES;
  if (isCut) rows.sort((a, b) => a.right / a.all - b.right / b.all);
  const shown = rows.slice(0, isCut ? 10 : MOST_CLASSES);
  const column = Math.min(24, Math.max(5, ...shown.map(({ title }) => name(title, 24).length)));
  const barWidth = Math.max(10, Math.min(30, width - column - 33));
  // Bars begin at the round tenth below the worst class, so that differences can be seen.
  const least =
    Math.max(0, Math.min(9, Math.ceil(Math.min(...shown.map(({ right, all }) => right / all)) * 10) - 1)) / 10;
  return [
    paint(
      "dim",
      `  ${(isCut ? "worst 10" : "class").padEnd(column)}    rows   right   accuracy${least > 0 ? `  bars from ${percent(least, 0)}` : ""}`,
    ),
    ...shown.map(({ title, all, right }) => {
      const share = right / all;
      const { full, rest } = bar((share - least) / (1 - least), barWidth);
      const numbers = `${count(all).padStart(6)}  ${count(right).padStart(6)}  ${percent(share).padStart(9)}`;
      return `  ${name(title, column).padEnd(column)}  ${numbers}  ${paint("green", full)}${paint("dim", rest)}`;
    }),
  ];
}

function matrix({ confusion }: ClassScores, classes: readonly string[], { paint, width }: Sheet): string[] | undefined {
  const most = Math.max(...confusion.flat());
  const label = Math.min(14, Math.max(...classes.map((title) => name(title, 14).length)));
  const room = Math.floor((width - 2 - label) / classes.length);
  const cell = Math.max(count(most).length, Math.min(label, 10)) + 2;
  const fitted = Math.min(cell, room);
  if (fitted < count(most).length + 1) return undefined;
  return [
    `  ${paint("bold", "Confusion matrix")}  ${paint("dim", "a row for each true class, a column for what the model said")}`,
    paint("dim", `  ${" ".repeat(label)}${classes.map((title) => name(title, fitted - 1).padStart(fitted)).join("")}`),
    ...confusion.map((line, i) => {
      const all = line.reduce((a, b) => a + b, 0);
      const cells = line.map((n, j) => {
        const text = (n === 0 ? "·" : count(n)).padStart(fitted);
        return n === 0
          ? paint("dim", text)
          : i === j
            ? paint("green", text)
            : n * 100 >= all
              ? paint("red", text)
              : text;
      });
      return `  ${paint("dim", name(classes[i], label).padEnd(label))}${cells.join("")}`;
    }),
  ];
}

function worst({ confusion }: ClassScores, classes: readonly string[], { paint }: Sheet): string[] {
  const pairs = confusion
    .flatMap((line, i) => line.map((n, j) => ({ n, i, j })))
    .filter(({ n, i, j }) => i !== j && n > 0)
    .sort((a, b) => b.n - a.n)
    .slice(0, 10);
  if (pairs.length === 0) return [];
  return [
    `  ${paint("bold", "Most frequent confusions")}`,
    ...pairs.map(
      ({ n, i, j }) => `  ${count(n).padStart(6)} ×  ${name(classes[i], 30)} taken for ${name(classes[j], 30)}`,
    ),
  ];
}
