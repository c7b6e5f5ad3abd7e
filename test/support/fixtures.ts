/** The numbers that PyTorch and scikit-learn gave (test/fixtures), and how far from them ours are. */
import { readFileSync } from "node:fs";

export interface Stored {
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

export const fixture = <T>(name: string): T =>
  JSON.parse(readFileSync(new URL(`../fixtures/${name}.json`, import.meta.url), "utf8")) as T;

/** The largest of |actual − expected| / max(|expected|, floor). */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>, floor = 1e-12): number {
  if (actual.length !== expected.length) throw new Error(`${actual.length} numbers came, ${expected.length} wanted`);
  let worst = 0;
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs(actual[i] - expected[i]) / Math.max(Math.abs(expected[i]), floor);
    worst = Number.isNaN(error) ? Number.POSITIVE_INFINITY : Math.max(worst, error);
  }
  return worst;
}
