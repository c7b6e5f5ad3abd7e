/**
 * Random graphs of elementwise ops, reductions, matrix products and moves, with their gradients: the engine gives what
 * the reference gives, however the planner cuts them into steps.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Backend } from "../../src/backends/backend.ts";
import { reference } from "../../src/backends/reference/reference.ts";
import { wasm } from "../../src/backends/wasm/session.ts";
import { input, variable } from "../../src/graph/leaf.ts";
import type { Node } from "../../src/graph/node.ts";
import { broadcastsTo, sizeOf } from "../../src/graph/shape.ts";
import {
  add,
  div,
  gradientsOf,
  matmul,
  max,
  maximum,
  mean,
  mul,
  relu,
  reshape,
  sigmoid,
  sub,
  sum,
  tanh,
  transpose,
} from "../../src/ops/index.ts";
import { makePlan } from "../../src/plan/plan.ts";
import { RandomStream } from "../../src/random.ts";
import { findGpu } from "../support/gpu.ts";

const SHAPES = [[], [1], [5], [8], [3, 1], [1, 8], [3, 5], [3, 8], [8, 5], [2, 3, 5], [2, 1, 5], [2, 3, 1]];

/** Constants that JSON cannot tell apart. */
const SPECIAL = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN, 0, -0];

/** Grows a graph from a list of random numbers: of all ops, or of those that are exact for whole numbers. */
function grow(choices: readonly number[], exact = false): { inputs: Node[]; nodes: Node[] } {
  const inputs = SHAPES.map((shape, i) => input(`x${i}`, shape));
  const nodes: Node[] = [...inputs];
  for (const [i, choice] of choices.entries()) {
    // Prefer recent nodes, so that graphs get deep.
    const pick = (n: number) => nodes[nodes.length - 1 - (n % Math.min(nodes.length, i % 3 === 0 ? 40 : 6))];
    const a = pick(choice >>> 4);
    const b = pick(choice >>> 12);
    const fits = broadcastsTo(a.shape, b.shape) || broadcastsTo(b.shape, a.shape);
    const axis = a.shape.length > 0 ? (choice >>> 8) % a.shape.length : 0;
    const whole = [
      () => (fits ? add(a, b) : relu(a)),
      () => (fits ? maximum(a, b) : sub(1, a)),
      () => (a.shape.length > 0 ? sum(a, axis, (choice & 512) > 0) : relu(a)),
      () => (a.shape.length > 0 ? max(a, axis, true) : sub(a, 1)),
      () => (a.shape.length >= 2 ? transpose(a) : reshape(a, [sizeOf(a.shape)])),
      () => [add, mul, sub, div, maximum][(choice >>> 8) % 5](a, SPECIAL[(choice >>> 16) % 5]),
    ];
    const all = [
      () => (fits ? add(a, b) : tanh(a)),
      () => (fits ? mul(tanh(a), b) : sigmoid(a)),
      () => (fits ? sub(a, mul(b, 0.5)) : relu(a)),
      () => (fits ? maximum(a, b) : tanh(mul(a, 0.3))),
      () => (a.shape.length > 0 ? sum(mul(a, 0.3), axis, (choice & 512) > 0) : tanh(a)),
      () => (a.shape.length > 0 ? max(a, axis, true) : tanh(a)),
      () => (a.shape.length > 0 ? sub(a, mean(a, axis, true)) : sigmoid(a)),
      () => (a.shape.length === 2 ? tanh(matmul(a, a, { transposeB: true })) : tanh(a)),
      () =>
        a.shape.length === 2 && b.shape.length === 2 && a.shape[1] === b.shape[0]
          ? tanh(add(matmul(a, b), 1))
          : relu(a),
      () => (a.shape.length >= 2 ? transpose(a) : sigmoid(a)),
      () => reshape(tanh(a), [sizeOf(a.shape)]),
      () => sub(a, mul(0.5, reshape(reshape(a, [sizeOf(a.shape)]), a.shape))),
    ];
    const ops = exact ? whole : all;
    nodes.push(ops[choice % ops.length]());
  }
  return { inputs, nodes };
}

const values = (nodes: readonly Node[], name: string) => {
  const stream = new RandomStream(1, name);
  return nodes.map(({ shape }) => Float32Array.from({ length: sizeOf(shape) }, () => 2 * stream.uniform() - 1));
};

const asked = process.env.CHAINRULE_GRAPHS;
const gpu = await findGpu();
if (!gpu.backend) console.warn(`skipped: ${gpu.why}`);

/** On SwiftShader a graph takes seconds, since its shaders are made first: there are few, unless asked for more. */
const backends: [string, Backend, number | undefined][] = [
  ["wasm", wasm({ threads: 1 }), asked === undefined ? undefined : Number(asked)],
  ...(gpu.backend
    ? [["webgpu", gpu.backend, Number(process.env.CHAINRULE_GPU_GRAPHS ?? 5)] as [string, Backend, number]]
    : []),
];

describe.each(backends)("%s", (_, backend, runs) => {
  test("random graphs and their gradients, with updates in place", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(2 ** 24), { minLength: 3, maxLength: 30 }), async (choices) => {
        const { inputs, nodes } = grow(choices);
        const last = nodes.slice(-3);
        const loss = last.map((node) => mean(tanh(node))).reduce((a, b) => add(a, b));
        const gradients = gradientsOf(loss, inputs.slice(0, 9));
        const state = variable("state", gradients[6].shape);
        const updates = [{ variable: state, value: add(mul(state, 0.9), gradients[6]) }];
        const plan = makePlan({ inputs, outputs: [loss, ...last, ...gradients], updates });
        const results = [reference("float64"), backend].map(async (backend) => {
          const session = backend.open();
          session.write(state, new Float32Array(sizeOf(state.shape)).fill(0.25));
          const { outputs } = await session.compile(plan).run(values(inputs, "x"));
          const all = [...outputs, await session.read(state)];
          session.close();
          return all;
        });
        const [wanted, actual] = await Promise.all(results);
        for (const [i, expected] of wanted.entries()) {
          const scale = Math.max(1, ...Array.from(expected, Math.abs));
          // Thirty ops deep in single precision; ties of max may fall either way, but only for equal values.
          for (const [j, value] of expected.entries())
            expect(Math.abs(actual[i][j] - value) / scale).toBeLessThan(1e-4);
        }
      }),
      { numRuns: runs ?? 150, seed: 1 },
    );
  });

  test("random graphs with ∞, NaN and −0: every value is the same, and every zero's sign", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(2 ** 24), { minLength: 3, maxLength: 14 }), async (choices) => {
        const { inputs, nodes } = grow(choices, true);
        const plan = makePlan({ inputs, outputs: nodes.slice(inputs.length) });
        const numbers = values(inputs, "x").map((array) => array.map((x) => Math.round(2 * x)));
        const [expected, actual] = [reference(), backend].map(async (backend) => {
          const session = backend.open();
          const { outputs } = await session.compile(plan).run(numbers);
          session.close();
          return outputs.map((array) => Array.from(array));
        });
        expect(await actual).toEqual(await expected);
      }),
      { numRuns: runs ?? 300, seed: 1 },
    );
  });

  test("random updates of variables that read one another: all of them see the old values", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(2 ** 24), { minLength: 4, maxLength: 24 }), async (choices) => {
        const variables = [0, 1, 2, 3].map((i) => variable(`v${i}`, [6]));
        const nodes: Node[] = [...variables];
        for (const choice of choices) {
          const [a, b] = [nodes[(choice >>> 4) % nodes.length], nodes[(choice >>> 12) % nodes.length]];
          nodes.push(
            [() => add(a, b), () => mul(a, 2), () => sub(a, b), () => tanh(a), () => add(a, sum(b))][choice % 5](),
          );
        }
        const updates = variables.map((to, i) => ({ variable: to, value: nodes[nodes.length - 1 - i] }));
        const plan = makePlan({ inputs: [], outputs: [], updates });
        const results = [reference("float64"), backend].map(async (backend) => {
          const session = backend.open();
          for (const [i, node] of variables.entries()) session.write(node, values([node], `v${i}`)[0]);
          await session.compile(plan).run([]);
          const all = await Promise.all(variables.map((node) => session.read(node)));
          session.close();
          return all;
        });
        const [wanted, actual] = await Promise.all(results);
        for (const [i, expected] of wanted.entries()) {
          const scale = Math.max(1, ...Array.from(expected, Math.abs));
          for (const [j, value] of expected.entries())
            expect(Math.abs(actual[i][j] - value) / scale).toBeLessThan(1e-4);
        }
      }),
      { numRuns: runs ?? 400, seed: 1 },
    );
  });
});
