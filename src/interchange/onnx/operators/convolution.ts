/** Operators that move a window: convolutions and pooling, over sequences, images and volumes. */
import { constant } from "../../../graph/leaf.ts";
import type { Node } from "../../../graph/node.ts";
import { sizeOf } from "../../../graph/shape.ts";
import {
  abs,
  add,
  argmax,
  averagePool2d,
  concat,
  conv2d,
  conv2dTranspose,
  matmul,
  max,
  maxPool2d,
  mean,
  mul,
  oneHot,
  pow,
  reshape,
  scatterAdd,
  silu,
  slice,
  sum,
  transpose,
} from "../../../ops/index.ts";
import { type Call, type Operators, OURS } from "../call.ts";
import { Value } from "../value.ts";
import { coordinatesOf, placeOf, range, rowNumbers } from "./moving.ts";
import { asImages, placed, seen, type Way, wayOf, windowsOf } from "./windows.ts";

/** Sequences [B, L, C] as images of one row, and back. */
const image = (x: Node): Node => (x.shape.length === 3 ? reshape(x, [x.shape[0], 1, x.shape[1], x.shape[2]]) : x);
const sequence = (y: Node, rank: number): Node => (rank === 3 ? reshape(y, [y.shape[0], y.shape[2], y.shape[3]]) : y);

/** A kernel [O, I, …] as [KH, KW, I, O]. */
const kernelOf = (w: Node): Node => {
  const four = w.shape.length === 3 ? reshape(w, [w.shape[0], w.shape[1], 1, w.shape[2]]) : w;
  return transpose(four, [2, 3, 1, 0]);
};

function convolution(call: Call): Value {
  const [x, w] = [call.value(0), call.value(1)];
  const bias = call.optional(2);
  const groups = call.number("group", 1);
  const rank = x.shape.length;
  // A kernel that lies as ours do is [KH, KW, I, O].
  const isOurs = call.has(OURS);
  const window = isOurs ? w.shape.slice(4 - rank, 2) : w.shape.slice(2);
  const way = wayOf(call, x.shape.slice(2), window);
  if (rank > 4) return new Value(withBias(volumes(x.node, w.node, way, groups), bias?.node, 1), x.type);
  const { stride, padding, dilation } = asImages(way);
  const y = conv2d(image(x.channelsLast), isOurs ? w.node : kernelOf(w.node), { stride, padding, dilation, groups });
  const z = bias ? add(y, bias.node) : y;
  return new Value(sequence(z, rank), x.type, "last");
}

const withBias = (y: Node, bias: Node | undefined, channelAxis: number): Node =>
  bias ? add(y, reshape(bias, [-1, ...y.shape.slice(channelAxis + 1).map(() => 1)])) : y;

/** Convolution over any number of axes, as a product of what the windows see with the kernel. */
function volumes(x: Node, w: Node, way: Way, groups: number): Node {
  const [outputs, inputs, ...window] = w.shape;
  const seenCells = windowsOf(x, way, 0); // [P, K, B, C]
  const [p, k, b] = seenCells.shape;
  const each = outputs / groups;
  const parts = range(groups).map((g) => {
    const part = slice(seenCells, [0, 0, 0, g * inputs], [p, k, b, inputs]);
    const rows = reshape(transpose(part, [0, 2, 3, 1]), [p * b, inputs * k]);
    const kernel = reshape(slice(w, [g * each, 0, ...window.map(() => 0)], [each, inputs, ...window]), [
      each,
      inputs * k,
    ]);
    return reshape(matmul(rows, kernel, { transposeB: true }), [p, b, each]);
  });
  return placed(parts.length === 1 ? parts[0] : concat(parts, 2), way);
}

function transposedConvolution(call: Call): Value {
  const [x, w] = [call.value(0), call.value(1)];
  const bias = call.optional(2);
  const groups = call.number("group", 1);
  const rank = x.shape.length;
  const axes = range(rank - 2);
  const [size, window] = [x.shape.slice(2), w.shape.slice(2)];
  const strides = call.numbers("strides") ?? axes.map(() => 1);
  const dilations = call.numbers("dilations") ?? axes.map(() => 1);
  const extra = call.numbers("output_padding") ?? axes.map(() => 0);
  const autoPad = call.text("auto_pad", "NOTSET");
  const shape =
    call.numbers("output_shape") ?? (autoPad.startsWith("SAME") ? size.map((n, i) => n * strides[i]) : undefined);
  const full = axes.map((i) => (size[i] - 1) * strides[i] + (window[i] - 1) * dilations[i] + 1 + extra[i]);
  const pads = call.numbers("pads") ?? axes.flatMap(() => [0, 0]);
  const around = axes.map((i): [number, number] => {
    if (!shape) return [pads[i], pads[axes.length + i]];
    const total = Math.max(0, full[i] - shape[i]);
    const half: [number, number] = [Math.floor(total / 2), Math.ceil(total / 2)];
    return autoPad === "SAME_UPPER" ? half : [half[1], half[0]];
  });
  const output = axes.map((i) => (shape ? shape[i] : full[i] - around[i][0] - around[i][1]));
  const way: Way = {
    window,
    strides,
    dilations,
    before: around.map(([before]) => before),
    after: around.map(([, after]) => after),
    places: size,
  };
  const beyond = axes.some((i) => full[i] - around[i][0] - around[i][1] !== output[i]);
  if (rank > 4 || groups > 1 || beyond)
    return new Value(withBias(spreadVolumes(x.node, w.node, way, groups, output), bias?.node, 1), x.type);
  const { stride, padding, dilation } = asImages(way);
  const four = rank === 3 ? reshape(w.node, [...w.shape.slice(0, 2), 1, w.shape[2]]) : w.node;
  const outputPadding: [number, number] = rank === 3 ? [0, extra[0]] : [extra[0], extra[1]];
  const kernel = transpose(four, [2, 3, 0, 1]); // [I, O, KH, KW] → [KH, KW, I, O]
  const y = conv2dTranspose(image(x.channelsLast), kernel, { stride, padding, dilation, outputPadding });
  const z = bias ? add(y, bias.node) : y;
  return new Value(sequence(z, rank), x.type, "last");
}

/** A transposed convolution over any number of axes: each element, times the kernel, is added where its window lies. */
function spreadVolumes(x: Node, w: Node, way: Way, groups: number, size: readonly number[]): Node {
  const [b, c] = x.shape;
  const [p, k] = [sizeOf(way.places), sizeOf(way.window)];
  const [inputs, outputs] = [c / groups, w.shape[1]];
  const rows = transpose(reshape(x, [b, c, p]), [2, 0, 1]); // [P, B, C]
  const elements = sizeOf(size);
  const index = rowNumbers(seen(way, size).map((i) => (i < 0 ? elements : i)));
  const parts = range(groups).map((g) => {
    const part = reshape(slice(rows, [0, 0, g * inputs], [p, b, inputs]), [p * b, inputs]);
    const kernel = slice(reshape(w, [c, outputs, k]), [g * inputs, 0, 0], [inputs, outputs, k]);
    const products = reshape(matmul(part, reshape(kernel, [inputs, outputs * k])), [p, b, outputs, k]);
    const cells = reshape(transpose(products, [0, 3, 1, 2]), [p * k, b, outputs]);
    return scatterAdd(cells, index, [elements + 1, b, outputs]);
  });
  const all = parts.length === 1 ? parts[0] : concat(parts, 2);
  const inside = slice(all, [0, 0, 0], [elements, b, outputs * groups]);
  return reshape(transpose(inside, [1, 2, 0]), [b, outputs * groups, ...size]);
}

/** Whether our pooling ops do it: over sequences or images, without dilation, each window whole. */
const isPlain = (way: Way, size: readonly number[]): boolean =>
  size.length <= 2 &&
  way.dilations.every((n) => n === 1) &&
  way.places.every(
    (n, axis) => (n - 1) * way.strides[axis] + way.window[axis] <= size[axis] + way.before[axis] + way.after[axis],
  ) &&
  way.before.every((n, axis) => Math.max(n, way.after[axis]) < way.window[axis]);

function maxPool(call: Call): Value[] {
  const x = call.value(0);
  const size = x.shape.slice(2);
  const way = wayOf(call, size, call.numbers("kernel_shape")!);
  if (call.outputs < 2 && isPlain(way, size)) {
    const { window, stride, padding } = asImages(way);
    const y = maxPool2d(image(x.channelsLast), window, { stride, padding });
    return [new Value(sequence(y, x.shape.length), x.type, "last")];
  }
  const cells = windowsOf(x.node, way, Number.NEGATIVE_INFINITY); // [P, K, B, C]
  const y = new Value(placed(max(cells, 1), way), x.type);
  if (call.outputs < 2) return [y];
  // The winner's place in the whole array: that in its image, and where the image begins.
  const [p, k, b, c] = cells.shape;
  const winner = oneHot(argmax(transpose(cells, [0, 2, 3, 1])), k); // [P, B, C, K]
  const columnMajor = call.number("storage_order", 0) !== 0;
  const inImage = seen(way, size).map((i) => {
    if (!columnMajor || size.length !== 2) return i;
    return (i % size[1]) * size[0] + Math.floor(i / size[1]);
  });
  const places = sum(mul(winner, constant(Float64Array.from(inImage), [p, 1, 1, k])), -1);
  const starts = range(b * c).map((i) => i * sizeOf(size));
  return [y, new Value(placed(add(places, constant(Float64Array.from(starts), [b, c])), way), "int64")];
}

function averagePool(call: Call): Value {
  const x = call.value(0);
  const size = x.shape.slice(2);
  const way = wayOf(call, size, call.numbers("kernel_shape")!);
  const countsPadding = call.number("count_include_pad", 0) !== 0;
  const isPadded = way.before.some((n, axis) => n + way.after[axis] > 0);
  if (isPlain(way, size) && !(countsPadding && isPadded)) {
    const { window, stride, padding } = asImages(way);
    const y = averagePool2d(image(x.channelsLast), window, { stride, padding });
    return new Value(sequence(y, x.shape.length), x.type, "last");
  }
  const total = sum(windowsOf(x.node, way, 0), 1); // [P, B, C]
  // A cell of the padding counts, where it is wanted, but none beyond the padding.
  const grown: Way = { ...way, before: way.before.map(() => 0) };
  const counted = countsPadding
    ? seen(
        grown,
        size.map((n, axis) => n + way.before[axis] + way.after[axis]),
      )
    : seen(way, size);
  const [p, k] = [sizeOf(way.places), sizeOf(way.window)];
  const shares = range(p).map((i) => 1 / counted.slice(i * k, (i + 1) * k).filter((cell) => cell >= 0).length);
  return new Value(placed(mul(total, constant(Float64Array.from(shares), [p, 1, 1])), way), x.type);
}

function lpPool(call: Call): Value {
  const x = call.value(0);
  const p = call.number("p", 2);
  const way = wayOf(call, x.shape.slice(2), call.numbers("kernel_shape")!);
  const powers = pow(abs(windowsOf(x.node, way, 0)), p);
  return new Value(placed(pow(sum(powers, 1), 1 / p), way), x.type);
}

/** Pooling over everything but batch and channels. */
function overall(call: Call, pool: (x: Node, axes: readonly number[]) => Node): Value {
  const x = call.value(0);
  const axes = range(x.shape.length).slice(2);
  if (!x.isChannelsLast) return new Value(pool(x.node, axes), x.type);
  return new Value(
    pool(
      x.channelsLast,
      axes.map((axis) => axis - 1),
    ),
    x.type,
    "last",
  );
}

/** Puts each element where its index says, zeros elsewhere: the inverse of a pooling that told its indices. */
function maxUnpool(call: Call): Value {
  const [x, index] = [call.value(0), call.value(1)];
  const [b, c, ...size] = x.shape;
  const window = call.numbers("kernel_shape")!;
  const strides = call.numbers("strides") ?? window.map(() => 1);
  const pads = call.numbers("pads") ?? window.flatMap(() => [0, 0]);
  const own = size.map((n, i) => (n - 1) * strides[i] + window[i] - pads[i] - pads[size.length + i]);
  const shape = call.known(2) ?? [b, c, ...own];
  const places = index.known ?? call.known(1)!;
  const flat = reshape(x.node, [sizeOf(x.shape), 1]);
  // Indices count in the array that was pooled, whose size a wanted shape may surpass.
  const spot = (i: number): number => {
    const [plane, rest] = [Math.floor(i / sizeOf(own)), i % sizeOf(own)];
    return placeOf([plane, ...coordinatesOf(rest, own)], [1, ...shape.slice(2)]);
  };
  const y = scatterAdd(flat, rowNumbers(places.map(spot)), [sizeOf(shape), 1]);
  return new Value(reshape(y, shape), x.type);
}

/** Adds columns [B, C · K, P] of what windows saw to where they saw it: the inverse of taking an image apart. */
function columnsToImage(call: Call): Value {
  const x = call.value(0);
  const [size, window] = [call.known(1)!, call.known(2)!];
  const way = wayOf(call, size, window);
  const [p, k, elements] = [sizeOf(way.places), sizeOf(window), sizeOf(size)];
  const [b] = x.shape;
  const c = x.shape[1] / k;
  const cells = reshape(transpose(reshape(x.node, [b, c, k, p]), [3, 2, 0, 1]), [p * k, b, c]);
  const index = rowNumbers(seen(way, size).map((i) => (i < 0 ? elements : i)));
  const all = slice(scatterAdd(cells, index, [elements + 1, b, c]), [0, 0, 0], [elements, b, c]);
  return new Value(reshape(transpose(all, [1, 2, 0]), [b, c, ...size]), x.type);
}

/** Each channel of a sequence [B, C, L] with its own kernel, over what came before too, whose end it gives for the next call. */
function causalConvolution(call: Call): Value[] {
  const [x, w] = [call.value(0), call.operand(1)];
  const [b, c, length] = x.shape;
  const k = w.shape[2];
  const past = call.optional(3)?.node ?? constant(0, [b, c, k - 1]);
  const whole = k > 1 ? concat([past, x.node], 2) : x.node;
  const kernel = reshape(w, [c, k]);
  const terms = range(k).map((i) => mul(slice(whole, [0, 0, i], [b, c, length]), slice(kernel, [0, i], [c, 1])));
  const bias = call.optional(2);
  const z = withBias(
    terms.reduce((sum, term) => add(sum, term)),
    bias?.node,
    1,
  );
  const name = call.text("activation", "none");
  if (!/^(none|silu|swish)$/.test(name)) call.fail(`the activation "${name}", which is not known`);
  return [
    new Value(name === "none" ? z : silu(z), x.type),
    new Value(slice(whole, [0, 0, length], [b, c, k - 1]), x.type),
  ];
}

export const CONVOLUTION: Operators = {
  AveragePool: averagePool,
  CausalConvWithState: causalConvolution,
  Col2Im: columnsToImage,
  Conv: convolution,
  ConvTranspose: transposedConvolution,
  GlobalAveragePool: (call) => overall(call, (x, axes) => mean(x, axes, true)),
  GlobalMaxPool: (call) => overall(call, (x, axes) => max(x, axes, true)),
  LpPool: lpPool,
  MaxPool: maxPool,
  MaxUnpool: maxUnpool,
};
