/**
 * The contract that every kind of layer keeps: shapes, save and load bit by bit, a right gradient for every parameter
 * and for the input, batches that do not mix their rows, inference without chance, and bad shapes named.
 */
import {
  dense,
  flatten,
  fromBytes,
  globalAveragePool1d,
  Network,
  RandomStream,
  reference,
  ShapeError,
  sequential,
  trainStep,
} from "chainrule";
import { describe, expect, test } from "vitest";
import { constant, input, variable } from "../../src/graph/leaf.ts";
import { type Shape, sizeOf } from "../../src/graph/shape.ts";
import { layerKinds } from "../../src/nn/layer.ts";
import { add, gradientsOf, mul, sum } from "../../src/ops/index.ts";
import { makePlan } from "../../src/plan/plan.ts";
import { checkElement, chooseElements } from "../../src/train/gradcheck.ts";
import { LAYER_CASES, type LayerCase } from "../support/layer-cases.ts";

test("every kind of layer keeps the contract", () => {
  expect(layerKinds().filter((kind) => !(kind in LAYER_CASES))).toEqual([]);
});

const numbers = (shape: Shape, name: string, below?: number): Float64Array => {
  const stream = new RandomStream(5, name);
  // Multiples of 2⁻¹², so that single precision holds them too.
  const draw = () =>
    below === undefined ? Math.round((4 * stream.uniform() - 2) * 4096) / 4096 : stream.integer(below);
  return Float64Array.from({ length: sizeOf(shape) }, draw);
};

/** A model of the layer alone, whose parameters and states are all random; variances stay positive. */
function modelOf({ layer, input: shape }: LayerCase, backend?: ReturnType<typeof reference>) {
  const model = sequential({ input: shape, seed: 3, ...(backend && { backend }) }, [layer]);
  for (const { name, node } of model.network.parameters) {
    const values = numbers(node.shape, name);
    model.setWeight(
      name,
      Float32Array.from(values, (v) => (name.endsWith("variance") || name.endsWith("deviation") ? v * v + 0.5 : v)),
    );
  }
  return model;
}

describe.each(
  Object.entries(LAYER_CASES).flatMap(([kind, cases]) => cases.map((c, i) => [`${kind} ${i + 1}`, c] as const)),
)("%s", (_, c) => {
  test("has the shape it says, and predictions of it", async () => {
    const model = modelOf(c);
    expect(model.network.outputShape).toEqual(c.output);
    expect((await model.predict(numbers([3, ...c.input], "x", c.below))).length).toBe(3 * sizeOf(c.output));
    expect(model.summary()).toContain(model.network.layers[0].name);
  });

  test("comes back from its file bit by bit", async () => {
    const model = modelOf(c);
    const again = fromBytes(model.toBytes());
    expect(Buffer.compare(model.toBytes(), again.toBytes())).toBe(0);
    const x = numbers([3, ...c.input], "x", c.below);
    expect(await again.predict(x)).toEqual(await model.predict(x));
  });

  test("has gradients, for every parameter and the input, that equal finite differences", () => {
    const network = new Network(c.input, 3, [c.layer]);
    const count = 3;
    const x = variable("x", [count, ...c.input]);
    const step = input("step", [], "int");
    const { output, penalty } = network.apply(x, { training: true, step });
    // Every element of the output counts differently.
    const weighted = sum(mul(output, constant(numbers(output.shape, "weights"), output.shape)));
    const loss = penalty ? add(weighted, penalty) : weighted;
    const trainable = network.parameters.filter((parameter) => parameter.trainable);
    const wrt = [...trainable.map(({ node }) => node), ...(c.below === undefined ? [x] : [])];
    const session = reference("float64").open();
    const values = new Map(
      [...network.parameters.map(({ node, name }) => [node, name] as const), [x, "x"] as const].map(([node, name]) => [
        node,
        numbers(node.shape, name, node === x ? c.below : undefined),
      ]),
    );
    for (const [node, array] of values) session.write(node, array);
    const forward = session.compile(makePlan({ inputs: [step], outputs: [loss] }));
    const gradients = session
      .compile(makePlan({ inputs: [step], outputs: gradientsOf(loss, wrt) }))
      .run([Int32Array.of(4)]).outputs;
    for (const [i, node] of wrt.entries()) {
      const array = values.get(node)!;
      const lossAt = () => {
        session.write(node, array);
        return forward.run([Int32Array.of(4)]).outputs[0][0];
      };
      const label = node === x ? "x" : trainable[i].name;
      expect(
        gradients[i].some((g) => g !== 0),
        `${label} has a gradient`,
      ).toBe(true);
      for (const place of chooseElements(array.length, 12, label)) {
        const { error } = checkElement(lossAt, array, place, gradients[i][place]);
        expect(error, `${label}[${place}]`).toBeLessThanOrEqual(1e-6);
      }
      session.write(node, array);
    }
  });

  test("gives a batch of N what it gives N single rows, and the same each time", async () => {
    const model = modelOf(c);
    const x = numbers([5, ...c.input], "x", c.below);
    const together = await model.predict(x);
    expect(await model.predict(x)).toEqual(together);
    const size = sizeOf(c.input);
    const singles = await Promise.all([0, 1, 2, 3, 4].map((i) => model.predict(x.subarray(i * size, (i + 1) * size))));
    expect([...together]).toEqual(singles.flatMap((row) => [...row]));
  });

  const { bad } = c;
  if (!bad) return;
  test("names itself when the shape is wrong", () => {
    const build = () => new Network(bad, 0, [c.layer]);
    expect(build).toThrow(ShapeError);
    expect(build).toThrow(/^Layer [\w.]+: /);
  });
});

test.each(Object.keys(LAYER_CASES))(
  "%s takes bytes as the numbers that they are, wherever rows come in",
  async (kind) => {
    for (const { layer, input, below = 256 } of LAYER_CASES[kind]) {
      const stream = new RandomStream(9, kind);
      const bytes = Uint8Array.from({ length: 6 * sizeOf(input) }, () => stream.integer(below));
      const results = [bytes, Float32Array.from(bytes)].map(async (x) => {
        // After marks of padding comes what goes by them.
        const rest = kind === "masking" ? globalAveragePool1d() : flatten();
        const model = sequential({ input, seed: 3 }, [layer, rest, dense(2)]);
        const y = Int32Array.of(0, 1, 0, 1, 0, 1);
        const { loss } = await trainStep(model, { loss: "crossEntropy" })({ x, y });
        const all = Object.entries(await model.intermediates(x)).map(([name, { data }]) => [name, ...data]);
        return [loss, ...(await model.predict(x)), ...all, ...(await model.classify(x)).classes];
      });
      expect(await results[0]).toEqual(await results[1]);
    }
  },
);
