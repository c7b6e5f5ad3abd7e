/**
 * What comes back from ONNX runs as fast as before: the usual networks have, step for step, the plan that they had before they
 * went out, at inference and in training. Names aside: ops, shapes, memory and floating-point operations are compared.
 */
import {
  activation,
  batchNorm,
  conv2d,
  dense,
  flatten,
  globalAveragePool1d,
  lstm,
  type Model,
  maxPool2d,
  residual,
  sequential,
  sgd,
  transformerBlock,
} from "chainrule";
import { fromOnnx, toOnnx } from "chainrule/interchange";
import { describe, expect, test } from "vitest";
import { input } from "../../src/graph/leaf.ts";
import { makePlan, type Plan, stepFlops, stepName } from "../../src/plan/plan.ts";
import { givenStep, trainingPlan } from "../../src/train/training-graph.ts";

const BATCH = 16;

/** A line for each step: its ops, what it stores, its work. What of several things comes first may hang on names. */
const stepsOf = ({ steps }: Plan): string[] =>
  steps
    .map((step) => {
      const stored = step.writes.map(({ shape }) => `[${shape}]`).sort();
      return `${stepName(step).split("+").sort().join("+")} ${stored} ${stepFlops(step)}`;
    })
    .sort();

/** Of whole places, which is how networks over time go out. */
function inference({ network }: Model): string[] {
  const x = input("x", [BATCH, ...network.inputShape]);
  const { outputs } = network.apply([x], { training: false, unrolled: true });
  return stepsOf(makePlan({ inputs: [x], outputs }));
}

function training(model: Model): string[] {
  const { inputShape, network } = model;
  const zeros = (shape: readonly number[]) => new Float32Array(BATCH * shape.reduce((size, n) => size * n, 1));
  const examples = model.examples({ x: zeros(inputShape), y: zeros(network.outputShape) }, "mse");
  return stepsOf(trainingPlan(givenStep(network, "mse", examples, sgd(), undefined, true)));
}

const NETWORKS: Readonly<Record<string, () => Model>> = {
  "dense layers": () =>
    sequential({ input: [20] }, [
      dense(16, { activation: "relu" }),
      batchNorm(),
      dense(8, { activation: "gelu" }),
      dense(8, { activation: "silu" }),
      dense(8, { activation: "mish" }),
      dense(3),
    ]),
  "a convolutional network with batch normalisation and a residual": () =>
    sequential({ input: [12, 12, 3] }, [
      conv2d(8, 3, { padding: "same" }),
      batchNorm(),
      activation("relu"),
      residual([conv2d(8, 3, { padding: "same" }), batchNorm(), activation("relu")]),
      maxPool2d(2),
      conv2d(12, 3, { activation: "relu" }),
      flatten(),
      dense(10, { activation: "relu" }),
      dense(4),
    ]),
  "an LSTM": () => sequential({ input: [6, 5] }, [lstm(7), dense(3)]),
  "a transformer": () =>
    sequential({ input: [9, 8] }, [
      transformerBlock({ width: 8, heads: 2 }),
      transformerBlock({ width: 8, heads: 2 }),
      globalAveragePool1d(),
      dense(3),
    ]),
};

describe.each(Object.entries(NETWORKS))("%s", (_, make) => {
  const ours = make();
  const back = fromOnnx(toOnnx(ours), { channelsLast: false }) as Model;

  test("predicts with the same steps", () => {
    expect(inference(back)).toEqual(inference(ours));
  });

  test("trains with the same steps", () => {
    expect(training(back)).toEqual(training(ours));
  });
});
