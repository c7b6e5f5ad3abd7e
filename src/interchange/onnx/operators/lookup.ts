/** Operators that look up or set elements by index. */
import { constant } from "../../../graph/leaf.ts";
import type { Node } from "../../../graph/node.ts";
import { type Shape, sizeOf, stridesOf } from "../../../graph/shape.ts";
import {
  add,
  concat,
  equal,
  floor,
  gather,
  greater,
  less,
  max,
  mul,
  neg,
  oneHot,
  reshape,
  scatterAdd,
  select,
  sub,
  sum,
  toFloat,
  toIndex,
  topK,
  transpose,
} from "../../../ops/index.ts";
import type { Call, Operators } from "../call.ts";
import { Value } from "../value.ts";
import { asRows, inverse, pick, productAlong, range, rowNumbers, take } from "./moving.ts";

const like = (x: Value, node: Node): Value => new Value(node, x.type);

function gathered(call: Call): Value {
  const [x, index] = [call.value(0), call.value(1)];
  const axis = call.axis(call.number("axis", 0), x.shape);
  return like(x, take(x.node, asRows(index.node, x.shape[axis]), axis));
}

/** For each element of an index array, its place in x: its own coordinates, but along `axis` what the index says. */
function placesAlong(index: Node, shape: Shape, axis: number): Node {
  const strides = stridesOf(shape);
  const own = stridesOf(index.shape);
  const base = range(sizeOf(index.shape)).map((i) =>
    index.shape.reduce((at, n, k) => (k === axis ? at : at + (Math.floor(i / own[k]) % n) * strides[k]), 0),
  );
  const along = select(less(index, 0), add(index, shape[axis]), index);
  return add(mul(along, strides[axis]), constant(Float64Array.from(base), index.shape));
}

/** For each tuple of coordinates [..., K], the number of its row of a table that has the first axes of `shape`. */
function placesOf(index: Node, shape: Shape): Node {
  const depth = index.shape[index.shape.length - 1];
  const strides = stridesOf(shape.slice(0, depth));
  const sizes = constant(Float64Array.from(shape.slice(0, depth)), [depth]);
  const positive = select(less(index, 0), add(index, sizes), index);
  return sum(mul(positive, constant(Float64Array.from(strides), [depth])), -1);
}

const rows = (places: Node, count: number): Node => toIndex(reshape(places, [sizeOf(places.shape)]), count);

function gatherElements(call: Call): Value {
  const [x, index] = [call.value(0), call.value(1)];
  const axis = call.axis(call.number("axis", 0), x.shape);
  const places = rows(placesAlong(index.node, x.shape, axis), sizeOf(x.shape));
  return like(x, reshape(pick(x.node, places), index.shape));
}

function gatherTuples(call: Call): Value {
  const [x, index] = [call.value(0), call.value(1)];
  const batch = call.number("batch_dims", 0);
  const depth = index.shape[index.shape.length - 1];
  const batches = sizeOf(x.shape.slice(0, batch));
  const inner = x.shape.slice(batch);
  const [tuples, row] = [index.shape.slice(batch, -1), inner.slice(depth)];
  const within = reshape(placesOf(index.node, inner), [batches, sizeOf(tuples)]);
  const each = sizeOf(inner.slice(0, depth));
  const starts = constant(
    Float64Array.from(range(batches), (i) => i * each),
    [batches, 1],
  );
  const table = reshape(x.node, [batches * each, ...row]);
  const found = gather(table, rows(add(within, starts), batches * each));
  return like(x, reshape(found, [...index.shape.slice(0, -1), ...row]));
}

/** How updates meet what is there. */
type Meeting = (table: Node, places: Node, updates: Node) => Node;

/** What updates [U, R] are for each row of a table of N, as [N, U, R], with `otherwise` where they are for others. */
function spreadOut(count: number, places: Node, updates: Node, otherwise: number): Node {
  const isFor = reshape(transpose(oneHot(places, count), [1, 0]), [count, updates.shape[0], 1]);
  return select(isFor, reshape(updates, [1, ...updates.shape]), otherwise);
}

const MEETINGS: Readonly<Record<string, Meeting>> = {
  none: (table, places, updates) => {
    const touched = greater(scatterAdd(constant(1, updates.shape), places, table.shape), 0);
    return select(touched, scatterAdd(updates, places, table.shape), table);
  },
  add: (table, places, updates) => add(table, scatterAdd(updates, places, table.shape)),
  mul: (table, places, updates) => {
    const factors = spreadOut(table.shape[0], places, updates, 1);
    return mul(table, reshape(productAlong(factors, 1), table.shape));
  },
  max: (table, places, updates) => {
    const all = max(spreadOut(table.shape[0], places, updates, Number.NEGATIVE_INFINITY), 1);
    return select(less(table, all), all, table);
  },
  min: (table, places, updates) => {
    const all = neg(max(neg(spreadOut(table.shape[0], places, updates, Number.POSITIVE_INFINITY)), 1));
    return select(less(all, table), all, table);
  },
};

const meeting = (call: Call): Meeting => {
  const how = call.text("reduction", "none");
  return MEETINGS[how] ?? call.fail(`the reduction "${how}", which is not known`);
};

function scatterElements(call: Call): Value {
  const [x, index, updates] = [call.value(0), call.value(1), call.value(2)];
  const axis = call.axis(call.number("axis", 0), x.shape);
  const size = sizeOf(x.shape);
  const places = rows(placesAlong(index.node, x.shape, axis), size);
  const flat = reshape(updates.node, [sizeOf(updates.shape), 1]);
  return like(x, reshape(meeting(call)(reshape(x.node, [size, 1]), places, flat), x.shape));
}

function scatterTuples(call: Call): Value {
  const [x, index, updates] = [call.value(0), call.value(1), call.value(2)];
  const depth = index.shape[index.shape.length - 1];
  const count = sizeOf(x.shape.slice(0, depth));
  const row = sizeOf(x.shape.slice(depth));
  const places = rows(placesOf(index.node, x.shape), count);
  const flat = reshape(updates.node, [sizeOf(index.shape.slice(0, -1)), row]);
  return like(x, reshape(meeting(call)(reshape(x.node, [count, row]), places, flat), x.shape));
}

function oneHotOf(call: Call): Value {
  const index = call.value(0);
  const [depth] = call.known(1)!;
  const values = call.value(2);
  const rank = index.shape.length + 1;
  const given = call.number("axis", -1);
  const axis = given < 0 ? given + rank : given;
  const positive = select(less(index.node, 0), add(index.node, depth), index.node);
  const classes = constant(Float64Array.from(range(depth)), [depth]);
  const hot = equal(reshape(positive, [...index.shape, 1]), classes);
  const order = [...range(axis), rank - 1, ...range(rank - 1).slice(axis)];
  const [off, on] = [0, 1].map((i) => reshape(take(values.node, rowNumbers([i]), 0), []));
  return new Value(select(transpose(hot, order), on, off), values.type);
}

function largestFew(call: Call): Value[] {
  const x = call.value(0);
  const axis = call.axis(call.number("axis", -1), x.shape);
  const [k] = call.has("k") ? [call.number("k", 1)] : call.known(1)!;
  const isLargest = call.number("largest", 1) !== 0;
  const order = [...range(x.shape.length).filter((i) => i !== axis), axis];
  const lines = transpose(x.node, order); // [..., n]
  const n = x.shape[axis];
  const index = toFloat(topK(isLargest ? lines : neg(lines), k)); // [..., k]
  const starts = range(sizeOf(index.shape)).map((i) => Math.floor(i / k) * n);
  const places = add(index, constant(Float64Array.from(starts), index.shape));
  const values = reshape(pick(lines, rows(places, sizeOf(lines.shape))), index.shape);
  const back = inverse(order);
  return [like(x, transpose(values, back)), new Value(transpose(index, back), "int64")];
}

/** A cache [B, …] with an update written into it along an axis, for each sample from its own place on. */
function cacheUpdate(call: Call): Value {
  const [cache, update] = [call.value(0), call.value(1)];
  const rank = cache.shape.length;
  const axis = call.axis(call.number("axis", -2), cache.shape);
  const order = [0, axis, ...range(rank).filter((i) => i !== 0 && i !== axis)];
  const [old, fresh] = [transpose(cache.node, order), transpose(update.node, order)];
  const [batch, length, ...row] = old.shape;
  const count = fresh.shape[1];
  const starts = call.optional(2);
  const places = constant(Float64Array.from(range(length)), [1, length]);
  const from = sub(places, starts ? reshape(starts.node, [batch, 1]) : 0); // [B or 1, length]
  const turned =
    call.text("mode", "linear") === "circular" ? sub(from, mul(length, floor(mul(from, 1 / length)))) : from;
  const isNew = mul(less(-0.5, turned), less(turned, count));
  const first = constant(
    Float64Array.from(range(batch), (b) => b * count),
    [batch, 1],
  );
  const table = reshape(fresh, [batch * count, ...row]);
  const found = gather(table, toIndex(add(first, mul(turned, isNew)), batch * count));
  const y = select(reshape(isNew, [...isNew.shape, ...row.map(() => 1)]), found, old);
  return new Value(transpose(y, inverse(order)), cache.type);
}

/** How often each sequence of numbers of a list stands in each row, with so many numbers left out between its own. */
function countedSequences(call: Call): Value {
  const x = call.value(0);
  const pool = call.numbers("pool_int64s") ?? call.fail("it counts words, and texts are not read");
  const [starts, columns] = [call.numbers("ngram_counts") ?? [], call.numbers("ngram_indexes") ?? []];
  const [shortest, longest] = [call.number("min_gram_length", 1), call.number("max_gram_length", 1)];
  const rows = x.shape.length > 1 ? x.shape[0] : 1;
  const length = x.shape[x.shape.length - 1] ?? 1;
  const numbers = reshape(x.node, [rows, length]);
  const counts: Node[] = [];
  for (const [k, start] of starts.entries()) {
    const n = k + 1;
    const own = pool.slice(start, starts[n] ?? pool.length);
    const count = own.length / n;
    if (count === 0) continue;
    const wanted = constant(Float64Array.from(own), [count, n]);
    const found = range(n === 1 ? 1 : call.number("max_skip_count", 0) + 1).flatMap((skipped) => {
      const places = length - (n - 1) * (skipped + 1);
      if (places <= 0 || n < shortest || n > longest) return [];
      const index = range(places * n).map((i) => Math.floor(i / n) + (i % n) * (skipped + 1));
      const seen = take(numbers, rowNumbers(index, [places, 1, n]), 1); // [B, P, 1, n]
      return [sum(equal(sum(equal(seen, wanted), -1), n), 1)]; // [B, count]
    });
    counts.push(found.length > 0 ? found.reduce((a, b) => add(a, b)) : constant(0, [rows, count]));
  }
  const all = concat([...counts, constant(0, [rows, 1])], 1);
  const width = Math.max(...columns) + 1;
  const of = range(width).map((column) => columns.indexOf(column));
  const y = take(all, rowNumbers(of.map((i) => (i < 0 ? columns.length : i))), 1);
  const given = call.numbers("weights");
  const weights =
    given &&
    constant(
      Float64Array.from(of, (i) => given[i] ?? 0),
      [width],
    );
  const mode = call.text("mode", "TF");
  const counted = mode === "IDF" ? greater(y, 0) : y;
  const weighted = weights && mode !== "TF" ? mul(counted, weights) : counted;
  return new Value(x.shape.length > 1 ? weighted : reshape(weighted, [width]), "float");
}

export const LOOKUP: Operators = {
  Gather: gathered,
  GatherElements: gatherElements,
  GatherND: gatherTuples,
  OneHot: oneHotOf,
  Scatter: scatterElements,
  ScatterElements: scatterElements,
  ScatterND: scatterTuples,
  TensorScatter: cacheUpdate,
  TfIdfVectorizer: countedSequences,
  TopK: largestFew,
};
