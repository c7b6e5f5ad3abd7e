/**
 * How the command ends: its exit codes, and the error of a wrong command line. It prints nothing; main.ts does.
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
