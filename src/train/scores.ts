/** What is measured: over a data set, and in an epoch of training. Types alone. */

/** What is measured over a data set: the loss, and each metric under its name. */
export interface Scores {
  readonly loss: number;
  readonly [metric: string]: number;
}

/** What one epoch brought: the loss and each metric under its name, over the training data as it was trained on. */
export interface Epoch extends Scores {
  /** From 1. */
  readonly epoch: number;
  readonly seconds: number;
  readonly samplesPerSecond: number;
}

/** An epoch with the scores on the validation data, if any were given. */
export type EpochReport = Epoch & {
  readonly validation?: Scores;
  /** Those of its seconds in which the engine waited for rows, where they come piece by piece. */
  readonly inputSeconds?: number;
};
