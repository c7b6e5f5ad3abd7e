/**
 * How PyTorch lays out what our layers have as parameters: for each kind of layer the module that it is there, and for each parameter the
 * tensor or tensors of that module and the order of their numbers. One table for both directions; nothing is read or written here.
 */
import { type Shape, sizeOf, stridesOf } from "../../graph/shape.ts";
import type { NamedLayer } from "../../nn/network.ts";
import type { Place } from "./places.ts";

/** A tensor of a module, by its name within it. */
export interface Tensor {
  readonly name: string;
  readonly shape: Shape;
}

/** A parameter of ours, as numbers of PyTorch's tensors. */
export interface Entry {
  readonly parameter: string;
  /** One tensor; or several that are added, or put one after the other. */
  readonly tensors: readonly Tensor[];
  readonly join?: "sum" | "concat";
  /** Where our number i stands among theirs; at i if there is none. */
  readonly order?: (i: number) => number;
  /** What happens to them, for people: `[O, I] → [I, O]`. */
  readonly how?: string;
}

/** A way in which a layer may lie in a file of PyTorch's. */
export interface Form {
  /** The class of PyTorch's, or a name for what others write. */
  readonly module: string;
  /** How its tensors are called: by names in a module; with the number of a layer of a recurrent module; or just as one tensor. */
  readonly named: "module" | "recurrent" | "tensor";
  /** Whether a recurrent module goes from the last place to the first. */
  readonly reverse?: boolean;
  readonly entries: readonly Entry[];
}

/** How matrices lie: [O, I] in PyTorch's modules; [I, O] in some of Hugging Face's, such as GPT-2's. */
export type MatrixLayout = "oi" | "io";

/** Our axes as numbers of theirs: [2, 3, 1, 0] makes [KH, KW, I, O] of [O, I, KH, KW]. */
function axes(theirs: Shape, order: readonly number[]): (i: number) => number {
  const steps = stridesOf(theirs);
  const ours = order.map((axis) => theirs[axis]);
  return (i) => {
    let [rest, at] = [i, 0];
    for (let axis = order.length - 1; axis >= 0; axis--) {
      at += (rest % ours[axis]) * steps[order[axis]];
      rest = Math.floor(rest / ours[axis]);
    }
    return at;
  };
}

type Numbers = readonly number[] | undefined;
const numberOf = (numbers: Numbers, i: number): number => numbers?.[i] ?? i;

/** Our [I, O] of their [O, I], or of their [I, O], with features in other orders. */
function matrix(rows: number, columns: number, layout: MatrixLayout, inputs: Numbers, outputs: Numbers) {
  return (i: number): number => {
    const row = numberOf(inputs, Math.floor(i / columns));
    const column = numberOf(outputs, i % columns);
    return layout === "oi" ? column * rows + row : row * columns + column;
  };
}

const FLATTENED = "numbers of [C, H, W] as of [H, W, C]";

/** What is done to a matrix, for people. */
const turned = (layout: MatrixLayout, inputs: Numbers, outputs?: Numbers): Pick<Entry, "how"> => {
  const parts = [...(layout === "oi" ? ["[O, I] → [I, O]"] : []), ...(inputs || outputs ? [FLATTENED] : [])];
  return parts.length > 0 ? { how: parts.join(", ") } : {};
};

/** One number for each feature. */
const vector = (parameter: string, name: string, shape: Shape, numbers: Numbers): Entry => ({
  parameter,
  tensors: [{ name, shape }],
  ...(numbers && { order: (i: number) => numbers[i], how: FLATTENED }),
});

type FormsOf = (place: Place, layout: MatrixLayout) => Form[];

/** A module with a kernel and perhaps a bias. */
function affine(module: string, { parameters, outputs }: Place, kernel: Omit<Entry, "parameter">): Form {
  const bias = parameters.get("bias");
  return {
    module,
    named: "module",
    entries: [{ parameter: "kernel", ...kernel }, ...(bias ? [vector("bias", "bias", bias, outputs)] : [])],
  };
}

const dense: FormsOf = (place, layout) => {
  const [rows, columns] = place.parameters.get("kernel")!;
  const { inputs, outputs } = place;
  const linear = (matrices: MatrixLayout): Form =>
    affine(matrices === "oi" ? "Linear" : "Conv1D", place, {
      tensors: [{ name: "weight", shape: matrices === "oi" ? [columns, rows] : [rows, columns] }],
      order: matrix(rows, columns, matrices, inputs, outputs),
      ...turned(matrices, inputs, outputs),
    });
  // A file with [I, O] has heads with [O, I] all the same, which their shape tells, unless it is a square.
  return layout === "oi" ? [linear("oi")] : [linear("io"), ...(rows === columns ? [] : [linear("oi")])];
};

/** Our [KH, KW, I, O] (or [K, I, O]) of their [O, I, KH, KW], or of a transposed convolution's [I, O, KH, KW]. */
const convolution =
  (module: string, transposed = false): FormsOf =>
  (place) => {
    const ours = place.parameters.get("kernel")!;
    const spatial = ours.slice(0, -2);
    const [i, o] = ours.slice(-2);
    const shape = transposed ? [i, o, ...spatial] : [o, i, ...spatial];
    const order = [...spatial.map((_, axis) => axis + 2), ...(transposed ? [0, 1] : [1, 0])];
    const letters = spatial.length === 1 ? "K" : "KH, KW";
    const how = transposed ? `[I, O, ${letters}] → [${letters}, I, O]` : `[O, I, ${letters}] → [${letters}, I, O]`;
    return [affine(module, place, { tensors: [{ name: "weight", shape }], order: axes(shape, order), how })];
  };

/** Whether PyTorch has such a recurrent layer: with its usual activations, and a GRU's reset gate after the product. */
export function isOfTorch({ kind, config }: NamedLayer): boolean {
  const {
    activation = "tanh",
    gateActivation = "sigmoid",
    resetAfter = true,
  } = config as {
    readonly activation?: string;
    readonly gateActivation?: string;
    readonly resetAfter?: boolean;
  };
  const isUsual = activation === "tanh" || (kind === "simpleRnn" && activation === "relu");
  return isUsual && gateActivation === "sigmoid" && resetAfter;
}

/** A recurrent module, whose gate number gates[g] is our gate number g. */
const recurrent =
  (module: string, gates: readonly number[]): FormsOf =>
  ({ parameters, layer }) => {
    const [inputs, width] = parameters.get("kernel")!;
    const units = width / gates.length;
    const column = (c: number): number => gates[Math.floor(c / units)] * units + (c % units);
    const order = (rows: number) => (i: number) => column(i % width) * rows + Math.floor(i / width);
    const isOther = gates.some((gate, i) => gate !== i);
    const how = `[O, I] → [I, O]${isOther ? ", gates in our order" : ""}`;
    const biasHow = isOther ? { how: "gates in our order" } : {};
    const bias = (name: string): Tensor => ({ name, shape: [width] });
    const biases: Entry[] = !parameters.has("bias")
      ? []
      : parameters.has("recurrentBias")
        ? [
            { parameter: "bias", tensors: [bias("bias_ih")], order: column, ...biasHow },
            { parameter: "recurrentBias", tensors: [bias("bias_hh")], order: column, ...biasHow },
          ]
        : [{ parameter: "bias", tensors: [bias("bias_ih"), bias("bias_hh")], join: "sum", how: "both biases added" }];
    if (!isOfTorch(layer)) return [];
    const { backwards = false } = layer.config as { readonly backwards?: boolean };
    return [
      {
        module,
        named: "recurrent",
        reverse: backwards,
        entries: [
          { parameter: "kernel", tensors: [{ name: "weight_ih", shape: [width, inputs] }], order: order(inputs), how },
          {
            parameter: "recurrentKernel",
            tensors: [{ name: "weight_hh", shape: [width, units] }],
            order: order(units),
            how,
          },
          ...biases,
        ],
      },
    ];
  };

/** How libraries call the products of attention: queries, keys, values, output. */
const SEPARATE = [
  ["q_proj", "k_proj", "v_proj", "out_proj"],
  ["q_proj", "k_proj", "v_proj", "o_proj"],
  ["self.query", "self.key", "self.value", "output.dense"],
  ["attention.query", "attention.key", "attention.value", "output.dense"],
  ["q_lin", "k_lin", "v_lin", "out_lin"],
] as const;
/** The same with queries, keys and values in one. */
const JOINED = [
  ["c_attn", "c_proj"],
  ["qkv", "proj"],
] as const;

const attention: FormsOf = ({ parameters, layer }, layout) => {
  if (parameters.has("keyKernel")) return []; // attention to another sequence
  const [features, width] = parameters.get("kernel")!;
  const [inner] = parameters.get("outputKernel")!;
  const hasBias = parameters.has("bias");
  const { heads, keyHeads = heads } = layer.config as { heads: number; keyHeads?: number };
  const keys = (inner / heads) * keyHeads;
  const form = (
    module: string,
    matrices: MatrixLayout,
    products: readonly Tensor[],
    biases: readonly Tensor[],
    out: string,
  ): Form => ({
    module,
    named: "module",
    entries: [
      {
        parameter: "kernel",
        tensors: products,
        join: "concat",
        order: matrix(features, width, matrices, undefined, undefined),
        ...turned(matrices, undefined),
      },
      {
        parameter: "outputKernel",
        tensors: [{ name: `${out}.weight`, shape: matrices === "oi" ? [features, inner] : [inner, features] }],
        order: matrix(inner, features, matrices, undefined, undefined),
        ...turned(matrices, undefined),
      },
      ...(hasBias
        ? [
            { parameter: "bias", tensors: biases, join: "concat" as const },
            { parameter: "outputBias", tensors: [{ name: `${out}.bias`, shape: [features] }] },
          ]
        : []),
    ],
  });
  const whole = [width, features];
  const own = form(
    "MultiheadAttention",
    "oi",
    [{ name: "in_proj_weight", shape: whole }],
    [{ name: "in_proj_bias", shape: [width] }],
    "out_proj",
  );
  const parts = [inner, keys, keys];
  const separate = SEPARATE.map(([q, k, v, out]) =>
    form(
      "q, k, v",
      "oi",
      [q, k, v].map((name, i) => ({ name: `${name}.weight`, shape: [parts[i], features] })),
      [q, k, v].map((name, i) => ({ name: `${name}.bias`, shape: [parts[i]] })),
      out,
    ),
  );
  const joined = JOINED.map(([all, out]) =>
    form(
      "qkv",
      layout,
      [{ name: `${all}.weight`, shape: layout === "oi" ? whole : [features, width] }],
      [{ name: `${all}.bias`, shape: [width] }],
      out,
    ),
  );
  return [own, ...separate, ...joined];
};

/** A normalisation, under the names that modules have for its parameters. */
const normalization =
  (module: string, ...names: readonly Readonly<Record<string, string>>[]): FormsOf =>
  ({ parameters, inputs }) =>
    names.map((named) => ({
      module,
      named: "module",
      entries: [...parameters].map(([own, shape]) => vector(own, named[own], shape, inputs)),
    }));

/** A table under the name `weight`, or a tensor by itself, also with a first or a middle axis of 1. */
const positions: FormsOf = ({ parameters }) => {
  const [[parameter, shape] = ["", []]] = parameters;
  const [length, features] = shape;
  const entry = (name: string, own: Shape): Entry => ({ parameter, tensors: [{ name, shape: own }] });
  return [
    { module: "Embedding", named: "module", entries: [entry("weight", shape)] },
    ...[shape, [1, length, features], [length, 1, features]].map(
      (own): Form => ({ module: "Parameter", named: "tensor", entries: [entry("", own)] }),
    ),
  ];
};

/** By the kinds of layers. */
const FORMS: Readonly<Record<string, FormsOf>> = {
  dense,
  conv1d: convolution("Conv1d"),
  conv2d: convolution("Conv2d"),
  depthwiseConv2d: convolution("Conv2d"),
  conv2dTranspose: convolution("ConvTranspose2d", true),
  simpleRnn: recurrent("RNN", [0]),
  lstm: recurrent("LSTM", [0, 1, 2, 3]),
  gru: recurrent("GRU", [1, 0, 2]), // theirs: r, z, n; ours: z, r, n
  multiHeadAttention: attention,
  embedding: ({ parameters }) => [
    {
      module: "Embedding",
      named: "module",
      entries: [{ parameter: "table", tensors: [{ name: "weight", shape: parameters.get("table")! }] }],
    },
  ],
  positions,
  batchNorm: normalization("BatchNorm", {
    gamma: "weight",
    beta: "bias",
    mean: "running_mean",
    variance: "running_var",
  }),
  layerNorm: normalization("LayerNorm", { gamma: "weight", beta: "bias" }, { gamma: "gamma", beta: "beta" }),
  rmsNorm: normalization("RMSNorm", { gamma: "weight" }),
  normalize: normalization("Normalize", { mean: "mean", deviation: "deviation" }),
};

/** The ways in which a layer may lie in a file of PyTorch's, the usual one first; none for layers that PyTorch has not. */
export const formsOf = (place: Place, layout: MatrixLayout = "oi"): Form[] =>
  Object.hasOwn(FORMS, place.layer.kind) ? FORMS[place.layer.kind](place, layout) : [];

type Floats = Float32Array | Float64Array;

/** A parameter's numbers from PyTorch's tensors, in the order of `entry.tensors`; in double precision if some are. */
export function toOurs({ join, order }: Entry, tensors: readonly Floats[]): Floats {
  const Kind = tensors.every((tensor) => tensor instanceof Float32Array) ? Float32Array : Float64Array;
  const count = join === "sum" ? tensors[0].length : tensors.reduce((sum, { length }) => sum + length, 0);
  let [theirs] = tensors;
  if (tensors.length > 1) {
    theirs = new Kind(count);
    let at = 0;
    for (const tensor of tensors) {
      if (join === "sum") for (let i = 0; i < count; i++) theirs[i] += tensor[i];
      else theirs.set(tensor, at);
      at += tensor.length;
    }
  }
  const ours = new Kind(count);
  if (!order) ours.set(theirs);
  else for (let i = 0; i < count; i++) ours[i] = theirs[order(i)];
  return ours;
}

/** PyTorch's tensors of a parameter's numbers; of those that are added, the first has them and the others are 0. */
export function toTheirs(entry: Entry, ours: Float32Array): Float32Array[] {
  const { join, order, tensors } = entry;
  const theirs = new Float32Array(ours.length);
  if (!order) theirs.set(ours);
  else for (let i = 0; i < ours.length; i++) theirs[order(i)] = ours[i];
  let at = 0;
  return tensors.map(({ shape }, i) => {
    if (join === "sum") return i === 0 ? theirs : new Float32Array(ours.length);
    at += sizeOf(shape);
    return theirs.subarray(at - sizeOf(shape), at);
  });
}
