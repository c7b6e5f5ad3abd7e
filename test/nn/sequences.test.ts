/** Recurrent layers and transformers against PyTorch: outputs, all gradients, the losses of 50 steps (test/fixtures/sequences.py). */
import {
  bidirectional,
  gru,
  type Layer,
  lstm,
  type Model,
  multiHeadAttention,
  reference,
  sequential,
  sgd,
  simpleRnn,
  trainStep,
  transformerBlock,
  wasm,
} from "chainrule";
import { describe, expect, test } from "vitest";
import { fixture } from "../support/fixtures.ts";

type Weight = { readonly shape: readonly number[]; readonly data: readonly number[] };

interface Case {
  readonly x: readonly number[];
  readonly features: number;
  readonly y: readonly number[];
  readonly target: readonly number[];
  readonly weights: Readonly<Record<string, Weight>>;
  readonly gradients: Readonly<Record<string, readonly number[]>>;
  readonly losses: readonly number[];
}

const { length, cases } = fixture<{ length: number; cases: Record<string, Case> }>("sequences");

/** [O, I] as [I, O]. */
const transposed = ({ shape: [rows, columns], data }: Weight): number[] =>
  Array.from({ length: data.length }, (_, i) => data[(i % rows) * columns + Math.floor(i / rows)]);

/** Parts of equal length in another order: gates along the last axis of rows of `width` numbers. */
function reordered(data: readonly number[], width: number, order: readonly number[]): number[] {
  const units = width / order.length;
  return Array.from({ length: data.length }, (_, i) => {
    const [row, column] = [Math.floor(i / width), i % width];
    return data[row * width + order[Math.floor(column / units)] * units + (column % units)];
  });
}

/** What PyTorch's arrays are under our names. Of a recurrent layer: the gates in our order; a GRU has a second bias. */
const recurrent =
  (order: readonly number[], layer: string, { suffix = "", secondBias = false } = {}) =>
  (of: (key: string) => Weight): Record<string, number[]> => {
    const part = (key: string): Weight => of(`module.${key}_l0${suffix}`);
    const gates = (data: readonly number[]) => reordered(data, part("weight_ih").shape[0], order);
    return {
      [`${layer}.kernel`]: gates(transposed(part("weight_ih"))),
      [`${layer}.recurrentKernel`]: gates(transposed(part("weight_hh"))),
      [`${layer}.bias`]: gates(part("bias_ih").data),
      ...(secondBias && { [`${layer}.recurrentBias`]: gates(part("bias_hh").data) }),
    };
  };

const attentionOf = (from: string, to: string) => (of: (key: string) => Weight) => ({
  [`${to}.kernel`]: transposed(of(`${from}.in_proj_weight`)),
  [`${to}.bias`]: [...of(`${from}.in_proj_bias`).data],
  [`${to}.outputKernel`]: transposed(of(`${from}.out_proj.weight`)),
  [`${to}.outputBias`]: [...of(`${from}.out_proj.bias`).data],
});

const blockOf =
  (names: { attention: string; norms: readonly [string, string]; dense: readonly [string, string] }) =>
  (of: (key: string) => Weight): Record<string, number[]> => ({
    ...attentionOf("block.self_attn", names.attention)(of),
    ...Object.fromEntries(
      names.norms.flatMap((name, i) => [
        [`${name}.gamma`, [...of(`block.norm${i + 1}.weight`).data]],
        [`${name}.beta`, [...of(`block.norm${i + 1}.bias`).data]],
      ]),
    ),
    ...Object.fromEntries(
      names.dense.flatMap((name, i) => [
        [`${name}.kernel`, transposed(of(`block.linear${i + 1}.weight`))],
        [`${name}.bias`, [...of(`block.linear${i + 1}.bias`).data]],
      ]),
    ),
  });

const SAME = [0];
/** PyTorch: i, f, g, o; so are ours. */
const LSTM = [0, 1, 2, 3];
/** PyTorch: r, z, n; ours: z, r, n. */
const GRU = [1, 0, 2];

const NETWORKS: Record<string, { layer: Layer; names(of: (key: string) => Weight): Record<string, number[]> }> = {
  rnn: { layer: simpleRnn(6, { sequences: true }), names: recurrent(SAME, "simpleRnn_1") },
  lstm: { layer: lstm(6, { sequences: true }), names: recurrent(LSTM, "lstm_1") },
  gru: { layer: gru(6, { sequences: true }), names: recurrent(GRU, "gru_1", { secondBias: true }) },
  bidirectional: {
    layer: bidirectional(lstm(6, { sequences: true })),
    names: (of) => ({
      ...recurrent(LSTM, "branches_1.lstm_1")(of),
      ...recurrent(LSTM, "branches_1.lstm_2", { suffix: "_reverse" })(of),
    }),
  },
  attention: { layer: multiHeadAttention({ heads: 2 }), names: attentionOf("attention", "multiHeadAttention_1") },
  pre: {
    layer: transformerBlock({ width: 8, heads: 2, hidden: 12, causal: true }),
    names: blockOf({
      attention: "chain_1.residual_1.multiHeadAttention_1",
      norms: ["chain_1.residual_1.layerNorm_1", "chain_1.residual_2.layerNorm_1"],
      dense: ["chain_1.residual_2.dense_1", "chain_1.residual_2.dense_2"],
    }),
  },
  post: {
    layer: transformerBlock({ width: 8, heads: 2, hidden: 12, causal: true, placement: "post", activation: "relu" }),
    names: blockOf({
      attention: "chain_1.residual_1.multiHeadAttention_1",
      norms: ["chain_1.layerNorm_1", "chain_1.layerNorm_2"],
      dense: ["chain_1.residual_2.dense_1", "chain_1.residual_2.dense_2"],
    }),
  },
};

const farthest = (actual: ArrayLike<number>, wanted: readonly number[]): number => {
  expect(actual.length).toBe(wanted.length);
  return Math.max(...wanted.map((value, i) => Math.abs(actual[i] - value)));
};

describe.each(Object.entries(NETWORKS))("%s", (name, { layer, names }) => {
  const one = cases[name];

  test.each([
    ["float64", () => reference("float64"), 1e-9],
    ["the engine", () => wasm(), 1e-5],
  ] as const)("%s", async (_, backend, tolerance) => {
    const model: Model = sequential({ input: [length, one.features], backend: backend() }, [layer]);
    const weights = names((key) => one.weights[key]);
    expect(model.network.parameters.map((parameter) => parameter.name).sort()).toEqual(Object.keys(weights).sort());
    for (const { name: own, node } of model.network.parameters) model.session.write(node, weights[own]);
    const data = { x: [...one.x], y: [...one.target] };
    // Predictions come in single precision from any backend.
    expect(farthest((await model.predict(data.x)) as Float32Array, one.y)).toBeLessThanOrEqual(
      Math.max(tolerance, 3e-7),
    );

    const optimizer = sgd({ learningRate: 0.1, momentum: 0.9 });
    const step = trainStep(model, { loss: "meanSquaredError", optimizer, gradients: true });
    const gradients = names((key) => ({ ...one.weights[key], data: one.gradients[key] }));
    const losses: number[] = [];
    for (let i = 0; i < 50; i++) {
      const result = await step(data);
      losses.push(result.loss);
      if (i > 0) continue;
      for (const [key, values] of Object.entries(gradients))
        expect(farthest(result.gradients[key], values), key).toBeLessThanOrEqual(tolerance);
    }
    expect(farthest(losses, one.losses)).toBeLessThanOrEqual(tolerance);
  });
});

test("gates and candidates may go through other activations: one step by hand", async () => {
  const given = { activation: "relu", gateActivation: "hardSigmoid(0.2)", bias: false } as const;
  const [x, w] = [2, [0.5, 1, 1.5, -2]];
  const hard = (z: number): number => Math.min(Math.max(0.2 * z + 0.5, 0), 1);
  // From a state of 0 all sums are x w.
  const z = w.map((each) => x * each);
  const one = sequential({ input: [1, 1], backend: reference("float64") }, [lstm(1, given)]);
  one.setWeight("lstm_1.kernel", w);
  const cell = hard(z[0]) * Math.max(z[2], 0);
  expect((await one.predict([[[x]]]))[0]).toBeCloseTo(hard(z[3]) * Math.max(cell, 0), 6);

  const other = sequential({ input: [1, 1], backend: reference("float64") }, [gru(1, given)]);
  other.setWeight("gru_1.kernel", w.slice(0, 3));
  expect((await other.predict([[[x]]]))[0]).toBeCloseTo((1 - hard(z[0])) * Math.max(z[2], 0), 6);
  expect(() => lstm(1, { gateActivation: "sigmod" })).toThrow(/no activation called "sigmod".*sigmoid/);
});
