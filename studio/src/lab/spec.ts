/**
 * What is trained, as plain data: a choice of data, layers, and how to train. The page edits it, the lab builds from it,
 * and a link holds it, so that it opens to the same bits.
 */
import type { ColumnKind } from "chainrule/data";

/** A data set that needs no file. */
export type ToyName = "xor" | "circles" | "moons" | "spirals" | "curve" | "iris";

/** Where the rows come from. */
export type DataSpec =
  | {
      readonly kind: "toy";
      readonly name: ToyName;
      readonly count: number;
      readonly noise: number;
      readonly seed: number;
    }
  | { readonly kind: "digits" }
  /** A file that the lab was given before, by its name. */
  | {
      readonly kind: "file";
      readonly name: string;
      readonly target?: string;
      readonly columns?: Readonly<Record<string, ColumnKind>>;
      readonly ignore?: readonly string[];
    }
  /** A few rows, written out, with their classes or numbers. The network is then exactly that of the cards: nothing is scaled or added. */
  | {
      readonly kind: "rows";
      readonly title: string;
      readonly x: readonly (readonly number[])[];
      readonly y: readonly number[] | readonly (readonly number[])[];
    }
  /** Points drawn by hand: x, y, class. */
  | { readonly kind: "drawn"; readonly points: readonly (readonly [number, number, number])[] };

/** One layer between input and output. */
export interface LayerSpec {
  readonly kind: string;
  readonly config: Readonly<Record<string, string | number | boolean>>;
}

/** How the learning rate moves; see schedule-kinds.ts. */
export interface ScheduleSpec {
  readonly kind: string;
  readonly settings: Readonly<Record<string, number>>;
}

/** The optimiser. */
export interface OptimizerSpec {
  readonly name: string;
  readonly learningRate: number;
  readonly weightDecay: number;
  /** The rate stays as it is unless said. */
  readonly schedule?: ScheduleSpec;
}

/** All that decides the bits of a run. */
export interface Spec {
  readonly data: DataSpec;
  /** The part of the rows that is not trained on, from 0 to 0.9. */
  readonly heldOut: number;
  readonly layers: readonly LayerSpec[];
  /** A model file that the lab was given, by its name: its weights are the first ones. */
  readonly start?: string;
  /** First weights, written out, by their names. */
  readonly weights?: Readonly<Record<string, readonly number[]>>;
  /** A loss's name; the usual one of the data unless said. */
  readonly loss?: string;
  readonly optimizer: OptimizerSpec;
  readonly batchSize: number;
  readonly seed: number;
}

const toy = (name: ToyName, count: number, noise: number): DataSpec => ({ kind: "toy", name, count, noise, seed: 1 });

/** The data sets to choose from, with their usual size and noise. */
export const TOYS: Readonly<Record<ToyName, { readonly title: string; readonly data: DataSpec }>> = {
  xor: { title: "XOR", data: toy("xor", 300, 0.12) },
  circles: { title: "Circles", data: toy("circles", 300, 0.08) },
  moons: { title: "Moons", data: toy("moons", 300, 0.12) },
  spirals: { title: "Spirals", data: toy("spirals", 300, 0.03) },
  curve: { title: "A curve", data: toy("curve", 200, 0.08) },
  iris: { title: "Iris flowers", data: toy("iris", 150, 0) },
};

const dense = (units: number, activation: string): LayerSpec => ({ kind: "dense", config: { units, activation } });

/** What the page opens with. */
export const FIRST: Spec = {
  data: TOYS.moons.data,
  heldOut: 0.2,
  layers: [dense(8, "tanh"), dense(6, "tanh")],
  optimizer: { name: "adam", learningRate: 0.01, weightDecay: 0 },
  batchSize: 16,
  seed: 7,
};

const repeated = (n: number, ...layers: LayerSpec[]): LayerSpec[] => Array.from({ length: n }, () => layers).flat();

/** A small convolutional network: what pictures ask for. */
export const FOR_PICTURES: Pick<Spec, "layers" | "optimizer"> = {
  layers: [
    { kind: "conv2d", config: { filters: 8, size: 3, activation: "relu", padding: "same" } },
    { kind: "maxPool2d", config: { size: 2 } },
    { kind: "conv2d", config: { filters: 12, size: 3, activation: "relu", padding: "same" } },
    { kind: "maxPool2d", config: { size: 2 } },
  ],
  optimizer: { name: "adam", learningRate: 0.003, weightDecay: 0 },
};

/** A run worth looking at, with what it shows. */
export interface Preset {
  readonly title: string;
  readonly shows: string;
  readonly spec: Spec;
}

export const PRESETS: readonly Preset[] = [
  {
    title: "XOR, 2-4-1",
    shows: "The smallest task that needs a hidden layer.",
    spec: {
      ...FIRST,
      data: { ...TOYS.xor.data, count: 4, noise: 0 } as DataSpec,
      heldOut: 0,
      layers: [dense(4, "tanh")],
      batchSize: 4,
    },
  },
  {
    title: "Ten sigmoid layers",
    shows: "The gradient vanishes on the way back: the first layers hardly learn.",
    spec: {
      ...FIRST,
      layers: repeated(10, dense(6, "sigmoid")),
      optimizer: { name: "sgd", learningRate: 0.1, weightDecay: 0 },
    },
  },
  {
    title: "The same with ReLU",
    shows: "A derivative of 1 lets the gradient through.",
    spec: {
      ...FIRST,
      layers: repeated(10, dense(6, "relu")),
      optimizer: { name: "sgd", learningRate: 0.1, weightDecay: 0 },
    },
  },
  {
    title: "The same with batch normalisation",
    shows: "Sums that are brought back to mean 0 and deviation 1 keep sigmoids awake.",
    spec: {
      ...FIRST,
      layers: repeated(
        10,
        dense(6, "linear"),
        { kind: "batchNorm", config: {} },
        { kind: "activation", config: { activation: "sigmoid" } },
      ),
      optimizer: { name: "sgd", learningRate: 0.1, weightDecay: 0 },
    },
  },
  {
    title: "Spirals",
    shows: "A boundary that winds, of 16 and 12 units.",
    spec: { ...FIRST, data: TOYS.spirals.data, layers: [dense(16, "tanh"), dense(12, "tanh")] },
  },
  {
    title: "A curve",
    shows: "Regression: the network draws a curve.",
    spec: { ...FIRST, data: TOYS.curve.data, layers: [dense(12, "tanh"), dense(12, "tanh")] },
  },
  {
    title: "Overfitting",
    shows: "Forty noisy rows and many weights: the held-out loss rises while the training loss falls.",
    spec: {
      ...FIRST,
      data: { ...TOYS.moons.data, count: 60, noise: 0.45 } as DataSpec,
      heldOut: 0.4,
      layers: [dense(32, "relu"), dense(32, "relu")],
    },
  },
  {
    title: "Digits",
    shows: "784-64-10 on handwritten digits of MNIST.",
    spec: {
      ...FIRST,
      data: { kind: "digits" },
      layers: [dense(64, "relu")],
      optimizer: { name: "adam", learningRate: 0.003, weightDecay: 0 },
      batchSize: 64,
    },
  },
  {
    title: "Digits, convolutions",
    shows: "A small convolutional network: filters, feature maps.",
    spec: {
      ...FIRST,
      ...FOR_PICTURES,
      data: { kind: "digits" },
      batchSize: 64,
    },
  },
];
