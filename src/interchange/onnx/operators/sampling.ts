/**
 * Operators that look at images between their pixels: values at coordinates that are computed, out of the pixels around,
 * each with a weight that falls with its distance. Volumes and sequences as images.
 */
import { constant } from "../../../graph/leaf.ts";
import type { Node } from "../../../graph/node.ts";
import { sizeOf } from "../../../graph/shape.ts";
import {
  abs,
  add,
  concat,
  div,
  floor,
  gather,
  less,
  matmul,
  max,
  maximum,
  mean,
  minimum,
  mul,
  reshape,
  round,
  select,
  slice,
  sub,
  toIndex,
  transpose,
} from "../../../ops/index.ts";
import type { Call, Operators } from "../call.ts";
import { folded, Value } from "../value.ts";
import { coordinatesOf, range } from "./moving.ts";
import { wayOf } from "./windows.ts";

/** A pixel along one axis, by its number, and how much of it is taken; both for each coordinate. */
interface Share {
  readonly at: Node;
  readonly weight: Node;
}

const ONE = constant(1);

/** From which pixels along an axis the value at a coordinate comes. */
const NEIGHBOURS: Readonly<Record<string, (x: Node) => Share[]>> = {
  nearest: (x) => [{ at: round(x), weight: ONE }],
  linear: (x) => {
    const low = floor(x);
    const above = sub(x, low);
    return [
      { at: low, weight: sub(1, above) },
      { at: add(low, 1), weight: above },
    ];
  },
  cubic: (x) => {
    const low = floor(x);
    return [-1, 0, 1, 2].map((step) => {
      const at = add(low, step);
      return { at, weight: cubicWeight(abs(sub(x, at)), step === 0 || step === 1) };
    });
  },
};

/** Keys's kernel (1981) with a = −3/4, at a distance below 1 or from 1 to 2. */
const cubicWeight = (d: Node, isNear: boolean): Node =>
  isNear ? add(mul(mul(sub(mul(1.25, d), 2.25), d), d), 1) : add(mul(add(mul(sub(3.75, mul(0.75, d)), d), -6), d), 3);

/** What lies beyond the n pixels of an axis. */
type Border = (share: Share, n: number) => Share;

const within = (x: Node, n: number): Node => minimum(maximum(x, 0), n - 1);

const BORDERS: Readonly<Record<string, Border>> = {
  zeros: ({ at, weight }, n) => {
    const inside = within(at, n);
    return { at: inside, weight: select(less(abs(sub(at, inside)), 0.5), weight, 0) };
  },
  border: ({ at, weight }, n) => ({ at: within(at, n), weight }),
  // Between the outer edges of the first and the last pixel, or between their centres.
  reflection: (share, n) => mirrored(share, n, 2 * n, 2 * n - 1),
  centres: (share, n) => mirrored(share, n, Math.max(1, 2 * (n - 1)), 2 * (n - 1)),
};

function mirrored({ at, weight }: Share, n: number, period: number, last: number): Share {
  const place = sub(at, mul(period, floor(div(at, period))));
  return { at: select(less(n - 1, place), sub(last, place), place), weight };
}

/** The pixels that a point is made of: their numbers among the pixels of one image, and their weights. */
function pixels(
  point: readonly Node[],
  size: readonly number[],
  neighbours: (x: Node) => Share[],
  border: Border,
): Share[] {
  return point.reduce<Share[]>(
    (found, x, axis) => {
      const along = neighbours(x).map((share) => border(share, size[axis]));
      return found.flatMap(({ at, weight }) =>
        along.map((share) => ({ at: add(mul(at, size[axis]), share.at), weight: mul(weight, share.weight) })),
      );
    },
    [{ at: constant(0), weight: ONE }],
  );
}

/**
 * The parts of which values of x are made at points.
 * @param x images [B, C, …]
 * @param point along each axis of the images, coordinates [R, P]
 * @param images of each of the R rows of points, the number of its image [R, 1]
 * @returns for each neighbour, the weighted values [R, P, C]
 */
function partsAt(x: Node, point: readonly Node[], images: Node, mode: string, border: Border): Node[] {
  const [b, c, ...size] = x.shape;
  const elements = sizeOf(size);
  const table = reshape(transpose(reshape(x, [b, c, elements]), [0, 2, 1]), [b * elements, c]);
  return pixels(point, size, NEIGHBOURS[mode], border).map(({ at, weight }) => {
    const rows = toIndex(add(mul(images, elements), at), b * elements);
    return mul(gather(table, rows), weight.shape.length > 0 ? reshape(weight, [...weight.shape, 1]) : weight);
  });
}

const total = (nodes: readonly Node[]): Node => nodes.reduce((a, b) => add(a, b));

/** The numbers 0, 1, … as a column. */
const column = (count: number): Node => constant(Float64Array.from(range(count)), [count, 1]);

/** X [B, C, …] at the points of a grid [B, …, axes], which go from −1 to 1 along each axis, the last axis first. */
function gridSample(call: Call): Value {
  const [x, grid] = [call.value(0), call.operand(1)];
  const [b, c, ...size] = x.shape;
  const places = grid.shape.slice(1, -1);
  const corners = call.number("align_corners", 0) !== 0;
  const points = reshape(grid, [b, sizeOf(places), size.length]);
  const point = size.map((n, axis) => {
    const own = slice(points, [0, 0, size.length - 1 - axis], [b, sizeOf(places), 1]);
    const share = mul(add(reshape(own, [b, sizeOf(places)]), 1), 0.5);
    return corners ? mul(share, n - 1) : sub(mul(share, n), 0.5);
  });
  const mode = call.text("mode", "linear").replace(/^bi/, "");
  const padding = call.text("padding_mode", "zeros");
  const border = BORDERS[padding === "reflection" && corners ? "centres" : padding];
  if (!NEIGHBOURS[mode] || !border) return call.fail(`the mode "${mode}" with the padding "${padding}"`);
  const y = total(partsAt(x.node, point, column(b), mode, border)); // [B, P, C]
  return new Value(reshape(transpose(y, [0, 2, 1]), [b, c, ...places]), x.type);
}

/** Where the points of a regular grid go under affine maps θ [B, axes, axes + 1]. */
function affineGrid(call: Call): Value {
  const theta = call.operand(0);
  const size = call.known(1)!.slice(2);
  const corners = call.number("align_corners", 0) !== 0;
  const along = (i: number, n: number): number => {
    if (corners) return n === 1 ? 0 : -1 + (2 * i) / (n - 1);
    return -1 + (2 * i + 1) / n;
  };
  const points = range(sizeOf(size)).flatMap((i) => {
    const at = coordinatesOf(i, size).map((k, axis) => along(k, size[axis]));
    return [...at.reverse(), 1];
  });
  const base = constant(Float64Array.from(points), [sizeOf(size), size.length + 1]);
  const y = matmul(base, theta, { transposeB: true }); // [B, P, axes]
  return new Value(reshape(y, [theta.shape[0], ...size, size.length]), call.value(0).type);
}

/** Means, or largest parts, over the cells of regions [R, 4] of images, each sampled at some points. */
function regionPooling(call: Call): Value {
  const [x, rois] = [call.value(0), call.operand(1)];
  const [count] = rois.shape;
  const cells = [call.number("output_height", 1), call.number("output_width", 1)];
  const half = call.version >= 16 && call.text("coordinate_transformation_mode", "half_pixel") === "half_pixel";
  const ratio = call.number("sampling_ratio", 0);
  const bound = (k: number): Node => {
    const scaled = mul(slice(rois, [0, k], [count, 1]), call.number("spatial_scale", 1)); // [R, 1]
    return half ? sub(scaled, 0.5) : scaled;
  };
  const axes = [0, 1].map((axis) => {
    const [start, end] = [bound(1 - axis), bound(3 - axis)];
    const length = half ? sub(end, start) : maximum(sub(end, start), 1);
    return { start, cell: mul(length, 1 / cells[axis]) };
  });
  // As many samples as a cell has pixels are known only with the regions, and may differ between them.
  if (ratio === 0) call.known(1);
  const samples = axes.map(({ cell }) =>
    ratio > 0 ? [ratio] : folded(new Value(cell, "float")).known!.map(Math.ceil),
  );
  const mode = call.text("mode", "avg");
  const images = reshape(call.operand(2), [count, 1]);
  const pooled = (row: number, rows: number, grid: readonly number[]): Node => {
    const own = (node: Node): Node => slice(node, [row, 0], [rows, 1]);
    // Cell by cell, and in each sample by sample.
    const order = [...cells, ...grid];
    const point = axes.map(({ start, cell }, axis) => {
      const steps = range(sizeOf(order)).map((i) => {
        const at = coordinatesOf(i, order);
        return at[axis] + (at[2 + axis] + 0.5) / grid[axis];
      });
      return add(own(start), mul(own(cell), constant(Float64Array.from(steps), [1, steps.length]))); // [R, P]
    });
    const size = x.shape.slice(2);
    const isIn = point
      .map((at, axis) => select(less(at, -1), 0, select(less(size[axis], at), 0, 1)))
      .reduce((a, b) => mul(a, b));
    const clipped = point.map((at, axis) => within(at, size[axis]));
    const parts = partsAt(x.node, clipped, own(images), "linear", BORDERS.border).map((part) =>
      reshape(mul(part, reshape(isIn, [...isIn.shape, 1])), [rows, sizeOf(cells), sizeOf(grid), x.shape[1]]),
    );
    // The largest is that of the weighted pixels, as the specification has it, not that of the values between them.
    const y =
      mode === "max"
        ? max(
            parts.reduce((a, b) => maximum(a, b)),
            2,
          )
        : mean(total(parts), 2);
    return reshape(transpose(y, [0, 2, 1]), [rows, x.shape[1], ...cells]);
  };
  const gridOf = (row: number): number[] => samples.map((counts) => counts[row] ?? counts[0]);
  const isOne = range(count).every((row) => String(gridOf(row)) === String(gridOf(0)));
  const all = isOne ? [pooled(0, count, gridOf(0))] : range(count).map((row) => pooled(row, 1, gridOf(row)));
  return new Value(all.length === 1 ? all[0] : concat(all, 0), x.type);
}

/** A convolution whose cells look where they stand plus an offset [B, groups · K · axes, …] (Dai et al., 2017). */
function deformableConvolution(call: Call): Value {
  const [x, w, offset] = [call.value(0), call.operand(1), call.operand(2)];
  const [bias, mask] = [call.optional(3), call.optional(4)];
  const [b, c, ...size] = x.shape;
  const [outputs, inputs, ...window] = w.shape;
  const way = wayOf(call, size, window);
  const [p, k] = [sizeOf(way.places), sizeOf(window)];
  const [groups, offsetGroups] = [call.number("group", 1), call.number("offset_group", 1)];
  const each = c / offsetGroups;
  const offsets = reshape(offset, [b, offsetGroups, k, size.length, p]);
  const seen = range(offsetGroups).map((g) => {
    const point = size.map((_, axis) => {
      const own = reshape(slice(offsets, [0, g, 0, axis, 0], [b, 1, k, 1, p]), [b, k * p]);
      const base = range(k * p).map((i) => {
        const [cell, place] = [coordinatesOf(Math.floor(i / p), window), coordinatesOf(i % p, way.places)];
        return place[axis] * way.strides[axis] - way.before[axis] + cell[axis] * way.dilations[axis];
      });
      return add(own, constant(Float64Array.from(base), [k * p]));
    });
    const part = slice(x.node, [0, g * each, ...size.map(() => 0)], [b, each, ...size]);
    const values = total(partsAt(part, point, column(b), "linear", BORDERS.zeros)); // [B, K · P, C]
    if (!mask) return values;
    return mul(
      values,
      reshape(slice(reshape(mask.node, [b, offsetGroups, k * p]), [0, g, 0], [b, 1, k * p]), [b, k * p, 1]),
    );
  });
  const cells = reshape(seen.length === 1 ? seen[0] : concat(seen, 2), [b, k, p, c]);
  const filters = outputs / groups;
  const parts = range(groups).map((g) => {
    const rows = transpose(slice(cells, [0, 0, 0, g * inputs], [b, k, p, inputs]), [0, 2, 3, 1]); // [B, P, I, K]
    const kernel = slice(reshape(w, [outputs, inputs * k]), [g * filters, 0], [filters, inputs * k]);
    return matmul(reshape(rows, [b, p, inputs * k]), kernel, { transposeB: true }); // [B, P, O]
  });
  const y = parts.length === 1 ? parts[0] : concat(parts, 2);
  const z = bias ? add(y, bias.node) : y;
  return new Value(reshape(transpose(z, [0, 2, 1]), [b, outputs, ...way.places]), x.type);
}

export const SAMPLING: Operators = {
  AffineGrid: affineGrid,
  DeformConv: deformableConvolution,
  GridSample: gridSample,
  RoiAlign: regionPooling,
};
