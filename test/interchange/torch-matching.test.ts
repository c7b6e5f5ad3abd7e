/**
 * Which tensors go to which layers: by names that are given, by the same name, by shape, by order, or not at all. The tensors are made here;
 * numbers that PyTorch computed are compared in torch-weights.test.ts.
 */
import {
  batchNorm,
  chain,
  dense,
  embedding,
  type Layer,
  layerNorm,
  lstm,
  multiHeadAttention,
  normalize,
  positions,
  sequential,
} from "chainrule";
import { encodeSafetensors } from "chainrule/data";
import { type FromTorchOptions, fromTorch } from "chainrule/interchange";
import { describe, expect, test } from "vitest";

/** A tensor whose numbers are 1, 2, 3, … */
const tensor = (...shape: number[]) => ({
  shape,
  data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => i + 1),
});
type Tensors = Record<string, ReturnType<typeof tensor>>;
const linear = (name: string, outputs: number, inputs: number): Tensors => ({
  [`${name}.weight`]: tensor(outputs, inputs),
  [`${name}.bias`]: tensor(outputs),
});

const model = (input: number[], ...layers: Layer[]) => sequential({ input }, layers);
/** Which module each layer's first tensor came from, and by what. */
const found = async (
  tensors: Tensors | Uint8Array,
  given: ReturnType<typeof model>,
  options: FromTorchOptions = {},
) => {
  const { rows } = await fromTorch(tensors, given, options);
  return Object.fromEntries(rows.map(({ parameter, tensors: [first], by }) => [parameter, `${first}, ${by}`]));
};
const error = async (...args: Parameters<typeof fromTorch>): Promise<Error> =>
  fromTorch(...args).then(
    () => expect.fail("nothing was refused"),
    (error: unknown) => error as Error,
  );

test("a table of what went where, as data and for people", async () => {
  const given = model([3], dense(2));
  const report = await fromTorch(
    { ...linear("module.fc", 2, 3), steps: { shape: [], data: new Float64Array(1) } },
    given,
    {
      ignore: (name) => name === "steps",
    },
  );
  expect(given.weight("dense_1.kernel")).toEqual(new Float32Array([1, 4, 2, 5, 3, 6]));
  expect(report.rows[0]).toEqual({
    parameter: "dense_1.kernel",
    shape: [3, 2],
    tensors: ["module.fc.weight"],
    tensorShapes: [[2, 3]],
    change: "[O, I] → [I, O]",
    by: "shape",
  });
  expect(`${report}`.split("\n")).toEqual([
    "parameter               from                      found by",
    "dense_1.kernel  [3, 2]  module.fc.weight  [2, 3]  shape     [O, I] → [I, O]",
    "dense_1.bias    [2]     module.fc.bias    [2]     shape",
    "no weights: steps",
  ]);
});

describe("layers of the same shapes", () => {
  const three = { ...linear("c", 4, 4), ...linear("a", 4, 4), ...linear("b", 4, 4) };

  test("take modules in their order, which is said", async () => {
    const given = model([4], dense(4), dense(4), dense(4));
    expect(await found(three, given)).toMatchObject({
      "dense_1.kernel": "c.weight, order",
      "dense_2.kernel": "a.weight, order",
      "dense_3.kernel": "b.weight, order",
    });
    const { notes } = await fromTorch(three, given);
    expect(notes).toEqual([expect.stringMatching(/order among others of the same shapes: dense_1; dense_2; dense_3/)]);
  });

  test("take those of their names first", async () => {
    const given = model([4], dense(4, { name: "a" }), dense(4, { name: "b" }), dense(4));
    expect(await found(three, given)).toMatchObject({
      "a.kernel": "a.weight, name",
      "b.kernel": "b.weight, name",
      "dense_3.kernel": "c.weight, shape",
    });
    const inside = model([4], chain([dense(4, { name: "a" })], { name: "head" }), dense(4));
    expect(await found({ ...linear("x", 4, 4), ...linear("net.head.a", 4, 4) }, inside)).toMatchObject({
      "head.a.kernel": "net.head.a.weight, name",
      "dense_1.kernel": "x.weight, shape",
    });
  });

  test("take those that are given, also one for two", async () => {
    const given = model([4], dense(4), dense(4), dense(4));
    const names = { dense_3: "c", dense_1: "b" };
    expect(await found(three, given, { names })).toMatchObject({
      "dense_1.kernel": "b.weight, given",
      "dense_2.kernel": "a.weight, shape",
      "dense_3.kernel": "c.weight, given",
    });
    const tied = await found(linear("a", 4, 4), model([4], dense(4), dense(4)), { names: () => "a" });
    expect(tied).toMatchObject({ "dense_1.kernel": "a.weight, given", "dense_2.kernel": "a.weight, given" });
  });

  test("take none where there are more or fewer of them", async () => {
    const two = model([4], dense(4), dense(4));
    const before = two.weight("dense_1.kernel");
    const refused = await error(three, two);
    expect(refused.message).toMatch(/dense_1; dense_2 could take c; a; b\./);
    expect(refused).toMatchObject({
      name: "DataError",
      facts: { ambiguous: [{ layers: ["dense_1", "dense_2"], modules: ["c", "a", "b"] }] },
    });
    expect(two.weight("dense_1.kernel")).toEqual(before);
    const { rows, missing, unused, notes } = await fromTorch(three, two, { strict: false });
    expect([rows.length, missing.length, unused.length]).toEqual([0, 4, 6]);
    expect(notes).toEqual(["not told apart: dense_1; dense_2 could take c; a; b"]);
  });

  test("of safetensors, whose names have no order, only numbers tell them apart", async () => {
    const given = model([4], ...Array.from({ length: 11 }, () => dense(4)));
    const numbered = Object.assign(
      {},
      ...Array.from({ length: 11 }, (_, i) => linear(`layers.${i}.fc`, 4, 4)),
    ) as Tensors;
    expect(await found(encodeSafetensors(numbered), given)).toMatchObject({
      "dense_2.kernel": "layers.1.fc.weight, order",
      "dense_11.kernel": "layers.10.fc.weight, order",
    });
    const refused = await error(encodeSafetensors(three), model([4], dense(4), dense(4), dense(4)));
    expect(refused.message).toMatch(/could take a; b; c/);
  });
});

describe("what does not fit is named on both sides", () => {
  test.each<[string, Tensors, Layer[], RegExp]>([
    [
      "another size",
      linear("fc", 5, 3),
      [dense(4)],
      /dense_1 wants weight \[4, 3\], bias \[4\] of a Linear.*fc\.weight \[5, 3\]; fc\.bias \[5\]/,
    ],
    [
      "a bias too many",
      linear("fc", 4, 3),
      [dense(4, { bias: false })],
      /Of the file: fc\.weight \[4, 3\]; fc\.bias \[4\]/,
    ],
    [
      "a layer too many",
      linear("fc", 4, 3),
      [dense(4), batchNorm()],
      /batchNorm_1 wants weight \[4\], bias \[4\], running_mean \[4\]/,
    ],
    [
      "a module too many",
      { ...linear("fc", 4, 3), ...linear("head", 2, 4) },
      [dense(4)],
      /Every layer.*Of the file: head\.weight \[2, 4\].*ignore/,
    ],
    [
      "a matrix that lies otherwise",
      { "h.weight": tensor(3, 4), "h.bias": tensor(4) },
      [dense(4)],
      /turned round: \{ matrices: "io" \}/,
    ],
  ])("%s", async (_, tensors, layers, message) => {
    expect((await error(tensors, model([3], ...layers), { file: "net.pt" })).message).toMatch(message);
  });

  test("names that do not exist or do not fit", async () => {
    const tensors = linear("fc", 4, 3);
    const refusal = async (options: FromTorchOptions) => (await error(tensors, model([3], dense(4)), options)).message;
    expect(await refusal({ names: { dense_2: "fc" } })).toMatch(
      /no layer with weights called "dense_2". Did you mean "dense_1"/,
    );
    expect(await refusal({ names: { dense_1: "fd" } })).toMatch(/no module in the file called "fd". Did you mean "fc"/);
    const larger = await error(tensors, model([3], dense(5)), { names: { dense_1: "fc" } });
    expect(larger.message).toMatch(
      /"fc" does not fit dense_1, which wants weight \[5, 3\].*there are weight \[4, 3\], bias \[4\]/,
    );
    expect(await refusal({ matrices: "ab" as "oi" })).toMatch(/no layout of matrices called "ab"/);
    expect(await refusal({ nams: {} } as never)).toMatch(/Did you mean "names"/);
  });
});

test("whole numbers are no weights", async () => {
  const steps = { shape: [4, 3], data: new Float32Array(12) };
  const table = { ...linear("fc", 4, 3), counts: { ...steps, data: BigInt64Array.from([1n]), shape: [1] } };
  const { ignored } = await fromTorch(table as never, model([3], dense(4)));
  expect(ignored).toEqual(["counts"]);
});

test("matrices as they are in GPT-2, and a head that is not", async () => {
  const given = model([3], dense(2), dense(2), dense(4));
  await fromTorch(
    {
      "a.weight": tensor(3, 2),
      "a.bias": tensor(2),
      "b.weight": tensor(2, 2),
      "b.bias": tensor(2),
      ...linear("head", 4, 2),
    },
    given,
    { matrices: "io" },
  );
  expect(given.weight("dense_1.kernel")).toEqual(tensor(3, 2).data);
  expect(given.weight("dense_2.kernel")).toEqual(tensor(2, 2).data);
  expect(given.weight("dense_3.kernel")).toEqual(new Float32Array([1, 3, 5, 7, 2, 4, 6, 8]));
});

describe("attention", () => {
  const [features, heads] = [4, 2];
  const random = (...shape: number[]) => ({ shape, data: tensor(...shape).data.map((i) => Math.sin(i * 1.7) / 2) });
  const all = random(12, features);
  const biases = random(12);
  const part = (of: typeof all, i: number) => ({
    shape: [4, ...of.shape.slice(1)],
    data: of.data.slice((i * of.data.length) / 3, ((i + 1) * of.data.length) / 3),
  });
  const out = (name: string): Tensors => ({ [`${name}.weight`]: random(4, 4), [`${name}.bias`]: random(4) });
  const separate = (names: readonly string[], output: string): Tensors => ({
    ...Object.assign(
      {},
      ...names.map((name, i) => ({ [`${name}.weight`]: part(all, i), [`${name}.bias`]: part(biases, i) })),
    ),
    ...out(output),
  });
  const make = () => model([3, features], multiHeadAttention({ heads }), layerNorm());
  const norm = { "norm.weight": random(4), "norm.bias": random(4) };
  const x = random(1, 12).data;

  test.each<[string, Tensors]>([
    [
      "BERT",
      separate(
        ["b.0.attention.self.query", "b.0.attention.self.key", "b.0.attention.self.value"],
        "b.0.attention.output.dense",
      ),
    ],
    ["BART", separate(["a.q_proj", "a.k_proj", "a.v_proj"], "a.out_proj")],
    ["timm", { "attn.qkv.weight": all, "attn.qkv.bias": biases, ...out("attn.proj") }],
  ])("as %s has it equals PyTorch's own", async (_, tensors) => {
    const [own, other] = [make(), make()];
    await fromTorch({ "a.in_proj_weight": all, "a.in_proj_bias": biases, ...out("a.out_proj"), ...norm }, own);
    await fromTorch({ ...tensors, ...norm }, other);
    expect(await other.predict(x)).toEqual(await own.predict(x));
  });
});

test("both directions of recurrent modules, their layers, and cells", async () => {
  const cell = (suffix: string): Tensors => ({
    [`weight_ih${suffix}`]: tensor(8, 2),
    [`weight_hh${suffix}`]: tensor(8, 2),
    [`bias_ih${suffix}`]: tensor(8),
    [`bias_hh${suffix}`]: tensor(8),
  });
  const under = (prefix: string, tensors: Tensors): Tensors =>
    Object.fromEntries(Object.entries(tensors).map(([name, value]) => [`${prefix}.${name}`, value]));
  const given = model([5, 2], lstm(2, { sequences: true }), lstm(2, { sequences: true, backwards: true }), lstm(2));
  const tensors = { ...under("rnn", { ...cell("_l0"), ...cell("_l0_reverse") }), ...under("last", cell("")) };
  expect(await found(tensors, given)).toMatchObject({
    "lstm_1.kernel": "rnn.weight_ih_l0, order",
    "lstm_2.kernel": "rnn.weight_ih_l0_reverse, shape",
    "lstm_3.kernel": "last.weight_ih, order",
  });
  // Both biases are one.
  expect(given.weight("lstm_1.bias")).toEqual(tensor(8).data.map((n) => 2 * n));
  const names = { lstm_1: "last", lstm_3: "rnn (l0)" };
  expect(await found(tensors, given, { names })).toMatchObject({ "lstm_3.kernel": "rnn.weight_ih_l0, given" });
});

test("positions as a parameter by itself; statistics of the data stay", async () => {
  const given = model([3], embedding(5, 2), positions(), layerNorm());
  expect(
    await found(
      { "e.weight": tensor(5, 2), place: tensor(1, 3, 2), "n.weight": tensor(2), "n.bias": tensor(2) },
      given,
    ),
  ).toMatchObject({ "embedding_1.table": "e.weight, shape", "positions_1.table": "place, shape" });
  const normalized = model([3], normalize({ mean: [1, 2, 3], deviation: [1, 1, 1] }), dense(2));
  const { missing } = await fromTorch(linear("fc", 2, 3), normalized);
  expect([missing, normalized.weight("normalize_1.mean")]).toEqual([[], new Float32Array([1, 2, 3])]);
});
