/**
 * How the numbers of a run are spread, over time: weights, activations and gradients of each layer, a histogram at a time.
 * A long run is thinned out: when there are too many moments, every other one goes.
 */
import type { DistributionLook } from "./looks.ts";

const [BINS, MOST_MOMENTS] = [32, 64];

interface Histogram {
  readonly low: number;
  readonly high: number;
  readonly counts: Float32Array;
}

function histogramOf(values: ArrayLike<number>): Histogram {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let i = 0; i < values.length; i++) {
    if (values[i] < low) low = values[i];
    if (values[i] > high) high = values[i];
  }
  const counts = new Float32Array(BINS);
  const perBin = BINS / (high - low || 1);
  for (let i = 0; i < values.length; i++) counts[Math.min(BINS - 1, Math.floor((values[i] - low) * perBin))]++;
  return { low, high, counts };
}

export class Distributions {
  #moments: { readonly step: number; readonly of: ReadonlyMap<string, Histogram> }[] = [];
  #every = 1;
  #seen = 0;

  /** Takes the numbers of a moment, by the name of what they are. */
  record(step: number, arrays: Readonly<Record<string, ArrayLike<number>>>): void {
    if (this.#seen++ % this.#every !== 0) return;
    this.#moments.push({
      step,
      of: new Map(Object.entries(arrays).map(([name, values]) => [name, histogramOf(values)] as const)),
    });
    if (this.#moments.length <= MOST_MOMENTS) return;
    this.#moments = this.#moments.filter((_, i) => i % 2 === 0);
    this.#every *= 2;
  }

  look(): DistributionLook[] {
    const names = this.#moments[0] ? [...this.#moments[0].of.keys()] : [];
    return names.map((name) => {
      const all = this.#moments.flatMap(({ of }) => of.get(name) ?? []);
      const [low, high] = [Math.min(...all.map((one) => one.low)), Math.max(...all.map((one) => one.high))];
      const columns = all.map((one) => spread(one, low, high));
      const width = columns.length;
      return {
        ...{ name, low, high, width, height: BINS },
        steps: this.#moments.map(({ step }) => step),
        // The largest numbers at the top.
        shares: Float32Array.from(
          { length: width * BINS },
          (_, i) => columns[i % width][BINS - 1 - Math.floor(i / width)],
        ),
      };
    });
  }
}

/** A histogram over a wider range than its own: each bin's count is laid over the bins that it reaches into. */
function spread({ low, high, counts }: Histogram, from: number, to: number): Float32Array {
  const shares = new Float32Array(BINS);
  const [own, wide] = [(high - low) / BINS, (to - from) / BINS || 1];
  let total = 0;
  for (const count of counts) total += count;
  counts.forEach((count, i) => {
    if (count === 0) return;
    const [start, end] = [(low + i * own - from) / wide, (low + (i + 1) * own - from) / wide];
    const first = Math.min(BINS - 1, Math.floor(start));
    const last = Math.min(BINS - 1, Math.max(first, Math.ceil(end) - 1));
    for (let bin = first; bin <= last; bin++) {
      const part = end > start ? (Math.min(end, bin + 1) - Math.max(start, bin)) / (end - start) : 1;
      shares[bin] += (count / total) * Math.max(0, first === last ? 1 : part);
    }
  });
  return shares;
}
