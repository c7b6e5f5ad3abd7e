/**
 * How a training run is shown while it goes on: on a terminal one line that is redrawn, elsewhere one line per epoch;
 * or, for programs, JSON lines on stdout. It measures time left; it does not train.
 */
import type { EpochReport, Progress, Scores } from "../../index.ts";
import { bar, count, duration, measure, painter, percent } from "../terminal/text.ts";

/** Milliseconds between two drawings of the line. */
const REDRAW = 100;

/** Scores as `loss 0.0731  accuracy 97.80 %`. */
export function scoreText(scores: Scores): string {
  const { loss, ...metrics } = scores;
  const others = Object.entries(metrics).map(([key, value]) =>
    key === "accuracy"
      ? `accuracy ${percent(value).padStart(8)}`
      : `${SHORT[key] ?? key} ${measure(value).padStart(WIDTH)}`,
  );
  return [`loss ${measure(loss).padStart(WIDTH)}`, ...others].join("  ");
}

/** Of a measured number: 0.02345, 1.234e-5. */
const WIDTH = 9;

const SHORT: Readonly<Record<string, string>> = { meanAbsoluteError: "MAE" };

/** One finished epoch in one line. */
export function epochLine(epoch: EpochReport, epochs: number): string {
  const { epoch: number, seconds, samplesPerSecond, inputSeconds: _, validation, loss, ...metrics } = epoch;
  const scores: Scores = { loss, ...metrics };
  const place = `epoch ${String(number).padStart(String(epochs).length)}/${epochs}`;
  const held = validation ? `  validation ${scoreText(validation)}` : "";
  const speed = `${duration(seconds).padStart(6)}  ${count(Math.round(samplesPerSecond)).padStart(7)}/s`;
  return `${place}  ${scoreText(scores)}${held}  ${speed}`;
}

/** The line that is redrawn, with room for a ^C at its end; parts are left out from the right until it fits into `width`. */
export function progressLine(progress: Progress, secondsLeft: number, validation: Scores | undefined, width: number) {
  const { epoch, epochs, step, steps, scores, samplesPerSecond } = progress;
  const left = Number.isFinite(secondsLeft) ? `${duration(secondsLeft)} left` : "";
  const held = validation?.accuracy === undefined ? "" : `validation ${percent(validation.accuracy)}`;
  const text = (parts: readonly string[]) => parts.filter((part) => part !== "").join("  ");
  const head = `epoch ${epoch}/${epochs}`;
  const tails = [
    [scoreText(scores), held, `${count(Math.round(samplesPerSecond))}/s`, left],
    [scoreText(scores), `${count(Math.round(samplesPerSecond))}/s`, left],
    [scoreText(scores), left],
    [`loss ${measure(scores.loss)}`, left],
    [`loss ${measure(scores.loss)}`],
  ].map(text);
  const least = 6;
  const room = (tail: string) => width - 3 - head.length - 2 - tail.length - 2;
  const tail = tails.find((candidate) => room(candidate) >= least) ?? "";
  const { full, rest } = bar(step / steps, Math.max(1, Math.min(24, room(tail))));
  return { head, full, rest, tail };
}

export class Display {
  readonly #stream = process.stderr;
  readonly #paint = painter(process.stderr);
  readonly #quiet: boolean;
  readonly #json: boolean;
  #drawnAt = 0;
  #isDrawn = false;
  /** When and where this process began to train, in steps of the whole run. */
  #begin: { at: number; step: number } | undefined;
  #validation: Scores | undefined;

  constructor(options: { quiet?: boolean; json?: boolean }) {
    this.#quiet = options.quiet ?? false;
    this.#json = options.json ?? false;
  }

  /** A line for people on stderr. */
  note(text: string): void {
    if (this.#quiet) return;
    this.#clear();
    this.#stream.write(`${text}\n`);
  }

  /** A line of JSON on stdout, if programs are listening. */
  event(object: Readonly<Record<string, unknown>>): void {
    if (!this.#json) return;
    this.#clear();
    process.stdout.write(`${JSON.stringify(object)}\n`);
  }

  /** Called often while training. */
  progress(progress: Progress): void {
    if (this.#quiet || !this.#stream.isTTY) return;
    const now = performance.now();
    const { epoch, epochs, step, steps } = progress;
    const done = (epoch - 1) * steps + step;
    this.#begin ??= { at: now, step: done };
    if (now - this.#drawnAt < REDRAW) return;
    const speed = (done - this.#begin.step) / (now - this.#begin.at);
    const width = this.#stream.columns ?? 80;
    const secondsLeft = (epochs * steps - done) / speed / 1000;
    const { head, full, rest, tail } = progressLine(progress, secondsLeft, this.#validation, width);
    const paint = this.#paint;
    this.#stream.write(`\r${paint("bold", head)}  ${paint("cyan", full)}${paint("dim", rest)}  ${tail}\u001b[K`);
    this.#drawnAt = now;
    this.#isDrawn = true;
  }

  epoch(epoch: EpochReport, epochs: number): void {
    this.#validation = epoch.validation;
    if (!this.#stream.isTTY) this.note(epochLine(epoch, epochs));
    this.event({ event: "epoch", ...epoch });
  }

  /** Takes the redrawn line away. */
  end(): void {
    this.#clear();
  }

  #clear(): void {
    if (this.#isDrawn) this.#stream.write("\r\u001b[K");
    this.#isDrawn = false;
  }
}
