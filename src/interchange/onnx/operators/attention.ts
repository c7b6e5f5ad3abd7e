/** Attention in its several forms, and rotary positions. */
import { constant } from "../../../graph/leaf.ts";
import type { Node } from "../../../graph/node.ts";
import {
  add,
  broadcastTo,
  concat,
  equal,
  exp,
  gather,
  less,
  matmul,
  max,
  mul,
  reshape,
  select,
  slice,
  softmax,
  sub,
  tanh,
  transpose,
} from "../../../ops/index.ts";
import type { Call, Operators } from "../call.ts";
import { Value } from "../value.ts";
import { asRows, padded, range, stride } from "./moving.ts";

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

/** What is added to the scores: a mask, −∞ for what lies ahead of each row or too far from it, and for keys that only fill up. */
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
  const hide = (isHidden: Node): number => terms.push(select(isHidden, Number.NEGATIVE_INFINITY, 0));
  const column = constant(Float64Array.from(range(columns)), [columns]);
  const filled = call.optional(6);
  const lengths = filled && reshape(filled.node, [batch, 1, 1, 1]);
  if (lengths) hide(less(lengths, add(column, 1)));
  // Each row stands behind what there was before.
  const row = constant(Float64Array.from(range(rows)), [rows, 1]);
  const position = add(row, lengths ? sub(lengths, rows) : (call.optional(4)?.shape[2] ?? 0));
  if (call.number("is_causal", 0)) hide(less(position, column));
  const [left, right] = [call.number("left_window_size", -1), call.number("right_window_size", -1)];
  if (left >= 0) hide(less(add(column, left), position));
  if (right >= 0) hide(less(add(position, right), column));
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

/** softmax(Q Kᵀ · scale) V, with graphs of the file that change the scores or the weights. */
function flexAttention(call: Call): Value {
  const [q, k, v] = [0, 1, 2].map((i) => call.operand(i)); // [B, H, T, D]
  const { type } = call.value(0);
  const groups = q.shape[1] / k.shape[1];
  const scale = call.number("scale", 1 / Math.sqrt(q.shape[3]));
  const changed = (name: string, x: Node): Node =>
    call.has(name) ? call.runGraph(call.graph(name), [new Value(x, type)])[0].node : x;
  const scores = mul(scale, matmul(q, repeatedHeads(k, groups), { transposeB: true }));
  const weights = changed("prob_mod", softmax(changed("score_mod", scores)));
  return new Value(matmul(weights, repeatedHeads(v, groups)), type);
}

/**
 * Attention without softmax, whose memory S [B, H, D, V] is a sum of products of keys and values, step by step:
 * S ← exp(g) S + k ⊗ β (v − Sᵀ k), where decay g, rate β and the correction by Sᵀ k depend on the rule; y = scale · Sᵀ q.
 */
function linearAttention(call: Call): Value[] {
  const { type } = call.value(0);
  const [heads, keyHeads] = [call.number("q_num_heads", 1), call.number("kv_num_heads", 1)];
  const [q, k, v] = [heads, keyHeads, keyHeads].map((count, i) => intoHeads(call.operand(i), count)); // [B, H, T, D]
  const [b, , steps, depth] = q.shape;
  const width = v.shape[3];
  const rule = call.text("update_rule", "gated_delta");
  if (!/^(linear|gated|delta|gated_delta)$/.test(rule)) call.fail(`the rule "${rule}", which is not known`);
  // One number a head, or one for each feature of the keys.
  const decay = rule.startsWith("gated") ? intoHeads(call.operand(4), keyHeads) : undefined;
  const rate = rule.endsWith("delta") ? intoHeads(call.operand(5), call.value(5).shape[2]) : undefined;
  const at = (x: Node, t: number): Node => stride(x, 2, t, 1, 1); // [B, H, 1, D]
  const scale = call.number("scale", 0) || 1 / Math.sqrt(depth);
  let state = call.optional(3)?.node ?? constant(0, [b, keyHeads, depth, width]);
  const outputs = range(steps).map((t) => {
    const key = at(k, t);
    if (decay) state = mul(state, transpose(exp(at(decay, t)), [0, 1, 3, 2]));
    const fresh = rate ? mul(at(rate, t), sub(at(v, t), matmul(key, state))) : at(v, t);
    state = add(state, matmul(key, fresh, { transposeA: true }));
    return mul(scale, matmul(at(q, t), repeatedHeads(state, heads / keyHeads))); // [B, H, 1, V]
  });
  const y = transpose(concat(outputs, 2), [0, 2, 1, 3]);
  return [new Value(reshape(y, [b, steps, heads * width]), type), new Value(state, type)];
}

export const ATTENTION: Operators = {
  "ai.onnx.preview.FlexAttention": flexAttention,
  Attention: attention,
  LinearAttention: linearAttention,
  RotaryEmbedding: rotaryEmbedding,
};
