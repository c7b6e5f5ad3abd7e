/** Recurrent networks, written out step by step. */
import { constant } from "../../../graph/leaf.ts";
import type { Node } from "../../../graph/node.ts";
import {
  add,
  concat,
  matmul,
  maximum,
  minimum,
  mul,
  relu,
  reshape,
  select,
  sigmoid,
  slice,
  softplus,
  softsign,
  sub,
  tanh,
  transpose,
} from "../../../ops/index.ts";
import type { Call, Operators } from "../call.ts";
import { Value } from "../value.ts";
import { range, stride } from "./moving.ts";

const ACTIVATIONS: Readonly<Record<string, (x: Node) => Node>> = {
  affine: (x) => x,
  hardsigmoid: (x) => minimum(maximum(add(mul(0.2, x), 0.5), 0), 1),
  relu,
  sigmoid,
  softplus,
  softsign,
  tanh,
};

/** What the operators over time have in common, for one direction. */
interface Direction {
  /** [I, G · H], [H, G · H]. */
  readonly w: Node;
  readonly r: Node;
  /** Of the input and of the state: [G · H] each. */
  readonly inputBias: Node;
  readonly stateBias: Node;
  readonly activations: readonly ((x: Node) => Node)[];
  /** The first states [B, H]. */
  readonly states: readonly Node[];
  /** The weights with which an LSTM's gates look at its cell, [3 · H]. */
  readonly peepholes: Node | undefined;
  readonly clip: (x: Node) => Node;
}

/** The next states, of x · W + b [B, G · H] and the states before; the first of them is the output. */
type Cell = (direction: Direction, x: Node, states: readonly Node[], hidden: number, call: Call) => Node[];

/** Part number i of G side by side. */
const gate = (x: Node, i: number, hidden: number): Node =>
  slice(x, [...x.shape.slice(0, -1).map(() => 0), i * hidden], [...x.shape.slice(0, -1), hidden]);

const rnnCell: Cell = ({ r, stateBias, activations: [f], clip }, x, [h]) => [
  f(clip(add(x, add(matmul(h, r), stateBias)))),
];

const gruCell: Cell = ({ r, stateBias, activations: [f, g], clip }, x, [h], hidden, call) => {
  const of = (whole: Node, i: number): Node => gate(whole, i, hidden);
  const fromState = add(matmul(h, r), stateBias);
  const z = f(clip(add(of(x, 0), of(fromState, 0))));
  const reset = f(clip(add(of(x, 1), of(fromState, 1))));
  // The reset gate comes after the product, or before it.
  const remembered = call.number("linear_before_reset", 0)
    ? mul(reset, of(fromState, 2))
    : add(matmul(mul(reset, h), of(r, 2)), of(stateBias, 2));
  const candidate = g(clip(add(of(x, 2), remembered)));
  return [add(mul(sub(1, z), candidate), mul(z, h))];
};

/** Gates in the order of ONNX: input, output, forget, cell. */
const lstmCell: Cell = ({ r, stateBias, activations: [f, g, k], peepholes, clip }, x, [h, c], hidden, call) => {
  const whole = add(x, add(matmul(h, r), stateBias));
  const seeing = (i: number, cell: Node, part: number): Node => {
    const z = gate(whole, i, hidden);
    return clip(peepholes ? add(z, mul(gate(peepholes, part, hidden), cell)) : z);
  };
  const input = f(seeing(0, c, 0));
  const forget = call.number("input_forget", 0) ? sub(1, input) : f(seeing(2, c, 2));
  const next = add(mul(forget, c), mul(input, g(clip(gate(whole, 3, hidden)))));
  const output = f(seeing(1, next, 1));
  return [mul(output, k(next)), next];
};

/** How many gates a kind of cell has, its usual activations, and how many states. */
const KINDS = {
  RNN: { cell: rnnCell, gates: 1, activations: ["Tanh"], states: 1 },
  GRU: { cell: gruCell, gates: 3, activations: ["Sigmoid", "Tanh"], states: 1 },
  LSTM: { cell: lstmCell, gates: 4, activations: ["Sigmoid", "Tanh", "Tanh"], states: 2 },
} as const;

function recurrent(call: Call, kind: keyof typeof KINDS): Value[] {
  const { cell, gates, activations: usual, states: stateCount } = KINDS[kind];
  const { type } = call.value(0);
  const batchFirst = call.number("layout", 0) !== 0;
  const given = call.operand(0);
  const x = batchFirst ? transpose(given, [1, 0, 2]) : given; // [T, B, I]
  const [steps, batch] = x.shape;
  const directionName = call.text("direction", "forward");
  const count = directionName === "bidirectional" ? 2 : 1;
  const w = call.operand(1);
  const hidden = call.number("hidden_size", call.operand(2).shape[2]);
  const lengths = call.known(4);
  const names = call.texts("activations") ?? Array.from({ length: count }, () => usual).flat();
  const limit = call.number("clip", 0);
  const clip = (z: Node): Node => (limit > 0 ? minimum(maximum(z, -limit), limit) : z);

  const run = (d: number) => {
    const part = (value: Value | undefined): Node | undefined =>
      value && reshape(stride(value.node, 0, d, 1, 1), value.shape.slice(1));
    const bias = part(call.optional(3)) ?? constant(0, [2 * gates * hidden]);
    const first = (i: number): Node => {
      const initial = call.optional(5 + i);
      const inOrder = initial && batchFirst ? new Value(transpose(initial.node, [1, 0, 2]), type) : initial;
      return part(inOrder) ?? constant(0, [batch, hidden]);
    };
    const direction: Direction = {
      w: transpose(part(new Value(w, type))!),
      r: transpose(part(call.value(2))!),
      inputBias: slice(bias, [0], [gates * hidden]),
      stateBias: slice(bias, [gates * hidden], [gates * hidden]),
      activations: names
        .slice(d * usual.length, (d + 1) * usual.length)
        .map((name) => ACTIVATIONS[name.toLowerCase()] ?? call.fail(`the activation "${name}", which is not known`)),
      states: range(stateCount).map(first),
      peepholes: kind === "LSTM" ? part(call.optional(7)) : undefined,
      clip,
    };
    // The product with the inputs is one for all steps.
    const fromInput = add(matmul(x, direction.w), direction.inputBias); // [T, B, G · H]
    const backwards = directionName === "reverse" || d === 1;
    let { states } = direction;
    const outputs: Node[] = [];
    for (const i of range(steps)) {
      const t = backwards ? steps - 1 - i : i;
      const now = reshape(stride(fromInput, 0, t, 1, 1), [batch, gates * hidden]);
      const next = cell(direction, now, states, hidden, call);
      const isIn =
        lengths &&
        constant(
          Float64Array.from(lengths, (n) => Number(t < n)),
          [batch, 1],
        );
      // Past its own length a sequence keeps its state, and gives zeros.
      outputs[t] = isIn ? select(isIn, next[0], 0) : next[0];
      states = isIn ? next.map((state, k) => select(isIn, state, states[k])) : next;
    }
    return { outputs, states };
  };

  const directions = range(count).map(run);
  const stacked = (nodes: readonly Node[], axis: number): Node => (nodes.length === 1 ? nodes[0] : concat(nodes, axis));
  const y = stacked(
    range(steps).map((t) =>
      reshape(
        stacked(
          directions.map(({ outputs }) => reshape(outputs[t], [1, batch, hidden])),
          0,
        ),
        [1, count, batch, hidden],
      ),
    ),
    0,
  ); // [T, D, B, H]
  const last = range(stateCount).map((i) =>
    stacked(
      directions.map(({ states }) => reshape(states[i], [1, batch, hidden])),
      0,
    ),
  ); // [D, B, H]
  return [
    new Value(batchFirst ? transpose(y, [2, 0, 1, 3]) : y, type),
    ...last.map((state) => new Value(batchFirst ? transpose(state, [1, 0, 2]) : state, type)),
  ];
}

export const SEQUENCE: Operators = {
  GRU: (call) => recurrent(call, "GRU"),
  LSTM: (call) => recurrent(call, "LSTM"),
  RNN: (call) => recurrent(call, "RNN"),
};
