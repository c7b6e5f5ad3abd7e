/** Training that succeeds leaves no subnormal numbers behind, on which an operation costs many processors dearly. */
import { adam, adamw, dense, nadam, RandomStream, reference, rmsprop, sequential, sgd, wasm } from "chainrule";
import { expect, test } from "vitest";
import { nameOf } from "../../src/graph/node.ts";
import { arraysOf } from "../../src/train/examples.ts";
import { givenStep, openStates, optimizerStates, trainingPlan } from "../../src/train/training-graph.ts";

/** 2⁻¹²⁶: what is smaller and not 0 is subnormal in single precision. */
const SMALLEST_NORMAL = 2 ** -126;
const subnormal = (values: ArrayLike<number>): number =>
  Array.from(values).filter((x) => x !== 0 && Math.abs(x) < SMALLEST_NORMAL).length;

/** Noisy copies of ten patterns, which a network soon knows by heart. */
function patterns(rows: number, width: number) {
  const stream = new RandomStream(1, "patterns");
  const pattern = Array.from({ length: 10 }, () => Float32Array.from({ length: width }, () => stream.uniform()));
  const x = Float32Array.from({ length: rows * width }, (_, i) => {
    const row = Math.floor(i / width);
    return 0.5 * pattern[row % 10][i % width] + 0.5 * stream.uniform();
  });
  return { x, y: Int32Array.from({ length: rows }, (_, i) => i % 10) };
}

const size = { full: { rows: 8192, width: 784, units: 128 }, small: { rows: 320, width: 24, units: 16 } };

test.each([
  // The interpreter is some thousand times slower: a smaller network, and as many epochs.
  ["the engine", () => wasm({ threads: 1 }), size.full, 3000, adam({ learningRate: 1e-3 })],
  ["the reference in single precision", () => reference("float32"), size.small, 300, adam({ learningRate: 0.02 })],
  ["the engine, AdamW", () => wasm({ threads: 1 }), size.small, 3000, adamw({ learningRate: 0.02 })],
  ["the engine, NAdam", () => wasm({ threads: 1 }), size.small, 3000, nadam({ learningRate: 0.02 })],
  [
    "the engine, RMSProp",
    () => wasm({ threads: 1 }),
    size.small,
    3000,
    rmsprop({ learningRate: 0.001, momentum: 0.9 }),
  ],
  ["the engine, momentum", () => wasm({ threads: 1 }), size.small, 3000, sgd({ learningRate: 0.2, momentum: 0.9 })],
])("%s", async (_, backend, { rows, width, units }, steps, optimizer) => {
  const { x, y } = patterns(rows, width);
  const model = sequential({ input: [width], seed: 1, backend: backend() }, [
    dense(units, { activation: "relu" }),
    dense(10),
  ]);
  const { network, session } = model;
  const states = optimizerStates(network, optimizer);
  const arrays = openStates(session, states);
  const batch = (i: number) => {
    const from = (i * 32) % rows;
    const data = { x: x.subarray(from * width, (from + 32) * width), y: y.subarray(from, from + 32) };
    return model.examples(data, "crossEntropy");
  };
  const graph = givenStep(network, "crossEntropy", batch(0), optimizer, states);
  const results = [...graph.named].filter(
    ([, node]) => !network.parameters.some((parameter) => parameter.node === node),
  );
  const looked = [...graph.gradients, ...results.map(([, node]) => node)];
  const program = session.compile(trainingPlan(graph, looked));
  let last: readonly Float32Array[] = [];
  for (let i = 0; i < steps; i++) {
    const scalars = Object.values(optimizer.scalars(i + 1)).map((value) => Float64Array.of(value));
    const { outputs } = await program.run([...arraysOf(batch(i)), Int32Array.of(i), ...scalars]);
    last = outputs as readonly Float32Array[];
  }
  const [[loss], ...values] = last;
  expect(loss).toBeLessThan(0.05);
  const names = [...states.map(({ parameter }) => `∂L/∂${parameter.name}`), ...results.map(([name]) => name)];
  const counts = names.map((name, i) => [name, subnormal(values[i])] as const);
  for (const node of arrays) counts.push([nameOf(node), subnormal(await session.read(node))]);
  expect(counts.length).toBeGreaterThan(8);
  expect(counts.filter(([, count]) => count !== 0)).toEqual([]);
});
