/** Operators that move elements, and those that make arrays of nothing but numbers. */
import { constant } from "../../../graph/leaf.ts";
import type { Node } from "../../../graph/node.ts";
import { broadcastShapes, type Shape, sizeOf } from "../../../graph/shape.ts";
import { add, broadcastTo, concat, mul, reshape, select, transpose } from "../../../ops/index.ts";
import { type Call, type Operator, type Operators, OURS } from "../call.ts";
import { integers, Value, valueOfArray } from "../value.ts";
import { later, padded, range, reversed, rowNumbers, running, stride, take } from "./moving.ts";

const like = (x: Value, node: Node): Value => new Value(node, x.type);

/** Images with channels last as rows, where what follows takes them in that order. */
const rows = (x: Value): Value => like(x, reshape(x.channelsLast, [x.shape[0], -1]));

function reshaped(call: Call): Value {
  const x = call.value(0);
  if (call.has(OURS)) return rows(x);
  const wanted = call.knownOr("shape", 1) ?? [];
  const keepZero = call.number("allowzero", 0) !== 0;
  const shape = wanted.map((n, i) => (n === 0 && !keepZero ? x.shape[i] : n));
  // A file that was written for one batch has its size in such shapes; it is that of the batch at hand.
  const { batch } = call;
  if (batch && shape[0] === batch.written && sizeOf(shape) !== sizeOf(x.shape)) shape[0] = batch.now;
  const free = shape.indexOf(-1);
  if (free < 0) return like(x, reshape(x.node, shape));
  const others = shape.reduce((size, n, i) => (i === free ? size : size * n), 1);
  return like(x, reshape(x.node, shape.with(free, others === 0 ? 0 : sizeOf(x.shape) / others)));
}

function flattened(call: Call): Value {
  const x = call.value(0);
  if (call.has(OURS)) return rows(x);
  const axis = call.number("axis", 1);
  const split = axis < 0 ? axis + x.shape.length : axis;
  return like(x, reshape(x.node, [sizeOf(x.shape.slice(0, split)), sizeOf(x.shape.slice(split))]));
}

/** Axes in another order. Where that only brings channels to where images have them, nothing is moved. */
function transposed(call: Call): Value {
  const x = call.value(0);
  const order = call.numbers("perm") ?? range(x.shape.length).reverse();
  if (String(order) === "0,3,1,2" && !x.isChannelsLast) return new Value(x.node, x.type, "last");
  if (String(order) === "0,2,3,1" && x.isChannelsLast) return like(x, x.channelsLast);
  return like(x, transpose(x.node, order));
}

function squeezed(call: Call): Value {
  const x = call.value(0);
  const axes = call.knownOr("axes", 1)?.map((axis) => call.axis(axis, x.shape));
  const shape = x.shape.filter((n, axis) => (axes ? !axes.includes(axis) : n !== 1));
  return like(x, reshape(x.node, shape));
}

function unsqueezed(call: Call): Value {
  const x = call.value(0);
  const axes = call.knownOr("axes", 1) ?? [];
  const rank = x.shape.length + axes.length;
  const added = axes.map((axis) => (axis < 0 ? axis + rank : axis));
  const rest = [...x.shape];
  return like(
    x,
    reshape(
      x.node,
      range(rank).map((axis) => (added.includes(axis) ? 1 : rest.shift()!)),
    ),
  );
}

function joined(call: Call): Value {
  const values = call.inputs.map((_, i) => call.value(i)).filter((x) => sizeOf(x.shape) > 0);
  const [first] = values;
  if (!first) return call.value(0);
  const rank = first.shape.length;
  const axis = call.axis(call.number("axis", 1), first.shape);
  if (rank > 2 && axis === 1 && values.every((x) => x.isChannelsLast))
    return new Value(
      concat(
        values.map((x) => x.channelsLast),
        rank - 1,
      ),
      first.type,
      "last",
    );
  return like(
    first,
    concat(
      values.map((x) => x.node),
      axis,
    ),
  );
}

function splitUp(call: Call): Value[] {
  const x = call.value(0);
  const axis = call.axis(call.number("axis", 0), x.shape);
  const length = x.shape[axis];
  const count = call.number("num_outputs", call.outputs);
  const each = Math.ceil(length / count);
  const sizes = call.knownOr("split", 1) ?? range(count).map((i) => Math.min(each, length - i * each));
  let start = 0;
  return sizes.map((size) => {
    start += size;
    return like(x, stride(x.node, axis, start - size, 1, size));
  });
}

function sliced(call: Call): Value {
  const x = call.value(0);
  const [starts, ends] = [call.knownOr("starts", 1) ?? [], call.knownOr("ends", 2) ?? []];
  const axes = call.knownOr("axes", 3) ?? range(starts.length);
  const steps = call.known(4) ?? starts.map(() => 1);
  return like(
    x,
    axes.reduce((node, given, i) => {
      const axis = call.axis(given, x.shape);
      const length = x.shape[axis];
      const step = steps[i];
      // Bounds count from the end where they are negative, and stop at the ends of the array.
      const [low, high] = step > 0 ? [0, length] : [-1, length - 1];
      const bounded = (n: number): number => Math.min(Math.max(n < 0 ? n + length : n, low), high);
      const start = Math.max(bounded(starts[i]), 0);
      const count = Math.max(0, Math.ceil((bounded(ends[i]) - start) / step));
      return start === 0 && step === 1 && count === length ? node : stride(node, axis, start, step, count);
    }, x.node),
  );
}

function expanded(call: Call): Value {
  const x = call.value(0);
  return like(x, broadcastTo(x.node, broadcastShapes("Expand", [x.shape, call.known(1)!])));
}

function tiled(call: Call): Value {
  const x = call.value(0);
  const repeats =
    call.version < 6 ? x.shape.map((_, axis) => (axis === call.known(2)![0] ? call.known(1)![0] : 1)) : call.known(1)!;
  const apart = x.shape.flatMap((n) => [1, n]);
  const repeated = x.shape.flatMap((n, i) => [repeats[i], n]);
  return like(
    x,
    reshape(
      broadcastTo(reshape(x.node, apart), repeated),
      x.shape.map((n, i) => n * repeats[i]),
    ),
  );
}

/** Where an element of a padded axis comes from. */
const SOURCES: Readonly<Record<string, (i: number, n: number) => number>> = {
  edge: (i, n) => Math.min(Math.max(i, 0), n - 1),
  wrap: (i, n) => ((i % n) + n) % n,
  reflect: (i, n) => {
    const period = Math.max(1, 2 * (n - 1));
    const place = ((i % period) + period) % period;
    return Math.min(place, period - place);
  },
};

function paddedValue(call: Call): Value {
  const x = call.value(0);
  const rank = x.shape.length;
  const pads = call.numbers("pads") ?? call.numbers("paddings") ?? call.known(1)!;
  const axes = call.known(3)?.map((axis) => call.axis(axis, x.shape)) ?? range(rank);
  const around = (part: 0 | 1): number[] =>
    range(rank).map((axis) => (axes.includes(axis) ? pads[axes.indexOf(axis) + part * axes.length] : 0));
  const [before, after] = [around(0), around(1)];
  // A negative number cuts off.
  const cut = (n: number): number => Math.max(0, -n);
  const kept = x.shape.reduce((node, length, axis) => {
    const [front, back] = [cut(before[axis]), cut(after[axis])];
    return front + back === 0 ? node : stride(node, axis, front, 1, length - front - back);
  }, x.node);
  const grow = (list: readonly number[]): number[] => list.map((n) => Math.max(0, n));
  const [front, back] = [grow(before), grow(after)];
  const mode = call.text("mode", "constant");
  if (mode === "constant") return like(x, padded(kept, front, back, call.known(2)?.[0] ?? call.number("value", 0)));
  const source = SOURCES[mode] ?? call.fail(`it pads in the mode "${mode}", which is not known`);
  return like(
    x,
    kept.shape.reduce((node, length, axis) => {
      if (front[axis] + back[axis] === 0) return node;
      const places = range(front[axis] + length + back[axis]).map((i) => source(i - front[axis], length));
      return take(node, rowNumbers(places), axis);
    }, kept),
  );
}

function shapeOf(call: Call): Value {
  const { shape } = call.value(0);
  return integers(shape.slice(call.number("start", 0), call.has("end") ? call.number("end", 0) : undefined));
}

function constantOf(call: Call): Value {
  const array = call.array("value");
  if (array) return valueOfArray(array);
  if (call.has("value_float")) return new Value(constant(call.number("value_float", 0)), "float");
  if (call.has("value_int")) return integers([call.number("value_int", 0)], []);
  const floats = call.numbers("value_floats");
  if (floats) return new Value(constant(Float32Array.from(floats), [floats.length]), "float");
  const ints = call.numbers("value_ints");
  return ints ? integers(ints) : call.fail("a constant that is no number");
}

function constantOfShape(call: Call): Value {
  const { node, type } = valueOfArray(call.array("value") ?? { type: "float", shape: [1], data: [0] });
  return new Value(broadcastTo(reshape(node, []), call.known(0)!), type);
}

function rangeOf(call: Call): Value {
  const [[start], [limit], [delta]] = [call.known(0)!, call.known(1)!, call.known(2)!];
  const count = Math.max(0, Math.ceil((limit - start) / delta));
  const values = Float64Array.from({ length: count }, (_, i) => start + i * delta);
  return new Value(constant(values, [count]), call.value(0).type);
}

/** 1 where row and column of the last two axes fulfil a condition. */
function mask(shape: Shape, isIn: (row: number, column: number) => boolean): Node {
  const [rows, columns] = shape.slice(-2);
  const values = range(rows * columns).map((i) => Number(isIn(Math.floor(i / columns), i % columns)));
  return constant(Float64Array.from(values), [rows, columns]);
}

function triangle(call: Call): Value {
  const x = call.value(0);
  const [k = 0] = call.known(1) ?? [];
  const upper = call.number("upper", 1) !== 0;
  return like(
    x,
    select(
      mask(x.shape, (row, column) => (upper ? column >= row + k : column <= row + k)),
      x.node,
      0,
    ),
  );
}

function identityMatrix(call: Call): Value {
  const x = call.value(0);
  const k = call.number("k", 0);
  const type = call.has("dtype") ? call.type(call.number("dtype", 1)) : x.type;
  return new Value(
    mask(x.shape, (row, column) => column === row + k),
    type,
  );
}

/** [B, C, H, W] → [B, C / b², H · b, W · b]. */
function depthToSpace(call: Call): Value {
  const x = call.value(0);
  const [b, c, h, w] = x.shape;
  const block = call.number("blocksize", 1);
  const depth = c / block ** 2;
  const columnsFirst = call.text("mode", "DCR") === "CRD";
  const apart = columnsFirst ? [b, depth, block, block, h, w] : [b, block, block, depth, h, w];
  const order = columnsFirst ? [0, 1, 4, 2, 5, 3] : [0, 3, 4, 1, 5, 2];
  return like(x, reshape(transpose(reshape(x.node, apart), order), [b, depth, h * block, w * block]));
}

function spaceToDepth(call: Call): Value {
  const x = call.value(0);
  const [b, c, h, w] = x.shape;
  const block = call.number("blocksize", 1);
  const apart = reshape(x.node, [b, c, h / block, block, w / block, block]);
  const order = call.text("mode", "DCR") === "CRD" ? [0, 1, 3, 5, 2, 4] : [0, 3, 5, 1, 2, 4];
  return like(x, reshape(transpose(apart, order), [b, c * block ** 2, h / block, w / block]));
}

/** What an operation makes of the elements up to each one along an axis, or of those before it. */
const cumulative =
  (combine: (a: Node, b: Node) => Node, neutral: number): Operator =>
  (call) => {
    const x = call.value(0);
    const axis = call.axis(call.known(1)![0], x.shape);
    const turned = (node: Node): Node => (call.number("reverse", 0) ? reversed(node, axis) : node);
    const given = turned(x.node);
    const shifted = call.number("exclusive", 0) ? later(given, axis, 1, neutral) : given;
    return like(x, turned(running(shifted, axis, combine, neutral)));
  };

/** Cuts an array down to a size, or puts zeros around it, both evenly at the two ends of each axis. */
function centred(call: Call): Value {
  const x = call.value(0);
  const wanted = call.known(1)!;
  const axes = (call.numbers("axes") ?? range(wanted.length)).map((axis) => call.axis(axis, x.shape));
  return like(
    x,
    axes.reduce((node, axis, i) => {
      const [length, size] = [x.shape[axis], wanted[i]];
      if (size <= length) return stride(node, axis, Math.floor((length - size) / 2), 1, size);
      const before = Math.floor((size - length) / 2);
      const at = (n: number): number[] => node.shape.map((_, k) => (k === axis ? n : 0));
      return padded(node, at(before), at(size - length - before), 0);
    }, x.node),
  );
}

/** Each sequence of a batch backwards up to its own length. */
function reverseSequence(call: Call): Value {
  const x = call.value(0);
  const [batch, time] = [call.number("batch_axis", 1), call.number("time_axis", 0)];
  const lengths = call.known(1)!;
  const [rows, steps] = [x.shape[batch], x.shape[time]];
  const order = [batch, time, ...range(x.shape.length).filter((axis) => axis !== batch && axis !== time)];
  const front = transpose(x.node, order);
  const table = reshape(front, [rows * steps, ...front.shape.slice(2)]);
  const places = range(rows * steps).map((i) => {
    const [row, step] = [Math.floor(i / steps), i % steps];
    return row * steps + (step < lengths[row] ? lengths[row] - 1 - step : step);
  });
  const back = reshape(take(table, rowNumbers(places), 0), front.shape);
  return like(
    x,
    transpose(
      back,
      order.map((_, axis) => order.indexOf(axis)),
    ),
  );
}

export const ARRANGEMENT: Operators = {
  Concat: joined,
  Constant: constantOf,
  ConstantOfShape: constantOfShape,
  CenterCropPad: centred,
  CumProd: cumulative(mul, 1),
  CumSum: cumulative(add, 0),
  DepthToSpace: depthToSpace,
  Expand: expanded,
  EyeLike: identityMatrix,
  Flatten: flattened,
  Pad: paddedValue,
  Range: rangeOf,
  Reshape: reshaped,
  ReverseSequence: reverseSequence,
  Shape: shapeOf,
  Size: (call) => integers([sizeOf(call.value(0).shape)], []),
  Slice: sliced,
  SpaceToDepth: spaceToDepth,
  Split: splitUp,
  Squeeze: squeezed,
  Tile: tiled,
  Transpose: transposed,
  Trilu: triangle,
  Unsqueeze: unsqueezed,
};
