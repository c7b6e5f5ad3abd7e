/**
 * How the command ends: its exit codes, the error of a wrong command line, and the guess at what was meant. It prints
 * nothing; main.ts does.
 */

export const EXIT = {
  done: 0,
  /** The work failed: bad data, a file that cannot be read or written, a run that diverged. */
  failed: 1,
  /** The command line was wrong. */
  usage: 2,
  /** Stopped by Ctrl-C or a signal. */
  interrupted: 130,
} as const;

/** The command line asks for something that does not exist or makes no sense. */
export class UsageError extends Error {
  override name = "UsageError";
}

/** The run was stopped on request; what it has done so far lies in the checkpoint. */
export class Interrupted extends Error {
  override name = "Interrupted";
}

/** The number of letters to change, add, leave out or swap to make one word of another. */
function distance(a: string, b: string): number {
  let [before, row] = [[] as number[], Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + cost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        next[j] = Math.min(next[j], before[j - 2] + 1);
    }
    [before, row] = [row, next];
  }
  return row[b.length];
}

/** ` Did you mean "dense"?` for the known word that is nearest to `word`, or nothing when none is near. */
export function didYouMean(word: string, known: readonly string[]): string {
  const limit = Math.max(1, Math.floor(word.length / 3));
  const near = known
    .map((name) => ({ name, far: distance(word.toLowerCase(), name.toLowerCase()) }))
    .filter(({ far }) => far <= limit)
    .sort((a, b) => a.far - b.far);
  return near.length > 0 ? ` Did you mean "${near[0].name}"?` : "";
}
