/** Operators that change the size of images, along each axis by a matrix that says what of the old goes into the new. */
import { constant } from "../../../graph/leaf.ts";
import type { Node } from "../../../graph/node.ts";
import { matmul, select } from "../../../ops/index.ts";
import type { Call, Operators } from "../call.ts";
import { Value } from "../value.ts";
import { alongLast, range, rowNumbers, take } from "./moving.ts";

/** One axis of a resize. */
interface Axis {
  readonly axis: number;
  readonly input: number;
  readonly output: number;
  readonly scale: number;
  /** Which part of the axis is wanted, in shares of it. */
  readonly region: readonly [number, number];
}

/** Where a place of the result lies in the original. */
const COORDINATES: Readonly<Record<string, (x: number, axis: Axis) => number>> = {
  align_corners: (x, { input, output, scale }) => {
    const length = Number.isInteger(scale * input) ? output : scale * input;
    return length === 1 ? 0 : (x * (input - 1)) / (length - 1);
  },
  asymmetric: (x, { scale }) => x / scale,
  half_pixel: (x, { scale }) => (x + 0.5) / scale - 0.5,
  half_pixel_symmetric: (x, { input, output, scale }) => {
    const adjustment = output / (scale * input);
    return (input / 2) * (1 - adjustment) + (x + 0.5) / scale - 0.5;
  },
  pytorch_half_pixel: (x, { output, scale }) => (output === 1 ? -0.5 : (x + 0.5) / scale - 0.5),
  tf_crop_and_resize: (x, { input, output, region: [start, end] }) =>
    output === 1
      ? ((start + end) * (input - 1)) / 2
      : start * (input - 1) + (x * (end - start) * (input - 1)) / (output - 1),
};

const NEAREST: Readonly<Record<string, (x: number) => number>> = {
  ceil: Math.ceil,
  floor: Math.floor,
  round_prefer_ceil: (x) => Math.floor(x + 0.5),
  round_prefer_floor: (x) => Math.ceil(x - 0.5),
};

/** The weight of a neighbour at some distance. */
const KERNELS: Readonly<Record<string, (a: number) => { reach: number; at: (distance: number) => number }>> = {
  linear: () => ({ reach: 1, at: (d) => Math.max(0, 1 - Math.abs(d)) }),
  // Keys, 1981.
  cubic: (a) => ({
    reach: 2,
    at: (d) => {
      const x = Math.abs(d);
      if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
      return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
    },
  }),
};

/** For each place of the result, how much of each original place goes into it: [input, output]. */
function weights(axis: Axis, coordinates: readonly number[], call: Call, mode: string): Float64Array {
  const kernel = KERNELS[mode]?.(call.number("cubic_coeff_a", -0.75)) ?? call.fail(`the mode "${mode}"`);
  // A smaller picture takes more neighbours into each place, so that nothing is skipped.
  const stretch = call.number("antialias", 0) !== 0 && axis.scale < 1 ? axis.scale : 1;
  const insideOnly = call.number("exclude_outside", 0) !== 0;
  const matrix = new Float64Array(axis.input * axis.output);
  for (const [o, x] of coordinates.entries()) {
    const reach = kernel.reach / stretch;
    const found: [place: number, weight: number][] = [];
    for (let i = Math.floor(x - reach); i <= Math.ceil(x + reach); i++) {
      const weight = kernel.at((x - i) * stretch);
      const isInside = i >= 0 && i < axis.input;
      if (weight !== 0 && (isInside || !insideOnly)) found.push([Math.min(Math.max(i, 0), axis.input - 1), weight]);
    }
    const total = insideOnly || stretch < 1 ? found.reduce((sum, [, weight]) => sum + weight, 0) : 1;
    for (const [i, weight] of found) matrix[i * axis.output + o] += weight / total;
  }
  return matrix;
}

function resizedAlong(x: Node, axis: Axis, call: Call, mode: string, coordinates: readonly number[]): Node {
  if (mode === "nearest") {
    const rounded = NEAREST[call.text("nearest_mode", call.version < 11 ? "floor" : "round_prefer_floor")];
    const places = coordinates.map((at) => Math.min(Math.max(rounded(at), 0), axis.input - 1));
    return take(x, rowNumbers(places), axis.axis);
  }
  const matrix = constant(weights(axis, coordinates, call, mode), [axis.input, axis.output]);
  return alongLast(x, axis.axis, (rows) => matmul(rows, matrix));
}

/** The axes that change, with their sizes before and after. */
function axesOf(call: Call): Axis[] {
  const { shape } = call.value(0);
  const axes = (call.numbers("axes") ?? range(shape.length)).map((axis) => call.axis(axis, shape));
  const [regionAt, scalesAt] = call.version >= 11 && call.node.op === "Resize" ? [1, 2] : [undefined, 1];
  const nonempty = (list: readonly number[] | undefined) => (list?.length ? list : undefined);
  const given = nonempty(call.numbers("scales") ?? call.known(scalesAt));
  const sizes = call.version >= 11 ? nonempty(call.known(3)) : undefined;
  const region = regionAt === undefined ? undefined : nonempty(call.known(regionAt));
  const policy = call.text("keep_aspect_ratio_policy", "stretch");
  const scales = given ?? sizes!.map((size, i) => size / shape[axes[i]]);
  const common = policy === "not_larger" ? Math.min(...scales) : Math.max(...scales);
  return axes.map((axis, i) => {
    const input = shape[axis];
    const scale = policy === "stretch" ? scales[i] : common;
    // Sizes are what was asked, scales what follows to the last pixel that is whole.
    const output = !sizes
      ? Math.floor(input * scale)
      : policy === "stretch"
        ? sizes[i]
        : Math.floor(input * scale + 0.5);
    return { axis, input, output, scale, region: region ? [region[i], region[axes.length + i]] : [0, 1] };
  });
}

function resize(call: Call): Value {
  const x = call.value(0);
  const mode = call.text("mode", "nearest");
  const way = call.text("coordinate_transformation_mode", call.version < 11 ? "asymmetric" : "half_pixel");
  const coordinateOf = COORDINATES[way] ?? call.fail(`the coordinates "${way}", which are not known`);
  let y = x.node;
  const outside: { axis: number; isOutside: boolean[] }[] = [];
  for (const axis of axesOf(call)) {
    if (axis.scale === 1 && way !== "tf_crop_and_resize") continue;
    const coordinates = range(axis.output).map((i) => coordinateOf(i, axis));
    y = resizedAlong(y, axis, call, mode, coordinates);
    outside.push({ axis: axis.axis, isOutside: coordinates.map((at) => at < 0 || at > axis.input - 1) });
  }
  if (way !== "tf_crop_and_resize") return new Value(y, x.type);
  const beyond = call.number("extrapolation_value", 0);
  return new Value(
    outside.reduce((node, { axis, isOutside }) => {
      const shape = node.shape.map((n, i) => (i === axis ? n : 1));
      return select(constant(Float64Array.from(isOutside, Number), shape), beyond, node);
    }, y),
    x.type,
  );
}

export const RESIZE: Operators = { Resize: resize, Upsample: resize };
