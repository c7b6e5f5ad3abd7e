/** The scores of a run, thinned out so that a long one stays small: every other point goes when there are too many. */
import type { EpochReport } from "chainrule";
import type { HistoryLook } from "./looks.ts";

const MOST_POINTS = 1200;

export class ScoreHistory {
  readonly #scoreName: string;
  #points: (readonly [step: number, loss: number, heldOutLoss: number, score: number, heldOutScore: number])[] = [];
  #every = 1;

  constructor(scoreName: string) {
    this.#scoreName = scoreName;
  }

  push(step: number, epoch: EpochReport): void {
    if (epoch.epoch % this.#every !== 0 && epoch.epoch !== 1) return;
    const held = epoch.validation;
    const of = (scores: Readonly<Record<string, unknown>> | undefined, name: string): number =>
      Number(scores?.[name] ?? Number.NaN);
    this.#points.push([step, epoch.loss, of(held, "loss"), of(epoch, this.#scoreName), of(held, this.#scoreName)]);
    if (this.#points.length < MOST_POINTS) return;
    this.#points = this.#points.filter((_, i) => i % 2 === 0);
    this.#every *= 2;
  }

  look(): HistoryLook {
    const column = (i: number): Float64Array => Float64Array.from(this.#points, (point) => point[i]);
    return {
      ...{ steps: column(0), loss: column(1), heldOutLoss: column(2), score: column(3), heldOutScore: column(4) },
      scoreName: this.#scoreName,
    };
  }
}
