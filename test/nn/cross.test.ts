/**
 * Attention to another sequence, decoder blocks and tied embeddings against PyTorch: outputs, all gradients, the losses of 50
 * steps (test/fixtures/cross.py); and that a decoder learns what only its memory can tell.
 */
import {
  type Backend,
  decoderBlock,
  dense,
  embedding,
  fromBytes,
  functional,
  generate,
  gpt,
  type InputShapes,
  type Layer,
  type Model,
  multiHeadAttention,
  positions,
  reference,
  sequential,
  sgd,
  trainStep,
  transformerBlock,
  unembedding,
  wasm,
} from "chainrule";
import { describe, expect, test, vi } from "vitest";
import { fixture, type Stored } from "../support/fixtures.ts";

interface Case {
  /** Of each input: the shape of a sample, and numbers. */
  readonly x: readonly Stored[];
  readonly y: readonly number[];
  readonly target: readonly number[];
  readonly weights: Readonly<Record<string, Stored>>;
  readonly gradients: Readonly<Record<string, readonly number[]>>;
  readonly losses: readonly number[];
}
type Values = (key: string) => readonly number[];
type Named = Record<string, readonly number[]>;

const cases = fixture<Record<string, Case>>("cross");
const D = 8;

/** [O, I] as [I, O]. */
const transposed = (data: readonly number[], rows: number): number[] =>
  Array.from({ length: data.length }, (_, i) => data[(i % rows) * (data.length / rows) + Math.floor(i / rows)]);
/** The part of three that lie one after the other. */
const third = (data: readonly number[], i: number): readonly number[] =>
  data.slice((i * data.length) / 3, ((i + 1) * data.length) / 3);

/** Attention to itself: one product for all three. */
const itself = (of: Values, from: string, to: string): Named => ({
  [`${to}.kernel`]: transposed(of(`${from}.in_proj_weight`), 3 * D),
  [`${to}.bias`]: of(`${from}.in_proj_bias`),
  ...ending(of, from, to),
});
const ending = (of: Values, from: string, to: string): Named => ({
  [`${to}.outputKernel`]: transposed(of(`${from}.out_proj.weight`), D),
  [`${to}.outputBias`]: of(`${from}.out_proj.bias`),
});
/** Attention to another: a product for each; PyTorch keeps them together where all are equally wide. */
const another = (of: Values, from: string, to: string, apart = false): Named => ({
  ...Object.fromEntries(
    ["q", "k", "v"].flatMap((letter, i) => {
      const own = ["", "key", "value"][i];
      const weight = apart ? of(`${from}.${letter}_proj_weight`) : third(of(`${from}.in_proj_weight`), i);
      return [
        [`${to}.${own ? `${own}Kernel` : "kernel"}`, transposed(weight, D)],
        [`${to}.${own ? `${own}Bias` : "bias"}`, third(of(`${from}.in_proj_bias`), i)],
      ];
    }),
  ),
  ...ending(of, from, to),
});
const decoder = (of: Values): Named => ({
  ...itself(of, "block.self_attn", "block_1.multiHeadAttention_1"),
  ...another(of, "block.multihead_attn", "block_1.multiHeadAttention_2"),
  ...Object.fromEntries(
    [1, 2, 3].flatMap((i) => [
      [`block_1.layerNorm_${i}.gamma`, of(`block.norm${i}.weight`)],
      [`block_1.layerNorm_${i}.beta`, of(`block.norm${i}.bias`)],
    ]),
  ),
  "block_1.dense_1.kernel": transposed(of("block.linear1.weight"), 12),
  "block_1.dense_1.bias": of("block.linear1.bias"),
  "block_1.dense_2.kernel": transposed(of("block.linear2.weight"), D),
  "block_1.dense_2.bias": of("block.linear2.bias"),
});

const applied =
  (layer: () => Layer, ...inputs: readonly string[]) =>
  (backend: Backend, shapes: readonly (readonly number[])[]): Model => {
    const input: InputShapes = Object.fromEntries(inputs.map((name, i) => [name, shapes[i]]));
    return functional({ input, backend }, (given) => {
      const [x, ...others] = inputs.map(
        (name) => (given as Record<string, Parameters<Parameters<typeof functional>[1]>[0]>)[name],
      );
      return x.to(layer(), ...others);
    });
  };

const NETWORKS: Record<
  string,
  { build(backend: Backend, shapes: readonly (readonly number[])[]): Model; names(of: Values): Named }
> = {
  keysAndValues: {
    build: applied(() => multiHeadAttention({ heads: 2 }), "query", "keys", "values"),
    names: (of) => another(of, "attention", "multiHeadAttention_1", true),
  },
  memory: {
    build: applied(() => multiHeadAttention({ heads: 2 }), "query", "memory"),
    names: (of) => another(of, "attention", "multiHeadAttention_1"),
  },
  pre: { build: applied(() => decoderBlock({ width: D, heads: 2, hidden: 12 }), "x", "memory"), names: decoder },
  post: {
    build: applied(
      () => decoderBlock({ width: D, heads: 2, hidden: 12, placement: "post", activation: "relu" }),
      ...["x", "memory"],
    ),
    names: decoder,
  },
  tied: {
    build: (backend, [input]) =>
      sequential({ input, backend }, [
        embedding(11, D, { name: "words" }),
        dense(D, { activation: "tanh" }),
        unembedding("words"),
      ]),
    names: (of) => ({
      "words.table": of("words.weight"),
      "dense_1.kernel": transposed(of("hidden.weight"), D),
      "dense_1.bias": of("hidden.bias"),
    }),
  },
};

const farthest = (actual: ArrayLike<number>, wanted: readonly number[]): number => {
  expect(actual.length).toBe(wanted.length);
  return Math.max(...wanted.map((value, i) => Math.abs(actual[i] - value)));
};

describe.each(Object.entries(NETWORKS))("%s", (key, { build, names }) => {
  const one = cases[key];

  test.each([
    ["float64", () => reference("float64"), 1e-9],
    ["the engine", () => wasm(), 1e-5],
  ] as const)("%s", async (_, backend, tolerance) => {
    const model = build(
      backend(),
      one.x.map(({ shape }) => shape),
    );
    const weights = names((name) => one.weights[name].data);
    expect(model.network.parameters.map(({ name }) => name).sort()).toEqual(Object.keys(weights).sort());
    for (const { name, node } of model.network.parameters) model.session.write(node, Float64Array.from(weights[name]));
    const { inputs } = model.network;
    const x =
      inputs[0].name === undefined
        ? one.x[0].data
        : Object.fromEntries(inputs.map(({ name }, i) => [name, one.x[i].data]));
    const data = { x, y: one.target };
    // Predictions come in single precision from any backend.
    expect(farthest(await model.predict(x), one.y)).toBeLessThanOrEqual(Math.max(tolerance, 5e-7));

    const loss = key === "tied" ? "crossEntropy" : "meanSquaredError";
    const step = trainStep(model, { loss, optimizer: sgd({ learningRate: 0.1, momentum: 0.9 }), gradients: true });
    const gradients = names((name) => one.gradients[name]);
    const losses: number[] = [];
    for (let i = 0; i < 50; i++) {
      const result = await step(data);
      losses.push(result.loss);
      if (i > 0) continue;
      for (const [name, values] of Object.entries(gradients))
        expect(farthest(result.gradients[name], values), name).toBeLessThanOrEqual(tolerance);
    }
    expect(farthest(losses, one.losses)).toBeLessThanOrEqual(tolerance);
    step.free();
  });
});

test("an encoder and a decoder learn to turn sequences round, which the decoder's own past does not tell", async () => {
  vi.spyOn(console, "log").mockImplementation(() => {});
  const { accuracy, held, model, write } = await import("../../examples/encoder-decoder.ts");
  vi.restoreAllMocks();
  expect(accuracy).toBeGreaterThan(0.95);
  for (const row of held.x.source.slice(0, 3)) expect(await write(row)).toEqual(row.toReversed());
  // Where each place looks, for those who ask.
  const { "block_1.multiHeadAttention_2.weights": weights } = await model.intermediates(held);
  expect(weights.shape).toEqual([100, 2, 5, 5]);
  const again = fromBytes(model.toBytes());
  expect(await again.predict(held)).toEqual(await model.predict(held));
});

test("padding of the memory changes no result and no gradient", async () => {
  const net = (length: number) =>
    functional({ input: { source: [length], target: [3] }, seed: 2 }, ({ source, target }) => {
      const memory = source
        .to(embedding(9, 8, { maskZero: true }))
        .to(positions({ kind: "sinusoidal" }))
        .to(transformerBlock({ width: 8, heads: 2 }));
      const h = target.to(embedding(9, 8, { name: "words" })).to(positions({ kind: "sinusoidal" }));
      return h.to(decoderBlock({ width: 8, heads: 2 }), memory).to(unembedding("words"));
    });
  const [short, long] = [net(4), net(7)];
  expect(long.network.parameters.map(({ name }) => name)).toEqual(short.network.parameters.map(({ name }) => name));
  const source = [
    [1, 2, 3, 4],
    [8, 7, 6, 5],
  ];
  const x = { source, target: [1, 2, 3, 3, 2, 1] };
  const padded = { ...x, source: source.map((row) => [...row, 0, 0, 0]) };
  const results = [await short.predict(x), await long.predict(padded)];
  expect(farthest(results[1], [...results[0]])).toBeLessThanOrEqual(1e-6);
  const y = [2, 3, 4, 4, 3, 2];
  const options = { loss: "crossEntropy", optimizer: sgd(), gradients: true };
  const [one, other] = [await trainStep(short, options)({ x, y }), await trainStep(long, options)({ x: padded, y })];
  for (const [name, gradient] of Object.entries(one.gradients))
    expect(farthest(other.gradients[name], [...gradient]), name).toBeLessThanOrEqual(1e-6);
});

test("a language model with tied embeddings has one table, counts it once, and writes as its whole window would", async () => {
  const tied = sequential({ input: [6], seed: 3 }, gpt({ vocabulary: 7, width: 8, heads: 2, blocks: 1, tied: true }));
  const apart = sequential({ input: [6], seed: 3 }, gpt({ vocabulary: 7, width: 8, heads: 2, blocks: 1 }));
  expect(apart.network.parameterCount - tied.network.parameterCount).toBe(7 * 8);
  expect(tied.network.parameters.filter(({ name }) => name.endsWith("table")).map(({ name }) => name)).toEqual([
    "tokens.table",
    "positions_1.table",
  ]);
  const written: number[] = [];
  for await (const token of generate(tied, [1, 2], { length: 4, temperature: 0 })) written.push(token);
  const wanted = [1, 2];
  while (wanted.length < 6) {
    const logits = await tied.predict([[...wanted, ...new Array(6 - wanted.length).fill(0)]]);
    const own = [...logits.subarray(7 * (wanted.length - 1), 7 * wanted.length)];
    wanted.push(own.indexOf(Math.max(...own)));
  }
  expect(written).toEqual(wanted.slice(2));
});

test("what does not fit is said", () => {
  const net = (layer: Layer, ...shapes: (readonly number[])[]) =>
    applied(() => layer, "a", "b", "c", "d")(wasm(), shapes);
  const attention = () => multiHeadAttention({ heads: 2 });
  expect(() => applied(attention, "q", "m")(wasm(), [[4, 8], [6]])).toThrow(/multiHeadAttention_1: .*sequences/);
  expect(() =>
    applied(
      attention,
      "q",
      "k",
      "v",
    )(wasm(), [
      [4, 8],
      [6, 8],
      [5, 8],
    ]),
  ).toThrow(/a value for each key; 5 came for 6/);
  expect(() => net(attention(), [4, 8], [4, 8], [4, 8], [4, 8])).toThrow(/a query, keys and values; .* 4 values/);
  expect(() => applied(() => decoderBlock({ width: 8, heads: 2 }), "x")(wasm(), [[4, 8]])).toThrow(
    /block_1: it takes 2 values, but is applied to 1/,
  );
  expect(() => sequential({ input: [4] }, [embedding(5, 3), dense(3), unembedding("embeding_1")])).toThrow(
    /"embeding_1.table".*Did you mean "embedding_1.table"/,
  );
  expect(() => sequential({ input: [4] }, [embedding(5, 3), dense(2), unembedding("embedding_1")])).toThrow(
    /rows of 3 features; \[4, 2\] came/,
  );
});
