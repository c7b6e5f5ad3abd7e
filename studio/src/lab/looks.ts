/** What the lab shows to the page: plain data that is copied from one thread to the other. */
import type { ColumnSchema } from "chainrule/data";
import type { OpDescription } from "chainrule/explain";
import type { ToyName } from "./spec.ts";

/** A row as people look at it. */
export interface RowLook {
  /** Its number in its part of the data, from 0. */
  readonly row: number;
  readonly heldOut: boolean;
  readonly x: readonly number[];
  /** The class's name, or the number. */
  readonly target: string;
}

/** The data of a run. */
export interface DataLook {
  readonly title: string;
  readonly toy?: ToyName;
  readonly task: "classification" | "regression";
  readonly inputShape: readonly number[];
  readonly features: readonly string[];
  readonly classes: readonly string[];
  readonly train: number;
  readonly heldOut: number;
  /** Of a table: what its columns were taken for. */
  readonly columns?: readonly ColumnSchema[];
  readonly target?: string;
  /** For one or two features: every point, x0, x1 (or y), class; then the held-out ones. */
  readonly points?: { readonly train: Float32Array; readonly heldOut: Float32Array };
  readonly notes: readonly string[];
}

export interface LayerLook {
  readonly name: string;
  readonly kind: string;
  readonly description: string;
  readonly inputShape: readonly number[];
  readonly outputShape: readonly number[];
  readonly parameters: readonly { readonly name: string; readonly shape: readonly number[] }[];
  /** The card it comes from; none where the data ask for it. */
  readonly card?: number;
}

/** A run that was opened. */
export interface Setup {
  readonly data: DataLook;
  readonly layers: readonly LayerLook[];
  /** How many numbers training changes. */
  readonly weightCount: number;
  readonly engine: string;
  readonly loss: string;
  readonly stepsPerEpoch: number;
}

/** Scores over the run, thinned out where it is long. */
export interface HistoryLook {
  /** Steps done at each point. */
  readonly steps: Float64Array;
  readonly loss: Float64Array;
  /** NaN where no rows are held out. */
  readonly heldOutLoss: Float64Array;
  readonly score: Float64Array;
  readonly heldOutScore: Float64Array;
  readonly scoreName: string;
}

/** What the network makes of the plane of two features, or of the line of one. */
export interface MapLook {
  readonly low: readonly number[];
  readonly high: readonly number[];
  /** Cells along each side. */
  readonly size: number;
  /** Probabilities of the classes, or the numbers given, cell by cell. */
  readonly values: Float32Array;
  readonly width: number;
  /** What each unit gives, on a coarser grid: layer by layer, cell by cell. */
  readonly units?: { readonly size: number; readonly layers: Readonly<Record<string, Float32Array>> };
}

/** The row that is looked at, on its way through the network. */
export interface SampleLook extends RowLook {
  /** What each layer gave for it; `input` is the row itself. */
  readonly values: Readonly<Record<string, Float32Array>>;
  /** ∂L/∂ of the same, L the loss of this row alone. */
  readonly gradients?: Readonly<Record<string, Float32Array>>;
  readonly loss?: number;
  /** What the network says: probabilities of the classes, or the numbers. */
  readonly said: readonly number[];
  /** Whether a number was changed by hand. */
  readonly changed: boolean;
}

/** How the numbers of one array were spread, moment by moment. */
export interface DistributionLook {
  /** What they are and where: "weights dense_1.kernel". */
  readonly name: string;
  readonly low: number;
  readonly high: number;
  /** Moments, and bins. */
  readonly width: number;
  readonly height: number;
  readonly steps: readonly number[];
  /** The share of the numbers in each bin, row by row from the largest. */
  readonly shares: Float32Array;
}

/** One op of the step that comes next. */
export interface OpLook {
  /** Its place among them, from 0, and how many there are. */
  readonly index: number;
  readonly count: number;
  readonly op: OpDescription;
  /** What it gives for the row that is looked at; of many numbers the first ones. */
  readonly values: readonly number[];
  readonly size: number;
}

export interface WarningLook {
  readonly kind: string;
  /** The layer it is about, where it is about one. */
  readonly layer?: string;
  readonly message: string;
}

/** One moment of the run. */
export interface Frame {
  /** Steps done at the moment shown, and by the run. */
  readonly moment: number;
  readonly done: number;
  readonly epoch: number;
  readonly state: "ready" | "running" | "paused" | "failed";
  readonly failure?: { readonly message: string; readonly where?: string };
  readonly samplesPerSecond: number;
  readonly learningRate: number;
  readonly history: HistoryLook;
  readonly map?: MapLook;
  /** Parameters that are small enough to be shown one by one. */
  readonly weights: Readonly<Record<string, Float32Array>>;
  /** Their gradients in the step that comes next, where asked for. */
  readonly weightGradients?: Readonly<Record<string, Float32Array>>;
  readonly sample?: SampleLook;
  readonly warnings: readonly WarningLook[];
  /** Where the page goes through a step op by op. */
  readonly op?: OpLook;
}

/** What the page wants to see. */
export interface Look {
  readonly row: number;
  readonly heldOut: boolean;
  readonly gradients: boolean;
}

/** How well it does on rows, row by row. */
export interface Results {
  readonly heldOut: boolean;
  /** Rows of truth, columns of what was said: how many, and some of them. */
  readonly confusion?: {
    readonly counts: readonly number[][];
    readonly rows: readonly (readonly (readonly number[])[])[];
  };
  /** What was said and what is true, for numbers. */
  readonly pairs?: readonly (readonly [number, number])[];
  /** The rows with the largest loss, the worst first. */
  readonly worst: readonly (RowLook & { readonly loss: number; readonly said: string })[];
  readonly scores: Readonly<Record<string, number>>;
}
