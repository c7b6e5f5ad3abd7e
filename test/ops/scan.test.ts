/**
 * Loops over time: what a scan gives, and its gradients of both orders, is what the same turns give when they are written out, on
 * every backend, with any number of threads, and wherever the planner cuts it.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { reference } from "../../src/backends/reference/reference.ts";
import { wasm } from "../../src/backends/wasm/session.ts";
import { constant, input } from "../../src/graph/leaf.ts";
import { type Node, topologicalOrder } from "../../src/graph/node.ts";
import type { AnyArray } from "../../src/graph/op.ts";
import { sizeOf } from "../../src/graph/shape.ts";
import {
  add,
  concat,
  gradientsOf,
  matmul,
  mul,
  reshape,
  type ScanOptions,
  type ScanTurn,
  scan,
  sigmoid,
  slice,
  sub,
  sum,
  tanh,
} from "../../src/ops/index.ts";
import { makePlan } from "../../src/plan/plan.ts";
import { SINGLE_PRECISION } from "../../src/plan/target.ts";
import { RandomStream } from "../../src/random.ts";

type Way = typeof scan;

/** What `scan` does, as one writes it without: a loop in JavaScript that makes every turn's nodes. */
const byHand: Way = (sequences, initial, turn, { reverse = false, length = sequences[0].shape[0] } = {}) => {
  let states: readonly Node[] = initial;
  const outputs: (readonly Node[])[] = [];
  for (let i = 0; i < length; i++) {
    const t = reverse ? length - 1 - i : i;
    const places = sequences.map((x) => {
      const shape = x.shape.slice(1);
      return reshape(slice(x, [t, ...shape.map(() => 0)], [1, ...shape]), shape);
    });
    const made: ScanTurn = turn(places, states);
    states = made.states;
    outputs[t] = made.outputs ?? [];
  }
  const stacked = (outputs[0] ?? []).map((_, k) => {
    const rows = outputs.map((own) => reshape(own[k], [1, ...own[k].shape]));
    return rows.length > 1 ? concat(rows, 0) : rows[0];
  });
  return { states, outputs: stacked };
};

const draw = (nodes: readonly Node[]): Float32Array[] => {
  const stream = new RandomStream(3, "scan");
  return nodes.map(({ shape }) => Float32Array.from({ length: sizeOf(shape) }, () => 2 * stream.uniform() - 1));
};

/** A sum in which every element counts differently. */
const weighted = (y: Node): Node =>
  sum(
    mul(
      y,
      constant(
        Float32Array.from({ length: sizeOf(y.shape) }, (_, i) => 0.3 + Math.sin(i)),
        y.shape,
      ),
    ),
  );

const total = (nodes: readonly Node[]): Node => nodes.map(weighted).reduce((a, b) => add(a, b));

/** Networks over time: their inputs, and what they give in one way or the other. */
const NETWORKS = {
  "a matrix, a bias, all states and the last": (way: Way, options: ScanOptions) => {
    const [x, h, w, b] = [input("x", [5, 3, 4]), input("h", [3, 4]), input("w", [4, 4]), input("b", [4])];
    const { states, outputs } = way(
      [x],
      [h],
      ([place], [state]) => {
        const next = tanh(add(add(matmul(state, w), place), b));
        return { states: [next], outputs: [next] };
      },
      options,
    );
    return { inputs: [x, h, w, b], results: [...states, ...outputs] };
  },
  "gates, two states, outputs of several shapes": (way: Way, options: ScanOptions) => {
    const [x, h, c] = [input("x", [4, 2, 6]), input("h", [2, 6]), input("c", [2, 6])];
    const [u, v] = [input("u", [6, 6]), input("v", [6, 6])];
    const { states, outputs } = way(
      [x],
      [h, c],
      ([place], [hidden, cell]) => {
        const gate = sigmoid(add(place, matmul(hidden, u)));
        const nextCell = add(mul(gate, cell), mul(sub(1, gate), tanh(matmul(hidden, v))));
        const next = mul(gate, tanh(nextCell));
        return { states: [next, nextCell], outputs: [next, sum(nextCell, 1), cell, gate] };
      },
      options,
    );
    return { inputs: [x, h, c, u, v], results: [...states, ...outputs] };
  },
  "weights that are used in other ways than in products": (way: Way, options: ScanOptions) => {
    const [x, h, w, s] = [input("x", [6, 2, 3]), input("h", [2, 3]), input("w", [3, 2]), input("s", [])];
    const { outputs } = way(
      [x],
      [h],
      ([place], [state]) => {
        // w wᵀ is the same in all turns and computed once; s and w are summed up turn by turn.
        const next = tanh(mul(s, add(matmul(state, matmul(w, w, { transposeB: true })), mul(place, sum(w)))));
        return { states: [next], outputs: [mul(next, place)] };
      },
      options,
    );
    return { inputs: [x, h, w, s], results: outputs };
  },
  "states that change places, and one that nothing reads": (way: Way, options: ScanOptions) => {
    const [x, a, b, c] = [input("x", [3, 2]), input("a", [2]), input("b", [2]), input("c", [2])];
    const { states, outputs } = way(
      [x],
      [a, b, c],
      ([place], [p, q, r]) => ({ states: [q, mul(p, place), add(r, q)], outputs: [p] }),
      options,
    );
    return { inputs: [x, a, b, c], results: [states[0], ...outputs] };
  },
  "a loop in a loop": (way: Way, options: ScanOptions) => {
    const [x, h, w] = [input("x", [3, 4, 2]), input("h", [2]), input("w", [2, 2])];
    const { states, outputs } = way(
      [x],
      [h],
      ([rows], [state]) => {
        const inner = way([rows], [state], ([row], [sofar]) => {
          const next = tanh(add(row, reshape(matmul(reshape(sofar, [1, 2]), w), [2])));
          return { states: [next], outputs: [mul(next, row)] };
        });
        return { states: inner.states, outputs: inner.outputs };
      },
      options,
    );
    return { inputs: [x, h, w], results: [...states, ...outputs] };
  },
};

const run = (
  backend: ReturnType<typeof wasm>,
  inputs: readonly Node[],
  outputs: readonly Node[],
  loops = true,
): AnyArray[] => {
  const session = backend.open();
  const plan = makePlan({ inputs, outputs }, { ...SINGLE_PRECISION, loops });
  const given = [...session.compile(plan).run(draw(inputs)).outputs];
  session.close();
  return given;
};

const farthest = (actual: readonly AnyArray[], expected: readonly AnyArray[]): number => {
  expect(actual.map((array) => array.length)).toEqual(expected.map((array) => array.length));
  return Math.max(
    ...expected.flatMap((array, i) => {
      const scale = Math.max(1, ...Array.from(array, Math.abs));
      return Array.from(array, (value, j) => Math.abs(actual[i][j] - value) / scale);
    }),
  );
};

const WAYS: [string, ScanOptions][] = [
  ["forwards", {}],
  ["backwards", { reverse: true }],
  ["computing anew", { recompute: true }],
];

describe.each(Object.entries(NETWORKS))("%s", (_, network) => {
  test.each(WAYS)("%s: results and gradients are those of turns written out", (_, options) => {
    const all = ([scan, byHand] as const).map((way) => {
      const { inputs, results } = network(way, options);
      const first = gradientsOf(total(results), inputs);
      const second = gradientsOf(total(first), inputs);
      return { inputs, outputs: [...results, ...first, ...second] };
    });
    const [loop, expected] = all.map(({ inputs, outputs }) => run(reference("float64"), inputs, outputs));
    expect(farthest(loop, expected)).toBeLessThan(1e-12);
    const [{ inputs, outputs }] = all;
    for (const loops of [true, false]) {
      const engine = run(wasm({ threads: 1 }), inputs, outputs, loops);
      expect(farthest(engine, expected)).toBeLessThan(2e-5);
    }
  });
});

test("the plan has one step for all turns, however many there are", () => {
  const stepsFor = (length: number): number => {
    const [x, h, w] = [input("x", [length, 3, 4]), input("h", [3, 4]), input("w", [4, 4])];
    const { outputs } = scan([x], [h], ([place], [state]) => {
      const next = tanh(add(matmul(state, w), place));
      return { states: [next], outputs: [next] };
    });
    return makePlan({ inputs: [x, h, w], outputs: gradientsOf(total(outputs), [x, w]) }).steps.length;
  };
  expect(stepsFor(1000)).toBe(stepsFor(10));
});

test("nothing is kept that is not read", () => {
  const [x, h] = [input("x", [1000, 8]), input("h", [8])];
  const { states } = scan([x], [h], ([place], [state]) => {
    const next = tanh(add(state, mul(place, sigmoid(state))));
    return { states: [next], outputs: [mul(next, 2)] };
  });
  const plan = makePlan({ inputs: [x, h], outputs: states });
  // The sequence itself, 32,000 bytes, and a few states of 32 bytes.
  expect(plan.arenaBytes).toBeLessThan(33_000);
});

test("what is computed anew is not kept", () => {
  const bytes = (recompute: boolean): number => {
    const [x, h] = [input("x", [1000, 8]), input("h", [8])];
    const { states } = scan(
      [x],
      [h],
      ([place], [state]) => ({ states: [tanh(add(tanh(mul(place, state)), sigmoid(add(place, state))))] }),
      { recompute },
    );
    return makePlan({ inputs: [x, h], outputs: gradientsOf(total(states), [h]) }).arenaBytes;
  };
  // The sequence and the states before and after; without, two activations as well.
  expect(bytes(true)).toBeLessThan(70_000);
  expect(bytes(false)).toBeGreaterThan(120_000);
});

test("the same bits for any number of threads", () => {
  const [x, h, w] = [input("x", [9, 32, 64]), input("h", [32, 64]), input("w", [64, 64])];
  const { outputs } = scan([x], [h], ([place], [state]) => {
    const gate = sigmoid(add(matmul(state, w), place));
    const next = add(mul(gate, state), mul(sub(1, gate), tanh(matmul(state, w, { transposeB: true }))));
    return { states: [next], outputs: [next] };
  });
  const wanted = [...outputs, ...gradientsOf(total(outputs), [x, h, w])];
  const [one, two, four] = [1, 2, 4].map((threads) => {
    const session = wasm({ threads }).open();
    const program = session.compile(makePlan({ inputs: [x, h, w], outputs: wanted }));
    // Enough runs in a row for the helpers to be there.
    const values = draw([x, h, w]);
    let results: readonly AnyArray[] = [];
    let most = 0;
    for (let i = 0; i < 200 && most < threads; i++) {
      const run = program.run(values);
      most = run.threads;
      results = run.outputs;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2);
    }
    session.close();
    expect(most).toBe(threads);
    return results;
  });
  expect(two).toEqual(one);
  expect(four).toEqual(one);
});

test("random lengths, sizes and directions", () => {
  const sizes = fc.record({
    length: fc.integer({ min: 1, max: 7 }),
    rows: fc.integer({ min: 1, max: 5 }),
    units: fc.integer({ min: 1, max: 9 }),
    reverse: fc.boolean(),
    recompute: fc.boolean(),
    kept: fc.boolean(),
  });
  fc.assert(
    fc.property(sizes, ({ length, rows, units, reverse, recompute, kept }) => {
      const [x, h, w] = [input("x", [length, rows, units]), input("h", [rows, units]), input("w", [units, units])];
      const [loop, expected] = [scan, byHand].map((way) => {
        const { states, outputs } = way(
          [x],
          [h],
          ([place], [state]) => {
            const next = tanh(add(matmul(state, w), mul(place, state)));
            return { states: [next], outputs: [next, mul(next, place)] };
          },
          { reverse, recompute },
        );
        const results = kept ? [...states, outputs[1]] : outputs;
        return [...results, ...gradientsOf(total(results), [x, h, w])];
      });
      const inputs = [x, h, w];
      expect(
        farthest(run(wasm({ threads: 1 }), inputs, loop), run(reference("float64"), inputs, expected)),
      ).toBeLessThan(1e-5);
    }),
    { numRuns: 60, seed: 1 },
  );
});

test("what does not fit is said", () => {
  const [x, y, h] = [input("x", [5, 2]), input("y", [4, 2]), input("h", [2])];
  const same = (_: readonly Node[], states: readonly Node[]): ScanTurn => ({ states });
  expect(() => scan([x, y], [h], same)).toThrow(/\[5, 2\], \[4, 2\] came; all need 5 places/);
  expect(() => scan([x], [h], () => ({ states: [] }))).toThrow(/gets 1 states and must give as many; it gave 0/);
  expect(() => scan([x], [h], (_, [state]) => ({ states: [sum(state)] }))).toThrow(
    /a state of shape \[2\] \(float\) became one of \[\]/,
  );
  expect(() => scan([], [h], same)).toThrow(/length must be a whole number ≥ 1/);
  expect(() => scan([x], [h], same, { backwards: true } as never)).toThrow(/scan has no option "backwards"/);
});

test("the turns' nodes are not in the graph around them", () => {
  const [x, h] = [input("x", [5, 2]), input("h", [2])];
  const { states } = scan([x], [h], ([place], [state]) => ({ states: [tanh(add(place, state))] }));
  expect(topologicalOrder(states).map(({ op }) => op.name)).toEqual(["input", "input", "scan", "part"]);
});
