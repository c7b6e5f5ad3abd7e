/**
 * Lessons are text, one file each: steps with what to do (lines that begin with @), words, and numbers that are asked of the
 * learner before they are shown. Numbers in the words stand in braces and come from the engine. This file reads the text.
 *
 * @spec { … }            begins a run: what differs from the first one
 * @go 20                 trains up to this step, or goes back to it
 * @row 3                 looks at this row, from 0
 * @choose weight dense_1.kernel 0,0 | unit dense_1 0 | loss
 * @show gradients | values
 * ? What is z?           a question
 * = z dense_1 0          the quantity that answers it
 * ~ 0.01                 how far off is right; relative where the number is above 1
 * ! Because …            what is said afterwards
 */
import { FIRST, type Spec } from "../lab/spec.ts";
import type { Subject } from "../page/subject.ts";

export type Action =
  | { readonly kind: "spec"; readonly spec: Spec }
  | { readonly kind: "go"; readonly moment: number }
  | { readonly kind: "row"; readonly row: number }
  | { readonly kind: "choose"; readonly subject: Subject }
  | { readonly kind: "show"; readonly gradients: boolean };

export interface Question {
  readonly text: string;
  /** What the lab measures for the answer. */
  readonly quantity: string;
  readonly tolerance: number;
  readonly after: string;
}

export interface LessonStep {
  readonly title: string;
  readonly actions: readonly Action[];
  /** Words, with quantities in braces. */
  readonly paragraphs: readonly string[];
  readonly question?: Question;
}

export interface Lesson {
  readonly title: string;
  readonly summary: string;
  readonly minutes: number;
  readonly steps: readonly LessonStep[];
}

const numbers = (text: string): number[] => text.split(",").map(Number);

function actionOf(line: string): Action {
  const [, kind, rest = ""] = /^@(\w+)\s*(.*)$/.exec(line) ?? [];
  const [first, second, third] = rest.split(/\s+/);
  switch (kind) {
    case "spec":
      return { kind, spec: { ...FIRST, ...(JSON.parse(rest) as Partial<Spec>) } };
    case "go":
      return { kind, moment: Number(first) };
    case "row":
      return { kind, row: Number(first) };
    case "show":
      return { kind, gradients: first === "gradients" };
    case "choose":
      if (first === "weight") return { kind, subject: { kind: "weight", name: second, index: numbers(third) } };
      if (first === "unit") return { kind, subject: { kind: "unit", layer: second, unit: numbers(third) } };
      if (first === "loss") return { kind, subject: { kind: "loss" } };
  }
  throw new Error(`A lesson has the line "${line}", which says nothing that is known.`);
}

function stepOf(text: string): LessonStep {
  const [title, ...lines] = text.trim().split("\n");
  const starting = (mark: string): string[] =>
    lines.filter((line) => line.startsWith(mark)).map((line) => line.slice(mark.length).trim());
  const [question] = starting("? ");
  const words = lines.filter((line) => !/^[@?=~!]/.test(line)).join("\n");
  return {
    title: title.trim(),
    actions: lines.filter((line) => line.startsWith("@")).map(actionOf),
    paragraphs: words
      .split(/\n\s*\n/)
      .map((paragraph) => paragraph.trim().replaceAll("\n", " "))
      .filter((paragraph) => paragraph !== ""),
    ...(question !== undefined && {
      question: {
        text: question,
        quantity: starting("= ")[0],
        tolerance: Number(starting("~ ")[0] ?? 0.01),
        after: starting("! ").join(" "),
      },
    }),
  };
}

/** Reads a lesson's text. */
export function readLesson(text: string): Lesson {
  const [head, ...steps] = text.split(/^## /m);
  const [, title] = /^# (.*)$/m.exec(head) ?? [];
  const [, summary] = /^> (.*)$/m.exec(head) ?? [];
  const [, minutes] = /^minutes (\d+)$/m.exec(head) ?? [];
  return { title, summary, minutes: Number(minutes), steps: steps.map(stepOf) };
}

/** The quantities that stand in braces in a text. */
export const quantitiesIn = (text: string): string[] =>
  [...text.matchAll(/\{([^}]+)\}/g)].map(([, quantity]) => quantity);
