/** One network of one layer for each way in which a kind of layer is used: what tests of all layers go through. */
import {
  activation,
  averagePool1d,
  averagePool2d,
  batchNorm,
  bidirectional,
  block,
  branches,
  chain,
  conv1d,
  conv2d,
  conv2dTranspose,
  decoderBlock,
  dense,
  depthwiseConv2d,
  dropout,
  embedding,
  flatten,
  globalAveragePool1d,
  globalAveragePool2d,
  globalMaxPool1d,
  globalMaxPool2d,
  gru,
  type Layer,
  lastSeason,
  layerNorm,
  lstm,
  masking,
  maxPool1d,
  maxPool2d,
  merge,
  multiHeadAttention,
  normalize,
  positions,
  rescale,
  reshape,
  residual,
  rmsNorm,
  simpleRnn,
  spatialDropout,
  transformerBlock,
  unembedding,
  upsampling2d,
  zeroPadding2d,
} from "chainrule";
import type { Shape } from "../../src/graph/shape.ts";

/** A layer, and what it makes of what. */
export interface LayerCase {
  readonly layer: Layer;
  readonly input: Shape;
  readonly output: Shape;
  /** A shape that it cannot take, where there is one. */
  readonly bad?: Shape;
  /** Whole numbers below this as input, instead of any numbers. */
  readonly below?: number;
}

const image = [6, 5, 4];
const notImage = { input: image, bad: [7] };
/** By the kinds of layers. */
export const LAYER_CASES: Readonly<Record<string, readonly LayerCase[]>> = {
  dense: [
    { layer: dense(3), input: [5], output: [3], bad: [5, 2, 2] },
    { layer: dense(3, { activation: "gelu", bias: 0.1, l1: 0.01, l2: 0.1 }), input: [5], output: [3], bad: [] },
    { layer: dense(3, { activation: "softmax", bias: false }), input: [5], output: [3], bad: [] },
    { layer: dense(4, { activation: "relu" }), input: [6, 3], output: [6, 4], bad: [6, 3, 2] },
  ],
  unembedding: [
    {
      layer: chain([embedding(7, 4, { name: "words" }), dense(4), unembedding("words")]),
      input: [5],
      output: [5, 7],
      below: 7,
    },
  ],
  multiHeadAttention: [
    {
      layer: block((x) => x.to(multiHeadAttention({ heads: 4, keyHeads: 2, rotary: true }), x.to(dense(5)), x)),
      input: [5, 8],
      output: [5, 8],
    },
    {
      layer: block((x) => x.to(decoderBlock({ width: 4, heads: 2, gated: true, norm: "rms" }), x.to(conv1d(3, 2)))),
      input: [5, 4],
      output: [5, 4],
    },
    { layer: multiHeadAttention({ heads: 2 }), input: [5, 6], output: [5, 6], bad: [5, 7] },
    { layer: multiHeadAttention({ heads: 4, keyHeads: 2, causal: true, bias: false }), input: [5, 8], output: [5, 8] },
    {
      layer: multiHeadAttention({ heads: 2, headSize: 4, rotary: true, causal: true, dropout: 0.2 }),
      input: [4, 6],
      output: [4, 6],
      bad: [6],
    },
  ],
  simpleRnn: [
    { layer: simpleRnn(3), input: [4, 2], output: [3], bad: [4] },
    { layer: simpleRnn(3, { sequences: true, backwards: true, activation: "sigmoid" }), input: [4, 2], output: [4, 3] },
  ],
  masking: [{ layer: masking(), input: [4, 2], output: [4, 2], bad: [4] }],
  lstm: [
    { layer: lstm(3), input: [4, 2], output: [3], bad: [4] },
    { layer: lstm(3, { sequences: true, forgetBias: 0.5 }), input: [4, 2], output: [4, 3] },
    { layer: lstm(2, { backwards: true, bias: false }), input: [3, 2], output: [2] },
  ],
  gru: [
    { layer: gru(3), input: [4, 2], output: [3], bad: [4, 2, 2] },
    { layer: gru(3, { sequences: true, resetAfter: false }), input: [4, 2], output: [4, 3] },
    { layer: gru(2, { backwards: true, bias: false }), input: [3, 2], output: [2] },
  ],
  positions: [
    { layer: positions(), input: [5, 4], output: [5, 4], bad: [5] },
    { layer: positions({ kind: "sinusoidal" }), input: [5, 4], output: [5, 4], bad: [5, 4, 3] },
  ],
  rmsNorm: [
    { layer: rmsNorm(), input: [5], output: [5], bad: [] },
    { layer: rmsNorm({ epsilon: 1e-3 }), input: [3, 6], output: [3, 6] },
  ],
  activation: [
    { layer: activation("mish"), input: [4, 3], output: [4, 3] },
    { layer: activation("softmax"), input: [4, 3], output: [4, 3] },
  ],
  dropout: [{ layer: dropout(0.4), input: [9], output: [9] }],
  spatialDropout: [{ layer: spatialDropout(0.4), input: image, output: image }],
  flatten: [{ layer: flatten(), input: image, output: [120] }],
  reshape: [{ layer: reshape([2, -1]), input: image, output: [2, 60], bad: [3] }],
  rescale: [{ layer: rescale(0.5), input: image, output: image }],
  lastSeason: [
    { layer: lastSeason(3), input: [4, 2], output: [3], bad: [4] },
    { layer: lastSeason(5, { season: 2, features: [2, 0] }), input: [4, 3], output: [10], bad: [1, 3] },
  ],
  normalize: [{ layer: normalize({ mean: [1, 2], deviation: [2, 0.5] }), input: [3, 2], output: [3, 2], bad: [3] }],
  batchNorm: [
    { layer: batchNorm(), input: [5], output: [5], bad: [] },
    { layer: batchNorm({ momentum: 0.5, epsilon: 1e-3 }), input: image, output: image, bad: [] },
  ],
  layerNorm: [
    { layer: layerNorm(), input: [5], output: [5], bad: [] },
    { layer: layerNorm(), input: [3, 6], output: [3, 6], bad: [] },
  ],
  embedding: [{ layer: embedding(7, 3), input: [4], output: [4, 3], below: 7 }],
  conv2d: [
    { layer: conv2d(3, 3), ...notImage, output: [4, 3, 3] },
    {
      layer: conv2d(6, [3, 2], { padding: "same", stride: 2, groups: 2, activation: "tanh", l2: 0.1 }),
      ...notImage,
      output: [3, 3, 6],
      bad: [6, 5, 3],
    },
    { layer: conv2d(2, 2, { dilation: 2, padding: 1, bias: false }), ...notImage, output: [6, 5, 2], bad: [7] },
  ],
  depthwiseConv2d: [
    {
      layer: depthwiseConv2d(3, { multiplier: 2, padding: "same", activation: "relu" }),
      ...notImage,
      output: [6, 5, 8],
    },
    { layer: depthwiseConv2d(3), ...notImage, output: [4, 3, 4] },
  ],
  conv1d: [
    { layer: conv1d(3, 4, { padding: "same", activation: "silu" }), input: [9, 2], output: [9, 3], bad: [9] },
    { layer: conv1d(4, 3, { stride: 2, groups: 2 }), input: [9, 2], output: [4, 4], bad: [9, 3] },
  ],
  conv2dTranspose: [
    { layer: conv2dTranspose(3, 2, { stride: 2, activation: "elu" }), ...notImage, output: [12, 10, 3] },
    { layer: conv2dTranspose(2, 3, { stride: 2, padding: "same" }), ...notImage, output: [12, 10, 2] },
    { layer: conv2dTranspose(6, 3, { groups: 2 }), ...notImage, output: [8, 7, 6], bad: [6, 5, 3] },
  ],
  maxPool2d: [
    { layer: maxPool2d(), ...notImage, output: [3, 2, 4] },
    { layer: maxPool2d(3, { stride: 1, padding: "same" }), ...notImage, output: image },
  ],
  averagePool2d: [{ layer: averagePool2d([2, 1], { padding: "same" }), ...notImage, output: [3, 5, 4] }],
  maxPool1d: [
    { layer: maxPool1d(), input: [9, 3], output: [4, 3], bad: [9] },
    { layer: maxPool1d(3, { stride: 1, padding: "same" }), input: [9, 3], output: [9, 3], bad: image },
  ],
  averagePool1d: [{ layer: averagePool1d(4, { stride: 3, padding: [1, 2] }), input: [9, 3], output: [3, 3], bad: [9] }],
  globalAveragePool1d: [{ layer: globalAveragePool1d(), input: [9, 3], output: [3], bad: [9] }],
  globalMaxPool1d: [{ layer: globalMaxPool1d(), input: [9, 3], output: [3], bad: [9] }],
  globalAveragePool2d: [{ layer: globalAveragePool2d(), ...notImage, output: [4] }],
  globalMaxPool2d: [{ layer: globalMaxPool2d(), ...notImage, output: [4] }],
  zeroPadding2d: [
    {
      layer: zeroPadding2d([
        [1, 0],
        [2, 1],
      ]),
      ...notImage,
      output: [7, 8, 4],
    },
  ],
  upsampling2d: [{ layer: upsampling2d([2, 1]), ...notImage, output: [12, 5, 4] }],
  chain: [
    ...[
      transformerBlock({ width: 6, heads: 2, hidden: 5 }),
      transformerBlock({
        width: 6,
        heads: 2,
        gated: true,
        norm: "rms",
        activation: "silu",
        rotary: false,
        bias: false,
      }),
      transformerBlock({ width: 6, heads: 3, placement: "post", causal: true, dropout: 0.1 }),
    ].map((layer): LayerCase => ({ layer, input: [4, 6], output: [4, 6], bad: [6] })),
    { layer: chain([dense(4, { activation: "tanh" }), dense(2)]), input: [3], output: [2], bad: [] },
  ],
  residual: [
    { layer: residual([dense(5, { activation: "tanh" }), dense(3)]), input: [3], output: [3], bad: [4] },
    {
      layer: residual([conv2d(6, 3, { padding: "same", bias: false }), batchNorm()], { projection: conv2d(6, 1) }),
      ...notImage,
      output: [6, 5, 6],
    },
  ],
  branches: [
    {
      layer: branches([dense(2), chain([dense(3, { activation: "relu" }), dense(4)])]),
      input: [3],
      output: [6],
      bad: [],
    },
    {
      layer: branches([dense(2), dense(2, { activation: "sigmoid" })], { merge: "multiply" }),
      input: [3],
      output: [2],
      bad: [],
    },
  ],
  block: [
    { layer: bidirectional(gru(2, { sequences: true })), input: [3, 2], output: [3, 4] },
    {
      // The same layer twice: y = W(Wx) + x.
      layer: block((x) => {
        const shared = dense(3);
        return merge("add", x.to(shared).to(shared), x);
      }),
      input: [3],
      output: [3],
      bad: [4],
    },
  ],
  merge: [
    { layer: block((x) => merge("average", x.to(dense(2)), x.to(dense(2)), x.to(dense(2)))), input: [3], output: [2] },
    { layer: block((x) => merge("maximum", x.to(dense(2)), x.to(dense(2)))), input: [3], output: [2] },
    { layer: block((x) => merge("concat", x, x.to(dense(2)))), input: [3], output: [5] },
  ],
};
