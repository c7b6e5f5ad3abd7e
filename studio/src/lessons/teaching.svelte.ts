/** A lesson that is under way: it does what each step says, asks, and compares the answer with the engine's. */
import type { Session } from "../page/session.svelte.ts";
import { type Lesson, type LessonStep, readLesson } from "./lesson.ts";
import { quantitiesOf } from "./walk.ts";

/** Where each lesson lies beside the page: text, that is fetched when it is asked for. */
const FILES = import.meta.glob<string>("../../lessons/*.md", { query: "?url", import: "default", eager: true });

const read = async (url: string): Promise<Lesson> => readLesson(await (await fetch(url)).text());

/** A lesson by its file's name, without what ends it; none where there is no such lesson. */
export async function lessonNamed(name: string): Promise<Lesson | undefined> {
  const file = FILES[`../../lessons/${name}.md`];
  return file === undefined ? undefined : read(file);
}

/** All lessons, in order; read when they are first asked for. */
export const allLessons = async (): Promise<readonly Lesson[]> =>
  Promise.all(
    Object.keys(FILES)
      .sort()
      .map((name) => read(FILES[name])),
  );

export interface Answered {
  readonly said: number;
  readonly truth: number;
  readonly isRight: boolean;
}

export class Teaching {
  readonly lesson: Lesson;
  readonly #session: Session;
  at: number = $state(0);
  isBusy: boolean = $state(true);
  answered: Answered | undefined = $state.raw();
  /** The engine's numbers for the words of the step. */
  numbers: ReadonlyMap<string, number> = $state.raw(new Map());
  right: number = $state(0);
  asked: number = $state(0);

  constructor(session: Session, lesson: Lesson) {
    this.#session = session;
    this.lesson = lesson;
    void this.#enter(0);
  }

  get step(): LessonStep {
    return this.lesson.steps[this.at];
  }

  async go(at: number): Promise<void> {
    if (at < 0 || at >= this.lesson.steps.length) return;
    await this.#enter(at);
  }

  async #enter(at: number): Promise<void> {
    this.isBusy = true;
    this.answered = undefined;
    this.at = at;
    // A step that is gone back to stands in the run that it belongs to.
    const from = this.lesson.steps
      .slice(0, at + 1)
      .findLastIndex(({ actions }) => actions.some(({ kind }) => kind === "spec"));
    const isNext = at > 0 && this.#entered === at - 1;
    this.#entered = at;
    for (const { actions } of this.lesson.steps.slice(isNext ? at : from, at + 1)) await this.#do(actions);
    if (this.at !== at) return;
    await this.#measure();
    this.isBusy = false;
  }
  #entered = -1;

  async #do(actions: LessonStep["actions"]): Promise<void> {
    const session = this.#session;
    for (const action of actions) {
      if (action.kind === "spec") await session.open(action.spec);
      else if (action.kind === "go") await session.goToAndWait(action.moment);
      else if (action.kind === "row") session.look(action.row, false);
      else if (action.kind === "show") session.showGradients(action.gradients);
      else session.choose(action.subject);
    }
  }

  async #measure(): Promise<void> {
    const all = quantitiesOf(this.step);
    const values = await this.#session.measure(all);
    this.numbers = new Map(all.map((quantity, i) => [quantity, values[i]]));
  }

  answer(said: number): void {
    const { question } = this.step;
    if (!question || this.answered) return;
    const truth = this.numbers.get(question.quantity)!;
    const isRight =
      Math.abs(said - truth) <=
      question.tolerance * Math.max(1, Math.abs(truth) > 1 && question.tolerance < 0.02 ? Math.abs(truth) : 1);
    this.answered = { said, truth, isRight };
    this.asked++;
    if (isRight) this.right++;
  }
}
