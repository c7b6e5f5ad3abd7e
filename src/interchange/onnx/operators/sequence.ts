/** Operators over sequences: recurrent networks, attention, rotary positions. */
import { constant } from "../../../graph/leaf.ts";
import type { Node } from "../../../graph/node.ts";
import {
  add,
  broadcastTo,
  concat,
  equal,
  gather,
  greater,
  less,
  matmul,
  max,
  maximum,
  minimum,
  mul,
  relu,
  reshape,
  select,
  sigmoid,
  slice,
  softmax,
  softplus,
  softsign,
  sub,
  tanh,
  transpose,
} from "../../../ops/index.ts";
import type { Call, Operators } from "../call.ts";
import { Value } from "../value.ts";
import { asRows, padded, range, stride } from "./moving.ts";

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

/** [B, T, heads · D] → [B, heads, T, D]. */
const intoHeads = (x: Node, heads: number): Node => {
  const [b, t, width] = x.shape;
  return transpose(reshape(x, [b, t, heads, width / heads]), [0, 2, 1, 3]);
};

/** Each head n times, one after the other: [B, H, T, D] → [B, H · n, T, D]. */
function repeatedHeads(x: Node, n: number): Node {
  if (n === 1) return x;
  const [b, h, t, d] = x.shape;
  return reshape(broadcastTo(reshape(x, [b, h, 1, t, d]), [b, h, n, t, d]), [b, h * n, t, d]);
}

/** softmax(Q Kᵀ · scale, capped, + mask) V, with keys and values of the past before the new ones. */
function attention(call: Call): Value[] {
  const { type, shape } = call.value(0);
  const flat = shape.length === 3;
  const heads = call.number("q_num_heads", shape[1]);
  const keyHeads = call.number("kv_num_heads", call.value(1).shape[1]);
  const q = flat ? intoHeads(call.operand(0), heads) : call.operand(0);
  const [k, v] = [1, 2].map((i) => {
    const now = flat ? intoHeads(call.operand(i), keyHeads) : call.operand(i);
    const past = call.optional(3 + i);
    return past ? concat([past.node, now], 2) : now;
  });
  const [batch, , rows, depth] = q.shape;
  const columns = k.shape[2];
  const scale = call.number("scale", 1 / Math.sqrt(depth));
  const groups = heads / keyHeads;
  const scores = mul(scale, matmul(q, repeatedHeads(k, groups), { transposeB: true })); // [B, H, T, S]
  const cap = call.number("softcap", 0);
  const capped = cap > 0 ? mul(cap, tanh(mul(1 / cap, scores))) : scores;
  const bias = maskOf(call, batch, rows, columns);
  const biased = bias ? add(capped, bias) : capped;
  // A row that may see nothing gives zeros; its scores are made finite, so that no gradient is NaN either.
  const blind = bias && equal(max(bias, -1, true), Number.NEGATIVE_INFINITY);
  const weights = blind ? select(blind, 0, softmax(select(blind, 0, biased))) : softmax(biased);
  const y = matmul(weights, repeatedHeads(v, groups)); // [B, H, T, Dv]
  const merged = flat ? reshape(transpose(y, [0, 2, 1, 3]), [batch, rows, -1]) : y;
  const shown = [scores, capped, biased, weights][call.number("qk_matmul_output_mode", 0)];
  return [merged, k, v, shown].map((node) => new Value(node, type));
}

/** What is added to the scores: a mask, −∞ for what lies ahead of each row, and for keys that only fill up. */
function maskOf(call: Call, batch: number, rows: number, columns: number): Node | undefined {
  const terms: Node[] = [];
  const mask = call.optional(3);
  if (mask) {
    const given = mask.type === "bool" ? select(mask.node, 0, Number.NEGATIVE_INFINITY) : mask.node;
    // What a short mask does not reach is not seen.
    const missing = columns - mask.shape[mask.shape.length - 1];
    const at = (n: number): number[] => mask.shape.map((_, axis) => (axis === mask.shape.length - 1 ? n : 0));
    terms.push(padded(given, at(0), at(missing), Number.NEGATIVE_INFINITY));
  }
  const column = constant(Float64Array.from(range(columns)), [columns]);
  const filled = call.optional(6);
  const lengths = filled && reshape(filled.node, [batch, 1, 1, 1]);
  if (call.number("is_causal", 0)) {
    const row = constant(Float64Array.from(range(rows)), [rows, 1]);
    const past = call.optional(4)?.shape[2] ?? 0;
    const reach = lengths ? add(row, sub(lengths, rows)) : add(row, past);
    terms.push(select(less(reach, column), Number.NEGATIVE_INFINITY, 0));
  }
  if (lengths) terms.push(select(greater(lengths, column), 0, Number.NEGATIVE_INFINITY));
  return terms.length > 0 ? terms.reduce((a, b) => add(a, b)) : undefined;
}

/** Turns pairs of features by an angle that grows with the position (Su et al., 2021). */
function rotaryEmbedding(call: Call): Value {
  const { type, shape } = call.value(0);
  const flat = shape.length === 3;
  const x = flat ? intoHeads(call.operand(0), call.number("num_heads", 0)) : call.operand(0); // [B, H, T, D]
  const [b, h, t, d] = x.shape;
  const turned = call.number("rotary_embedding_dim", 0) || d;
  const half = turned / 2;
  const positions = call.optional(3);
  const angle = (i: number): Node => {
    const cache = call.operand(i);
    const rows = positions ? gather(cache, asRows(positions.node, cache.shape[0])) : cache; // [B, T, half]
    return reshape(rows, [b, 1, t, rows.shape[2]]);
  };
  const [cosine, sine] = [angle(1), angle(2)];
  const part = slice(x, [0, 0, 0, 0], [b, h, t, turned]);
  const interleaved = call.number("interleaved", 0) !== 0;
  const pairs = reshape(part, interleaved ? [b, h, t, half, 2] : [b, h, t, 2, half]);
  const axis = interleaved ? 4 : 3;
  const [p, q] = [0, 1].map((i) => reshape(stride(pairs, axis, i, 1, 1), [b, h, t, half]));
  const real = sub(mul(cosine, p), mul(sine, q));
  const imaginary = add(mul(sine, p), mul(cosine, q));
  const unit = interleaved ? [b, h, t, half, 1] : [b, h, t, 1, half];
  const whole = reshape(concat([reshape(real, unit), reshape(imaginary, unit)], axis), [b, h, t, turned]);
  const y = turned === d ? whole : concat([whole, slice(x, [0, 0, 0, turned], [b, h, t, d - turned])], 3);
  return new Value(flat ? reshape(transpose(y, [0, 2, 1, 3]), shape) : y, type);
}

export const SEQUENCE: Operators = {
  Attention: attention,
  GRU: (call) => recurrent(call, "GRU"),
  LSTM: (call) => recurrent(call, "LSTM"),
  RNN: (call) => recurrent(call, "RNN"),
  RotaryEmbedding: rotaryEmbedding,
};
