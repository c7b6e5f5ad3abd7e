/** A lesson from step to step in a lab without a page: what each does, and the engine's numbers for its words. */
import type { Lab } from "../lab/lab.ts";
import type { Frame } from "../lab/looks.ts";
import { type Lesson, type LessonStep, quantitiesIn } from "./lesson.ts";

/** The quantities that a step's words and question name. */
export function quantitiesOf({ paragraphs, question }: LessonStep): string[] {
  const words = quantitiesIn([...paragraphs, question?.text ?? "", question?.after ?? ""].join(" "));
  return [...new Set([...words, ...(question ? [question.quantity] : [])])];
}

export async function* walkLesson(
  lab: Lab,
  lesson: Lesson,
): AsyncGenerator<{ readonly step: LessonStep; readonly numbers: ReadonlyMap<string, number> }> {
  const frames = lab.frames();
  const at = async (moment: number): Promise<void> => {
    for (;;) if (((await frames.next()).value as Frame).moment === moment) return;
  };
  for (const step of lesson.steps) {
    for (const action of step.actions) {
      if (action.kind === "spec") await lab.open(action.spec);
      if (action.kind === "row") lab.look({ row: action.row, heldOut: false, gradients: false });
      if (action.kind === "go") {
        lab.goTo(action.moment);
        await at(action.moment);
      }
      if (action.kind === "choose") {
        const { subject } = action;
        if (subject.kind === "weight") await lab.weight(subject.name, subject.index);
        else if (subject.kind === "unit") await lab.unit(subject.layer, subject.unit);
        else await lab.loss();
      }
    }
    const wanted = quantitiesOf(step);
    const values = await lab.measure(wanted);
    yield { step, numbers: new Map(wanted.map((quantity, i) => [quantity, values[i]])) };
  }
}
