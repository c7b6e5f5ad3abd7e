/**
 * The eight worked examples of the textbook's chapter, as runs: rows, layers and first weights as they stand in examples/,
 * so that every number there can be clicked here. A run has to have weights: where an example has none, a kernel that changes
 * nothing stands before what it shows.
 */
import { FIRST, type LayerSpec, type Preset, type Spec } from "./spec.ts";

const dense = (units: number, activation: string, bias = false): LayerSpec => ({
  kind: "dense",
  config: { units, activation, bias },
});
const IDENTITY = [1, 0, 0, 0, 1, 0, 0, 0, 1];
const sgd = (learningRate: number): Spec["optimizer"] => ({ name: "sgd", learningRate, weightDecay: 0 });

function worked(
  number: number,
  title: string,
  shows: string,
  data: { readonly x: number[][]; readonly y: number[] | number[][] },
  spec: Pick<Spec, "layers" | "loss"> & Partial<Spec>,
): Preset {
  const name = `Worked example ${number}: ${title}`;
  return {
    title: name,
    shows,
    spec: {
      ...FIRST,
      optimizer: sgd(0.1),
      heldOut: 0,
      batchSize: data.x.length,
      ...spec,
      data: { kind: "rows", title: name, ...data },
    },
  };
}

const NET = {
  layers: [dense(2, "tanh"), dense(1, "sigmoid")],
  weights: { "dense_1.kernel": [0.4, 0.3, 0.2, 0.7, 0.6, 0.5], "dense_2.kernel": [0.8, 0.6] },
};

export const WORKED_EXAMPLES: readonly Preset[] = [
  worked(
    1,
    "forward pass",
    "A 3-2-1 net, term by term.",
    { x: [[0.5, 0.2, 0.1]], y: [[1]] },
    { ...NET, loss: "meanSquaredError" },
  ),
  worked(
    2,
    "backward pass",
    "The same net, L = ½(o − t)², learning rate 0.1: every weight's chain rule.",
    { x: [[0.5, 0.2, 0.1]], y: [[1]] },
    { ...NET, loss: "halfSquaredError" },
  ),
  worked(
    3,
    "a dead unit",
    "The second hidden unit has z = −0.5: ReLU lets no gradient through.",
    { x: [[1.5]], y: [[1, 0]] },
    {
      layers: [dense(2, "relu", true), dense(2, "relu", true)],
      weights: {
        "dense_1.kernel": [0.6, -0.4],
        "dense_1.bias": [0.1, 0.1],
        "dense_2.kernel": [0.5, -0.3, 0.8, 0.2],
        "dense_2.bias": [0.1, 0.1],
      },
      loss: "halfSquaredError",
    },
  ),
  worked(
    4,
    "activations",
    "Sigmoid at −1, 0 and 1 with its derivative; choose another function at its card.",
    { x: [[-1, 0, 1]], y: [[0, 0, 0]] },
    { layers: [dense(3, "sigmoid")], weights: { "dense_1.kernel": IDENTITY }, loss: "meanSquaredError" },
  ),
  worked(
    5,
    "losses",
    "Cross-entropy of p = 0.7, 0.2, 0.1 where the first class is true; the inputs are ln p.",
    { x: [[0.7, 0.2, 0.1].map(Math.log)], y: [0] },
    { layers: [dense(3, "linear")], weights: { "dense_1.kernel": IDENTITY }, loss: "crossEntropy" },
  ),
  worked(
    6,
    "one update",
    "w ← w − η ∂L/∂w. The target makes ∂L/∂z = 1, so the gradient is x itself.",
    { x: [[0.1, 0.2]], y: [[-0.89]] },
    {
      layers: [dense(1, "linear")],
      weights: { "dense_1.kernel": [0.5, 0.3] },
      loss: "halfSquaredError",
      optimizer: sgd(0.01),
    },
  ),
  worked(
    7,
    "batch normalisation",
    "Three rows of two features, γ = 1 and β = 0.",
    {
      x: [
        [1, 2],
        [3, 4],
        [5, 6],
      ],
      y: [
        [1, 2],
        [3, 4],
        [5, 6],
      ],
    },
    { layers: [{ kind: "batchNorm", config: {} }], loss: "meanSquaredError" },
  ),
  worked(
    8,
    "ten layers",
    "The gradient of the first layer's weights, through all ten, equals the finite difference.",
    {
      x: [
        [0.5, -1.2, 0.3, 0.8],
        [-0.7, 0.4, 1.1, -0.2],
        [1.3, 0.6, -0.9, 0.1],
        [-0.4, -0.8, 0.2, 1.5],
        [0.9, -0.3, -1.4, 0.7],
        [-1.1, 1.0, 0.5, -0.6],
      ],
      y: [0, 2, 1, 0, 2, 1],
    },
    {
      layers: [...Array.from({ length: 9 }, () => dense(5, "tanh", true)), dense(3, "linear", true)],
      loss: "crossEntropy",
      seed: 1,
    },
  ),
];
