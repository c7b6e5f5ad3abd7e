/** What one run of `chainrule train` is: its options, and all that was chosen for it. Types alone. */
import type { Augment, Model } from "../../index.ts";
import type { ReadOptions } from "../data/read-options.ts";
import type { TrainingData } from "../data/sources.ts";
import type { Parts, PartsOptions } from "../data/split.ts";
import type { BackendOptions } from "../options/backend.ts";
import type { Display } from "../report/progress.ts";
import type { Recipe, RecipeOptions } from "./defaults.ts";

export interface TrainOptions extends RecipeOptions, ReadOptions, PartsOptions, BackendOptions {
  /** How many values of a series to foretell, from how many before them; the column of its times, after how many it comes again. */
  readonly horizon?: number;
  readonly window?: number;
  readonly time?: string;
  readonly season?: number;
  /** What a text is cut into: bpe, characters, bytes, or a tokenizer.json; and how many pieces there are. */
  readonly tokens?: string;
  readonly vocabulary?: number;
  /** Whether data are read while they are trained on. */
  readonly stream?: boolean;
  /** A directory for decoded rows. */
  readonly cache?: string;
  readonly out?: string;
  readonly resume?: string;
  /** How many epochs without a better loss are let pass. */
  readonly earlyStopping?: number;
  readonly classWeights?: "balanced";
  readonly augment?: string;
  /** A CSV or JSON file for the scores of all epochs. */
  readonly history?: string;
  /** Whether to measure what the steps of the plan cost. */
  readonly profile?: boolean;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

/** One run of the command, all that was chosen. */
export interface Training {
  readonly source: string;
  readonly options: TrainOptions;
  readonly data: TrainingData;
  readonly parts: Parts;
  readonly recipe: Recipe;
  readonly model: Model;
  readonly augment?: Augment;
  readonly out: string;
  readonly display: Display;
}
