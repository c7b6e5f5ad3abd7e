/** Skips a test where it cannot run, and says why in the output: of vitest's reporters only the verbose one does. */
export function skipWhere(impossible: boolean, why: string, { skip }: { skip(why: string): void }): void {
  if (!impossible) return;
  console.warn(`skipped: ${why}`);
  skip(why);
}
