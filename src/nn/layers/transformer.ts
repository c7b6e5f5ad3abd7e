/** Transformers, made of the other layers: a block of attention and a feed-forward part, and a language model of such blocks. */
import { BELOW_1, checkNumbers, checkOptionNames, checkWhole, unknownName } from "../../checks.ts";
import type { Layer, LayerOptions } from "../layer.ts";
import type { Flow } from "../wiring.ts";
import { type AttentionOptions, multiHeadAttention, type PositionKind, positions } from "./attention.ts";
import { block, chain, merge, residual } from "./composite.ts";
import { dense } from "./dense.ts";
import { dropout } from "./dropout.ts";
import { embedding, unembedding } from "./embedding.ts";
import { layerNorm, rmsNorm } from "./normalization.ts";

/** How values are brought to one size: `layerNorm` or `rmsNorm`. */
export type NormName = "layer" | "rms";
const NORMS: Readonly<Record<NormName, () => Layer>> = { layer: () => layerNorm(), rms: () => rmsNorm() };

/** Options of `transformerBlock`. */
export interface TransformerOptions
  extends LayerOptions,
    Pick<AttentionOptions, "heads" | "keyHeads" | "causal" | "rotary"> {
  /** Features at each place, D. */
  readonly width: number;
  /** Units of the feed-forward part; four times the width unless said. */
  readonly hidden?: number;
  /** The activation of the feed-forward part; `gelu` unless said. */
  readonly activation?: string;
  /** Whether the activation is multiplied by a second product, as in SwiGLU (Shazeer, 2020); false unless said. */
  readonly gated?: boolean;
  /** `"layer"` or `"rms"`; `"layer"` unless said. */
  readonly norm?: NormName;
  /** Whether to normalise before each part, which trains more steadily (Xiong et al., 2020), or after it; `"pre"` unless said. */
  readonly placement?: "pre" | "post";
  /** The share that is dropped after each part and of the attention weights in training; 0 unless said. */
  readonly dropout?: number;
  /** Whether products have biases; true unless said. */
  readonly bias?: boolean;
}

const OPTIONS = [
  "width",
  "heads",
  "keyHeads",
  "causal",
  "rotary",
  "hidden",
  "activation",
  "gated",
  "norm",
  "placement",
  "dropout",
  "bias",
];

/**
 * A block of a transformer: x + attention(x), then x + feedForward(x), with a normalisation before each (or after);
 * [B, T, width] → the same.
 *
 * @example
 * const model = sequential({ input: [16] }, [embedding(100, 32), positions(), transformerBlock({ width: 32, heads: 4 }), flatten(), dense(2)]);
 */
export function transformerBlock(options: TransformerOptions): Layer {
  const { normalisation, attention, feedForward, drop, placement, own } = partsOf("transformerBlock", options);
  const layers =
    placement === "pre"
      ? [
          residual([normalisation(), attention(options), ...drop()]),
          residual([normalisation(), ...feedForward(), ...drop()]),
        ]
      : [
          residual([attention(options), ...drop()]),
          normalisation(),
          residual([...feedForward(), ...drop()]),
          normalisation(),
        ];
  return chain(layers, own);
}

/**
 * A block of a decoder, applied to its own sequence and to what an encoder made of another: x + attention(x), each place seeing
 * those before it, then x + attention(x, memory), then x + feedForward(x), with a normalisation before each (or after);
 * [B, T, width] and [B, S, E] → [B, T, width].
 *
 * @example
 * const model = functional({ input: { source: [12], target: [8] } }, ({ source, target }) => {
 *   const memory = source.to(embedding(50, 16)).to(positions()).to(transformerBlock({ width: 16, heads: 2 }));
 *   const y = target.to(embedding(60, 16)).to(positions()).to(decoderBlock({ width: 16, heads: 2 }), memory);
 *   return y.to(dense(60));
 * });
 */
export function decoderBlock(options: TransformerOptions): Layer {
  const { normalisation, attention, feedForward, drop, placement, own } = partsOf("decoderBlock", options);
  return block((x, memory) => {
    const through = (value: Flow, layers: readonly Layer[]): Flow => layers.reduce((v, layer) => v.to(layer), value);
    const added = (value: Flow, part: (value: Flow) => Flow): Flow =>
      placement === "pre"
        ? merge("add", value, through(part(value.to(normalisation())), drop()))
        : merge("add", value, through(part(value), drop())).to(normalisation());
    const first = added(x, (value) => value.to(attention({ causal: true, ...options })));
    const second = added(first, (value) => value.to(attention({ keyHeads: options.keyHeads }), memory));
    return added(second, (value) => through(value, feedForward()));
  }, own);
}

/** What blocks are made of, each part anew with each call. */
function partsOf(what: string, options: TransformerOptions) {
  checkOptionNames(what, options, [...OPTIONS, "name", "trainable"]);
  const { width, hidden = 4 * width, activation = "gelu", gated = false, dropout: rate = 0, bias = true } = options;
  const { norm = "layer", placement = "pre", heads, name, trainable } = options;
  checkWhole(`${what}: `, { width, hidden }, 1);
  checkNumbers(`${what}: `, { dropout: rate }, BELOW_1);
  if (!Object.hasOwn(NORMS, norm)) throw unknownName("normalisation", norm, Object.keys(NORMS));
  if (!["pre", "post"].includes(placement)) throw unknownName("placement", placement, ["pre", "post"]);
  return {
    placement,
    own: withoutUndefined({ name, trainable }),
    normalisation: NORMS[norm],
    attention: ({ keyHeads, causal, rotary }: Pick<TransformerOptions, "keyHeads" | "causal" | "rotary">): Layer =>
      multiHeadAttention({ ...withoutUndefined({ heads, keyHeads, causal, rotary }), heads, bias, dropout: rate }),
    feedForward: (): Layer[] =>
      gated
        ? [
            block((x) => merge("multiply", x.to(dense(hidden, { activation, bias })), x.to(dense(hidden, { bias })))),
            dense(width, { bias }),
          ]
        : [dense(hidden, { activation, bias }), dense(width, { bias })],
    drop: (): Layer[] => (rate > 0 ? [dropout(rate)] : []),
  };
}

/** Options without those that were not given, since layers keep theirs as JSON. */
const withoutUndefined = <T extends object>(options: T): T =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T;

/** Options of `gpt`. */
export interface GptOptions
  extends Pick<TransformerOptions, "width" | "heads" | "keyHeads" | "gated" | "norm" | "dropout" | "bias"> {
  /** How many tokens there are. */
  readonly vocabulary: number;
  /** How many blocks. */
  readonly blocks: number;
  /** How places are told apart; `"learned"` unless said. */
  readonly positions?: PositionKind | "rotary";
  /** Whether the last product is with the table of the embedding (Press & Wolf, 2017), which spares its own; false unless said. */
  readonly tied?: boolean;
}

/**
 * The layers of a language model (Radford et al., 2019): token numbers [B, T] → logits of the token that comes next, at each
 * place [B, T, vocabulary]. Trained with `crossEntropy` on windows of a text and the same moved on by one.
 *
 * @example
 * const model = sequential({ input: [32] }, gpt({ vocabulary: 65, width: 64, heads: 4, blocks: 2 }));
 */
export function gpt(options: GptOptions): Layer[] {
  const names = [
    "vocabulary",
    "blocks",
    "width",
    "heads",
    "keyHeads",
    "gated",
    "norm",
    "dropout",
    "bias",
    "positions",
    "tied",
  ];
  checkOptionNames("gpt", options, names);
  const { vocabulary, blocks, positions: kind = "learned", norm = "layer", dropout: rate = 0, ...rest } = options;
  const { tied = false, ...shared } = rest;
  checkWhole("gpt: ", { vocabulary, blocks }, 1);
  const one = { ...shared, norm, causal: true, rotary: kind === "rotary", dropout: rate };
  return [
    embedding(vocabulary, options.width, { init: "random(0.02)", ...(tied && { name: "tokens" }) }),
    ...(kind === "rotary" ? [] : [positions({ kind })]),
    ...(rate > 0 ? [dropout(rate)] : []),
    ...Array.from({ length: blocks }, () => transformerBlock(one)),
    NORMS[norm](),
    tied ? unembedding("tokens") : dense(vocabulary, { bias: false }),
  ];
}
