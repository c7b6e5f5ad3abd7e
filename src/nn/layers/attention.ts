/**
 * Attention, and what tells it where in a sequence a value stands. Sequences are [B, T, D]: T places of D features each.
 */
import { BELOW_1, checkNumbers, checkOptionNames, checkWhole, unknownName } from "../../checks.ts";
import { ArgumentError, ShapeError } from "../../errors.ts";
import { constant } from "../../graph/leaf.ts";
import type { Node } from "../../graph/node.ts";
import { type Shape, showShape } from "../../graph/shape.ts";
import {
  add,
  broadcastTo,
  concat,
  gather,
  less,
  matmul,
  mul,
  oneHot,
  reshape,
  select,
  slice,
  softmax,
  sub,
  toIndex,
  transpose,
} from "../../ops/index.ts";
import { type InitializerName, initializer } from "../initializers.ts";
import { defineLayer, type Layer, type LayerContext, type LayerOptions, type ParameterSpec } from "../layer.ts";
import { dropped } from "./dropout.ts";

/** Throws unless a layer is given a sequence; gives its length and its features. */
function sequenceSizes(layer: string, input: Shape): { length: number; features: number } {
  if (input.length !== 2)
    throw new ShapeError(
      `${layer} takes sequences, [places, features]; ${showShape(input)} came. embedding(vocabulary, features) makes them of whole numbers.`,
    );
  return { length: input[0], features: input[1] };
}

/** Options of `multiHeadAttention`. */
export interface AttentionOptions extends LayerOptions {
  /** Into how many heads the features are divided; each attends by itself. */
  readonly heads: number;
  /** How many heads have keys and values of their own, which the others share in groups (Ainslie et al., 2023); all unless said. */
  readonly keyHeads?: number;
  /** Features of a head; those of the input divided by the heads unless said. */
  readonly headSize?: number;
  /** Whether a place sees only itself and those before it; false unless said. */
  readonly causal?: boolean;
  /** Whether queries and keys are turned by their place (Su et al., 2021); false unless said. */
  readonly rotary?: boolean;
  /** Whether the four products have biases; true unless said. */
  readonly bias?: boolean;
  /** The share of attention weights that is dropped in training; 0 unless said. */
  readonly dropout?: number;
  readonly init?: InitializerName | number;
}

/** Sizes that follow from the options and the input. */
function headsOf({ heads, keyHeads = heads, headSize }: AttentionOptions, features: number) {
  const size = headSize ?? features / heads;
  if (!Number.isInteger(size))
    throw new ShapeError(
      `multiHeadAttention: ${features} features cannot be divided among ${heads} heads. Take a number of heads that divides them, or say headSize.`,
    );
  return { heads, keyHeads, size, width: (heads + 2 * keyHeads) * size };
}

const makeAttention = defineLayer<AttentionOptions>("multiHeadAttention", {
  options: ["heads", "keyHeads", "headSize", "causal", "rotary", "bias", "dropout", "init"],
  masks: "takes",
  several: true,
  parameters: (config, input, inputs) => {
    const { features } = sequenceSizes("multiHeadAttention", input);
    const { heads, keyHeads, size, width } = headsOf(config, features);
    const { bias = true, init = "glorotUniform" } = config;
    // A kernel for each input: of itself one for all three, of another sequence those of queries, keys and values.
    const widths = inputs.length === 1 ? { kernel: width } : { kernel: heads * size, ...CROSS(keyHeads * size) };
    const [, keys = input, values = keys] = inputs;
    const from: Readonly<Record<string, number>> = {
      kernel: features,
      keyKernel: sequenceSizes("multiHeadAttention", keys).features,
      valueKernel: sequenceSizes("multiHeadAttention", values).features,
    };
    return [
      ...Object.entries(widths).flatMap(([name, units]) => product(name, [from[name], units], bias, init)),
      ...product("outputKernel", [heads * size, features], bias, init),
    ];
  },
  apply: (config, context) => {
    const { x, inputs, parameter, name } = context;
    const [batch, length, features] = x.shape;
    const { heads, keyHeads, size } = headsOf(config, features);
    const { bias = true, causal = false, rotary = false } = config;
    const projected = (y: Node, kernel: string): Node => {
      const z = matmul(y, parameter(kernel));
      return bias ? add(z, parameter(biasOf(kernel))) : z;
    };
    // Heads before places: [B, H, T, Dₕ].
    const byHead = (y: Node, kernel: string): Node => {
      const z = projected(y, kernel);
      return transpose(reshape(z, [batch, y.shape[1], -1, size]), [0, 2, 1, 3]);
    };
    const turned = (y: Node): Node => (rotary ? rotated(y, context) : y);
    const { q, k, v } = inputs.length === 1 ? ofItself() : ofAnother();
    const { keys, values, reach } = seen(turned(k), v, causal, length, context);

    /** One product for queries, keys and values. */
    function ofItself() {
      const all = byHead(x, "kernel"); // [B, H + 2 Hₖ, T, Dₕ]
      const part = (from: number, count: number): Node => slice(all, [0, from, 0, 0], [batch, count, length, size]);
      return { q: part(0, heads), k: part(heads, keyHeads), v: part(heads + keyHeads, keyHeads) };
    }

    function ofAnother() {
      const [, from, of = from] = inputs;
      if (inputs.length > 3)
        throw new ArgumentError(`it takes a query, keys and values; it is applied to ${inputs.length} values.`);
      if (from.shape[1] !== of.shape[1])
        throw new ShapeError(`there must be a value for each key; ${of.shape[1]} came for ${from.shape[1]}.`);
      if (context.memory) throw new ArgumentError("attention to another sequence cannot go on place by place.");
      return { q: byHead(x, "kernel"), k: byHead(from, "keyKernel"), v: byHead(of, "valueKernel") };
    }

    const groups = heads / keyHeads;
    const own = context.memory ? undefined : context.maskOf(x);
    if (own) context.setMask(own);
    const mask = inputs.length > 1 ? context.maskOf(inputs[1]) : own;
    const products = mul(1 / Math.sqrt(size), matmul(turned(q), repeated(keys, groups), { transposeB: true }));
    // No place sees padding. It is not −∞ that closes it, so that a row of nothing else has weights, too.
    const scores = mask ? add(products, reshape(select(mask, 0, -1e9), [batch, 1, 1, -1])) : products;
    const weights = name(softmax(reach ? add(scores, reach) : scores), "weights"); // [B, H, T, S]
    const mixed = matmul(dropped(weights, config.dropout ?? 0, context), repeated(values, groups));
    const joined = reshape(transpose(mixed, [0, 2, 1, 3]), [batch, length, heads * size]);
    return projected(joined, "outputKernel");
  },
  describe: ({ heads, keyHeads = heads, causal = false }) =>
    `${heads} heads${keyHeads === heads ? "" : `, ${keyHeads} of keys`}${causal ? ", causal" : ""}`,
});

/** Widths of the products that make keys and values of another sequence. */
const CROSS = (width: number): Readonly<Record<string, number>> => ({ keyKernel: width, valueKernel: width });

/** `kernel` → `bias`, `keyKernel` → `keyBias`. */
const biasOf = (kernel: string): string => (kernel === "kernel" ? "bias" : kernel.replace("Kernel", "Bias"));

/** A kernel, and the bias of its product. */
const product = (name: string, shape: Shape, bias: boolean, init: InitializerName | number): ParameterSpec[] => [
  { name, shape, init: initializer(init) },
  ...(bias ? [{ name: biasOf(name), shape: shape.slice(-1), init: initializer(0) }] : []),
];

/** Each head of keys or values for all the heads of its group. */
function repeated(x: Node, groups: number): Node {
  if (groups === 1) return x;
  const [b, h, t, d] = x.shape;
  return reshape(broadcastTo(reshape(x, [b, h, 1, t, d]), [b, h, groups, t, d]), [b, h * groups, t, d]);
}

/** −∞ where a condition holds, else 0: what is added to scores. */
const closed = (condition: Node): Node => select(condition, Number.NEGATIVE_INFINITY, 0);

/** The places that are seen, and what is added to the scores so that no place sees what comes after it. */
function seen(keys: Node, values: Node, causal: boolean, queries: number, { memory }: LayerContext) {
  const length = keys.shape[2];
  const numbers = (count: number, shape: Shape): Node =>
    constant(
      Float32Array.from({ length: count }, (_, i) => i),
      shape,
    );
  if (!memory)
    return {
      keys,
      values,
      reach: causal ? closed(less(numbers(queries, [queries, 1]), numbers(length, [length]))) : undefined,
    };
  if (!causal)
    throw new ArgumentError(
      "only causal attention can go on place by place, since others would see what is not there yet. Take { causal: true }.",
    );
  // One place at a time: its keys and values join those of the places before it.
  const here = reshape(oneHot(toIndex(memory.position, memory.length), memory.length), [memory.length, 1]);
  const joined = (name: string, own: Node): Node => {
    const [batch, heads, , size] = own.shape;
    return memory.keep(name, [batch, heads, memory.length, size], (before) => select(here, own, before));
  };
  const reach = closed(less(memory.position, numbers(memory.length, [memory.length])));
  return { keys: joined("keys", keys), values: joined("values", values), reach };
}

/** Turns the two halves of each head's features by angles that grow with the place: θᵢ = t · 10000^(−2i/D). */
function rotated(x: Node, { memory }: LayerContext): Node {
  const [b, h, t, d] = x.shape;
  if (d % 2 === 1) throw new ShapeError(`rotary positions need heads of an even number of features; ${d} came.`);
  const half = d / 2;
  const angle = (of: (angle: number) => number): Node =>
    places(memory, t, half, (place, i) => of(place * 10000 ** (-i / half)));
  const [cosine, sine] = [angle(Math.cos), angle(Math.sin)]; // [T, D / 2]
  const [p, q] = [0, half].map((from) => slice(x, [0, 0, 0, from], [b, h, t, half]));
  return concat([sub(mul(p, cosine), mul(q, sine)), add(mul(q, cosine), mul(p, sine))], 3);
}

/** A constant for each place and feature; of a network that goes on place by place, that of the place at hand. */
function places(
  memory: LayerContext["memory"],
  length: number,
  width: number,
  value: (place: number, feature: number) => number,
): Node {
  const rows = memory ? memory.length : length;
  const numbers = Float32Array.from({ length: rows * width }, (_, i) => value(Math.floor(i / width), i % width));
  const table = constant(numbers, [rows, width]);
  return memory ? gather(table, reshape(toIndex(memory.position, rows), [1])) : table;
}

/**
 * Attention with several heads (Vaswani et al., 2017): softmax(Q Kᵀ / √Dₕ) V, where queries, keys and values are products of the
 * input; [B, T, D] → [B, T, D]. The weights of the heads can be asked for as `multiHeadAttention_1.weights` [B, H, T, T].
 * Applied to two values in the functional form, it takes queries of the first and keys and values of the second, [B, S, E]; of
 * three, keys of the second and values of the third.
 *
 * @example
 * const model = sequential({ input: [16, 8] }, [multiHeadAttention({ heads: 2, causal: true }), flatten(), dense(2)]);
 * const reader = functional({ input: { question: [4, 8], text: [20, 6] } }, ({ question, text }) =>
 *   question.to(multiHeadAttention({ heads: 2 }), text).to(flatten()).to(dense(2)));
 */
export function multiHeadAttention(options: AttentionOptions): Layer {
  const { heads, keyHeads = heads, headSize = 1, dropout = 0 } = options;
  checkWhole("multiHeadAttention: ", { heads, keyHeads, headSize }, 1);
  checkNumbers("multiHeadAttention: ", { dropout }, BELOW_1);
  if (heads % keyHeads !== 0)
    throw new ArgumentError(
      `multiHeadAttention: ${heads} heads cannot share ${keyHeads} heads of keys; take a number that divides them.`,
    );
  return makeAttention(options);
}

/** How places are told apart. */
export type PositionKind = "learned" | "sinusoidal";
const POSITIONS: readonly PositionKind[] = ["learned", "sinusoidal"];

/** Options of `positions`. */
export interface PositionOptions extends LayerOptions {
  /** `"learned"`: a row of parameters for each place; `"sinusoidal"`: sines and cosines (Vaswani et al., 2017). */
  readonly kind?: PositionKind;
}

const makePositions = defineLayer<PositionOptions>("positions", {
  options: ["kind"],
  masks: "places",
  scales: true,
  parameters: ({ kind = "learned" }, input) => {
    const { length, features } = sequenceSizes("positions", input);
    return kind === "learned" ? [{ name: "table", shape: [length, features], init: initializer("uniform(0.05)") }] : [];
  },
  apply: ({ kind = "learned" }, { x, parameter, memory }) => {
    const [, length, features] = x.shape;
    if (kind === "sinusoidal") {
      const half = features / 2;
      return add(
        x,
        places(memory, length, features, (place, i) => {
          const angle = place * 10000 ** (-Math.floor(i / 2) / half);
          return i % 2 === 0 ? Math.sin(angle) : Math.cos(angle);
        }),
      );
    }
    const table = parameter("table");
    return add(x, memory ? gather(table, reshape(toIndex(memory.position, memory.length), [1])) : table);
  },
  describe: ({ kind = "learned" }) => kind,
});

/**
 * Adds to each place of a sequence what tells it from others: [B, T, D] → the same.
 *
 * @example
 * const model = sequential({ input: [16] }, [embedding(100, 8), positions(), multiHeadAttention({ heads: 2 }), flatten(), dense(2)]);
 */
export function positions(options: PositionOptions = {}): Layer {
  checkOptionNames("positions", options, ["kind", "name", "trainable"]);
  const { kind = "learned" } = options;
  if (!POSITIONS.includes(kind)) throw unknownName("kind of positions", kind, POSITIONS);
  return makePositions(options);
}
